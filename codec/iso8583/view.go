package iso8583

import (
	"encoding/binary"
	"math/bits"

	"tongka/codec/iso8583/internal/bcd"
)

// maxMessage bounds a message so that an offset fits two bytes. No framing of
// ours carries more.
const maxMessage = 1<<16 - 1

// span is where a value lies and its length as the length prefix counts:
// digits of a number, bytes of anything else.
type span struct{ at, n uint16 }

// View reads one message in place. The bytes are lent by whoever called Parse
// and everything that a View returns aliases them. A View is reused by parsing
// again; it is some 700 bytes, so keep one per loop and not one per message.
type View struct {
	spec  *Spec
	msg   []byte
	bits  [2]uint64
	spans [129]span
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
	v.spec, v.msg, v.mti, v.bits = s, msg, 0, [2]uint64{}
	off := s.parseHead(v, msg)
	if off < 0 {
		return &v.err
	}
	for w := range v.bits {
		for left := v.bits[w]; left != 0; {
			z := bits.LeadingZeros64(left)
			left &^= 1 << 63 >> (z & 63)
			n := w<<6 + z + 1
			f := &s.fields[n]
			length, size := int(f.max), int(f.size)
			if f.prefix != 0 {
				if off+int(f.prefix) > len(msg) {
					return v.badLength(n, off)
				}
				if length = f.readLength(msg, off); length > int(f.max) {
					return v.badLength(n, off)
				}
				off += int(f.prefix)
				size = length
				if f.coding >= packedLeft {
					size = (length + 1) >> 1
				}
			}
			if size > len(msg)-off || f.coding == absent {
				return v.badSize(n, off, size)
			}
			if f.quick != anything && (off+8 > len(msg) || !f.good(binary.BigEndian.Uint64(msg[off:]))) {
				if i := badValue(f, msg[off:off+size], length); i >= 0 {
					return v.badByte(n, off, i, size, length)
				}
			}
			v.spans[n] = span{uint16(off), uint16(length)}
			off += size
		}
	}
	if off != len(msg) {
		return v.fail(v.last(), off, Trailing, 0, len(msg)-off)
	}
	return nil
}

// parseHead reads MTI and bitmaps and gives the offset of the first field, or
// -1 with the error in v.
func (s *Spec) parseHead(v *View, msg []byte) int {
	size, unit := 4, 8
	if s.packedMTI {
		size = 2
	}
	if s.hexBitmap {
		unit = 16
	}
	if len(msg) < size {
		return v.failHead(0, 0, Truncated, size, len(msg))
	}
	if len(msg) > maxMessage {
		return v.failHead(0, 0, TooLong, maxMessage, len(msg))
	}
	if i := v.readMTI(msg[:size]); i >= 0 {
		return v.failHead(0, i, BadDigit, 0, int(msg[i]))
	}
	off := size
	for w := range v.bits {
		if len(msg)-off < unit {
			v.bits[0] = 0
			return v.failHead(1, off, Truncated, unit, len(msg)-off)
		}
		if i := s.readBitmap(&v.bits[w], msg[off:off+unit]); i >= 0 {
			v.bits = [2]uint64{}
			return v.failHead(1, off+i, BadHex, 0, int(msg[off+i]))
		}
		off += unit
		if w == 1 || v.bits[0]>>63 == 0 {
			break
		}
		if !s.second {
			v.bits[0] = 0
			return v.failHead(1, size, SecondBitmap, 0, int(msg[size]))
		}
		v.bits[0] &^= 1 << 63
	}
	return off
}

func (v *View) readMTI(p []byte) (bad int) {
	if len(p) == 2 {
		if i := bcd.BadPacked(p); i >= 0 {
			return i
		}
		v.mti = MTI(p[0])<<8 | MTI(p[1])
		return -1
	}
	if i := bcd.BadDigits(p); i >= 0 {
		return i
	}
	v.mti = MTI(p[0]&15)<<12 | MTI(p[1]&15)<<8 | MTI(p[2]&15)<<4 | MTI(p[3]&15)
	return -1
}

func (s *Spec) readBitmap(bits *uint64, p []byte) (bad int) {
	if !s.hexBitmap {
		*bits = binary.BigEndian.Uint64(p)
		return -1
	}
	var x uint64
	for i, c := range p {
		d := bcd.Hex[c]
		if d > 15 {
			return i
		}
		x = x<<4 | uint64(d)
	}
	*bits = x
	return -1
}

// readLength reads the length prefix at off, which is not cut off. What is not
// decimal gives a length that is above every maximum.
func (f *fieldDef) readLength(msg []byte, off int) int {
	switch p := msg[off:]; f.prefix {
	case 1:
		return int(bcd.Len[p[0]])
	case 2:
		if f.bcd {
			return int(bcd.Len[p[0]])*100 + int(bcd.Len[p[1]])
		}
		return int(bcd.Digit[p[0]])*10 + int(bcd.Digit[p[1]])
	default:
		return int(bcd.Digit[p[0]])*100 + int(bcd.Digit[p[1]])*10 + int(bcd.Digit[p[2]])
	}
}

