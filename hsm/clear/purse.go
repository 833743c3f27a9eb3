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
// both. An SM4 key has no halves of a sensible cipher: it is not folded for a TAC.
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

// PurseKey is what a purse's code is made with.
type PurseKey uint8

// Keys of purse codes.
const (
	LeafKey    PurseKey = iota // the card's key as it is
	SessionKey                 // one for this transaction
	FoldedKey                  // both halves XORed: the TAC
)

// MAC1 is what the card sends before a load.
func (p *Purse) MAC1(c *hsm.Card) [4]byte { return p.of(SessionKey, c, c.MAC1Data(nil)) }

// MAC2 is what makes the card take the amount.
func (p *Purse) MAC2(c *hsm.Card) [4]byte { return p.of(SessionKey, c, c.MAC2Data(nil)) }

// TAC is what the card signs a load or purchase with.
func (p *Purse) TAC(c *hsm.Card) [4]byte { return p.of(FoldedKey, c, c.TACData(nil)) }

func (p *Purse) of(kind PurseKey, c *hsm.Card, data []byte) [4]byte {
	mac, _ := p.MAC(kind, c.SessionData(nil), data, false) // unpadded data of any length fits
	return mac
}

// MAC makes a code of four bytes over data. Session is what the session key is
// derived from. Data that is padded already must be whole blocks.
func (p *Purse) MAC(kind PurseKey, session, data []byte, padded bool) (mac [4]byte, err error) {
	b, err := NewBlock(p.alg, p.key)
	if err != nil {
		return mac, err
	}
	size := b.BlockSize()
	switch {
	case kind == SessionKey && len(session) > size:
		return mac, fmt.Errorf("card: %d bytes for a session key: %w", len(session), hsm.BadInput)
	case kind == SessionKey:
		b, err = NewBlock(p.alg, ECB(b, Pad(nil, session, 1, size), false))
	case kind == FoldedKey && p.alg == DES:
		key := make([]byte, 8)
		subtle.XORBytes(key, p.key[:8], p.key[8:])
		b, err = NewBlock(DES, key)
	}
	if err != nil {
		return mac, err
	}
	if !padded {
		data = Pad(nil, data, 2, size)
	}
	if len(data) == 0 || len(data)%size != 0 {
		return mac, fmt.Errorf("card: %d bytes are no whole blocks: %w", len(data), hsm.BadDataLength)
	}
	return [4]byte(CBCMAC(b, nil, data)), nil
}
