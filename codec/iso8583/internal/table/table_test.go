package table

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Read says good only what Extent and BadByte do, and misses nothing but pad
// nibbles and codings that are rare.
func TestReadAgreesWithTheSlowLook(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	good, bad := 0, 0
	for range 100000 {
		f := Field{Coding: Coding(r.IntN(int(PackedTrack) + 1)), Prefix: uint8(r.IntN(4)), Count: Count(r.IntN(int(Hex) + 1)), Max: uint16(1 + r.IntN(40))}
		if f.Prefix == 1 && (f.Count == ASCII || f.Count == EBCDIC) || f.Count == BCD && f.Prefix == 3 {
			f.Prefix = 2
		}
		f.Size = uint16(f.Coding.Size(int(f.Max)))
		msg := make([]byte, 40)
		for i := range msg {
			msg[i] = byte(r.IntN(10))<<4 | byte(r.IntN(10))
			switch f.Coding {
			case Digits, Track, Hexed:
				msg[i] = '0' + byte(r.IntN(10))
			case EDigits, ETrack, EHexed:
				msg[i] = 0xF0 + byte(r.IntN(10))
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
		case e == 0 && ok && (f.Coding < PackedLeft || length&1 == 0):
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
	for _, c := range []struct {
		count  Count
		prefix uint8
		most   int
		last   string
	}{
		{BCD, 1, 99, "\x99"}, {BCD, 2, 9999, "\x99\x99"}, {ASCII, 1, 9, "9"}, {ASCII, 2, 99, "99"}, {ASCII, 3, 999, "999"}, {ASCII, 4, 9999, "9999"},
		{EBCDIC, 2, 99, "\xF9\xF9"}, {EBCDIC, 4, 9999, "\xF9\xF9\xF9\xF9"}, {Binary, 1, 255, "\xFF"}, {Binary, 2, 9999, "\x27\x0F"},
		{Binary, 4, 9999, "\x00\x00\x27\x0F"}, {Hex, 2, 255, "FF"}, {Hex, 4, 9999, "270F"}, {Hex, 8, 9999, "0000270F"},
	} {
		f := Field{Prefix: c.prefix, Count: c.count}
		for l := range c.most + 1 {
			d := bytes.Repeat([]byte{0xEE}, 9)
			if f.PutLength(d, l); f.Length(d) != l || d[f.Prefix] != 0xEE || f.BadPrefix(d[:f.Prefix]) >= 0 {
				t.Fatalf("%+v: %d is %X, that is %d", f, l, d, f.Length(d))
			}
			if l == c.most && string(d[:f.Prefix]) != c.last {
				t.Errorf("%+v: %d is %X", f, l, d)
			}
		}
	}
}

func TestLengthsThatAreNone(t *testing.T) {
	for _, c := range []struct {
		f    Field
		wire string
		bad  int
	}{
		{Field{Prefix: 2}, "1A", 1}, {Field{Prefix: 4}, "A123", 0}, {Field{Prefix: 2, Count: BCD}, "\x12\x3A", 1},
		{Field{Prefix: 2, Count: EBCDIC}, "\xF112", 1}, {Field{Prefix: 2, Count: Hex}, "G1", 0}, {Field{Prefix: 8, Count: Hex}, "FFFFFFFF", -1},
		{Field{Prefix: 4, Count: Binary}, "\xFF\xFF\xFF\xFF", -1},
	} {
		if got := c.f.BadPrefix([]byte(c.wire)); got != c.bad {
			t.Errorf("%+v %q: byte %d is bad, want %d", c.f, c.wire, got, c.bad)
		}
		if l := c.f.Length([]byte(c.wire)); l <= 9999 {
			t.Errorf("%+v %q is a length of %d", c.f, c.wire, l)
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
