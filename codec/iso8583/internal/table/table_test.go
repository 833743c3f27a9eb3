package table

import (
	"math/rand/v2"
	"testing"
)

// Read says good only what Extent and BadByte do, and misses nothing but pad
// nibbles and codings that are rare.
func TestReadAgreesWithTheSlowLook(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	good, bad := 0, 0
	for range 100000 {
		f := Field{Coding: Coding(r.IntN(int(PackedTrack) + 1)), Prefix: uint8(r.IntN(3)), BCD: r.IntN(2) == 0, Max: uint16(1 + r.IntN(40))}
		if f.Prefix == 1 {
			f.BCD = true
		}
		f.Size = uint16(f.Coding.Size(int(f.Max)))
		msg := make([]byte, 40)
		for i := range msg {
			msg[i] = byte(r.IntN(10))<<4 | byte(r.IntN(10))
			if f.Coding == Digits || f.Coding == Track || f.Coding == Hexed {
				msg[i] = '0' + byte(r.IntN(10))
			}
		}
		if l := r.IntN(45); f.Prefix > 0 {
			f.PutLength(msg[10:], min(l, 99))
		}
		if r.IntN(2) == 0 {
			msg[10+r.IntN(30)] = byte(r.IntN(256))
		}
		at, length, end := f.Extent(msg, 10)
		ok := end != 0 && f.BadByte(msg[at:end], length) < 0
		a, l, e := f.Read(msg, 10)
		switch {
		case e != 0 && (!ok || a != at || l != length || e != end):
			t.Fatalf("%+v of %X: read %d %d %d, is %d %d %d", f, msg, a, l, e, at, length, end)
		case e == 0 && ok && f.Coding != Hexed && f.Coding != PackedRight && (f.Coding < PackedLeft || length&1 == 0):
			t.Fatalf("%+v of %X: not surely good", f, msg)
		case e != 0:
			good++
		default:
			bad++
		}
	}
	if good < 10000 || bad < 10000 {
		t.Errorf("%d good and %d bad: the test does not test both", good, bad)
	}
}

func TestLengthsGoThereAndBack(t *testing.T) {
	for _, f := range []Field{{Prefix: 1, BCD: true}, {Prefix: 2, BCD: true}, {Prefix: 2}, {Prefix: 3}} {
		most := 999
		if f.Prefix == 1 || f.Prefix == 2 && !f.BCD {
			most = 99
		}
		for l := range most + 1 {
			d := []byte{0xEE, 0xEE, 0xEE, 0xEE}
			if f.PutLength(d, l); f.Length(d) != l || d[f.Prefix] != 0xEE {
				t.Fatalf("%+v: %d is %X, that is %d", f, l, d, f.Length(d))
			}
		}
	}
}

func TestPadNibbles(t *testing.T) {
	for _, c := range []struct {
		f    Field
		p    []byte
		want int
	}{
		{Field{Coding: PackedLeft}, []byte{0x12, 0x30}, -1},
		{Field{Coding: PackedLeft}, []byte{0x12, 0x3F}, -1},
		{Field{Coding: PackedLeft}, []byte{0x12, 0x34}, 1},
		{Field{Coding: PackedLeft, Loose: true}, []byte{0x12, 0x34}, -1},
		{Field{Coding: PackedLeft}, []byte{0x1A, 0x3F}, 0},
		{Field{Coding: PackedRight}, []byte{0xF1, 0x23}, -1},
		{Field{Coding: PackedRight}, []byte{0x11, 0x23}, 0},
		{Field{Coding: PackedRight, Loose: true}, []byte{0x11, 0x23}, -1},
		{Field{Coding: PackedRight}, []byte{0x01, 0x2A}, 1},
		{Field{Coding: PackedTrack}, []byte{0x12, 0xDF}, -1},
		{Field{Coding: PackedTrack}, []byte{0x12, 0xD0}, -1},
		{Field{Coding: PackedTrack}, []byte{0x12, 0xE0}, 1},
		{Field{Coding: PackedTrack}, []byte{0x12, 0xD1}, 1},
	} {
		if got := c.f.BadByte(c.p, 3); got != c.want {
			t.Errorf("%+v %X: %d, want %d", c.f, c.p, got, c.want)
		}
	}
}

func TestBadText(t *testing.T) {
	for c, bad := range map[Coding]int{Text: -1, Raw: -1, Hexed: -1, Digits: 2, PackedLeft: 2, PackedRight: 2, Track: -1, PackedTrack: -1} {
		if got := c.BadText([]byte("12D")); got != bad {
			t.Errorf("coding %d: %d, want %d", c, got, bad)
		}
	}
	if Track.BadText([]byte("1?")) != 1 {
		t.Error("? on a track")
	}
}
