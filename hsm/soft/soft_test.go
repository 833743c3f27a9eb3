package soft

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
)

func parse(t testing.TB, s string) hsm.Key {
	t.Helper()
	k, err := hsm.ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wrap(t testing.TB, m *Module, kt hsm.KeyType, key string) hsm.Key {
	t.Helper()
	k, err := m.Wrap(kt, unhex(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func do(m *Module, q hsm.Request) hsm.Reply {
	var r hsm.Reply
	m.Do(&q, &r)
	return r
}

const (
	double = "0123456789ABCDEFFEDCBA9876543210"
	second = "73FE29329283FDF12540B6F80437C107"
	pan12  = "588480888010"
)

// Published keys under the public test LMK, with what they are in clear or the
// check value that was printed beside them.
func TestPublishedKeys(t *testing.T) {
	m := New(TestLMK())
	for _, c := range []struct {
		t       hsm.KeyType
		wrapped string
		clear   string // or the check value, when "="
	}{
		{hsm.TAK, "C6F34693FB39CB6E", "E9CB01B93B20914F"},
		{hsm.TPK, "0406FBB23A5214DF", "=0035BBE340A4B763"},
		{hsm.ZPK, "U1EF828AA8F6B80EB83E19FBC373F3A85", "=6F1E3F74F826B7EB"},
		{0x402, "U9B4934384B19946B040CD702B4D58145", double},
	} {
		k := parse(t, c.wrapped)
		if kcv, found := strings.CutPrefix(c.clear, "="); found {
			r := do(m, hsm.Request{Verb: hsm.CheckValue, Type: c.t, Key: k})
			if !r.Code.OK() || fmt.Sprintf("%X", r.KCV) != kcv {
				t.Errorf("%s: check value %X, %v", c.wrapped, r.KCV, r.Code)
			}
		} else if got := wrap(t, m, c.t, c.clear); got != k {
			t.Errorf("%s wraps to %s, want %s", c.clear, got, k)
		}
	}
	// The CVK was stored as two single-length keys.
	if a, b := wrap(t, m, 0x402, double[:16]), wrap(t, m, 0x402, double[16:]); a.String()+b.String() != "0A61E674E88C6A7EEABC38C2B2BB492F" {
		t.Errorf("CVK wraps to %s %s", a, b)
	}
}

func TestWrapForcesParity(t *testing.T) {
	m := New(TestLMK())
	even := "CA5D92598DCA48CE8A4C76361A9269E9" // a TMK of a published sign-in
	r := do(m, hsm.Request{Verb: hsm.CheckValue, Type: hsm.TMK, Key: wrap(t, m, hsm.TMK, even)})
	want, _ := clear.KCV(unhex(t, even))
	if !r.Code.OK() || r.KCV != want {
		t.Errorf("%X %v, want %X", r.KCV, r.Code, want)
	}
}

func TestWrapFaults(t *testing.T) {
	m := New(TestLMK())
	if _, err := m.Wrap(hsm.TAK, make([]byte, 10)); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
	for _, kt := range []hsm.KeyType{0x00E, 0x0FF, 0xA00, 0xFFF} {
		if _, err := m.Wrap(kt, make([]byte, 16)); !errors.Is(err, hsm.BadKeyType) {
			t.Errorf("type %03X: %v", uint16(kt), err)
		}
	}
}

func TestKeyOfAnotherTypeIsRefused(t *testing.T) {
	m := New(TestLMK())
	r := do(m, hsm.Request{Verb: hsm.MakeMAC, Key: wrap(t, m, hsm.ZPK, double), Data: []byte("x")})
	if r.Code != hsm.BadKey || r.MAC != ([8]byte{}) {
		t.Errorf("a ZPK taken for a TAK: %v %X", r.Code, r.MAC)
	}
}

func TestMACs(t *testing.T) {
	m := New(TestLMK())
	data := append(unhex(t, "0200302004C020C09811000000000000000051001834021000"), "TESTDATA"...)
	for _, c := range []struct {
		alg  hsm.MACAlg
		t    hsm.KeyType
		key  string
		want string
	}{
		{hsm.UnionPay, 0, double, hex.EncodeToString([]byte("99B8BB2F"))},
		{hsm.X99, hsm.TAK, double[:16], "160D2B9C7CAA9FCD"},
		{hsm.X99, hsm.ZAK, double, "584E226B355D11B2"},
		{hsm.X919, hsm.ZAK, double, "7CFEF929CBE3A66E"},
	} {
		kt := c.t
		if kt == 0 {
			kt = hsm.TAK
		}
		q := hsm.Request{Verb: hsm.MakeMAC, Alg: c.alg, Type: c.t, Key: wrap(t, m, kt, c.key), Data: data}
		r := do(m, q)
		if !r.Code.OK() || hex.EncodeToString(r.MAC[:]) != strings.ToLower(c.want) {
			t.Errorf("algorithm %d: %X %v, want %s", c.alg, r.MAC, r.Code, c.want)
		}
		q.Verb, q.MAC = hsm.VerifyMAC, r.MAC
		if r := do(m, q); r != (hsm.Reply{Code: hsm.Done}) {
			t.Errorf("algorithm %d: its own MAC does not verify: %+v", c.alg, r)
		}
		for i := range q.MAC {
			wrong := q
			wrong.MAC[i] ^= 1
			if r := do(m, wrong); r.Code != hsm.Mismatch {
				t.Errorf("algorithm %d: byte %d of the MAC is not looked at: %v", c.alg, i, r.Code)
			}
		}
	}
}

func TestMACFaults(t *testing.T) {
	m := New(TestLMK())
	single, key, data := wrap(t, m, hsm.TAK, double[:16]), wrap(t, m, hsm.TAK, double), []byte("x")
	for _, c := range []struct {
		name string
		q    hsm.Request
		want hsm.Code
	}{
		{"no data", hsm.Request{Key: key}, hsm.BadDataLength},
		{"no key", hsm.Request{Data: data}, hsm.BadKeyLength},
		{"X9.19 with a single key", hsm.Request{Alg: hsm.X919, Key: single, Data: data}, hsm.BadKeyLength},
		{"unknown algorithm", hsm.Request{Alg: 3, Key: key, Data: data}, hsm.BadInput},
		{"a PIN key's type", hsm.Request{Type: hsm.ZPK, Key: key, Data: data}, hsm.BadKeyType},
		{"scheme and length differ", hsm.Request{Key: hsm.Key{Scheme: 'U', N: 24}, Data: data}, hsm.BadKeyLength},
	} {
		c.q.Verb, c.q.MAC = hsm.VerifyMAC, [8]byte([]byte("00000000"))
		if r := do(m, c.q); r.Code != c.want {
			t.Errorf("%s: %v, want %v", c.name, r.Code, c.want)
		}
	}
	if _, code := m.Chain(hsm.TAK, &single, hsm.X919, [8]byte{}, data, true); code != hsm.BadKeyLength {
		t.Error(code)
	}
}

func TestTranslatePIN(t *testing.T) {
	m := New(TestLMK())
	pan := [12]byte([]byte(pan12))
	for _, from := range []hsm.PINFormat{hsm.ISO0, hsm.ISO1, hsm.ISO3} {
		for _, to := range []hsm.PINFormat{hsm.ISO0, hsm.ISO1, hsm.ISO3} {
			block, err := clear.EncryptPIN(unhex(t, double), []byte("123456"), &pan, from)
			if err != nil {
				t.Fatal(err)
			}
			r := do(m, hsm.Request{
				Verb: hsm.TranslatePIN, From: from, To: to, PIN: block, PAN12: pan,
				Key: wrap(t, m, hsm.TPK, double), Key2: wrap(t, m, hsm.ZPK, second),
			})
			pin, err := clear.DecryptPIN(unhex(t, second), r.PIN, &pan, to)
			if !r.Code.OK() || err != nil || string(pin) != "123456" {
				t.Errorf("%02d to %02d: %v, %q, %v", from, to, r.Code, pin, err)
			}
		}
	}
}

func TestTranslatePINFaults(t *testing.T) {
	m := New(TestLMK())
	tpk, zpk := wrap(t, m, hsm.TPK, double), wrap(t, m, hsm.ZPK, second)
	pan := [12]byte([]byte(pan12))
	block, _ := clear.EncryptPIN(unhex(t, double), []byte("123456"), &pan, hsm.ISO0)
	c := newCipher(t, double)
	base := hsm.Request{Verb: hsm.TranslatePIN, From: hsm.ISO0, To: hsm.ISO0, PIN: block, PAN12: pan, Key: tpk, Key2: zpk}
	for _, f := range []struct {
		name string
		set  func(*hsm.Request)
		want hsm.Code
	}{
		{"good", func(*hsm.Request) {}, hsm.Done},
		{"control nibble", func(q *hsm.Request) { q.From = hsm.ISO3 }, hsm.BadPINBlock},
		{"three digits", func(q *hsm.Request) { q.PIN = c.Encrypt([8]byte{0x03, 0x12, 0x3F}) }, hsm.BadPINLength},
		{"unknown format", func(q *hsm.Request) { q.To = 6 }, hsm.BadFormat},
		{"account", func(q *hsm.Request) { q.PAN12[3] = 'x' }, hsm.BadAccount},
		{"source key", func(q *hsm.Request) { q.Key.B[0] ^= 1 }, hsm.BadKey},
		{"destination key", func(q *hsm.Request) { q.Key2.B[0] ^= 1 }, hsm.BadKey2},
		{"a MAC key's type", func(q *hsm.Request) { q.Type = hsm.TAK }, hsm.BadKeyType},
		{"a zone's source key", func(q *hsm.Request) { q.Type = hsm.ZPK }, hsm.BadKey},
	} {
		q := base
		f.set(&q)
		if r := do(m, q); r.Code != f.want || !r.Code.OK() && r.PIN != ([8]byte{}) {
			t.Errorf("%s: %v %X, want %v", f.name, r.Code, r.PIN, f.want)
		}
	}
}

func newCipher(t testing.TB, key string) *clear.Cipher {
	t.Helper()
	c, err := clear.NewCipher(unhex(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGenerateKey(t *testing.T) {
	m, err := NewWith(TestLMK(), Options{Rand: bytes.NewReader(unhex(t, strings.Repeat(double, 4)))})
	if err != nil {
		t.Fatal(err)
	}
	tmk := wrap(t, m, hsm.TMK, second)
	r := do(m, hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TAK, Key: tmk})
	if !r.Code.OK() || r.Key.Scheme != 'U' || r.Export.Scheme != 'X' || r.Key != wrap(t, m, hsm.TAK, double) {
		t.Fatalf("%+v", r)
	}
	plain, err := clear.DecryptKey(unhex(t, second), r.Export.B[:16])
	if err != nil || fmt.Sprintf("%X", plain) != double || fmt.Sprintf("%X", r.KCV) != "08D7B40000000000" {
		t.Errorf("the terminal reads %X, check value %X (%v)", plain, r.KCV, err)
	}
	r = do(m, hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TAK, Key: tmk, Len: 8})
	plain, _ = clear.DecryptKey(unhex(t, second), r.Export.B[:8])
	if !r.Code.OK() || r.Key.N != 8 || fmt.Sprintf("%X", plain) != double[:16] {
		t.Errorf("single length: %+v, the terminal reads %X", r, plain)
	}
	if r := do(m, hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TPK}); !r.Code.OK() || r.Export != (hsm.Key{}) {
		t.Errorf("without a master key: %+v", r)
	}
}

func TestGenerateKeyFaults(t *testing.T) {
	m, _ := NewWith(TestLMK(), Options{Rand: bytes.NewReader(nil)})
	n := New(TestLMK())
	single, broken := wrap(t, n, hsm.TMK, second[:16]), parse(t, "U"+double)
	for _, c := range []struct {
		name string
		m    *Module
		q    hsm.Request
		want hsm.Code
	}{
		{"no random numbers", m, hsm.Request{Type: hsm.TPK}, hsm.BadModule},
		{"length", n, hsm.Request{Type: hsm.TPK, Len: 7}, hsm.BadKeyLength},
		{"type", n, hsm.Request{Type: 0x0FF}, hsm.BadKeyType},
		{"master key", n, hsm.Request{Type: hsm.TPK, Key: broken}, hsm.BadKey},
	} {
		c.q.Verb = hsm.GenerateKey
		if r := do(c.m, c.q); r != (hsm.Reply{Code: c.want}) {
			t.Errorf("%s: %+v, want %v", c.name, r, c.want)
		}
	}
	k := wrap(t, n, hsm.TPK, double)
	if _, code := n.Export(hsm.TPK, &k, hsm.TMK, &single, 'U'); code != hsm.BadKeyLength {
		t.Errorf("variants under a single-length key: %v", code)
	}
}

func TestImportSaysThatParityWasForced(t *testing.T) {
	m := New(TestLMK())
	zmk := wrap(t, m, hsm.ZMK, second)
	for _, c := range []struct {
		key  string
		want hsm.Code
	}{{double, hsm.Done}, {"00" + double[2:], hsm.Mismatch}} {
		enc := hsm.Key{Scheme: 'X', N: 16}
		b, err := newCipher(t, second).AppendEncrypted(nil, unhex(t, c.key))
		if err != nil {
			t.Fatal(err)
		}
		copy(enc.B[:], b)
		k, code := m.Import(hsm.ZPK, &enc, hsm.ZMK, &zmk, 'U')
		if code != c.want || k != wrap(t, m, hsm.ZPK, c.key) {
			t.Errorf("%s: %s %v", c.key, k, code)
		}
		out, code := m.Export(hsm.ZPK, &k, hsm.ZMK, &zmk, 'X')
		if !code.OK() || c.want.OK() && out != enc {
			t.Errorf("%s: goes out as %s, %v", c.key, out, code)
		}
	}
}

func TestDiagnose(t *testing.T) {
	r := do(New(TestLMK()), hsm.Request{Verb: hsm.Diagnose})
	if !r.Code.OK() || fmt.Sprintf("%X", r.KCV) != "2686040000000000" || string(r.Text[:]) != Firmware {
		t.Errorf("%+v", r)
	}
	if r := do(New(TestLMK()), hsm.Request{Verb: 99}); r.Code != hsm.Disabled {
		t.Errorf("an unknown verb: %v", r.Code)
	}
}
