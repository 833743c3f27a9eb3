package iso8583

import "encoding/binary"

// Copy transcodes field from of a message, of this or another dialect, into
// field n. An absent field copies nothing. Packed digits become ASCII digits
// and back; the separator of a packed track becomes = in ASCII. The value must
// fit as for Put.
func (b *Builder) Copy(n int, v *View, from int) {
	if !v.Has(from) {
		return
	}
	f := b.next(n)
	if f == nil {
		return
	}
	src, l, at := &v.spec.fields[from], int(v.spans[from].n), int(v.spans[from].at)
	if l > int(f.max) || f.prefix == 0 && l != int(f.max) {
		b.copySlow(n, f, v, from)
		return
	}
	size := wireSize(src.coding, l)
	switch p := v.msg[at:]; plans[f.coding][src.coding] {
	case asIs:
		d := b.room(f, l)
		copy(d, p[:size])
		if l&1 == 1 && f.coding >= packedLeft { // a pad nibble F becomes 0
			clearPad(d[:size], f.coding)
		}
	case toChars:
		d := b.room(f, l)
		if right := src.coding == packedRight; l > 16 || len(p) < 8 || len(d) < 16 {
			unpackN(d, p[:size], l, right)
		} else {
			unpackWord(d[:16], p, l&1 == 1 && right)
		}
	case toPacked:
		d := b.room(f, l)
		switch right := f.coding == packedRight; {
		case l <= 16 && len(p) >= 16 && len(d) >= 8:
			packWord(d[:8], p, l, right)
		case right:
			packRight(d, p[:l])
		default:
			packLeft(d, p[:l])
		}
	case toPackedTrack:
		packTrack(b.room(f, l), p[:l])
	default:
		b.copySlow(n, f, v, from)
	}
}

// copyPlan is how a pair of codings is transcoded.
type copyPlan uint8

const (
	byValue copyPlan = iota
	asIs
	toChars
	toPacked
	toPackedTrack
)

// plans says it for [to][from]; the size is for the compiler. Pairs that are seldom met go by value.
var plans = [...][packedTrack + 1]copyPlan{
	text:        {text: asIs, raw: asIs, digits: asIs, packedLeft: toChars, packedRight: toChars},
	raw:         {text: asIs, raw: asIs, digits: asIs},
	hexed:       {hexed: asIs},
	digits:      {digits: asIs, packedLeft: toChars, packedRight: toChars},
	track:       {track: asIs, digits: asIs, packedTrack: toChars},
	packedLeft:  {packedLeft: asIs, digits: toPacked},
	packedRight: {packedRight: asIs, digits: toPacked},
	packedTrack: {packedTrack: asIs, track: toPackedTrack},
}

// copySlow goes by the canonical value, also when it must be filled or
// refused. The value is laid out in dst behind a gap as wide as the field can
// become.
func (b *Builder) copySlow(n int, f *fieldDef, v *View, from int) {
	at := b.n
	b.take(int(f.prefix) + 2*int(f.max))
	all := v.AppendText(b.buf[:b.n], from)
	value := all[b.n:]
	b.buf, b.n = all[:cap(all)], at
	b.value(n, f, value)
}

func clearPad(d []byte, c coding) {
	if c == packedRight {
		d[0] &= 0x0F
		return
	}
	d[len(d)-1] &= 0xF0
}

// wireSize is the number of bytes that l digits or bytes take.
func wireSize(c coding, l int) int {
	switch {
	case c >= packedLeft:
		return (l + 1) >> 1
	case c == hexed:
		return 2 * l
	}
	return l
}

// unpackWord writes 16 characters from the 8 bytes at p, from the second digit
// on when the first is a pad. What is beyond the value is overwritten by the
// next field or never seen: the spare capacity of dst is the builder's.
func unpackWord(d, p []byte, skip bool) {
	x := binary.BigEndian.Uint64(p)
	if skip {
		x <<= 4
	}
	binary.BigEndian.PutUint64(d, spread(x>>32)+threes)
	binary.BigEndian.PutUint64(d[8:], spread(x&0xFFFFFFFF)+threes)
}

// packWord writes 8 bytes from the first l of the 16 digits at p.
func packWord(d, p []byte, l int, right bool) {
	x := squeeze(binary.BigEndian.Uint64(p))<<32 | squeeze(binary.BigEndian.Uint64(p[8:]))
	x &= ^uint64(0) << (64 - 4*uint(l))
	if right && l&1 == 1 {
		x >>= 4
	}
	binary.BigEndian.PutUint64(d, x)
}
