package iso8583

import (
	"encoding/binary"

	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/codec/iso8583/internal/ebcdic"
	"tongka/codec/iso8583/internal/table"
)

// Builder appends one message to a caller's buffer. It is a value: keep it in
// a local variable. The first fault stops it; End tells.
type Builder struct {
	spec      *Spec
	buf       []byte // the caller's buffer; what is beyond its length is spare
	base      int    // where the MTI is in dst
	low, high uint64 // the bitmaps; bits 1 and 65 say that there is room for the next
	last      int    // the field put last
	err       *FieldError
	rare      third
}

// third is the third bitmap and where it belongs or is, from the MTI. It is set
// when it is needed, and read only when bit 65 is set.
type third struct {
	bits uint64
	at   int
}

const (
	stopped = 1 << 16 // last after a fault
	both    = 1 << 63 // bit 1, or 65
)

// Begin starts a message behind what dst already holds (an envelope, say).
// Fields must be put in ascending order. The spare capacity of dst is scratch:
// a few bytes beyond the message may be overwritten, never any beyond it.
func (s *Spec) Begin(dst []byte, mti MTI) Builder {
	var b Builder
	b.Reset(s, dst, mti)
	return b
}

// Reset starts a message as Begin does, in a Builder that is where it will be
// used: on the way of every message, the move counts that Begin ends with, which
// waits for its parts to arrive in memory.
func (b *Builder) Reset(s *Spec, dst []byte, mti MTI) {
	at := len(dst)
	if cap(dst)-at < s.first {
		dst = grow(dst, s.first)
	}
	dst = dst[:at+s.first]
	if s.mtiSize == 2 {
		binary.BigEndian.PutUint16(dst[at:], uint16(mti))
	} else {
		bcd.PutFour(dst[at:], uint16(mti))
		if s.mti == table.EDigits {
			ebcdic.Translate(dst[at:at+4], dst[at:at+4], &ebcdic.FromASCII)
		}
	}
	b.spec, b.buf, b.base = s, dst, at
	b.low, b.high, b.last, b.err = s.bit1, 0, 1, nil
}

// take gives the n bytes that follow, and whatever is spare behind them.
func (b *Builder) take(n int) []byte {
	at := len(b.buf)
	if n > cap(b.buf)-at {
		b.buf = grow(b.buf, n)
	}
	b.buf = b.buf[:at+n]
	return b.buf[at:cap(b.buf)]
}

// grow moves the message to a buffer with room for n bytes more, and twice as
// large, at least.
func grow(buf []byte, n int) []byte {
	return append(buf, make([]byte, max(n, len(buf), 256))...)[:len(buf)]
}

// next opens field n: nil when a fault stopped the builder, now or before. A
// fault sets last beyond every field, so that one comparison tells.
func (b *Builder) next(n int) *table.Field {
	if n > b.last && n <= 128 && (n <= 64 || b.low&both != 0) {
		if f := &b.spec.fields[n]; f.Coding != table.Absent {
			b.last = n
			if n <= 64 {
				b.low |= 1 << ((64 - n) & 63)
			} else {
				b.high |= 1 << ((128 - n) & 63)
			}
			return f
		}
	}
	return b.nextRare(n)
}

// nextRare is next when the second bitmap is not there yet, or the field cannot
// be put.
func (b *Builder) nextRare(n int) *table.Field {
	switch {
	case b.err != nil:
		return nil
	case uint(n) > MaxField || b.spec.fields[n].Coding == table.Absent:
		b.fail(n, NotInDialect, 0, 0)
		return nil
	case n <= b.last:
		b.fail(n, OutOfOrder, b.last, n)
		return nil
	}
	if b.low&both == 0 {
		b.widen()
	}
	if n <= 128 {
		return b.next(n)
	}
	if b.high&both == 0 {
		b.widenThird()
	}
	b.last = n
	b.rare.bits |= 1 << ((192 - n) & 63)
	return &b.spec.fields[n]
}

