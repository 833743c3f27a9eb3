package soft

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"tongka/hsm"
	"tongka/hsm/clear"
)

func TestSealedLMK(t *testing.T) {
	own, err := RandomLMK(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pass := []byte("correct horse")
	file, err := own.Seal(pass)
	if err != nil {
		t.Fatal(err)
	}
	back, err := OpenLMK(file, pass)
	if err != nil || back.pairs != own.pairs || back.check != own.check || back.Test() {
		t.Errorf("%v, %v", back, err)
	}
	if !bytes.Equal(back.blocks[0], own.blocks[0]) || bytes.Equal(back.blocks[0], TestLMK().blocks[0]) {
		t.Error("the keys for key blocks do not follow from the pairs")
	}
	for i := range own.pairs {
		if bytes.Contains(file, own.pairs[i][:]) {
			t.Fatal("a key lies open in the file")
		}
	}
	for name, f := range map[string]func() error{
		"another passphrase": func() error { _, err := OpenLMK(file, []byte("incorrect horse")); return err },
		"a short one":        func() error { _, err := own.Seal([]byte("short")); return err },
		"a changed byte":     func() error { file[100] ^= 1; _, err := OpenLMK(file, pass); return err },
		"a cut file":         func() error { _, err := OpenLMK(file[:100], pass); return err },
		"the test LMK":       func() error { _, err := TestLMK().Seal(pass); return err },
		"no randomness":      func() error { _, err := RandomLMK(iotest.ErrReader(errors.New("x"))); return err },
	} {
		if f() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// Keys under another LMK do not open, blocks included.
func TestAnotherLMK(t *testing.T) {
	lmk, err := RandomLMK(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, test := New(lmk), New(TestLMK())
	form := &Form{Scheme: 'S', Header: clear.Header{Alg: 'A'}}
	block, _, kcv, code := own.GenerateText(hsm.ZPK, form, 0, nil, nil)
	if !code.OK() {
		t.Fatal(code)
	}
	if again, code := own.CheckText(hsm.ZPK, block); !code.OK() || !bytes.Equal(again, kcv) {
		t.Errorf("%X, %v", again, code)
	}
	if _, code := test.CheckText(hsm.ZPK, block); code != hsm.BadBlockMAC {
		t.Errorf("a block of another LMK: %v", code)
	}
}

// SM4 cards are refused unless somebody asked for the unconfirmed reading.
func TestSM4CardsAreAsked(t *testing.T) {
	card := hsm.Card{Alg: hsm.CardSM4, Levels: 1, Kind: hsm.PurseLoad, Balance: 5000, Amount: 10000, Seq: 0x12,
		Random: [4]byte{0xA1, 0xB2, 0xC3, 0xD4}, Terminal: [6]byte{0x31, 0x20, 5: 1}}
	card.Div[0] = [8]byte{0x31, 0x20, 0, 0, 0x01, 0x23, 0x45, 0x67}
	asking, err := NewWith(TestLMK(), Options{SM4Cards: true})
	if err != nil {
		t.Fatal(err)
	}
	key, _ := hex.DecodeString("0123456789ABCDEFFEDCBA9876543210")
	for _, c := range []struct {
		m    *Module
		want hsm.Code
	}{{New(TestLMK()), hsm.Disabled}, {asking, hsm.Done}} {
		k, err := c.m.WrapSM4(hsm.MKAC, key)
		if err != nil {
			t.Fatal(err)
		}
		q := hsm.Request{Verb: hsm.VerifyMAC1, Key: k, More: &hsm.More{Card: card}}
		copy(q.MAC[:], []byte{0xB6, 0x68, 0xAB, 0xEC})
		var r hsm.Reply
		if c.m.Do(&q, &r); r.Code != c.want {
			t.Errorf("%v, want %v", r.Code, c.want)
		}
	}
}

// A load from both sides: the card's MAC1 verifies once for its counter only, the
// MAC2 is the card's, and the TAC closes it. Each thing that differs is refused.
func TestALoad(t *testing.T) {
	m := New(TestLMK())
	load, tac := bytes.Repeat([]byte{0x12, 0x35}, 8), bytes.Repeat([]byte{0x33, 0x45}, 8)
	loadKey, err := m.Wrap(hsm.MKAC, load)
	if err != nil {
		t.Fatal(err)
	}
	tacKey, _ := m.Wrap(hsm.MKAC, tac)
	for _, family := range []hsm.Family{hsm.CityCard, hsm.TUnion} {
		card := hsm.Card{Family: family, Levels: 2, Kind: hsm.PurseLoad, Balance: 100, Amount: 5000, Seq: 7,
			Random: [4]byte{1, 2, 3, 4}, Terminal: [6]byte{1}, Time: [7]byte{0x20, 0x26}}
		card.Div[0], card.Div[1] = [8]byte{0x31, 0x20}, [8]byte{0, 0, 0, 0, 1, 2, 3, 4}
		own, err := clear.NewPurse(load, &card)
		if err != nil {
			t.Fatal(err)
		}
		signer, _ := clear.NewPurse(tac, &card)
		mac1, mac2, sign := own.MAC1(&card), own.MAC2(&card), signer.TAC(&card)
		do := func(v hsm.Verb, k hsm.Key, c hsm.Card, mac [4]byte) hsm.Reply {
			q := hsm.Request{Verb: v, Key: k, More: &hsm.More{Card: c}}
			copy(q.MAC[:], mac[:])
			var r hsm.Reply
			m.Do(&q, &r)
			return r
		}
		if r := do(hsm.VerifyMAC1, loadKey, card, mac1); r.Code != hsm.Done {
			t.Errorf("MAC1: %v", r.Code)
		}
		if r := do(hsm.MakeMAC2, loadKey, card, [4]byte{}); r.Code != hsm.Done || [4]byte(r.MAC[:4]) != mac2 {
			t.Errorf("MAC2: %v", r.Code)
		}
		if r := do(hsm.VerifyTAC, tacKey, card, sign); r.Code != hsm.Done {
			t.Errorf("TAC: %v", r.Code)
		}
		for name, change := range map[string]func(*hsm.Card){
			"counter": func(c *hsm.Card) { c.Seq++ }, "balance": func(c *hsm.Card) { c.Balance++ },
			"amount": func(c *hsm.Card) { c.Amount++ }, "terminal": func(c *hsm.Card) { c.Terminal[5]++ },
			"random": func(c *hsm.Card) { c.Random[0]++ }, "card": func(c *hsm.Card) { c.Div[1][7]++ },
			"issuer": func(c *hsm.Card) { c.Div[0][0]++ }, "kind": func(c *hsm.Card) { c.Kind++ },
		} {
			other := card
			change(&other)
			if r := do(hsm.VerifyMAC1, loadKey, other, mac1); r.Code != hsm.Mismatch {
				t.Errorf("MAC1 with another %s: %v", name, r.Code)
			}
			if r := do(hsm.VerifyTAC, tacKey, other, sign); r.Code != hsm.Mismatch && name != "random" {
				t.Errorf("TAC with another %s: %v", name, r.Code)
			}
		}
		deep := card
		deep.Levels = hsm.MaxLevels + 1
		if r := do(hsm.VerifyMAC1, loadKey, deep, mac1); r.Code != hsm.BadInput {
			t.Errorf("too many levels: %v", r.Code)
		}
	}
	var r hsm.Reply
	if m.Do(&hsm.Request{Verb: hsm.VerifyMAC1, Key: loadKey}, &r); r.Code != hsm.Disabled {
		t.Errorf("without a card: %v", r.Code)
	}
}

// A new terminal master key travels under a transport key, of the zone or the
// terminal, and an import gives the check value that its letter shows.
func TestTerminalKeyDownload(t *testing.T) {
	m := New(TestLMK())
	transport := bytes.Repeat([]byte{0x2A, 0x45}, 8)
	for zone, kt := range map[bool]hsm.KeyType{true: hsm.ZMK, false: hsm.TMK} {
		under, err := m.Wrap(kt, transport)
		if err != nil {
			t.Fatal(err)
		}
		var made, read hsm.Reply
		m.Do(&hsm.Request{Verb: hsm.GenerateKey, Type: hsm.TMK, Zone: zone, Key: under}, &made)
		m.Do(&hsm.Request{Verb: hsm.ImportKey, Type: hsm.TMK, Zone: zone, Key: under, Key2: made.Export}, &read)
		if !made.Code.OK() || !read.Code.OK() || read.Key != made.Key || !read.Checks(made.KCV[:3]) {
			t.Errorf("zone %v: %+v, then %+v", zone, made, read)
		}
		if read.Checks([]byte{0, 0, 0}) || read.Checks(nil) || read.Checks(made.KCV[:2]) {
			t.Error("a wrong or short check value passes")
		}
		var out hsm.Reply
		m.Do(&hsm.Request{Verb: hsm.ExportKey, Type: hsm.TMK, Zone: zone, Key: under, Key2: made.Key}, &out)
		if out.Export != made.Export {
			t.Errorf("zone %v: exported as %s, was %s", zone, out.Export, made.Export)
		}
	}
}

func TestTextFaults(t *testing.T) {
	m := New(TestLMK())
	for _, c := range []struct {
		text string
		want hsm.Code
	}{
		{"", hsm.BadInput}, {"S", hsm.BadScheme}, {"S9", hsm.BadScheme}, {"S0", hsm.BadInput}, {"R", hsm.BadScheme},
		{"U0123", hsm.BadInput}, {"S0" + strings.Repeat("0", 80), hsm.BadInput},
	} {
		if _, code := m.CheckText(hsm.ZPK, []byte(c.text)); code != c.want {
			t.Errorf("%q: %v, want %v", c.text, code, c.want)
		}
		if _, code := m.Cipher(hsm.ZPK, []byte(c.text)); code.OK() {
			t.Errorf("%q makes a cipher", c.text)
		}
	}
	if _, code := m.hide(hsm.ZPK, &Form{Scheme: 'U'}, secret{clear.AES, make([]byte, 16)}); code != hsm.BadScheme {
		t.Errorf("an AES key under variants: %v", code)
	}
	if _, code := m.hide(0xFE, &Form{Scheme: 'S'}, secret{clear.DES, make([]byte, 16)}); code != hsm.BadKeyType {
		t.Errorf("a block of no type: %v", code)
	}
}

// Two encryptions in two parts are one in one part, whatever the mode.
func TestCryptModes(t *testing.T) {
	s := secret{clear.DES, bytes.Repeat([]byte{0x2A, 0x45}, 8)}
	data := []byte("sixteen bytes...and sixteen more")
	for mode := byte('0'); mode <= '3'; mode++ {
		k := CryptKind{Mode: mode, IV: make([]byte, 8)}
		whole, _, code := crypt(s, &k, data)
		if !code.OK() {
			t.Fatal(code)
		}
		first, next, _ := crypt(s, &k, data[:16])
		second, _, _ := crypt(s, &CryptKind{Mode: mode, IV: append(next, make([]byte, 8)...)[:8]}, data[16:])
		if mode != '0' && !bytes.Equal(whole, append(first, second...)) {
			t.Errorf("mode %c: in parts it differs", mode)
		}
		k.Decrypt = true
		if back, _, _ := crypt(s, &k, whole); !bytes.Equal(back, data) {
			t.Errorf("mode %c: back it is %q", mode, back)
		}
	}
	for _, k := range []CryptKind{{Mode: '1'}, {Mode: '4', IV: make([]byte, 8)}, {Mode: '1', IV: make([]byte, 7)}} {
		if _, _, code := crypt(s, &k, data); code != hsm.BadInput {
			t.Errorf("%+v: %v", k, code)
		}
	}
}
