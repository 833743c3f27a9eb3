// Package table is what a compiled dialect says of each of its fields: how the
// bytes lie on the wire, how long they may be, and which bytes are good.
package table

import "tongka/codec/iso8583/internal/bcd"

// Coding is how a field's bytes lie on the wire. The packed ones, whose length
// counts half bytes, come last.
type Coding uint8

// Codings. Absent is that of a field which the dialect has not.
const (
	Absent Coding = iota
	Text
	Raw
	Hexed // bytes as hexadecimal characters; the length counts the bytes
	Digits
	Track
	PackedLeft  // pad nibble on the right
	PackedRight // pad nibble on the left
	PackedTrack
)

// Number says that values are decimal digits, in whatever form.
func (c Coding) Number() bool { return c == Digits || c == PackedLeft || c == PackedRight }

// Size is the number of bytes that l digits or bytes take.
func (c Coding) Size(l int) int {
	switch {
	case c >= PackedLeft:
		return (l + 1) >> 1
	case c == Hexed:
		return 2 * l
	}
	return l
}

// Field is one row of the table.
type Field struct {
	Coding Coding
	Prefix uint8  // bytes of the length prefix, 0 for a fixed length
	BCD    bool   // the length prefix is packed
	Loose  bool   // the pad nibble may be anything
	Max    uint16 // greatest length, or the only one: digits for packed codings, bytes for others
	Size   uint16 // bytes of a fixed field
}

// Fields are the rows of a dialect by number.
type Fields [129]Field

// Length reads the length prefix at the start of p, which is not cut off. What
// is not decimal gives a length that is above every maximum.
func (f *Field) Length(p []byte) int {
	switch f.Prefix {
	case 1:
		return int(bcd.Len[p[0]])
	case 2:
		if f.BCD {
			return int(bcd.Len[p[0]])*100 + int(bcd.Len[p[1]])
		}
		return int(bcd.Digit[p[0]])*10 + int(bcd.Digit[p[1]])
	default:
		return int(bcd.Digit[p[0]])*100 + int(bcd.Digit[p[1]])*10 + int(bcd.Digit[p[2]])
	}
}

// PutLength writes the length prefix of l, at most Max, to d.
func (f *Field) PutLength(d []byte, l int) {
	x := f.Lengths()[l]
	for i := range f.Prefix {
		d[i] = byte(x >> (8 * i))
	}
}

// Lengths gives the prefixes of the lengths 0 to 999, the first byte the lowest.
func (f *Field) Lengths() *[1000]uint32 {
	switch {
	case f.BCD && f.Prefix == 1:
		return &bcdLL
	case f.BCD:
		return &bcdLLL
	case f.Prefix == 2:
		return &asciiLL
	}
	return &asciiLLL
}

var bcdLL, bcdLLL, asciiLL, asciiLLL = makeLengths()

func makeLengths() (b1, b2, a2, a3 [1000]uint32) {
	for l := range b1 {
		h, t, o := uint32(l/100), uint32(l/10%10), uint32(l%10)
		b1[l], b2[l] = t<<4|o, h|(t<<4|o)<<8
		a2[l], a3[l] = '0'+t|('0'+o)<<8, '0'+h|('0'+t)<<8|('0'+o)<<16
	}
	return b1, b2, a2, a3
}

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
	case Text, Raw:
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
	}
	return 0, 0, 0
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
	case Hexed:
		return badHex(p)
	}
	return -1
}

func badHex(p []byte) int {
	for i, c := range p {
		if bcd.Hex[c] == bcd.Bad {
			return i
		}
	}
	return -1
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
	case c == Track || c == PackedTrack:
		return bcd.BadTrack(value)
	}
	return -1
}