// widen makes room for the second bitmap by moving the fields behind it. Only
// dialects that extend the bitmap on demand pay for this.
func (b *Builder) widen() {
	b.low |= both
	b.insert(b.spec.first)
	if b.spec.third == dialect.ThirdIn65 {
		b.rare.at = b.Offset() // all fields up to 64 are in front
	}
}

// widenThird makes room for the third bitmap.
func (b *Builder) widenThird() {
	b.high |= both
	b.rare.bits = 0
	if b.spec.third == dialect.ThirdFollows {
		b.rare.at = b.spec.mtiSize + 2*b.spec.mapSize
	}
	b.insert(b.rare.at)
}

// insert makes room for a bitmap at an offset from the MTI.
func (b *Builder) insert(offset int) {
	n, end, at := b.spec.mapSize, len(b.buf), b.base+offset
	b.take(n)
	copy(b.buf[at+n:], b.buf[at:end])
}

// Put appends field n with its canonical value: ASCII digits for a number,
// digits and = or D for a track, bytes for text and binary. A fixed field that
// is given too short is filled with zeros on the left (numbers) or spaces on
// the right (text); fixed binary must be whole.
func (b *Builder) Put(n int, value []byte) {
	f := b.next(n)
	switch {
	case f == nil:
	case f.Coding <= table.Raw && len(value) == int(f.Size) && f.Prefix == 0:
		copy(b.take(len(value)), value)
	default:
		b.value(n, f, value)
	}
}

// PutUint appends numeric (or text) field n as decimal digits, with zeros on
// the left up to a fixed field's length.
func (b *Builder) PutUint(n int, v uint64) {
	f := b.next(n)
	if f == nil {
		return
	}
	if f.Prefix == 0 && b.fixed(f, v) {
		return
	}
	var t [20]byte
	least := 1
	if f.Prefix == 0 {
		least = min(int(f.Max), len(t))
	}
	i := len(t)
	for v > 0 || len(t)-i < least {
		i--
		t[i] = '0' + byte(v%10)
		v /= 10
	}
	if len(t)-i < int(f.Max) && f.Prefix == 0 && kinds[f.Coding] != Numeric {
		b.fail(n, WrongLength, int(f.Max), len(t)-i)
		return
	}
	b.value(n, f, t[i:])
}

// fixed writes a number of at most 16 digits into a fixed field; false, with
// nothing written, when it does not fit, the coding is not one of digits, or
// there is not as much spare as words write.
func (b *Builder) fixed(f *table.Field, v uint64) bool {
	most, size, n := int(f.Max), int(f.Size), len(b.buf)
	if most >= len(powers) || v >= powers[most] || cap(b.buf)-n < size+8 {
		return false
	}
	d := b.buf[n:cap(b.buf)]
	switch f.Coding {
	case table.PackedLeft, table.PackedRight:
		if most&1 == 1 && f.Coding == table.PackedLeft {
			v *= 10
		}
		bcd.PutPacked(d, v, 2*size)
	case table.Digits, table.Text:
		bcd.PutNumber(d, v, most)
	default:
		return false
	}
	b.buf = b.buf[:n+size]
	return true
}

// powers of ten: the first number that does not fit so many digits.
var powers = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16}

// value writes a canonical value into the field that next opened.
func (b *Builder) value(n int, f *table.Field, value []byte) {
	l := len(value)
	if l > int(f.Max) {
		b.fail(n, TooLong, int(f.Max), l)
		return
	}
	if i := f.Coding.BadText(value); i >= 0 {
		why := BadDigit
		if kinds[f.Coding] == Track {
			why = BadTrack
		}
		b.fail(n, why, 0, int(value[i]))
		return
	}
	if f.Prefix == 0 && l < int(f.Max) {
		b.fill(n, f, value)
		return
	}
	d := b.room(f, l)
	switch f.Coding {
	case table.PackedLeft:
		bcd.PackLeft(d, value)
	case table.PackedRight:
		bcd.PackRight(d, value)
	case table.PackedTrack:
		bcd.PackTrack(d, value)
	case table.Hexed:
		toHex(d, value)
	case table.EHexed:
		toHex(d, value)
		ebcdic.Translate(d[:2*l], d[:2*l], &ebcdic.FromASCII)
	case table.EText, table.EDigits, table.ETrack:
		ebcdic.Translate(d, value, &ebcdic.FromASCII)
	default:
		copy(d, value)
	}
}

