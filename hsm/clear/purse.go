package clear

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"tongka/hsm"
	"tongka/hsm/clear/internal/tdes"
)

// Purse is the key of one card for loads or for its TAC, in clear: what the card
// itself holds. Source: PBOC 2.0 part 1, e-purse; the SM4 forms follow the usual
// reading and no public document.
type Purse struct {
	alg  Alg
	key  [purseKey]byte
	des  Cipher // the key expanded, once it is wanted
	open bool   // des is
}

const purseKey = 16 // bytes of every key of a purse, the master's too

// NewPurse derives a card's key from a master key over the levels of c. With DES
// a level is E(master, data) and E(master, its complement), with SM4 one block of
// both. An SM4 key has no halves of a sensible cipher: it is not folded for a TAC.
func NewPurse(master []byte, c *hsm.Card) (*Purse, error) {
	if err := fits(len(master), c); err != nil {
		return nil, err
	}
	p := &Purse{key: [purseKey]byte(master)}
	if c.Alg == hsm.CardSM4 {
		return p, p.deriveSM4(c)
	}
	if c.Levels > 0 {
		p.des.Expand(master)
		p.derive(&p.des, c.Div[:c.Levels])
	}
	p.leaf() // now, so that who only reads may share it
	return p, nil
}

// Derive makes p the purse of a DES card under a master key that is expanded
// already, in p's own memory. There must be a level: an expanded key does not give
// its bytes back. What it says first of the card changes p: one goroutine at a time.
func (p *Purse) Derive(master *Cipher, c *hsm.Card) error {
	if err := fits(master.n, c); err != nil {
		return err
	}
	if c.Levels == 0 || c.Alg != hsm.CardDES {
		return fmt.Errorf("card: no level of diversification, or not DES: %w", hsm.BadInput)
	}
	p.alg = DES
	p.derive(master, c.Div[:c.Levels])
	return nil
}

func fits(master int, c *hsm.Card) error {
	switch {
	case c.Levels > hsm.MaxLevels:
		return fmt.Errorf("card: %d levels of diversification, at most %d: %w", c.Levels, hsm.MaxLevels, hsm.BadInput)
	case master != purseKey:
		return fmt.Errorf("card: a master key of %d bytes, not 16: %w", master, hsm.BadKeyLength)
	}
	return nil
}

// derive goes down the levels from a key. The last is not expanded: a TAC is made with
// its folded bytes.
func (p *Purse) derive(from *Cipher, levels [][8]byte) {
	for i := range levels {
		data := binary.BigEndian.Uint64(levels[i][:])
		left, right := tdes.EncryptPair(&from.key, &from.key, data, ^data)
		binary.BigEndian.PutUint64(p.key[:], left)
		binary.BigEndian.PutUint64(p.key[8:], right)
		if p.open = false; i+1 < len(levels) {
			from = p.leaf()
		}
	}
}

// leaf is the card's own key.
func (p *Purse) leaf() *Cipher {
	if !p.open {
		p.des.Expand(p.key[:])
		p.open = true
	}
	return &p.des
}

func (p *Purse) deriveSM4(c *hsm.Card) error {
	p.alg = SM4
	for _, data := range c.Div[:c.Levels] {
		b, err := NewBlock(SM4, p.key[:])
		if err != nil {
			return err
		}
		both := append(make([]byte, 0, purseKey), data[:]...)
		for _, x := range data {
			both = append(both, ^x)
		}
		p.key = [purseKey]byte(ECB(b, both, false))
	}
	return nil
}

// Key is the card's key in clear.
func (p *Purse) Key() []byte { return p.key[:] }

// PurseKey is what a purse's code is made with.
type PurseKey uint8

// Keys of purse codes.
const (
	LeafKey    PurseKey = iota // the card's key as it is
	SessionKey                 // one for this transaction
	FoldedKey                  // both halves XORed: the TAC
)

// MAC1 is what the card sends before a load.
func (p *Purse) MAC1(c *hsm.Card) [4]byte {
	return p.of(SessionKey, c, c.MAC1Data(make([]byte, 0, longestCode)))
}

// MAC2 is what makes the card take the amount.
func (p *Purse) MAC2(c *hsm.Card) [4]byte {
	return p.of(SessionKey, c, c.MAC2Data(make([]byte, 0, longestCode)))
}

// TAC is what the card signs a load or purchase with.
func (p *Purse) TAC(c *hsm.Card) [4]byte {
	return p.of(FoldedKey, c, c.TACData(make([]byte, 0, longestCode)))
}

// Session makes to the key of one transaction of a DES card, which its MAC1 and MAC2 are
// made with.
func (p *Purse) Session(c *hsm.Card, to *Cipher) {
	key := p.leaf().Encrypt([8]byte(c.SessionData(make([]byte, 0, 8))))
	to.Expand(key[:])
}

// PurseCode is a code of a purse over unpadded data, under the key for it: a Session, or
// a folded key. Data has no more than 31 bytes.
func (c *Cipher) PurseCode(data []byte) [4]byte {
	code := c.Chain(hsm.X99, [8]byte{}, append(append(make([]byte, 0, longestCode), data...), 0x80), true)
	return [4]byte(code[:])
}

// longestCode is room for what any of the three is made over, with its padding.
const longestCode = 32

func (p *Purse) of(kind PurseKey, c *hsm.Card, data []byte) [4]byte {
	mac, _ := p.MAC(kind, c.SessionData(make([]byte, 0, 8)), data, false) // unpadded data of any length fits
	return mac
}

// MAC makes a code of four bytes over data. Session is what the session key is
// derived from. Data that is padded already must be whole blocks.
func (p *Purse) MAC(kind PurseKey, session, data []byte, padded bool) (mac [4]byte, err error) {
	size := 8
	if p.alg == SM4 {
		size = 16
	}
	if kind == SessionKey && len(session) > size {
		return mac, fmt.Errorf("card: %d bytes for a session key: %w", len(session), hsm.BadInput)
	}
	if !padded {
		data = Pad(make([]byte, 0, longestCode), data, 2, size)
	}
	if len(data) == 0 || len(data)%size != 0 {
		return mac, fmt.Errorf("card: %d bytes are no whole blocks: %w", len(data), hsm.BadDataLength)
	}
	if p.alg == SM4 {
		return p.macSM4(kind, session, data)
	}
	var own Cipher // of one transaction, or of the TAC
	c := &own
	switch kind {
	case SessionKey:
		var from [8]byte
		copy(from[:], session)
		from = p.leaf().Encrypt(from)
		own.Expand(from[:])
	case FoldedKey:
		var folded [8]byte
		subtle.XORBytes(folded[:], p.key[:8], p.key[8:])
		own.Expand(folded[:])
	default:
		c = p.leaf()
	}
	code := c.Chain(hsm.X99, [8]byte{}, data, true)
	return [4]byte(code[:]), nil
}

func (p *Purse) macSM4(kind PurseKey, session, data []byte) (mac [4]byte, err error) {
	b, err := NewBlock(SM4, p.key[:])
	if err == nil && kind == SessionKey {
		b, err = NewBlock(SM4, ECB(b, Pad(nil, session, 1, b.BlockSize()), false))
	}
	if err != nil {
		return mac, err
	}
	return [4]byte(CBCMAC(b, nil, data)), nil
}
