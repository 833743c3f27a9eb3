package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/txn"
)

// small makes an index of a few hundred records behave as one of a million.
func small(l *Log) *Log {
	l.index.mu.Lock()
	defer l.index.mu.Unlock()
	l.index.chunk, l.index.half = 64, smallHalf
	return l
}

const smallHalf = 1000

func request(n uint32) Record {
	return Record{Kind: Outcome, Facts: txn.Facts{
		ID: txn.ID(n), MTI: 0x0200, Trace: n % 1000, Batch: n / 1000,
		Terminal: txn.Terminal{Number: [8]byte([]byte("10000001"))},
	}}
}

func printOf(r *Record) uint64 {
	return Fingerprint(&r.Facts.Terminal, r.Facts.MTI, r.Facts.Batch, r.Facts.Trace)
}

// The fingerprint is stored: it must not change, and each part of it counts.
func TestFingerprint(t *testing.T) {
	term := txn.Terminal{Merchant: [15]byte([]byte("898000000000001")), Number: [8]byte([]byte("10000001"))}
	const want = 0x84060c6cfc94f9a4
	base := Fingerprint(&term, 0x0200, 42, 7)
	if base != want {
		t.Errorf("%#x, want %#x", base, uint64(want))
	}
	seen := map[uint64]string{base: "base"}
	add := func(what string, fp uint64) {
		if seen[fp] != "" {
			t.Errorf("%s is the same as %s", what, seen[fp])
		}
		seen[fp] = what
	}
	for i := range term.Merchant {
		other := term
		other.Merchant[i] ^= 1
		add("merchant", Fingerprint(&other, 0x0200, 42, 7))
	}
	for i := range term.Number {
		other := term
		other.Number[i] ^= 1
		add("terminal", Fingerprint(&other, 0x0200, 42, 7))
	}
	add("MTI", Fingerprint(&term, 0x0400, 42, 7))
	add("batch and trace swapped", Fingerprint(&term, 0x0200, 7, 42))
	for n := uint32(100); n < 100_000; n++ {
		add("trace", Fingerprint(&term, 0x0200, 42, n))
	}
}

// Find gives the newest Outcome of a request at once, staged or durable, and of
// others and of an Intent nothing.
func TestFindAtOnce(t *testing.T) {
	l := openMem(t)
	r := request(5)
	fp := printOf(&r)
	if _, ok, err := l.Find(fp, 0); ok || err != nil {
		t.Fatal(ok, err)
	}
	r.Kind = Intent
	l.Append(&r)
	mustCommit(t, l)
	if _, ok, err := l.Find(fp, 0); ok || err != nil {
		t.Fatalf("an intent is found: %v", err)
	}
	r.Kind = Outcome
	for range 2 {
		want := l.Append(&r)
		other := request(6)
		l.Append(&other)
		if got, ok, err := l.Find(fp, 0); got != want || !ok || err != nil {
			t.Fatalf("staged: %v %v %v, want %v", got, ok, err, want)
		}
		mustCommit(t, l)
		if got, ok, err := l.Find(fp, 0); got != want || !ok || err != nil {
			t.Fatalf("durable: %v %v %v, want %v", got, ok, err, want)
		}
	}
	r = request(7)
	r.Kind = SignedIn
	l.Append(&r)
	if _, ok, _ := l.Find(printOf(&r), 0); ok {
		t.Error("a sign-in is found by a request")
	}
}

// appendMany appends n requests, each with its Outcome some records later, and
// gives the newest place of each.
func appendMany(t *testing.T, l *Log, rng *rand.Rand, n uint32) map[uint64]LSN {
	t.Helper()
	newest := map[uint64]LSN{}
	var open []Record
	add := func(r *Record) { newest[printOf(r)] = l.Append(r) }
	for i := range n {
		r := request(i)
		add(&r)
		open = append(open, r)
		for len(open) > rng.IntN(50) {
			k := rng.IntN(len(open))
			r = open[k]
			r.Kind = Outcome
			open[k] = open[len(open)-1]
			open = open[:len(open)-1]
			add(&r)
		}
		if rng.IntN(64) == 0 {
			mustCommit(t, l)
		}
	}
	mustCommit(t, l)
	return newest
}

func checkFind(t *testing.T, l *Log, newest map[uint64]LSN) {
	t.Helper()
	var r Record
	for fp, want := range newest {
		got, ok, err := l.Find(fp, 0)
		if got != want || !ok || err != nil {
			t.Fatalf("fingerprint %x: %v %v %v, want %v", fp, got, ok, err, want)
		}
		if fp%16 != 0 { // each Get unseals a whole page
			continue
		}
		if err := l.Get(got, &r); err != nil || printOf(&r) != fp {
			t.Fatalf("fingerprint %x finds another record: %v", fp, err)
		}
	}
}

// indexed waits until the writer has passed an LSN.
func indexed(t *testing.T, ix *index, lsn LSN) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { panic("the index does not follow") })
	defer late.Stop()
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for ix.done < lsn {
		ix.change.Wait()
	}
}

// What left the memory is found on the disk; a crash at any moment leaves an
// index that Open completes.
func TestIndexFollowsAndCatchesUp(t *testing.T) {
	for _, inline := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(21, 22))
		fs := vfs.NewCrashableMem()
		o := testOptions(fs)
		o.InlineIndex = inline
		l := small(mustOpen(t, o))
		newest := appendMany(t, l, rng, 3*smallHalf+smallHalf/2) // several generations
		if len(l.index.prev.entries) == 0 {
			t.Fatal("no generation has passed")
		}
		checkFind(t, l, newest)
		indexed(t, l.index, l.index.prevLast)

		for _, percent := range []int{0, 50, 100} {
			o := testOptions(fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}))
			o.InlineIndex = inline
			again := mustOpen(t, o)
			if len(again.index.cur.entries) != 0 {
				t.Fatal("a new Log remembers")
			}
			checkFind(t, again, newest)
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
		}
		// After an orderly Close nothing is left to catch up.
		last := l.last
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = mustOpen(t, o)
		if done, _, _, err := l.index.progress(); done != last || err != nil {
			t.Errorf("indexed up to %v, want %v: %v", done, last, err)
		}
		checkFind(t, l, newest)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A shard that is a whole generation ahead waits for the writer, also when the
