package chain

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tongka/audit"
)

func fill(t *testing.T, dir string, n int) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		var c Change
		err := errors.Join(c.Add(time.Unix(int64(i), 0), audit.Who{UID: 7}, fmt.Sprintf("s%d", i%2), "made", i), c.Put(fmt.Sprintf("a/%d", i), i), s.Commit(&c))
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestChain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	s := fill(t, dir, 5)
	if _, err := Open(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("twice: %v", err)
	}
	head := s.Head()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir)
	if err != nil || s.Head() != head || head.N != 5 {
		t.Fatalf("%+v, %v", s.Head(), err)
	}
	defer s.Close()
	var about []uint64
	if err := s.About("s1", func(e *Event) error { about = append(about, e.N); return nil }); err != nil || fmt.Sprint(about) != "[2 4]" {
		t.Errorf("%v %v", about, err)
	}
	var c Change
	if err := errors.Join(c.Put("a/3", nil), s.Commit(&c)); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := s.Each("a/", func(string, []byte) error { n++; return nil }); err != nil || n != 4 {
		t.Errorf("%d %v", n, err)
	}
	var v int
	if ok, err := s.Get("a/4", &v); !ok || err != nil || v != 4 {
		t.Errorf("%d %v %v", v, ok, err)
	}
	if ok, err := s.Get("a/3", &v); ok || err != nil {
		t.Error(ok, err)
	}
	if err := s.Verify(nil); err != nil {
		t.Error(err)
	}
}

// What is changed, taken out or put in is found.
func TestVerifyFinds(t *testing.T) {
	for name, spoil := range map[string]func(*pebble.DB) error{
		"changed": func(db *pebble.DB) error {
			v, closer, err := db.Get(eventKey(3))
			if err != nil {
				return err
			}
			b := append([]byte(nil), v...)
			b[len(b)/2] ^= 1
			return errors.Join(closer.Close(), db.Set(eventKey(3), b, pebble.Sync))
		},
		"gone":  func(db *pebble.DB) error { return db.Delete(eventKey(2), pebble.Sync) },
		"first": func(db *pebble.DB) error { return db.Delete(eventKey(1), pebble.Sync) },
		"twice": func(db *pebble.DB) error {
			v, closer, err := db.Get(eventKey(5))
			if err != nil {
				return err
			}
			return errors.Join(db.Set(eventKey(6), v, pebble.Sync), closer.Close())
		},
	} {
		s := fill(t, filepath.Join(t.TempDir(), "x"), 5)
		if err := spoil(s.db); err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(nil); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
