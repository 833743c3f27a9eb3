package iso8583

import (
	"encoding/binary"
	"math/bits"

	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/codec/iso8583/internal/ebcdic"
	"tongka/codec/iso8583/internal/plan"
	"tongka/codec/iso8583/internal/table"
)

// maxMessage bounds a message so that an offset fits two bytes. No framing of
// ours carries more.
const maxMessage = 1<<16 - 1

// View reads one message in place. The bytes are lent by whoever called Parse
// and everything that a View returns aliases them. A View is reused by parsing
// again; it is some 1,100 bytes, so keep one per loop and not one per message.
type View struct {
	spec  *Spec
	msg   []byte
	bits  [3]uint64      // bits 1 and 65 are taken away
	spans [256]plan.Span // by number
	third int            // where the third bitmap is, if there is one
	mti   MTI
	err   FieldError
}

// Parse reads msg, which starts at the MTI and must end exactly with the last
// field that the bitmap names. The error is a *FieldError that lives in v and
// is overwritten by the next Parse; the fields before the one that it names
// stay readable, so that a format error can be answered to its sender.
//
// Numbers must be decimal, tracks may hold D and =, a pad nibble may be 0 or F;
// text and binary may be any bytes. Lengths may be 0.
func (s *Spec) Parse(v *View, msg []byte) error {
	v.spec, v.msg, v.mti = s, msg, 0
	off, low, high := s.parseHead(v, msg)
	v.bits[0], v.bits[1], v.bits[2] = low, high, 0
	if off < 0 {
		return &v.err
	}
	if s.rare {
		return v.parseRare(off)
	}
	return v.parsePlanned(off, low, high)
}

// parsePlanned reads the fields from off on by the plan for their bitmap.
func (v *View) parsePlanned(off int, low, high uint64) error {
	s := v.spec
	shape := s.shapes.Find(nil, low, high)
	if shape != nil && shape.Read(&s.fields, v.msg, off, &v.spans) {
		return nil
	}
	err := v.parseFields(off)
	if err == nil && shape == nil {
		s.shapes.Learn(nil, low, high, func() plan.Shape { return plan.NewShape(&s.fields, [2]uint64{low, high}) })
	}
	return err
}

// parseFields reads the fields from off on, one by one.
func (v *View) parseFields(off int) error {
	msg := v.msg
	for w := range v.bits {
		if w == 1 && v.spec.third == dialect.ThirdIn65 {
			if off = v.readThird(off); off < 0 {
				return &v.err
			}
		}
		for left := v.bits[w]; left != 0; {
			z := bits.LeadingZeros64(left)
			left &^= 1 << 63 >> (z & 63)
			n := w<<6 + z + 1
			f := &v.spec.fields[n]
			at, length, end := f.Read(msg, off)
			if end == 0 {
				if at, length, end = f.Extent(msg, off); end == 0 {
					return v.badExtent(n, off)
				}
				if i := f.BadByte(msg[at:end], length); i >= 0 {
					return v.badByte(n, at, i, end-at, length)
				}
			}
			v.spans[n&255] = plan.At(at, length)
			off = end
		}
	}
	if off != len(msg) {
		return v.fail(v.last(), off, Trailing, 0, len(msg)-off)
	}
	return nil
}

// parseHead reads MTI and bitmaps, of which bit 1 is taken away, and gives the
// offset of the first field, or -1 with the error in v.
func (s *Spec) parseHead(v *View, msg []byte) (off int, low, high uint64) {
	if len(msg) < s.mtiSize {
		return v.failHead(0, 0, Truncated, s.mtiSize, len(msg))
	}
	if len(msg) > maxMessage {
		return v.failHead(0, 0, TooLong, maxMessage, len(msg))
	}
	if i := v.readMTI(msg[:s.mtiSize]); i >= 0 {
		return v.failHead(0, i, BadDigit, 0, int(msg[i]))
	}
	off = s.mtiSize
	for {
		end := off + s.mapSize
		if end > len(msg) {
			return v.failHead(1, off, Truncated, s.mapSize, len(msg)-off)
		}
		if s.mapSize == 8 {
			high = binary.BigEndian.Uint64(msg[off:])
		} else if i := bcd.ReadHex(&high, msg[off:end], s.maps.HexOf()); i >= 0 {
			return v.failHead(1, off+i, BadHex, 0, int(msg[off+i]))
		}
		switch {
		case off != s.mtiSize:
			return end, low &^ (1 << 63), high
		case high>>63 == 0:
			return end, high, 0
		case !s.second:
			return v.failHead(1, off, SecondBitmap, 0, int(msg[off]))
		}
		off, low = end, high
	}
}

// readMTI reads the MTI and gives the index of its first bad byte, or -1.
func (v *View) readMTI(p []byte) (bad int) {
	if len(p) == 2 {
		x := binary.BigEndian.Uint16(p)
		if bcd.Above9(uint64(x)) != 0 {
			return bcd.BadPacked(p)
		}
		v.mti = MTI(x)
		return -1
	}
	if v.spec.mti == table.EDigits {
		if i := v.spec.mti.BadByte(p); i >= 0 {
			return i
		}
	} else if !bcd.FourDigits(p) {
		return bcd.BadDigits(p)
	}
	v.mti = MTI(bcd.Four(p)) // the low nibbles, which both codes share
	return -1
}

