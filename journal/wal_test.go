package journal

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"tongka/txn"
)

// crashClone is what a power cut leaves when nothing reaches the disk by chance.
func crashClone(fs *vfs.MemFS) *vfs.MemFS { return fs.CrashClone(vfs.CrashCloneCfg{}) }

// Ticks enough for many segments: what was synced survives each crash, whether it is
// in a table, in the log or in both, and one life follows the other.
func TestCrashOverManySegments(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 21))
		fs := vfs.NewCrashableMem()
		var ticks []tickTruth
		big := make([]byte, 600<<10)
		for range 4 {
			l := mustOpen(t, testOptions(fs))
			if n := len(ticks); n > 0 && !present(t, l, &ticks[n-1]) {
				t.Fatalf("seed %d: tick %d of a life before is lost", seed, n-1)
			}
			for range 10 + rng.IntN(40) {
				if rng.IntN(3) > 0 {
					l.Put([]byte("fill"), big[:rng.IntN(len(big))])
				}
				ticks = append(ticks, play(t, l, rng, len(ticks)))
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
			}
			left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			fs = left
		}
		again := mustOpen(t, testOptions(fs))
		var want []Record
		for i := range ticks {
			want = append(want, ticks[i].recs...)
		}
		if _, all := replayed(t, again, 0); cmp.Diff(want, all, byValue) != "" {
			t.Fatalf("seed %d: replay: %s", seed, cmp.Diff(want, all, byValue))
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A large batch is flushed by itself as soon as Pebble has it: it does not get it
// before the log is safe.
func TestALargeTickIsSafeBeforePebbleHasIt(t *testing.T) {
	under := vfs.NewCrashableMem()
	fs := newAtSync(under)
	l := mustOpen(t, testOptions(fs))
	defer l.Close()
	beside := l.NewReader()
	met := false
	inSync := func() {
		met = true
		if _, there, err := beside.Lookup([]byte("large"), nil); there || err != nil {
			t.Errorf("in the sync: there %v, %v", there, err)
		}
	}
	fs.hook.Store(&inSync)
	l.Put([]byte("large"), make([]byte, 600<<10))
	if err := l.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, there, err := beside.Lookup([]byte("large"), nil); !there || err != nil || !met {
		t.Errorf("after the commit: there %v, %v, sync %v", there, err, met)
	}
}

// A checkpoint while a tick is in the air brings no table to the disk that knows more
// than the log.
func TestCheckpointWhileATickIsInTheAir(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, testOptions(fs))
	defer l.Close()
	var ticks []tickTruth
	for n := range 5 {
		ticks = append(ticks, play(t, l, rng, n))
	}
	if err := l.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"journal", "copy"} {
		o := testOptions(crashClone(fs))
		o.Dir = dir
		again := mustOpen(t, o)
		if !present(t, again, &ticks[4]) {
			t.Errorf("%s lacks the tick that was in the air when the checkpoint was made", dir)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// What only the log holds is read without changing a file.
func TestReadOnlyReadsTheLog(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, testOptions(fs))
	defer l.Close()
	var want []Record
	for n := range 5 {
		tr := play(t, l, rng, n)
		want = append(want, tr.recs...)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	o := testOptions(crashClone(fs))
	for range 2 { // the first look takes nothing away
		k, err := OpenReadOnly(o)
		if err != nil {
			t.Fatal(err)
		}
		var all []Record
		if err := k.Replay(0, func(_ LSN, r *Record) error { all = append(all, copyOf(r)); return nil }); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, all, byValue); d != "" {
			t.Error(d)
		}
		for key, there := range map[string]bool{"tick 4": true, "tick 3": false} {
			if _, got, err := k.Lookup([]byte(key), nil); got != there || err != nil {
				t.Errorf("%s: %v, %v", key, got, err)
			}
		}
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A journal without its log, or with a damaged one, is not opened as if it were whole.
func TestTheLogIsMissed(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, testOptions(fs))
	defer l.Close()
	for n := range txn.ID(3) {
		l.Append(&Record{Kind: Started, Facts: txn.Facts{ID: n + 1}})
		mustCommit(t, l)
	}
	if err := l.Checkpoint("copy"); err != nil { // all tables are on disk
		t.Fatal(err)
	}
	for n := range txn.ID(3) {
		l.Append(&Record{Kind: Started, Facts: txn.Facts{ID: n + 4}})
		mustCommit(t, l)
	}
	refused := func(what, dir, words string, fs vfs.FS) {
		t.Helper()
		o := testOptions(fs)
		o.Dir = dir
		_, err := Open(o)
		_, ro := OpenReadOnly(o)
		for _, err := range []error{err, ro} {
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	for _, dir := range []string{"journal", "copy"} {
		without := crashClone(fs)
		if err := without.RemoveAll(dir + "/log"); err != nil {
			t.Fatal(err)
		}
		refused("no log in "+dir, dir, "files are missing", without)
	}
	torn := crashClone(fs)
	f, err := torn.OpenReadWrite("journal/log/000001.wal", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("!"), 4096+40); err != nil { // of the second frame
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	refused("a damaged frame", "journal", "journal/log/000001.wal cannot be read at byte 4096", torn)
}

// A purge is in the log as well: it is not undone by what stood there before it.
func TestAPurgeSurvivesACrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, testOptions(fs))
	defer l.Close()
	var places []LSN
	for n := range txn.ID(6) {
		places = append(places, l.Append(&Record{Kind: Started, Facts: txn.Facts{ID: n + 1}}))
		l.Mark(places[n], n+2)
		mustCommit(t, l)
	}
	l.Append(&Record{Kind: Started, Facts: txn.Facts{ID: 7}})
	if err := l.Commit(); err != nil { // in the air when the purge comes
		t.Fatal(err)
	}
	if err := l.Purge(Floor{At: places[3], Last: 3}); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, testOptions(crashClone(fs)))
	defer again.Close()
	at, all := replayed(t, again, 0)
	if len(all) != 4 || at[0] != places[3] || all[3].Facts.ID != 7 {
		t.Errorf("%d records from %v on", len(all), at)
	}
}

// A switch from before the log was ours refuses the journal by the length of its
// epochs: it would not look for what the log holds.
func TestOlderSwitchesRefuse(t *testing.T) {
	l := openMem(t)
	if n := len(l.epoch.encode()); n == epochSize1 || n == epochSize2 {
		t.Errorf("an epoch of %d bytes is read by switches that know no log", n)
	}
	if segment, err := lastSegment(l.db, l.shard); err != nil || segment != 1 {
		t.Errorf("the epoch names segment %d, %v", segment, err)
	}
}

// A journal whose log has files of another size is opened: what they hold is read, and
// the files are used on.
func TestLogOfAnotherSize(t *testing.T) {
	for _, sizes := range [][2]int{{4 << 20, minMemTable}, {minMemTable, 4 << 20}} {
		rng := rand.New(rand.NewPCG(uint64(sizes[0]), 5))
		fs := vfs.NewCrashableMem()
		var ticks []tickTruth
		big := make([]byte, 300<<10)
		for life := range 4 {
			o := testOptions(fs)
			o.NoWarm, o.MemTable = false, sizes[life%2]
			l := mustOpen(t, o)
			var want []Record
			for i := range ticks {
				want = append(want, ticks[i].recs...)
			}
			if _, all := replayed(t, l, 0); cmp.Diff(want, all, byValue) != "" {
				t.Fatalf("sizes %v, life %d: %d records, want %d", sizes, life, len(all), len(want))
			}
			for range 30 {
				l.Put([]byte("fill"), big)
				ticks = append(ticks, play(t, l, rng, len(ticks)))
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
			}
			left := crashClone(fs)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			fs = left
		}
	}
}
