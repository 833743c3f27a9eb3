package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/google/go-cmp/cmp"

	"tongka/txn"
)

// tickTruth is what a test knows of one tick.
type tickTruth struct {
	at   []LSN
	recs []Record
	key  string // put in the tick
	gone string // deleted in the tick
}

// play stages and commits one random tick. The caller syncs.
func play(t *testing.T, l *Log, rng *rand.Rand, n int) tickTruth {
	t.Helper()
	var tr tickTruth
	for range 1 + rng.IntN(20) {
		r := randomRecord(rng)
		tr.recs = append(tr.recs, copyOf(r))
		tr.at = append(tr.at, l.Append(r))
	}
	tr.key = fmt.Sprintf("tick %d", n)
	l.Put([]byte(tr.key), []byte(tr.key))
	if n > 0 {
		tr.gone = fmt.Sprintf("tick %d", n-1)
		l.Delete([]byte(tr.gone))
	}
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	return tr
}

// present says whether a tick is there as a whole; anything between fails.
func present(t *testing.T, l *Log, tr *tickTruth) bool {
	t.Helper()
	_, here, err := l.Lookup([]byte(tr.key), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, old, _ := l.Lookup([]byte(tr.gone), nil); tr.gone != "" && old == here {
		t.Fatalf("put %v, deleted key there %v: torn", here, old)
	}
	var r Record
	for i, at := range tr.at {
		err := l.Get(at, &r)
		if here && (err != nil || sameAs(&tr.recs[i], &r) != "") {
			t.Fatalf("record %v: %v: torn", at, err)
		}
		if !here && !errors.Is(err, ErrNotFound) {
			t.Fatalf("record %v: %v of a tick that is not there", at, err)
		}
	}
	return here
}

// atSync runs a function inside the next sync of the log, before anything of it
// is done: the bytes are written and not yet safe.
type atSync struct {
	vfs.FS
	hook atomic.Pointer[func()]
}

func newAtSync(under vfs.FS) *atSync {
	a := &atSync{}
	a.FS = errorfs.Wrap(under, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isLogSync(op) {
			if f := a.hook.Swap(nil); f != nil {
				(*f)()
			}
		}
		return nil
	}))
	return a
}

func isLogSync(op errorfs.Op) bool {
	isSync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
	return isSync && strings.HasSuffix(op.Path, ".wal")
}

