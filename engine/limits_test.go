package engine

import (
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/router"
	"tongka/router/limit"
	"tongka/txn"
)

func perSecond(n, burst int64) limit.Cap {
	return limit.Cap{Rate: limit.NewRate(n, int64(time.Second), burst)}
}

// limits puts flow control into force for a world of two banks.
func (w *world) limits(f FlowControl) {
	w.t.Helper()
	if f.Code == (txn.Code{}) {
		f.Code = txn.SystemFault
	}
	if f.Links == nil {
		f.Links = make([]limit.Cap, 2)
	}
	if err := w.do(w.relimited(&f)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) relimited(f *FlowControl) *Retune {
	r := w.retuned()
	r.FlowControl = f
	return r
}

// salesThrough sends sales and says how many the bank got; the others were
// refused at once with code.
func (p *pos) salesThrough(from, n uint64, code string) (through int) {
	p.w.t.Helper()
	for i := range n {
		p.sale(from+i, 100, false)
		frames := p.w.sent[p.id]
		if len(frames) == 0 {
			through++
			continue
		}
		if c := p.code(); c != code {
			p.w.t.Errorf("sale %d: F39 %s, want %s", from+i, c, code)
		}
	}
	return through
}

func TestOverItsLimitARequestIsRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		what    string
		limits  FlowControl
		through int
		counter func(*Counters) uint64
	}{
		{"address's bucket", FlowControl{Address: perSecond(1, 7), Terminal: perSecond(1, 9)}, 7, func(c *Counters) uint64 { return c.OverAddress }},
		{"address's transactions in flight", FlowControl{Address: limit.Cap{InFlight: 3}}, 3, func(c *Counters) uint64 { return c.OverAddress }},
		{"terminal's bucket", FlowControl{Terminal: perSecond(1, 3)}, 3, func(c *Counters) uint64 { return c.OverTerminal }},
		{"terminal's transactions in flight", FlowControl{Terminal: limit.Cap{InFlight: 4}}, 4, func(c *Counters) uint64 { return c.OverTerminal }},
		{"merchant's bucket", FlowControl{Merchant: perSecond(1, 2)}, 2, func(c *Counters) uint64 { return c.OverMerchant }},
		{"merchant's transactions in flight", FlowControl{Merchant: limit.Cap{InFlight: 5}}, 5, func(c *Counters) uint64 { return c.OverMerchant }},
		{"node's bucket", FlowControl{Payments: perSecond(1, 6)}, 6, func(c *Counters) uint64 { return c.OverPayments }},
		{"node's transactions in flight", FlowControl{Payments: limit.Cap{InFlight: 1}}, 1, func(c *Counters) uint64 { return c.OverPayments }},
		{"link's bucket", FlowControl{Links: []limit.Cap{perSecond(1, 2), {}}}, 2, func(c *Counters) uint64 { return c.OverLink }},
		{"link's transactions in flight", FlowControl{Links: []limit.Cap{{InFlight: 3}, {}}}, 3, func(c *Counters) uint64 { return c.OverLink }},
		{"of two limits the tighter", FlowControl{Terminal: perSecond(1, 5), Payments: limit.Cap{InFlight: 2}}, 2, func(c *Counters) uint64 { return c.OverPayments }},
		{"another's code", FlowControl{Code: txn.Code{'9', '1'}, Terminal: perSecond(1, 1)}, 1, func(c *Counters) uint64 { return c.OverTerminal }},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			bank := w.bankUp(0)
			p := w.terminal()
			w.limits(c.limits)
			code := w.shard.gates.caps.Code.String()
			if n := p.salesThrough(1, 10, code); n != c.through {
				t.Errorf("%d of 10 sales passed, want %d", n, c.through)
			}
			if n := c.counter(&w.shard.stats); n != uint64(10-c.through) {
				t.Errorf("%d counted as refused, want %d", n, 10-c.through)
			}
			if n := len(w.sent[bank]); n != c.through {
				t.Errorf("the bank got %d writes", n)
			}
		})
	}
}

// What was held up by what is in flight passes when that has ended, however it
// ended; and nothing stays counted for ever.
func TestPlacesComeBack(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	w.limits(FlowControl{Address: limit.Cap{InFlight: 2}, Terminal: limit.Cap{InFlight: 2}, Merchant: limit.Cap{InFlight: 2}, Payments: limit.Cap{InFlight: 2}, Links: []limit.Cap{{InFlight: 2}, {}}})
	for round := range uint64(20) {
		p.sale(3*round+1, 100, false)
		q := w.bankGot(bank)
		p.sale(3*round+2, 100, false)
		w.bankGot(bank)
		p.sale(3*round+3, 100, false)
		if c := p.code(); c != "96" {
			t.Fatalf("round %d: F39 %s", round, c)
		}
		w.bankAnswers(bank, q, []string{"00", "51"}[round%2])
		p.code()
		switch round % 2 {
		case 0: // the terminal takes it back
			p.reverse(3*round+2, 100)
			p.code()
		case 1: // it times out
			w.pass(11 * time.Second)
			w.pass(time.Second)
			p.code()
		}
		for w.shard.owed.Total() > 0 {
			w.pass(2 * time.Second)
			for _, f := range w.take(bank, conn.ASCII4) {
				w.bankAnswers(bank, w.parse(iso8583.Cups(), f), "00")
			}
			delete(w.sent, p.id)
		}
	}
	h := w.shard.histories[w.shard.slots[w.shard.free[0]].Terminal]
	for _, x := range w.shard.histories {
		h = x
	}
	if h.gate.InFlight() != 0 || h.merchant.InFlight() != 0 || w.shard.gates.classes[0].InFlight() != 0 || w.shard.links[0].inFlight != 0 {
		t.Errorf("still under way: terminal %d, merchant %d, node %d, link %d", h.gate.InFlight(), h.merchant.InFlight(),
			w.shard.gates.classes[0].InFlight(), w.shard.links[0].inFlight)
	}
}

