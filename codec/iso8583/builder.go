package iso8583

import (
	"encoding/binary"

	"tongka/codec/iso8583/internal/bcd"
)

// Builder appends one message to a caller's buffer. It is a value: keep it in
// a local variable. The first fault stops it; End tells.
type Builder struct {
	spec *Spec
	buf  []byte // the caller's buffer up to its capacity: what is beyond n is spare
	n    int
	bits [2]uint64
	base int  // where the MTI is in dst
	map1 int  // where the bitmap is in dst
	last int  // the field put last
	both bool // room for the second bitmap is there
	err  FieldError
}

const stopped = 1 << 16 // last after a fault

// Begin starts a message behind what dst already holds (an envelope, say).
// Fields must be put in ascending order. The spare capacity of dst is scratch:
// a few bytes beyond the message may be overwritten, never any beyond it.
func (s *Spec) Begin(dst []byte, mti MTI) Builder {
	b := Builder{spec: s, base: len(dst), last: 1, both: s.wide}
	if s.packedMTI {
		dst = append(dst, byte(mti>>8), byte(mti))
	} else {
		dst = mti.append(dst)
	}
	b.map1 = len(dst)
	b.buf, b.n = dst[:cap(dst)], len(dst)
	n := s.mapSize()
	if b.both {
		n *= 2
	}
	b.take(n)
	return b
}

// take gives the n bytes that follow, and whatever is spare behind them.
func (b *Builder) take(n int) []byte {
	at := b.n
	b.n += n
	if b.n > len(b.buf) {
		b.more(at)
	}
	return b.buf[at:]
}

// more moves the message to a buffer twice as large, at least.
func (b *Builder) more(keep int) {
	b.buf = append(b.buf[:keep], make([]byte, max(b.n-keep, keep, 256))...)
	b.buf = b.buf[:cap(b.buf)]
}

func (s *Spec) mapSize() int {
	if s.hexBitmap {
		return 16
	}
	return 8
}

// next opens field n: nil when a fault stopped the builder, now or before. A
// fault sets last beyond every field, so that one comparison tells.
func (b *Builder) next(n int) *fieldDef {
	if n > b.last && n <= 128 && (n <= 64 || b.both) {
		if f := &b.spec.fields[n]; f.coding != absent {
			b.last = n
			b.bits[(n-1)>>6&1] |= 1 << 63 >> ((n - 1) & 63)
			return f
		}
	}
	return b.nextRare(n)
}

// nextRare is next when the second bitmap is not there yet, or the field cannot
// be put.
func (b *Builder) nextRare(n int) *fieldDef {
	switch {
	case b.err.Reason != 0:
		return nil
	case uint(n) > 128 || b.spec.fields[n].coding == absent:
		b.fail(n, NotInDialect, 0, 0)
		return nil
	case n <= b.last:
		b.fail(n, OutOfOrder, b.last, n)
		return nil
	}
	b.widen()
	return b.next(n)
}

// widen makes room for the second bitmap by moving the fields behind it. Only
// dialects that extend the bitmap on demand pay for this.
func (b *Builder) widen() {
	b.both = true
	n, end := b.spec.mapSize(), b.n
	b.take(n)
	copy(b.buf[b.map1+2*n:], b.buf[b.map1+n:end])
}

