package iso8583

import (
	"maps"
	"testing"

	"tongka/codec/iso8583/internal/dialect"
)

// The dialects, held as whoever serves a line holds them.
var posSpec, cupsSpec = Pos(), Cups()

// What is copied as it is: all of the sale's fields but the MAC.
var carried = Fields(2, 3, 4, 11, 14, 22, 23, 25, 26, 35, 41, 42, 49, 52, 53, 55, 60)

// saleFields are the 18 fields of the sale that the benchmarks use.
var saleFields = []struct {
	n    int
	text string
}{
	{2, "6222020000000000005"}, {3, "000000"}, {4, "000000012345"}, {11, "000123"}, {14, "3012"}, {22, "051"}, {23, "001"}, {25, "00"},
	{26, "06"}, {35, "6222020000000000005D30122010000000000"}, {41, "10000147"}, {42, "801000949000001"}, {49, "156"}, {52, "\x12\x34\x56\x78\x9A\xBC\xDE\xF0"},
	{53, "2600000000000000"}, {55, "\x9F\x26\x08\xAC\xF9\x58\xC8\x0F\xF7\x44\x03\x9F\x27\x01\x80"}, {60, "22000006000601"}, {64, "D2C1FB4B"},
}

func saleMessage(tb testing.TB) []byte {
	tb.Helper()
	b := Pos().Begin(nil, 0x0200)
	for _, f := range saleFields {
		b.Put(f.n, []byte(f.text))
	}
	msg, err := b.End()
	if err != nil {
		tb.Fatal(err)
	}
	return msg
}

// toCups and toPos copy what both dialects have; the MAC goes from 64 to 128
// and back.
func toCups(dst []byte, v *View) ([]byte, error) {
	var b Builder
	b.Reset(cupsSpec, dst, v.MTI())
	b.CopySet(v, carried)
	b.Copy(128, v, 64)
	return b.End()
}

func toPos(dst []byte, v *View) ([]byte, error) {
	var b Builder
	b.Reset(posSpec, dst, v.MTI())
	b.CopySet(v, carried)
	b.Copy(64, v, 128)
	return b.End()
}

// saleIn is the same sale in any dialect, its MAC in F128 where F64 is none.
func saleIn(tb testing.TB, s *Spec) []byte {
	tb.Helper()
	b := s.Begin(nil, 0x0200)
	for _, f := range saleFields {
		n := f.n
		if n == 64 && s.Kind(64) == Absent {
			n = 128
		}
		b.Put(n, []byte(f.text))
	}
	msg, err := b.End()
	if err != nil {
		tb.Fatalf("%s: %v", s.Name(), err)
	}
	return msg
}

// Every dialect, 18 fields each, those with a third bitmap and with a check on a
// field too.
func BenchmarkParse(b *testing.B) {
	var v View
	for _, s := range append(every, dated(b)) {
		msg := saleIn(b, s)
		b.Run(s.Name(), func(b *testing.B) {
			for b.Loop() {
				if err := s.Parse(&v, msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// dated is pos with a check on the card's expiry.
func dated(tb testing.TB) *Spec {
	d := *Pos().Declaration()
	d.Name, d.Fields = "pos-checked", maps.Clone(d.Fields)
	f := d.Fields[14]
	f.Check = dialect.YYMM
	d.Fields[14] = f
	s, err := Compile(&d)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// No dialect allocates: to parse, to read values, to copy into its own like, and
// out of and into each other.
func TestNoDialectAllocates(t *testing.T) {
	var v View
	var b Builder
	buf, value := make([]byte, 0, 4096), make([]byte, 0, 4096)
	for _, s := range append(every, dated(t)) {
		msg := saleIn(t, s)
		for _, to := range every {
			some := Fields(2, 3, 4, 11, 14, 23, 35, 41, 42, 49, 52)
			if n := testing.AllocsPerRun(20, func() {
				if s.Parse(&v, msg) != nil {
					t.Fatal("not read")
				}
				for f := 2; f <= 128; f++ {
					value = v.AppendText(value[:0], f)
				}
				b.Reset(to, buf[:0], 0x0200)
				b.CopySet(&v, some)
				b.PutUint(70, 301)
				b.Copy(102, &v, 102)
				if out, err := b.End(); err == nil && &out[0] != &buf[:1][0] {
					t.Fatal("the buffer was left")
				}
			}); n != 0 && to.Kind(70) != Absent {
				t.Errorf("%s to %s: %v allocations", s.Name(), to.Name(), n)
			}
		}
	}
}

func BenchmarkTranscode(b *testing.B) {
	var v, w View
	msg := saleMessage(b)
	buf, back := make([]byte, 0, 512), make([]byte, 0, 512)
	var err error
	if err = posSpec.Parse(&v, msg); err != nil {
		b.Fatal(err)
	}
	b.Run("pos-to-cups", func(b *testing.B) {
		for b.Loop() {
			if buf, err = toCups(buf[:0], &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err = cupsSpec.Parse(&w, buf); err != nil {
		b.Fatal(err)
	}
	b.Run("cups-to-pos", func(b *testing.B) {
		for b.Loop() {
			if back, err = toPos(back[:0], &w); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse-pos-to-cups", func(b *testing.B) {
		for b.Loop() {
			if err = posSpec.Parse(&v, msg); err == nil {
				buf, err = toCups(buf[:0], &v)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The figure that the switch is accepted by: a sale of 18 fields is parsed,
// translated for the bank and, what the bank's dialect says of it, translated
// back. The answer of the bank is parsed elsewhere.
func BenchmarkParseAndTranslateBothWays(b *testing.B) {
	var v, w View
	msg := saleMessage(b)
	there, back := make([]byte, 0, 512), make([]byte, 0, 512)
	answer, err := toCups(nil, parse(b, Pos(), msg))
	if err == nil {
		err = cupsSpec.Parse(&w, answer)
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err = posSpec.Parse(&v, msg); err == nil {
			if there, err = toCups(there[:0], &v); err == nil {
				back, err = toPos(back[:0], &w)
			}
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
