package clean

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// A store is copied as of one moment, while nobody else is at it; a copy that is damaged
// is found.
func TestStores(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := errors.Join(CopyStore(from, to), ProveStore(to)); err != nil {
		t.Errorf("one that is not there: %v", err)
	}
	db, err := pebble.Open(from, &pebble.Options{Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := db.Set([]byte{byte(i >> 8), byte(i)}, make([]byte, 100), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := CopyStore(from, to); !errors.Is(err, ErrBusy) {
		t.Errorf("somebody is at it: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(CopyStore(from, to), ProveStore(to)); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(to, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%v %v", tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/4] ^= 1
	if err := errors.Join(os.Remove(tables[0]), os.WriteFile(tables[0], b, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := ProveStore(to); err == nil {
		t.Error("a damaged copy is taken for good")
	}
}
