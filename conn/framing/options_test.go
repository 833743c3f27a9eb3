package framing

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseVectors(t *testing.T) {
	x99 := strings.Repeat("x", 99)
	for _, c := range []struct {
		o             Options
		payload, wire string
		name          string
	}{
		{Options{Name: "ascii4"}, "abc", "0003abc", "ascii4"},
		{Options{Name: "ascii4", KeepAlive: time.Minute}, "abc", "0003abc", "ascii4"},
		{Options{Length: "binary2"}, "abc", "\x00\x03abc", "binary2"},
		{Options{Length: "binary2", Counts: "self"}, "abc", "\x00\x05abc", "binary2-self"},
		{Options{Length: "binary2", Zeros: 2}, "abc", "\x00\x03\x00\x00abc", "binary2-pad2"},
		{Options{Length: "binary2", Zeros: 2, Counts: "self"}, "abc", "\x00\x07\x00\x00abc", "binary2-self-pad2"},
		{Options{Length: "bcd2", Trailer: "etx"}, x99, "\x01\x00" + x99 + "\x03", "bcd2-etx"},
		{Options{Length: "bcd2", Trailer: "etx", Counts: "rest"}, x99, "\x01\x00" + x99 + "\x03", "bcd2-etx"},
		{Options{Length: "bcd2", Trailer: "etx", Counts: "payload"}, x99, "\x00\x99" + x99 + "\x03", "bcd2-payload-etx"},
		{Options{Length: "ascii4", Counts: "self", Trailer: "etx", KeepAlive: 30 * time.Second}, "abc", "0008abc\x03", "ascii4-self-etx"},
		{Options{Length: "hex4", Counts: "self"}, strings.Repeat("x", 0xAB), "00AF" + strings.Repeat("x", 0xAB), "hex4-self"},
		{Options{Name: "binary2-etx", Counts: "payload"}, "abc", "\x00\x03abc\x03", "binary2-payload-etx"},
		{Options{Name: "binary2", Length: "binary4"}, "abc", "\x00\x00\x00\x03abc", "binary4"},
		{Options{Length: "binary3", Zeros: 8}, "abc", "\x00\x00\x03" + strings.Repeat("\x00", 8) + "abc", "binary3-pad8"},
	} {
		f, err := Parse(c.o)
		if err != nil {
			t.Errorf("%+v: %v", c.o, err)
			continue
		}
		got, err := f.End(append(f.Begin([]byte("before")), c.payload...), len("before"))
		if err != nil || string(got) != "before"+c.wire {
			t.Errorf("%s: %q, %v; want %q", f, got, err, c.wire)
		}
		frame, used, err := f.Next([]byte(c.wire + "next"))
		if string(frame) != c.payload || used != len(c.wire) || err != nil {
			t.Errorf("%s: read back as %q, %d used, %v", f, frame, used, err)
		}
		if name := f.(*lengthFraming).String(); name != c.name {
			t.Errorf("%+v is called %s, want %s", c.o, name, c.name)
		}
	}
}

func TestParseNamesEveryFault(t *testing.T) {
	_, err := Parse(Options{Length: "ascii5", Counts: "all", Zeros: 9, Trailer: "crlf", KeepAlive: -1})
	for _, key := range []string{"length：\"ascii5\"", "counts：\"all\"", "zeros：9", "trailer：\"crlf\"", "keep_alive：-1ns"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in %v", key, err)
		}
	}
	if _, err := Parse(Options{}); err == nil || !strings.Contains(err.Error(), "binary2 binary3 binary4 bcd2 ascii4 hex4") {
		t.Errorf("no options: %v, want what a length may be", err)
	}
	if _, err := Parse(Options{Name: "ascii5"}); err == nil || !strings.Contains(err.Error(), "binary2-etx") {
		t.Errorf("unknown name: %v, want the known ones", err)
	}
	if f, ok := Named("ascii5"); ok || f != nil {
		t.Errorf("Named knows %v", f)
	}
}

func TestKeepAliveOptions(t *testing.T) {
	for _, c := range []struct {
		o     Options
		wire  string // what is sent
		after time.Duration
		read  bool // the peer's are accepted
	}{
		{Options{Name: "ascii4"}, "", 0, true},
		{Options{Name: "ascii4", KeepAlive: time.Minute}, "0000", time.Minute, true},
		{Options{Length: "ascii4"}, "", 0, false},
		{Options{Length: "ascii4", AcceptKeepAlive: true}, "", 0, true},
		{Options{Length: "binary2", Zeros: 2, KeepAlive: time.Second}, "\x00\x00", time.Second, true},
		{Options{Length: "binary2", Counts: "self", Trailer: "etx", KeepAlive: time.Second}, "\x00\x00", time.Second, true},
	} {
		f, err := Parse(c.o)
		if err != nil {
			t.Fatal(err)
		}
		limited := Limited(f, 100)
		wire, after := KeepAlive(limited)
		if string(wire) != c.wire || after != c.after {
			t.Errorf("%+v: sends %q after %v, want %q after %v", c.o, wire, after, c.wire, c.after)
		}
		zero, _ := f.(*lengthFraming)
		b := make([]byte, zero.head)
		zero.num.write(b, 0)
		frame, used, err := limited.Next(append(b, "more"...))
		if c.read && (frame != nil || used != len(b) || err != nil) {
			t.Errorf("%+v: a keep-alive is read as %q, %d, %v", c.o, frame, used, err)
		}
		if !c.read && !errors.Is(err, ErrEmpty) {
			t.Errorf("%+v: a length of zero gives %v, want %v", c.o, err, ErrEmpty)
		}
	}
	if wire, after := KeepAlive(nil); wire != nil || after != 0 {
		t.Error("a framing from elsewhere has keep-alives")
	}
}

