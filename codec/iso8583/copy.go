package iso8583

import (
	"encoding/binary"
	"math/bits"

	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/plan"
	"tongka/codec/iso8583/internal/table"
)

// Copy transcodes field from of a message, of this or another dialect, into
// field n. An absent field copies nothing. Packed digits become ASCII digits
// and back; the separator of a packed track becomes = in ASCII. The value must
// fit as for Put.
func (b *Builder) Copy(n int, v *View, from int) {
	if !v.Has(from) {
		return
	}
	if f := b.next(n); f != nil {
		b.copyValue(n, f, v, from)
	}
}

// Set is some fields of 2 to 192.
type Set struct{ low, high, third uint64 }

// Fields is the set of these fields.
func Fields(numbers ...int) (s Set) {
	for _, n := range numbers {
		switch {
		case n > 128:
			s.third |= 1 << (192 - n)
		case n > 64:
			s.high |= 1 << (128 - n)
		default:
			s.low |= 1 << (64 - n)
		}
	}
	return s
}

// CopyRun copies those of the fields first..last (2 to 192) that are present, as
// CopySet does.
func (b *Builder) CopyRun(v *View, first, last int) {
	b.CopySet(v, Set{
		^uint64(0) >> max(first-1, 0) & ^(^uint64(0) >> max(last, 0)),
		^uint64(0) >> max(first-65, 0) & ^(^uint64(0) >> max(last-64, 0)),
		^uint64(0) >> max(first-129, 0) & ^(^uint64(0) >> max(last-128, 0)),
	})
}

// CopySet copies those fields of a set that are present, each into the field of
// the same number, as so many calls of Copy in ascending order would. It plans
// the work once for every set of fields that it meets, so that one call for many
// fields is cheaper than several for some of them.
func (b *Builder) CopySet(v *View, set Set) {
	low, high := v.bits[0]&set.low, v.bits[1]&set.high
	if third := v.bits[2] & set.third; third != 0 {
		b.copyEach(v, [3]uint64{low, high, third}, false)
		return
	}
	if low|high == 0 {
		return
	}
	if between(low, high)&(v.bits[0]&^low) != 0 || betweenHigh(low, high)&(v.bits[1]&^high) != 0 {
		// A plan takes for granted that fields which follow in the set do so in the
		// message.
		b.copyEach(v, [3]uint64{low, high}, false)
		return
	}
	s, from := b.spec, &v.spec.fields
	if low&^s.has[0]|high&^s.has[1] != 0 {
		b.copyEach(v, [3]uint64{low, high}, false) // up to the field that is not in the dialect
		return
	}
	p := s.copies.Find(from, low, high)
	if p == nil {
		s.copies.Learn(from, low, high, func() plan.Copy { return plan.NewCopy(&s.fields, from, [2]uint64{low, high}) })
	}
	if p == nil || p.First <= b.last || high != 0 && b.low&both == 0 {
		b.copyEach(v, [3]uint64{low, high}, false)
		return
	}
	b.last = p.Last
	b.low |= low
	b.high |= high
	for i := range p.Steps {
		step := &p.Steps[i]
		n := b.copyStep(step, v)
		if n == 0 {
			b.copyEach(v, [3]uint64{step.Bits[0], step.Bits[1]}, true)
			if b.last == stopped {
				return
			}
			continue
		}
		b.buf = b.buf[:len(b.buf)+n]
	}
}

// between is the range of fields up to 64 from the first of a set to its last.
func between(low, high uint64) uint64 {
	if low == 0 {
		return 0
	}
	if high == 0 {
		return ^uint64(0) >> bits.LeadingZeros64(low) & (^uint64(0) << bits.TrailingZeros64(low))
	}
	return ^uint64(0) >> bits.LeadingZeros64(low)
}

// betweenHigh is the same of the fields from 65 on.
func betweenHigh(low, high uint64) uint64 {
	switch {
	case high == 0:
		return 0
	case low == 0:
		return ^uint64(0) >> bits.LeadingZeros64(high) & (^uint64(0) << bits.TrailingZeros64(high))
	}
	return ^uint64(0) << bits.TrailingZeros64(high)
}

// copyEach copies fields one by one; with open they are in the bitmap already.
func (b *Builder) copyEach(v *View, fields [3]uint64, open bool) {
	for w, left := range fields {
		for left != 0 && b.last != stopped {
			z := bits.LeadingZeros64(left)
			left &^= 1 << 63 >> z
			if n := 64*w + z + 1; open {
				b.copyValue(n, &b.spec.fields[n], v, n)
			} else {
				b.Copy(n, v, n)
			}
		}
	}
}

