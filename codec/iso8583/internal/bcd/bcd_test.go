package bcd

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// digitsOf is the slow way: one character a nibble, of the n digits of p.
func digitsOf(p []byte, n int, right bool) []byte {
	var t []byte
	for _, b := range p {
		t = append(t, '0'+b>>4, '0'+b&15)
	}
	if right {
		return t[len(t)-n:]
	}
	return t[:n]
}

func randomDigits(r *rand.Rand, n int, of string) []byte {
	t := make([]byte, n)
	for i := range t {
		t[i] = of[r.IntN(len(of))]
	}
	return t
}

func TestPackAndUnpackAgreeWithTheSlowWay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := 0; n < 60; n++ {
		for range 20 {
			text := randomDigits(r, n, "0123456789")
			size := (n + 1) / 2
			left, right := make([]byte, size), make([]byte, size)
			PackLeft(left, text)
			PackRight(right, text)
			if !bytes.Equal(digitsOf(left, n, false), text) || n&1 == 1 && left[size-1]&15 != 0 {
				t.Fatalf("%q packs left to %X", text, left)
			}
			if !bytes.Equal(digitsOf(right, n, true), text) || n&1 == 1 && right[0]>>4 != 0 {
				t.Fatalf("%q packs right to %X", text, right)
			}
			if got := Append([]byte("x"), left, n, false); string(got) != "x"+string(text) {
				t.Fatalf("%X unpacks to %q, want %q", left, got, text)
			}
			if got := Append([]byte("x"), right, n, true); string(got) != "x"+string(text) {
				t.Fatalf("%X unpacks to %q, want %q", right, got, text)
			}
		}
	}
}

func TestTracksPack(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for n := 0; n < 60; n++ {
		text := randomDigits(r, n, "0123456789D0123456789=")
		d := make([]byte, (n+1)/2)
		PackTrack(d, text)
		got := Append(nil, d, n, false)
		if want := bytes.ReplaceAll(text, []byte("D"), []byte("=")); !bytes.Equal(got, want) || BadPackedTrack(d) >= 0 || BadTrack(text) >= 0 {
			t.Fatalf("%q packs to %X, that is %q", text, d, got)
		}
		Swap(got, '=', 'D')
		if want := bytes.ReplaceAll(text, []byte("="), []byte("D")); !bytes.Equal(got, want) {
			t.Fatalf("%q swaps to %q", text, got)
		}
	}
}

// Every byte at every place of runs up to 20 is judged as its kind says, and
// the first bad one is the one that is named.
func TestTheFirstBadByteIsFound(t *testing.T) {
	nibble := func(b byte, ok func(byte) bool) bool { return ok(b>>4) && ok(b&15) }
	dec := func(n byte) bool { return n < 10 }
	for name, c := range map[string]struct {
		find func([]byte) int
		good byte
		ok   func(byte) bool
	}{
		"packed":       {BadPacked, 0x99, func(b byte) bool { return nibble(b, dec) }},
		"packed track": {BadPackedTrack, 0x9D, func(b byte) bool { return nibble(b, func(n byte) bool { return dec(n) || n == 13 }) }},
		"digits":       {BadDigits, '9', func(b byte) bool { return b >= '0' && b <= '9' }},
		"track":        {BadTrack, '0', func(b byte) bool { return b >= '0' && b <= '9' || b == 'D' || b == '=' }},
	} {
		for n := 1; n <= 20; n++ {
			for at := range n {
				for b := range 256 {
					p := bytes.Repeat([]byte{c.good}, n)
					p[at] = byte(b)
					want := at
					if c.ok(byte(b)) {
						want = -1
					}
					if got := c.find(p); got != want {
						t.Fatalf("%s: %X: %d, want %d", name, p, got, want)
					}
				}
			}
		}
		if p := []byte{c.good, 0xFF, 0xFE}; c.find(p) != 1 {
			t.Errorf("%s: of two bad bytes %d is named", name, c.find(p))
		}
	}
}

func TestTables(t *testing.T) {
	for i := range 256 {
		b := byte(i)
		wantDec, wantLen := uint8(Bad), uint16(huge)
		if b>>4 < 10 && b&15 < 10 {
			wantDec = b>>4*10 + b&15
			wantLen = uint16(wantDec)
			if Packed[wantDec] != b {
				t.Errorf("%d packs to %02X", wantDec, Packed[wantDec])
			}
		}
		if Dec[b] != wantDec || Len[b] != wantLen {
			t.Errorf("%02X: %d and %d", b, Dec[b], Len[b])
		}
		wantHex, wantDigit := uint8(Bad), uint16(huge)
		if j := bytes.IndexByte([]byte("0123456789abcdef"), b|0x20); j >= 0 && (b >= '0' && b <= '9' || b >= 'A') {
			wantHex = uint8(j)
		}
		if b >= '0' && b <= '9' {
			wantDigit = uint16(b - '0')
		}
		if Hex[b] != wantHex || Digit[b] != wantDigit {
			t.Errorf("%q: %d and %d, want %d and %d", b, Hex[b], Digit[b], wantHex, wantDigit)
		}
	}
}

func TestGrow(t *testing.T) {
	whole := []byte("abcdef")
	if got := Grow(whole[:2], 3); &got[0] != &whole[0] || len(got) != 5 {
		t.Errorf("%q", got)
	}
	if got := Grow(whole[:2:4], 3); &got[0] == &whole[0] || string(got[:2]) != "ab" || len(got) != 5 {
		t.Errorf("%q", got)
	}
}
