// Package bcd checks and converts runs of digits, packed (two a byte) or in
// ASCII characters. Eight digits are done at a time in one register; the rest
// by table, one look-up a byte. Nothing allocates and nothing checks lengths:
// callers give slices that are long enough.
package bcd

import (
	"bytes"
	"encoding/binary"
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
	huge   = 0x4000 // above the maximum of every field
)

// Tables of 256 entries, by byte.
var (
	Dec     = makeDec()   // packed byte → 0..99, Bad when a nibble is above 9
	Len     = makeLen()   // packed byte of a length → 0..99, 4000 hexadecimal when a nibble is above 9
	Digit   = makeDigit() // character of a length → 0..9, 4000 hexadecimal when it is no digit
	Hex     = makeHex()   // hexadecimal character → 0..15, Bad when it is none
	trackOf = makeTrack() // track character → nibble, Bad when it is none
	charsOf = makeChars() // packed byte → two characters, nibble + '0' ('=' for D)
)

// Packed gives the packed byte of 0..99.
var Packed = makePacked()

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

// Above9 keeps, of the nibbles of x that are above 9, bit 3: such a nibble has
// it set together with bit 2 or bit 1.
func Above9(x uint64) uint64 { return x & (x<<1 | x<<2) & eights }

// NotDigit keeps something of each byte of x that is no ASCII digit, and zero
// of the others. A byte from FA up may also mark the one in front of it.
func NotDigit(x uint64) uint64 { return (x&highs ^ threes) | ((x+sixes)&highs ^ threes) }

// BadPacked finds the first byte with a nibble above 9, -1 when there is none.
func BadPacked(p []byte) int {
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		x := binary.BigEndian.Uint64(p[i:])
		if Above9(x) != 0 {
			break
		}
	}
	for ; i < len(p); i++ {
		if Dec[p[i]] == Bad {
			return i
		}
	}
	return -1
}

// BadDigits finds the first byte that is no ASCII digit, -1 when there is none.
func BadDigits(p []byte) int {
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		if NotDigit(binary.BigEndian.Uint64(p[i:])) != 0 {
			break
		}
	}
	for ; i < len(p); i++ {
		if p[i]-'0' > 9 {
			return i
		}
	}
	return -1
}

// BadTrack does the same for ASCII track data: digits, = and D.
func BadTrack(p []byte) int {
	for i := 0; i < len(p); i++ {
		if len(p)-i >= 8 && NotDigit(binary.BigEndian.Uint64(p[i:])) == 0 {
			i += 7
		} else if trackOf[p[i]] == Bad {
			return i
		}
	}
	return -1
}

// BadPackedTrack does the same for packed track data: nibbles 0..9 and D.
func BadPackedTrack(p []byte) int {
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		x := binary.BigEndian.Uint64(p[i:])
		separators := x & (x << 1) &^ (x << 2) & (x << 3)
		if Above9(x)&^separators != 0 {
			break
		}
	}
	for ; i < len(p); i++ {
		if h, l := p[i]>>4, p[i]&15; h > 9 && h != 0xD || l > 9 && l != 0xD {
			return i
		}
	}
	return -1
}

// spread makes eight bytes 0..15 of the eight nibbles of y.
func spread(y uint64) uint64 {
	y = (y | y<<16) & 0x0000FFFF0000FFFF
	y = (y | y<<8) & 0x00FF00FF00FF00FF
	return (y | y<<4) & lows
}

// squeeze makes eight nibbles of the low halves of eight bytes.
func squeeze(x uint64) uint64 {
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
		binary.BigEndian.PutUint32(d[i/2:], uint32(squeeze(binary.BigEndian.Uint64(t[i:]))))
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

func Append(dst, p []byte, n int, right bool) []byte {
	at := len(dst)
	dst = Grow(dst, n)
	Unpack(dst[at:], p, n, right)
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
	for i := 0; i+1 < len(t); i += 2 {
		if len(t)-i >= 8 {
			if x := binary.BigEndian.Uint64(t[i:]); NotDigit(x) == 0 {
				binary.BigEndian.PutUint32(d[i/2:], uint32(squeeze(x)))
				i += 6
				continue
			}
		}
		d[i/2] = trackOf[t[i]]<<4 | trackOf[t[i+1]]
	}
	if len(t)&1 == 1 {
		d[len(t)/2] = trackOf[t[len(t)-1]] << 4
	}
}

// UnpackWord writes 16 characters of the 8 bytes at p, from the second digit on
// when the first is a pad.
func UnpackWord(d, p []byte, skip bool) {
	x := binary.BigEndian.Uint64(p)
	if skip {
		x <<= 4
	}
	binary.BigEndian.PutUint64(d, spread(x>>32)+threes)
	binary.BigEndian.PutUint64(d[8:], spread(x&0xFFFFFFFF)+threes)
}

// PackWord writes 8 bytes: the first n of the 16 digits at p, then zeros. With
// right and an odd n, a pad nibble comes first.
func PackWord(d, p []byte, n int, right bool) {
	x := squeeze(binary.BigEndian.Uint64(p))<<32 | squeeze(binary.BigEndian.Uint64(p[8:]))
	x &= ^uint64(0) << (64 - 4*uint(n))
	if right && n&1 == 1 {
		x >>= 4
	}
	binary.BigEndian.PutUint64(d, x)
}
