package iso8583

import (
	"bytes"
	"encoding/hex"
	"maps"
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
var every = append(Builtin(), triple(dialect.ThirdFollows, "bcd", dialect.Bytes), triple(dialect.ThirdFollows, "ebcdic", dialect.EBCDICHex))

// triple is a built-in dialect with a third bitmap and some fields of its own.
func triple(where Third, name string, bitmap Coding) *Spec {
	base, _ := Named(name)
	d := *base.Declaration()
	d.Fields = maps.Clone(d.Fields)
	d.Name, d.Bitmap, d.Third = d.Name+"-triple", bitmap, where
	delete(d.Fields, 65)
	d.Fields[66], d.Fields[130] = d.Fields[3], d.Fields[2]
	d.Fields[150], d.Fields[191], d.Fields[192] = d.Fields[60], d.Fields[35], d.Fields[52]
	s, err := Compile(&d)
	if err != nil {
		panic(err)
	}
	return s
}

// moovOf says the same dialect in moov's words.
func moovOf(tb testing.TB, s *Spec) *moov.MessageSpec {
	tb.Helper()
	m, err := s.Declaration().Moov()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// message is field values by number; nil is absent.
type message [MaxField + 1][]byte

// randomMessage has each field of the dialect with the given probability, with
// a canonical value of any allowed length.
func randomMessage(r *rand.Rand, s *Spec, p float64) (m message) {
	for n := 2; n <= MaxField; n++ {
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
	for n := 2; n <= MaxField; n++ {
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
