package iso8583

import (
	"strings"
	"sync"

	moov "github.com/moov-io/iso8583"

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

var (
	pos         = once(dialect.Pos, Options{Framing: TPDUHeader})
	packed      = once(dialect.BCD, Options{Framing: TPDUOnly, Loose: []int{22}})
	cups        = once(dialect.Cups, Options{Framing: Centre, Wide: true})
	ascii       = once(dialect.ASCII, Options{})
	asciiHexMap = once(dialect.ASCIIHexMap, Options{})
	asciiRaw    = once(dialect.ASCIIRaw, Options{})
)

// Builtin gives every dialect that is built in, in the order in which a list shows
// them and in which one is preferred among equals.
func Builtin() []*Spec {
	return []*Spec{Pos(), BCD(), Cups(), ASCII(), ASCIIHexMap(), ASCIIRaw()}
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
func once(declare func() *moov.MessageSpec, o Options) func() *Spec {
	return sync.OnceValue(func() *Spec {
		m := declare()
		s, err := Compile(m.Name, m, o)
		if err != nil {
			panic(err)
		}
		return s
	})
}
