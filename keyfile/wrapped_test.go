package keyfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flip stands in for a module: what it does is undone by doing it again.
func flip(b [32]byte) (out [32]byte) {
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

func TestAWrappedKey(t *testing.T) {
	key := [32]byte{1, 2, 3}
	w := &Wrapped{DEK: "U0123456789ABCDEF0123456789ABCDEF", IV: [8]byte{9}, Sealed: flip(key), Check: Check(&key)}
	path := filepath.Join(t.TempDir(), "k")
	if err := w.Create(path); err != nil {
		t.Fatal(err)
	}
	if err := w.Create(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("010203")) {
		t.Errorf("%s %v", b, err)
	}
	var asked *Wrapped
	open := func(w *Wrapped) ([32]byte, error) { asked = w; return flip(w.Sealed), nil }
	if got, err := Read(path, open); err != nil || got != key || *asked != *w {
		t.Errorf("%x %+v %v", got, asked, err)
	}
	for _, create := range []bool{true, false} {
		if got, err := Load(path, create); !errors.Is(err, ErrWrapped) || got != ([32]byte{}) || !strings.Contains(err.Error(), path) {
			t.Errorf("without a module: %x %v", got, err)
		}
	}
	if check, err := CheckOf(path); err != nil || check != w.Check {
		t.Errorf("%x %v", check, err)
	}
	broken := errors.New("broken")
	for name, open := range map[string]Opener{
		"another LMK": func(w *Wrapped) ([32]byte, error) { return w.Sealed, nil },
		"no answer":   func(w *Wrapped) ([32]byte, error) { return key, broken },
	} {
		if got, err := Read(path, open); err == nil || got != ([32]byte{}) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %x %v", name, got, err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, open); err == nil || !strings.Contains(err.Error(), "too wide") {
		t.Errorf("readable by all: %v", err)
	}
}

func TestABadWrappedKey(t *testing.T) {
	good := (&Wrapped{DEK: "U0123456789ABCDEF0123456789ABCDEF"}).String()
	path := filepath.Join(t.TempDir(), "k")
	read := func(text string) error {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path, func(*Wrapped) ([32]byte, error) { t.Errorf("a module is asked about %q", text); return [32]byte{}, nil })
		return err
	}
	for what, text := range map[string]string{
		`line 2: want "dek"`: strings.Replace(good, "dek ", "zek ", 1),
		"line 2":             strings.Replace(good, "dek U0123456789ABCDEF0123456789ABCDEF", "dek ", 1),
		"line 3: iv":         strings.Replace(good, "iv 00", "iv ", 1),
		"line 4: key: not":   strings.Replace(good, "key 00", "key 0x", 1),
		"line 5":             strings.Replace(good, "check ", "", 1),
		"line 6":             good + "more\n",
	} {
		if err := read(text); err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range len(good) - 1 {
		if err := read(good[:n]); err == nil {
			t.Errorf("cut to %d of %d", n, len(good))
		}
	}
}

func TestCheckOfAKeyInClear(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k")
	key, err := Load(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := CheckOf(path); err != nil || got != Check(&key) {
		t.Errorf("%x %v", got, err)
	}
	if _, err := CheckOf(path + "2"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
