// Package dialect declares each dialect once, as a moov-io/iso8583 message
// specification. It is the only place where a field's length and coding are
// written down; package iso8583 compiles its tables from here.
package dialect

import (
	moov "github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"
)

// wire is the vocabulary in which the dialects below declare their fields as
// moov fields: which length prefixes they use and whether digits are packed.
// Text is declared with moov's binary encoder, because merchants' names come
// in GBK and moov's ASCII encoder refuses them.
type wire struct {
	ll, lll  prefix.Prefixer
	number   encoding.Encoder // digits; packed ones left aligned
	right    encoding.Encoder // digits; packed ones right aligned
	stripe   encoding.Encoder // magnetic stripes
	hexBytes bool             // fixed binary fields travel as hexadecimal
}

var (
	packedWire = wire{ll: prefix.BCD.LL, lll: prefix.BCD.LLL, number: encoding.LBCD, right: encoding.BCD, stripe: PackedTrack}
	asciiWire  = wire{ll: prefix.ASCII.LL, lll: prefix.ASCII.LLL, number: Digits, right: Digits, stripe: Track}
)

func str(n int, p prefix.Prefixer, e encoding.Encoder) field.Field {
	return field.NewString(&field.Spec{Length: n, Enc: e, Pref: p})
}

func (w wire) n(n int) field.Field      { return str(n, prefix.ASCII.Fixed, w.right) }
func (w wire) nLeft(n int) field.Field  { return str(n, prefix.ASCII.Fixed, w.number) }
func (w wire) nLL(n int) field.Field    { return str(n, w.ll, w.number) }
func (w wire) nLLL(n int) field.Field   { return str(n, w.lll, w.number) }
func (w wire) zLL(n int) field.Field    { return str(n, w.ll, w.stripe) }
func (w wire) zLLL(n int) field.Field   { return str(n, w.lll, w.stripe) }
func (w wire) ans(n int) field.Field    { return str(n, prefix.ASCII.Fixed, encoding.Binary) }
func (w wire) ansLL(n int) field.Field  { return str(n, w.ll, encoding.Binary) }
func (w wire) ansLLL(n int) field.Field { return str(n, w.lll, encoding.Binary) }

func (w wire) b(n int) field.Field {
	var e encoding.Encoder = encoding.Binary
	if w.hexBytes {
		e = encoding.BytesToASCIIHex
	}
	return field.NewBinary(&field.Spec{Length: n, Enc: e, Pref: prefix.Binary.Fixed})
}

func (w wire) bLLL(n int) field.Field {
	return field.NewBinary(&field.Spec{Length: n, Enc: encoding.Binary, Pref: w.lll})
}

// bitmap declares field 1: 8 bytes, extended by 8 more when a field above 64
// is present.
func bitmap(e encoding.Encoder) field.Field {
	return field.NewBitmap(&field.Spec{Length: 8, Enc: e, Pref: prefix.Binary.Fixed})
}

// named makes the specification and names its fields.
func named(name string, fields map[int]field.Field) *moov.MessageSpec {
	for n, f := range fields {
		f.Spec().Description = names[n]
	}
	return &moov.MessageSpec{Name: name, Fields: fields}
}
