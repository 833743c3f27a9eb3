package dialect

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryDeclarationIsWholeAndNamed(t *testing.T) {
	for _, declare := range []func() *Declaration{Pos, Hypercom, Cups, ASCII87, ASCIIHexMap, ASCIIRaw, Binary87, ASCII93, Binary93, EBCDIC87} {
		d := declare()
		if faults := d.Faults(); faults != nil || d.About == "" {
			t.Errorf("%s: %v", d.Name, faults)
		}
		for n, f := range d.Fields {
			if f.Name == "" {
				t.Errorf("%s F%d has no name", d.Name, n)
			}
		}
		spec, err := d.Moov()
		if err == nil {
			err = spec.Validate()
		}
		if err != nil || len(spec.Fields) != len(d.Fields)+2 {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
}

func TestEncoders(t *testing.T) {
	for _, c := range []struct {
		name       string
		enc        *checked
		text, wire string
	}{
		{"digits", asciiDigits, "0123456789", "0123456789"},
		{"track", asciiTrack, "12=34", "12=34"},
		{"packed track", packedTrack, "12D34", "\x12\xD3\x40"},
		{"packed track, even", packedTrack, "12D345", "\x12\xD3\x45"},
		{"EBCDIC digits", ebcdicDigits, "0129", "\xF0\xF1\xF2\xF9"},
		{"EBCDIC track", ebcdicTrack, "12=3D4", "\xF1\xF2\x7E\xF3\xC4\xF4"},
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
	if b, n, err := ebcdicHex.Decode([]byte("\xC1\xF1\xF0\x86"), 2); err != nil || n != 4 || cmp.Diff(b, []byte{0xA1, 0x0F}) != "" {
		t.Errorf("EBCDIC hexadecimal: %X %d %v", b, n, err)
	}
	if _, _, err := ebcdicHex.Decode([]byte("\xC1"), 1); err == nil {
		t.Error("half a byte")
	}
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		check Check
		value string
		bad   int
	}{
		{NoCheck, "\x00?", -1}, {Digits, "0129", -1}, {Digits, "01A", 2}, {Alpha, "Ab c", -1}, {Alpha, "A1", 1}, {AlphaNumeric, "A1 ", -1},
		{AlphaNumeric, "A-", 1}, {Printable, "A-~ ", -1}, {Printable, "A\x7F", 1}, {Luhn, "79927398713", -1}, {Luhn, "79927398714", 10},
		{Luhn, "7992D", 4}, {Luhn, "", -1}, {MMDD, "1231", -1}, {MMDD, "0229", -1}, {MMDD, "0230", 2}, {MMDD, "1301", 0}, {MMDD, "0000", -1},
		{MMDD, "0100", 2}, {MMDD, "12", 1}, {MMDD, "12A1", 2}, {MMDD, "010101", 4}, {YYMM, "3012", -1}, {YYMM, "3013", 2}, {YYMMDD, "991231", -1}, {HHMMSS, "235959", -1},
		{HHMMSS, "240000", 0}, {HHMMSS, "236000", 2}, {MMDDHHMMSS, "0713035021", -1}, {MMDDHHMMSS, "0713035061", 8}, {YYMMDDHHMMSS, "260713035021", -1},
		{BERTLV, "\x9F\x26\x01\xAA\x95\x00", -1}, {BERTLV, "\x9F\x26\x02\xAA", 2}, {BERTLV, "\x9F", 0}, {BERTLV, "\x95", 0}, {BERTLV, "\x00\x00", -1},
		{BERTLV, "\x5A\x80", 1}, {BERTLV, "\x5A\x82\x00", 1}, {BERTLV, "\x5A\x81\x01\x12", -1}, {BERTLV, "\x9F\x81\x82\x83\x01", 3},
	} {
		if got := c.check.Bad([]byte(c.value)); got != c.bad {
			t.Errorf("%s of %q: byte %d, want %d", c.check, c.value, got, c.bad)
		}
	}
}
