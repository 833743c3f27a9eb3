package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/registry/blacklist"
	"tongka/registry/limits"
	"tongka/txn"
)

// listing gives the world a blacklist and a table of cards to count.
func (w *world) listing(suspect func(Suspicion)) *blacklist.Book {
	w.t.Helper()
	b, err := blacklist.Open(blacklist.Options{Dir: w.t.TempDir()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { b.Close() })
	w.shape = func(c *Config) { c.Books = Books{Blacklist: b, Cards: 1000, Suspect: suspect} }
	w.open(vfs.NewCrashableMem())
	return b
}

func (w *world) put(b *blacklist.Book, csv string) {
	w.t.Helper()
	if _, err := b.Import(strings.NewReader(csv), "b.csv", blacklist.How{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) limited(csv string) {
	w.t.Helper()
	if _, _, err := w.reg.ImportLimits(strings.NewReader("subject,class,single,day_sum,day_count\n"+csv), "l.csv"); err != nil {
		w.t.Fatal(err)
	}
}

// reborn goes on with what a crash left.
func (w *world) reborn(p *pos) (bank conn.ID) {
	w.t.Helper()
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank = w.bankUp(0)
	p.id = w.connect(-1)
	return bank
}

// sold makes a sale that the bank answers with code, and gives what the terminal
// is told.
func (p *pos) sold(bank conn.ID, trace, amount uint64, code string) string {
	p.w.t.Helper()
	p.sale(trace, amount, false)
	p.w.banked(bank, code)
	return p.code()
}

// banked has the bank answer what it got: reversals with 00, the others with code.
func (w *world) banked(bank conn.ID, code string) (sales int) {
	w.t.Helper()
	for _, f := range w.take(bank, conn.ASCII4) {
		q := w.parse(iso8583.Cups(), f)
		if q.MTI() == 0x0200 {
			w.bankAnswers(bank, q, code)
			sales++
		} else {
			w.bankAnswers(bank, q, "00")
		}
	}
	return sales
}

func TestListedCardIsRefusedByItsCause(t *testing.T) {
	w := newWorld(t)
	var seen []Suspicion
	b := w.listing(func(s Suspicion) { seen = append(seen, s) })
	bank, p := w.bankUp(0), w.terminal()
	if c := p.sold(bank, 1, 100, "00"); c != "00" {
		t.Fatalf("before the list: %s", c)
	}
	first := p.sale(2, 100, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.code()
	for i, c := range []struct {
		cause, code string
		suspicions  int
	}{{"lost", "41", 0}, {"stolen", "43", 1}, {"fraud", "34", 2}, {"capture", "04", 3}, {"returned", "14", 3}} {
		w.put(b, "card,cause\n6225880000000003,"+c.cause+"\n")
		if got := p.sold(bank, uint64(10+i), 100, "00"); got != c.code || len(seen) != c.suspicions {
			t.Errorf("%s: %s, %d suspicions", c.cause, got, len(seen))
		}
	}
	if w.banked(bank, "00") != 0 || w.shard.stats.Blacklisted != 5 {
		t.Errorf("%d refused", w.shard.stats.Blacklisted)
	}
	if s := fmt.Sprint(seen[0]); strings.Contains(s, "6225880000000003") || !strings.Contains(s, "622588******0003") {
		t.Errorf("the suspicion prints as %s", s)
	}
	// What was approved before is no lie now: its repeat gets its answer, and it
	// may be reversed.
	w.shard.Frame(p.id, first)
	w.pass(0)
	if c := p.code(); c != "00" {
		t.Errorf("the repeat of a sale from before: %s", c)
	}
	p.reverse(2, 100)
	if c := p.code(); c != "00" {
		t.Errorf("its reversal: %s", c)
	}
	// A refusal is on record: its repeat gets the same, also when the card is free.
	frame := p.sale(30, 100, false)
	p.code()
	w.put(b, "card,kind\n6225880000000003,grey\n")
	w.shard.Frame(p.id, frame)
	w.pass(0)
	if c := p.code(); c != "14" {
		t.Errorf("the repeat of a refusal: %s", c)
	}
	w.banked(bank, "00")
	if c := p.sold(bank, 31, 100, "00"); c != "00" || w.shard.stats.Greylisted != 1 {
		t.Errorf("a grey card: %s", c)
	}
}

func TestLimitsOfADay(t *testing.T) {
	for _, of := range []string{"terminal", "merchant", "card"} {
		t.Run(of, func(t *testing.T) {
			w := newWorld(t)
			w.listing(nil)
			bank, p := w.bankUp(0), w.terminal()
			w.limited(of + ",pay,500,1000,4\n" + of + ",ask,,,1\n")
			trace := uint64(0)
			step := func(amount uint64, answer, want string) {
				t.Helper()
				trace++
				if got := p.sold(bank, trace, amount, answer); got != want {
					t.Fatalf("sale %d of %d: %s, want %s", trace, amount, got, want)
				}
			}
			step(501, "00", "61")
			step(500, "00", "00")
			step(500, "51", "51") // declined: given back
			step(400, "00", "00")
			step(101, "00", "61")
			step(1, "00", "00")
			step(1, "00", "00")
			step(1, "00", "65")
			p.reverse(2, 500)
			if c := p.code(); c != "00" {
				t.Fatal(c)
			}
			p.reverse(2, 500) // again: given back once
			p.code()
			step(500, "00", "00")
			step(1, "00", "65")
			for range 3 { // a crash forgets nothing
				bank = w.reborn(p)
				step(1, "00", "65")
			}
			if w.shard.stats.OverDaily != 1 {
				t.Errorf("%d over", w.shard.stats.OverDaily)
			}
			w.now += int64(24 * time.Hour)
			w.pass(0)
			w.terminalImported()
			p.signIn()
			trace = 0
			bank = w.reborn(p)
			step(500, "00", "00")
		})
	}
}

// What times out, and what its terminal takes back in flight, is given back.
func TestLimitsGiveBackWhatCameToNothing(t *testing.T) {
	w := newWorld(t)
	w.listing(nil)
	bank, p := w.bankUp(0), w.terminal()
	w.limited("terminal,pay,,,1\ncard,pay,,,1\nmerchant,pay,,,1\n")
	for i := range uint64(6) {
		p.sale(2*i+1, 100, false)
		if w.take(bank, conn.ASCII4) == nil {
			t.Fatalf("round %d: refused with %s", i, p.code())
		}
		p.sale(2*i+2, 100, false)
		if c := p.code(); c != "65" {
			t.Fatalf("round %d: %s", i, c)
		}
		if i%2 == 0 {
			w.pass(11 * time.Second)
			w.pass(time.Second)
		} else {
			p.reverse(2*i+1, 100)
		}
		p.code()
		w.pass(2 * time.Second)
		w.banked(bank, "00")
	}
}

// Random sales, answers, reversals and crashes: the counters of the living shard
// and those that a restart makes are the same.
func TestRecountIsWhatWasCounted(t *testing.T) {
	for seed := range uint64(5) {
		w, rng := newWorld(t), rand.New(rand.NewPCG(seed, 1))
		w.listing(nil)
		bank, p := w.bankUp(0), w.terminal()
		w.limited("terminal,pay,,100000,\ncard,pay,,,1000\n")
		approved := map[uint64]uint64{}
		for trace := uint64(1); trace < 60; trace++ {
			amount := 1 + rng.Uint64N(1000)
			if p.sold(bank, trace, amount, []string{"00", "00", "51"}[rng.IntN(3)]) == "00" {
				approved[trace] = amount
			}
			for old, amount := range approved {
				if rng.IntN(8) == 0 {
					p.reverse(old, amount)
					if c := p.code(); c != "00" {
						t.Fatal(c)
					}
					delete(approved, old)
				}
				break
			}
			w.pass(2 * time.Second)
			w.banked(bank, "00")
			if rng.IntN(6) == 0 {
				bank = w.reborn(p)
			}
		}
		var sum int64
		for _, amount := range approved {
			sum += int64(amount)
		}
		for life := range 2 {
			u := w.uses()[limits.Pay]
			if int(u.Count) != len(approved) || u.Sum != sum {
				t.Errorf("seed %d, life %d: %+v, want %d of %d", seed, life, u, len(approved), sum)
			}
			w.reborn(p)
		}
	}
}

func (w *world) uses() *limits.Uses {
	for _, h := range w.shard.histories {
		return h.rules.uses
	}
	return new(limits.Uses)
}

func TestMerchantsAndHours(t *testing.T) {
	w := newWorld(t)
	bank, p := w.bankUp(0), w.terminal()
	table := func(line string) {
		t.Helper()
		if _, _, err := w.reg.ImportMerchants(strings.NewReader("merchant,kinds,hours,state\n"+line+"\n"), "m.csv"); err != nil {
			t.Fatal(err)
		}
	}
	p.sold(bank, 1, 100, "00")
	for i, c := range []struct{ line, want string }{
		{"OTHER,,,", "03"}, {terminalMerchant + ",,,closed", "03"}, {terminalMerchant + ",balance,,", "58"},
		{terminalMerchant + ",,10:00-11:00,", "58"}, {terminalMerchant + ",,08:00-10:00,open", "00"},
	} {
		table(c.line)
		if got := p.sold(bank, uint64(2+i), 100, "00"); got != c.want {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
	}
	table(terminalMerchant + ",balance,,closed")
	p.reverse(1, 100)
	if c := p.code(); c != "00" || w.shard.stats.WhenClosed != 1 {
		t.Errorf("a reversal at a closed merchant: %s", c)
	}
}

// The list and limits of all three cost a sale no allocation.
func TestSalePathWithBooksAllocatesNothing(t *testing.T) {
	allocatesNothing(t, func(turns int) *mill { return busyBooks(t, turns*perTurn) })
}

func busyBooks(t testing.TB, sales int) *mill {
	w := newWorld(t)
	b := w.listing(nil)
	w.put(b, "card,cause\n6225889999999999,lost\n")
	w.limited("terminal,pay,100000000,100000000000,4000000\nmerchant,pay,,100000000000,\ncard,pay,,,4000000\n")
	m := &mill{w: w, bank: w.bankUp(0)}
	m.load(t, sales)
	return m
}

// BenchmarkPermit is the whole look at lists and limits for one sale.
func BenchmarkPermit(b *testing.B) {
	m := busyBooks(b, 1)
	s, sl := m.w.shard, new(slot)
	for _, h := range s.histories {
		sl.hist = h
	}
	sl.Kind, sl.At, sl.Amount = txn.Sale, m.w.now, 1
	sl.PAN, _ = txn.ParsePAN([]byte("6225880000000003"))
	s.rule(sl.hist, s.reg.Snapshot(), &sl.Terminal)
	b.ReportAllocs()
	for b.Loop() {
		if c := s.permit(sl); c != (txn.Code{}) && c != (txn.Code{'6', '5'}) {
			b.Fatal(c)
		}
	}
}
