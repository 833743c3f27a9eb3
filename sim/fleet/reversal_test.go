package fleet

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tongka/hsm"
	"tongka/sim/book"
)

// Whatever leaves a terminal in doubt makes it connect anew and send a reversal
// with the original's trace and batch before its next sale.
func TestReversals(t *testing.T) {
	for name, c := range map[string]struct {
		doubt  act
		reason string
	}{
		"silence":          {act{silent: true}, "98"},
		"connection lost":  {act{drop: true}, "98"},
		"bad MAC":          {act{code: "00", badMAC: true}, "A0"},
		"approval, no MAC": {act{code: "00", noMAC: true}, "A0"},
		"bad MAC, refusal": {act{code: "51", badMAC: true}, "A0"},
		"another amount":   {act{code: "00", amount: 999}, "98"},
		"garbage":          {act{garbage: true}, "98"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, hsm.UnionPay, sellTo(func(r request) act {
				if r.trace == "000002" {
					return c.doubt
				}
				return friendly(r)
			}))
			cfg := Config{Sales: 2}
			if c.doubt.silent {
				cfg.AnswerTimeout = aWhile
			}
			fl := play(t, f, cfg)
			got := finish(t, fl)
			if s := got[0]; s.State != book.Reversed || s.Reason != c.reason || s.Code != "00" || s.RRN != "" {
				t.Errorf("%+v", s)
			}
			if got[1].State != book.Approved {
				t.Errorf("the next sale: %+v", got[1])
			}
			seen := f.requests()
			want := []string{"0800 001 @1", "0200 002 @1", "0400 002 " + c.reason + " @2", "0200 003 @2"}
			if d := cmp.Diff(want, lines(seen)); d != "" {
				t.Fatalf("messages (-want +got):\n%s", d)
			}
			sale, undo := seen[1], seen[2]
			if !undo.good || undo.amount != sale.amount || undo.pan != sale.pan || undo.f60 != sale.f60 {
				t.Errorf("reversal %+v of %+v", undo, sale)
			}
			s := fl.Stats()
			if s.TimedOut != 1 || s.Reversed != 1 || s.Unresolved != 0 || s.Approved != 1 || (s.BadMAC == 1) != (c.reason == "A0") {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Codes of a 0410: 00, 25 and 12 end the matter; others do not.
func TestReversalAnswers(t *testing.T) {
	var n atomic.Int32
	codes := []string{"96", "77", "25"}
	f := newFake(t, hsm.UnionPay, func(r request) act {
		switch r.mti {
		case 0x0200:
			return act{silent: true}
		case 0x0400:
			return act{code: codes[n.Add(1)-1]}
		}
		return friendly(r)
	})
	fl := play(t, f, Config{Sales: 1, AnswerTimeout: aWhile})
	if s := finish(t, fl)[0]; s.State != book.Reversed || s.Code != "25" || s.Repeats != 2 {
		t.Errorf("%+v", s)
	}
	want := []string{"0800 001 @1", "0200 002 @1", "0400 002 98 @2", "0400 002 98 @2", "0800 003 @2", "0400 002 98 @2"}
	if d := cmp.Diff(want, lines(f.requests())); d != "" {
		t.Errorf("messages (-want +got):\n%s", d)
	}
}

// After three repeats a sale is unresolved: the terminal sells on, and goes on
// trying until it is told.
func TestUnresolved(t *testing.T) {
	var open atomic.Bool
	f := newFake(t, hsm.UnionPay, func(r request) act {
		switch {
		case r.mti == 0x0200 && r.trace == "000002", r.mti == 0x0400 && !open.Load():
			return act{drop: true}
		}
		return friendly(r)
	})
	path := filepath.Join(t.TempDir(), "sales.jsonl")
	fl := play(t, f, Config{Sales: 2, Books: path})
	poll(t, "the second sale", func() bool { return fl.Stats().Approved == 1 })
	if s := fl.Sales()[0]; s.State != book.Unresolved || s.Repeats < 3 || s.Reason != "98" {
		t.Errorf("%+v", s)
	}
	sales := strings.Join(lines(f.requests()), ",")
	if !strings.HasPrefix(sales, "0800 001 @1,0200 002 @1,0400 002 98 @2,0400 002 98 @3,0400 002 98 @4,0400 002 98 @5,0200 003 @6") {
		t.Errorf("messages %s", sales)
	}
	short, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := fl.Settle(short); err == nil || !strings.Contains(err.Error(), "1 sales unresolved") {
		t.Errorf("settle: %v", err)
	}
	open.Store(true)
	if s := finish(t, fl)[0]; s.State != book.Reversed {
		t.Errorf("%+v", s)
	}
	if disk, err := book.ReadSales(path); err != nil || cmp.Diff(fl.Sales(), disk) != "" {
		t.Errorf("%v (-memory +disk):\n%s", err, cmp.Diff(fl.Sales(), disk))
	}
}

// A process that dies with a sale open: its book was written before the sale was
// sent, and the next process reverses it before it sells, under a number that
// was never used.
func TestKilledWithASaleOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sales.jsonl")
	var booked atomic.Bool
	f := newFake(t, hsm.UnionPay, sellTo(func(r request) act {
		if r.trace != "000003" {
			return friendly(r)
		}
		// What is on disk while the request is on its way is what a kill leaves.
		disk, err := os.ReadFile(path)
		booked.Store(err == nil && strings.Contains(string(disk), `"trace":3`))
		return act{silent: true}
	}))
	fl := play(t, f, Config{Books: path, Terminals: terminals(2)[:1], AnswerTimeout: time.Hour})
	poll(t, "a sale that hangs", booked.Load)
	if err := fl.Close(); err != nil {
		t.Fatal(err)
	}
	if s := fl.Sales(); len(s) != 2 || s[0].State != book.Approved || s[1].State != book.Open {
		t.Fatalf("%+v", s)
	}
	// Sale 2 approved, 3 open; and one that an even older process gave up.
	old := book.Sale{Merchant: "898310054110000", Terminal: "10000001", Amount: baseFen + 5, Trace: 5, Batch: 3, State: book.Unresolved, Reason: "A0"}
	file, _, err := book.OpenSales(path)
	if err == nil {
		err = file.Add(&old)
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	f = newFake(t, hsm.UnionPay, friendly)
	fl = play(t, f, Config{Books: path, Terminals: terminals(2), Sales: 1})
	got := map[string]book.State{}
	for _, s := range finish(t, fl) {
		got[s.Terminal[6:]+" "+string(rune('0'+s.Trace))] = s.State
	}
	want := map[string]book.State{"00 2": book.Approved, "00 3": book.Reversed, "00 5": book.Approved, "01 5": book.Reversed, "01 7": book.Approved}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	undone := 0
	for _, r := range f.requests() {
		switch {
		case r.mti != 0x0400:
		case r.trace == "000003" && strings.HasPrefix(r.f60, "22000007") && r.code == "98", r.trace == "000005" && strings.HasPrefix(r.f60, "22000003") && r.code == "A0":
			undone++
		default:
			t.Errorf("reversal %+v", r)
		}
	}
	if undone != 2 {
		t.Errorf("%d reversals", undone)
	}
}

func TestBookOfAnotherFleet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sales.jsonl")
	for _, line := range []string{
		`{"merchant":"898310054110000","terminal":"99999999","amount":105,"state":"approved"}`,
		`{"merchant":"898310054110000","terminal":"10000000","amount":100,"state":"approved"}`,
	} {
		if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(Config{Addr: "127.0.0.1:1", Terminals: terminals(1), Books: path}); err == nil || !strings.Contains(err.Error(), "cannot have made") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
