package engine

import (
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/journal"
	"tongka/translate"
	"tongka/txn"
)

// leaveOpen writes a journal in dir as a switch leaves it that dies with n requests
// at its bank: an intent each, of n cards, and nothing else.
func leaveOpen(t testing.TB, dir string, n int) {
	t.Helper()
	log, err := journal.Open(journal.Options{Dir: dir, Key: [32]byte{1}, NoWarm: true})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, translate.Zone).UnixNano()
	r := journal.Record{Kind: journal.Intent, Facts: txn.Facts{Kind: txn.Sale, MTI: 0x0200, Amount: 100}}
	copy(r.Facts.Terminal.Merchant[:], terminalMerchant)
	copy(r.Facts.Terminal.Number[:], terminalNumber)
	for i := 1; i <= n; i++ {
		f := &r.Facts
		f.ID, f.At, f.Trace, f.Batch = txn.ID(i), at+int64(i), uint32(i%1_000_000), uint32(1+i/1_000_000)
		f.Sent = f.At
		if f.PAN, err = txn.ParsePAN([]byte(strconv.Itoa(6222020000000000 + i))); err != nil {
			t.Fatal(err)
		}
		log.Append(&r)
		if i%1000 == 0 || i == n {
			log.Stamp(f.At)
			if err := log.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := log.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// recoverFrom opens a shard on a folder, and gives what was owed then.
func recoverFrom(t testing.TB, dir string, progress func(Recovery)) (owed int) {
	t.Helper()
	w := newWorld(t)
	var cfg Config
	w.shape = func(c *Config) { cfg = *c }
	if err := w.tryOpen(vfs.NewCrashableMem()); err != nil {
		t.Fatal(err)
	}
	log, err := journal.Open(journal.Options{Dir: dir, Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cfg.Progress = progress
	s, err := Open(cfg, log, w.reg)
	if err != nil {
		t.Fatal(err)
	}
	return s.owed.Total()
}

// TestRecoverySaysHowFarItIs: of many open requests each is closed with a reversal
// owed before Open returns, it is told meanwhile, and a second start finds nothing
// open.
func TestRecoverySaysHowFarItIs(t *testing.T) {
	const n = 3 * progressEvery / 2
	dir := t.TempDir()
	leaveOpen(t, dir, n)
	var told []Recovery
	if owed := recoverFrom(t, dir, func(r Recovery) { told = append(told, r) }); owed != n {
		t.Errorf("%d owed, want %d", owed, n)
	}
	if len(told) < n/closeOpenAt || told[0] != (Recovery{Records: progressEvery, Open: progressEvery - 1}) {
		t.Fatalf("told %d times, first %+v", len(told), told[0])
	}
	for i := 1; i < len(told); i++ {
		if a, b := told[i-1], told[i]; b.Records < a.Records || b.Closed < a.Closed || b.Open > n {
			t.Errorf("%+v, then %+v", a, b)
		}
	}
	told = nil
	if owed := recoverFrom(t, dir, func(r Recovery) { told = append(told, r) }); owed != n {
		t.Errorf("%d owed at the second start", owed)
	}
	for _, r := range told {
		if r.Closed != 0 {
			t.Errorf("closed again: %+v", r)
		}
	}
}

// BenchmarkRecoverOpen recovers a folder with a million open requests, or as many as
// TONGKA_OPEN says: go test ./engine -run xx -bench RecoverOpen -benchtime 1x.
func BenchmarkRecoverOpen(b *testing.B) {
	n := 1_000_000
	if s := os.Getenv("TONGKA_OPEN"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for range b.N {
		b.StopTimer()
		dir := b.TempDir()
		leaveOpen(b, dir, n)
		runtime.GC()
		b.StartTimer()
		if owed := recoverFrom(b, dir, nil); owed != n {
			b.Fatalf("%d owed, want %d", owed, n)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()*float64(b.N), "open/s")
}
