package iso8583

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	moov "github.com/moov-io/iso8583"

	"tongka/codec/iso8583/internal/dialect"
)

func itoa(n int) string { return strconv.Itoa(n) }

// unhex reads hexadecimal with spaces.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// every dialect with the specification that it was compiled from.
var every = []struct {
	spec *Spec
	moov func() *moov.MessageSpec
}{
	{Pos(), dialect.Pos}, {BCD(), dialect.BCD}, {Cups(), dialect.Cups},
	{ASCII(), dialect.ASCII}, {ASCIIHexMap(), dialect.ASCIIHexMap}, {ASCIIRaw(), dialect.ASCIIRaw},
}

// message is field values by number; nil is absent.
type message [129][]byte

// randomMessage has each field of the dialect with the given probability, with
// a canonical value of any allowed length.
func randomMessage(r *rand.Rand, s *Spec, p float64) (m message) {
	for n := 2; n <= 128; n++ {
		if s.Kind(n) != Absent && (r.Float64() < p || n == 128 && s.bit1 != 0) {
			m[n] = randomValue(r, s, n)
		}
	}
	return m
}

func randomValue(r *rand.Rand, s *Spec, n int) []byte {
	l := int(s.fields[n].Max)
	if !s.Fixed(n) {
		l = r.IntN(l + 1)
	}
	v := make([]byte, l)
	for i := range v {
		switch s.Kind(n) {
		case Numeric:
			v[i] = '0' + byte(r.IntN(10))
		case Track:
			v[i] = "0123456789D"[r.IntN(11)]
		default:
			v[i] = byte(r.IntN(256))
		}
	}
	return v
}

func (m *message) build(tb testing.TB, s *Spec, mti MTI) []byte {
	tb.Helper()
	b := s.Begin(nil, mti)
	for n, v := range m {
		if v != nil {
			b.Put(n, v)
		}
	}
	out, err := b.End()
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// values reads a view back into canonical values.
func values(v *View) (m message) {
	for n := 2; n <= 128; n++ {
		if v.Has(n) {
			m[n] = v.AppendText([]byte{}, n)
		}
	}
	return m
}

func (m *message) diff(tb testing.TB, want *message) {
	tb.Helper()
	for n := range m {
		if (m[n] == nil) != (want[n] == nil) || !bytes.Equal(m[n], want[n]) {
			tb.Errorf("F%d is %q, want %q", n, m[n], want[n])
		}
	}
}

func parse(tb testing.TB, s *Spec, msg []byte) *View {
	tb.Helper()
	var v View
	if err := s.Parse(&v, msg); err != nil {
		tb.Fatalf("%s: %X: %v", s.Name(), msg, err)
	}
	return &v
}

func atoi(tb testing.TB, s string) int {
	tb.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
