package translate

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"tongka/codec/iso8583"
)

func TestReadKeyChange(t *testing.T) {
	key := make([]byte, 24)
	for i := range key {
		key[i] = byte(0xA0 + i)
	}
	digits := func(n int) string { return strings.ToUpper(hex.EncodeToString(key[:n])) }
	for _, c := range []struct {
		name, f53, f48 string
		f96            []byte
		n              int
		fault          string
	}{
		{"double, hexadecimal", "1600000000000000", "NK032" + digits(16), nil, 16, ""},
		{"triple, behind another sub-field", "1600000000000000", "ASOA012000000000100NK048" + digits(24), nil, 24, ""},
		{"single", "1000000000000000", "", key[:8], 8, ""},
		{"single without F96", "1000000000000000", "", nil, 0, "F96: 0 bytes"},
		{"a MAC key", "2600000000000000", "NK032" + digits(16), nil, 16, ""},
		{"neither", "3600000000000000", "NK032" + digits(16), nil, 0, "F53"},
		{"no F53", "", "NK032" + digits(16), nil, 0, "F53"},
		{"no F48", "1600000000000000", "", nil, 0, "F48, 0 bytes"},
		{"cut in the length", "1600000000000000", "NK03", nil, 0, "F48, 4 bytes"},
		{"cut in the key", "1600000000000000", "NK032" + digits(15), nil, 0, "F48 byte 2: NK of 32 bytes, 30 are here"},
		{"not hexadecimal", "1600000000000000", "NK032" + digits(15) + "XY", nil, 0, "F48 byte 35"},
		{"odd", "1600000000000000", "NK031" + digits(16), nil, 0, "F48 byte 2: NK of 31 bytes is no key"},
		{"no length", "1600000000000000", "NKxxx" + digits(16), nil, 0, "NK of 0 bytes"},
	} {
		b := iso8583.Cups().Begin(nil, 0x0800)
		b.PutUint(11, 77)
		if c.f48 != "" {
			b.Put(48, []byte(c.f48))
		}
		if c.f53 != "" {
			b.Put(53, []byte(c.f53))
		}
		b.PutUint(70, NetKeyReset)
		if c.f96 != nil {
			b.Put(96, c.f96)
		}
		msg, err := b.End()
		if err != nil {
			t.Fatal(c.name, err)
		}
		var v iso8583.View
		if err := iso8583.Cups().Parse(&v, msg); err != nil {
			t.Fatal(c.name, err)
		}
		var k KeyChange
		err = ReadKeyChange(&v, &k)
		switch {
		case c.fault != "":
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v, want %s", c.name, err, c.fault)
			}
			if err != nil && strings.Contains(err.Error(), digits(4)) {
				t.Errorf("%s: the fault shows the key: %v", c.name, err)
			}
		case err != nil || k.STAN != 77 || k.N != c.n || !bytes.Equal(k.Key[:k.N], key[:c.n]):
			t.Errorf("%s: %+v, %v", c.name, k, err)
		}
	}
}

// A check value comes behind the key, or in a sub-field of its own; what looks
// like one inside of the key is none.
func TestCheckValueOfAKeyChange(t *testing.T) {
	key := strings.Repeat("AB", 16)
	tricky := "CV004" + strings.Repeat("\x11", 11)
	for _, c := range []struct{ f48, check, fault string }{
		{"NK032" + key, "", ""},
		{"NK040" + key + "8D0A74B8", "8d0a74b8", ""},
		{"NK020" + strings.Repeat("\xAB", 16) + "\x8D\x0A\x74\xB8", "8d0a74b8", ""},
		{"NK032" + key + "CV0068D0A74", "8d0a74", ""},
		{"CV0068D0A74NK032" + key, "8d0a74", ""},
		{"NK016" + tricky, "", ""},
		{"NK032" + key + "CV0058D0A7", "", "F48 byte 39: CV of 5 digits"},
		{"NK032" + key + "CV0188D0A74B88D0A74B88D", "", "F48 byte 39: CV of 18 digits"},
		{"NK032" + key + "CV0068D0A", "", "F48 byte 39: CV of 6 bytes, 4 are here"},
		{"NK032" + key + "CV0068D0AZZ", "", "F48 byte 46: CV is not hexadecimal"},
	} {
		b := iso8583.Cups().Begin(nil, 0x0800)
		b.Put(48, []byte(c.f48))
		b.Put(53, []byte(MACKey))
		msg, err := b.End()
		var v iso8583.View
		if err == nil {
			err = iso8583.Cups().Parse(&v, msg)
		}
		if err != nil {
			t.Fatal(err)
		}
		var k KeyChange
		err = ReadKeyChange(&v, &k)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%q: %v, want %s", c.f48, err, c.fault)
			}
			continue
		}
		if got := hex.EncodeToString(k.Check[:k.NCheck]); err != nil || got != c.check || !k.MAC || k.N != 16 {
			t.Errorf("%q: check value %s, %d bytes, MAC %v, %v", c.f48, got, k.N, k.MAC, err)
		}
	}
}
