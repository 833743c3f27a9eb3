package iso8583

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample is one captured message with an independent decode (see
// testdata/samples/README.md).
type sample struct {
	name   string
	frame  []byte // without the length prefix
	spec   *Spec
	Prefix any               `json:"length_prefix"`
	Header *string           `json:"header"`
	MTI    string            `json:"mti"`
	Fields map[string]string `json:"fields"`
	Refuse bool              `json:"must_be_refused"`
}

// dialectOf is told by the file's name, and for the ASCII ones by what is in
// front of the bitmap.
func (s *sample) dialect() *Spec {
	switch {
	case strings.HasPrefix(s.name, "pos-"):
		return Pos()
	case strings.HasPrefix(s.name, "bcd-"):
		return BCD()
	case strings.HasPrefix(s.name, "ascii-cups"):
		return Cups()
	case strings.HasPrefix(s.name, "ascii-unionpay"):
		return ASCIIRaw()
	}
	return ASCII()
}

func samples(tb testing.TB, pattern string) []*sample {
	tb.Helper()
	files, err := filepath.Glob("testdata/samples/" + pattern + ".hex")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no samples %s: %v", pattern, err)
	}
	var all []*sample
	for _, f := range files {
		s := &sample{name: strings.TrimSuffix(filepath.Base(f), ".hex")}
		text, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		if s.frame, err = hex.DecodeString(strings.TrimSpace(string(text))); err != nil {
			tb.Fatalf("%s: %v", f, err)
		}
		about, err := os.ReadFile(strings.TrimSuffix(f, ".hex") + ".json")
		if err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(about, s); err != nil {
			tb.Fatalf("%s: %v", f, err)
		}
		s.spec = s.dialect()
		switch p := s.Prefix.(type) {
		case bool:
			if p {
				s.frame = s.frame[2:]
			}
		case float64:
			s.frame = s.frame[int(p):]
		}
		all = append(all, s)
	}
	return all
}

func TestSamplesReadAsTheirIndependentDecode(t *testing.T) {
	for _, s := range samples(t, "*") {
		if s.Refuse {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			var env Envelope
			msg, err := s.spec.Split(s.frame, &env)
			if err != nil {
				t.Fatal(err)
			}
			if s.Header != nil && strings.ToUpper(hex.EncodeToString(env.Header)) != *s.Header {
				t.Errorf("header %X, want %s", env.Header, *s.Header)
			}
			var v View
			if err := s.spec.Parse(&v, msg); err != nil {
				t.Fatal(err)
			}
			if v.MTI().String() != s.MTI {
				t.Errorf("MTI %s, want %s", v.MTI(), s.MTI)
			}
			for n := 2; n <= 128; n++ {
				want, ok := s.Fields[itoa(n)]
				if ok != v.Has(n) {
					t.Errorf("F%d: present %v, want %v", n, v.Has(n), ok)
				} else if ok && !sameValue(v.AppendText(nil, n), want) {
					t.Errorf("F%d: %q, want %q", n, v.AppendText(nil, n), want)
				}
			}
			want := bytes.Clone(msg)
			if s.name == "bcd-37-emv-0200" {
				want[23] &= 0xF0 // its F22 is 0052: the fourth digit is dropped
			}
			if got := recode(t, s.spec, &v); !bytes.Equal(got, want) {
				t.Errorf("built again:\n got %X\nwant %X", got, want)
			}
		})
	}
}

// sameValue holds a canonical value against a decode, which shows text as text
// (bytes above 7F as Latin-1) and binary as hexadecimal.
func sameValue(got []byte, want string) bool {
	latin := make([]rune, len(got))
	for i, c := range got {
		latin[i] = rune(c)
	}
	return string(latin) == want || strings.EqualFold(hex.EncodeToString(got), want)
}

// recode builds the message again from its canonical values.
func recode(tb testing.TB, s *Spec, v *View) []byte {
	tb.Helper()
	b := s.Begin(nil, v.MTI())
	for n := 2; n <= 128; n++ {
		if v.Has(n) {
			b.Put(n, v.AppendText(nil, n))
		}
	}
	out, err := b.End()
	if err != nil {
		tb.Fatalf("cannot be built again: %v", err)
	}
	return out
}
