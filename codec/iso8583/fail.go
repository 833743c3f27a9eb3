package iso8583

import (
	"math/bits"

	"tongka/codec/iso8583/internal/table"
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

func (v *View) failHead(n, off int, why Reason, want, got int) (int, uint64, uint64) {
	v.err = FieldError{Field: n, Offset: off, Reason: why, Want: want, Got: got}
	return -1, 0, 0
}

// cut clears the bits of field n and above.
func (v *View) cut(n int) {
	w := (n - 1) >> 6
	v.bits[w] &^= ^uint64(0) >> ((n - 1) & 63)
	clear(v.bits[w+1:])
}

// last is the highest field present, 1 when there is none.
func (v *View) last() int {
	for w := len(v.bits) - 1; w >= 0; w-- {
		if v.bits[w] != 0 {
			return 64*(w+1) - bits.TrailingZeros64(v.bits[w])
		}
	}
	return 1
}

// badExtent is a field at off whose length prefix is cut off, not decimal or
// above the maximum, whose value is cut off, or for which the bitmap has a bit
// and the dialect nothing: then the offset is the bit's.
func (v *View) badExtent(n, off int) error {
	f, p := &v.spec.fields[n], v.msg[off:]
	if f.Coding == table.Absent {
		return v.badBit(n)
	}
	if len(p) < int(f.Prefix) {
		return v.fail(n, off, Truncated, int(f.Prefix), len(p))
	}
	length := int(f.Max)
	if f.Prefix != 0 {
		if i := f.BadPrefix(p[:f.Prefix]); i >= 0 {
			return v.fail(n, off+i, BadPrefix, 0, int(p[i]))
		}
		if length = f.Length(p); length > int(f.Max) {
			return v.fail(n, off, TooLong, int(f.Max), length)
		}
		off += int(f.Prefix)
	}
	return v.fail(n, off, Truncated, f.Coding.Size(length), len(v.msg)-off)
}

func (v *View) badBit(n int) error {
	field := n
	at := v.spec.mtiSize
	if n > 128 {
		n, at = n-128, v.third
	}
	at += (n - 1) * v.spec.mapSize / 64
	return v.fail(field, at, NotInDialect, 0, int(v.msg[at]))
}

// badByte is byte i of a value at off, of size bytes and the given length,
// that the coding does not allow.
func (v *View) badByte(n, off, i, size, length int) error {
	c, b := v.spec.fields[n].Coding, v.msg[off+i]
	why := BadDigit
	switch {
	case c == table.Hexed || c == table.EHexed:
		why = BadHex
	case c == table.Track || c == table.ETrack || c == table.PackedTrack:
		why = BadTrack
	}
	if c >= table.PackedLeft && length&1 == 1 {
		h, l := b>>4, b&15
		switch {
		case c == table.PackedRight && i == 0 && l <= 9:
			why = BadPad
		case c != table.PackedRight && i == size-1 && (h <= 9 || h == 13 && c == table.PackedTrack):
			why = BadPad
		}
	}
	return v.fail(n, off+i, why, 0, int(b))
}
