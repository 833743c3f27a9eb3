package bcd

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"testing"
)

// Spans of any length, with and without a pad nibble in front, among bytes of
// any content: what is written in the span is what the slow way writes.
func TestWordsAgreeWithTheSlowWay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for n := 1; n < 60; n++ {
		for _, lead := range []bool{false, true} {
			if lead && n&1 == 0 {
				continue
			}
			text := randomDigits(r, n, "0123456789")
			size := (n + 1) / 2
			packed := make([]byte, size)
			if lead {
				PackRight(packed, text)
			} else {
				PackLeft(packed, text)
			}
			words := AppendWords(nil, 2, 3, n, lead, true)
			d, s := make([]byte, 3+n+8), append(append([]byte{0xFF, 0xFF}, packed...), "\xFF\xFF\xFF\xFF"...)
			if lead {
				s[2] |= 0xF0
			}
			UnpackWords(d, s, words)
			if !bytes.Equal(d[3:3+n], text) {
				t.Fatalf("%X unpacks to %q, want %q", packed, d[3:3+n], text)
			}
			words = AppendWords(nil, 2, 3, n, lead, false)
			d, s = make([]byte, 2+size+4), append(append([]byte("\xFF\xFF\xFF"), text...), "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"...)
			PackWords(d, s, words)
			if !bytes.Equal(d[2:2+size], packed) {
				t.Fatalf("%q packs to %X, want %X", text, d[2:2+size], packed)
			}
		}
	}
}

func TestRunsAgreeWithTheSlowWay(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for n := 0; n < 60; n++ {
		text := randomDigits(r, n, "0123456789D0123456789=")
		packed := make([]byte, (n+1)/2)
		PackTrack(packed, text)
		d := make([]byte, n+8)
		UnpackRun(d, append(bytes.Clone(packed), "\xFF\xFF\xFF\xFF"...), n)
		if want := bytes.ReplaceAll(text, []byte("D"), []byte("=")); !bytes.Equal(d[:n], want) {
			t.Fatalf("%X unpacks to %q, want %q", packed, d[:n], want)
		}
		PackRun(d, append(bytes.Clone(text), "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"...), n)
		if n&1 == 1 {
			d[n/2] &= 0xF0
		}
		if !bytes.Equal(d[:len(packed)], packed) {
			t.Fatalf("%q packs to %X, want %X", text, d[:len(packed)], packed)
		}
	}
}

// The looks at whole words find good exactly what the looks at each byte do not
// find bad.
func TestGoodIsNotBad(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	var good, bad int
	for range 200000 {
		n := r.IntN(24)
		msg := randomDigits(r, 10+n, "0123456789D=")
		for i := range msg[:10] {
			msg[i] = byte(r.IntN(256))
		}
		packed := r.IntN(2) == 0
		for i := range msg[10:] {
			if msg[10+i] &^= 0x40; packed {
				msg[10+i] = byte(r.IntN(10))<<4 | byte(r.IntN(10))
			}
		}
		if n > 0 && r.IntN(3) > 0 {
			msg[10+r.IntN(n)] = []byte{'=', 'D', 0xD1, 0x1D, 0xA0, 0x0E, ':', '/', 0xFF, 0xFA}[r.IntN(10)]
		}
		p := msg[10:]
		odd := n > 0 && r.IntN(2) == 0
		pad := odd && p[n-1]&15 != 0
		for what, c := range map[string]struct{ good, want bool }{
			"packed": {GoodPacked(msg, 10, 10+n, odd), BadPacked(p) < 0 && !pad},
			"stripe": {GoodPackedTrack(msg, 10, 10+n, odd), BadPackedTrack(p) < 0 && !pad},
			"track":  {GoodChars(msg, 10, 10+n, true), BadTrack(p) < 0},
		} {
			if c.good != c.want {
				t.Fatalf("%s %X odd %v: %v", what, p, odd, c.good)
			}
			if c.good {
				good++
			} else {
				bad++
			}
		}
		// A byte from FA up may spoil the one in front of it: never the other way round.
		if GoodChars(msg, 10, 10+n, false) != (BadDigits(p) < 0) {
			t.Fatalf("digits %X", p)
		}
	}
	if good < 10000 || bad < 10000 {
		t.Errorf("%d good and %d bad: the test does not test both", good, bad)
	}
}

func TestNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for range 1000 {
		text := randomDigits(r, 1+r.IntN(16), "0123456789")
		want, _ := strconv.ParseUint(string(text), 10, 64)
		x, _ := strconv.ParseUint(string(text), 16, 64)
		if Value(x) != want || Long(text) != want {
			t.Fatalf("%s: %d and %d", text, Value(x), Long(text))
		}
		var back uint64
		if ReadHex(&back, text, &Hex) >= 0 || back != x {
			t.Fatalf("%s: %X", text, back)
		}
	}
	if i := ReadHex(new(uint64), []byte("12G4"), &Hex); i != 2 {
		t.Errorf("the bad digit of 12G4 is %d", i)
	}
	d := make([]byte, 4)
	if PutFour(d, 0x0421); string(d) != "0421" || Four(d) != 0x0421 {
		t.Errorf("0421 is %q", d)
	}
}

func TestNumbersAreWrittenInFull(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for most := 1; most <= 16; most++ {
		limit := uint64(1)
		for range most {
			limit *= 10
		}
		for i := range uint64(500) {
			x := r.Uint64N(limit)
			if i < 3 {
				x = []uint64{0, 1, limit - 1}[i]
			}
			d, want := make([]byte, 23), []byte(strconv.FormatUint(limit+x, 10))[1:]
			if PutNumber(d, x, most); !bytes.Equal(d[:most], want) {
				t.Fatalf("%d in %d digits is %q", x, most, d[:most])
			}
			if most&1 == 1 {
				continue
			}
			packed := make([]byte, most/2)
			PackLeft(packed, want)
			if PutPacked(d, x, most); !bytes.Equal(d[:most/2], packed) {
				t.Fatalf("%d in %d digits is packed as %X", x, most, d[:most/2])
			}
		}
	}
}

// Every byte, at every place of a word.
func TestGoodHexKnowsEveryByte(t *testing.T) {
	for i := range 16 {
		for c := range 256 {
			p := []byte("0123456789abCDEF")
			p[i] = byte(c)
			want := Hex[c] != Bad
			var x uint64
			if GoodHex(p) != want || (ReadHex(&x, p, &Hex) < 0) != want {
				t.Fatalf("%q: good %v, want %v", p, GoodHex(p), want)
			}
		}
	}
}
