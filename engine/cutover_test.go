package engine

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	bizday "tongka/clearing/day"
	folding "tongka/clearing/fold"
	"tongka/clearing/row"
	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/journal"
	"tongka/txn"
)

// told keeps what banks say of the day.
func (w *world) hearsCuts(take bool) *[]CutEvent {
	var all []CutEvent
	w.shape = func(c *Config) {
		c.Books.CutTold = func(e CutEvent) bool {
			if take {
				all = append(all, e)
			}
			return take
		}
	}
	w.crash()
	return &all
}

func (w *world) bankCuts(id conn.ID, net uint64, stan uint64) {
	w.t.Helper()
	w.bankSays(id, 0x0820, func(b *iso8583.Builder) {
		b.PutUint(7, 1122230000)
		b.PutUint(11, stan)
		b.PutUint(70, net)
	})
}

func TestBankIsToldOfTheDay(t *testing.T) {
	w := newWorld(t)
	all := w.hearsCuts(true)
	if err := w.do(&TellCut{Link: "bank-a", Net: 201}); !errors.Is(err, ErrNotTold) {
		t.Errorf("a bank that is not up: %v", err)
	}
	bank := w.bankUp(0)
	for _, c := range []struct {
		tell TellCut
		want error
	}{{TellCut{"moon", 201}, ErrNoLink}, {TellCut{"bank-a", 301}, errNoNotice}} {
		if err := w.do(&c.tell); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.tell, err)
		}
	}
	for i, net := range []uint16{201, 202} {
		if err := w.do(&TellCut{Link: "bank-a", Net: net}); err != nil {
			t.Fatal(err)
		}
		q := w.bankGot(bank)
		if got, _ := q.Uint(70); q.MTI() != 0x0820 || got != uint64(net) {
			t.Fatalf("the bank got %v %d", q.MTI(), got)
		}
		stan, _ := q.Uint(11)
		answer := func(stan uint64, code string) {
			w.bankSays(bank, 0x0830, func(b *iso8583.Builder) {
				b.PutUint(11, stan)
				b.Put(39, []byte(code))
				b.PutUint(70, uint64(net))
			})
		}
		before := w.shard.stats.Unmatched
		answer(stan%999_999+1, "00") // of something else
		if len(*all) != i || w.shard.stats.Unmatched != before+1 {
			t.Fatalf("an answer to nothing: %+v", *all)
		}
		answer(stan, "00")
		answer(stan, "00") // twice
		want := CutEvent{Link: 0, Net: net, Code: txn.OK}
		if len(*all) != i+1 || (*all)[i] != want {
			t.Fatalf("%+v, want %+v", *all, want)
		}
	}
	if !w.shard.Up(0) {
		t.Error("the line is not up any more")
	}
}

func TestBankTellsOfTheDay(t *testing.T) {
	w := newWorld(t)
	all := w.hearsCuts(true)
	bank := w.bankUp(0)
	w.bankCuts(bank, 201, 17)
	q := w.bankGot(bank)
	if got, _ := q.Uint(70); q.MTI() != 0x0830 || got != 201 || string(q.Field(39)) != "00" {
		t.Fatalf("the answer: %v %d %q", q.MTI(), got, q.Field(39))
	}
	w.bankCuts(bank, 202, 18)
	w.bankGot(bank)
	if want := []CutEvent{{Net: 201, Theirs: true}, {Net: 202, Theirs: true}}; !slices.Equal(*all, want) {
		t.Errorf("%+v", *all)
	}
	// With no room to hand it on there is no answer, and the bank asks again.
	w = newWorld(t)
	w.hearsCuts(false)
	bank = w.bankUp(0)
	w.bankCuts(bank, 201, 17)
	w.bankSilent(bank)
}

// days plays a random history with cuts in it.
type days struct {
	w     *world
	p     *pos
	bank  conn.ID
	r     *rand.Rand
	cuts  bizday.Cuts
	trace uint64
}

// cut ends the open day at the place of now.
func (d *days) cut() {
	d.w.t.Helper()
	var c Place
	if err := d.w.do(&c); err != nil {
		d.w.t.Fatal(err)
	}
	cuts, err := d.cuts.Decide(bizday.Cut{Date: d.cuts.Open(), End: uint64(c.At), At: c.Now, By: bizday.Command})
	if err != nil {
		d.w.t.Fatal(err)
	}
	d.cuts = cuts
}

// step does one of the things that can happen around a cut.
func (d *days) step() {
	w, p := d.w, d.p
	if d.r.IntN(3) == 0 {
		d.cut()
	}
	d.trace++
	p.sale(d.trace, 100+d.trace, false)
	q := w.bankGot(d.bank)
	if d.r.IntN(2) == 0 {
		d.cut() // between the question and the answer
	}
	switch d.r.IntN(4) {
	case 0: // nothing comes, then late
		d.waits(40)
		if d.r.IntN(2) == 0 {
			d.cut()
		}
		w.bankAnswers(d.bank, q, "00")
	case 1: // we die in between
		d.bank = w.crashed(p)
		p.signIn()
	default:
		w.bankAnswers(d.bank, q, "00")
		if d.r.IntN(3) == 0 {
			if d.r.IntN(2) == 0 {
				d.cut()
			}
			p.reverse(d.trace, 100+d.trace)
			w.pass(0)
		}
	}
	w.sent[p.id] = nil
	d.served()
}

// served lets the bank answer the echoes that are out, and not the reversals: they
// stay owed.
func (d *days) served() {
	d.w.t.Helper()
	for _, f := range d.w.take(d.bank, conn.ASCII4) {
		q := d.w.parse(iso8583.Cups(), f)
		if q.MTI() == 0x0820 {
			d.w.bankSays(d.bank, 0x0830, func(b *iso8583.Builder) {
				b.Copy(11, q, 11)
				b.Put(39, []byte("00"))
				b.Copy(70, q, 70)
			})
		}
	}
}

// waits lets time go by in short steps, in which the bank is alive.
func (d *days) waits(seconds int) {
	for range seconds {
		d.w.pass(time.Second)
		d.served()
	}
}

// windows folds every window, the open one last, and counts what each transaction is
// in them.
func (d *days) windows() map[uint64][]bizday.Date {
	d.w.t.Helper()
	read, in := d.w.log.NewReader(), map[uint64][]bizday.Date{}
	var carried []folding.Open
	for i := range d.cuts {
		from, to := d.cuts[i].End, uint64(1<<63)
		date := d.cuts[i].Date.Add(1)
		if i+1 < len(d.cuts) {
			to = d.cuts[i+1].End
		}
		sum, err := folding.Fold(read, folding.Options{Date: date, From: journal.LSN(from), To: journal.LSN(to), Carried: carried, Dir: d.w.t.TempDir(), Memory: 1 << 20}, func(r *row.Row) error {
			if r.Kind != txn.Reversal {
				in[r.ID] = append(in[r.ID], date)
			}
			return nil
		})
		if err != nil {
			d.w.t.Fatal(err)
		}
		carried = sum.StillOwe
	}
	return in
}

// Whatever happens in whatever order around the cuts, each transaction is in exactly
// one day, the one that its outcome's place says, and a replay finds the same.
func TestEachTransactionIsInOneDay(t *testing.T) {
	for seed := range 4 * uint64(*moreSeeds) {
		w := newWorld(t)
		d := &days{w: w, bank: w.bankUp(0), p: w.terminal(), r: rand.New(rand.NewPCG(seed, 7))}
		var err error
		if d.cuts, err = d.cuts.Decide(bizday.Cut{Date: 20261120, By: bizday.Origin}); err != nil {
			t.Fatal(err)
		}
		for range 25 {
			d.step()
		}
		w.pass(time.Second)
		in := d.windows()
		sales := 0
		err = w.log.NewReader().Replay(0, func(at journal.LSN, r *journal.Record) error {
			f := &r.Facts
			if r.Kind != journal.Outcome || f.Kind != txn.Sale || f.Sent == 0 {
				return nil
			}
			sales++
			if got := in[uint64(f.ID)]; len(got) != 1 || got[0] != d.cuts.Of(uint64(at)) {
				t.Errorf("seed %d: transaction %d (%v) is in %v, its place is of %v", seed, f.ID, f.Result, got, d.cuts.Of(uint64(at)))
			}
			return nil
		})
		if err != nil || sales != 25 || len(in) != 25 || len(d.cuts) < 10 {
			t.Errorf("seed %d: %d sales, %d rows, %d cuts, %v", seed, sales, len(in), len(d.cuts), err)
		}
		w.crash()
		again := d.windows()
		for id, dates := range in {
			if !slices.Equal(again[id], dates) {
				t.Errorf("seed %d: after a crash %d is in %v, was in %v", seed, id, again[id], dates)
			}
		}
	}
}
