package clear

import (
	"bytes"
	"crypto/cipher"
	"crypto/subtle"
	"errors"
	"math/rand/v2"
	"testing"

	"tongka/hsm"
)

// byLibrary is a purse's code step by step with the ciphers of the standard library.
func byLibrary(t *testing.T, master []byte, c *hsm.Card, kind PurseKey, data []byte) []byte {
	t.Helper()
	block := func(key []byte) cipher.Block {
		b, err := NewBlock(DES, key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := bytes.Clone(master)
	for _, div := range c.Div[:c.Levels] {
		both := append([]byte(nil), div[:]...)
		for _, x := range div {
			both = append(both, ^x)
		}
		key = ECB(block(key), both, false)
	}
	switch kind {
	case SessionKey:
		key = ECB(block(key), c.SessionData(nil), false)
	case FoldedKey:
		folded := make([]byte, 8)
		subtle.XORBytes(folded, key[:8], key[8:])
		key = folded
	}
	return CBCMAC(block(key), nil, Pad(nil, data, 2, 8))[:4]
}

func TestPurseByTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	random := func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	var lent Purse // it serves one card after the other
	for range 300 {
		master, data := make([]byte, 16), make([]byte, r.IntN(90))
		c := hsm.Card{Levels: uint8(r.IntN(4)), Kind: hsm.PurseLoad, Amount: r.Uint32(), Balance: r.Uint32(), Seq: uint16(r.Uint32())}
		random(master)
		random(data)
		random(c.Random[:])
		for i := range c.Div {
			random(c.Div[i][:])
		}
		p, err := NewPurse(master, &c)
		if err != nil {
			t.Fatal(err)
		}
		purses := []*Purse{p}
		if c.Levels > 0 {
			expanded, _ := NewCipher(master)
			if err := lent.Derive(expanded, &c); err != nil || !bytes.Equal(lent.Key(), p.Key()) {
				t.Fatalf("from the expanded key: %X %v, want %X", lent.Key(), err, p.Key())
			}
			purses = append(purses, &lent)
		}
		for _, p := range purses {
			for _, kind := range []PurseKey{LeafKey, SessionKey, FoldedKey} {
				got, err := p.MAC(kind, c.SessionData(nil), data, false)
				if want := byLibrary(t, master, &c, kind, data); err != nil || !bytes.Equal(got[:], want) {
					t.Fatalf("key %d, %d levels, %d bytes: %X %v, want %X", kind, c.Levels, len(data), got, err, want)
				}
			}
		}
	}
}

func TestDeriveRefuses(t *testing.T) {
	long, _ := NewCipher(make([]byte, 16))
	short, _ := NewCipher(make([]byte, 8))
	for name, c := range map[string]struct {
		master *Cipher
		card   hsm.Card
		want   hsm.Code
	}{
		"no level":        {long, hsm.Card{}, hsm.BadInput},
		"too many levels": {long, hsm.Card{Levels: hsm.MaxLevels + 1}, hsm.BadInput},
		"an SM4 card":     {long, hsm.Card{Levels: 1, Alg: hsm.CardSM4}, hsm.BadInput},
		"a short key":     {short, hsm.Card{Levels: 1}, hsm.BadKeyLength},
	} {
		if err := new(Purse).Derive(c.master, &c.card); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestPurseAllocatesNothing(t *testing.T) {
	master, _ := NewCipher(bytes.Repeat([]byte{0x31}, 16))
	c := hsm.Card{Levels: 2, Kind: hsm.PurseLoad}
	var p Purse
	n := testing.AllocsPerRun(100, func() {
		if err := p.Derive(master, &c); err != nil || p.MAC1(&c) == p.MAC2(&c) || p.TAC(&c) == [4]byte{} {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
