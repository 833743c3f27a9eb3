package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/journal/query"
	"tongka/sim"
)

// ask runs one of this program's commands on the ground's config and wants it to
// succeed.
func (g *ground) ask(args ...string) string {
	g.t.Helper()
	r := call("", append(args, "-c", g.file)...)
	if r.code != 0 {
		g.t.Fatalf("%v: %v\n%s", args, r, g.log())
	}
	return r.out
}

// TestJournalAndDebtsOfARunningSwitch sells, lets a bank be silent, and asks the
// running process and then its folder: both must tell the same.
func TestJournalAndDebtsOfARunningSwitch(t *testing.T) {
	g := newGround(t)
	g.edit("log:", "admin: {tokens: tokens}\nlog:")
	// A line that is taken out would come back with its next probe only.
	g.edit("answer_timeout: 1s,", "answer_timeout: 1s, max_missed: 0,")
	dir := filepath.Dir(g.file)
	tokens := map[string]string{"alice": strings.Repeat("a", 24), "bob": strings.Repeat("b", 24)}
	var lines string
	for name, token := range tokens {
		lines += name + ":" + token + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "tokens"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.selling()
	if err := g.bank.Behave(sim.Behaviour{Silent: true}); err != nil {
		t.Fatal(err)
	}
	as := func(name string, args ...string) result {
		return call("", append(append([]string{"saf"}, args...), "-c", g.file, "--token", filepath.Join(dir, name))...)
	}
	if r := as("alice", "hold", "bank", "--why", "test"); r.code != 0 {
		t.Fatal(r)
	}
	g.until("something is owed", func() bool { return strings.Contains(g.ask("saf", "list", "--json"), `"form"`) })
	g.until("one is told 98", func() bool { return strings.Contains(g.ask("journal", "find", "--code", "98"), "timed-out") })

	var debt struct {
		ID   uint64 `json:"id,string"`
		Form string `json:"form"`
	}
	first, _, _ := strings.Cut(g.ask("saf", "list", "--json", "--limit", "1"), "\n")
	if err := json.Unmarshal([]byte(first), &debt); err != nil || debt.ID == 0 {
		t.Fatalf("%q: %v", first, err)
	}
	id := fmt.Sprint(debt.ID)
	if out := g.ask("saf", "show", id); !strings.Contains(out, "*") {
		t.Errorf("show: %s", out)
	}
	// What could never be done is refused before anybody is asked to confirm it.
	for _, order := range [][]string{{"settle", "bank", "--why", "the whole link"}, {"settle", "bank", "999999999", "--why", "unknown"}, {"release", "nobank", "--why", "x"},
		{"settle", "bank", id, "--form", debt.Form, "--why", " "}, {"settle", "bank", id, "--form", debt.Form, "--why", "two\nlines"}, {"hold", "bank", "--why", ""},
		{"settle", "bank", id, "--form", debt.Form, "--why", strings.Repeat("x", 201)}, {"list", "--link", "nobank"}, {"export", "--link", "nobank"}} {
		if r := as("alice", order...); r.code == 0 {
			t.Errorf("%q: %v", order, r)
		}
	}
	if out := g.ask("saf", "proposals"); out != "" {
		t.Errorf("proposals: %s", out)
	}
	r := as("alice", "settle", "bank", id, "--form", debt.Form, "--why", "paid by letter")
	number := proposed(t, r)
	if r := as("bob", "confirm", "1"); r.code == 0 { // numbers are not guessed
		t.Errorf("%v", r)
	}
	if r := as("alice", "confirm", number); r.code == 0 || !strings.Contains(r.err, "another person") {
		t.Errorf("one person alone: %v", r)
	}
	kill(t, g.child) // and what one person wanted is still there for the other
	g.start()
	g.up()
	if r := as("alice", "confirm", number); r.code == 0 || !strings.Contains(r.err, "another person") {
		t.Errorf("one person alone, over a restart: %v", r)
	}
	if out := g.ask("saf", "proposals"); !strings.Contains(out, "token alice") {
		t.Errorf("proposals: %s", out)
	}
	if r := as("bob", "confirm", number); r.code != 0 {
		t.Errorf("the second person: %v", r)
	}
	if out := g.ask("journal", "show", id); !strings.Contains(out, "given-up") || !strings.Contains(out, "arrived") {
		t.Errorf("its story: %s", out)
	}
	if r := as("alice", "confirm", proposed(t, as("bob", "release", "bank", "--why", "test"))); r.code != 0 {
		t.Fatal(r)
	}
	if out := g.ask("ctl", "audit", "show"); strings.Count(out, "saf-") < 5 || !strings.Contains(out, "token bob") {
		t.Errorf("the audit file: %s", out)
	}
	if err := g.bank.Behave(sim.Behaviour{}); err != nil {
		t.Fatal(err)
	}
	g.fleet.Close()
	g.nothingOwed()
	live := g.ask("journal", "verify", "--json")
	if !strings.Contains(live, `"open": 0`) || !strings.Contains(live, `"debts": 0`) {
		t.Error(live)
	}
	g.mustCtl("stop")
	if err := g.child.Wait(); err != nil {
		t.Fatal(err)
	}
	g.atRest(live, id)
}

// atRest asks the folder of a switch that has stopped.
func (g *ground) atRest(live, id string) {
	t, dir := g.t, filepath.Dir(g.file)
	t.Helper()
	var was, is query.Report
	rest := g.ask("journal", "verify", "--json")
	if json.Unmarshal([]byte(live), &was) != nil || json.Unmarshal([]byte(rest), &is) != nil || !was.OK || !is.OK || is.Ended != was.Ended || is.Open != 0 || is.Ended == 0 {
		t.Errorf("running: %s\nat rest: %s", live, rest)
	}
	if r := call("", "saf", "list", "-c", g.file); r.code != 1 || !strings.Contains(r.err, "belongs to the running switch") {
		t.Errorf("saf at rest: %v", r)
	}
	if out := g.ask("journal", "show", id); !strings.Contains(out, "given-up") {
		t.Errorf("its story at rest: %s", out)
	}
	today := time.Now().In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly)
	var sums [2]string
	for i := range sums {
		file := filepath.Join(dir, fmt.Sprintf("export-%d.csv", i))
		g.ask("journal", "export", "--day", today, "-o", file)
		b, err := os.ReadFile(file + ".sha256")
		if err != nil {
			t.Fatal(err)
		}
		sums[i], _, _ = strings.Cut(string(b), " ")
		if b, err = os.ReadFile(file); err != nil || strings.Count(string(b), "\n") != is.Ended+1 || !strings.HasPrefix(string(b), "id,rrn,at,") {
			t.Errorf("%v: %d lines of %d", err, strings.Count(string(b), "\n"), is.Ended)
		}
	}
	if sums[0] != sums[1] || len(sums[0]) != 64 {
		t.Errorf("digests %v", sums)
	}
	masked := g.ask("journal", "find", "--json", "--limit", "1", "--result", "approved")
	open := g.ask("journal", "find", "--json", "--limit", "1", "--result", "approved", "--unmask")
	if !strings.Contains(masked, "*") || strings.Contains(open, "*") {
		t.Errorf("masked %s, unmasked %s", masked, open)
	}
	if out := g.ask("ctl", "audit", "show"); !strings.Contains(out, "unmask") {
		t.Error("unmasking left no trace")
	}
	if r := call("", "journal", "find", "--card", "6225880000000000123", "-c", g.file); r.code != 1 || !strings.Contains(r.err, "--card -") {
		t.Errorf("a card number on the command line: %v", r)
	}
	r := call("6225880000000000123\n", "journal", "find", "--card", "-", "-c", g.file)
	if r.code != 0 || !strings.Contains(r.out, "0 笔") {
		t.Errorf("a card that nobody used: %v", r)
	}
}

