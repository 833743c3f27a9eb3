package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What decode prints goes through encode and comes out as it was.
func TestEncodeTakesWhatDecodePrints(t *testing.T) {
	raw := saleBytes(t)
	text := strings.ToUpper(hex.EncodeToString(raw))
	decoded := call("", "decode", "--json", "--unmask", text)
	if decoded.code != exitDone {
		t.Fatal(decoded)
	}
	file := filepath.Join(t.TempDir(), "sale.json")
	if err := os.WriteFile(file, []byte(decoded.out), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"stdin":    {decoded.out, nil, text + "\n"},
		"dash":     {decoded.out, []string{"-"}, text + "\n"},
		"file":     {"", []string{file}, text + "\n"},
		"hex":      {"", []string{"--hex", file}, text + "\n"},
		"raw":      {"", []string{"--raw", file}, string(raw)},
		"unframed": {"", []string{"--framing", "none", file}, text[4:] + "\n"},
		"dialect":  {"", []string{"--dialect", "BCD", file}, text + "\n"},
	} {
		if r := call(c.stdin, append([]string{"encode"}, c.args...)...); r.code != exitDone || r.out != c.want || r.err != "" {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	masked := call("", "decode", "--json", hex.EncodeToString(saleBytes(t))).out
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  string
		code  int
	}{
		"masked":     {masked, nil, "F2: the value is masked", exitFailed},
		"no file":    {"", []string{"none.json"}, "none.json", exitFailed},
		"no dialect": {"{}", []string{"--dialect", "none.yaml"}, "none.yaml", exitFailed},
		"bad field":  {`{"dialect":"pos","mti":"0200","fields":{"4":"x"}}`, nil, "F4 at byte", exitFailed},
		"too large":  {strings.Repeat(" ", maxInput+1), nil, "larger than", exitFailed},
		"both":       {"{}", []string{"--raw", "--hex"}, "can't be used together", exitUsage},
	} {
		r := call(c.stdin, append([]string{"encode"}, c.args...)...)
		if r.code != c.code || r.out != "" || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: %v", name, r)
		}
	}
}
