package clear

import (
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"tongka/hsm"
)

func TestEncodePIN(t *testing.T) {
	for _, c := range []struct {
		name, pin, pan12 string
		f                hsm.PINFormat
		fill             uint64
		want             string
	}{
		{"format 0, Thales simulator", "1234", "550000025321", hsm.ISO0, 0, "041261FFFFFDACDE"},
		{"format 0, six digits", "123456", "588480888010", hsm.ISO0, 0, "06126CD27F777FEF"},
		{"format 0, short account", "1234", "401234567890", hsm.ISO0, 0, "041274EDCBA9876F"},
		{"format 1", "1234", "", hsm.ISO1, 0, "1412340000000000"},
		{"format 3 (psec), filled with F", "1234", "555555123456", hsm.ISO3, 0x5555555555555555, "341261AAAAEDCBA9"},
		{"03, IBM", "1234", "", hsm.IBM, 0, "1234FFFFFFFFFFFF"},
		{"twelve digits", "123456789012", "000000000000", hsm.ISO0, 0, "0C123456789012FF"},
	} {
		var b [8]byte
		var pan [12]byte
		copy(pan[:], c.pan12)
		code := EncodePIN(&b, []byte(c.pin), &pan, c.f, c.fill)
		if got := fmt.Sprintf("%X", b); !code.OK() || got != c.want {
			t.Errorf("%s: %s %v, want %s", c.name, got, code, c.want)
		}
	}
}

func TestPINUnderKey(t *testing.T) {
	pan := [12]byte([]byte("588480888010"))
	key, _ := hex.DecodeString(doubleKey)
	b, err := EncryptPIN(key, []byte("123456"), &pan, hsm.ISO0)
	if err != nil || fmt.Sprintf("%X", b) != "A99AA1F197A4FAF6" {
		t.Fatalf("%X, %v", b, err)
	}
	pin, err := DecryptPIN(key, b, &pan, hsm.ISO0)
	if err != nil || string(pin) != "123456" {
		t.Errorf("%s, %v", pin, err)
	}
	// The wrong account number shows in the fill.
	other := [12]byte([]byte("588480888011"))
	if _, err := DecryptPIN(key, b, &other, hsm.ISO0); !errors.Is(err, hsm.BadPINBlock) {
		t.Error(err)
	}
	if _, err := EncryptPIN(key[:5], pin, &pan, hsm.ISO0); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
	if _, err := DecryptPIN(key[:5], b, &pan, hsm.ISO0); !errors.Is(err, hsm.BadKeyLength) {
		t.Error(err)
	}
	if _, err := EncryptPIN(key, []byte("123"), &pan, hsm.ISO0); !errors.Is(err, hsm.BadPINLength) {
		t.Error(err)
	}
}

func TestPINRoundTrip(t *testing.T) {
	pan := [12]byte([]byte("550000025321"))
	for _, f := range []hsm.PINFormat{hsm.ISO0, hsm.ISO1, hsm.ISO3, hsm.IBM} {
		for n := 4; n <= 12; n++ {
			for _, fill := range []uint64{0, 0xFFFFFFFFFFFFFFFF, 0x0123456789ABCDEF} {
				want := "987654321012"[:n]
				var b [8]byte
				if code := EncodePIN(&b, []byte(want), &pan, f, fill); !code.OK() {
					t.Fatal(f, n, code)
				}
				var pin [12]byte
				got, code := DecodePIN(b, &pan, f, &pin)
				if !code.OK() || string(pin[:got]) != want {
					t.Errorf("format %02d, fill %X: %X reads %q, %v", f, fill, b, pin[:got], code)
				}
			}
		}
	}
}

func TestPINFaults(t *testing.T) {
	for _, c := range []struct {
		name, block string
		pan12       string
		f           hsm.PINFormat
		want        hsm.Code
	}{
		{"unknown format", "0412341111111111", "000000000000", 6, hsm.BadFormat},
		{"account with a letter", "041234FFFFFFFFFF", "00000000000A", hsm.ISO0, hsm.BadAccount},
		{"control nibble", "141234FFFFFFFFFF", "000000000000", hsm.ISO0, hsm.BadPINBlock},
		{"three digits", "03123FFFFFFFFFFF", "000000000000", hsm.ISO0, hsm.BadPINLength},
		{"thirteen digits", "0D1234567890123F", "000000000000", hsm.ISO0, hsm.BadPINLength},
		{"a letter for a digit", "04123AFFFFFFFFFF", "000000000000", hsm.ISO0, hsm.BadPINBlock},
		{"fill that is not F", "041234FFFFFFFFF0", "000000000000", hsm.ISO0, hsm.BadPINBlock},
		{"fill that is a digit", "341234AAAAAAAAA9", "000000000000", hsm.ISO3, hsm.BadPINBlock},
		{"format 1, control", "0412340000000000", "", hsm.ISO1, hsm.BadPINBlock},
		{"format 1, length", "1D12340000000000", "", hsm.ISO1, hsm.BadPINLength},
		{"IBM, three digits", "123FFFFFFFFFFFFF", "", hsm.IBM, hsm.BadPINLength},
		{"IBM, digit behind the fill", "1234FFFFFFFFFFF1", "", hsm.IBM, hsm.BadPINBlock},
		{"IBM, other fill", "1234AFFFFFFFFFFF", "", hsm.IBM, hsm.BadPINBlock},
	} {
		var pan, pin [12]byte
		copy(pan[:], c.pan12)
		b, _ := hex.DecodeString(c.block)
		if _, code := DecodePIN([8]byte(b), &pan, c.f, &pin); code != c.want {
			t.Errorf("%s: %v, want %v", c.name, code, c.want)
		}
	}
	for _, c := range []struct {
		pin  string
		f    hsm.PINFormat
		want hsm.Code
	}{
		{"123", hsm.ISO0, hsm.BadPINLength}, {"1234567890123", hsm.ISO0, hsm.BadPINLength},
		{"12x4", hsm.ISO0, hsm.BadPINBlock}, {"1234", 99, hsm.BadFormat}, {"1234", hsm.ISO3, hsm.BadAccount},
	} {
		var b [8]byte
		if code := EncodePIN(&b, []byte(c.pin), new([12]byte), c.f, 0); code != c.want {
			t.Errorf("%q in format %d: %v, want %v", c.pin, c.f, code, c.want)
		}
	}
}

func FuzzDecodePIN(f *testing.F) {
	f.Add(uint64(0x041234FFFFFFFFFF), uint8(1))
	f.Fuzz(func(t *testing.T, v uint64, format uint8) {
		var b [8]byte
		for i := range b {
			b[i] = byte(v >> (56 - 8*i))
		}
		pan := [12]byte([]byte("550000025321"))
		var pin [12]byte
		n, code := DecodePIN(b, &pan, hsm.PINFormat(format), &pin)
		if !code.OK() {
			return
		}
		var back [8]byte
		if code := EncodePIN(&back, pin[:n], &pan, hsm.PINFormat(format), 0); !code.OK() {
			t.Fatalf("%X reads as %s, which cannot be written: %v", b, pin[:n], code)
		}
		if f := hsm.PINFormat(format); (f == hsm.ISO0 || f == hsm.IBM) && back != b {
			t.Fatalf("%X is written back as %X", b, back)
		}
	})
}
