package iso8583

import (
	"bytes"
	"math/rand/v2"
	"testing"

	moov "github.com/moov-io/iso8583"

	"tongka/codec/iso8583/internal/dialect"
	"tongka/codec/iso8583/internal/table"
)

// moov and this package must make the same bytes of the same values, and read
// the same values from them.
func TestMoovAgrees(t *testing.T) {
	for _, s := range every {
		t.Run(s.Name(), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 8583))
			spec := moovOf(t, s)
			for range 300 {
				if agree(t, r, s, spec); t.Failed() {
					return
				}
			}
		})
	}
}

func agree(t *testing.T, r *rand.Rand, s *Spec, spec *moov.MessageSpec) {
	m := randomMessage(r, s, []float64{0.05, 0.3, 0.9}[r.IntN(3)])
	his := moov.NewMessage(spec)
	his.MTI("0200")
	for n, v := range m {
		if v != nil {
			if err := his.BinaryField(n, v); err != nil {
				t.Fatalf("moov F%d: %v", n, err)
			}
		}
	}
	packed, err := his.Pack()
	if err != nil {
		t.Fatal(err)
	}
	built := m.build(t, s, 0x0200)
	if !bytes.Equal(built, packed) {
		t.Errorf("built\n%X\nmoov\n%X", built, packed)
	}
	v := parse(t, s, packed)
	got := values(v)
	got.diff(t, &m)

	again := moov.NewMessage(spec)
	if err := again.Unpack(built); err != nil {
		t.Fatalf("moov cannot read %X: %v", built, err)
	}
	for n, want := range m {
		if want == nil {
			continue
		}
		if b, err := again.GetBytes(n); err != nil || !bytes.Equal(b, want) {
			t.Errorf("moov reads F%d as %q, want %q: %v", n, b, want, err)
		}
	}
}

// What moov refuses to read may be read here only where this package means to
// be more tolerant, and the other way round: damage a message a little and
// compare the two verdicts.
func TestMoovRefusesWhatParseRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8583))
	accepted, refused := 0, 0
	his := map[*Spec]*moov.MessageSpec{}
	for _, s := range every {
		his[s] = moovOf(t, s)
	}
	for range 8000 {
		s := every[r.IntN(len(every))]
		m := randomMessage(r, s, 0.1)
		msg := m.build(t, s, 0x0200)
		switch at := r.IntN(len(msg)); r.IntN(8) {
		case 0:
			msg = msg[:at]
		case 1:
			msg = append(msg, 0)
		default:
			msg[at] ^= 1 << r.IntN(8)
		}
		if verdicts(t, s, his[s], msg) {
			accepted++
		} else {
			refused++
		}
	}
	if accepted < 100 || refused < 100 {
		t.Errorf("%d accepted and %d refused: the test does not test both", accepted, refused)
	}
}

// verdicts holds what Parse says of a message against what moov says: both refuse,
// or both read the same values, but for the differences that are meant. It says
// whether Parse reads it.
func verdicts(t *testing.T, s *Spec, spec *moov.MessageSpec, msg []byte) bool {
	t.Helper()
	his := moov.NewMessage(spec)
	hisErr := his.Unpack(msg)
	var v View
	if s.Parse(&v, msg) != nil {
		if hisErr == nil && !known(s, &v) {
			t.Fatalf("%s: refused: %v, yet moov reads %X", s.Name(), &v.err, msg)
		}
		return false
	}
	if hasPadF(&v) {
		return true
	}
	if hisErr != nil {
		t.Fatalf("%s: %X is read, but moov says %v", s.Name(), msg, hisErr)
	}
	for n := 2; n <= MaxField; n++ {
		if !v.Has(n) {
			continue
		}
		if b, err := his.GetBytes(n); err != nil || !bytes.Equal(b, v.AppendText(nil, n)) {
			t.Fatalf("%s F%d of %X: %q, moov %q %v", s.Name(), n, msg, v.AppendText(nil, n), b, err)
		}
	}
	return true
}

// FuzzMoov compares the two on any bytes, in every dialect that both know.
func FuzzMoov(f *testing.F) {
	his := map[*Spec]*moov.MessageSpec{}
	for i, s := range every {
		his[s] = moovOf(f, s)
		f.Add(byte(i), saleIn(f, s))
	}
	f.Fuzz(func(t *testing.T, which byte, msg []byte) {
		s := every[int(which)%len(every)]
		verdicts(t, s, his[s], msg)
	})
}

// known says that a refusal is one of those in which this package means to be
// stricter than moov; docs/dialects.md lists them.
func known(s *Spec, v *View) bool {
	e, f := &v.err, s.decl.Fields[v.err.Field]
	switch e.Reason {
	case BadPad, Trailing:
		return true
	case TooLong: // the first nibble of a packed LLL
		return f.Count == dialect.BCD && f.Prefix == 3 || e.Want == maxMessage
	case BadPrefix: // that nibble, or a sign before digits
		return f.Count == dialect.BCD && f.Prefix == 3 || f.Count == dialect.ASCII || f.Count == dialect.EBCDIC
	case BadDigit: // F at the end of packed digits, which moov takes for a filler
		return f.Packed() && e.Got&15 == 15
	case NotInDialect, SecondBitmap: // bits of which moov takes no notice
		return e.Field%64 == 1
	}
	return false
}

// hasPadF says that some pad nibble is above 9, which moov does not take: F,
// or anything in a loose field.
func hasPadF(v *View) bool {
	for n := 2; n <= MaxField; n++ {
		f, p := v.spec.fields[n], v.Field(n)
		if !v.Has(n) || f.Coding < table.PackedLeft || v.Len(n)&1 == 0 {
			continue
		}
		if pad := p[len(p)-1] & 15; f.Coding != table.PackedRight && pad > 9 || f.Coding == table.PackedRight && p[0]>>4 > 9 {
			return true
		}
	}
	return false
}
