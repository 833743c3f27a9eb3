// Package card knows e-purse cards: what a terminal says of one in F58, what we
// keep of its last load, and what its next appearance means for that load. It is
// pure, and so are its rules:
//
//  1. A load whose MAC2 has left is never taken back before the card was seen.
//  2. The card decides: its counter and balance say whether it was written.
//  3. What they do not say is for a person, with a name and a reason.
//
// Sources: PBOC 2.0 part 1 (e-purse), CJ/T 166, JT/T 978. The layout of F58 is
// ours: docs/card-load.md draws it.
package card

// Family is the kind of card, by the application that the terminal selected.
type Family uint8

// Families, as tag 01 carries them.
const (
	CityCard Family = 1 // AID A00000000386980701
	TUnion   Family = 2 // AID A000000632010105, 交通联合
)

// Serial is the application serial number of file 15, packed digits.
type Serial [10]byte

// String shows the first and the last four digits.
func (s Serial) String() string {
	const hex = "0123456789ABCDEF"
	at := func(i int) byte { return hex[s[i/2]>>(4*uint(1-i%2))&15] }
	n := 2 * len(s)
	return string([]byte{at(0), at(1), at(2), at(3), '*', at(n - 4), at(n - 3), at(n - 2), at(n - 1)})
}

// Status is what a terminal says of the writing.
type Status uint8

// Statuses, as tag 0E carries them.
const (
	Written    Status = 1
	NotWritten Status = 2
	NotKnown   Status = 3 // the card was gone before it answered
)

// Data is what F58 says. Amounts are in fen. What the message did not have is
// zero; Has tells.
type Data struct {
	seen [maxTag/64 + 1]uint64

	Family   Family
	Issuer   [8]byte // of file 15
	City     [2]byte // packed digits
	Serial   Serial
	Balance  uint32 // before
	Seq      uint16 // online counter before
	KeyIndex uint8
	KeyVer   uint8
	Alg      uint8 // as the card gave it
	Random   [4]byte
	MAC1     [4]byte
	Terminal [6]byte // as the card was given it
	TAC      [4]byte
	After    uint32 // the balance behind a load
	Status   Status
	Order    Number
	Round    uint8  // of an air top-up: 1 open, 2 load, 3 confirm
	Reply    []byte // the card's answer to the last script; lent with the message
}

// Has says whether a tag was there.
func (d *Data) Has(tag byte) bool { return tag <= maxTag && d.seen[tag/64]>>(tag%64)&1 == 1 }

func (d *Data) saw(tag byte) { d.seen[tag/64] |= 1 << (tag % 64) }

// Number is an order number: letters, digits and dashes, filled with zeros.
type Number [20]byte

// ParseNumber reads an order number of 1 to 20 characters.
func ParseNumber(b []byte) (n Number, ok bool) {
	if len(b) == 0 || len(b) > len(n) {
		return n, false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return Number{}, false
		}
	}
	copy(n[:], b)
	return n, true
}

// String is the number without its filling.
func (n Number) String() string {
	i := 0
	for i < len(n) && n[i] != 0 {
		i++
	}
	return string(n[:i])
}
