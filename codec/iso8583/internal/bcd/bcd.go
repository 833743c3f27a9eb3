// Package bcd checks and converts runs of digits, packed (two a byte) or in
// ASCII characters. Eight digits are done at a time in one register; the rest
// by table, one look-up a byte. Nothing allocates and nothing checks lengths:
// callers give slices that are long enough.
package bcd

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Bad is what the tables below give for a byte that is not of their kind.
const Bad = 0xFF

// UpperHex are the hexadecimal digits.
const UpperHex = "0123456789ABCDEF"

const (
	eights = 0x8888888888888888
	highs  = 0xF0F0F0F0F0F0F0F0
	lows   = 0x0F0F0F0F0F0F0F0F
	threes = 0x3030303030303030
	sixes  = 0x0606060606060606
	ones   = 0x0101010101010101
	huge   = 0x4000 // above the maximum of every field
)

// Flips makes ASCII of eight EBCDIC digits, or the other way round.
const Flips = 0xC0C0C0C0C0C0C0C0

// Tables of 256 entries, by byte.
var (
	Dec     = makeDec()   // packed byte → 0..99, Bad when a nibble is above 9
	Len     = makeLen()   // packed byte of a length → 0..99, 4000 hexadecimal when a nibble is above 9
	Digit   = makeDigit() // character of a length → 0..9, 4000 hexadecimal when it is no digit
	Hex     = makeHex()   // hexadecimal character → 0..15, Bad when it is none
	TrackOf = makeTrack() // track character → nibble, Bad when it is none
	charsOf = makeChars() // packed byte → two characters, nibble + '0' ('=' for D)
)

// By number, 0..99: the packed byte, and the two characters with the first on top.
var (
	Packed = makePacked()
	Pairs  = makePairs()
)

func makeDec() (t [256]uint8) {
	for i := range t {
		t[i] = Bad
		if i>>4 < 10 && i&15 < 10 {
			t[i] = uint8(i>>4*10 + i&15)
		}
	}
	return t
}

func makeLen() (t [256]uint16) {
	for i, d := range Dec {
		t[i] = uint16(d)
		if d == Bad {
			t[i] = huge
		}
	}
	return t
}

func makeDigit() (t [256]uint16) {
	for i := range t {
		t[i] = huge
	}
	for i := range uint16(10) {
		t['0'+i] = i
	}
	return t
}

func makeChars() (t [256][2]byte) {
	for i := range t {
		t[i] = [2]byte{'0' + byte(i>>4), '0' + byte(i&15)}
	}
	return t
}

func makePacked() (t [100]uint8) {
	for i := range t {
		t[i] = uint8(i/10<<4 | i%10)
	}
	return t
}

func makePairs() (t [100]uint16) {
	for i := range t {
		t[i] = uint16('0'+i/10)<<8 | uint16('0'+i%10)
	}
	return t
}

func makeTrack() (t [256]uint8) {
	for i := range t {
		t[i] = Bad
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c - '0'
	}
	t['D'], t['='] = 0xD, 0xD
	return t
}

func makeHex() (t [256]uint8) {
	for i := range t {
		t[i] = Bad
	}
	for i, c := range []byte(UpperHex) {
		t[c], t[c|0x20] = uint8(i), uint8(i) // '0'..'9' have that bit already
	}
	return t
}

// spread makes eight bytes 0..15 of the eight nibbles of y.
func spread(y uint64) uint64 {
	y = (y | y<<16) & 0x0000FFFF0000FFFF
	y = (y | y<<8) & 0x00FF00FF00FF00FF
	return (y | y<<4) & lows
}

// Squeeze makes eight nibbles of the low halves of eight bytes.
func Squeeze(x uint64) uint64 {
	x &= lows
	x = (x | x>>4) & 0x00FF00FF00FF00FF
	x = (x | x>>8) & 0x0000FFFF0000FFFF
	return (x | x>>16) & 0xFFFFFFFF
}

// pairs writes 2×len(p) characters to d: nibble + '0', so D becomes '='.
func pairs(d, p []byte) {
	i := 0
	for ; len(p)-i >= 4; i += 4 {
		binary.BigEndian.PutUint64(d[2*i:], spread(uint64(binary.BigEndian.Uint32(p[i:])))+threes)
	}
	for ; i < len(p); i++ {
		t := &charsOf[p[i]]
		d[2*i], d[2*i+1] = t[0], t[1]
	}
}

// pack writes len(t)/2 bytes to d, from an even number of ASCII digits that
// were found good.
func pack(d, t []byte) {
	i := 0
	for ; len(t)-i >= 8; i += 8 {
		binary.BigEndian.PutUint32(d[i/2:], uint32(Squeeze(binary.BigEndian.Uint64(t[i:]))))
	}
	for ; i < len(t); i += 2 {
		d[i/2] = t[i]<<4 | t[i+1]&15
	}
}

