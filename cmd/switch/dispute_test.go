package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tongka/clearing/dispute"
	clearrun "tongka/clearing/run"
)

// house is clearGround with two persons, and a second day to be cleared.
func house(t *testing.T) (file string, ann, bob []string) {
	t.Helper()
	file = clearGround(t)
	dir := filepath.Dir(file)
	write := func(name, text string) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write("x.yaml", string(b)+"admin: {tokens: tokens}\n")
	write("tokens", "ann:"+strings.Repeat("a", 24)+"\nbob:"+strings.Repeat("b", 24)+"\n")
	write("ann", strings.Repeat("a", 24)+"\n")
	write("bob", strings.Repeat("b", 24)+"\n")
	write("eve", strings.Repeat("e", 24)+"\n")
	write("data/clearing/in/20261002/a.csv", "rrn,amount\nend,0,0\n")
	return file, []string{"-c", file, "--token", filepath.Join(dir, "ann")}, []string{"-c", file, "--token", filepath.Join(dir, "bob")}
}

func want(t *testing.T, wantCode int, says string, args ...string) string {
	t.Helper()
	code, out, errs := play(t, args...)
	if code != wantCode || !strings.Contains(out+errs, says) {
		t.Fatalf("%v: %d, want %d with %q\n%s%s", args, code, wantCode, says, out, errs)
	}
	return out
}

// A difference goes from the night's run to two persons, and what they decided is
// booked by the next night's.
func TestDisputeByCommands(t *testing.T) {
	file, ann, bob := house(t)
	dir := filepath.Dir(file)
	want(t, exitDone, "已关闭", "clear", "run", "-c", file, "--date", "20261001")
	out := want(t, exitDone, "", append([]string{"dispute", "list", "--json"}, ann...)...)
	var k dispute.Case
	if err := json.Unmarshal([]byte(out), &k); err != nil || k.Class != "amount-differs" || k.Ours.Txn != 11 {
		t.Fatalf("%s %v", out, err)
	}
	id := k.Event.Case
	want(t, exitFailed, "OVERDUE", append([]string{"dispute", "list", "--overdue"}, ann...)...)
	want(t, exitFailed, "not one of ours", "dispute", "list", "-c", file, "--token", filepath.Join(dir, "eve"))
	want(t, exitDone, "3", append([]string{"dispute", "evidence", id, "--trace", "--note", "asked", "--file", file}, ann...)...)
	show := want(t, exitDone, "switch journal show 11", append([]string{"dispute", "show", id}, ann...)...)
	if strings.Count(show, "evidence") != 3 || !strings.Contains(show, "trace") {
		t.Error(show)
	}
	move := "--move=issuer:0=merchant:104110045110001=1"
	want(t, exitFailed, "hold, ignore", append([]string{"dispute", "decide", id, "pay", "--why", "x"}, ann...)...)
	want(t, exitFailed, "wanted FROM=TO=FEN", append([]string{"dispute", "decide", id, "adjust", "--why", "x", "--move", "a"}, ann...)...)
	want(t, exitDone, "waits for another", append([]string{"dispute", "decide", id, "adjust", "--why", "their letter", move}, ann...)...)
	list := want(t, exitDone, "their letter", append([]string{"dispute", "proposals"}, bob...)...)
	number := strings.Fields(list[strings.Index(list, "proposal ")+len("proposal "):])[0]
	number = strings.TrimSuffix(number, ":")
	want(t, exitFailed, "another person must confirm", append([]string{"dispute", "confirm", number}, ann...)...)
	want(t, exitFailed, "another person must confirm", "dispute", "confirm", number, "-c", file)
	want(t, exitDone, "confirmed", append([]string{"dispute", "confirm", number}, bob...)...)
	out = want(t, exitDone, "", "clear", "run", "-c", file, "--date", "20261002", "--json")
	var s clearrun.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.Report.Decisions != 1 {
		t.Fatalf("%s %v", out, err)
	}
	want(t, exitDone, "booked", append([]string{"dispute", "list", "--state", "all"}, ann...)...)
	want(t, exitDone, "20261002", append([]string{"dispute", "show", id}, ann...)...)
	want(t, exitDone, "holds", append([]string{"dispute", "verify"}, ann...)...)
	csv := filepath.Join(dir, "out.csv")
	want(t, exitDone, "1", append([]string{"dispute", "export", "-o", csv}, ann...)...)
	if b, err := os.ReadFile(csv); err != nil || !strings.Contains(string(b), "adjust,their letter,token ann,token bob,20261002") {
		t.Errorf("%s %v", b, err)
	}
	want(t, exitFailed, "there already", append([]string{"dispute", "export", "-o", csv}, ann...)...)
	want(t, exitDone, "desk-dispute-confirmed", "ctl", "audit", "show", "-c", file)
}

// A file of decisions is taken whole or not at all, with every fault's line.
func TestDisputeBulk(t *testing.T) {
	file, ann, bob := house(t)
	dir := filepath.Dir(file)
	for range 2 {
		want(t, exitDone, "raised", append([]string{"dispute", "raise", "--date", "20261001", "--fen", "500", "--merchant", "104110045110001", "--why", "call"}, ann...)...)
	}
	if show := want(t, exitDone, "500", append([]string{"dispute", "show", "20261001-m-1"}, ann...)...); strings.Contains(show, "journal show 0") {
		t.Error(show)
	}
	want(t, exitFailed, "12 digits", append([]string{"dispute", "raise", "--date", "20261001", "--fen", "500", "--rrn", "1", "--why", "call"}, ann...)...)
	bulk := filepath.Join(dir, "bulk.csv")
	put := func(text string) {
		if err := os.WriteFile(bulk, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for says, text := range map[string]string{
		"bulk.csv:1: 列 \"cases\"":        "cases,act,why\n",
		"column why is missing":          "case,act\n",
		"bulk.csv:3: fen \"x\"":          "case,act,why,fen\n20261001-m-1,ignore,w,\n20261001-m-2,book,w,x\n",
		"20261001-m-9: \"20261001-m-9\"": "case,act,why\n20261001-m-1,ignore,w\n20261001-m-9,ignore,w\n",
		"20261001-m-1: 出现两次":             "case,act,why\n20261001-m-1,ignore,w\n20261001-m-1,ignore,w\n",
		"--csv goes alone":               "",
	} {
		put(text)
		args := []string{"dispute", "decide", "--csv", bulk}
		if text == "" {
			args = append(args, "--why", "x")
		}
		want(t, exitFailed, says, append(args, ann...)...)
	}
	put("\xef\xbb\xbfcase,act,why,fen,until,moves\n20261001-m-1,book,w,400,,\n20261001-m-2,hold,\"wait, please\",,20991231,\n")
	want(t, exitDone, "proposal 3 waits", append([]string{"dispute", "decide", "--csv", bulk}, ann...)...)
	want(t, exitFailed, "state", append([]string{"dispute", "decide", "--csv", bulk}, ann...)...)
	want(t, exitDone, "2 cases confirmed", append([]string{"dispute", "confirm", "3"}, bob...)...)
	out := want(t, exitDone, "held until 20991231", append([]string{"dispute", "list"}, ann...)...)
	if !strings.Contains(out, "decided") {
		t.Error(out)
	}
}
