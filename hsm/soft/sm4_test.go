package soft

import (
	"bytes"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
)

var sm4Clear = []byte("\x01\x23\x45\x67\x89\xAB\xCD\xEF\xFE\xDC\xBA\x98\x76\x54\x32\x10")

func TestSM4KeysOfASignIn(t *testing.T) {
	m := New(TestLMK())
	tmk, err := m.WrapSM4(hsm.TMK, sm4Clear)
	if err != nil {
		t.Fatal(err)
	}
	under, _ := clear.NewBlock(clear.SM4, sm4Clear)
	for _, kt := range []hsm.KeyType{hsm.TPK, hsm.TAK, hsm.DEK, hsm.TMK} {
		r := do(m, hsm.Request{Verb: hsm.GenerateKey, Type: kt, Key: tmk, Len: 16})
		own, code := m.revealKey(kt, &r.Key)
		if !r.Code.OK() || !code.OK() || r.Export.Scheme != hsm.SM4Scheme || !bytes.Equal(clear.ECB(under, r.Export.B[:16], true), own.key) {
			t.Fatalf("%03X: %+v, %v", kt, r, code)
		}
		if c := do(m, hsm.Request{Verb: hsm.CheckValue, Type: kt, Key: r.Key}); !bytes.Equal(c.KCV[:3], r.KCV[:3]) || [8]byte(own.kcv()) != c.KCV {
			t.Errorf("%03X: check values %X and %X", kt, c.KCV, r.KCV)
		}
	}
	for what, c := range map[string]struct {
		q    hsm.Request
		want hsm.Code
	}{
		"8 bytes": {hsm.Request{Key: tmk, Len: 8}, hsm.BadKeyLength},
		"type":    {hsm.Request{Key: tmk, Type: 0x0FF}, hsm.BadKeyType},
	} {
		c.q.Verb = hsm.GenerateKey
		if r := do(m, c.q); r.Code != c.want {
			t.Errorf("%s: %v, want %v", what, r.Code, c.want)
		}
	}
	if broken, _ := NewWith(TestLMK(), Options{Rand: bytes.NewReader(nil)}); do(broken, hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TPK, Key: tmk}).Code != hsm.BadModule {
		t.Error("made a key without random numbers")
	}
}

// The module's own way of the MAC is the simulators', for messages of all lengths, and
// asks for no memory with a key that it has kept.
func TestSM4MACsAgree(t *testing.T) {
	m := New(TestLMK())
	mak, err := m.WrapSM4(hsm.TAK, sm4Clear)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := clear.NewBlock(clear.SM4, sm4Clear)
	data := bytes.Repeat([]byte("0123456789abcdefg"), 20)
	for n := 1; n < len(data); n++ {
		if r := do(m, hsm.Request{Verb: hsm.MakeMAC, Key: mak, Data: data[:n]}); r.MAC != clear.UnionPayMAC(b, data[:n]) {
			t.Fatalf("%d bytes: %s, want %s", n, r.MAC, clear.UnionPayMAC(b, data[:n]))
		}
	}
	q, r := hsm.Request{Verb: hsm.MakeMAC, Key: mak, Data: data[:200]}, hsm.Reply{}
	if n := testing.AllocsPerRun(100, func() { m.Do(&q, &r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A PIN goes from each cipher to each.
func TestPINBetweenSM4AndDES(t *testing.T) {
	m := New(TestLMK())
	pan12 := [12]byte([]byte("588000000000"))
	sm4 := func(kt hsm.KeyType) hsm.Key {
		k, err := m.WrapSM4(kt, sm4Clear)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	b, _ := clear.NewBlock(clear.SM4, sm4Clear)
	wide, _ := clear.EncryptPINSM4(b, []byte("123456"), &pan12)
	c := newCipher(t, second)
	short, err := c.EncryptPIN([]byte("123456"), &pan12, hsm.ISO0)
	if err != nil {
		t.Fatal(err)
	}
	r := do(m, hsm.Request{Verb: hsm.TranslatePIN, Key: sm4(hsm.TPK), Key2: wrap(t, m, hsm.ZPK, second), From: hsm.SM4PIN, To: hsm.ISO0, PAN12: pan12, More: &hsm.More{Block: wide}})
	if !r.Code.OK() || r.PIN != short {
		t.Errorf("SM4 to 3DES: %+v", r)
	}
	r = do(m, hsm.Request{Verb: hsm.TranslatePIN, Key: wrap(t, m, hsm.TPK, second), Key2: sm4(hsm.ZPK), From: hsm.ISO0, To: hsm.SM4PIN, PIN: short, PAN12: pan12, More: &hsm.More{}})
	if !r.Code.OK() || r.Out != string(wide[:]) {
		t.Errorf("3DES to SM4: %+v", r)
	}
	r = do(m, hsm.Request{Verb: hsm.TranslatePIN, Key: sm4(hsm.TPK), Key2: sm4(hsm.ZPK), From: hsm.SM4PIN, To: hsm.SM4PIN, PAN12: pan12, More: &hsm.More{Block: wide}})
	if !r.Code.OK() || r.Out != string(wide[:]) {
		t.Errorf("SM4 to SM4: %+v", r)
	}
	r = do(m, hsm.Request{Verb: hsm.TranslatePIN, Key: wrap(t, m, hsm.TPK, second), Key2: sm4(hsm.ZPK), From: hsm.SM4PIN, To: hsm.SM4PIN, PAN12: pan12, More: &hsm.More{Block: wide}})
	if r.Code != hsm.BadKey {
		t.Errorf("an SM4 block under a key of 3DES: %v", r.Code)
	}
}
