package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An institution's account is opened and filled by two persons, settled by the
// night's run, proved and signed, and refuses what is beyond its limit.
func TestReserveByCommands(t *testing.T) {
	file, ann, bob := house(t)
	dir := filepath.Dir(file)
	rules := filepath.Join(dir, "clearing.yaml")
	b, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, append(b, "settle: [{of: issuer, days: 1, collect: true}]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := func(who []string, args ...string) []string {
		return append(append([]string{"reserve"}, args...), who...)
	}
	both := func(args ...string) {
		t.Helper()
		out := want(t, exitDone, "waits for another", cmd(ann, args...)...)
		number := strings.Fields(out[strings.Index(out, "confirm ")+len("confirm "):])[0]
		want(t, exitFailed, "another person must confirm", cmd(ann, "confirm", number)...)
		want(t, exitDone, "done", cmd(bob, "confirm", number)...)
	}
	want(t, exitFailed, "no ledger yet", cmd(ann, "list")...)
	want(t, exitFailed, "no ledger yet", cmd(ann, "open", "issuer:a", "--why", "contract")...)
	want(t, exitDone, "20261001", cmd(ann, "begin", "--date", "20261001")...)
	both("open", "issuer:a", "--warn", "300", "--why", "contract")
	want(t, exitFailed, "BELOW ITS WARNING", cmd(ann, "list")...)
	both("deposit", "issuer:a", "700", "--why", "wire 17")
	want(t, exitDone, "7.00", cmd(ann, "list")...)
	want(t, exitFailed, "below", cmd(ann, "withdraw", "issuer:a", "701", "--why", "x")...)
	want(t, exitDone, "waits", cmd(ann, "withdraw", "issuer:a", "1", "--why", "x")...)
	list := want(t, exitDone, "withdraw issuer:a 1", cmd(bob, "proposals")...)
	want(t, exitDone, "taken away", cmd(bob, "reject", strings.Fields(list)[0])...)
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261001")
	day := filepath.Join(dir, "data/clearing/days/20261001")
	if b, err := os.ReadFile(filepath.Join(day, "reserve.jsonl")); err != nil || !strings.Contains(string(b), `"account":"issuer:a","fen":-400`) {
		t.Errorf("%s %v", b, err)
	}
	want(t, exitDone, "20261001,issuer:a,0,700,0,0,-400,0,0,300,false", cmd(ann, "statements")...)
	want(t, exitDone, "equations and signatures", cmd(ann, "verify")...)
	signed := filepath.Join(dir, "data/clearing/statements/20261001.json")
	b, err = os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(signed, []byte(strings.Replace(string(b), "-400", "-40", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, exitFailed, "does not fit", cmd(ann, "verify")...)
	if err := os.Remove(signed); err != nil { // as a crash leaves it
		t.Fatal(err)
	}
	want(t, exitDone, "20261002", cmd(ann, "night")...)
	want(t, exitDone, "equations and signatures", cmd(ann, "verify")...)
	want(t, exitDone, "closed", "clear", "run", "-c", file, "--date", "20261002")
	want(t, exitFailed, "has been cleared", cmd(ann, "begin", "--date", "20261001")...)
	want(t, exitDone, "desk-reserve-deposit", "ctl", "audit", "show", "-c", file)
}
