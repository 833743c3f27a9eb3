package soft

import (
	"crypto/subtle"
	"encoding/binary"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// Chip is what KQ and KW ask of a chip card.
type Chip struct {
	Account []byte // account and sequence number, packed: 8 bytes, or more for option B
	OptionB bool   // derive the card's key by a hash when the account is longer than 8 bytes
	Session Session
	Tree    clear.Tree // for TreeKey
	ATC     [2]byte
	UN      [4]byte
	Data    []byte // whole blocks: the host fills
}

// Session is how the key of one transaction comes from the card's key.
type Session uint8

// Ways to a session key.
const (
	CardKey   Session = iota // Visa's version 10: the card's key itself
	MChipKey                 // M/Chip: by counter and unpredictable number
	CommonKey                // EMV 4.1: by the counter
	TreeKey                  // EMV 2000: by the counter, down a tree
)

// MKSMI is the issuer's master key for the integrity of scripts.
const MKSMI hsm.KeyType = 0x209

// chipKey derives a chip card's master key from the issuer's.
func (m *Module) chipKey(t hsm.KeyType, key []byte, c *Chip) ([]byte, hsm.Code) {
	s, code := m.reveal(t, key)
	if !code.OK() {
		return nil, code
	}
	var y [8]byte
	switch {
	case len(c.Account) == len(y):
		y = [8]byte(c.Account)
	case c.OptionB && len(c.Account) > len(y) && len(c.Account) <= 11: // 19 digits, sequence number, a zero to fill
		y = clear.OptionB(c.Account)
	default:
		return nil, hsm.BadAccount
	}
	if s.alg != clear.DES {
		return nil, hsm.BadKey
	}
	card, err := clear.CardKeyOf(s.key, y)
	if err != nil {
		return nil, hsm.BadKey
	}
	return card, hsm.Done
}

// session gives the key that a cryptogram of this card is made with.
func (m *Module) session(t hsm.KeyType, key []byte, c *Chip, by Session) ([]byte, hsm.Code) {
	card, code := m.chipKey(t, key, c)
	if !code.OK() {
		return nil, code
	}
	r := [8]byte{c.ATC[0], c.ATC[1]}
	var err error
	switch by {
	case MChipKey:
		copy(r[4:], c.UN[:])
		card, err = clear.CommonSession(card, r)
	case CommonKey:
		card, err = clear.CommonSession(card, r)
	case TreeKey:
		card, err = clear.TreeSession(card, &c.Tree, binary.BigEndian.Uint16(c.ATC[:]))
	}
	if err != nil {
		return nil, codeOf(err)
	}
	return card, hsm.Done
}

// VerifyARQC says Done or Mismatch.
func (m *Module) VerifyARQC(t hsm.KeyType, key []byte, c *Chip, arqc [8]byte) hsm.Code {
	s, code := m.session(t, key, c, c.Session)
	if !code.OK() {
		return code
	}
	if len(c.Data) == 0 || len(c.Data)%8 != 0 {
		return hsm.BadDataLength
	}
	own, err := clear.Cryptogram(s, c.Data, 0)
	if err != nil {
		return hsm.BadKey
	}
	if !clear.SameCryptogram(own, arqc) {
		return hsm.Mismatch
	}
	return hsm.Done
}

// answering is the key that an ARPC is made with. Visa's version 10 and M/Chip use
// the card's own key for it, the other session keys serve both ways.
func (m *Module) answering(t hsm.KeyType, key []byte, c *Chip) ([]byte, hsm.Code) {
	by := c.Session
	if by == MChipKey {
		by = CardKey
	}
	return m.session(t, key, c, by)
}

// ARPC answers a cryptogram by method 1, a response code.
func (m *Module) ARPC(t hsm.KeyType, key []byte, c *Chip, arqc [8]byte, arc [2]byte) (arpc [8]byte, code hsm.Code) {
	s, code := m.answering(t, key, c)
	if !code.OK() {
		return arpc, code
	}
	arpc, err := clear.ARPC1(s, arqc, arc)
	if err != nil {
		return arpc, hsm.BadKey
	}
	return arpc, hsm.Done
}

// ARPC2 answers by method 2: a card status update and up to eight bytes of the
// issuer's own.
func (m *Module) ARPC2(t hsm.KeyType, key []byte, c *Chip, arqc [8]byte, csu [4]byte, own []byte) (arpc [4]byte, code hsm.Code) {
	if len(own) > 8 {
		return arpc, hsm.BadDataLength
	}
	s, code := m.answering(t, key, c)
	if !code.OK() {
		return arpc, code
	}
	arpc, err := clear.ARPC2(s, arqc, csu, own)
	if err != nil {
		return arpc, hsm.BadKey
	}
	return arpc, hsm.Done
}

// VerifyScript verifies the four bytes by which a card answers for data of its own,
// under its key for scripts: Visa derives that by the counter, M/Chip by the cryptogram.
func (m *Module) VerifyScript(t hsm.KeyType, key []byte, c *Chip, arqc [8]byte, data []byte, mac [4]byte) hsm.Code {
	card, code := m.chipKey(t, key, c)
	if !code.OK() {
		return asSecond(code)
	}
	var err error
	if c.Session == MChipKey {
		card, err = clear.CommonSession(card, arqc)
	} else {
		card, err = clear.VisaScriptSession(card, binary.BigEndian.Uint16(c.ATC[:]))
	}
	if err != nil {
		return hsm.BadKey2
	}
	own, err := clear.Cryptogram(card, data, 2)
	if err != nil {
		return hsm.BadKey2
	}
	if subtle.ConstantTimeCompare(own[:4], mac[:]) != 1 {
		return hsm.Mismatch
	}
	return hsm.Done
}
