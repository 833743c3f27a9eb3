package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ownLMK makes a sealed LMK and gives what it shows.
func ownLMK(t *testing.T) (file, pass, shown string) {
	t.Helper()
	dir := t.TempDir()
	file, pass = filepath.Join(dir, "dev.lmk"), filepath.Join(dir, "pass")
	if err := os.WriteFile(pass, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := call("", "hsm", "lmk", "new", file, "--pass-file", pass)
	if r.code != exitDone || !strings.HasPrefix(r.out, "LMK ") || !hasHan(r.out) {
		t.Fatal(r)
	}
	return file, pass, strings.Fields(r.out)[1]
}

func TestHSMWithAnLMKOfItsOwn(t *testing.T) {
	file, pass, check := ownLMK(t)
	if r := call("", "hsm", "lmk", "show", file, "--pass-file", pass); r.code != exitDone || !strings.Contains(r.out, check) || strings.Contains(r.out, "PUBLIC") {
		t.Error(r)
	}
	line, stop := start(t, "listens at", "hsm", "serve", "--listen", "127.0.0.1:0", "--lmk", file, "--pass-file", pass)
	c, err := net.Dial("tcp", line[strings.LastIndex(line, " ")+1:])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x00\x0A00000001NC")); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, binary.BigEndian.Uint16(head))
	if _, err := io.ReadFull(c, answer); err != nil {
		t.Fatal(err)
	}
	if want := "00000001ND00" + check; !strings.HasPrefix(string(answer), want) {
		t.Errorf("NC: %s, want %s", answer, want)
	}
	r := stop()
	if r.code != exitDone || strings.Contains(r.out+r.err, "PUBLIC TEST LMK") || !strings.Contains(r.out, "for development only") {
		t.Error(r)
	}
}

func TestHSMServeWarnsOfThePublicLMK(t *testing.T) {
	_, stop := start(t, "listens at", "hsm", "serve", "--listen", "127.0.0.1:0")
	if r := stop(); r.code != exitDone || !strings.Contains(r.out, "PUBLIC TEST LMK") || !strings.Contains(r.err, "PUBLIC TEST LMK") {
		t.Error(r)
	}
}

func TestLMKFaults(t *testing.T) {
	file, pass, _ := ownLMK(t)
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("12345\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"written over":       {[]string{"hsm", "lmk", "new", file, "--pass-file", pass}, exitFailed, "exists"},
		"short passphrase":   {[]string{"hsm", "lmk", "new", file + "2", "--pass-file", short}, exitFailed, "at least 8"},
		"no passphrase":      {[]string{"hsm", "lmk", "show", file, "--pass-file", "none"}, exitFailed, "no such file"},
		"wrong file":         {[]string{"hsm", "lmk", "show", pass, "--pass-file", pass}, exitFailed, "not a sealed LMK"},
		"no LMK":             {[]string{"hsm", "serve", "--pass-file", pass}, exitUsage, "go together"},
		"header":             {[]string{"hsm", "serve", "--header", "256"}, exitUsage, "wanted 1 to 255"},
		"another passphrase": {[]string{"hsm", "serve", "--listen", "127.0.0.1:0", "--lmk", file, "--pass-file", file}, exitFailed, "不能打开"},
	} {
		if r := call("", c.args...); r.code != c.code || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: %v", name, r)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
