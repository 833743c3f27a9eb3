package framing

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestFramingVectors(t *testing.T) {
	abc := "abc"
	for _, c := range []struct{ name, payload, wire string }{
		{"binary2", abc, "\x00\x03abc"},
		{"binary2", strings.Repeat("x", 300), "\x01\x2C" + strings.Repeat("x", 300)},
		{"ascii4", abc, "0003abc"},
		{"ascii4", strings.Repeat("x", 366), "0366" + strings.Repeat("x", 366)},
		{"bcd2", strings.Repeat("x", 1234), "\x12\x34" + strings.Repeat("x", 1234)},
		{"hex4", strings.Repeat("x", 0xAB), "00AB" + strings.Repeat("x", 0xAB)},
		{"binary3", abc, "\x00\x00\x03abc"},
		{"binary4", abc, "\x00\x00\x00\x03abc"},
		{"binary2-self", abc, "\x00\x05abc"},
		{"binary2-pad2", abc, "\x00\x03\x00\x00abc"},
		{"binary2-etx", abc, "\x00\x04abc\x03"},
	} {
		f, ok := Named(c.name)
		if !ok {
			t.Fatalf("no framing %q", c.name)
		}
		got, err := f.End(append(f.Begin([]byte("before")), c.payload...), len("before"))
		if err != nil || string(got) != "before"+c.wire {
			t.Errorf("%s of %d bytes: %q, %v; want %q", c.name, len(c.payload), got, err, c.wire)
		}
	}
}

func TestFramingRoundTripAndEveryPrefix(t *testing.T) {
	for _, name := range Names() {
		f, _ := Named(name)
		var stream []byte
		want := []string{"a", strings.Repeat("b", 99), strings.Repeat("c", 1000)}
		for _, p := range want {
			start := len(stream)
			var err error
			if stream, err = f.End(append(f.Begin(stream), p...), start); err != nil {
				t.Fatal(name, err)
			}
		}
		for i, p := range want {
			frame, used, err := f.Next(stream)
			if err != nil || string(frame) != p {
				t.Fatalf("%s frame %d: %q %v", name, i, frame, err)
			}
			if cap(frame) != len(frame) {
				t.Errorf("%s: appending to a frame would write into the next", name)
			}
			if used > len(p)+Overhead {
				t.Errorf("%s adds %d bytes, more than Overhead", name, used-len(p))
			}
			for n := range used { // a prefix is never a frame and never wrong
				if frame, got, err := f.Next(stream[:n]); frame != nil || got != 0 || err != nil {
					t.Fatalf("%s: %d of %d bytes give %q %d %v", name, n, used, frame, got, err)
				}
			}
			stream = stream[used:]
		}
	}
}

func TestFramingRefusesWhatItCannotSay(t *testing.T) {
	for _, name := range Names() {
		f, _ := Named(name)
		if f.Max() > 1<<20 { // four bytes can say more than a test should hold
			continue
		}
		longest := append(f.Begin(nil), make([]byte, f.Max())...)
		got, err := f.End(longest, 0)
		if err != nil {
			t.Fatalf("%s: its own Max is refused: %v", name, err)
		}
		if frame, _, err := f.Next(got); err != nil || len(frame) != f.Max() {
			t.Errorf("%s: Max comes back as %d bytes, %v", name, len(frame), err)
		}
		before := []byte("before")
		long := append(f.Begin(before), make([]byte, f.Max()+1)...)
		if got, err := f.End(long, len(before)); !errors.Is(err, ErrOversize) || !bytes.Equal(got, before) {
			t.Errorf("%s: one more than Max gives %d bytes, %v", name, len(got), err)
		}
		if got, err := f.End(before, len(before)); err == nil || !bytes.Equal(got, before) {
			t.Errorf("%s: End without Begin gives %q, %v", name, got, err)
		}
	}
}

func TestFramingFaults(t *testing.T) {
	for _, c := range []struct {
		name, wire string
		want       error
	}{
		{"binary2", "\x00\x00", ErrEmpty},
		{"binary2", "\x00\x65", ErrOversize}, // the limit is 100, and no payload is awaited
		{"binary2", "\xFF\xFF", ErrOversize},
		{"ascii4", "0101", ErrOversize},
		{"ascii4", "00 1", ErrMalformed},
		{"ascii4", "-001", ErrMalformed},
		{"ascii4", "\x00\x2Eab", ErrMalformed},
		{"bcd2", "\x00\x0A", ErrMalformed},
		{"bcd2", "\x00\x00", ErrEmpty},
		{"hex4", "00G0", ErrMalformed},
		{"binary2-self", "\x00\x02", ErrEmpty},
		{"binary2-self", "\x00\x01", ErrEmpty},
		{"binary2-etx", "\x00\x01\x03", ErrEmpty},
		{"binary2-etx", "\x00\x02a\x04", ErrMalformed},
		{"binary4", "\xFF\xFF\xFF\xFF", ErrOversize},
	} {
		named, _ := Named(c.name)
		f := Limited(named, 100)
		if _, used, err := f.Next([]byte(c.wire)); !errors.Is(err, c.want) || used != 0 {
			t.Errorf("%s %q: %d %v, want %v", c.name, c.wire, used, err, c.want)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	frame, used, err := ASCII4.Next([]byte("00000003abc"))
	if frame != nil || used != 4 || err != nil {
		t.Errorf("0000 gives %q %d %v, want a keep-alive", frame, used, err)
	}
	if got, err := ASCII4.End(ASCII4.Begin(nil), 0); string(got) != "0000" || err != nil {
		t.Errorf("an empty frame is %q %v, want 0000", got, err)
	}
	if got, err := Binary2.End(Binary2.Begin(nil), 0); len(got) != 0 || !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty frame is %q %v, want a refusal", got, err)
	}
}

func TestFramingDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 512)
	payload := make([]byte, 180)
	for _, name := range Names() {
		f, _ := Named(name)
		if n := testing.AllocsPerRun(100, func() {
			b, err := f.End(append(f.Begin(buf[:0]), payload...), 0)
			frame, _, err2 := f.Next(b)
			if err != nil || err2 != nil || len(frame) != len(payload) {
				t.Fatal(name, err, err2)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkBinary2(b *testing.B) {
	buf := make([]byte, 0, 512)
	payload := make([]byte, 180)
	for b.Loop() {
		wire, _ := Binary2.End(append(Binary2.Begin(buf), payload...), 0)
		_, _, _ = Binary2.Next(wire)
	}
}
