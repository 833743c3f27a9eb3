package translate

import (
	"strings"
	"testing"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
)

func sealedBank(t testing.TB, spec *iso8583.Spec, r *MACRule) *Bank {
	t.Helper()
	k, err := NewBank(spec, "00010000", "48023310", "48023310", "48023310")
	if err == nil {
		err = k.SetMAC(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// said is a message as the other side reads it.
func said(t testing.TB, k *Bank, mti iso8583.MTI, fields map[int]string) *iso8583.View {
	t.Helper()
	b := k.Spec.Begin(nil, mti)
	for n := range 129 {
		if v, ok := fields[n]; ok {
			b.Put(n, []byte(v))
		}
	}
	msg, err := b.End()
	v := new(iso8583.View)
	if err == nil {
		err = k.Spec.Parse(v, msg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The text and its MACs were computed by a program of its own (DES in Python); no
// message of a real card centre with its key was ever published.
func TestCentreMACText(t *testing.T) {
	k := sealedBank(t, iso8583.Cups(), &MACRule{Of: []Class{Requests}})
	v := said(t, k, 0x0200, map[int]string{2: "6222020000000001", 3: "000000", 4: "000000010000", 7: "0101093000", 11: "000001", 14: "3012", 18: "0101", 25: "00",
		32: "48013120", 33: "48013120", 41: "12345678", 42: "898312041110001", 128: "12345678"})
	in, mac, ok := k.MACInput(nil, v, Requests)
	const want = "0200 166222020000000001 000000 000000010000 0101093000 000001 0101 00 0848013120 0848013120 12345678 898312041110001"
	if string(in) != want || !ok || string(mac[:]) != "12345678" {
		t.Fatalf("%q %q %v", in, mac, ok)
	}
	key := []byte("\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10")
	for _, c := range []struct {
		alg  hsm.MACAlg
		n    int
		want string
	}{{hsm.X99, 8, "\xA9\xBC\x2B\x05\x43\xD3\xE2\xC5"}, {hsm.X919, 16, "\x72\x2B\x6A\x93\xBD\x33\x1D\x79"}} {
		cipher, err := clear.NewCipher(key[:c.n])
		if err != nil {
			t.Fatal(err)
		}
		if got := cipher.MAC(c.alg, in); string(got[:]) != c.want {
			t.Errorf("algorithm %d: %X, want %X", c.alg, got, c.want)
		}
	}
}

func TestMACInputs(t *testing.T) {
	all := []Class{Requests, Advices, Reversals, NetworkMessages, KeyChanges}
	sale := map[int]string{4: "000000000100", 11: "000007", 37: "325000000007", 38: "a0-0 1", 39: "00", 42: "SHOP  ONE, NO.1", 90: strings.Repeat("1", 20) + strings.Repeat("2", 22), 128: "abcdefgh"}
	for _, c := range []struct {
		name  string
		rule  MACRule
		class Class
		mti   iso8583.MTI
		want  string
	}{
		{"tidied", MACRule{}, Requests, 0x0210, "0210 000000000100 000007 A00 1 00 SHOP ONE, NO.1 11111111111111111111"},
		{"as it is", MACRule{Raw: true}, Requests, 0x0210, "0210 000000000100 000007 A0-0 1 00 SHOP  ONE, NO.1 11111111111111111111"},
		{"own fields", MACRule{Fields: []int{11, 39}}, Reversals, 0x0430, "0430 000007 00"},
		{"of a change of keys", MACRule{Fields: []int{11, 39}}, KeyChanges, 0x0810, "0810 000000000100 000007 A00 1 00 SHOP ONE, NO.1 11111111111111111111"},
	} {
		c.rule.Of = all
		k := sealedBank(t, iso8583.Cups(), &c.rule)
		in, _, ok := k.MACInput([]byte("before "), said(t, k, c.mti, sale), c.class)
		if string(in) != "before "+c.want || !ok {
			t.Errorf("%s: %q", c.name, in)
		}
	}
	k := sealedBank(t, iso8583.Cups(), &MACRule{Of: all, Whole: true})
	v := said(t, k, 0x0210, sale)
	if in, _, ok := k.MACInput(nil, v, Requests); !ok || string(in) != string(v.Bytes()[:len(v.Bytes())-8]) {
		t.Errorf("whole: %q", in)
	}
	delete(sale, 128)
	if _, _, ok := k.MACInput(nil, said(t, k, 0x0210, sale), Requests); ok {
		t.Error("a message without a MAC has one")
	}
	k = sealedBank(t, iso8583.ASCII(), &MACRule{Of: all})
	sale[64] = "abcdefgh"
	delete(sale, 90)
	if _, mac, ok := k.MACInput(nil, said(t, k, 0x0210, sale), Requests); !ok || string(mac[:]) != "abcdefgh" {
		t.Error("the MAC in field 64 is not seen")
	}
	k = sealedBank(t, iso8583.ASCII(), &MACRule{Of: all, Field: 128})
	if _, _, ok := k.MACInput(nil, said(t, k, 0x0210, sale), Requests); ok {
		t.Error("a MAC in a field that is not the configured one is taken")
	}
}

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		mti  iso8583.MTI
		net  uint16
		want Class
	}{{0x0100, 0, Requests}, {0x0210, 0, Requests}, {0x0220, 0, Advices}, {0x0221, 0, Advices}, {0x0230, 0, Advices}, {0x0630, 0, Advices},
		{0x0420, 0, Reversals}, {0x0431, 0, Reversals}, {0x0820, 1, NetworkMessages}, {0x0810, 101, KeyChanges}} {
		if got := ClassOf(c.mti, c.net); got != c.want {
			t.Errorf("%v F70 %d: %v, want %v", c.mti, c.net, got, c.want)
		}
	}
	for c := range classes {
		if got, ok := ParseClass(c.String()); !ok || got != c {
			t.Errorf("%v", c)
		}
	}
	if _, ok := ParseClass("sale"); ok {
		t.Error("sale is no class")
	}
}

// A bank's messages have room for their MAC at the end, whatever the coding, and
// those of other classes have not.
func TestRoomForABankMAC(t *testing.T) {
	mac := [8]byte{0xAB, 1, 2, 3, 4, 5, 6, 7}
	for _, c := range []struct {
		spec  *iso8583.Spec
		field int // of a message without a field above 64
	}{{iso8583.Cups(), 128}, {iso8583.ASCII(), 64}, {iso8583.Binary87(), 64}} {
		k := sealedBank(t, c.spec, &MACRule{Of: []Class{Reversals, KeyChanges}})
		var clock Clock
		for _, m := range []Network{{MTI: 0x0820, Net: NetKeyReset, STAN: 1, Security: MACKey}, {MTI: 0x0820, Net: NetEcho, STAN: 1}} {
			out, err := k.AppendNetwork(nil, &m, 0, &clock)
			if err != nil {
				t.Fatal(err)
			}
			var v iso8583.View
			var env iso8583.Envelope
			msg, err := c.spec.Split(out, &env)
			if err == nil {
				err = c.spec.Parse(&v, msg)
			}
			if err != nil || v.Has(128) != (m.Net == NetKeyReset) || v.Has(64) {
				t.Fatalf("%s, F70 %d: F128 %v F64 %v %v", c.spec.Name(), m.Net, v.Has(128), v.Has(64), err)
			}
			if m.Net == NetKeyReset {
				k.PutBankMAC(out, &v, &mac)
				if _, got, ok := k.MACInput(nil, &v, KeyChanges); !ok || got != mac {
					t.Errorf("%s: %X", c.spec.Name(), got)
				}
			}
		}
		b := c.spec.Begin(nil, 0x0210)
		k.room(&b, 0x0400, 0, false)
		out, err := b.End()
		var v iso8583.View
		if err == nil {
			err = c.spec.Parse(&v, out)
		}
		if err != nil || !v.Has(c.field) {
			t.Errorf("%s: no F%d, %v", c.spec.Name(), c.field, err)
		}
	}
}

func TestMACsThatADialectCannotCarry(t *testing.T) {
	k, err := NewBank(iso8583.Cups(), "00010000", "48023310", "48023310", "48023310")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.SetMAC(&MACRule{Field: 64}); err == nil || !strings.Contains(err.Error(), "F64: wanted binary 8") {
		t.Error(err)
	}
}

func TestMACInputAllocatesNothing(t *testing.T) {
	k := sealedBank(t, iso8583.Cups(), &MACRule{Of: []Class{Requests}})
	v := said(t, k, 0x0200, map[int]string{2: "6222020000000001", 4: "000000010000", 32: "48013120", 128: "12345678"})
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { k.MACInput(buf, v, Requests) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