// options makes one of all framings that can be described out of two bytes.
func options(a, b byte) Options {
	o := Options{Length: lengths[int(a)%len(lengths)].name, Counts: [...]string{"", "rest", "payload", "self"}[a>>6]}
	o.Zeros = int(b) % (maxZeros + 1)
	if b&0x80 != 0 {
		o.Trailer = "etx"
	}
	o.AcceptKeepAlive = b&0x40 != 0
	return o
}

const longest = 300 // of the frames that are taken in

// event is what a stream brought.
type event struct {
	frame string
	alive bool
	err   error
}

// cut reads a stream that comes in pieces, as a connection does: what is not a
// whole frame waits for more. It stops at the first fault.
func cut(t *testing.T, f Framing, pieces [][]byte) (events []event, rest int) {
	var held []byte
	for _, piece := range pieces {
		held = append(held, piece...)
		for len(held) > 0 {
			frame, used, err := f.Next(held)
			if err != nil {
				return append(events, event{err: err}), 0
			}
			if used == 0 {
				break
			}
			if len(frame) > longest {
				t.Fatalf("%v: a frame of %d bytes", f, len(frame))
			}
			events = append(events, event{string(frame), frame == nil, nil})
			held = held[used:]
		}
	}
	return events, len(held)
}

// FuzzSplit: however a stream comes apart, it gives the same frames and the same
// fault, for every framing that can be described.
func FuzzSplit(f *testing.F) {
	f.Add(byte(0), byte(0), []byte("\x00\x03abc\x00\x01x\x00"), []byte{1, 2})
	f.Add(byte(4), byte(0x40), []byte("0003abc00000001x9999"), []byte{3})
	f.Add(byte(0xC4), byte(0xC0), []byte("0008abc\x0300000006x\x04"), []byte{5, 1, 1})
	f.Add(byte(3), byte(2), []byte("\x00\x02zzab\x0A\x00"), []byte{})
	f.Fuzz(func(t *testing.T, a, b byte, stream, cuts []byte) {
		named, err := Parse(options(a, b))
		if err != nil {
			t.Fatal(err)
		}
		fr := Limited(named, longest)
		want, rest := cut(t, fr, [][]byte{stream})
		var pieces [][]byte
		for left := stream; len(left) > 0; {
			n := len(left)
			if len(cuts) > 0 {
				n = min(n, 1+int(cuts[len(pieces)%len(cuts)]))
			}
			pieces = append(pieces, left[:n])
			left = left[n:]
		}
		got, gotRest := cut(t, fr, pieces)
		if len(got) != len(want) || gotRest != rest {
			t.Fatalf("%v: %d events and %d bytes left; in one piece %d and %d", fr, len(got), gotRest, len(want), rest)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%v: event %d is %+v, in one piece %+v", fr, i, got[i], want[i])
			}
		}
	})
}

// FuzzRoundTrip: what End writes, Next reads; what it refuses is taken off.
func FuzzRoundTrip(f *testing.F) {
	f.Add(byte(0), byte(0), []byte("abc"), uint16(0))
	f.Add(byte(0xC4), byte(0xC3), []byte("abc"), uint16(9998))
	f.Fuzz(func(t *testing.T, a, b byte, payload []byte, more uint16) {
		fr, err := Parse(options(a, b))
		if err != nil {
			t.Fatal(err)
		}
		payload = append(payload[:len(payload):len(payload)], make([]byte, more)...)
		before := []byte("before")
		wire, err := fr.End(append(fr.Begin(before), payload...), len(before))
		if err != nil {
			if string(wire) != "before" || errors.Is(err, ErrOversize) != (len(payload) > fr.Max()) {
				t.Fatalf("%v: %d bytes refused with %v, %q left", fr, len(payload), err, wire)
			}
			return
		}
		if len(payload) > fr.Max() || len(wire) > len(before)+len(payload)+Overhead {
			t.Fatalf("%v: %d bytes became %d", fr, len(payload), len(wire))
		}
		frame, used, err := fr.Next(append(wire[len(before):], "rubbish"...))
		if err != nil || used != len(wire)-len(before) || string(frame) != string(payload) || (frame == nil) != (len(payload) == 0) {
			t.Fatalf("%v: %d bytes come back as %d, %d used, %v", fr, len(payload), len(frame), used, err)
		}
	})
}
