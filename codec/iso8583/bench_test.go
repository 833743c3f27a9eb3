package iso8583

import "testing"

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

func BenchmarkParse(b *testing.B) {
	var v View
	msg := saleMessage(b)
	b.Run("pos", func(b *testing.B) {
		for b.Loop() {
			if err := posSpec.Parse(&v, msg); err != nil {
				b.Fatal(err)
			}
		}
	})
	out, err := toCups(nil, &v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("cups", func(b *testing.B) {
		for b.Loop() {
			if err := cupsSpec.Parse(&v, out); err != nil {
				b.Fatal(err)
			}
		}
	})
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