// Reversals pass whatever the limits are: what went wrong is made good first.
func TestReversalsAreNeverHeldUp(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	w.limits(FlowControl{Terminal: perSecond(1, 1), Payments: perSecond(1, 1), Enquiries: perSecond(1, 1)})
	p.sale(1, 100, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.code()
	for range 5 {
		p.reverse(1, 100)
		if c := p.code(); c != "00" {
			t.Fatalf("F39 %s", c)
		}
	}
}

// Enquiries have limits of their own: they neither take from sales nor the other
// way round.
func TestEnquiriesAndSalesHaveTheirOwnLimits(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	w.limits(FlowControl{Payments: perSecond(1, 4), Enquiries: perSecond(1, 2)})
	passed := 0
	for i := range uint64(50) {
		if p.balance(1000+i, false); len(w.sent[p.id]) == 0 {
			passed++
		} else if c := p.code(); c != "96" {
			t.Fatalf("F39 %s", c)
		}
	}
	if n := p.salesThrough(1, 10, "96"); n != 4 || passed != 2 {
		t.Errorf("%d enquiries and %d sales passed, want 2 and 4", passed, n)
	}
	if s := w.shard.stats; s.OverEnquiries != 48 || s.OverPayments != 6 {
		t.Errorf("%+v", s)
	}
}

// A sale that is refused while its first is in flight, or after it was approved,
// is not answered: the terminal would take the refusal for final.
func TestARefusalThatCouldBeALieIsSilent(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	w.limits(FlowControl{Terminal: perSecond(1, 1)})
	frame := p.sale(1, 100, false)
	q := w.bankGot(bank)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	p.silent()
	w.bankAnswers(bank, q, "00")
	p.code()
	w.shard.Frame(p.id, frame)
	w.pass(0)
	p.silent()
	w.pass(2 * time.Second)
	w.shard.Frame(p.id, frame)
	w.pass(0)
	if c := p.code(); c != "00" {
		t.Errorf("within its limit the repeat gets %s", c)
	}
}

// A full link gives way to its fallback; without one the request is refused.
func TestAFullLinkGivesWayToItsFallback(t *testing.T) {
	w := newWorld(t)
	a, b := w.bankUp(0), w.bankUp(1)
	p := w.terminal()
	table, err := router.Compile(router.Source{Rules: []router.Rule{{To: []router.Target{{Link: 0, Weight: 1}}, Fallback: []txn.LinkID{1}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := w.retuned()
	r.Routes = table
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	w.limits(FlowControl{Links: []limit.Cap{{InFlight: 2}, {InFlight: 3}}})
	if n := p.salesThrough(1, 10, "96"); n != 5 || len(w.sent[a]) != 2 || len(w.sent[b]) != 3 {
		t.Errorf("%d passed: %d and %d", n, len(w.sent[a]), len(w.sent[b]))
	}
	if w.shard.stats.OverLink != 5 || w.shard.gates.linkOver[0] != 5 {
		t.Errorf("%d refused, %v", w.shard.stats.OverLink, w.shard.gates.linkOver)
	}
}

// Limits that come while something is in flight count it; without limits again
// everything passes.
func TestLimitsChangeWhileRunning(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	if n := p.salesThrough(1, 3, ""); n != 3 {
		t.Fatal(n)
	}
	w.limits(FlowControl{Terminal: limit.Cap{InFlight: 4}})
	if n := p.salesThrough(11, 3, "96"); n != 1 {
		t.Errorf("%d passed beside three under way, want 1", n)
	}
	if err := w.do(w.relimited(nil)); err != nil {
		t.Fatal(err)
	}
	if n := p.salesThrough(21, 3, ""); n != 3 {
		t.Errorf("%d passed without limits", n)
	}
	w.limits(FlowControl{Terminal: limit.Cap{InFlight: 7}})
	delete(w.sent, bank)
	w.pass(11 * time.Second)
	w.pass(time.Second)
	for _, h := range w.shard.histories {
		if h.gate.InFlight() != 0 || h.merchant.InFlight() != 0 {
			t.Errorf("%d and %d stay under way", h.gate.InFlight(), h.merchant.InFlight())
		}
	}
	for what, f := range map[string]*FlowControl{"links": {Code: txn.SystemFault}, "code": {Links: make([]limit.Cap, 2)}, "approval": {Code: txn.OK, Links: make([]limit.Cap, 2)}} {
		if w.do(w.relimited(f)) == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

func TestSalePathUnderLimitsAllocatesNothing(t *testing.T) {
	const turns = 100
	m := ready(t, (turns+60)*perTurn)
	wide := limit.Cap{Rate: limit.NewRate(1_000_000, int64(time.Second), 1_000_000), InFlight: 1000}
	m.w.shard.limit(&FlowControl{Code: txn.SystemFault, Payments: wide, Enquiries: wide, Address: wide, Terminal: wide, Merchant: wide, Links: []limit.Cap{wide, wide}})
	m.grind(0, 50*perTurn)
	at := 50 * perTurn
	perRun := testing.AllocsPerRun(turns, func() {
		m.grind(at, at+perTurn)
		at += perTurn
	})
	if perSale := perRun / perTurn; m.got != at || perSale >= 0.5 {
		t.Errorf("%d answers to %d sales, %.2f allocations each", m.got, at, perSale)
	}
}
