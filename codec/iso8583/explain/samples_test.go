package explain

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type want struct {
	MTI    string            `json:"mti"`
	Fields map[string]string `json:"fields"`
	Refuse bool              `json:"must_be_refused"`
}

const sampleDir = "../testdata/samples/"

func sampleNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(sampleDir + "*.hex")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d samples: %v", len(files), err)
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(filepath.Base(f), ".hex")
	}
	return files
}

func readSample(t *testing.T, name string) (input []byte, w want) {
	t.Helper()
	text, err := os.ReadFile(sampleDir + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	if input, err = ParseHex(string(text)); err != nil {
		t.Fatal(err)
	}
	about, err := os.ReadFile(sampleDir + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(about, &w); err != nil {
		t.Fatal(err)
	}
	return input, w
}

// The samples' JSON are decodes by another program. Values compare without
// case and outer spaces, as they may be trimmed there.
func TestSamplesAgreeWithTheirIndependentDecode(t *testing.T) {
	same := func(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if w.Refuse {
			continue
		}
		r, err := Decode(input, Options{Unmask: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.MTI != w.MTI {
			t.Errorf("%s: MTI %s, want %s", name, r.MTI, w.MTI)
		}
		for n, v := range w.Fields {
			if got, ok := r.Fields[n]; !ok || !same(got, v) {
				t.Errorf("%s: F%s %q, want %q", name, n, got, v)
			}
		}
		for n := range r.Fields {
			if _, ok := w.Fields[n]; !ok {
				t.Errorf("%s: F%s extra", name, n)
			}
		}
	}
}

func TestBrokenSamplesAreRefusedAtTheirPlace(t *testing.T) {
	places := map[string]string{
		"bad-02-nibble-lost-tmk-confirm-0800": "F62 at byte 29: expected a length of at most 999, found 3330",
		"bad-13-sale-0210-length-wrong":       "length prefix at byte 0: expected a total length of 142, found 170",
		"ascii-moov-error-message":            "F55 at byte 185: expected 30 bytes, 21 are left",
	}
	refused := 0
	for _, name := range sampleNames(t) {
		input, w := readSample(t, name)
		if !w.Refuse {
			continue
		}
		refused++
		_, err := Decode(input, Options{})
		if err == nil || !strings.Contains(err.Error(), places[name]) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", name, err, places[name])
		}
	}
	if refused != len(places) {
		t.Errorf("%d samples must be refused, want %d", refused, len(places))
	}
}

func TestWhatTheSamplesAreTakenFor(t *testing.T) {
	taken := map[string]string{
		"ascii-cups-0210-emv": "cups 4", "ascii-harda-0200": "ascii 0", "ascii-moov-iso-reversal-message": "ascii 0",
		"bcd-36-nii-0800": "bcd 0", "bcd-37-emv-0200": "bcd 0", "pos-09-signin-tpdu-only": "pos 2",
		"pos-10-sale-mag-tpdu-only": "pos 2", "pos-24-echo-0820": "pos 0", "pos-31-sale-ic-resp": "pos 0",
	}
	for name, want := range taken {
		input, _ := readSample(t, name)
		r, err := Decode(input, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := fmt.Sprint(r.Dialect, " ", r.LengthPrefix); got != want {
			t.Errorf("%s: %s, want %s: %q", name, got, want, r.Why)
		}
	}
}
