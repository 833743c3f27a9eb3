package iso8583

import (
	"math/bits"

	"tongka/codec/iso8583/internal/bcd"
)

// The ways in which Parse gives up. They are apart from it because they run
// once in a while: they look again for what exactly is wrong.

// fail notes the error and hides field n and all after it.
func (v *View) fail(n, off int, why Reason, want, got int) error {
	v.err = FieldError{Field: n, Offset: off, Reason: why, Want: want, Got: got}
	if why != Trailing {
		v.cut(n)
	}
	return &v.err
}

func (v *View) failHead(n, off int, why Reason, want, got int) int {
	v.bits = [2]uint64{}
	v.err = FieldError{Field: n, Offset: off, Reason: why, Want: want, Got: got}
	return -1
}

// cut clears the bits of field n and above.
func (v *View) cut(n int) {
	switch {
	case n <= 64:
		v.bits[0] &^= ^uint64(0) >> (n - 1)
		v.bits[1] = 0
	default:
		v.bits[1] &^= ^uint64(0) >> (n - 65)
	}
}

// last is the highest field present, 1 when there is none.
func (v *View) last() int {
	switch {
	case v.bits[1] != 0:
		return 128 - bits.TrailingZeros64(v.bits[1])
	case v.bits[0] != 0:
		return 64 - bits.TrailingZeros64(v.bits[0])
	}
	return 1
}

// badLength is a length prefix at off that is cut off, not decimal or above
// the field's maximum.
func (v *View) badLength(n, off int) error {
	f := &v.spec.fields[n]
	p := v.msg[off:]
	if len(p) < int(f.prefix) {
		return v.fail(n, off, Truncated, int(f.prefix), len(p))
	}
	for i, c := range p[:f.prefix] {
		if f.bcd && bcd.Dec[c] == bcd.Bad || !f.bcd && c-'0' > 9 {
			return v.fail(n, off+i, BadPrefix, 0, int(c))
		}
	}
	return v.fail(n, off, TooLong, int(f.max), f.readLength(v.msg, off))
}

// badSize is a value at off of which too little is left, or a bit of the
// bitmap for a field that the dialect has not: then the offset is the bit's.
func (v *View) badSize(n, off, size int) error {
	if v.spec.fields[n].coding != absent {
		return v.fail(n, off, Truncated, size, len(v.msg)-off)
	}
	at, per := 4, 8
	if v.spec.packedMTI {
		at = 2
	}
	if v.spec.hexBitmap {
		per = 4
	}
	at += (n - 1) / per
	return v.fail(n, at, NotInDialect, 0, int(v.msg[at]))
}

// badByte is byte i of a value at off, of size bytes and the given length,
// that the coding does not allow.
func (v *View) badByte(n, off, i, size, length int) error {
	c, b := v.spec.fields[n].coding, v.msg[off+i]
	why := BadDigit
	switch {
	case c == hexed:
		why = BadHex
	case c == track || c == packedTrack:
		why = BadTrack
	}
	if c >= packedLeft && length&1 == 1 {
		h, l := b>>4, b&15
		switch {
		case c == packedRight && i == 0 && l <= 9:
			why = BadPad
		case c != packedRight && i == size-1 && (h <= 9 || h == 13 && c == packedTrack):
			why = BadPad
		}
	}
	return v.fail(n, off+i, why, 0, int(b))
}