// PackLeft packs digits into (len(t)+1)/2 bytes, a pad nibble 0 on the right.
func PackLeft(d, t []byte) {
	even := len(t) &^ 1
	pack(d, t[:even])
	if even < len(t) {
		d[even/2] = t[even] << 4
	}
}

// PackRight packs digits into (len(t)+1)/2 bytes, a pad nibble 0 on the left.
func PackRight(d, t []byte) {
	odd := len(t) & 1
	if odd == 1 {
		d[0] = t[0] & 15
	}
	pack(d[odd:], t[odd:])
}

// Unpack writes the n digits of a packed value to d; '=' stands for D.
func Unpack(d, p []byte, n int, right bool) {
	switch {
	case n&1 == 0:
		pairs(d, p)
	case right:
		d[0] = '0' + p[0]&15
		pairs(d[1:], p[1:])
	default:
		pairs(d, p[:n/2])
		d[n-1] = '0' + p[n/2]>>4
	}
}

// Append appends the n digits of a packed value at the beginning of p; '=' stands
// for D.
func Append(dst, p []byte, n int, right bool) []byte {
	at, whole := len(dst), (n+7)&^7
	if cap(dst)-at >= whole && 2*len(p) >= whole && (!right || n&1 == 0) {
		UnpackRun(dst[at:at+whole], p, n)
		return dst[:at+n]
	}
	dst = Grow(dst, n)
	Unpack(dst[at:], p[:(n+1)/2], n, right)
	return dst
}

// Swap replaces one separator by the other, in place.
func Swap(p []byte, from, to byte) {
	for {
		i := bytes.IndexByte(p, from)
		if i < 0 {
			return
		}
		p[i] = to
		p = p[i+1:]
	}
}

// Grow lengthens dst by n bytes of any content.
func Grow(dst []byte, n int) []byte {
	if m := len(dst) + n; m <= cap(dst) {
		return dst[:m]
	}
	return append(dst, make([]byte, n)...)
}

// PackTrack packs track characters that were found good, a pad nibble 0 on the
// right.
func PackTrack(d, t []byte) {
	whole := len(t) &^ 7
	PackRun(d, t, whole)
	d, t = d[whole/2:], t[whole:]
	for i := 0; i+1 < len(t); i += 2 {
		d[i/2] = TrackOf[t[i]]<<4 | TrackOf[t[i+1]]
	}
	if len(t)&1 == 1 {
		d[len(t)/2] = TrackOf[t[len(t)-1]] << 4
	}
}

// Value is the number of the sixteen decimal digits of x, one a nibble. Pairs are
// joined, then pairs of pairs: where a left one counted 16 (256, …) it counts 10
// (100, …) from then on.
func Value(x uint64) uint64 {
	x -= (16 - 10) * (x >> 4 & lows)
	x -= (256 - 100) * (x >> 8 & 0x00FF00FF00FF00FF)
	x -= (1<<16 - 10000) * (x >> 16 & 0x0000FFFF0000FFFF)
	return x - (1<<32-100000000)*(x>>32)
}

// Eight gives the eight digits of x, which is below 100,000,000, one a byte with
// the first on top: four and four are split, then two and two, then one and one,
// each time all of them at once.
func Eight(x uint64) uint64 {
	y := x/10000 | x%10000<<32
	q := y * 10486 >> 20 & 0x0000007F0000007F // a hundredth
	y = q | (y-100*q)<<16
	q = y * 103 >> 10 & 0x000F000F000F000F // a tenth
	return bits.ReverseBytes64(q | (y-10*q)<<8)
}

// Long is the number of some ASCII digits, up to 19.
func Long(digits []byte) (x uint64) {
	for _, d := range digits {
		x = x*10 + uint64(d&15)
	}
	return x
}

// ShiftLeft drops the first nibble of p and adds a 0.
func ShiftLeft(p []byte) {
	for i := range p {
		if p[i] <<= 4; i+1 < len(p) {
			p[i] |= p[i+1] >> 4
		}
	}
}

// PutFour writes the four digits of x, one a nibble.
func PutFour(d []byte, x uint16) {
	binary.BigEndian.PutUint32(d, uint32(spread(uint64(x))|threes))
}

// Four reads the four digits at p that were found good.
func Four(p []byte) uint16 { return uint16(Squeeze(uint64(binary.BigEndian.Uint32(p)))) }

// ReadHex reads hexadecimal characters, up to 16, into x, by a table of what each
// is worth. It gives the index of the first that is none, -1 when there is no such.
func ReadHex(x *uint64, p []byte, table *[256]uint8) (bad int) {
	if len(p) == 16 && table == &Hex {
		h, wrongH := hexWord(binary.BigEndian.Uint64(p))
		l, wrongL := hexWord(binary.BigEndian.Uint64(p[8:]))
		if wrongH|wrongL == 0 {
			*x = Squeeze(h)<<32 | Squeeze(l)
			return -1
		}
	}
	var y uint64
	for i, c := range p {
		d := table[c]
		if d == Bad {
			return i
		}
		y = y<<4 | uint64(d)
	}
	*x = y
	return -1
}
