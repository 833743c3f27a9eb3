package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"tongka/txn"
)

func TestHotSize(t *testing.T) {
	if got := unsafe.Sizeof(hotSlot{}); got != hotSize {
		t.Errorf("a place has %d bytes, and Memory says %d", got, hotSize)
	}
}

// Whatever is written, taken away and looked for, in whichever order, Lookup says what
// the database would: the committed state, without what the open tick changes. A few
// places for many keys, so that all of them fight for each.
func TestHotIsNoSecondTruth(t *testing.T) {
	for _, places := range []int{1, 3, 64} {
		l := openMem(t)
		l.hot.slots = make([]hotSlot, places)
		rng := rand.New(rand.NewPCG(uint64(places), 7))
		committed, staged := map[string][]byte{}, map[string][]byte{}
		known := 0
		for range 6_000 {
			key := fmt.Appendf(nil, "k%0*d", 1+rng.IntN(4), rng.IntN(12))
			switch rng.IntN(10) {
			case 0:
				value := make([]byte, 1+rng.IntN(2*hotBytes))
				for i := range value {
					value[i] = byte(rng.Uint32())
				}
				l.Put(key, value)
				staged[string(key)] = value
			case 1:
				l.Delete(key)
				staged[string(key)] = nil
			case 2:
				if rng.IntN(2) == 0 {
					l.Append(randomRecord(rng))
				}
				mustCommit(t, l)
				for k, v := range staged {
					committed[k] = v
				}
				clear(staged)
			default:
				if _, _, ok := l.hot.get(key, nil); ok {
					known++
				}
				got, ok, err := l.Lookup(key, []byte("before"))
				want, has := committed[string(key)], committed[string(key)] != nil
				if err != nil || ok != has || !bytes.Equal(got, append([]byte("before"), want...)) {
					t.Fatalf("%d places, %s: %x %v %v, want %x %v", places, key, got, ok, err, want, has)
				}
			}
		}
		if known < 10 {
			t.Errorf("%d places: the database was spared %d times only", places, known)
		}
	}
}

// What is at hand is not asked of the database again, be it a value or that there is none.
func TestHotSparesTheDatabase(t *testing.T) {
	l := openMem(t)
	l.Put([]byte("card"), []byte("first"))
	mustCommit(t, l)
	look := func(key string) string {
		v, ok, err := l.Lookup([]byte(key), nil)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(string(v), ok)
	}
	if got := look("card") + look("none"); got != "firsttruefalse" {
		t.Fatal(got)
	}
	for _, key := range []string{"card", "none"} { // behind our back, and damaged at that
		rawSet(t, l, append([]byte{'U', l.shard}, key...), []byte("x"))
	}
	if got := look("card") + look("none"); got != "firsttruefalse" {
		t.Error(got)
	}
	l.Put([]byte("card"), []byte("second"))
	l.Put([]byte("none"), []byte("some"))
	mustCommit(t, l)
	if got := look("card") + look("none"); got != "secondtruesometrue" {
		t.Error(got)
	}
	key, buf := []byte("card"), make([]byte, 0, 16)
	allocs := testing.AllocsPerRun(100, func() {
		if _, ok, err := l.Lookup(key, buf); !ok || err != nil {
			t.Fatal(ok, err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// A purge takes chains and pages away beside the shard: nothing that is at hand may
// outlive it.
func TestPurgeOfWhatIsAtHand(t *testing.T) {
	l := openMem(t)
	var at [3]LSN
	for i := range at {
		r := request(uint32(i + 1))
		r.Facts.ID = txn.ID(i + 1)
		at[i] = l.Append(&r)
		l.Put(binary.BigEndian.AppendUint64([]byte("chain/"), uint64(i+1)), []byte{1})
		l.Mark(at[i], r.Facts.ID+1)
		mustCommit(t, l)
	}
	look := func(id uint64) bool {
		_, ok, err := l.Lookup(binary.BigEndian.AppendUint64([]byte("chain/"), id), nil)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	var r Record
	if err := errors.Join(l.Get(at[0], &r), l.Get(at[1], &r)); err != nil || !look(1) || !look(2) {
		t.Fatal(err, look(1), look(2))
	}
	if err := l.Purge(Floor{at[1], 1}); err != nil {
		t.Fatal(err)
	}
	if err := l.Get(at[0], &r); !errors.Is(err, ErrNotFound) || look(1) {
		t.Errorf("%v, chain %v", err, look(1))
	}
	if err := l.Get(at[1], &r); err != nil || r.Facts.ID != 2 || !look(2) {
		t.Errorf("%v %d, chain %v", err, r.Facts.ID, look(2))
	}
}

// A page that was opened is opened once, while others of the last few are read in turn,
// and every record is the right one.
func TestHeldPages(t *testing.T) {
	l := openMem(t)
	rng := rand.New(rand.NewPCG(5, 6))
	want := map[LSN]Record{}
	var at []LSN
	for range 3 * heldPages {
		for range 5 {
			r := randomRecord(rng)
			lsn := l.Append(r)
			want[lsn] = copyOf(r)
			at = append(at, lsn)
		}
		mustCommit(t, l)
	}
	var r Record
	read := func(lsn LSN) {
		t.Helper()
		if err := l.Get(lsn, &r); err != nil {
			t.Fatal(err)
		}
		r.Turn = 0
		if w := want[lsn]; sameAs(&w, &r) != "" {
			t.Fatal(lsn, sameAs(&w, &r))
		}
	}
	for range 1000 {
		read(at[rng.IntN(len(at))])
	}
	read(at[0])
	rawSet(t, l, tickKey(nil, l.shard, at[0].tick()), []byte("damaged"))
	for _, lsn := range at[:5*heldPages] { // the others of its company do not drive it out
		read(lsn)
	}
	for _, lsn := range at[5*heldPages : 10*heldPages] { // these do
		read(lsn)
	}
	if err := l.Get(at[0], &r); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if err := l.Get(at[0]|0xFF, &r); !errors.Is(err, ErrDamaged) {
		t.Error("a page that could not be opened is held: ", err)
	}
	if err := l.Get(at[7]|0xFF, &r); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}