// A crash between ticks or within a sync, with any share of what was not
// synced: synced ticks are there, and the one in the air is there or not, never
// in part.
func TestCrash(t *testing.T) {
	var kept, lost int
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 5))
		under := vfs.NewCrashableMem()
		fs := newAtSync(under)
		l := mustOpen(t, testOptions(fs))
		n := 1 + rng.IntN(10)
		inAir := rng.IntN(3) > 0
		var crashed *vfs.MemFS
		crash := func() {
			crashed = under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		}
		var ticks []tickTruth
		for i := range n {
			if inAir && i == n-1 {
				fs.hook.Store(&crash)
			}
			ticks = append(ticks, play(t, l, rng, i))
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		if !inAir {
			crash()
		}
		again := mustOpen(t, testOptions(crashed))
		if rng.IntN(2) == 0 { // and another crash as soon as it is open
			left := crashed.CrashClone(vfs.CrashCloneCfg{})
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			again = mustOpen(t, testOptions(left))
		}
		// Of an older tick the key is deleted by the next one, so only the
		// newest can be asked by its key.
		switch here := present(t, again, &ticks[n-1]); {
		case !here && !inAir:
			t.Fatalf("seed %d: a synced tick is lost", seed)
		case !here:
			lost++
			ticks = ticks[:n-1]
		case inAir:
			kept++
		}
		var want []Record
		for i := range ticks {
			want = append(want, ticks[i].recs...)
		}
		_, all := replayed(t, again, 0)
		if d := cmp.Diff(want, all, byValue); d != "" {
			t.Fatalf("seed %d: replay: %s", seed, d)
		}
		if err := errors.Join(again.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the tick in the air was kept %d times, lost %d times", kept, lost)
	if kept == 0 || lost == 0 {
		t.Error("the crashes do not reach both sides")
	}
}

// No nonce is used twice under a key, and no tick number twice, over reopening
// and crashes that lose the newest ticks.
func TestNothingIsUsedTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	fs := vfs.NewCrashableMem()
	ticks := map[uint64]bool{}
	keys := map[[keysSize]byte]bool{}
	for range 12 {
		l := mustOpen(t, testOptions(fs))
		if keys[l.epoch.keys] {
			t.Fatal("a key came twice")
		}
		keys[l.epoch.keys] = true
		const rounds = 5
		var crashed *vfs.MemFS
		records := 0
		for n := range rounds {
			if n == rounds-1 { // the last tick may be lost, and its number is still used
				crashed = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			}
			tr := play(t, l, rng, n)
			if tick := tr.at[0].tick(); ticks[tick] {
				t.Fatalf("tick %d came twice", tick)
			} else {
				ticks[tick] = true
			}
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
			records++
		}
		// Every tick's value is still there, and the newest of the keys.
		if got := noncesOf(t, l, l.epoch.number); len(got) != records+1 || l.count < uint64(len(got)) {
			t.Fatalf("%d nonces of %d seals", len(got), l.count)
		}
		fs = crashed
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// noncesOf gives the nonces of an epoch's sealed values that are readable; two
// values with one nonce fail.
func noncesOf(t *testing.T, l *Log, number uint32) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for _, letter := range []byte("TUM") {
		it, err := l.db.NewIter(span(letter, l.shard))
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			nonce := string(it.Value()[:sealHead])
			if uint32(nonce[0])|uint32(nonce[1])<<8 != number {
				continue
			}
			if got[nonce] {
				t.Fatalf("nonce %x twice", nonce)
			}
			got[nonce] = true
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// When a block of tick numbers is half used, the next is on disk before its
// first number is.
func TestBlocksOfTicks(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, testOptions(fs))
	l.tick = l.epoch.limit - tickBlock/2 - 2 // as after half a million ticks
	var highest uint64
	for range 5 {
		highest = l.Append(&Record{Kind: Started}).tick()
		mustCommit(t, l)
	}
	if l.epoch.limit <= highest+tickBlock/2 {
		t.Fatalf("limit %d at tick %d: no new block", l.epoch.limit, highest)
	}
	limit := l.epoch.limit
	again := mustOpen(t, testOptions(fs.CrashClone(vfs.CrashCloneCfg{})))
	if again.tick != limit {
		t.Fatalf("a new epoch begins at %d, want %d", again.tick, limit)
	}
	if err := errors.Join(again.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
}

// faultyFS fails every sync of the log once it is told to.
func faultyFS(under vfs.FS, broken *atomic.Bool) vfs.FS {
	return errorfs.Wrap(under, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && isLogSync(op) {
			return syscall.EIO
		}
		return nil
	}))
}

func TestSyncErrorIsTheEnd(t *testing.T) {
	under := vfs.NewCrashableMem()
	var broken atomic.Bool
	o := testOptions(faultyFS(under, &broken))
	o.Fatal = func(msg string) { t.Error("Fatalf:", msg); runtime.Goexit() }
	l := mustOpen(t, o)
	good := l.Append(&Record{Kind: Intent, Facts: txn.Facts{ID: 1}})
	mustCommit(t, l)

	broken.Store(true)
	doubtful := l.Append(&Record{Kind: Outcome, Facts: txn.Facts{ID: 1}})
	err := l.Commit()
	if err == nil {
		err = l.Sync()
	}
	if !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	broken.Store(false) // the disk is well again, this Log is not
	l.Append(&Record{Kind: Started})
	var r Record
	_, _, lookup := l.Lookup(nil, nil)
	_, _, find := l.Find(0, 0)
	for what, got := range map[string]error{
		"commit": l.Commit(), "sync": l.Sync(), "get": l.Get(good, &r), "lookup": lookup, "find": find,
		"replay": l.Replay(0, nil), "each": l.Each(nil, nil), "close": l.Close(),
	} {
		if got != err {
			t.Errorf("%s gave %v, want the first error", what, got)
		}
	}

	again := mustOpen(t, testOptions(under.CrashClone(vfs.CrashCloneCfg{})))
	defer again.Close()
	if err := again.Get(good, &r); err != nil || r.Facts.ID != 1 {
		t.Errorf("the synced record: %v", err)
	}
	if err := again.Get(doubtful, &r); err != nil && err != ErrNotFound {
		t.Errorf("the record in doubt is neither there nor gone: %v", err)
	}
}
