package iso8583

import (
	"bytes"
	"encoding/binary"
)

// Digits travel packed (two a byte) or as ASCII. The long runs are checked and
// converted eight digits at a time in one register; the rest by table, one
// look-up a byte.
const (
	eights  = 0x8888888888888888
	highs   = 0xF0F0F0F0F0F0F0F0
	lows    = 0x0F0F0F0F0F0F0F0F
	threes  = 0x3030303030303030
	sixes   = 0x0606060606060606
	notADec = 0xFF
	huge    = 0x4000 // above the maximum of every field

	upperHex = "0123456789ABCDEF"
)

var (
	decOf   = makeDecOf()   // packed byte → 0..99, notADec when a nibble is above 9
	asciiOf = makeASCIIOf() // packed byte → two characters, nibble + '0' ('=' for D)
	lenOf   = makeLenOf()   // packed byte of a length → 0..99, huge when a nibble is above 9
	digitOf = makeDigitOf() // character of a length → 0..9, huge when it is no digit
	packOf  = makePackOf()  // 0..99 → packed byte
	trackOf = makeTrackOf() // track character → nibble, notADec when it is none
	hexOf   = makeHexOf()   // hexadecimal character → 0..15, notADec when it is none
)

func makeDecOf() (t [256]uint8) {
	for i := range t {
		t[i] = notADec
		if i>>4 < 10 && i&15 < 10 {
			t[i] = uint8(i>>4*10 + i&15)
		}
	}
	return t
}

func makeLenOf() (t [256]uint16) {
	for i, d := range decOf {
		t[i] = uint16(d)
		if d == notADec {
			t[i] = huge
		}
	}
	return t
}

func makeDigitOf() (t [256]uint16) {
	for i := range t {
		t[i] = huge
	}
	for i := range uint16(10) {
		t['0'+i] = i
	}
	return t
}

func makeASCIIOf() (t [256][2]byte) {
	for i := range t {
		t[i] = [2]byte{'0' + byte(i>>4), '0' + byte(i&15)}
	}
	return t
}

func makePackOf() (t [100]uint8) {
	for i := range t {
		t[i] = uint8(i/10<<4 | i%10)
	}
	return t
}

func makeTrackOf() (t [256]uint8) {
	for i := range t {
		t[i] = notADec
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c - '0'
	}
	t['D'], t['='] = 0xD, 0xD
	return t
}

func makeHexOf() (t [256]uint8) {
	for i := range t {
		t[i] = notADec
	}
	for i, c := range []byte(upperHex) {
		t[c], t[c|0x20] = uint8(i), uint8(i) // '0'..'9' have that bit already
	}
	return t
}

// badPacked finds the first byte with a nibble above 9, -1 when there is none.
// A nibble is above 9 when its bit 3 is set together with bit 2 or bit 1.
func badPacked(p []byte) int {
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		x := binary.BigEndian.Uint64(p[i:])
		if x&(x<<1|x<<2)&eights != 0 {
			break
		}
	}
	for ; i < len(p); i++ {
		if decOf[p[i]] == notADec {
			return i
		}
	}
	return -1
}

// badDigit finds the first byte that is no ASCII digit, -1 when there is none.
func badDigit(p []byte) int {
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		if x := binary.BigEndian.Uint64(p[i:]); !allDigits(x) {
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

func allDigits(x uint64) bool { return x&highs == threes && (x+sixes)&highs == threes }

// badTrack does the same for ASCII track data: digits, = and D.
func badTrack(p []byte) int {
	for i := 0; i < len(p); i++ {
		if len(p)-i >= 8 && allDigits(binary.BigEndian.Uint64(p[i:])) {
			i += 7
		} else if trackOf[p[i]] == notADec {
			return i
		}
	}
	return -1
}

// badPackedTrack does the same for packed track data: nibbles 0..9 and D.
func badPackedTrack(p []byte) int {
	i := 0
	for ; len(p)-i >= 8; i += 8 {
		x := binary.BigEndian.Uint64(p[i:])
		separators := x & (x << 1) &^ (x << 2) & (x << 3)
		if x&(x<<1|x<<2)&^separators&eights != 0 {
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

// unpack writes 2×len(p) characters to d: nibble + '0', so D becomes '='.
func unpack(d, p []byte) {
	i := 0
	for ; len(p)-i >= 4; i += 4 {
		binary.BigEndian.PutUint64(d[2*i:], spread(uint64(binary.BigEndian.Uint32(p[i:])))+threes)
	}
	for ; i < len(p); i++ {
		t := &asciiOf[p[i]]
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

// packLeft packs digits into (len(t)+1)/2 bytes, a pad nibble 0 on the right.
func packLeft(d, t []byte) {
	even := len(t) &^ 1
	pack(d, t[:even])
	if even < len(t) {
		d[even/2] = t[even] << 4
	}
}

// packRight packs digits into (len(t)+1)/2 bytes, a pad nibble 0 on the left.
func packRight(d, t []byte) {
	odd := len(t) & 1
	if odd == 1 {
		d[0] = t[0] & 15
	}
	pack(d[odd:], t[odd:])
}

// unpackN writes the n digits of a packed value to d; '=' stands for D.
func unpackN(d, p []byte, n int, right bool) {
	switch {
	case n&1 == 0:
		unpack(d, p)
	case right:
		d[0] = '0' + p[0]&15
		unpack(d[1:], p[1:])
	default:
		unpack(d, p[:n/2])
		d[n-1] = '0' + p[n/2]>>4
	}
}

func appendPacked(dst, p []byte, n int, right bool) []byte {
	at := len(dst)
	dst = grow(dst, n)
	unpackN(dst[at:], p, n, right)
	return dst
}

// swap replaces one separator by the other, in place.
func swap(p []byte, from, to byte) {
	for {
		i := bytes.IndexByte(p, from)
		if i < 0 {
			return
		}
		p[i] = to
		p = p[i+1:]
	}
}

// grow lengthens dst by n bytes of any content.
func grow(dst []byte, n int) []byte {
	if m := len(dst) + n; m <= cap(dst) {
		return dst[:m]
	}
	return append(dst, make([]byte, n)...)
}

// packTrack packs track characters that were found good, a pad nibble 0 on the
// right.
func packTrack(d, t []byte) {
	for i := 0; i+1 < len(t); i += 2 {
		if len(t)-i >= 8 {
			if x := binary.BigEndian.Uint64(t[i:]); allDigits(x) {
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
