package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/clearing/clean"
	"tongka/clearing/day"
	"tongka/journal"
)

// later is a day on which those of the ground are old.
var later = time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)

// cut ends days of a house's journal, with nothing after its last record.
func cut(t *testing.T, file string, dates ...day.Date) {
	t.Helper()
	dir := filepath.Dir(file)
	book, err := day.OpenBook(filepath.Join(dir, "data/cuts"))
	if err != nil {
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
	for i, d := range dates {
		by := day.Scheduled
		if len(book.Cuts()) == 0 && i == 0 {
			by = day.Origin
		}
		if err := book.Decide(day.Cut{Date: d, End: uint64(log.Next()), At: time.Date(2026, 10, int(d%100), 15, 0, 0, 0, time.UTC).UnixNano(), By: by}); err != nil {
			t.Fatal(err)
		}
	}
	log.Mark(log.Next(), 100)
	for _, err := range []error{log.Commit(), log.Close(), book.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Old days go once they have a summary and nobody needs them; all of it can be done
// again, and the backup has what went.
func TestCleanByCommands(t *testing.T) {
	file, ann, bob := house(t)
	dir := filepath.Dir(file)
	backups := filepath.Join(dir, "backups")
	dayBook(t, file, 20260930)
	cut(t, file, 20261001, 20261002)
	want(t, exitFailed, "no day is cleared yet", "clean", "run", "-c", file, "--backups", backups)
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261002")
	want(t, exitFailed, "--keep is 30 at least", "clean", "purge", "-c", file, "--keep", "29")
	want(t, exitDone, "no day is old enough", "clean", "purge", "-c", file, "--keep", "4000")
	c, err := (&clerkFlags{Config: file}).clerk()
	if err != nil {
		t.Fatal(err)
	}
	s := streams{ctx: t.Context(), in: strings.NewReader(""), out: os.Stderr, err: os.Stderr}
	if err := c.purge(&s, 30, later); err == nil || !strings.Contains(err.Error(), "no summary yet") {
		t.Errorf("without a summary: %v", err)
	}
	out := want(t, exitDone, "no day is old enough", "clean", "run", "-c", file, "--backups", backups, "--keep", "4000")
	if !strings.Contains(out, "restored and verified") || !strings.Contains(out, "20261001: 10") {
		t.Error(out)
	}
	if out := want(t, exitDone, "the backup is there", "clean", "run", "-c", file, "--backups", backups, "--keep", "4000"); strings.Contains(out, "→") {
		t.Errorf("summaries are made twice: %s", out)
	}
	want(t, exitDone, "files as listed", "clean", "check", filepath.Join(backups, "20261002"))
	if err := c.purge(&s, 30, later); err == nil || !strings.Contains(err.Error(), "20261001-o-11") {
		t.Errorf("with a case that is open: %v", err)
	}
	want(t, exitDone, "proposal", append([]string{"dispute", "decide", "20261001-o-11", "ignore", "--why", "small"}, ann...)...)
	want(t, exitDone, "confirmed", append([]string{"dispute", "confirm", "2"}, bob...)...)
	if err := c.purge(&s, 30, later); err == nil || !strings.Contains(err.Error(), "decided") {
		t.Errorf("with a decision that has not counted: %v", err)
	}
	d, err := c.desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := d.Bind(20261003, &b, c.who); err != nil {
		t.Fatal(err)
	}
	if _, err := d.TakeIn(20261003, "none", strings.NewReader(""), c.who); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and again
		if err := c.purge(&s, 30, later); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data/clearing/in/20261001")); err == nil {
		t.Error("their files are still there")
	}
	want(t, exitDone, "0 笔", "journal", "find", "-c", file, "--from", "2026-10-01", "--to", "2026-10-02")
	want(t, exitDone, "流水完整", "journal", "verify", "-c", file)
	if _, err := clean.Check(filepath.Join(backups, "20261002")); err != nil {
		t.Errorf("the backup: %v", err)
	}
}

// A house that burnt down goes on from its backup: books, cases and what is closed.
func TestCleanRestore(t *testing.T) {
	file, _, _ := house(t)
	dir := filepath.Dir(file)
	dayBook(t, file, 20260930)
	cut(t, file, 20261001, 20261002)
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	backup := filepath.Join(t.TempDir(), "b")
	want(t, exitDone, "restored and verified", "clean", "backup", "-c", file, "--to", backup)
	data := filepath.Join(dir, "data")
	for _, name := range []string{"journal", "cuts", "clearing"} {
		if err := errors.Join(os.RemoveAll(filepath.Join(data, name)), os.Rename(filepath.Join(backup, name), filepath.Join(data, name))); err != nil {
			t.Fatal(err)
		}
	}
	want(t, exitDone, "20261001-o-11", "dispute", "list", "-c", file)
	want(t, exitDone, "holds", "dispute", "verify", "-c", file)
	want(t, exitDone, "holds", "journal", "verify", "-c", file)
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	if err := os.MkdirAll(filepath.Join(data, "clearing/in/20261002"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "clearing/in/20261002/a.csv"), []byte("rrn,amount\nend,0,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261002")
}

// Days that were cleared by the clock, before there was a book of cuts, have their summary
// as well, by the window that they were cleared by; when their journal goes is said.
func TestCleanBeforeTheBook(t *testing.T) {
	file, _, _ := house(t)
	dir := filepath.Dir(file)
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261002")
	c, err := (&clerkFlags{Config: file}).clerk()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	s := streams{ctx: t.Context(), in: strings.NewReader(""), out: &out, err: os.Stderr}
	purge := func(says string) {
		t.Helper()
		out.Reset()
		if err := c.purge(&s, 30, later); !strings.Contains(fmt.Sprint(err, out.String()), says) {
			t.Errorf("%v %s, want %s", err, out.String(), says)
		}
	}
	purge("switch clean summary -c " + file)
	got := want(t, exitDone, "", "clean", "summary", "-c", file)
	if !strings.Contains(got, "20261001: 10") || !strings.Contains(got, "20261002: 0") {
		t.Error(got)
	}
	purge("the switch makes it when it starts")
	cut(t, file, 20261002, 20261003)
	purge("they go with its first day 20261003, from 20261103 on (--keep 30)")

	// A report that somebody has touched is no window.
	if err := os.Remove(filepath.Join(dir, "data/clearing/summaries/20261001.json")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "data/clearing/days/20261001/report.json")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(b), `"window": [`, `"window": ["x",`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, exitFailed, "report.json: window", "clean", "summary", "-c", file)
}
