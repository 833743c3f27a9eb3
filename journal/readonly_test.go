package journal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/txn"
)

// stamped is a journal of n turns, a second apart, one record each.
func stamped(t *testing.T, fs vfs.FS, n int) *Log {
	t.Helper()
	l := mustOpen(t, testOptions(fs))
	for i := 1; i <= n; i++ {
		l.Append(&Record{Kind: Intent, Facts: txn.Facts{ID: txn.ID(i), Trace: uint32(i)}})
		l.Append(&Record{Kind: Outcome, Facts: txn.Facts{ID: txn.ID(i), Trace: uint32(i)}})
		l.Stamp(int64(i) * 1000)
		mustCommit(t, l)
	}
	return l
}

func TestTickAt(t *testing.T) {
	l := stamped(t, vfs.NewMem(), 50)
	defer l.Close()
	d := l.NewReader()
	for _, c := range []struct {
		at   int64
		want txn.ID
	}{{0, 1}, {1000, 1}, {1001, 2}, {25_500, 26}, {50_000, 50}, {50_001, 0}} {
		tick, err := d.TickAt(c.at)
		if err != nil {
			t.Fatal(err)
		}
		got := txn.ID(0)
		err = d.Pages(tick, func(p *Page) error {
			return p.Records(func(_ LSN, r *Record) error {
				if got == 0 {
					got = r.Facts.ID
				}
				return nil
			})
		}, nil)
		if err != nil || got != c.want {
			t.Errorf("at %d: %d, want %d (%v)", c.at, got, c.want, err)
		}
	}
	if id, err := d.LastID(); err != nil || id != 50 {
		t.Errorf("the last is %d, %v", id, err)
	}
}

func TestReadOnlyReadsAClosedJournal(t *testing.T) {
	fs := vfs.NewMem()
	if err := stamped(t, fs, 10).Close(); err != nil {
		t.Fatal(err)
	}
	k, err := OpenReadOnly(testOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	n, prints := 0, 0
	err = k.Pages(0, func(p *Page) error {
		n++
		if p.Turn != int64(n)*1000 || p.Epoch != 1 {
			t.Errorf("page %d: turn %d, epoch %d", n, p.Turn, p.Epoch)
		}
		return nil
	}, nil)
	chunks, upTo, ok, ierr := k.IndexChunks()
	for _, c := range chunks {
		entries, err := k.IndexChunk(c)
		if err != nil {
			t.Fatal(err)
		}
		prints += len(entries)
	}
	if err != nil || ierr != nil || n != 10 || !ok || upTo == 0 || prints != 10 {
		t.Errorf("%v %v: %d pages, index %v up to %v, %d prints", err, ierr, n, ok, upTo, prints)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	o := testOptions(fs)
	o.Key = [32]byte{9}
	wrong, err := OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	defer wrong.Close()
	bad := 0
	err = wrong.Pages(0, func(*Page) error { t.Error("a page under the wrong key"); return nil }, func(uint64, error) error { bad++; return nil })
	if err != nil || bad != 10 {
		t.Errorf("%v, %d bad", err, bad)
	}
}