// What no journal can answer is refused in words, and leaves no file.
func TestJournalRefusesWrongQuestions(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	g.mustCtl("stop")
	if err := g.child.Wait(); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.csv")
	for _, c := range []struct{ args, want string }{
		{"find --from yesterday", "wanted such as 2026-11-01"},
		{"find --from 2026-11-02 --to 2026-11-02", "not a query: to"},
		{"find --from 2026-11-02 --to 2026-11-01", "not a query: to"},
		{"find --terminal 123456789", "not a query: terminal"},
		{"find --merchant 1234567890123456", "not a query: merchant"},
		{"find --rrn 12", "not a query: rrn"},
		{"find --kind nonsense", "not a query: kind"},
		{"show 99999", "has no such transaction"},
		{"show 326000099999", "has no such transaction"},
		{"show 0", "neither a number nor an RRN"},
		{"export --day 2026-11-22T10:00:00 -o " + out, "day \"2026-11-22T10:00:00\": wanted such as"},
		{"export --day 2026-11-22 --last 2026-11-21 -o " + out, "before the first"},
		{"export --day 2026-11-22 -o " + filepath.Join(out, "x"), "file to write"},
	} {
		r := call("", append(append([]string{"journal"}, strings.Fields(c.args)...), "-c", g.file)...)
		if r.code != exitFailed || !strings.Contains(r.err, c.want) {
			t.Errorf("%s: %v", c.args, r)
		}
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused export left a file: %v", err)
	}
}

// proposed gives the number of a proposal.
func proposed(t *testing.T, r result) string {
	t.Helper()
	_, number, ok := strings.Cut(r.out, "saf confirm ")
	number, _, _ = strings.Cut(number, " ")
	if r.code != 0 || !ok || len(number) != 6 {
		t.Fatalf("%v", r)
	}
	return number
}
