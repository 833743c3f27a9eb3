// Package table is what a compiled dialect says of each of its fields: how the
// bytes lie on the wire, how long they may be, and which bytes are good.
package table

import (
	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/ebcdic"
)

// Coding is how a field's bytes lie on the wire. The packed ones, whose length
// counts half bytes, come last.
type Coding uint8

// Codings. Absent is that of a field which the dialect has not. E stands for
// EBCDIC.
const (
	Absent Coding = iota
	Text
	Raw
	EText
	Hexed // bytes as hexadecimal characters; the length counts the bytes
	EHexed
	Digits
	EDigits
	Track
	ETrack
	PackedLeft  // pad nibble on the right
	PackedRight // pad nibble on the left
	PackedTrack
)

// Number says that values are decimal digits, in whatever form.
func (c Coding) Number() bool {
	return c == Digits || c == EDigits || c == PackedLeft || c == PackedRight
}

// Free says that any bytes are good.
func (c Coding) Free() bool { return c <= EText }

// IBM says that the bytes are EBCDIC characters.
func (c Coding) IBM() bool { return c == EText || c == EHexed || c == EDigits || c == ETrack }

// Size is the number of bytes that l digits or bytes take.
func (c Coding) Size(l int) int {
	switch {
	case c >= PackedLeft:
		return (l + 1) >> 1
	case c == Hexed || c == EHexed:
		return 2 * l
	}
	return l
}

// Field is one row of the table.
type Field struct {
	Coding Coding
	Prefix uint8  // bytes of the length prefix, 0 for a fixed length
	Count  Count  // how the prefix says it
	Loose  bool   // the pad nibble may be anything
	Max    uint16 // greatest length, or the only one: digits for packed codings, bytes for others
	Size   uint16 // bytes of a fixed field
}

// Fields are the rows of a dialect by number.
type Fields [193]Field

// Read finds the value of a field that begins at off in msg and looks at its
// bytes: where it lies, its length, and where it ends. The end is 0 when the value
// is not surely good; then Extent and BadByte tell. In front of off there are 8
// bytes at least.
func (f *Field) Read(msg []byte, off int) (at, length, end int) {
	at, length = off+int(f.Prefix), int(f.Max)
	if at > len(msg) {
		return 0, 0, 0
	}
	if f.Prefix != 0 {
		if length = f.Length(msg[off:]); length > int(f.Max) {
			return 0, 0, 0
		}
	}
	end = at + f.Coding.Size(length)
	if end > len(msg) {
		return 0, 0, 0
	}
	switch f.Coding {
	case Text, Raw, EText:
		return at, length, end
	case PackedLeft:
		if bcd.GoodPacked(msg, at, end, length&1 == 1) {
			return at, length, end
		}
	case PackedTrack:
		if bcd.GoodPackedTrack(msg, at, end, length&1 == 1) {
			return at, length, end
		}
	case Digits, Track:
		if bcd.GoodChars(msg, at, end, f.Coding == Track) {
			return at, length, end
		}
	case Hexed:
		if bcd.GoodHex(msg[at:end]) {
			return at, length, end
		}
	default:
		return f.readOther(msg, at, length, end)
	}
	return 0, 0, 0
}

// readOther is Read for the codings that are met less often.
func (f *Field) readOther(msg []byte, at, length, end int) (int, int, int) {
	good := false
	switch f.Coding {
	case PackedRight: // the pad is a digit 0 as well
		good = bcd.GoodPacked(msg, at, end, false) && (length&1 == 0 || msg[at]>>4 == 0)
	case EDigits, ETrack:
		good = bcd.GoodEBCDIC(msg, at, end, f.Coding == ETrack)
	default:
		good = f.Coding.BadByte(msg[at:end]) < 0
	}
	if !good || f.Coding == Absent {
		return 0, 0, 0
	}
	return at, length, end
}

