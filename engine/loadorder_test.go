package engine

import (
	"fmt"
	"testing"
	"time"

	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/hsm"
	"tongka/hsm/payshield"
	"tongka/journal"
	simcard "tongka/sim/card"
	"tongka/txn"
)

func (l *loads) order(c *simcard.Card, number string, amount uint32, until time.Duration) card.Order {
	l.t.Helper()
	n, ok := card.ParseNumber([]byte(number))
	if !ok {
		l.t.Fatal(number)
	}
	return card.Order{Number: n, Family: c.Family, Serial: c.Serial, Amount: amount, Until: l.now + int64(until)}
}

func (l *loads) orders(want int, orders ...card.Order) {
	l.t.Helper()
	add := AddOrders{Orders: orders}
	if err := l.do(&add); err != nil || add.Added != want {
		l.t.Fatalf("%d orders added, %v", add.Added, err)
	}
}

func (l *loads) state(number string) card.OrderState {
	l.t.Helper()
	n, _ := card.ParseNumber([]byte(number))
	o, err := l.shard.order(n)
	if err != nil || o.Number != n {
		l.t.Fatalf("order %s: %+v, %v", number, o, err)
	}
	return o.State
}

func orderLoad(trace, amount uint64, number string, f58 []byte) topUp {
	return topUp{mti: 0x0200, proc: 600000, usage: "57", trace: trace, amount: amount, f58: card.AppendTag(f58, card.TagOrder, []byte(number)...)}
}

func TestOrders(t *testing.T) {
	l := newLoads(t)
	p := l.terminal()
	c := l.issue(1, card.TUnion)
	first, second := l.order(c, "A-1", 10_000, time.Hour), l.order(c, "A-2", 5_000, 24*time.Hour)
	l.orders(2, first, second)
	l.orders(0, first)
	other := first
	other.Amount++
	if err := l.do(&AddOrders{Orders: []card.Order{l.order(c, "A-3", 1, time.Hour), other}}); err == nil {
		t.Error("an order was changed by an import")
	}
	query := func(trace uint64) answer {
		t.Helper()
		p.card(topUp{mti: 0x0200, proc: 310000, usage: "56", trace: trace, f58: c.Identity()})
		return p.about()
	}
	if a := query(7); a.code != "00" || a.orders != "A-1 A-2 " {
		t.Errorf("query: %+v", a)
	}
	p.card(orderLoad(8, 9_999, "A-1", c.InitLoad(9_999, kioskNo)))
	l.want("another amount", p.about().code, "13")
	p.card(orderLoad(9, 10_000, "A-9", c.InitLoad(10_000, kioskNo)))
	l.want("no such order", p.about().code, "25")
	p.card(orderLoad(10, 10_000, "A-1", c.InitLoad(10_000, kioskNo)))
	a := p.about()
	l.want("loaded", a.code, "00")
	l.want("while the card decides", l.state("A-1"), card.Loading)
	c.Cut() // and the card was gone
	l.crash()
	p.id = l.connect(-1)
	l.pass(2 * time.Hour) // its time is over, and it had begun
	p.card(orderLoad(11, 10_000, "A-1", c.InitLoad(10_000, kioskNo)))
	a = p.about()
	l.want("again", a.code, "00")
	l.want("as a rewrite", a.rewrite, true)
	if _, ok := c.Credit(a.time, a.mac2); !ok {
		t.Fatal("not written")
	}
	// The confirmation is lost, and the next load shows what happened.
	if err := l.do(&CancelOrder{Number: first.Number}); err == nil {
		t.Error("cancelled while the card decides")
	}
	p.card(orderLoad(12, 10_000, "A-1", c.InitLoad(10_000, kioskNo)))
	l.want("a second time", p.about().code, "94")
	l.want("it is done", l.state("A-1"), card.Loaded)
	if a := query(13); a.orders != "A-2 " {
		t.Errorf("query: %+v", a)
	}
	p.card(orderLoad(14, 5_000, "A-2", c.InitLoad(5_000, kioskNo)))
	a = p.about()
	tac, _ := c.Credit(a.time, a.mac2)
	p.card(confirm(15, c, c.Seq-1, card.Written, tac))
	l.want("confirmed", p.about().code, "00")
	l.want("done by the confirmation", l.state("A-2"), card.Loaded)
	l.want("nothing is open", query(16).code, "25")
	l.want("the card", c.Balance, uint32(15_500))

	l.orders(2, l.order(c, "B-1", 100, time.Minute), l.order(c, "B-2", 100, time.Minute))
	gone := CancelOrder{Number: card.Number{'B', '-', '2'}}
	if err := l.do(&gone); err != nil || gone.Was.State != card.Paid {
		t.Errorf("cancel: %v", err)
	}
	if err := l.do(&CancelOrder{Number: card.Number{'Z'}}); err == nil {
		t.Error("an order that is not there was cancelled")
	}
	p.card(orderLoad(17, 100, "B-2", c.InitLoad(100, kioskNo)))
	l.want("cancelled", p.about().code, "12")
	l.pass(time.Minute)
	p.card(orderLoad(18, 100, "B-1", c.InitLoad(100, kioskNo)))
	l.want("expired", p.about().code, "54")
	l.want("queried when expired", query(19).code, "25")
	l.want("alerts", len(l.alerts), 0)
	l.quiet()
}

