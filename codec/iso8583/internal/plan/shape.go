package plan

import (
	"encoding/binary"
	"math/bits"

	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/table"
)

// Shape is how to read a message of one bitmap: legs, one after the other.
type Shape []leg

// leg is fields of fixed length that stand together, and one more behind them
// that has to be looked at by itself.
type leg struct {
	size   int // of the fixed fields, in bytes
	fixed  []placed
	checks []check
	hexes  []check // of hexadecimal characters, which few dialects have
	flip   uint64  // makes ASCII of the characters, if they are EBCDIC digits
	open   uint8   // the number of the field behind them, 0 at the end of the message
}

// placed is a fixed field: its span in the leg, to which the leg's offset is
// added.
type placed struct {
	n    uint8
	span Span
}

// Span is where a value lies, in the lower half, and its length as the length
// prefix counts it: digits of a number, bytes of anything else.
type Span uint32

// At makes a span.
func At(at, n int) Span { return Span(uint16(at)) | Span(n)<<16 }

// At is the offset from the MTI in bytes.
func (s Span) At() int { return int(uint16(s)) }

// Len is the length.
func (s Span) Len() int { return int(s >> 16) }

// check is what one word of eight bytes must be.
type check struct {
	at     int    // the word begins there; up to 7 bytes in front of the leg
	packed uint64 // bits 3 of what must be packed digits
	chars  uint64 // the bytes that must be ASCII digits, or hexadecimal ones
	pad    uint64 // what must be 0
}

// NewShape plans the reading of fields; a message that has them has been read,
// so that their offsets fit a Span.
func NewShape(fields *table.Fields, present [2]uint64) Shape {
	var shape Shape
	var l leg
	var need mask
	for n := range each(present) {
		f := &fields[n]
		if f.Prefix == 0 && (f.Coding.Free() || f.Coding == table.Hexed || f.Coding.Number() && need.joins(f)) {
			l.fixed = append(l.fixed, placed{uint8(n), At(l.size, int(f.Max))})
			l.size += int(f.Size)
			need.add(f)
			continue
		}
		l.open = uint8(n)
		need.settle(&l)
		shape = append(shape, l)
		l, need = leg{}, mask{}
	}
	need.settle(&l)
	return append(shape, l)
}

// each gives the numbers of the fields present, in ascending order.
func each(present [2]uint64) func(func(int) bool) {
	return func(yield func(int) bool) {
		for w, x := range present {
			for ; x != 0; x &^= 1 << 63 >> bits.LeadingZeros64(x) {
				if !yield(64*w + bits.LeadingZeros64(x) + 1) {
					return
				}
			}
		}
	}
}

// mask is what a leg's bytes must be, byte by byte.
type mask struct {
	packed, chars, pad, hex []byte
	flip                    uint64
	digits                  bool // there are digits in characters, of the code that flip says
}

// joins says that a field of digits can be checked with those before it: ASCII and
// EBCDIC ones together cannot.
func (m *mask) joins(f *table.Field) bool {
	return f.Coding >= table.PackedLeft || !m.digits || (f.Coding == table.EDigits) == (m.flip != 0)
}

func (m *mask) add(f *table.Field) {
	var packed, chars, hex byte
	switch {
	case f.Coding == table.Hexed:
		hex = 0xFF
	case f.Coding >= table.PackedLeft:
		packed = 0x88
	case f.Coding == table.EDigits:
		m.flip, m.digits, chars = bcd.Flips, true, 0xFF
	case f.Coding == table.Digits:
		m.digits, chars = true, 0xFF
	}
	at := len(m.packed)
	for range f.Size {
		m.packed, m.chars, m.pad, m.hex = append(m.packed, packed), append(m.chars, chars), append(m.pad, 0), append(m.hex, hex)
	}
	if packed == 0 || f.Max&1 == 0 {
		return
	}
	pad := byte(0xF0)
	if f.Coding == table.PackedLeft {
		at, pad = len(m.packed)-1, 0x0F
	}
	m.packed[at] &^= pad
	if !f.Loose {
		m.pad[at] = pad
	}
}

// settle gives a leg what its bytes must be.
func (m *mask) settle(l *leg) {
	l.flip = m.flip
	l.checks = words(m.packed, m.chars, m.pad)
	none := make([]byte, len(m.hex))
	l.hexes = words(none, m.hex, none)
}

// words makes checks of masks from the end on, so that none reaches beyond the leg.
// What is in front of the first leg is never less than a word: MTI and bitmap.
func words(packed, chars, pad []byte) (list []check) {
	front := func(b []byte) []byte { return append(make([]byte, 7), b...) }
	packed, chars, pad = front(packed), front(chars), front(pad)
	for end := len(packed); end > 7; {
		if packed[end-1]|chars[end-1]|pad[end-1] == 0 {
			end--
			continue
		}
		list = append(list, check{end - 15, word(packed[end-8:]), word(chars[end-8:]), word(pad[end-8:])})
		end -= 8
	}
	return list
}

func word(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// Read looks at the fields of msg, from off on, and notes where they lie, by
// number. It is true when the message is surely what its
// dialect allows; a pad nibble F in a field of fixed length makes it false, and
// whatever else is rare.
func (s Shape) Read(fields *table.Fields, msg []byte, off int, spans *[256]Span) bool {
	for i := range s {
		l := &s[i]
		if l.size > 0 {
			if l.size > len(msg)-off || !l.readFixed(msg, off, spans) {
				return false
			}
			off += l.size
		}
		if l.open == 0 {
			break
		}
		f := &fields[l.open]
		at, length, end := f.Read(msg, off)
		if end == 0 {
			return false
		}
		spans[l.open] = At(at, length)
		off = end
	}
	return off == len(msg)
}

// readFixed does so with the fields of fixed length. It is not compiled into Read,
// where there would be too few registers left for its loops.
//
//go:noinline
func (l *leg) readFixed(msg []byte, off int, spans *[256]Span) bool {
	var bad uint64
	flip := l.flip
	for i := range l.checks {
		c := &l.checks[i]
		at := off + c.at
		x := binary.BigEndian.Uint64(msg[at : at+8 : at+8])
		bad |= bcd.Above9(x)&c.packed | bcd.NotDigit(x^flip)&c.chars | x&c.pad
	}
	for i := range l.hexes {
		c := &l.hexes[i]
		at := off + c.at
		bad |= bcd.NotHex(binary.BigEndian.Uint64(msg[at:at+8:at+8])) & c.chars
	}
	for _, f := range l.fixed {
		spans[f.n] = f.span + Span(off)
	}
	return bad == 0
}
