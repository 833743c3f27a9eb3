package bcd

import "encoding/binary"

// Above9 keeps, of the nibbles of x that are above 9, bit 3: such a nibble has
// it set together with bit 2 or bit 1.
func Above9(x uint64) uint64 { return x & (x<<1 | x<<2) & eights }

// NotDigit keeps something of each byte of x that is no ASCII digit, and zero
// of the others. A byte from FA up may also mark the one in front of it.
func NotDigit(x uint64) uint64 { return (x&highs ^ threes) | ((x+sixes)&highs ^ threes) }

// GoodPacked looks at the packed digits msg[from:to], a word at a time from the
// end on; in front of from there are 8 bytes at least. With odd, the last nibble
// is a pad that must be 0.
func GoodPacked(msg []byte, from, to int, odd bool) bool {
	var bad uint64
	if odd {
		bad = uint64(msg[to-1] & 15)
	}
	i := to
	for ; i-from >= 8; i -= 8 {
		bad |= Above9(binary.BigEndian.Uint64(msg[i-8 : i : i]))
	}
	if i > from {
		bad |= Above9(binary.BigEndian.Uint64(msg[i-8:i:i]) << (8 * uint(8+from-i) & 63))
	}
	return bad == 0
}

// GoodPackedTrack does the same where separators are good, too.
func GoodPackedTrack(msg []byte, from, to int, odd bool) bool {
	var bad uint64
	if odd {
		bad = uint64(msg[to-1] & 15)
	}
	i := to
	for ; i-from >= 8; i -= 8 {
		bad |= notTrack(binary.BigEndian.Uint64(msg[i-8 : i : i]))
	}
	if i > from {
		bad |= notTrack(binary.BigEndian.Uint64(msg[i-8:i:i]) << (8 * uint(8+from-i) & 63))
	}
	return bad == 0
}

// GoodChars does the same for digits in characters. Of a track, only the word that
// has the separator is looked at twice.
func GoodChars(msg []byte, from, to int, track bool) bool {
	i := to
	for ; i-from >= 8; i -= 8 {
		x := binary.BigEndian.Uint64(msg[i-8 : i : i])
		if NotDigit(x) != 0 && !(track && goodTrack(x)) {
			return false
		}
	}
	if i > from {
		s := 8 * uint(8+from-i) & 63
		x := binary.BigEndian.Uint64(msg[i-8:i:i])<<s | threes&(1<<s-1)
		return NotDigit(x) == 0 || track && goodTrack(x)
	}
	return true
}

func goodTrack(x uint64) bool { return NotDigit(zeroSeparators(x)) == 0 }

// GoodEBCDIC does the same for digits in EBCDIC, which differ from ASCII ones by
// two bits; the separators differ by more.
func GoodEBCDIC(msg []byte, from, to int, track bool) bool {
	var bad uint64
	for i := to; i > from; i -= 8 {
		x := binary.BigEndian.Uint64(msg[i-8:i:i]) ^ Flips
		if i-from < 8 {
			s := 8 * uint(8+from-i) & 63
			x = x<<s | threes&(1<<s-1)
		}
		if track {
			m := (equal(x, 0x7E^0xC0) | equal(x, 0xC4^0xC0)) >> 7 * 0xFF
			x = x&^m | threes&m
		}
		bad |= NotDigit(x)
	}
	return bad == 0
}

// GoodHex says that all of p are hexadecimal digits. The last word may look twice
// at some.
func GoodHex(p []byte) bool {
	var bad uint64
	n := len(p)
	if n < 8 {
		for _, c := range p {
			bad |= uint64(Hex[c] & 0x80) // Bad is the only entry with bit 7
		}
		return bad == 0
	}
	for i := 0; i < n-8; i += 8 {
		bad |= NotHex(binary.BigEndian.Uint64(p[i : i+8 : i+8]))
	}
	return bad|NotHex(binary.BigEndian.Uint64(p[n-8:])) == 0
}

// NotHex keeps bit 7 of each byte of x that is no hexadecimal character. Of four
// bounds, each reached only by what has reached those before it, a digit has
// reached one and a letter, its case put aside, three.
func NotHex(x uint64) uint64 {
	y := x & lowBits
	z := y | 0x20*ones
	in := (y + (0x80-'0')*ones) ^ (y + (0x80-'9'-1)*ones) ^ (z + (0x80-'a')*ones) ^ (z + (0x80-'f'-1)*ones)
	return (x | ^in) & (0x80 * ones)
}

// hexWord reads eight hexadecimal characters, a nibble a byte. What is wrong with
// them is not zero. A letter has bit 6, and a value of 9 more than its low half.
func hexWord(x uint64) (nibbles, wrong uint64) {
	letter := x >> 6 & ones
	return x&lows + 9*letter, NotHex(x)
}

const lowBits = 0x7F * ones // all but the highest of each byte

// notTrack is Above9 but for the nibble D.
func notTrack(x uint64) uint64 {
	b2, b1, b0 := x<<1, x<<2, x<<3
	return x & (b2 | b1) &^ (b2 &^ b1 & b0) & eights
}

// zeroSeparators makes zeros of the bytes of x that are = or D.
func zeroSeparators(x uint64) uint64 {
	m := (equal(x, '=') | equal(x, 'D')) >> 7 * 0xFF
	return x&^m | threes&m
}

// equal sets bit 7 of each byte of x that is c.
func equal(x uint64, c byte) uint64 {
	x ^= uint64(c) * ones
	return ^(x&lowBits + lowBits | x | lowBits)
}

// BadPacked finds the first byte with a nibble above 9, -1 when there is none.
func BadPacked(p []byte) int {
	for i, b := range p {
		if Dec[b] == Bad {
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

// FourDigits says that the four bytes of p are ASCII digits.
func FourDigits(p []byte) bool {
	return NotDigit(uint64(binary.BigEndian.Uint32(p))|threes&^(1<<32-1)) == 0
}

// BadTrack does the same for ASCII track data: digits, = and D.
func BadTrack(p []byte) int {
	for i, b := range p {
		if TrackOf[b] == Bad {
			return i
		}
	}
	return -1
}

// BadPackedTrack does the same for packed track data: nibbles 0..9 and D.
func BadPackedTrack(p []byte) int {
	for i, b := range p {
		if h, l := b>>4, b&15; h > 9 && h != 0xD || l > 9 && l != 0xD {
			return i
		}
	}
	return -1
}
