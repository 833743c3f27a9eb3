package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/admin"
	"tongka/clearing/day"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

func play(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = runIn(args, streams{ctx: t.Context(), in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func dayBook(t *testing.T, file string, dates ...day.Date) {
	t.Helper()
	b, err := day.OpenBook(filepath.Join(filepath.Dir(file), "data", "cuts"))
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range dates {
		c := day.Cut{Date: d, End: uint64(i) << 40, At: int64(i) * 1e15, By: day.Scheduled}
		if i == 0 {
			c.By = day.Origin
		}
		if err := b.Decide(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDayClockAtRest(t *testing.T) {
	file := clearGround(t)
	if code, _, errs := play(t, "day", "clock", "-c", file); code != exitFailed || !strings.Contains(errs, "cuts") {
		t.Errorf("without a book: %d %s", code, errs)
	}
	dayBook(t, file, 20260930, 20261001)
	code, out, errs := play(t, "day", "clock", "-c", file, "--json")
	var c admin.Clock
	if err := json.Unmarshal([]byte(out), &c); code != exitDone || err != nil || c.Open != "20261002" || c.Last != "20261001" || c.Left >= 0 {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if code, out, _ := play(t, "ctl", "day", "clock", "-c", file); code != exitDone || !strings.Contains(out, "overdue") || !strings.Contains(out, "does not run") {
		t.Errorf("%d %s", code, out)
	}
	if code, _, errs := play(t, "ctl", "day", "cut", "20261002", "-c", file); code != exitFailed || !strings.Contains(errs, "a running switch ends its day") {
		t.Errorf("%d %s", code, errs)
	}
}

// The checklist names what is missing, and fails until it is there or waived.
func TestDayCheck(t *testing.T) {
	file := clearGround(t)
	dir := filepath.Dir(file)
	in := filepath.Join(dir, "data/clearing/in/20261001/a.csv")
	if err := os.Rename(in, in+".part"); err != nil {
		t.Fatal(err)
	}
	key, err := journal.LoadKey(filepath.Join(dir, "data/journal.key"), filepath.Join(dir, "data/journal"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "data/journal"), Key: key, NoWarm: true})
	if err != nil {
		t.Fatal(err)
	}
	storefwd.New(log, []storefwd.Policy{{}}, 1).Owe(&txn.Facts{ID: 9, Kind: txn.Sale, Amount: 100, At: 1}, storefwd.Reversal, nil, 0, 0)
	if err := log.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	code, out, errs := play(t, "day", "check", "-c", file, "--date", "20261001")
	for _, want := range []string{"✗ cut", "✗ files", "    a.csv", "✓ offline", "✓ batches", "✗ owed", "9 reversal → a 100"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != exitFailed || !strings.Contains(errs, "cannot be closed yet") {
		t.Errorf("%d %s", code, errs)
	}
	if err := os.Rename(in+".part", in); err != nil {
		t.Fatal(err)
	}
	dayBook(t, file, 20260930, 20261001)
	code, out, errs = play(t, "day", "check", "-c", file, "--date", "20261001", "--without", "owed", "--json")
	var got struct {
		Ready bool
		Items []dayItem
	}
	if err := json.Unmarshal([]byte(out), &got); code != exitDone || err != nil || !got.Ready || len(got.Items) != len(dayItems) || !got.Items[5].Waived || got.Items[5].OK {
		t.Errorf("%d %s %s", code, out, errs)
	}
	for want, args := range map[string][]string{"no item": {"--without", "x"}, "--date: ": {"--date", "x"}} {
		if code, _, errs := play(t, append([]string{"day", "check", "-c", file, "--date", "20261001"}, args...)...); code != exitFailed || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}
