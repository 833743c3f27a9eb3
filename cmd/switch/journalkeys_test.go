package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/journal"
)

// TestChangeOfTheJournalsKey sells, changes the key file, and destroys the earlier one
// after one start: all that was sold before is still there, under the same tokens.
func TestChangeOfTheJournalsKey(t *testing.T) {
	g := newGround(t)
	dir := filepath.Dir(g.file)
	old, next := filepath.Join(dir, "data", "journal.key"), filepath.Join(dir, "journal-2.key")
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.selling()
	g.fleet.Close()
	stop := func() {
		t.Helper()
		g.mustCtl("stop")
		if err := g.child.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	find := func() string {
		return g.ask("journal", "find", "--from", "2020-01-01", "--json", "--limit", "3", "--result", "approved")
	}
	stop()
	before := find()
	if !strings.Contains(before, `"card_token":"card-`) {
		t.Fatalf("nothing sold: %s", before)
	}

	r := call("", "journal", "newkey", next)
	if r.code != 0 || !strings.Contains(r.out, "校验值 · check ") {
		t.Fatal(r)
	}
	if r := call("", "journal", "newkey", next); r.code != 1 || !strings.Contains(r.err, "is there already") {
		t.Errorf("over a file: %v", r)
	}
	// Without the earlier file beside it, all that asks the folder says which is missing.
	g.edit("log:", "journal: {key_file: journal-2.key}\nlog:")
	if r := call("", "journal", "keys", "-c", g.file); r.code != 1 || !strings.Contains(r.out, "missing") || !strings.Contains(r.out, "journal.old_keys") {
		t.Errorf("a missing key: %v", r)
	}
	if r := call("", "journal", "find", "-c", g.file); r.code != 1 || !strings.Contains(r.err, journal.ErrKey.Error()) {
		t.Errorf("a missing key: %v", r)
	}
	if r := call("", "run", "-c", g.file); r.code == 0 || !strings.Contains(r.err, "the records of 1 starts cannot be read") {
		t.Errorf("a start without the earlier key: %v", r)
	}

	g.edit("{key_file: journal-2.key}", "{key_file: journal-2.key, old_keys: [data/journal.key]}")
	if out := g.ask("journal", "keys"); !strings.Contains(out, "still needed") || strings.Contains(out, "not needed") || !strings.Contains(out, "日期 · days 2") {
		t.Errorf("before the start: %s", out)
	}
	if got := find(); got != before {
		t.Errorf("before the start\n%s\nwas\n%s", got, before)
	}
	g.start()
	g.up()
	if out := g.ask("journal", "keys"); strings.Contains(out, "still needed") || !strings.Contains(out, "not needed") || !strings.Contains(out, "in use") {
		t.Errorf("after the start: %s", out)
	}
	if out := g.ask("journal", "keys", "--json"); strings.Count(out, "\n") != 2 || !strings.Contains(out, `"newest":true`) {
		t.Errorf("as JSON: %s", out)
	}
	stop()
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	if r := call("", "check", "-c", g.file); r.code == 0 || !strings.Contains(r.err+r.out, "journal.old_keys") || !strings.Contains(r.err+r.out, old) {
		t.Errorf("a key that is listed and gone: %v", r)
	}
	g.edit(", old_keys: [data/journal.key]", "")
	if got := find(); got != before {
		t.Errorf("after the change\n%s\nwas\n%s", got, before)
	}
	if out := g.ask("journal", "verify"); !strings.Contains(out, "the journal holds") {
		t.Errorf("%s", out)
	}
}

// TestHotChangeOfTheJournalsKey changes the key file by a hot restart under load. The
// first successor fails when the stores lie under the new key already; the old process
// takes them back to its own, and the second one succeeds.
func TestHotChangeOfTheJournalsKey(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	pid := g.up().PID
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.selling()
	// It lies under the security module of the config.
	if r := call("", "journal", "newkey", filepath.Join(filepath.Dir(g.file), "journal-2.key"), "--hsm", g.file); r.code != 0 {
		t.Fatal(r)
	}
	g.edit("log:", "journal: {key_file: journal-2.key, old_keys: [data/journal.key]}\nlog:")
	g.edit("links: [{name: bank,", "links: [{name: other,") // not this folder's first link
	g.edit("routes: [{link: bank}]", "routes: [{link: other}]")
	g.mustCtl("restart", "--wait", "0s")
	g.until("the old process has opened again", func() bool { return strings.Contains(g.log(), "this one opens again") })
	if st := g.up(); st.PID != pid {
		t.Fatalf("process %d runs, not %d\n%s", st.PID, pid, g.log())
	}
	if n := strings.Count(g.log(), "go under the newest key file"); n != 2 {
		t.Errorf("the keys moved %d times, not there and back", n)
	}
	g.selling()
	if out := g.ask("journal", "keys"); !strings.Contains(out, "still needed") {
		t.Errorf("under the old key: %s", out)
	}
	g.edit("links: [{name: other,", "links: [{name: bank,")
	g.edit("routes: [{link: other}]", "routes: [{link: bank}]")
	g.mustCtl("restart")
	if st := g.up(); st.PID == pid {
		t.Errorf("process %d still runs", pid)
	}
	g.selling()
	if out := g.ask("journal", "keys"); strings.Contains(out, "still needed") || !strings.Contains(out, "not needed") {
		t.Errorf("under the new key: %s", out)
	}
	if out := g.ask("journal", "verify"); !strings.Contains(out, "the journal holds") {
		t.Error(out)
	}
	g.agree()
}
