package soft

import (
	"testing"

	"tongka/hsm"
)

func TestFirstMAC(t *testing.T) {
	m := New(TestLMK())
	k, err := hsm.ParseKey("C6F34693FB39CB6E")
	if err != nil {
		t.Fatal(err)
	}
	q := hsm.Request{Verb: hsm.MakeMAC, Alg: hsm.X99, Key: k, Data: []byte("givemeSOMEMACing")}
	var r hsm.Reply
	m.Do(&q, &r)
	if !r.Code.OK() || string(hsm.AppendHex(nil, r.MAC[:4])) != "170C2BDB" {
		t.Fatalf("%v %X", r.Code, r.MAC)
	}
}
