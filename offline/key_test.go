package offline_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tongka/keyfile"
	"tongka/offline"
	sim "tongka/sim/offline"
)

var keyA, keyB, keyC = [32]byte{'a'}, [32]byte{'b'}, [32]byte{'c'}

func under(t *testing.T, fs vfs.FS, key [32]byte, old ...[32]byte) offline.Options {
	o := options(t, fs)
	o.Key, o.Old = key, old
	return o
}

// filled makes a store with a file of ten records in it.
func filled(t *testing.T, o offline.Options, b []byte) {
	t.Helper()
	s := open(t, o)
	if _, err := s.Import(t.Context(), source(maker(t, "dongguan", 10), "a", b), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// whole fails unless all records are readable, and known when they come again
// under another name.
func whole(t *testing.T, o offline.Options, b []byte) {
	t.Helper()
	s := open(t, o)
	defer s.Close()
	f, err := s.Named("a")
	if err != nil || f == nil {
		t.Fatal(f, err)
	}
	n := 0
	err = s.Each(f, func(e *offline.Entry) error {
		if n++; e.State != 'T' {
			t.Errorf("record %d: %c", n, e.State)
		}
		return nil
	})
	if err != nil || n != 10 {
		t.Fatalf("%d records: %v", n, err)
	}
	nine := b[:bytes.LastIndexByte(bytes.TrimRight(b, "\r\n"), '\n')+1]
	again, err := s.Import(t.Context(), source(maker(t, "dongguan", 10), "again", nine), nil)
	if err != nil || again.States["E"] != 9 {
		t.Errorf("the same records in another file: %+v %v", again, err)
	}
}

func tenRecords(t *testing.T) []byte {
	b, _, err := maker(t, "dongguan", 10).File(make([]sim.Wrong, 10))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// One opening takes the store to the newest key; then the old one is not needed, and
// duplicates are still found.
func TestAnotherKey(t *testing.T) {
	b, fs := tenRecords(t), vfs.NewMem()
	filled(t, under(t, fs, keyA), b)
	for name, o := range map[string]offline.Options{"no old key": under(t, fs, keyB), "a wrong old key": under(t, fs, keyB, keyC)} {
		_, err := offline.Open(o)
		if check := fmt.Sprintf("%X", keyfile.Check(&keyA)); !errors.Is(err, offline.ErrKey) || !strings.Contains(err.Error(), check) || !strings.Contains(err.Error(), "journal.old_keys") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := open(t, under(t, fs, keyB, keyC, keyA)).Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, under(t, fs, keyB), b)
	if _, err := offline.Open(under(t, fs, keyA)); !errors.Is(err, offline.ErrKey) {
		t.Errorf("the old key opens it: %v", err)
	}
}

// A store from before it had a secret of its own is taken over by the key that opens
// its pages, and by no other.
func TestAnOlderStore(t *testing.T) {
	b, fs := tenRecords(t), vfs.NewMem()
	put(t, fs, sealedKey(t, keyA))
	filled(t, under(t, fs, keyA), b)
	if err := fs.Remove("/offline/key"); err != nil {
		t.Fatal(err)
	}
	if _, err := offline.Open(under(t, fs, keyB, keyC)); !errors.Is(err, offline.ErrKey) {
		t.Fatalf("under the wrong keys: %v", err)
	}
	if _, err := fs.Stat("/offline/key"); err == nil {
		t.Fatal("a wrong key was written down as the right one")
	}
	if err := open(t, under(t, fs, keyB, keyA)).Close(); err != nil {
		t.Fatal(err)
	}
	whole(t, under(t, fs, keyB), b)
}

// sealedKey is the secret that a store under a key had before it had one of its own.
func sealedKey(t *testing.T, key [32]byte) []byte {
	t.Helper()
	secret, err := hkdf.Extract(sha256.New, key[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := (&keyfile.Ring{Key: key}).Wrap("offline store", secret)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func put(t *testing.T, fs vfs.FS, b []byte) {
	t.Helper()
	if err := fs.MkdirAll("/offline", 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("/offline/key", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(bytes.Clone(b)) // with the race detector the file system spoils what it was lent
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedKeyFileIsNoNewStore(t *testing.T) {
	b, fs := tenRecords(t), vfs.NewMem()
	filled(t, under(t, fs, keyA), b)
	f, err := fs.Open("/offline/key")
	if err != nil {
		t.Fatal(err)
	}
	good, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, cut := range [][]byte{nil, good[:7], good[:len(good)-1], append(bytes.Clone(good[:40]), make([]byte, 48)...)} {
		put(t, fs, cut)
		if _, err := offline.Open(under(t, fs, keyA)); err == nil || !strings.Contains(err.Error(), "/offline/key") {
			t.Errorf("%d bytes: %v", len(cut), err)
		}
	}
	put(t, fs, good)
	whole(t, under(t, fs, keyA), b)
}

// A crash at any step of the opening that changes the key leaves a store that opens
// with both.
func TestCrashWhileTheKeyOfTheStoreChanges(t *testing.T) {
	b, base := tenRecords(t), vfs.NewCrashableMem()
	filled(t, under(t, base, keyA), b)
	steps, rng := 0, rand.New(rand.NewPCG(1, 1))
	for ended := false; !ended; steps++ {
		mem := base.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
		n, crashed := 0, (*vfs.MemFS)(nil)
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if strings.HasPrefix(op.Path, "/offline/key") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if n++; n > steps && crashed == nil {
					crashed = mem.CrashClone(vfs.CrashCloneCfg{})
				}
			}
			return nil
		}))
		s := open(t, under(t, fs, keyB, keyA))
		if ended = crashed == nil; ended {
			crashed = mem.CrashClone(vfs.CrashCloneCfg{})
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		whole(t, under(t, crashed, keyB, keyA), b)
	}
	if steps < 4 {
		t.Errorf("%d steps: create, write, sync and rename were not all met", steps)
	}
}