// An air top-up: three rounds for one order, each of which may be repeated.
func TestAirTopUp(t *testing.T) {
	l := newLoads(t)
	p := l.terminal()
	c := l.issue(1, card.TUnion)
	l.orders(1, l.order(c, "AIR-1", 2_000, time.Hour))
	round := func(trace uint64, n byte, reply []byte) topUp {
		b := card.AppendTag(c.Identity(), card.TagRound, n)
		b = card.AppendTag(b, card.TagOrder, []byte("AIR-1")...)
		if reply != nil {
			b = card.AppendTag(b, card.TagReply, reply...)
		}
		return topUp{mti: 0x0200, proc: 600000, usage: "58", trace: trace, amount: 2_000, f58: b}
	}
	twice := func(q topUp) answer {
		t.Helper()
		p.card(q)
		a := p.about()
		p.card(q)
		if again := p.about(); again != a {
			t.Errorf("repeated: %+v, first %+v", again, a)
		}
		return a
	}
	p.card(round(6, 2, []byte{0x69, 0x85}))
	l.want("no answer of INITIALIZE", p.about().code, "30")
	a := twice(round(7, 1, nil))
	l.want("open", a.code, "00")
	a = twice(round(8, 2, c.APDU([]byte(a.script))))
	l.want("load", a.code, "00")
	l.want("order", l.state("AIR-1"), card.Loading)
	// The phone left the field before the card wrote: all rounds anew.
	c.Cut()
	p.card(round(9, 3, []byte{0x6F, 0x00}))
	l.want("not written", p.about().code, "00")
	a = twice(round(10, 1, nil))
	a = twice(round(11, 2, c.APDU([]byte(a.script))))
	reply := c.APDU([]byte(a.script))
	l.want("the card", c.Balance, uint32(2_500))
	wrong := append([]byte(nil), reply...)
	l.want("confirmed", twice(round(12, 3, reply)).code, "00")
	l.want("order", l.state("AIR-1"), card.Loaded)
	wrong[0] ^= 1
	l.want("a wrong TAC when all is closed", twice(round(13, 3, wrong)).code, "00")
	l.want("open again", twice(round(14, 1, nil)).code, "94")
	l.quiet()
}

// A cash load may be cancelled as long as the card shows that it was not written.
func TestLoadVoid(t *testing.T) {
	for _, written := range []bool{false, true} {
		l := newLoads(t)
		bank := l.bankUp(0)
		p := l.terminal()
		c := l.issue(1, card.CityCard)
		q := recharge(7, 3_000, c.InitLoad(3_000, kioskNo))
		q.proc, q.usage = 630000, "46"
		p.card(q)
		l.debited(bank, "00")
		a := p.about()
		if written {
			c.Credit(a.time, a.mac2)
		}
		void := topUp{mti: 0x0200, proc: 170000, usage: "51", trace: 8, of: 7, amount: 3_000, pan: payer, f58: c.InitLoad(3_000, proving(a.mac2))}
		p.card(void)
		if written {
			l.bankSilent(bank)
			l.want("of a written card", p.about().code, "12")
			l.want("which is known now", l.purse(c).State, card.Closed)
			l.quiet()
			continue
		}
		got := l.debited(bank, "00")
		l.want("F3", string(got.AppendText(nil, 3)), "170000")
		l.want("F90", string(got.Field(90)[:4]), "0200")
		l.want("void", p.about().code, "00")
		l.want("the card", l.purse(c).State, card.Undone)
		void.trace = 9
		void.f58 = c.InitLoad(3_000, proving(a.mac2))
		p.card(void)
		l.want("twice", p.about().code, "12")
		p.card(confirm(10, c, 0, card.NotWritten, [4]byte{}))
		l.want("a late confirmation", p.about().code, "00")
		p.card(recharge(11, 1_000, c.InitLoad(1_000, kioskNo)))
		l.debited(bank, "00")
		l.want("and a new load", p.about().code, "00")
		l.quiet()
	}
}

