package world

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tongka/engine"
	"tongka/journal"
	"tongka/txn"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The journal in memory answers as the real one does, staged, committed or durable.
func TestMemoryIsAJournal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	real, err := journal.Open(journal.Options{Dir: "j", FS: vfs.NewMem(), Key: [32]byte{1}, NoWarm: true, InlineIndex: true})
	if err != nil {
		t.Fatal(err)
	}
	defer real.Close()
	both := [2]engine.Journal{newMemory(), real}
	at := [2]map[int]journal.LSN{{}, {}} // of the n-th record
	records := 0
	for step := range 4000 {
		n := rng.IntN(40)
		key := fmt.Appendf(nil, "key/%d", rng.IntN(8))
		switch dice := rng.IntN(12); {
		case dice < 5:
			r := journal.Record{Kind: journal.Kind(1 + rng.IntN(3)), Body: []byte{byte(n)},
				Facts: txn.Facts{ID: txn.ID(1 + records), MTI: 0x0200, Trace: uint32(n)}}
			for i, j := range both {
				at[i][records] = j.Append(&r)
			}
			records++
		case dice < 7:
			for _, j := range both {
				j.Put(key, fmt.Append(nil, step))
			}
		case dice < 8:
			for _, j := range both {
				j.Delete(key)
			}
		case dice < 10:
			for _, j := range both {
				if err := errors.Join(j.Commit(), j.Sync()); err != nil {
					t.Fatal(err)
				}
			}
		default:
			same(t, both, func(j engine.Journal) string {
				v, ok, err := j.Lookup(key, nil)
				return fmt.Sprint(string(v), ok, err)
			})
			same(t, both, func(j engine.Journal) string {
				var all []string
				err := j.Each([]byte("key/"), func(k, v []byte) error { all = append(all, string(k)+string(bytes.Clone(v))); return nil })
				return fmt.Sprint(all, err)
			})
			var found [2]int
			for i, j := range both {
				f := txn.Facts{MTI: 0x0200, Trace: uint32(n)}
				lsn, ok, err := j.Find(journal.Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace), 0)
				found[i] = -1
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					for k, l := range at[i] {
						if l == lsn {
							found[i] = k
						}
					}
				}
			}
			if found[0] != found[1] {
				t.Fatalf("step %d: trace %d is record %d in memory, %d on disk", step, n, found[0], found[1])
			}
			if records > 0 {
				k := rng.IntN(records)
				var a, b journal.Record
				if err := errors.Join(both[0].Get(at[0][k], &a), both[1].Get(at[1][k], &b)); err != nil || a.Facts != b.Facts || !bytes.Equal(a.Body, b.Body) {
					t.Fatalf("record %d: %v: %+v and %+v", k, err, a, b)
				}
			}
		}
	}
	for _, j := range both {
		if err := errors.Join(j.Commit(), j.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	same(t, both, func(j engine.Journal) string {
		var all []txn.ID
		err := j.Replay(0, func(_ journal.LSN, r *journal.Record) error { all = append(all, r.Facts.ID); return nil })
		return fmt.Sprint(all, err)
	})
	var r journal.Record
	for _, id := range []txn.ID{1, txn.ID(records / 2), txn.ID(records)} {
		for _, j := range both {
			if _, err := j.FindID(id, &r); err != nil || r.Facts.ID != id {
				t.Fatalf("%d: %v, record of %d", id, err, r.Facts.ID)
			}
		}
	}
}

func same(t *testing.T, both [2]engine.Journal, ask func(engine.Journal) string) {
	t.Helper()
	if a, b := ask(both[0]), ask(both[1]); a != b {
		t.Fatalf("in memory %s\non disk   %s", a, b)
	}
}

// A crash loses what was not durable, and of a batch in doubt all or nothing.
func TestMemoryForgets(t *testing.T) {
	for _, keep := range []bool{false, true} {
		m := newMemory()
		put := func(id txn.ID) { m.Append(&journal.Record{Kind: journal.Intent, Facts: txn.Facts{ID: id}}) }
		put(1)
		if err := errors.Join(m.Commit(), m.Sync()); err != nil {
			t.Fatal(err)
		}
		put(2)
		m.Put([]byte("k"), []byte("v"))
		if err := m.Commit(); err != nil {
			t.Fatal(err)
		}
		put(3)
		m = m.crash(keep)
		var ids []txn.ID
		if err := m.Replay(0, func(_ journal.LSN, r *journal.Record) error { ids = append(ids, r.Facts.ID); return nil }); err != nil {
			t.Fatal(err)
		}
		want := map[bool][]txn.ID{false: {1}, true: {1, 2}}[keep]
		if _, ok, _ := m.Lookup([]byte("k"), nil); !slices.Equal(ids, want) || ok != keep {
			t.Errorf("keep %v: %v, key %v", keep, ids, ok)
		}
	}
}
