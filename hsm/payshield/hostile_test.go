package payshield

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/soft"
)

// Headers of every width that a module can be set to come back as they went, with a
// trailer and an LMK identifier, and a width beyond is refused.
func TestEveryHeaderWidth(t *testing.T) {
	for width := range 300 {
		d := Dialect{HeaderLen: width, LMK: "00"}
		if err := d.Validate(); (err == nil) != (width <= 255) {
			t.Errorf("%d characters: %v", width, err)
		}
		if width > 255 {
			continue
		}
		s := NewServer(soft.New(soft.TestLMK()), d)
		for _, header := range []uint32{0, 7, 0xFFFFFFFF} {
			frame, err := d.Append(nil, header, &hsm.Request{Verb: hsm.Diagnose})
			if fits := width == 0 || width >= 8 || header>>(4*width) == 0; (err == nil) != fits {
				t.Fatalf("%d characters: header %X: %v", width, header, err)
			}
			if err != nil {
				continue
			}
			const trailer = "\x19" + "of thirty-two characters, no mor"
			answer := s.Answer(nil, append(frame, trailer...))
			var r hsm.Reply
			if got, err := d.Parse(answer, hsm.Diagnose, &r); err != nil || got != header || !r.Code.OK() || !strings.HasSuffix(string(answer), trailer) {
				t.Fatalf("%d characters: %q, %v", width, answer, err)
			}
			long := s.Answer(nil, append(frame, trailer+"e"...))
			if width > 0 && string(long[width:width+4]) != "ND15" {
				t.Errorf("%d characters: a trailer that is too long: %q", width, long)
			}
		}
	}
}

// Bytes at random, commands cut anywhere and with any byte changed get an answer with
// the right header and no more, from every kind of module.
func TestRandomBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	for _, name := range Machines() {
		d, err := Machine(name)
		if err != nil {
			t.Fatal(err)
		}
		d.HeaderLen = 4
		s := NewServer(soft.New(soft.TestLMK()), d)
		try := func(frame []byte) {
			got := s.Answer([]byte("kept"), frame)
			if string(got[:4]) != "kept" {
				t.Fatalf("%q: what was there is gone", frame)
			}
			if got = got[4:]; len(frame) < 6 {
				if len(got) > 0 {
					t.Errorf("%q is answered %q", frame, got)
				}
			} else if len(got) < 8 || string(got[:5]) != string(frame[:5]) || got[5] != frame[5]+1 {
				t.Errorf("%s: %q is answered %q", name, frame, got)
			}
		}
		codes := []string{"NK"}
		for _, row := range rows {
			codes = append(codes, row.code)
		}
		for range 4000 {
			b := make([]byte, r.IntN(120))
			for i := range b {
				b[i] = "0123456789ABCDEFUSX;*%\x19N"[r.IntN(24)]
				if r.IntN(8) == 0 {
					b[i] = byte(r.Uint32())
				}
			}
			try(append([]byte("0001"+codes[r.IntN(len(codes))]), b...))
			try(b)
		}
		for _, v := range published {
			for cut := range len(v.command) {
				try([]byte(v.command[:cut]))
				b := []byte(v.command)
				b[max(4, cut)] = byte(r.Uint32())
				try(b)
			}
		}
	}
}

// A client that is answered at random gives errors that name a byte, and a header that
// it did not make up.
func TestRandomAnswers(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 13))
	d := city(t)
	s := NewServer(soft.New(soft.TestLMK()), d)
	for verb := hsm.VerifyMAC; verb <= hsm.Echo; verb++ {
		for range 500 {
			b := make([]byte, r.IntN(100))
			for i := range b {
				b[i] = "0123456789ABCDEFUSX;*%\x19N"[r.IntN(24)]
			}
			if r.IntN(2) == 0 {
				b = append(fmt.Appendf(nil, "%04XM700", r.IntN(1<<16)), b...)
			}
			var reply hsm.Reply
			if _, err := d.Parse(b, verb, &reply); err != nil && !strings.Contains(err.Error(), "byte ") && !strings.Contains(err.Error(), "digits") {
				t.Errorf("%q: %v", b, err)
			}
		}
	}
	// The answer to one request never passes for another verb's.
	frame, err := d.Append(nil, 1, &hsm.Request{Verb: hsm.Diagnose})
	if err != nil {
		t.Fatal(err)
	}
	answer := s.Answer(nil, frame)
	for verb := hsm.VerifyMAC; verb <= hsm.Echo; verb++ {
		var reply hsm.Reply
		if _, err := d.Parse(answer, verb, &reply); (err == nil) != (verb == hsm.Diagnose) {
			t.Errorf("verb %d takes the answer to NC: %v", verb, err)
		}
	}
}
