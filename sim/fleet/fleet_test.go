package fleet

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/sim/book"
)

func TestSales(t *testing.T) {
	for _, alg := range []hsm.MACAlg{hsm.UnionPay, hsm.X99, hsm.X919} {
		f := newFake(t, alg, friendly)
		fl := play(t, f, Config{Sales: 2, PINShare: 1})
		got := finish(t, fl)
		for i := range got {
			if got[i].At == 0 || got[i].Micros == 0 {
				t.Errorf("sale %d has no times", i)
			}
			got[i].At, got[i].Micros = 0, 0
		}
		sale := book.Sale{Merchant: "898310054110000", Terminal: "10000000", Batch: 7, PIN: true, State: book.Approved, Code: "00"}
		a, b := sale, sale
		a.Number, b.Number, b.Card = 2, 3, 1
		a.Amount, a.Trace, a.PAN, a.RRN = 102, 2, "622588******0001", "RRN000002000"
		b.Amount, b.Trace, b.PAN, b.RRN = 103, 3, "622588******0019", "RRN000003000"
		if d := cmp.Diff([]book.Sale{a, b}, got); d != "" {
			t.Errorf("book (-want +got):\n%s", d)
		}
		seen := f.requests()
		if d := cmp.Diff([]string{"0800 001 @1", "0200 002 @1", "0200 003 @1"}, lines(seen)); d != "" {
			t.Errorf("messages (-want +got):\n%s", d)
		}
		for _, r := range seen[1:] {
			if !r.good || !strings.HasPrefix(r.f60, "22000007000") {
				t.Errorf("%s: MAC good %v, F60 %s", r.line(), r.good, r.f60)
			}
		}
		pan12 := [12]byte([]byte(seen[1].pan[3:15]))
		if pin, err := clear.DecryptPIN(pik, [8]byte([]byte(seen[1].f52)), &pan12, hsm.ISO0); err != nil || string(pin) != testPIN {
			t.Errorf("PIN %s, %v", pin, err)
		}
		s := fl.Stats()
		if s.Sent != 2 || s.Approved != 2 || s.SignIns != 1 || s.Connects != 1 || s.Answer.Count != 2 || s.Answer.P50 == 0 || s.SignedIn != 1 {
			t.Errorf("%+v", s)
		}
	}
}