// What a card said before it was written proves nothing about later: an answer that a
// terminal kept cancels nothing, whether the card was written or not, and is told.
func TestLoadVoidByAKeptAnswer(t *testing.T) {
	for _, written := range []bool{true, false} {
		l := newLoads(t)
		bank := l.bankUp(0)
		p := l.terminal()
		c := l.issue(1, card.CityCard)
		kept := c.InitLoad(3_000, kioskNo)
		q := recharge(7, 3_000, c.InitLoad(3_000, kioskNo))
		q.proc, q.usage = 630000, "46"
		p.card(q)
		l.debited(bank, "00")
		a := p.about()
		if written {
			if _, ok := c.Credit(a.time, a.mac2); !ok {
				t.Fatal("the card does not take it")
			}
		}
		p.card(topUp{mti: 0x0200, proc: 170000, usage: "51", trace: 8, of: 7, amount: 3_000, pan: payer, f58: kept})
		l.bankSilent(bank)
		l.want("void", p.about().code, "34")
		l.want("the card", l.purse(c).State, card.Left)
		if len(l.alerts) != 1 || l.alerts[0].Alarm != flow.ReplayedMAC1 {
			t.Errorf("alerts %+v", l.alerts)
		}
		if !written { // what came after MAC2 had left proves it, and then the card takes it no more
			p.card(topUp{mti: 0x0200, proc: 170000, usage: "51", trace: 9, of: 7, amount: 3_000, pan: payer, f58: c.InitLoad(3_000, proving(a.mac2))})
			l.debited(bank, "00")
			l.want("void", p.about().code, "00")
			if _, ok := c.Credit(a.time, a.mac2); ok {
				t.Error("the card takes a MAC2 of before")
			}
		}
		l.quiet()
	}
}

// proving is the terminal number for the INITIALIZE of a void: the MAC2 that left.
func proving(mac2 [4]byte) (n [6]byte) {
	copy(n[:], mac2[:])
	return n
}

// remoteLoads is a world of cards whose module is behind a socket.
func remoteLoads(t *testing.T) (l *loads, box conn.ID) {
	l = newLoads(t)
	l.remote = true
	inner := l.shape
	l.shape = func(c *Config) {
		inner(c)
		if err := c.Dialect.Define("UB", payshield.Layout{}); err != nil {
			t.Fatal(err)
		}
	}
	l.crash()
	l.terminalImported()
	return l, l.boxUp(len(l.names))
}