// Put appends field n with its canonical value: ASCII digits for a number,
// digits and = or D for a track, bytes for text and binary. A fixed field that
// is given too short is filled with zeros on the left (numbers) or spaces on
// the right (text); fixed binary must be whole.
func (b *Builder) Put(n int, value []byte) {
	if f := b.next(n); f != nil {
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
	if f.prefix == 0 && f.max&1 == 0 && b.fixed(f, v) {
		return
	}
	var t [20]byte
	least := 1
	if f.prefix == 0 {
		least = min(int(f.max), len(t))
	}
	i := len(t)
	for v > 0 || len(t)-i < least {
		i--
		t[i] = '0' + byte(v%10)
		v /= 10
	}
	if len(t)-i < int(f.max) && f.prefix == 0 && kinds[f.coding] != Numeric {
		b.fail(n, WrongLength, int(f.max), len(t)-i)
		return
	}
	b.value(n, f, t[i:])
}

// fixed writes a number into a fixed field of an even number of digits, two at
// a time; false, with nothing written, when it does not fit or the coding is not
// one of digits.
func (b *Builder) fixed(f *fieldDef, v uint64) bool {
	most := int(f.max)
	switch {
	case most >= len(powers) || v >= powers[most]:
		return false
	case f.coding == packedLeft || f.coding == packedRight:
		d := b.take(most / 2)
		for i := most/2 - 1; i >= 0; i-- {
			d[i] = bcd.Packed[v%100]
			v /= 100
		}
		return true
	case f.coding == digits || f.coding == text:
		d := b.take(most)
		for i := most - 2; i >= 0; i -= 2 {
			p := bcd.Packed[v%100]
			d[i], d[i+1] = '0'+p>>4, '0'+p&15
			v /= 100
		}
		return true
	}
	return false
}

// powers of ten: the first number that does not fit so many digits.
var powers = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// value writes a canonical value into the field that next opened.
func (b *Builder) value(n int, f *fieldDef, value []byte) {
	l := len(value)
	if l > int(f.max) {
		b.fail(n, TooLong, int(f.max), l)
		return
	}
	if i, why := badText(f.coding, value); i >= 0 {
		b.fail(n, why, 0, int(value[i]))
		return
	}
	if f.prefix == 0 && l < int(f.max) {
		b.fill(n, f, value)
		return
	}
	d := b.room(f, l)
	switch f.coding {
	case packedLeft:
		bcd.PackLeft(d, value)
	case packedRight:
		bcd.PackRight(d, value)
	case packedTrack:
		bcd.PackTrack(d, value)
	case hexed:
		toHex(d, value)
	default:
		copy(d, value)
	}
}

// fill writes a fixed field whose value is too short.
func (b *Builder) fill(n int, f *fieldDef, value []byte) {
	l, most := len(value), int(f.max)
	if k := kinds[f.coding]; k != Numeric && k != Text {
		b.fail(n, WrongLength, most, l)
		return
	}
	d := b.room(f, most)
	switch f.coding {
	case text:
		for i := copy(d, value); i < most; i++ {
			d[i] = ' '
		}
	case digits:
		for i := range most - l {
			d[i] = '0'
		}
		copy(d[most-l:], value)
	default:
		clear(d[:wireSize(f.coding, most)])
		at := most - l // in nibbles from the left
		if f.coding == packedRight {
			at += most & 1
		}
		for i, c := range value {
			d[(at+i)/2] |= c & 15 << (4 * uint(1-(at+i)&1))
		}
	}
}

// room appends the prefix of a length and gives the room for the value, and
// whatever is spare behind it.
func (b *Builder) room(f *fieldDef, l int) []byte {
	p := int(f.prefix)
	if p == 0 {
		return b.take(int(f.size))
	}
	d := b.take(p + wireSize(f.coding, l))
	switch {
	case f.bcd && p == 1:
		d[0] = bcd.Packed[l]
	case f.bcd:
		d[0], d[1] = bcd.Packed[l/100], bcd.Packed[l%100]
	case p == 2:
		d[0], d[1] = '0'+byte(l/10), '0'+byte(l%10)
	default:
		d[0], d[1], d[2] = '0'+byte(l/100), '0'+byte(l/10%10), '0'+byte(l%10)
	}
	return d[p:]
}

// badText finds the first byte of a canonical value that the coding cannot
// carry, -1 when there is none.
func badText(c coding, value []byte) (int, Reason) {
	switch kinds[c] {
	case Numeric:
		return bcd.BadDigits(value), BadDigit
	case Track:
		return bcd.BadTrack(value), BadTrack
	}
	return -1, 0
}

func toHex(d, p []byte) {
	for i, c := range p {
		d[2*i], d[2*i+1] = bcd.UpperHex[c>>4], bcd.UpperHex[c&15]
	}
}

// Offset is the length of the message so far, from the MTI: where the next
// field begins, so that a MAC put as zeros can be patched later. A first field
// above 64 moves it, once, in a dialect whose second bitmap comes on demand.
func (b *Builder) Offset() int { return b.n - b.base }

// End writes the bitmap and gives back the buffer. The error is the first
// fault, a *FieldError whose offset is where its field would have begun; the
// buffer is then what Begin got.
func (b *Builder) End() ([]byte, error) {
	if b.err.Reason != 0 {
		e := b.err
		return b.buf[:b.base], &e
	}
	d := b.buf[b.map1:]
	if b.both {
		b.bits[0] |= 1 << 63
		b.spec.putBitmap(d[b.spec.mapSize():], b.bits[1])
	}
	b.spec.putBitmap(d, b.bits[0])
	return b.buf[:b.n], nil
}

func (s *Spec) putBitmap(d []byte, bits uint64) {
	if !s.hexBitmap {
		binary.BigEndian.PutUint64(d, bits)
		return
	}
	for i := range 16 {
		d[i] = bcd.UpperHex[bits>>(60-4*i)&15]
	}
}

func (b *Builder) fail(n int, why Reason, want, got int) {
	b.err = FieldError{Field: n, Offset: b.Offset(), Reason: why, Want: want, Got: got}
	b.last = stopped
}