// MTI is the message type; 0 when Parse failed at it.
func (v *View) MTI() MTI { return v.mti }

// Spec is the dialect of the last Parse.
func (v *View) Spec() *Spec { return v.spec }

// Bytes is the whole message, from the MTI.
func (v *View) Bytes() []byte { return v.msg }

// Has says whether field n, from 2 to 192, is present.
func (v *View) Has(n int) bool {
	n--
	return uint(n) < 192 && v.bits[n>>6]<<(n&63)>>63 != 0
}

// Len is field n's length as its prefix counts it: digits of a number or a
// packed track, bytes of anything else; 0 when the field is absent.
func (v *View) Len(n int) int {
	if !v.Has(n) {
		return 0
	}
	return v.spans[n&255].Len()
}

// Field is the value's bytes as they are on the wire, without the length
// prefix; nil when the field is absent.
func (v *View) Field(n int) []byte {
	if !v.Has(n) {
		return nil
	}
	at := v.spans[n&255].At()
	size := v.spec.fields[n].Coding.Size(v.spans[n&255].Len())
	return v.msg[at : at+size : at+size]
}

// Before is the message from the MTI up to where field n begins (its length
// prefix included in what follows): with n = 64 or 128, the bytes that the MAC
// covers. It is nil when the field is absent.
func (v *View) Before(n int) []byte {
	if !v.Has(n) {
		return nil
	}
	at := v.spans[n&255].At() - int(v.spec.fields[n].Prefix)
	return v.msg[:at:at]
}

// AppendText appends field n's canonical value: the digits of a number without
// pad, a packed track with its separator as D, text and binary as they are
// (hexadecimal binary as bytes, EBCDIC as ASCII). It appends nothing when the field is absent. The
// spare capacity of dst is scratch, as for Begin.
func (v *View) AppendText(dst []byte, n int) []byte {
	p := v.Field(n)
	if len(p) == 0 {
		return dst
	}
	switch c, behind := v.spec.fields[n].Coding, v.msg[v.spans[n&255].At():]; c {
	case table.PackedLeft, table.PackedRight:
		return bcd.Append(dst, behind, v.spans[n&255].Len(), c == table.PackedRight)
	case table.PackedTrack:
		at := len(dst)
		dst = bcd.Append(dst, behind, v.spans[n&255].Len(), false)
		bcd.Swap(dst[at:], '=', 'D')
		return dst
	case table.Hexed, table.EHexed:
		hex := c.HexOf()
		for i := 0; i+1 < len(p); i += 2 {
			dst = append(dst, hex[p[i]]<<4|hex[p[i+1]])
		}
		return dst
	case table.EText, table.EDigits, table.ETrack:
		at := len(dst)
		dst = append(dst, p...)
		ebcdic.Translate(dst[at:], p, &ebcdic.ToASCII)
		return dst
	}
	return append(dst, p...)
}

// AppendPacked appends the digits of field n two a byte, the first on the left,
// with a pad nibble 0 when they are odd. It appends nothing when the field is
// absent or not numeric.
func (v *View) AppendPacked(dst []byte, n int) []byte {
	if !v.Has(n) {
		return dst
	}
	p, at := v.Field(n), len(dst)
	switch odd := v.Len(n)&1 == 1; v.spec.fields[n].Coding {
	case table.PackedLeft:
		if dst = append(dst, p...); odd {
			dst[len(dst)-1] &= 0xF0
		}
	case table.PackedRight:
		if dst = append(dst, p...); odd {
			bcd.ShiftLeft(dst[at:])
		}
	case table.Digits, table.EDigits:
		dst = bcd.Grow(dst, (len(p)+1)/2)
		bcd.PackLeft(dst[at:], p)
	}
	return dst
}

// Uint is the value of a numeric field; false when the field is absent, not
// numeric, empty, or above 18 digits.
func (v *View) Uint(n int) (uint64, bool) {
	if !v.Has(n) {
		return 0, false
	}
	c, at, l := v.spec.fields[n].Coding, v.spans[n&255].At(), v.spans[n&255].Len()
	if !c.Number() || l == 0 || l > 18 {
		return 0, false
	}
	if l > 16 {
		return bcd.Long(v.AppendText(make([]byte, 0, 18), n)), true
	}
	// Words that end with the value: in front of it are MTI and bitmap, at least.
	end := at + c.Size(l)
	x := binary.BigEndian.Uint64(v.msg[end-8 : end])
	switch {
	case c == table.PackedLeft && l&1 == 1:
		x >>= 4
	case c == table.Digits || c == table.EDigits:
		x = bcd.Squeeze(x)
		if l > 8 {
			x |= bcd.Squeeze(binary.BigEndian.Uint64(v.msg[end-16:])) << 32
		}
	}
	return bcd.Value(x & (1<<(4*l) - 1)), true
}
