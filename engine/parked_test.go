package engine

import (
	"errors"
	"testing"
	"time"

	"tongka/card"
	"tongka/conn"
	"tongka/journal"
	simcard "tongka/sim/card"
	"tongka/txn"
)

// strand loads a card, takes it away, and has it come back for another amount.
func (l *loads) strand(p *pos, bank conn.ID, c *simcard.Card, trace uint64) card.Purse {
	l.t.Helper()
	p.card(recharge(trace, 10_000, c.InitLoad(10_000, kioskNo)))
	l.debited(bank, "00")
	l.want("load", p.about().code, "00")
	c.Cut()
	p.card(recharge(trace+1, 3000, c.InitLoad(3000, kioskNo)))
	l.want("another amount", p.about().code, "01")
	return l.purse(c)
}

// decide makes the command for a card, as the journal has its load.
func (l *loads) decide(p *card.Purse, do card.Decision) error {
	l.t.Helper()
	c := DecideCard{Family: p.Family, Serial: p.Serial, Load: p.Load, Do: do}
	var r journal.Record
	if _, err := l.log.FindID(p.Load, &r); err != nil {
		l.t.Fatal(err)
	}
	c.Of = r.Facts
	return l.do(&c)
}

func (l *loads) waiting() (all []card.Purse) {
	l.t.Helper()
	if err := EachParked(l.log.NewReader(), func(p *card.Purse) error { all = append(all, *p); return nil }); err != nil {
		l.t.Fatal(err)
	}
	l.want("counted", l.shard.cards.parked, len(all))
	return all
}

// Each decision about a load that a bank paid: the money goes where the decision
// says, once, and the card goes on.
func TestDecideLoad(t *testing.T) {
	for do, owed := range map[card.Decision]int{card.Complete: 0, card.TakeBack: 1, card.WriteOff: 0} {
		l := newLoads(t)
		bank := l.bankUp(0)
		p := l.terminal()
		c := l.issue(1, card.CityCard)
		purse := l.strand(p, bank, c, 7)
		l.want("waiting", len(l.waiting()), 1)
		l.crash()
		l.want("waiting behind a crash", len(l.waiting()), 1)
		bank = l.bankUp(0)
		p.id = l.connect(-1)
		if err := l.decide(&purse, do); err != nil {
			t.Fatal(err)
		}
		l.want("waiting then", len(l.waiting()), 0)
		l.want("owed", l.shard.owed.Total(), owed)
		if err := l.decide(&purse, do); !errors.Is(err, card.ErrNotParked) {
			t.Errorf("%v twice: %v", do, err)
		}
		if owed == 1 {
			back := l.bankGot(bank)
			got, _ := back.Uint(4)
			l.want("reversed", got, uint64(10_000))
			l.bankAnswers(bank, back, "00")
		}
		l.crash()
		l.want("owed behind a crash", l.shard.owed.Total(), 0)
		bank = l.bankUp(0)
		p.id = l.connect(-1)
		p.signIn()
		p.card(recharge(9, 500, c.InitLoad(500, kioskNo)))
		l.debited(bank, "00")
		l.want(do.String()+": the next load", p.about().code, "00")
		l.want("alerts", len(l.alerts), 1)
	}
}

// A take-back is a reversal in the journal like any other, so clearing sees it.
func TestTakeBackIsOnRecord(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	purse := l.strand(p, bank, l.issue(1, card.TUnion), 7)
	if err := l.decide(&purse, card.TakeBack); err != nil {
		t.Fatal(err)
	}
	found := 0
	err := l.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if f := &r.Facts; r.Kind == journal.Outcome && f.Kind == txn.Reversal {
			found++
			if f.Orig != purse.Load || f.Of != txn.LoadAccount || f.Amount != 10_000 || f.Code != txn.OK || f.ID == purse.Load {
				t.Errorf("%+v", f)
			}
		}
		return nil
	})
	if err != nil || found != 1 {
		t.Error(found, err)
	}
	// And a card that was written behind it is found out.
	again := l.issue(1, card.TUnion)
	again.Balance, again.Seq = 10_500, 1
	p.card(recharge(20, 100, again.InitLoad(100, kioskNo)))
	l.want("written after all", p.about().code, "01")
	purse = l.purse(again)
	l.want("for", purse.Reason, card.WrittenAfterAll)
	for _, do := range []card.Decision{card.Complete, card.TakeBack} {
		if err := l.decide(&purse, do); !errors.Is(err, card.ErrGoneBack) {
			t.Errorf("%v: %v", do, err)
		}
	}
	if err := l.decide(&purse, card.WriteOff); err != nil {
		t.Error(err)
	}
	l.want("owed once", l.shard.owed.Total(), 1)
}

