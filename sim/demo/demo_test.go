package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/sim/book"
)

// played runs a demo and gives the summary that it ends with.
func played(t *testing.T, o Options) Summary {
	t.Helper()
	o.JSON = true
	var out bytes.Buffer
	if err := Run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	var s Summary
	d := json.NewDecoder(&out)
	if err := d.Decode(&s); err != nil || d.More() {
		t.Fatalf("not one object: %v", err)
	}
	return s
}

// booked is what stands in the terminals' book.
func booked(t *testing.T, data string) (sales []book.Sale, text []byte) {
	t.Helper()
	path := filepath.Join(data, "terminals.jsonl")
	sales, err := book.ReadSales(path)
	if err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return sales, text
}

// sound says that no money went astray and nothing is left open.
func sound(t *testing.T, name string, s *Summary) {
	t.Helper()
	if s.Lost != 0 || s.Duplicated != 0 || s.Differs != 0 || s.Owed != 0 || s.Unresolved != 0 || s.Approved == 0 || s.TPS <= 0 {
		t.Errorf("%s: %+v", name, *s)
	}
	if s.Day.Steps < 70 || s.Day.Unexpected != 0 || !s.Day.Finished {
		t.Errorf("%s: the day had %+v", name, s.Day)
	}
	if c := s.Cleared; c == nil || !c.Balanced || c.Differences != 1 || !c.Traced || c.Theirs == 0 {
		t.Errorf("%s: clearing %+v", name, c)
	}
	if c := s.Cards; c.Paid != c.OnCards+c.ParkedFen || c.Written == 0 || len(c.Parked) == 0 || c.Parked[0].Owing == 0 {
		t.Errorf("%s: cards %+v", name, *c)
	}
	if s.Net != s.NetBanks || s.Net <= 0 {
		t.Errorf("%s: the terminals' net is %d, the banks' %d", name, s.Net, s.NetBanks)
	}
	if s.Sent != s.Approved+s.Declined+s.TimedOut {
		t.Errorf("%s: %d sent, %d approved, %d declined, %d timed out", name, s.Sent, s.Approved, s.Declined, s.TimedOut)
	}
}

// The whole world for three seconds: the silent bank leaves sales without an
// answer, their reversals are delivered, and the books agree. A second life on
// the same folder knows the first one's sales, and goes on behind them.
func TestDemoAndItsSecondLife(t *testing.T) {
	o := Options{For: 3 * time.Second, Data: filepath.Join(t.TempDir(), "data"), Terminals: 10, Rate: 60, Version: "test"}
	first := played(t, o)
	sound(t, "first", &first)
	if first.TimedOut == 0 || first.Reversed == 0 {
		t.Errorf("nothing timed out or was reversed, so nothing was shown: %+v", first)
	}
	for _, k := range first.Kinds {
		if k.Kind.MovesMoney() && (k.Held != k.Approved || k.HeldFen != k.ApprovedFen) {
			t.Errorf("%+v", k)
		}
	}
	if len(first.Kinds) < 5 {
		t.Errorf("only %d kinds were played: %+v", len(first.Kinds), first.Kinds)
	}
	if first.Data != o.Data || !strings.HasPrefix(first.Console, "http://127.0.0.1:") {
		t.Errorf("data %q, console %q", first.Data, first.Console)
	}
	sales, text := booked(t, o.Data)
	if uint64(len(sales)) != first.Sent {
		t.Errorf("%d sales in the book, %d were sent", len(sales), first.Sent)
	}

	forgetLast(t, filepath.Join(o.Data, "sm4", "day.jsonl"))
	o.For = time.Second
	second := played(t, o)
	sound(t, "second", &second)
	all, longer := booked(t, o.Data)
	if uint64(len(all)) != first.Sent+second.Sent || !bytes.HasPrefix(longer, text) {
		t.Errorf("%d sales in the book after %d and %d", len(all), first.Sent, second.Sent)
	}

	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // told to stop before it began: it still ends in order
	if err := Run(ctx, Options{Data: o.Data, Terminals: 10, Rate: 60, For: time.Second}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"控制台 console http://127.0.0.1:", "账目一致 books agree", "种类 kind ", "卡账一致 cards agree", "净额 net: ", "丢失 lost 0 · 重复 duplicated 0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, &out)
		}
	}
}

// forgetLast takes the last line off a book, as a process that is killed between a
// request and its answer leaves it.
func forgetLast(t *testing.T, book string) {
	t.Helper()
	b, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.LastIndexByte(bytes.TrimSuffix(b, []byte{'\n'}), '\n') + 1
	if !bytes.Contains(b[cut:], []byte(`"state":"approved"`)) {
		t.Fatalf("the book ends with %s", b[cut:])
	}
	if err := os.WriteFile(book, b[:cut], 0o600); err != nil {
		t.Fatal(err)
	}
}

// A day that was not finished, or had steps that should not be, is an error that says
// so; one that somebody stopped is none.
func TestUnfinishedDayIsAnError(t *testing.T) {
	for _, c := range []struct {
		day  Steps
		line string
		bad  bool
	}{
		{Steps{Steps: 70, Finished: true}, "70 步 steps, 意外 unexpected 0, 完成 finished", false},
		{Steps{Steps: 7}, "中途停止 stopped on the way", false},
		{Steps{Steps: 7, Why: "reversal: no answer"}, "未完成 not finished: reversal: no answer", true},
		{Steps{Steps: 70, Unexpected: 1, Finished: true}, "意外 unexpected 1", true},
	} {
		var out bytes.Buffer
		w := &world{out: &out}
		err := w.report(&Summary{Day: c.day, Cards: &book.CardVerdict{}})
		if (err != nil) != c.bad || c.bad && !strings.Contains(err.Error(), c.line) || !strings.Contains(out.String(), c.line) {
			t.Errorf("%+v: %v, %s", c.day, err, &out)
		}
	}
}

// stopper stops a demo at a line that it prints.
type stopper struct {
	bytes.Buffer
	at   string
	stop func()
}

func (s *stopper) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(s.at)) {
		s.stop()
	}
	return s.Buffer.Write(b)
}

// Who stops a demo while a bank is silent is told so, and the books agree all the
// same: the bank hears again before the end.
func TestDemoStoppedInTheAct(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopper{at: "falls silent", stop: cancel}
	if err := Run(ctx, Options{For: 2 * time.Second, Terminals: 10, Rate: 60}, out); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"中途停止 stopped on the way", "账目一致 books agree", "卡账一致 cards agree", "待冲正 owed 0", "未决 unresolved 0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

// Without a folder of its own a demo leaves nothing behind.
func TestDemoCleansUp(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := Run(ctx, Options{For: time.Second, Terminals: 1, Rate: 1, JSON: true}, &out); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
