package iso8583

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
	src, p, l := v.spec.fields[from].coding, v.Field(from), v.Len(from)
	if l > int(f.max) || f.prefix == 0 && l != int(f.max) {
		b.copySlow(n, f, v, from)
		return
	}
	switch dst := f.coding; {
	case dst == src:
		d := b.room(f, l)
		copy(d, p)
		if l&1 == 1 && dst >= packedLeft { // a pad nibble F becomes 0
			clearPad(d, dst)
		}
	case dst == digits && (src == packedLeft || src == packedRight), dst == track && src == packedTrack:
		unpackN(b.room(f, l), p, l, src == packedRight)
	case src == digits && dst == packedLeft:
		packLeft(b.room(f, l), p)
	case src == digits && dst == packedRight:
		packRight(b.room(f, l), p)
	case src == track && dst == packedTrack:
		packTrack(b.room(f, l), p)
	case (src == text || src == raw || src == digits) && (dst == text || dst == raw):
		copy(b.room(f, l), p)
	default:
		b.copySlow(n, f, v, from)
	}
}

// copySlow goes by the canonical value: for pairs of codings that are seldom
// met, and for values that must be filled or refused. The value is laid out in
// dst behind a gap as wide as the field can become.
func (b *Builder) copySlow(n int, f *fieldDef, v *View, from int) {
	at := len(b.dst)
	gap := int(f.prefix) + 2*int(f.max)
	all := v.AppendText(grow(b.dst, gap), from)
	b.dst = all[:at]
	b.value(n, f, all[at+gap:])
}

func clearPad(d []byte, c coding) {
	if c == packedRight {
		d[0] &= 0x0F
		return
	}
	d[len(d)-1] &= 0xF0
}
