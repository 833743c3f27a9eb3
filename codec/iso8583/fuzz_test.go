package iso8583

import (
	"bytes"
	"testing"
)

// Whatever parses is built again from its canonical values: to the same bytes,
// but that pad nibbles become 0, hexadecimal becomes upper case and cups gets
// both bitmaps. Built once more, nothing changes any longer.
func fuzzDialect(f *testing.F, s *Spec, pattern string) {
	for _, c := range samples(f, pattern) {
		var env Envelope
		if msg, err := c.spec.Split(c.frame, &env); err == nil {
			f.Add(msg)
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var v View
		given := bytes.Clone(msg)
		if err := s.Parse(&v, msg); err != nil {
			if e := err.(*FieldError); e.Offset < 0 || e.Offset > len(msg) || e.Error() == "" {
				t.Fatalf("%+v for %d bytes", e, len(msg))
			}
			return
		}
		want := values(&v)
		built := recode(t, s, &v)
		again := parse(t, s, built)
		got := values(again)
		got.diff(t, &want)
		if second := recode(t, s, again); !bytes.Equal(second, built) {
			t.Errorf("%X is built again as %X", built, second)
		}
		if grown := len(built) - len(msg); grown != 0 && !(s.bit1 != 0 && grown == 8) && len(s.emptyHalf(&v)) == 0 {
			t.Errorf("%X is built again as %X", msg, built)
		}
		copied := s.Begin(nil, v.MTI())
		for n := 2; n <= MaxField; n++ {
			copied.Copy(n, &v, n)
		}
		if out, err := copied.End(); err != nil || !bytes.EqualFold(out, built) {
			t.Errorf("copied %X, %v, built %X", out, err, built)
		}
		all := s.Begin(nil, v.MTI())
		all.CopyRun(&v, 2, 128)
		if out, err := all.End(); err != nil || !bytes.EqualFold(out, built) {
			t.Errorf("copied at once %X, %v, built %X", out, err, built)
		}
		if !bytes.Equal(msg, given) {
			t.Error("the message was changed")
		}
	})
}

// emptyHalf is the second bitmap of a message that has it but no field above
// 64: where the second bitmap comes on demand, it goes.
func (s *Spec) emptyHalf(v *View) []byte {
	if s.bit1 != 0 || !s.second || v.last() > 64 {
		return nil
	}
	at := s.mtiSize + s.mapSize
	if len(v.msg) < at+s.mapSize {
		return nil
	}
	return v.msg[at : at+s.mapSize]
}

func FuzzPos(f *testing.F)   { fuzzDialect(f, Pos(), "pos-*") }
func FuzzBCD(f *testing.F)   { fuzzDialect(f, BCD(), "bcd-*") }
func FuzzCups(f *testing.F)  { fuzzDialect(f, Cups(), "ascii-[cu]*") }
func FuzzASCII(f *testing.F) { fuzzDialect(f, ASCII(), "ascii-[hjm]*") }

func FuzzSplit(f *testing.F) {
	for _, c := range samples(f, "*") {
		f.Add(c.frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, s := range every {
			var env Envelope
			msg, err := s.Split(frame, &env)
			if err != nil {
				if e := err.(*FieldError); e.Offset < 0 || e.Offset > len(frame) {
					t.Fatalf("%+v for %d bytes", e, len(frame))
				}
				continue
			}
			if n := len(env.TPDU) + len(env.LRI) + len(env.Header) + len(msg); n != len(frame) {
				t.Fatalf("%d of %d bytes", n, len(frame))
			}
			if n := len(s.AppendReplyEnvelope(nil, &env)); n != len(env.TPDU)+len(env.Header) {
				t.Fatalf("a reply envelope of %d bytes", n)
			}
		}
	})
}