// good is the quick look at a fixed value of at most 8 bytes, which begins the
// word x: true when it surely is what its coding allows. A pad nibble F takes
// the long way, as does whatever is rare.
func (f *fieldDef) good(x uint64) bool {
	switch f.quick {
	case oneWord:
		return bcd.Above9(x)&f.digits|x&f.pad == 0
	case chars:
		return bcd.NotDigit(x)&f.digits == 0
	}
	return false
}

// badValue finds the first byte of a value that its coding does not allow, -1
// when there is none.
func badValue(f *fieldDef, p []byte, n int) int {
	c := f.coding
	switch c {
	case digits:
		return bcd.BadDigits(p)
	case track:
		return bcd.BadTrack(p)
	case hexed:
		for i, c := range p {
			if bcd.Hex[c] > 15 {
				return i
			}
		}
		return -1
	}
	if n&1 == 0 {
		if c == packedTrack {
			return bcd.BadPackedTrack(p)
		}
		return bcd.BadPacked(p)
	}
	return badOdd(c, f.loose, p)
}

// badOdd is badValue for packed digits with a pad nibble.
func badOdd(c coding, loose bool, p []byte) int {
	last := len(p) - 1
	if c == packedRight {
		if h := p[0] >> 4; h != 0 && h != 15 && !loose || p[0]&15 > 9 {
			return 0
		}
		if i := bcd.BadPacked(p[1:]); i >= 0 {
			return i + 1
		}
		return -1
	}
	find := bcd.BadPacked
	if c == packedTrack {
		find = bcd.BadPackedTrack
	}
	if i := find(p[:last]); i >= 0 {
		return i
	}
	h, l := p[last]>>4, p[last]&15
	if l != 0 && l != 15 && !loose || h > 9 && (h != 13 || c != packedTrack) {
		return last
	}
	return -1
}

// MTI is the message type; 0 when Parse failed at it.
func (v *View) MTI() MTI { return v.mti }

// Spec is the dialect of the last Parse.
func (v *View) Spec() *Spec { return v.spec }

// Bytes is the whole message, from the MTI.
func (v *View) Bytes() []byte { return v.msg }

// Has says whether field n, from 2 to 128, is present.
func (v *View) Has(n int) bool {
	n--
	return uint(n) < 128 && v.bits[n>>6]<<(n&63)>>63 != 0
}

// Len is field n's length as its prefix counts it: digits of a number or a
// packed track, bytes of anything else; 0 when the field is absent.
func (v *View) Len(n int) int {
	if !v.Has(n) {
		return 0
	}
	return int(v.spans[n].n)
}

// Field is the value's bytes as they are on the wire, without the length
// prefix; nil when the field is absent.
func (v *View) Field(n int) []byte {
	if !v.Has(n) {
		return nil
	}
	at, size := int(v.spans[n].at), int(v.spans[n].n)
	switch c := v.spec.fields[n].coding; {
	case c >= packedLeft:
		size = (size + 1) >> 1
	case c == hexed:
		size *= 2
	}
	return v.msg[at : at+size : at+size]
}

// Before is the message from the MTI up to where field n begins (its length
// prefix included in what follows): with n = 64 or 128, the bytes that the MAC
// covers. It is nil when the field is absent.
func (v *View) Before(n int) []byte {
	if !v.Has(n) {
		return nil
	}
	at := int(v.spans[n].at) - int(v.spec.fields[n].prefix)
	return v.msg[:at:at]
}

// AppendText appends field n's canonical value: the digits of a number without
// pad, a packed track with its separator as D, text and binary as they are
// (hexadecimal binary as bytes). It appends nothing when the field is absent.
func (v *View) AppendText(dst []byte, n int) []byte {
	p := v.Field(n)
	if len(p) == 0 {
		return dst
	}
	switch c := v.spec.fields[n].coding; c {
	case packedLeft, packedRight:
		return bcd.Append(dst, p, int(v.spans[n].n), c == packedRight)
	case packedTrack:
		at := len(dst)
		dst = bcd.Append(dst, p, int(v.spans[n].n), false)
		bcd.Swap(dst[at:], '=', 'D')
		return dst
	case hexed:
		for i := 0; i+1 < len(p); i += 2 {
			dst = append(dst, bcd.Hex[p[i]]<<4|bcd.Hex[p[i+1]])
		}
		return dst
	}
	return append(dst, p...)
}

// Uint is the value of a numeric field; false when the field is absent, not
// numeric, empty, or above 18 digits.
func (v *View) Uint(n int) (uint64, bool) {
	p, l := v.Field(n), v.Len(n)
	if l == 0 || l > 18 {
		return 0, false
	}
	var x uint64
	switch c := v.spec.fields[n].coding; c {
	case digits:
		for _, d := range p {
			x = x*10 + uint64(d&15)
		}
	case packedLeft, packedRight:
		odd := l&1 == 1
		if odd && c == packedRight {
			x, p = uint64(p[0]&15), p[1:]
		} else if odd {
			p = p[:len(p)-1]
		}
		for _, d := range p {
			x = x*100 + uint64(bcd.Dec[d])
		}
		if odd && c == packedLeft {
			x = x*10 + uint64(v.msg[int(v.spans[n].at)+len(p)]>>4)
		}
	default:
		return 0, false
	}
	return x, true
}
