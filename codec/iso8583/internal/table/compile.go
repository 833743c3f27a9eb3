package table

import (
	"fmt"
	"strings"

	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"

	"tongka/codec/iso8583/internal/dialect"
)

// Compile makes the row of field n of a moov specification. The MTI is field 0
// and the bitmap field 1, of which only the coding counts.
func Compile(n int, f field.Field) (Field, error) {
	m := f.Spec()
	c, err := codingOf(f)
	if err != nil {
		return Field{}, err
	}
	d := Field{Coding: c, Max: uint16(m.Length)}
	if n == 1 {
		return d, nil
	}
	if m.Length < 1 || m.Length > 9999 {
		return d, fmt.Errorf("length %d: from 1 to 9999", m.Length)
	}
	if m.Pad != nil {
		if pad := string(m.Pad.Inspect()); pad != "" && (pad == "0") != c.Number() {
			return d, fmt.Errorf("pad %q: zeros left of digits and spaces right of text only", pad)
		}
	}
	d.Size = uint16(c.Size(m.Length))
	switch name := m.Pref.Inspect(); name {
	case "BCD.LL", "BCD.LLL":
		d.BCD, d.Prefix = true, uint8(strings.Count(name, "L")+1)/2
	case "ASCII.LL", "ASCII.LLL":
		d.Prefix = uint8(strings.Count(name, "L"))
	default:
		if !strings.HasSuffix(name, ".Fixed") {
			return d, fmt.Errorf("length prefix %s: want fixed, LL or LLL in ASCII or BCD", name)
		}
	}
	switch {
	case c == Hexed && d.Prefix != 0:
		return d, fmt.Errorf("hexadecimal of variable length")
	case strings.HasSuffix(m.Pref.Inspect(), ".LL") && m.Length > 99, d.Prefix != 0 && m.Length > 999:
		return d, fmt.Errorf("length %d does not fit the length prefix %s", m.Length, m.Pref.Inspect())
	}
	return d, nil
}

// codingOf reads the coding off moov's encoder and, where one encoder serves
// several kinds, off the field's Go type.
func codingOf(f field.Field) (Coding, error) {
	switch f.(type) {
	case *field.Bitmap, *field.String, *field.Numeric, *field.Binary, *field.Track2, *field.Track3:
	default:
		return Absent, fmt.Errorf("%T is not a primitive field", f)
	}
	switch enc := f.Spec().Enc; enc {
	case encoding.LBCD:
		switch f.(type) {
		case *field.Track2, *field.Track3:
			return PackedTrack, nil
		}
		return PackedLeft, nil
	case encoding.BCD:
		return PackedRight, nil
	case encoding.BytesToASCIIHex:
		return Hexed, nil
	case dialect.Digits:
		return Digits, nil
	case dialect.Track:
		return Track, nil
	case dialect.PackedTrack:
		return PackedTrack, nil
	case encoding.Binary, encoding.ASCII:
		switch f.(type) {
		case *field.Numeric:
			return Digits, nil
		case *field.Track2, *field.Track3:
			return Track, nil
		case *field.Binary, *field.Bitmap:
			return Raw, nil
		}
		if pad := f.Spec().Pad; pad != nil && string(pad.Inspect()) == "0" {
			return Digits, nil // moov's way to say "amount"
		}
		return Text, nil
	default:
		return Absent, fmt.Errorf("encoder %T is not one of this codec's", enc)
	}
}