// Behind a socket the MAC2 takes its time, and everything may come meanwhile.
func TestLoadBehindASocket(t *testing.T) {
	for _, how := range []string{"answered", "crash", "module lost", "reversed", "stopped"} {
		t.Run(how, func(t *testing.T) {
			l, box := remoteLoads(t)
			dialect := payshield.Dialect{HeaderLen: l.header}
			if err := dialect.Define("UB", payshield.Layout{}); err != nil {
				t.Fatal(err)
			}
			server := payshield.NewServer(l.module, dialect)
			serve := func(to conn.ID, most int) {
				for n := 0; n < most; {
					frames := l.take(to, conn.Binary2)
					if len(frames) == 0 {
						return
					}
					for _, f := range frames {
						l.shard.Frame(to, server.Answer(nil, f))
						n++
					}
					l.pass(0)
				}
			}
			bank := l.bankUp(0)
			p := &pos{w: l.world, id: l.connect(-1)}
			p.send(0x0800, nil, func(b *iso8583.Builder) {
				b.PutUint(11, 1)
				p.identity(b)
				b.Put(60, []byte("00000001003"))
			})
			l.pass(0)
			serve(box, 9)
			v := p.got()
			p.batch = string(v.AppendText(nil, 60)[2:8])
			p.pik, p.mak = p.unwrap(v.Field(62)[:20]), p.unwrap(v.Field(62)[20:])
			c := l.issue(1, card.CityCard)
			q := recharge(7, 10_000, c.InitLoad(10_000, kioskNo))
			p.card(q)
			serve(box, 9) // MAC and MAC1
			asked := l.bankGot(bank)
			l.shard.Frame(bank, l.bankMessage(0x0210, func(b *iso8583.Builder) {
				for _, n := range []int{2, 3, 4, 7, 11, 37} {
					b.Copy(n, asked, n)
				}
				b.Put(39, []byte("00"))
				b.Put(54, []byte("0102156C000000000700"))
			}))
			l.pass(0)
			p.silent() // the MAC2 is being made
			owed := 1
			switch how {
			case "answered":
				owed = 0
				serve(box, 9)
				v := p.got()
				a := aboutCard(v)
				if _, ok := c.Credit(a.time, a.mac2); !ok || a.code != "00" {
					t.Errorf("%+v", a)
				}
				l.want("what the bank said", string(v.Field(54)), "0102156C000000000700")
			case "crash":
				// The recovery point moves, and not over the intent.
				for range 2 { // the first record is behind the intent, the second's turn moves the point
					l.shard.newest = l.shard.log.Append(&journal.Record{Kind: journal.Started})
					l.pass(time.Second)
				}
				l.crash()
			case "module lost":
				l.shard.Closed(box, nil)
				l.pass(0)
				l.pass(5 * time.Second)
				if n := len(l.sent[p.id]); n != 0 {
					t.Errorf("an answer without its MAC")
				}
			case "reversed":
				late := l.take(box, conn.Binary2)
				back := q
				back.mti, back.f58 = 0x0400, nil
				p.card(back)
				serve(box, 9)
				l.shard.Frame(box, server.Answer(nil, late[0])) // nobody waits for it
				l.pass(0)
				l.want("code", p.code(), "00")
			case "stopped":
				var f Finish
				if err := l.do(&f); err != nil || f.Refused != 1 {
					t.Errorf("%+v, %v", f, err)
				}
			}
			l.want("owed", l.shard.owed.Total(), owed)
			want := card.Unseen
			if how == "answered" {
				want = card.Left
			}
			l.want("the card", l.purse(c).State, want)
			l.want("alerts", len(l.alerts), 0)
		})
	}
}

// A switch that takes no cards says so; SM4 cards need their keys.
func TestCardsOfOthers(t *testing.T) {
	w := newWorld(t)
	p := w.terminal()
	l := &loads{world: w, cards: &Cards{Levels: [3]uint8{1, 1, 1}}}
	c := l.issue(1, card.CityCard)
	p.card(recharge(7, 1000, c.InitLoad(1000, kioskNo)))
	w.want("no cards", p.about().code, "40")

	l = newLoads(t)
	l.cards.SM4 = map[uint8]bool{0: true}
	p = l.terminal()
	p.card(recharge(7, 1000, c.InitLoad(1000, kioskNo)))
	l.want("no SM4 key", p.about().code, "A7")
	id := hsm.CardKeyID{Alg: hsm.CardSM4, Index: 1, Version: 1}
	l.cards.Keys[id], l.cards.Keys[hsm.CardKeyID{Alg: hsm.CardSM4, Index: 1, Version: 1, TAC: true}] = hsm.Key{}, hsm.Key{}
	p.card(recharge(8, 1000, c.InitLoad(1000, kioskNo)))
	if code := p.about().code; code != "96" && code != "A7" {
		t.Errorf("a module without SM4: %s", code)
	}
	if bad := (&Cards{Ceiling: 1, Single: 1, Levels: [3]uint8{0, 3, 0}}).validate(); bad == nil {
		t.Error("three levels")
	}
	if bad := (&Cards{Ceiling: 1}).validate(); bad == nil {
		t.Error("no limit of a load")
	}
	if fmt.Sprint(flow.CardParked, card.OtherAmount, card.Left, txn.OrderLoad) != "card-parked other-amount left order-load" {
		t.Error("names")
	}
}