// Extent finds the value of a field that begins at off in msg, whatever its
// bytes: where it lies, its length, and where it ends. The end is 0 when the field
// is not in the dialect, is cut off or has a length that is wrong.
func (f *Field) Extent(msg []byte, off int) (at, length, end int) {
	at, length = off+int(f.Prefix), int(f.Max)
	if at > len(msg) || f.Coding == Absent {
		return 0, 0, 0
	}
	if f.Prefix != 0 {
		length = f.Length(msg[off:])
	}
	end = at + f.Coding.Size(length)
	if length > int(f.Max) || end > len(msg) {
		return 0, 0, 0
	}
	return at, length, end
}

// BadByte finds the first byte of a value on the wire, of length n, that the
// coding does not allow; -1 when there is none. A pad nibble is 0 or F.
func (f *Field) BadByte(p []byte, n int) int {
	c := f.Coding
	if c >= PackedLeft && n&1 == 1 && (c == PackedRight || p[len(p)-1]&15 != 0) {
		return f.badOdd(p)
	}
	switch c {
	case PackedLeft, PackedRight:
		return bcd.BadPacked(p)
	case PackedTrack:
		return bcd.BadPackedTrack(p)
	case Digits:
		return bcd.BadDigits(p)
	case Track:
		return bcd.BadTrack(p)
	}
	return c.BadByte(p)
}

// BadByte finds the first byte that a coding of EBCDIC or hexadecimal characters
// does not allow, -1 when there is none.
func (c Coding) BadByte(p []byte) int {
	var of *[256]uint8
	switch c {
	case Hexed:
		of = &bcd.Hex
	case EHexed:
		of = &eHex
	case EDigits:
		of = &eDigit
	case ETrack:
		of = &eTrack
	default:
		return -1
	}
	for i, b := range p {
		if of[b] == bcd.Bad {
			return i
		}
	}
	return -1
}

// By EBCDIC byte: the value of the digit that it is, bcd.Bad for none.
var (
	eHex   = ofEBCDIC(&bcd.Hex)
	eTrack = ofEBCDIC(&bcd.TrackOf)
	eDigit = eDigits()
	// By EBCDIC byte of a length, as bcd.Digit is by ASCII byte.
	eLength = eLengths()
)

// HexOf is the table of the digits in which a bitmap or a binary field is written.
func (c Coding) HexOf() *[256]uint8 {
	if c == EHexed {
		return &eHex
	}
	return &bcd.Hex
}

func ofEBCDIC(table *[256]uint8) (t [256]uint8) {
	for i := range t {
		t[i] = table[ebcdic.ToASCII[i]]
	}
	return t
}

func eLengths() (t [256]uint16) {
	for i := range t {
		t[i] = bcd.Digit[ebcdic.ToASCII[i]]
	}
	return t
}

func eDigits() (t [256]uint8) {
	for i := range t {
		if t[i] = uint8(i & 15); i < 0xF0 || i > 0xF9 {
			t[i] = bcd.Bad
		}
	}
	return t
}

// badOdd is BadByte for packed digits with a pad nibble.
func (f *Field) badOdd(p []byte) (bad int) {
	last := len(p) - 1
	h, l := p[last]>>4, p[last]&15
	switch f.Coding {
	case PackedRight:
		if h = p[0] >> 4; h != 0 && h != 15 && !f.Loose || p[0]&15 > 9 {
			return 0
		}
		if bad = bcd.BadPacked(p[1:]); bad >= 0 {
			bad++
		}
		return bad
	case PackedTrack:
		bad = bcd.BadPackedTrack(p[:last])
	default:
		bad = bcd.BadPacked(p[:last])
	}
	if bad < 0 && (l != 0 && l != 15 && !f.Loose || h > 9 && (h != 13 || f.Coding != PackedTrack)) {
		return last
	}
	return bad
}

// BadText finds the first byte of a canonical value that the coding cannot
// carry, -1 when there is none.
func (c Coding) BadText(value []byte) int {
	switch {
	case c.Number():
		return bcd.BadDigits(value)
	case c == Track || c == PackedTrack || c == ETrack:
		return bcd.BadTrack(value)
	}
	return -1
}
