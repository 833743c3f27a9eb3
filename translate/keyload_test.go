package translate

import (
	"testing"

	"tongka/codec/iso8583"
)

func TestSerialNumbers(t *testing.T) {
	for in, want := range map[string]string{
		"Sequence No163137B5NL00002268":  "3137B5NL00002268",
		"Sequence No131111D1V0160000002": "131111D1V0160000002", // its first digits are no length
		"Sequence No04A1B2":              "A1B2",
		"Sequence No":                    "",
		"Sequence No7":                   "7",
		"Serial No04A1B2":                "",
		"":                               "",
		"Sequence No12345678901234567890123456789012345678901": "",
	} {
		b := iso8583.Pos().Begin(nil, 0x0800)
		b.Put(60, []byte("99000002003"))
		if in != "" {
			b.Put(62, []byte(in))
		}
		msg, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		var v iso8583.View
		if err := iso8583.Pos().Parse(&v, msg); err != nil {
			t.Fatal(err)
		}
		if got := string(Serial(&v)); got != want || !Unnamed(&v) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