// writer has too little to begin by itself.
func TestShardWaitsForIndex(t *testing.T) {
	for _, inline := range []bool{false, true} {
		fs := vfs.NewMem()
		o := testOptions(fs)
		o.InlineIndex = inline
		l := small(mustOpen(t, o))
		stage := func(from, n uint32) {
			for i := from; i < from+n; i++ {
				r := request(i)
				l.Append(&r)
			}
		}
		stage(0, 10)
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		stage(10, smallHalf) // staged while ten are in the air
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		if len(l.index.prev.entries) < smallHalf {
			t.Fatal("no generation has passed")
		}
		mustCommit(t, l)
		stage(smallHalf+10, 10)
		if err := l.Commit(); err != nil {
			t.Fatal(err)
		}
		stage(2*smallHalf, smallHalf)
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		l.index.mu.Lock()
		done := l.index.done
		l.index.mu.Unlock()
		if done < lsnAt(1, 0) {
			t.Error("forgotten before it was written")
		}
		for _, n := range []uint32{0, 9, 10, smallHalf, smallHalf + 19, 2*smallHalf + 1} {
			r := request(n)
			if _, ok, err := l.Find(printOf(&r), 0); !ok || err != nil {
				t.Errorf("inline %v: request %d: %v %v", inline, n, ok, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The disk is searched back to the time that is named, and no farther: whatever
// order the clock gave the records.
func TestFindLooksBackToATime(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.InlineIndex = true
	l := small(mustOpen(t, o))
	defer l.Close()
	const n = 8 * smallHalf
	at := func(i uint32) int64 { return int64(i)*10 - int64(i%7)*15 } // the clock is set back now and then
	for i := range uint32(n) {
		r := request(i)
		r.Facts.At = at(i)
		l.Append(&r)
		if i%50 == 49 {
			mustCommit(t, l)
		}
	}
	stopped := 0
	for i := range uint32(n) {
		r := request(i)
		if _, ok, err := l.Find(printOf(&r), at(i)); !ok || err != nil {
			t.Fatalf("request %d is not found since its own time: %v", i, err)
		}
		if _, ok, _ := l.Find(printOf(&r), at(n-1)-smallHalf*10); !ok {
			stopped++
		}
	}
	if stopped < n/2 {
		t.Errorf("only %d searches stopped before they came to an old record", stopped)
	}
}

func TestIndexSortsItsEntries(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	ix := new(index)
	for _, n := range []int{0, 1, 2, 100, 5000} {
		in := make([]entry, n)
		for i := range in {
			in[i] = entry{rng.Uint64() >> (rng.IntN(2) * 12), LSN(i)}
			if i > 0 && rng.IntN(4) == 0 {
				in[i].fp = in[rng.IntN(i)].fp
			}
		}
		want := slices.Clone(in)
		slices.SortFunc(want, func(a, b entry) int { return cmp.Or(cmp.Compare(a.fp, b.fp), cmp.Compare(a.lsn, b.lsn)) })
		if got := ix.sort(in); !slices.Equal(got, want) {
			t.Fatalf("%d entries are out of order", n)
		}
	}
}

// A writer that fails ends the Log.
func TestIndexError(t *testing.T) {
	l := mustOpen(t, testOptions(vfs.NewMem()))
	sick := errors.New("sick")
	l.index.mu.Lock()
	l.index.wrote(0, sick)
	l.index.mu.Unlock()
	if err := l.Commit(); err != sick {
		t.Errorf("commit gave %v", err)
	}
	if _, _, err := l.Find(1, 0); err != sick {
		t.Errorf("find gave %v", err)
	}
	if err := l.index.feed(nil, 1, 0); err != sick {
		t.Errorf("feed gave %v", err)
	}
	if err := l.Close(); err != sick {
		t.Errorf("close gave %v", err)
	}
	l.index.others.Wait()
	// What Close leaves alone after a fault.
	if err := errors.Join(l.index.batch.Close(), l.index.db.Close(), l.db.Close()); err != nil {
		t.Error(err)
	}
}

// A new Log fills its filter from what earlier ones indexed.
func TestFilterAfterOpen(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	r := request(1)
	want := l.Append(&r)
	mustCommit(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, testOptions(fs))
	defer l.Close()
	whenReady(t, l)
	if l.index.filter.Unknown(printOf(&r)) {
		t.Error("the filter denies what is on disk")
	}
	if got, ok, err := l.Find(printOf(&r), 0); got != want || !ok || err != nil {
		t.Errorf("%v %v %v", got, ok, err)
	}
}

// The index may be removed; one that knows more than the journal is refused,
// because its places will hold other records.
func TestIndexIsMadeAnew(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	fs := vfs.NewMem()
	l := mustOpen(t, testOptions(fs))
	newest := appendMany(t, l, rng, 500)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fs.RemoveAll("journal/index"); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, testOptions(fs))
	checkFind(t, l, newest)
	ahead := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), uint64(l.last+1<<indexBits+1<<40))[:16]
	if err := l.index.db.Set(progressKey(l.shard), ahead, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(testOptions(fs))
	if err == nil || !strings.Contains(err.Error(), "journal/index") || !strings.Contains(err.Error(), "remove") {
		t.Fatalf("got %v", err)
	}
}
