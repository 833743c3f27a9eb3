package payshield

import (
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/soft"
)

// Every kind of module that has a name is one that can be asked and answered for.
func TestMachines(t *testing.T) {
	for _, name := range append(Machines(), "") {
		d, err := Machine(name)
		if err != nil || d.Validate() != nil {
			t.Fatal(name, err)
		}
		m, _ := soft.NewWith(soft.TestLMK(), soft.Options{SM4Cards: true})
		s := NewServer(m, d)
		city := name == "sjl06" || name == "sjj1310"
		frame, err := d.Append(nil, 1, &hsm.Request{Verb: hsm.Random, Len: 8, More: &hsm.More{}})
		if (err == nil) != city {
			t.Errorf("%s: N0: %v", name, err)
		}
		var r hsm.Reply
		if city {
			if _, err := d.Parse(s.Answer(nil, frame), hsm.Random, &r); err != nil || !r.Code.OK() {
				t.Errorf("%s: N0: %v, %v", name, r.Code, err)
			}
		}
		frame, _ = d.Append(nil, 2, &hsm.Request{Verb: hsm.CheckValue, Type: hsm.TPK, Key: parse(t, tpk)})
		if h, err := d.Parse(s.Answer(nil, frame), hsm.CheckValue, &r); err != nil || h != 2 || !r.Code.OK() {
			t.Errorf("%s: BU: %v, %v", name, r.Code, err)
		}
		// S and 32 digits is a key of SM4 to these and half a block to the others.
		want := "15"
		if city {
			want = "00"
		}
		if got := string(s.Answer(nil, []byte("00000003BU021S"+strings.Repeat("0123456789ABCDEF", 2)))); got[10:12] != want {
			t.Errorf("%s: SM4 key: %s", name, got)
		}
	}
	tass, _ := Machine("sjj1310")
	s := NewServer(soft.New(soft.TestLMK()), tass)
	if got := string(s.Answer(nil, []byte("00000001MS0001C6F34693FB39CB6E0000000000000000"+"0008"+"3030303030303030"))); !strings.HasPrefix(got, "00000001MT00") {
		t.Errorf("MS with its IV: %s", got)
	}
	if _, err := Machine("sjl05"); err == nil || !strings.Contains(err.Error(), "sjl06") {
		t.Errorf("an unknown kind: %v", err)
	}
}