// copyStep converts fields that stand together, or one of variable length, into
// what is spare, and gives the bytes that they become: 0 when one does not fit,
// is not good, or has not as much around it as words reach for.
func (b *Builder) copyStep(step *plan.Step, v *View) int {
	span, n := v.spans[step.N], len(b.buf)
	l, p := span.Len(), v.msg[span.At():]
	if step.Reads > len(p) || n+step.Writes > cap(b.buf) {
		return 0
	}
	begin := step.Begin
	d := b.buf[n+begin : cap(b.buf)]
	switch step.Way {
	case plan.Chars:
		bcd.UnpackWords(d, p, step.Words)
		return step.Size
	case plan.Packed:
		bcd.PackWords(d, p, step.Words)
		return step.Size
	case plan.Bytes:
		copy(d[:step.Size], p)
		return step.Size
	}
	if l > step.Max {
		return 0
	}
	binary.LittleEndian.PutUint32(b.buf[n:n+4], step.Prefix[l])
	whole := (l + 7) &^ 7
	switch step.Way {
	case plan.ToChars:
		if whole > len(d) || whole > 2*len(p) {
			return 0
		}
		bcd.UnpackRun(d, p, l)
	case plan.AsIs:
		if l > len(d) {
			return 0
		}
		copy(d, p[:l])
	case plan.ToPacked, plan.ToPackedTrack, plan.TextToPacked:
		if whole > 2*len(d) || whole > len(p) || step.Way == plan.TextToPacked && bcd.BadDigits(p[:l]) >= 0 {
			return 0
		}
		bcd.PackRun(d, p, l)
		if l&1 == 1 {
			d[l>>1] &= 0xF0
		}
		return begin + (l+1)>>1
	default:
		return 0
	}
	return begin + l
}

// copyValue transcodes one value into field n, which is open.
func (b *Builder) copyValue(n int, f *table.Field, v *View, from int) {
	src, at, l := &v.spec.fields[from], v.spans[from&255].At(), v.spans[from&255].Len()
	way := plan.Ways[f.Coding][src.Coding]
	if l > int(f.Max) || f.Prefix == 0 && l != int(f.Max) || way == plan.ByValue ||
		way == plan.TextToPacked && bcd.BadDigits(v.msg[at:at+l]) >= 0 {
		b.copySlow(n, f, v, from)
		return
	}
	d, p := b.room(f, l), v.msg[at:]
	whole := (l + 7) &^ 7 // what is written beyond the value is spare, or the next field's
	switch way {
	case plan.AsIs:
		size := src.Coding.Size(l)
		copy(d[:size], p[:size])
		if l&1 == 1 && f.Coding >= table.PackedLeft { // a pad nibble F becomes 0
			clearPad(d[:size], f.Coding)
		}
	case plan.ToChars:
		if right := src.Coding == table.PackedRight; right && l&1 == 1 || 2*len(p) < whole || len(d) < whole {
			bcd.Unpack(d, p[:(l+1)/2], l, right)
		} else {
			bcd.UnpackRun(d, p, l)
		}
	default:
		switch right := f.Coding == table.PackedRight; {
		case right && l&1 == 1:
			bcd.PackRight(d, p[:l])
		case len(p) < whole || 2*len(d) < whole:
			bcd.PackTrack(d, p[:l])
		default:
			bcd.PackRun(d, p, l)
			if l&1 == 1 {
				d[l/2] &= 0xF0
			}
		}
	}
}

// copySlow goes by the canonical value, also when it must be filled or
// refused. The value is laid out in dst behind a gap as wide as the field can
// become.
func (b *Builder) copySlow(n int, f *table.Field, v *View, from int) {
	at := len(b.buf)
	room := v.Len(from)
	if f.Prefix == 0 {
		room = int(f.Max)
	}
	b.take(int(f.Prefix) + 2*room)
	gap := len(b.buf)
	all := v.AppendText(b.buf, from)
	value := all[gap:]
	b.buf = all[:at]
	b.value(n, f, value)
}

func clearPad(d []byte, c table.Coding) {
	if c == table.PackedRight {
		d[0] &= 0x0F
		return
	}
	d[len(d)-1] &= 0xF0
}
