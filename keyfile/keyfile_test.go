package keyfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.key")
	if _, err := Load(path, false); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("missing: %v", err)
	}
	key, err := Load(path, true)
	if err != nil || key == ([32]byte{}) {
		t.Fatal(key, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	for _, create := range []bool{true, false} {
		if again, err := Load(path, create); err != nil || again != key {
			t.Fatalf("create %v: another key: %v", create, err)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o700, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, true); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

func TestBadKeyFile(t *testing.T) {
	text := strings.Repeat("ab", 32)
	for name, content := range map[string]string{
		"empty": "", "short": text[2:], "long": text + "ab", "much too long": strings.Repeat(text, 9),
		"not hexadecimal": "zz" + text[2:], "a line before": "\n" + text,
	} {
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := Load(path, true)
		if err == nil || !strings.Contains(err.Error(), path) || key != ([32]byte{}) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "abab") {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	if _, err := Load(t.TempDir(), false); err == nil {
		t.Error("a folder is a key")
	}
}