// fill writes a fixed field whose value is too short.
func (b *Builder) fill(n int, f *table.Field, value []byte) {
	l, most := len(value), int(f.Max)
	if k := kinds[f.Coding]; k != Numeric && k != Text {
		b.fail(n, WrongLength, most, l)
		return
	}
	d := b.room(f, most)
	switch f.Coding {
	case table.Text, table.EText, table.Digits, table.EDigits:
		pad := b.spec.decl.Fields[n].Pad
		switch {
		case f.Coding.Number():
			pad = Pad{Left: true, Char: '0'}
		case pad.Char == 0:
			pad.Char = ' '
		}
		d, at, from := d[:most], 0, l
		if pad.Left {
			at, from = most-l, 0
		}
		copy(d[at:], value)
		for i := range most - l {
			d[from+i] = pad.Char
		}
		if f.Coding.IBM() {
			ebcdic.Translate(d, d, &ebcdic.FromASCII)
		}
	default:
		clear(d[:f.Size])
		at := most - l // in nibbles from the left
		if f.Coding == table.PackedRight {
			at += most & 1
		}
		for i, c := range value {
			d[(at+i)/2] |= c & 15 << (4 * uint(1-(at+i)&1))
		}
	}
}

// room appends the prefix of a length and gives the room for the value, and
// whatever is spare behind it.
func (b *Builder) room(f *table.Field, l int) []byte {
	p := int(f.Prefix)
	if p == 0 {
		return b.take(int(f.Size))
	}
	d := b.take(p + f.Coding.Size(l))
	f.PutLength(d, l)
	return d[p:]
}

func toHex(d, p []byte) {
	for i, c := range p {
		d[2*i], d[2*i+1] = bcd.UpperHex[c>>4], bcd.UpperHex[c&15]
	}
}

// Offset is the length of the message so far, from the MTI: where the next
// field begins, so that a MAC put as zeros can be patched later. A first field
// above 64 moves it, once, in a dialect whose second bitmap comes on demand.
func (b *Builder) Offset() int { return len(b.buf) - b.base }

// End writes the bitmap and gives back the buffer. The error is the first
// fault, a *FieldError whose offset is where its field would have begun; the
// buffer is then what Begin got.
func (b *Builder) End() ([]byte, error) {
	if b.err != nil {
		return b.buf[:b.base], b.err
	}
	d := b.buf[b.base+b.spec.mtiSize:]
	b.spec.putBitmap(d, b.low)
	if b.low&both != 0 {
		b.spec.putBitmap(d[b.spec.mapSize:], b.high)
	}
	if b.spec.rare {
		return b.endRare()
	}
	return b.buf, nil
}

// endRare is End of a dialect with a third bitmap or checks: what it would not
// read it does not build.
func (b *Builder) endRare() ([]byte, error) {
	if b.spec.third != dialect.NoThird && b.high&both != 0 {
		b.spec.putBitmap(b.buf[b.base+b.rare.at:], b.rare.bits)
	}
	if b.spec.checks == nil {
		return b.buf, nil
	}
	var v View
	if err := b.spec.Parse(&v, b.buf[b.base:]); err != nil {
		wrong := v.err
		return b.buf[:b.base], &wrong
	}
	return b.buf, nil
}

func (s *Spec) putBitmap(d []byte, bits uint64) {
	if s.mapSize == 8 {
		binary.BigEndian.PutUint64(d, bits)
		return
	}
	for i := range 16 {
		d[i] = bcd.UpperHex[bits>>(60-4*i)&15]
	}
	if s.maps == table.EHexed {
		ebcdic.Translate(d[:16], d[:16], &ebcdic.FromASCII)
	}
}

func (b *Builder) fail(n int, why Reason, want, got int) {
	b.err = &FieldError{Field: n, Offset: b.Offset(), Reason: why, Want: want, Got: got}
	b.last = stopped
}
