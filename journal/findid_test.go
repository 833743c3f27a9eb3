package journal

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/txn"
)

// Numbers that come a little late, outcomes of long ago between them, marks, and
// the gaps that each start leaves: every transaction is found by its number.
func TestFindID(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	fs := vfs.NewMem()
	o := testOptions(fs)
	l := mustOpen(t, o)
	want := map[txn.ID]LSN{}
	var late []txn.ID
	id := txn.ID(1000)
	put := func(n txn.ID) {
		r := request(uint32(n))
		r.Kind = Intent
		want[n] = l.Append(&r)
	}
	for life := range 4 {
		for range 120 {
			for range rng.IntN(6) {
				id += txn.ID(1 + rng.IntN(3))
				switch rng.IntN(5) {
				case 0:
					late = append(late, id)
				default:
					put(id)
				}
			}
			if len(late) > 20 {
				put(late[0])
				late = late[1:]
			}
			for n := range want { // an outcome, of whichever came before
				r := request(uint32(n))
				l.Append(&r)
				break
			}
			if rng.IntN(3) == 0 {
				l.Mark(1, id)
			}
			mustCommit(t, l)
		}
		if life < 3 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, o)
		}
	}
	defer l.Close()
	var r Record
	for n, lsn := range want {
		got, err := l.FindID(n, &r)
		if err != nil || r.Facts.ID != n {
			t.Fatalf("%d: %v, record of %d", n, err, r.Facts.ID)
		}
		if r.Kind == Intent && got != lsn {
			t.Fatalf("%d: at %v, want %v", n, got, lsn)
		}
	}
	for _, n := range append(late, 1, 999, id+1, ^txn.ID(0)) {
		if _, err := l.FindID(n, &r); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%d, which is not there: %v", n, err)
		}
	}
	empty := mustOpen(t, testOptions(vfs.NewMem()))
	defer empty.Close()
	if _, err := empty.FindID(1, &r); !errors.Is(err, ErrNotFound) {
		t.Fatalf("in an empty journal: %v", err)
	}
}
