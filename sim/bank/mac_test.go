package bank

import (
	"testing"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/translate"
)

const zakHex = "0123456789ABCDEFFEDCBA9876543210"

// switchMAC is what the switch makes of a message: the bank's own way to it is
// another.
func switchMAC(t testing.TB, v *iso8583.View, key []byte, m MAC) string {
	t.Helper()
	k, err := translate.NewBank(iso8583.Cups(), "00010000", "48023310", "48023310", "48023310")
	if err == nil {
		err = k.SetMAC(&translate.MACRule{Whole: m.Whole})
	}
	c, bad := clear.NewCipher(key)
	if err != nil || bad != nil {
		t.Fatal(err, bad)
	}
	net, _ := v.Uint(70)
	in, _, _ := k.MACInput(nil, v, translate.ClassOf(v.MTI(), uint16(net)))
	mac := c.MAC(macAlgorithms[m.Algorithm], in)
	if m.Hex {
		return string(hsm.AppendHex(nil, mac[:4]))
	}
	return string(mac[:])
}

// macked gives a request its MAC.
func macked(t testing.TB, mti iso8583.MTI, f fields, key []byte, m MAC) []byte {
	t.Helper()
	raw := frame(t, mti, f.with(fields{128: "\x00\x00\x00\x00\x00\x00\x00\x00"}))
	var env iso8583.Envelope
	var v iso8583.View
	msg, err := iso8583.Cups().Split(raw[4:], &env)
	if err == nil {
		err = iso8583.Cups().Parse(&v, msg)
	}
	if err != nil {
		t.Fatal(err)
	}
	copy(raw[len(raw)-8:], switchMAC(t, &v, key, m))
	return raw
}

func TestMACsBothWays(t *testing.T) {
	for _, m := range []MAC{{}, {Whole: true}, {Hex: true, Algorithm: "cbc"}, {Algorithm: "ecb"}} {
		m.Key = key(t, zakHex)
		b, l := start(t, Config{MAC: m})
		l.send(macked(t, 0x0200, sale(1), m.Key, m))
		v := l.expect(0x0210, "000001", "00")
		if want := switchMAC(t, v, m.Key, m); string(v.Field(128)) != want {
			t.Errorf("%+v: F128 %X, want %X", m, v.Field(128), want)
		}
		if s := b.Stats(); s.MACs != 1 || s.MACFaults != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// A wrong MAC, or none, is answered A0 and books nothing; sign-on and echo need none.
func TestWrongMACsAreRefused(t *testing.T) {
	m := MAC{Key: key(t, zakHex)}
	b, l := start(t, Config{MAC: m})
	bad := macked(t, 0x0200, sale(1), m.Key, m)
	bad[len(bad)-1] ^= 1
	l.send(bad)
	l.expect(0x0210, "000001", "A0")
	l.ask(0x0200, sale(2), "A0")
	l.ask(0x0820, fields{7: "1121220000", 11: "000003", 70: "301"}, "00")
	if s := b.Stats(); s.Booked != 0 || s.MACs != 2 || s.MACFaults != 2 {
		t.Errorf("%+v", s)
	}
}

func TestBanksWithoutARightMAC(t *testing.T) {
	m := MAC{Key: key(t, zakHex)}
	b, l := start(t, Config{MAC: m, Behaviour: Behaviour{WrongMAC: true}})
	l.send(macked(t, 0x0200, sale(1), m.Key, m))
	if v := l.expect(0x0210, "000001", "00"); string(v.Field(128)) == switchMAC(t, v, m.Key, m) {
		t.Error("the MAC is right")
	}
	if err := b.Behave(Behaviour{NoMAC: true}); err != nil {
		t.Fatal(err)
	}
	l.send(macked(t, 0x0200, sale(2), m.Key, m))
	if v := l.expect(0x0210, "000002", "00"); v.Has(128) {
		t.Error("there is a MAC")
	}
}

// A bank brings what it is asked for, under its ZMK and with a check value, and uses
// it when the switch says yes.
func TestBankBringsKeys(t *testing.T) {
	zmk := key(t, "0123456789ABCDEF1122334455667788")
	for _, old := range []bool{false, true} {
		m := MAC{Key: key(t, zakHex), OldSeals: old}
		b, l := start(t, Config{MAC: m, ZMK: zmk, ZPK: key(t, zakHex)})
		ask := fields{7: "1121220000", 11: "000009", 53: translate.MACKey, 70: "101"}
		l.send(macked(t, 0x0820, ask, m.Key, m))
		l.expect(0x0830, "000009", "00")
		_, v := l.receive()
		var k translate.KeyChange
		if err := translate.ReadKeyChange(v, &k); err != nil || v.MTI() != 0x0800 || !k.MAC || k.N != 16 || k.NCheck != 3 {
			t.Fatalf("%v %+v %v", v.MTI(), k, err)
		}
		own, err := clear.DecryptKey(zmk, k.Key[:16])
		if err != nil {
			t.Fatal(err)
		}
		c, err := clear.NewCipher(own)
		if kcv := c.KCV(); err != nil || string(kcv[:3]) != string(k.Check[:3]) {
			t.Errorf("check value %X, the key has %X", k.Check[:3], kcv[:3])
		}
		under := own
		if old {
			under = m.Key
		}
		if string(v.Field(128)) != switchMAC(t, v, under, m) {
			t.Errorf("old %v: the 0800 has another MAC", old)
		}
		yes := fields{11: string(v.Field(11)), 39: "00", 70: "101"}
		l.send(macked(t, 0x0810, yes, under, m))
		l.send(macked(t, 0x0200, sale(1), own, m))
		if v = l.expect(0x0210, "000001", "00"); string(v.Field(128)) != switchMAC(t, v, own, m) {
			t.Error("the new key is not used")
		}
		if s := b.Stats(); s.KeysBrought != 1 || s.KeysTaken != 1 || s.MACFaults != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestMACsThatCannotBe(t *testing.T) {
	for _, m := range []MAC{{Algorithm: "sha"}, {Algorithm: "x9.9", Key: make([]byte, 16)}, {Key: make([]byte, 8)}, {Algorithm: "cbc", Key: make([]byte, 8)}} {
		if _, err := New(Config{Listen: "x", MAC: m}); err == nil {
			t.Errorf("%+v is taken", m)
		}
	}
}