// Orders go where their money goes; no bank hears of it.
func TestDecideOrder(t *testing.T) {
	for do, want := range map[card.Decision]card.OrderState{card.Complete: card.Loaded, card.TakeBack: card.Paid, card.WriteOff: card.Cancelled} {
		l := newLoads(t)
		bank := l.bankUp(0)
		p := l.terminal()
		c := l.issue(1, card.CityCard)
		l.orders(1, l.order(c, "A-1", 10_000, time.Hour))
		p.card(orderLoad(7, 10_000, "A-1", c.InitLoad(10_000, kioskNo)))
		a := p.about()
		l.want("loaded", a.code, "00")
		says := *c // a terminal that makes the TAC up
		says.Balance += 10_000
		p.card(confirm(8, &says, 0, card.Written, [4]byte{1}))
		l.want("wrong TAC", p.about().code, "63")
		purse := l.purse(c)
		if err := l.decide(&purse, do); err != nil {
			t.Fatal(err)
		}
		l.want(do.String(), l.state("A-1"), want)
		l.bankSilent(bank)
		l.want("owed", l.shard.owed.Total(), 0)
		if do == card.TakeBack {
			p.card(orderLoad(9, 10_000, "A-1", c.InitLoad(10_000, kioskNo)))
			l.want("loaded again", p.about().code, "00")
		}
	}
}

// Of an unload the account gets its money when the card is taken as having paid.
func TestDecideUnload(t *testing.T) {
	for do, owed := range map[card.Decision]int{card.Complete: 1, card.TakeBack: 0, card.WriteOff: 0} {
		l := newLoads(t)
		p := l.terminal()
		c := l.issue(1, card.CityCard)
		c.Balance = 5000
		p.card(discharge(7, 2000, c.InitUnload(2000, kioskNo)))
		l.want("begun", p.about().code, "00")
		says := *c
		says.Balance -= 2000
		p.card(confirm(8, &says, 0, card.Written, [4]byte{1}))
		l.want("wrong TAC", p.about().code, "63")
		purse := l.purse(c)
		if err := l.decide(&purse, do); err != nil {
			t.Fatal(err)
		}
		l.want(do.String(), l.shard.owed.Total(), owed)
	}
}

// What is no card that waits, or is worked on, or has another load, is refused and
// changes nothing.
func TestDecideRefused(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	c := l.issue(1, card.CityCard)
	purse := l.strand(p, bank, c, 7)
	for name, change := range map[string]func(*DecideCard){
		"another load":      func(d *DecideCard) { d.Load++ },
		"no facts":          func(d *DecideCard) { d.Of = txn.Facts{} },
		"never sent":        func(d *DecideCard) { d.Of.Sent = 0 },
		"another amount":    func(d *DecideCard) { d.Of.Amount++ },
		"another kind":      func(d *DecideCard) { d.Of.Kind = txn.LoadCash },
		"another card":      func(d *DecideCard) { d.Serial[9]++ },
		"the other family":  func(d *DecideCard) { d.Family = card.TUnion },
		"held by a request": func(*DecideCard) { l.shard.chains[l.shard.cards.of(c.Family, &c.Serial)] = owner{} },
	} {
		d := DecideCard{Family: purse.Family, Serial: purse.Serial, Load: purse.Load, Do: card.TakeBack,
			Of: txn.Facts{ID: purse.Load, Sent: 1, Kind: purse.Kind, Amount: int64(purse.Amount), Result: txn.Approved}}
		change(&d)
		if err := l.do(&d); err == nil {
			t.Errorf("%s: taken", name)
		}
		delete(l.shard.chains, l.shard.cards.of(c.Family, &c.Serial))
		l.want(name, len(l.waiting()), 1)
		l.want(name+": owed", l.shard.owed.Total(), 0)
	}
	w := newWorld(t)
	w.terminal()
	if err := w.do(&DecideCard{}); !errors.Is(err, errNoCards) {
		t.Error(err)
	}
}

// A card whose last load was kept in the form of the first version comes back, and
// one that was parked so is decided about.
func TestCardsOfAnOlderFolder(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	age := func(c *simcard.Card) {
		t.Helper()
		o := l.shard.cards.of(c.Family, &c.Serial)
		b, _, err := l.shard.log.Lookup(o.key(nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		l.shard.log.Put(o.key(nil), append(append([]byte{1}, b[1:111]...), 0, 0, 0, 0))
		if err := l.shard.log.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	c := l.issue(1, card.CityCard)
	p.card(recharge(7, 10_000, c.InitLoad(10_000, kioskNo)))
	l.debited(bank, "00")
	l.want("load", p.about().code, "00")
	age(c)
	c.Cut()
	p.card(recharge(8, 10_000, c.InitLoad(10_000, kioskNo)))
	a := p.about()
	l.want("again", a.code, "00")
	l.want("a new MAC2, no second debit", a.rewrite, true)
	l.bankSilent(bank)
	c = l.issue(2, card.CityCard)
	purse := l.strand(p, bank, c, 9)
	age(c)
	l.want("waiting", len(l.waiting()), 1)
	if err := l.decide(&purse, card.WriteOff); err != nil {
		t.Fatal(err)
	}
	l.want("waiting then", len(l.waiting()), 0)
}
