package hsm

import (
	"errors"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	const h16 = "0123456789ABCDEF"
	for _, s := range []string{h16, "U" + h16 + h16, "X" + h16 + h16, "T" + h16 + h16 + h16, "Y" + h16 + h16 + h16} {
		k, err := ParseKey(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if k.String() != s || !k.Valid() {
			t.Errorf("%s: reads back as %s, valid %v", s, k, k.Valid())
		}
		if n := len(strings.TrimLeft(s, "UTXY")) / 2; int(k.N) != n {
			t.Errorf("%s: %d bytes, want %d", s, k.N, n)
		}
		if want := s[0]; want > '9' && k.Scheme != want || want <= '9' && k.Scheme != 'Z' {
			t.Errorf("%s: scheme %q", s, k.Scheme)
		}
	}
	lower, err := ParseKey("U" + strings.ToLower(h16+h16))
	if err != nil || lower.String() != "U"+h16+h16 {
		t.Errorf("lower case: %v, %v", lower, err)
	}
}

func TestParseKeyFaults(t *testing.T) {
	const h16 = "0123456789ABCDEF"
	for _, c := range []struct {
		in, place string
		code      Code
	}{
		{"", "byte 0", BadInput},
		{"S00072P0TB00E0001", "byte 0", BadScheme},
		{"U" + h16, "byte 1", BadInput},
		{h16[:15], "byte 0", BadInput},
		{"U" + h16 + h16[:15] + "G", "byte 32", BadInput},
		{h16[:8] + "x" + h16[9:], "byte 8", BadInput},
		{h16 + "0", "byte 16", BadInput},
	} {
		_, err := ParseKey(c.in)
		var code Code
		if !errors.As(err, &code) || code != c.code || !strings.Contains(err.Error(), c.place) {
			t.Errorf("%q: error %v, want code %s at %s", c.in, err, c.code[:], c.place)
		}
	}
}

func TestReadKeyTakesOnlyTheKey(t *testing.T) {
	k, n, err := ReadKey([]byte("U0123456789ABCDEF0123456789ABCDEF0012"))
	if err != nil || n != 33 || k.N != 16 {
		t.Errorf("%v, %d bytes, %v", k, n, err)
	}
}

func TestValidKey(t *testing.T) {
	for _, k := range []Key{{}, {Scheme: 'U', N: 8}, {Scheme: 'Z', N: 16}, {Scheme: 'Q', N: 16}, {Scheme: 'T', N: 16}} {
		if k.Valid() {
			t.Errorf("scheme %q with %d bytes is taken for valid", k.Scheme, k.N)
		}
	}
}

func TestKeyAppendAllocatesNothing(t *testing.T) {
	k, err := ParseKey("U0123456789ABCDEF0123456789ABCDEF")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buf = k.Append(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNotUpperHex(t *testing.T) {
	for s, want := range map[string]int{"": -1, "0123456789ABCDEF": -1, "8a": 1, "G": 0, "9/": 1, "9:": 1, "A@": 1} {
		if got := NotUpperHex([]byte(s)); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestUnionPayHex(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"", "0000000000000000"},
		{"\x01", "0100000000000000"},
		{"\x01\x02\x03\x04\x05\x06\x07\x08", "0102030405060708"},
		{"\x01\x02\x03\x04\x05\x06\x07\x08\xFF\x02", "FE00030405060708"},
	} {
		var got [16]byte
		UnionPayHex([]byte(c.data), &got)
		if string(got[:]) != c.want {
			t.Errorf("%X: %s, want %s", c.data, got, c.want)
		}
	}
}

func TestUnionPayHexIsBytewise(t *testing.T) {
	data := make([]byte, 100)
	for n := range data {
		data[n] = byte(7*n + 3)
		var sum [8]byte
		for i, b := range data[:n+1] {
			sum[i%8] ^= b
		}
		var got [16]byte
		UnionPayHex(data[:n+1], &got)
		if want := string(AppendHex(nil, sum[:])); string(got[:]) != want {
			t.Fatalf("%d bytes: %s, want %s", n+1, got, want)
		}
	}
}

func TestCodeText(t *testing.T) {
	if !Done.OK() || Mismatch.OK() {
		t.Error("only 00 means done")
	}
	if got := BadPINLength.Error(); got != "hsm code 24: PIN not of 4 to 12 digits" {
		t.Error(got)
	}
	if got := (Code{'B', 'B'}).Error(); got != "hsm code BB: not in the table" {
		t.Error(got)
	}
}

func FuzzReadKey(f *testing.F) {
	f.Add([]byte("U0123456789ABCDEF0123456789ABCDEF"))
	f.Add([]byte("0123456789ABCDEFX"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, n, err := ReadKey(b)
		if err != nil {
			return
		}
		if !k.Valid() || !strings.EqualFold(k.String(), string(b[:n])) {
			t.Errorf("%q reads as %v", b[:n], k)
		}
	})
}
