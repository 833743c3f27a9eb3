package clean

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/clearing/day"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// ground is a journal of days with two sales each, and its cuts.
func ground(t *testing.T, days int) (*journal.Log, day.Cuts) {
	t.Helper()
	log, err := journal.Open(journal.Options{Dir: filepath.Join(t.TempDir(), "journal"), Key: [32]byte{1}, NoWarm: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	var cuts day.Cuts
	id := txn.ID(0)
	for i := range days {
		c := day.Cut{Date: day.Date(20260101).Add(i), End: uint64(log.Next()), By: day.Scheduled}
		if i == 0 {
			c.By = day.Origin
		}
		if cuts, err = cuts.Decide(c); err != nil {
			t.Fatal(err)
		}
		for _, result := range []txn.Result{txn.Approved, txn.TimedOut} {
			id++
			log.Append(&journal.Record{Kind: journal.Outcome, Facts: txn.Facts{ID: id, Kind: txn.Sale, Amount: 100, Result: result}})
		}
		log.Mark(log.Next(), id+1)
		if err := log.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	return log, cuts
}

func summarize(src Source, cuts day.Cuts, date day.Date) (*Summary, error) {
	from, to, _ := cuts.Window(date)
	return Summarize(src, date, from, to)
}

func TestSummaryAndPlan(t *testing.T) {
	log, cuts := ground(t, 60)
	read := log.NewReader()
	s, err := summarize(read, cuts, 20260103)
	if k := s.Kinds["sale"]; err != nil || s.Records != 2 || k.Count != 2 || k.Approved != 1 || k.TimedOut != 1 || k.Fen != 100 {
		t.Fatalf("%+v %v", s, err)
	}
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	nobody := func(func(txn.ID)) error { return nil }
	for want, date := range map[string]day.Date{"does not have it": 20270101, "at least 30 days": 20260130} {
		if _, err := Plan(read, cuts, date, now, nobody); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", date, err)
		}
	}
	f, err := Plan(read, cuts, 20260110, now, nobody)
	if err != nil || f.Last != 18 || uint64(f.At) != cuts[9].End {
		t.Fatalf("%+v %v", f, err)
	}
	storefwd.New(log, []storefwd.Policy{{}}, 1).Owe(&txn.Facts{ID: 18}, storefwd.Reversal, nil, 0, 0)
	if err := log.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := Plan(read, cuts, 20260110, now, nobody); err == nil || !strings.Contains(err.Error(), "transaction 18: a reversal is still owed") {
		t.Errorf("%v", err)
	}
	if _, err := Plan(read, cuts, 20260109, now, func(f func(txn.ID)) error { f(16); f(17); return nil }); err == nil || !strings.Contains(err.Error(), "transaction 16 waits") || strings.Contains(err.Error(), "17") {
		t.Errorf("%v", err)
	}
	if f, err = Plan(read, cuts, 20260109, now, nobody); err != nil {
		t.Fatal(err)
	}
	if err := log.Purge(f); err != nil {
		t.Fatal(err)
	}
	if _, err := summarize(read, cuts, 20260103); !errors.Is(err, ErrGone) {
		t.Errorf("%v", err)
	}
	// Who keeps more than the last time takes nothing away, and nothing back.
	if again, err := Plan(read, cuts, 20260105, now, nobody); err != nil || again != f || log.Purge(again) != nil {
		t.Errorf("%+v %v", again, err)
	}
	if s, err := summarize(read, cuts, 20260110); err != nil || s.Records != 2 {
		t.Errorf("%+v %v", s, err)
	}
}

// A backup is there whole and proved, or not at all; one that was cut short is begun
// again, and one that was changed is found.
func TestBackup(t *testing.T) {
	dir := t.TempDir()
	to, own := filepath.Join(dir, "b"), filepath.Join(dir, "own")
	write := func(name, text string) error {
		return errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(text), 0o600))
	}
	if err := errors.Join(write(filepath.Join(own, "x/y"), "y"), write(filepath.Join(dir, "cuts"), "c"), write(filepath.Join(to+half, "left"), "by a crash")); err != nil {
		t.Fatal(err)
	}
	checkpoint := func(d string) error { return write(filepath.Join(d, "000001.sst"), "data") }
	extra := map[string]string{"own": own, "cuts": filepath.Join(dir, "cuts"), "none": filepath.Join(dir, "none")}
	bad := errors.New("it does not open")
	if _, err := Backup(&Job{Dir: to, Checkpoint: checkpoint, Extra: extra, Prove: func(string) (int, error) { return 0, bad }}); !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("what cannot be restored has its name")
	}
	proved := ""
	m, err := Backup(&Job{Dir: to, Checkpoint: checkpoint, Extra: extra, Prove: func(copy string) (int, error) {
		b, err := os.ReadFile(filepath.Join(copy, "journal/000001.sst"))
		proved = string(b)
		// Who restores writes into the copy, and not into the backup.
		return 7, errors.Join(err, os.WriteFile(filepath.Join(copy, "journal/000001.sst"), []byte("else"), 0o600))
	}})
	if err != nil || proved != "data" || m.Records != 7 || len(m.Files) != 3 {
		t.Fatalf("%+v %v", m, err)
	}
	if _, err := Backup(&Job{Dir: to}); err == nil {
		t.Error("a second one in its place")
	}
	if got, err := Check(to); err != nil || got.Records != 7 {
		t.Errorf("%+v %v", got, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*"+half)); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
	if err := write(filepath.Join(to, "own/x/y"), "z"); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(to); err == nil || !strings.Contains(err.Error(), "own/x/y") {
		t.Errorf("%v", err)
	}
}
