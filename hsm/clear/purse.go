package clear

import (
	"crypto/subtle"
	"fmt"

	"tongka/hsm"
)

// Purse is the key of one card for loads or for its TAC, in clear: what the card
// itself holds. Source: PBOC 2.0 part 1, e-purse; the SM4 forms follow the usual
// reading and no public document.
type Purse struct {
	alg Alg
	key []byte
}

// NewPurse derives a card's key from a master key over the levels of c. With DES
// a level is E(master, data) and E(master, its complement), with SM4 one block of
// both.
func NewPurse(master []byte, c *hsm.Card) (*Purse, error) {
	p := &Purse{DES, append([]byte(nil), master...)}
	if c.Alg == hsm.CardSM4 {
		p.alg = SM4
	}
	if c.Levels > hsm.MaxLevels {
		return nil, fmt.Errorf("card: %d levels of diversification, at most %d: %w", c.Levels, hsm.MaxLevels, hsm.BadInput)
	}
	if len(master) != 16 {
		return nil, fmt.Errorf("card: a master key of %d bytes, not 16: %w", len(master), hsm.BadKeyLength)
	}
	for _, data := range c.Div[:c.Levels] {
		b, err := NewBlock(p.alg, p.key)
		if err != nil {
			return nil, err
		}
		both := append(make([]byte, 0, 16), data[:]...)
		for _, x := range data {
			both = append(both, ^x)
		}
		p.key = ECB(b, both, false)
	}
	return p, nil
}

// Key is the card's key in clear.
func (p *Purse) Key() []byte { return p.key }

// MAC1 is what the card sends before a load.
func (p *Purse) MAC1(c *hsm.Card) [4]byte { return p.session(c, c.MAC1Data(nil)) }

// MAC2 is what makes the card take the amount.
func (p *Purse) MAC2(c *hsm.Card) [4]byte { return p.session(c, c.MAC2Data(nil)) }

func (p *Purse) session(c *hsm.Card, data []byte) [4]byte {
	b, _ := NewBlock(p.alg, p.key) // both lengths fit by NewPurse
	key := ECB(b, Pad(nil, c.SessionData(nil), 1, b.BlockSize()), false)
	return p.mac(key, data)
}

// TAC is what the card signs a load or purchase with. Its DES key is folded to
// one half first; an SM4 key has no halves of a sensible cipher and stays whole.
func (p *Purse) TAC(c *hsm.Card) [4]byte {
	key := p.key
	if p.alg == DES {
		key = make([]byte, 8)
		subtle.XORBytes(key, p.key[:8], p.key[8:])
	}
	return p.mac(key, c.TACData(nil))
}

func (p *Purse) mac(key, data []byte) [4]byte {
	b, _ := NewBlock(p.alg, key)
	return [4]byte(CBCMAC(b, nil, Pad(nil, data, 2, b.BlockSize())))
}
