package soft

import (
	"encoding/hex"
	"errors"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
)

func bytesOf(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// block puts a clear AES key into a key block under the LMK.
func (m *Module) blockOf(t *testing.T, kt hsm.KeyType, key []byte) string {
	t.Helper()
	text, code := m.hide(kt, &Form{Scheme: 'S'}, secret{clear.AES, key})
	if !code.OK() {
		t.Fatal(code)
	}
	return string(text)
}

// The published format 4 block goes to a bank in format 0, and back.
func TestTranslateISO4(t *testing.T) {
	m := New(TestLMK())
	aes := m.blockOf(t, hsm.ZPK, bytesOf(t, "C1D0F8FB4958670DBA40AB1F3752EF0D"))
	zpk, err := m.Wrap(hsm.ZPK, bytesOf(t, "0123456789ABCDEFFEDCBA9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	pan := []byte("432198765432109870")
	more := hsm.More{Key: aes, PAN: pan, Block: [16]byte(bytesOf(t, "CC17F65586BFD0953010226C4FC5B3CA"))}
	q := hsm.Request{Verb: hsm.TranslatePIN, Type: hsm.ZPK, Key2: zpk, From: hsm.ISO4, To: hsm.ISO0, PAN12: [12]byte([]byte("876543210987")), More: &more}
	var r hsm.Reply
	if m.Do(&q, &r); !r.Code.OK() {
		t.Fatal(r.Code)
	}
	pin, err := clear.DecryptPIN(bytesOf(t, "0123456789ABCDEFFEDCBA9876543210"), r.PIN, &q.PAN12, hsm.ISO0)
	if err != nil || string(pin) != "1234" {
		t.Errorf("%s, %v", pin, err)
	}
	back := hsm.Request{Verb: hsm.TranslatePIN, Type: hsm.ZPK, Key: zpk, From: hsm.ISO0, To: hsm.ISO4, PIN: r.PIN, PAN12: q.PAN12,
		More: &hsm.More{Key2: aes, PAN: pan}}
	if m.Do(&back, &r); !r.Code.OK() || len(r.Out) != 16 {
		t.Fatal(r.Code)
	}
	b, _ := clear.NewBlock(clear.AES, bytesOf(t, "C1D0F8FB4958670DBA40AB1F3752EF0D"))
	if pin, err := clear.DecryptPIN4(b, [16]byte([]byte(r.Out)), pan); err != nil || string(pin) != "1234" {
		t.Errorf("%s, %v", pin, err)
	}
	for name, f := range map[string]struct {
		change func(q *hsm.Request, m *hsm.More)
		want   hsm.Code
	}{
		"another account":         {func(_ *hsm.Request, m *hsm.More) { m.PAN = []byte("432198765432109871") }, hsm.BadPINBlock},
		"no account":              {func(_ *hsm.Request, m *hsm.More) { m.PAN = nil }, hsm.BadAccount},
		"an AES key for format 0": {func(q *hsm.Request, _ *hsm.More) { q.From = hsm.ISO0 }, hsm.BadKey},
		"a DES key for format 4":  {func(q *hsm.Request, m *hsm.More) { m.Key, q.Key = "", zpk }, hsm.BadKeyLength},
		"no key":                  {func(_ *hsm.Request, m *hsm.More) { m.Key = "" }, hsm.BadInput},
		"a type that is no PIN's": {func(q *hsm.Request, _ *hsm.More) { q.Type = hsm.TAK }, hsm.BadKeyType},
		"a terminal's serial":     {func(q *hsm.Request, m *hsm.More) { q.Type = hsm.BDK }, hsm.BadUsage},
	} {
		bad, own := q, more
		bad.More = &own
		f.change(&bad, &own)
		if m.Do(&bad, &r); r.Code != f.want {
			t.Errorf("%s: %v, want %v", name, r.Code, f.want)
		}
	}
}

// The published DUKPT blocks reach a zone, TDES and AES.
func TestTranslateDUKPT(t *testing.T) {
	m := New(TestLMK())
	zpk, _ := m.Wrap(hsm.ZPK, bytesOf(t, "0123456789ABCDEFFEDCBA9876543210"))
	bdk, _ := m.Wrap(hsm.BDK, bytesOf(t, "0123456789ABCDEFFEDCBA9876543210"))
	q := hsm.Request{Verb: hsm.TranslatePIN, Type: hsm.BDK, Key: bdk, Key2: zpk, From: hsm.ISO0, To: hsm.ISO0,
		PIN: [8]byte(bytesOf(t, "1B9C1845EB993A7A")), PAN12: [12]byte([]byte("401234567890")), More: &hsm.More{KSN: bytesOf(t, "FFFF9876543210E00001")}}
	var r hsm.Reply
	m.Do(&q, &r)
	pin, err := clear.DecryptPIN(bytesOf(t, "0123456789ABCDEFFEDCBA9876543210"), r.PIN, &q.PAN12, hsm.ISO0)
	if err != nil || string(pin) != "1234" || !r.Code.OK() {
		t.Errorf("%s, %v, %v", pin, err, r.Code)
	}
	q.More.KSN = bytesOf(t, "FFFF9876543210E00002")
	if m.Do(&q, &r); r.Code.OK() {
		t.Error("the block of another transaction opens")
	}
	base := bytesOf(t, "FEDCBA9876543210F1F1F1F1F1F1F1F1")
	ksn := [12]byte(bytesOf(t, "123456789012345600000001"))
	key, err := clear.AESDUKPT(base, ksn, clear.UsePIN)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := clear.NewBlock(clear.AES, key)
	block, err := clear.EncryptPIN4(b, []byte("123456"), []byte("4111111111111111"), zeros{})
	if err != nil {
		t.Fatal(err)
	}
	wide := hsm.Request{Verb: hsm.TranslatePIN, Type: hsm.BDK, Key2: zpk, From: hsm.ISO4, To: hsm.ISO1,
		More: &hsm.More{Key: m.blockOf(t, hsm.BDK, base), KSN: ksn[:], PAN: []byte("4111111111111111"), Block: block}}
	m.Do(&wide, &r)
	pin, err = clear.DecryptPIN(bytesOf(t, "0123456789ABCDEFFEDCBA9876543210"), r.PIN, &wide.PAN12, hsm.ISO1)
	if err != nil || string(pin) != "123456" || !r.Code.OK() {
		t.Errorf("%s, %v, %v", pin, err, r.Code)
	}
	wide.More.KSN = ksn[:10]
	if m.Do(&wide, &r); r.Code != hsm.BadInput {
		t.Errorf("a short serial: %v", r.Code)
	}
}

// An SM4 key keeps all its bits, and is no key for DES.
func TestSM4Keys(t *testing.T) {
	m := New(TestLMK())
	key := bytesOf(t, "0123456789ABCDEFFEDCBA9876543210")
	key[0] = 0 // even parity
	k, err := m.WrapSM4(hsm.TAK, key)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := hsm.ParseKey(k.String()); err != nil || again != k {
		t.Errorf("%s reads back as %s, %v", k, again, err)
	}
	b, _ := clear.NewBlock(clear.SM4, key)
	want := clear.UnionPayMAC(b, []byte("a message"))
	var r, v hsm.Reply
	q := hsm.Request{Verb: hsm.MakeMAC, Key: k, Data: []byte("a message")}
	m.Do(&q, &r)
	q.Verb, q.MAC = hsm.VerifyMAC, r.MAC
	if m.Do(&q, &v); r.MAC != want || !v.Code.OK() {
		t.Errorf("%s, want %s, %v", r.MAC, want, v.Code)
	}
	q.MAC[0]++
	if m.Do(&q, &v); v.Code != hsm.Mismatch {
		t.Errorf("a wrong MAC: %v", v.Code)
	}
	pair := []hsm.Request{{Verb: hsm.MakeMAC, Key: k, Data: []byte("a message")}, {Verb: hsm.MakeMAC, Key: k, Data: []byte("a message")}}
	both := make([]hsm.Reply, 2)
	if m.DoAll(pair, both); both[0].MAC != want || both[1].MAC != want {
		t.Errorf("a pair: %+v", both)
	}
	for name, c := range map[string]struct {
		q    hsm.Request
		want hsm.Code
	}{
		"X9.9":        {hsm.Request{Verb: hsm.MakeMAC, Alg: hsm.X99, Key: k, Data: []byte("a")}, hsm.BadInput},
		"no data":     {hsm.Request{Verb: hsm.MakeMAC, Key: k}, hsm.BadDataLength},
		"type":        {hsm.Request{Verb: hsm.MakeMAC, Type: hsm.ZPK, Key: k, Data: []byte("a")}, hsm.BadKeyType},
		"for a PIN":   {hsm.Request{Verb: hsm.TranslatePIN, Key: k, Key2: k}, hsm.BadKey},
		"check value": {hsm.Request{Verb: hsm.CheckValue, Type: hsm.TAK, Key: k}, hsm.Done},
	} {
		if m.Do(&c.q, &r); r.Code != c.want {
			t.Errorf("%s: %v, want %v", name, r.Code, c.want)
		}
	}
	kcv, code := m.CheckValue(hsm.TAK, &k)
	if want := clear.ECB(b, make([]byte, 16), false); !code.OK() || kcv != [8]byte(want) {
		t.Errorf("check value %X, want %X", kcv, want[:8])
	}
	if _, err := m.WrapSM4(hsm.TAK, key[:8]); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
}

// zeros is as random as a test needs.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }
