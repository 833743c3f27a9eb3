// Package dialect declares dialects: what each field holds, how its bytes lie on
// the wire and how long it may be. A Declaration is plain data; the built-in ones
// stand here, once each, users' ones are read from files, and package iso8583
// compiles its tables from either. The same declaration can be said in moov's
// words (Moov), which is how the tests come to their oracle.
package dialect

import (
	"maps"
	"slices"
)

// Kind is what a field holds, whatever its coding.
type Kind uint8

// Kinds. Absent is the kind of a field that the dialect has not.
const (
	Absent  Kind = iota
	Numeric      // decimal digits
	Track        // digits and separators of a magnetic stripe
	Text         // characters, of whatever character set
	Binary       // bytes
)

// Coding is how a value, a bitmap or a length lies on the wire.
type Coding uint8

// Codings.
const (
	ASCII     Coding = iota + 1 // a byte a character; text of any character set that keeps ASCII
	EBCDIC                      // a byte a character, IBM's code
	BCD                         // two digits a byte, an odd one followed by a pad nibble
	BCDRight                    // two digits a byte, an odd one behind a pad nibble
	Bytes                       // as they are; of a length: a binary number, high byte first
	Hex                         // two hexadecimal ASCII characters a byte
	EBCDICHex                   // two hexadecimal EBCDIC characters a byte
)

// Framing is what stands before the MTI.
type Framing uint8

// Framings of the dialects.
const (
	Bare       Framing = iota // the MTI comes first
	TPDUOnly                  // 5 bytes
	TPDUHeader                // TPDU, perhaps LRI, perhaps the 6-byte UnionPay header
	Centre                    // the 46-byte header of the card centre
)

// Third is where a third bitmap, of fields 129 to 192, stands. Bit 65 announces it.
type Third uint8

// Places of the third bitmap.
const (
	NoThird      Third = iota
	ThirdFollows       // right behind the second one
	ThirdIn65          // in the place of field 65, behind the fields up to 64
)

// MaxField is the highest field of any dialect, with a third bitmap.
const MaxField = 192

// MaxLength is the greatest length that a field may have.
const MaxLength = 9999

// Declaration is a dialect.
type Declaration struct {
	Name    string
	About   string // "中文 / English"
	Framing Framing
	MTI     Coding // ASCII, EBCDIC or BCD
	Bitmap  Coding // Bytes, Hex or EBCDICHex
	Wide    bool   // the builder always writes both bitmaps
	Third   Third
	Fields  map[int]Field // 2 to 192
}

// Field is one field of a dialect.
type Field struct {
	Name   string // "中文 / English"
	Kind   Kind
	Coding Coding
	Length int    // the greatest, or the only one: digits of numbers and tracks, bytes of anything else
	Prefix int    // digits of the length prefix, 1 to 4 (bytes of a binary one), 0 for a fixed length
	Count  Coding // of the length prefix
	Loose  bool   // the pad nibble may be anything: it is dropped
	Pad    Pad
	Check  Check
	Parts  *Parts
}

// Pad says how a fixed text that is too short is filled when it is put. Without a
// Char it is spaces on the right. Numbers always have zeros on the left.
type Pad struct {
	Left bool
	Char byte
}

// Form is how the parts of a field are told apart.
type Form uint8

// Forms of parts.
const (
	Positions Form = iota // each at its place
	TLV                   // tag, length, value; the first two in characters
	BER                   // BER-TLV of EMV (ISO/IEC 8825-1)
)

// Parts say what stands in a field.
type Parts struct {
	Form   Form
	Tag    int // characters of a TLV's tag
	Length int // digits of a TLV's length
	List   []Part
}

// Part is one sub-element. At and Length are of Positions, in digits of a number
// and bytes of anything else, from 0; a Length of 0 is all that is left. Tag is of
// TLV and BER, that of BER in hexadecimal.
type Part struct {
	Tag        string
	Name       string // "中文 / English"
	At, Length int
}

// Numbers gives the fields in ascending order.
func (d *Declaration) Numbers() []int { return slices.Sorted(maps.Keys(d.Fields)) }

// vocabulary is how the dialects below say their fields.
type vocabulary struct {
	count  Coding // of lengths
	fixed  Coding // of digits in fields of fixed length
	open   Coding // of digits in fields of variable length
	stripe Coding // of magnetic stripes
	text   Coding
	bytes  Coding // of fixed binary fields
}

var (
	packed     = vocabulary{BCD, BCDRight, BCD, BCD, ASCII, Bytes}
	characters = vocabulary{ASCII, ASCII, ASCII, ASCII, ASCII, Bytes}
	allHex     = vocabulary{ASCII, ASCII, ASCII, ASCII, ASCII, Hex}
	ibm        = vocabulary{EBCDIC, EBCDIC, EBCDIC, EBCDIC, EBCDIC, Bytes}
)

func (w vocabulary) fix(n int, k Kind, c Coding) Field { return Field{Kind: k, Coding: c, Length: n} }

func (w vocabulary) v(l, n int, k Kind, c Coding) Field {
	return Field{Kind: k, Coding: c, Length: n, Prefix: l, Count: w.count}
}

func (w vocabulary) n(n int) Field      { return w.fix(n, Numeric, w.fixed) }
func (w vocabulary) nLeft(n int) Field  { return w.fix(n, Numeric, w.open) }
func (w vocabulary) nLL(n int) Field    { return w.v(2, n, Numeric, w.open) }
func (w vocabulary) nLLL(n int) Field   { return w.v(3, n, Numeric, w.open) }
func (w vocabulary) zLL(n int) Field    { return w.v(2, n, Track, w.stripe) }
func (w vocabulary) zLLL(n int) Field   { return w.v(3, n, Track, w.stripe) }
func (w vocabulary) ans(n int) Field    { return w.fix(n, Text, w.text) }
func (w vocabulary) ansLL(n int) Field  { return w.v(2, n, Text, w.text) }
func (w vocabulary) ansLLL(n int) Field { return w.v(3, n, Text, w.text) }
func (w vocabulary) b(n int) Field      { return w.fix(n, Binary, w.bytes) }
func (w vocabulary) bLL(n int) Field    { return w.v(2, n, Binary, w.bytes) }
func (w vocabulary) bLLL(n int) Field   { return w.v(3, n, Binary, w.bytes) }

// amount is a sign and the digits of a fee, n with the sign. Packed, the sign is a
// character all the same; both together are bytes then.
func (w vocabulary) amount(n int) Field {
	if w.fixed == BCDRight {
		return w.fix(1+n/2, Binary, Bytes)
	}
	return w.ans(n)
}

// named gives the fields their names.
func named(fields map[int]Field, names *[129]string) map[int]Field {
	for n, f := range fields {
		f.Name = names[n]
		fields[n] = f
	}
	return fields
}
