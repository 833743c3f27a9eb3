package plan

import (
	"encoding/binary"
	"testing"

	"tongka/codec/iso8583/internal/table"
)

// A cache keeps what came first, gives it to nobody else, and never grows.
func TestCacheKeepsWhatCameFirst(t *testing.T) {
	var c Cache[uint64]
	var here, there table.Fields
	learned := 0
	for i := range uint64(5000) {
		c.Learn(&here, i, i<<32, func() uint64 { learned++; return i })
	}
	kept := 0
	for i := range uint64(5000) {
		if p := c.Find(&here, i, i<<32); p != nil {
			kept++
			if *p != i {
				t.Fatalf("%d is found as %d", i, *p)
			}
		}
		if c.Find(&there, i, i<<32) != nil || c.Find(&here, i, i<<32|1) != nil || c.Find(&here, i|1<<63, i<<32) != nil {
			t.Fatalf("%d is found under another key", i)
		}
	}
	if kept != learned || kept < places/2 || kept > places+ways {
		t.Errorf("%d learned, %d kept", learned, kept)
	}
	if c.Find(&here, 0, 0) == nil {
		t.Error("the first was pushed out")
	}
}

// packed is F2 of variable length, F3 n6, F22 n3 with its pad on the right, F23
// n3 with its pad on the left, F25 n2, F41 text of 8; chars the same in
// characters.
func fields() (packed, chars *table.Fields) {
	packed, chars = new(table.Fields), new(table.Fields)
	for n, f := range map[int]table.Field{
		2:  {Coding: table.PackedLeft, Prefix: 1, Count: table.BCD, Max: 19},
		3:  {Coding: table.PackedRight, Max: 6, Size: 3},
		22: {Coding: table.PackedLeft, Max: 3, Size: 2},
		23: {Coding: table.PackedRight, Max: 3, Size: 2},
		25: {Coding: table.PackedRight, Max: 2, Size: 1},
		41: {Coding: table.Text, Max: 8, Size: 8},
	} {
		packed[n] = f
		if f.Coding.Number() {
			f.Coding, f.Size, f.Count, f.Prefix = table.Digits, f.Max, table.ASCII, 2*f.Prefix
		}
		chars[n] = f
	}
	return packed, chars
}

func set(numbers ...int) (x [2]uint64) {
	for _, n := range numbers {
		x[(n-1)/64] |= 1 << (63 - (n-1)%64)
	}
	return x
}

func TestShapeReadsLegs(t *testing.T) {
	packed, _ := fields()
	s := NewShape(packed, set(2, 3, 22, 23, 25, 41))
	if len(s) != 2 || s[0].open != 2 || len(s[1].fixed) != 5 {
		t.Fatalf("%+v", s)
	}
	msg := []byte("headerhead\x03\x12\x30\x00\x10\x00\x05\x10\x00\x01\x06TERMINAL")
	var spans [256]Span
	if !s.Read(packed, msg, 10, &spans) {
		t.Fatal("not read")
	}
	for n, want := range map[int]Span{2: At(11, 3), 3: At(13, 6), 22: At(16, 3), 23: At(18, 3), 25: At(20, 2), 41: At(21, 8)} {
		if spans[n] != want {
			t.Errorf("F%d at %d, %d long", n, spans[n].At(), spans[n].Len())
		}
	}
	for i, b := range msg[10:] {
		msg[10+i] = b | 0xF0
		if s.Read(packed, msg, 10, &spans) != (i >= 11) {
			t.Errorf("byte %d of the fields is %02X", i, msg[10+i])
		}
		msg[10+i] = b
	}
	if s.Read(packed, msg[:len(msg)-1], 10, &spans) || s.Read(packed, append(msg, 0), 10, &spans) {
		t.Error("a message that is too short or too long")
	}
}

func TestCopyJoinsNeighbours(t *testing.T) {
	packed, chars := fields()
	c := NewCopy(chars, packed, set(2, 3, 22, 23, 25, 41))
	if c.First != 2 || c.Last != 41 || len(c.Steps) != 3 {
		t.Fatalf("%+v", c)
	}
	open, run, text := &c.Steps[0], &c.Steps[1], &c.Steps[2]
	if open.Way != ToChars || open.N != 2 || open.Begin != 2 || open.Max != 19 || open.Bits != set(2) {
		t.Errorf("%+v", open)
	}
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], open.Prefix[17])
	if string(length[:2]) != "17" {
		t.Errorf("the prefix of 17 is %q", length)
	}
	// Nine digits up to the pad of F22 and five from that of F23 on: 2 words and 1.
	if run.Way != Chars || run.Size != 14 || len(run.Words) != 3 || run.Reads != 9 || run.Writes != 17 || run.Bits != set(3, 22, 23, 25) {
		t.Errorf("%+v", run)
	}
	if text.Way != Bytes || text.Size != 8 || text.Reads != 8 || text.Writes != 8 {
		t.Errorf("%+v", text)
	}
	// Odd packed fields with whatever pad are nobody's neighbours.
	same := NewCopy(packed, packed, set(3, 22, 23, 25))
	if len(same.Steps) != 4 || same.Steps[1].Way != ByValue || same.Steps[2].Way != ByValue || same.Steps[3].Way != Bytes {
		t.Errorf("%+v", same)
	}
}
