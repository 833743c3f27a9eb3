package dialect

import (
	"testing"

	moov "github.com/moov-io/iso8583"
)

func TestEverySpecificationIsValidAndNamed(t *testing.T) {
	for _, spec := range []*moov.MessageSpec{Pos(), BCD(), Cups(), ASCII(), ASCIIHexMap(), ASCIIRaw()} {
		if err := spec.Validate(); err != nil || spec.Name == "" {
			t.Errorf("%q: %v", spec.Name, err)
		}
		for n, f := range spec.Fields {
			if f.Spec().Description == "" {
				t.Errorf("%s F%d has no name", spec.Name, n)
			}
		}
	}
}

func TestEncoders(t *testing.T) {
	for _, c := range []struct {
		name       string
		enc        *checked
		text, wire string
	}{
		{"digits", Digits.(*checked), "0123456789", "0123456789"},
		{"track", Track.(*checked), "12=34", "12=34"},
		{"packed track", PackedTrack.(*checked), "12D34", "\x12\xD3\x40"},
		{"packed track, even", PackedTrack.(*checked), "12D345", "\x12\xD3\x45"},
	} {
		got, err := c.enc.Encode([]byte(c.text))
		if err != nil || string(got) != c.wire {
			t.Errorf("%s: %X, %v", c.name, got, err)
		}
		back, read, err := c.enc.Decode([]byte(c.wire+"rest"), len(c.text))
		if err != nil || string(back) != c.text || read != len(c.wire) {
			t.Errorf("%s: %q, %d, %v", c.name, back, read, err)
		}
		if _, err := c.enc.Encode([]byte("1?")); err == nil {
			t.Errorf("%s encodes a question mark", c.name)
		}
		if _, _, err := c.enc.Decode([]byte("\xEE\xEE"), 2); err == nil {
			t.Errorf("%s decodes EE", c.name)
		}
		if _, _, err := c.enc.Decode([]byte("1"), 9); err == nil {
			t.Errorf("%s decodes what is not there", c.name)
		}
		if _, _, err := c.enc.Decode([]byte("1"), -1); err == nil {
			t.Errorf("%s decodes a negative length", c.name)
		}
	}
}
