package iso8583

import (
	"strings"
	"sync"

	"tongka/codec/iso8583/internal/dialect"
)

// Pos is the dialect between a UnionPay POS terminal and the switch: packed,
// fields 2 to 64, MAC in F64; TPDU and mostly a 6-byte header in front.
func Pos() *Spec { return pos() }

// BCD is the dialect of other packed terminals (Hypercom and its heirs): a
// TPDU in front, F48 and F60 to F63 text or bytes.
func BCD() *Spec { return packed() }

// Cups is the dialect between the switch and a bank or the card centre: ASCII,
// both bitmaps in 16 bytes, MAC in F128, a header of 46 bytes in front. A
// message whose bit 1 is clear is read too; a built one has both bitmaps.
func Cups() *Spec { return cups() }

// ASCII is ISO 8583:1987 in characters throughout: bitmaps and fixed binary
// fields are hexadecimal. Nothing stands before the MTI.
func ASCII() *Spec { return ascii() }

// ASCIIHexMap is ASCII with fixed binary fields as bytes.
func ASCIIHexMap() *Spec { return asciiHexMap() }

// ASCIIRaw is ASCII with bitmaps and fixed binary fields as bytes.
func ASCIIRaw() *Spec { return asciiRaw() }

// Binary87 is ISO 8583:1987 packed (87B): numbers of fixed length right aligned,
// those of variable length and the second track left aligned.
func Binary87() *Spec { return binary87() }

// ASCII93 is ISO 8583:1993 in characters throughout (93A).
func ASCII93() *Spec { return ascii93() }

// Binary93 is ISO 8583:1993 packed (93B), its tracks in characters.
func Binary93() *Spec { return binary93() }

// EBCDIC is ISO 8583:1987 in IBM's characters; bitmaps and fixed binary fields are
// bytes.
func EBCDIC() *Spec { return ebcdic87() }

var (
	pos         = once(dialect.Pos)
	packed      = once(dialect.Hypercom)
	cups        = once(dialect.Cups)
	ascii       = once(dialect.ASCII87)
	asciiHexMap = once(dialect.ASCIIHexMap)
	asciiRaw    = once(dialect.ASCIIRaw)
	binary87    = once(dialect.Binary87)
	ascii93     = once(dialect.ASCII93)
	binary93    = once(dialect.Binary93)
	ebcdic87    = once(dialect.EBCDIC87)
)

// Builtin gives every dialect that is built in, in the order in which a list shows
// them and in which one is preferred among equals.
func Builtin() []*Spec {
	return []*Spec{Pos(), BCD(), Cups(), ASCII(), ASCIIHexMap(), ASCIIRaw(), Binary87(), ASCII93(), Binary93(), EBCDIC()}
}

// Named finds a built-in dialect by its name, or by the short name that others
// know it by (87A), whatever the case.
func Named(name string) (*Spec, bool) {
	name = strings.ToLower(name)
	if full, ok := aliases[name]; ok {
		name = full
	}
	for _, s := range Builtin() {
		if s.name == name {
			return s, true
		}
	}
	return nil, false
}

// aliases are the names of dialects in other programs.
var aliases = map[string]string{"87a": "ascii"}

// once compiles a dialect at its first use. A fault in one is a fault in the
// program, found by the first test that runs.
func once(declare func() *Declaration) func() *Spec {
	return sync.OnceValue(func() *Spec {
		s, err := Compile(declare())
		if err != nil {
			panic(err)
		}
		return s
	})
}
