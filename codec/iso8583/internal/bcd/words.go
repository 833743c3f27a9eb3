package bcd

import "encoding/binary"

// What stands here works on whole registers: it may read and write beyond the
// digits that it is about, and its callers give it the room. Every index is one
// of eight, or four, bytes with its capacity, which spares the compiler a test;
// and the loops are not compiled into their callers, where there would be too
// few registers left for them.

// Word is one register's work in converting a span of digits: eight digits or
// fewer, from Src of the source to Dst of the destination (bytes).
type Word struct {
	Src, Dst uint32
	Mask     uint32 // the nibbles that are digits, when they are packed
	Scale    uint32 // 16 moves the digits by a nibble, over or under a pad in front, 1 does not
}

// How many bytes a word reads or writes, whether or not they are all of its span.
const (
	ReachPacked = 4
	ReachChars  = 8
)

// AppendWords appends the words of n digits that lie packed at byte p, behind a
// pad nibble with lead, and as characters at byte c.
func AppendWords(words []Word, p, c, n int, lead, unpack bool) []Word {
	for done := 0; done < n; p += 4 {
		w, m := Word{Scale: 16}, min(n-done, 8)
		if lead && done == 0 {
			m = min(m, 7)
		}
		if unpack != (lead && done == 0) {
			w.Scale = 1
		}
		w.Mask = uint32(^uint64(0) << (32 - 4*m))
		w.Src, w.Dst = uint32(c+done), uint32(p)
		if unpack {
			w.Src, w.Dst = w.Dst, w.Src
		}
		words, done = append(words, w), done+m
	}
	return words
}

// UnpackWords writes characters to d of the packed digits at s. What a word
// writes beyond its span comes before what the next one writes.
//
//go:noinline
func UnpackWords(d, s []byte, words []Word) {
	for i := range words {
		w := &words[i]
		from, to := uint64(w.Src), uint64(w.Dst)
		x := binary.BigEndian.Uint32(s[from:from+4:from+4]) * w.Scale
		binary.BigEndian.PutUint64(d[to:to+8:to+8], spread(uint64(x))|threes)
	}
}

// PackWords is the inverse; pad nibbles become 0.
//
//go:noinline
func PackWords(d, s []byte, words []Word) {
	for i := range words {
		w := &words[i]
		from, to := uint64(w.Src), uint64(w.Dst)
		x := uint32(Squeeze(binary.BigEndian.Uint64(s[from:from+8:from+8]))) & w.Mask
		binary.BigEndian.PutUint32(d[to:to+4:to+4], uint32(uint64(x)*uint64(w.Scale)>>4))
	}
}

// UnpackRun writes n characters to d, rounded up to a multiple of 8: nibble + '0',
// so D becomes '='.
//
//go:noinline
func UnpackRun(d, p []byte, n int) {
	for i := uint(0); i < uint(n); i += 8 {
		j := i / 2
		binary.BigEndian.PutUint64(d[i:i+8:i+8], spread(uint64(binary.BigEndian.Uint32(p[j:j+4:j+4])))+threes)
	}
}

// PackRun packs n digits or track characters of t that were found good, rounded
// up to a multiple of 8.
//
//go:noinline
func PackRun(d, t []byte, n int) {
	for i := uint(0); i < uint(n); i += 8 {
		j := i / 2
		x := binary.BigEndian.Uint64(t[i : i+8 : i+8])
		separators := x >> 6 & ones // D is the only character with bit 6, and ends in 4
		binary.BigEndian.PutUint32(d[j:j+4:j+4], uint32(Squeeze(x&lows+9*separators)))
	}
}

// PutNumber writes the most digits of x, which has no more, as characters, and
// up to 7 bytes more. There are at most 16.
func PutNumber(d []byte, x uint64, most int) {
	if most <= 4 {
		h := x / 100
		y := uint32(Pairs[h])<<16 | uint32(Pairs[x-100*h])
		binary.BigEndian.PutUint32(d, y<<(8*uint(4-most)&31))
		return
	}
	if most > 8 {
		high := x / 100000000
		x -= high * 100000000
		binary.BigEndian.PutUint64(d, (Eight(high)|threes)<<(8*uint(16-most)&63))
		d, most = d[most-8:], 8
	}
	binary.BigEndian.PutUint64(d, (Eight(x)|threes)<<(8*uint(8-most)&63))
}

// PutPacked writes the most digits of x, an even number, packed, and up to 3
// bytes more.
func PutPacked(d []byte, x uint64, most int) {
	if most <= 4 {
		h := x / 100
		y := uint16(Packed[h])<<8 | uint16(Packed[x-100*h])
		binary.BigEndian.PutUint16(d, y<<(4*uint(4-most)&15))
		return
	}
	if most > 8 {
		high := x / 100000000
		x -= high * 100000000
		binary.BigEndian.PutUint32(d, uint32(Squeeze(Eight(high)))<<(4*uint(16-most)&31))
		d, most = d[most/2-4:], 8
	}
	binary.BigEndian.PutUint32(d, uint32(Squeeze(Eight(x)))<<(4*uint(8-most)&31))
}