func TestDeclines(t *testing.T) {
	f := newFake(t, hsm.UnionPay, sellTo(func(r request) act {
		return map[string]act{"000002": {code: "51"}, "000003": {code: "98"}, "000004": {code: "96", noMAC: true}}[r.trace]
	}))
	fl := play(t, f, Config{Sales: 3})
	var got []string
	for _, s := range finish(t, fl) {
		got = append(got, string(s.State)+" "+s.Code)
	}
	if d := cmp.Diff([]string{"declined 51", "declined 98", "declined 96"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if s := fl.Stats(); s.Declined != 2 || s.TimedOut != 1 || s.Reversed != 0 {
		t.Errorf("%+v", s)
	}
}

// After 77, A0 and A7 a terminal has no keys to trust: it signs in again.
func TestSignsInAgain(t *testing.T) {
	f := newFake(t, hsm.UnionPay, sellTo(func(r request) act {
		return map[string]act{"000002": {code: "77", noMAC: true}, "000004": {code: "A0", noMAC: true}, "000006": {code: "A7", noMAC: true}, "000008": {code: "00"}}[r.trace]
	}))
	fl := play(t, f, Config{Sales: 4})
	finish(t, fl)
	want := []string{"0800 001 @1", "0200 002 @1", "0800 003 @1", "0200 004 @1", "0800 005 @1", "0200 006 @1", "0800 007 @1", "0200 008 @1"}
	if d := cmp.Diff(want, lines(f.requests())); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if s := fl.Stats(); s.SignIns != 4 || s.Declined != 3 {
		t.Errorf("%+v", s)
	}
}

func TestSignInFaults(t *testing.T) {
	bad := map[string]act{
		"000001": {code: "97", batch: "000001"}, "000002": {code: "00", batch: "000001", badKCV: true}, "000003": {drop: true},
		"000004": {garbage: true}, "000005": {code: "00", batch: "000009", oneKey: true},
	}
	f := newFake(t, hsm.UnionPay, func(r request) act {
		if r.mti == 0x0800 {
			return bad[r.trace]
		}
		return act{code: "51", noMAC: true}
	})
	fl := play(t, f, Config{Sales: 1})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := fl.SignedIn(ctx); err != nil {
		t.Fatal(err)
	}
	if s := finish(t, fl); s[0].Batch != 9 || fl.Stats().SignIns != 1 {
		t.Errorf("%+v, %+v", s, fl.Stats())
	}
	// A MAK of single length is used as it came.
	seen := f.requests()
	if n := len(seen); n != 6 {
		t.Errorf("%d messages: %v", n, lines(seen))
	}
	if fl.terminals[0].mak.(desKey).Len() != 8 {
		t.Errorf("MAK of %d bytes", fl.terminals[0].mak.(desKey).Len())
	}
}

// A frame that answers something else is passed over.
func TestStrayAnswer(t *testing.T) {
	f := newFake(t, hsm.UnionPay, sellTo(func(request) act { return act{code: "00", stray: true} }))
	fl := play(t, f, Config{Sales: 1})
	if s := finish(t, fl); s[0].State != book.Approved || s[0].RRN != "RRN000002000" || fl.Stats().Stray != 1 {
		t.Errorf("%+v %+v", s, fl.Stats())
	}
}

func TestShortLived(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	fl := play(t, f, Config{Sales: 3, ShortLived: true})
	finish(t, fl)
	if d := cmp.Diff([]string{"0800 001 @1", "0200 002 @1", "0200 003 @2", "0200 004 @3"}, lines(f.requests())); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// The rate is the fleet's, not a terminal's: four terminals at 200 a second make
// 20 sales in a tenth of a second, give or take the first round's spread.
func TestRate(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	began := time.Now()
	fl := play(t, f, Config{Terminals: terminals(4), Sales: 6, Rate: 200})
	finish(t, fl)
	// Five intervals of 20 ms lie between a terminal's first and last sale.
	if d := time.Since(began); d < 100*time.Millisecond {
		t.Errorf("24 sales at 200 a second took %v", d)
	}
	if s := fl.Stats(); s.Sent != 24 || s.Due.Count != 24 || s.Due.Max < s.Answer.Max {
		t.Errorf("%+v", s)
	}
}

// Amounts are unique in a terminal for ever; traces come round.
func TestNumbers(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	fl := play(t, f, Config{Sales: 3, First: 999_998})
	var got [][2]int64
	for _, s := range finish(t, fl) {
		got = append(got, [2]int64{s.Amount, int64(s.Trace)})
	}
	want := [][2]int64{{baseFen + 999_999, 999_999}, {baseFen + 1_000_000, 1}, {baseFen + 1_000_001, 2}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestSettle(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	fl := play(t, f, Config{Terminals: terminals(3), Rate: 1000})
	poll(t, "some sales", func() bool { return fl.Stats().Approved > 5 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := fl.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	n := len(fl.Sales())
	for _, s := range fl.Sales() {
		if s.State != book.Approved {
			t.Errorf("%+v", s)
		}
	}
	if err := fl.Settle(ctx); err != nil || len(fl.Sales()) != n {
		t.Errorf("settled again: %v, %d sales, not %d", err, len(fl.Sales()), n)
	}
}

func TestBrokenFleetBook(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	fl := play(t, f, Config{Rate: 100, Books: filepath.Join(t.TempDir(), "sales.jsonl")})
	fl.mu.Lock()
	fl.book.Close()
	fl.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := fl.Wait(ctx); !errors.Is(err, book.ErrWrite) {
		t.Errorf("wait: %v", err)
	}
}

func TestFleetConfigFaults(t *testing.T) {
	good := func() Config { return Config{Addr: "127.0.0.1:1", Terminals: terminals(2)} }
	for want, spoil := range map[string]func(*Config){
		"Addr":            func(c *Config) { c.Addr = "" },
		"0 terminals":     func(c *Config) { c.Terminals = nil },
		"rate":            func(c *Config) { c.Rate = -1 },
		"PIN share":       func(c *Config) { c.PINShare = 2 },
		"answer timeout":  func(c *Config) { c.AnswerTimeout = -1 },
		"sales -1":        func(c *Config) { c.Sales = -1 },
		"8 and 15":        func(c *Config) { c.Terminals[1].Number = "1" },
		"TMK has 3 bytes": func(c *Config) { c.Terminals[0].TMK = tmk[:3] },
		"no card":         func(c *Config) { c.Terminals[0].PANs = nil },
		"12 to 19 digits": func(c *Config) { c.Terminals[0].PANs = []string{"1"} },
		"sign-in 006":     func(c *Config) { c.Terminals[0].SignIn = "006" },
		"sign-in 003":     func(c *Config) { c.Terminals[0].SM4, c.Terminals[0].SignIn = true, "003" },
		"there twice":     func(c *Config) { c.Terminals[0] = c.Terminals[1] },
		"book":            func(c *Config) { c.Books = "/dev/null/below" },
	} {
		cfg := good()
		spoil(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	fl, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	if err := fl.Close(); err != nil { // never started
		t.Error(err)
	}
	if err := fl.Start(); err == nil {
		t.Error("a closed fleet started")
	}
}

func TestNobodyAnswersTheDoor(t *testing.T) {
	f := newFake(t, hsm.UnionPay, friendly)
	f.ln.Close()
	fl := play(t, f, Config{})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := fl.SignedIn(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("signed in: %v", err)
	}
}
