package hsm

import "encoding/binary"

// Family is the kind of e-purse card: it decides the application on the card and
// which set of master keys is meant. Their load cryptography is the same.
type Family uint8

// Card families by the AID that the terminal selected.
const (
	CityCard Family = iota // A00000000386980701, city e-purse (CJ/T 166)
	TUnion                 // A000000632010105, 交通联合 (JT/T 978)
)

// CardAlg is the cipher that the card works with.
type CardAlg uint8

// Card algorithms. How SM4 cards make their session key is not published: a
// module answers 68 for them unless it is told to use the usual reading.
const (
	CardDES CardAlg = iota
	CardSM4
)

// Purse transaction kinds, as the card's own records name them. Source: PBOC 2.0
// e-purse, record file 0x18; 圈提 by the same paper's list of types, and no public
// vector.
const (
	PurseLoad     = 0x02
	PurseUnload   = 0x03
	PursePurchase = 0x06
	PurseCompound = 0x09
)

// CardKeyID names a master key of cards: what a terminal tells about the card it
// holds leads to one, or to none (unknown key version).
type CardKeyID struct {
	Family  Family
	Alg     CardAlg
	TAC     bool    // the TAC key; else the load key
	Unload  bool    // the unload key
	Index   uint8   // of the key on the card
	Version uint8   // as INITIALIZE FOR LOAD gave it
	Issuer  [8]byte // issuer identifier of file 15; zeros: any issuer
}

// CardKeys are master keys under the LMK by their names.
type CardKeys map[CardKeyID]Key

// Find gives the issuer's own key, else the one for any issuer.
func (c CardKeys) Find(id CardKeyID) (Key, bool) {
	k, ok := c[id]
	if !ok && id.Issuer != [8]byte{} {
		id.Issuer = [8]byte{}
		k, ok = c[id]
	}
	return k, ok
}

// MaxLevels is how often a card's key is derived from the master at most.
const MaxLevels = 3

// Card is what a card said and is told in one load or purchase. Amounts are in
// fen; Time is YYYYMMDDhhmmss as packed digits; Terminal is the 6-byte terminal
// number as the card was given it. Source: PBOC 2.0 part 1, e-purse.
type Card struct {
	Family   Family
	Alg      CardAlg
	Levels   uint8              // of Div in use, 0 to MaxLevels
	Div      [MaxLevels][8]byte // diversification data from the master key down: issuer or city, then the card
	Kind     byte               // PurseLoad, PursePurchase …
	Balance  uint32             // before
	Amount   uint32
	Seq      uint16 // the card's counter before this transaction
	Random   [4]byte
	Terminal [6]byte
	TermSeq  uint32 // the terminal's counter; purchases only
	Time     [7]byte
}

// SessionData appends what the session key is derived from: random and counter.
func (c *Card) SessionData(dst []byte) []byte {
	dst = append(dst, c.Random[:]...)
	return append(binary.BigEndian.AppendUint16(dst, c.Seq), 0x80, 0x00)
}

// MAC1Data appends what the card authenticates before a load, without padding.
func (c *Card) MAC1Data(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, c.Balance)
	dst = binary.BigEndian.AppendUint32(dst, c.Amount)
	return append(append(dst, c.Kind), c.Terminal[:]...)
}

// MAC2Data appends what lets the card add the amount.
func (c *Card) MAC2Data(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, c.Amount)
	dst = append(append(dst, c.Kind), c.Terminal[:]...)
	return append(dst, c.Time[:]...)
}

// TACData appends what the card signs when it is done: after a load or unload the
// new balance and the counter as it was, after a purchase the terminal's counter.
func (c *Card) TACData(dst []byte) []byte {
	load := c.Kind != PursePurchase && c.Kind != PurseCompound
	if load {
		after := c.Balance + c.Amount
		if c.Kind == PurseUnload {
			after = c.Balance - c.Amount
		}
		dst = binary.BigEndian.AppendUint32(dst, after)
		dst = binary.BigEndian.AppendUint16(dst, c.Seq)
	}
	dst = binary.BigEndian.AppendUint32(dst, c.Amount)
	dst = append(append(dst, c.Kind), c.Terminal[:]...)
	if !load {
		dst = binary.BigEndian.AppendUint32(dst, c.TermSeq)
	}
	return append(dst, c.Time[:]...)
}
