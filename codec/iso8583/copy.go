package iso8583

import "tongka/codec/iso8583/internal/bcd"

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
	begin := b.n
	src, l, at := &v.spec.fields[from], int(v.spans[from].n), int(v.spans[from].at)
	if l > int(f.max) || f.prefix == 0 && l != int(f.max) {
		b.copySlow(n, f, v, from)
		return
	}
	var d []byte
	if f.prefix == 0 {
		d = b.take(int(f.size))
	} else {
		d = b.room(f, l)
	}
	switch p := v.msg[at:]; plans[f.coding][src.coding] {
	case asIs:
		p = p[:wireSize(src.coding, l)]
		copy(d, p)
		if l&1 == 1 && f.coding >= packedLeft { // a pad nibble F becomes 0
			clearPad(d[:len(p)], f.coding)
		}
	case toChars:
		if right := src.coding == packedRight; l > 16 || len(p) < 8 || len(d) < 16 {
			bcd.Unpack(d, p[:(l+1)/2], l, right)
		} else {
			// What it writes beyond the value is spare, or the next field's.
			bcd.UnpackWord(d[:16], p, l&1 == 1 && right)
		}
	case toPacked:
		switch right := f.coding == packedRight; {
		case l <= 16 && len(p) >= 16 && len(d) >= 8:
			bcd.PackWord(d[:8], p, l, right)
		case right:
			bcd.PackRight(d, p[:l])
		default:
			bcd.PackLeft(d, p[:l])
		}
	case toPackedTrack:
		bcd.PackTrack(d, p[:l])
	default:
		b.n = begin
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
