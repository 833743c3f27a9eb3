package engine

import (
	"fmt"
	"testing"
	"time"

	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/flow"
	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/journal"
	simcard "tongka/sim/card"
	"tongka/txn"
)

func discharge(trace, amount uint64, f58 []byte) topUp {
	return topUp{mti: 0x0200, proc: 640000, usage: "59", trace: trace, amount: amount, pan: payer, f58: f58}
}

// The notice is a deposit to the account, told until the bank has taken it.
func (l *loads) deposited(v *iso8583.View, amount uint64) {
	l.t.Helper()
	got, _ := v.Uint(4)
	l.want("MTI", fmt.Sprint(v.MTI()&^1), "0220")
	l.want("F3", string(v.AppendText(nil, 3)), "210000")
	l.want("F2", string(v.AppendText(nil, 2)), payer)
	l.want("F4", got, amount)
}

func TestUnloadAndConfirm(t *testing.T) {
	for _, family := range []card.Family{card.CityCard, card.TUnion} {
		l := newLoads(t)
		bank := l.bankUp(0)
		p := l.terminal()
		c := l.issue(1, family)
		c.Balance = 5000
		q := discharge(7, 2000, c.InitUnload(2000, kioskNo))
		p.card(q)
		a := p.about()
		l.want("code", a.code, "00")
		l.bankSilent(bank)
		p.card(q)
		l.want("a repeat", p.about(), a)
		tac, ok := c.Debit(a.time, a.mac2)
		l.want("the card pays", ok, true)
		l.want("balance", c.Balance, uint32(3000))
		q.mti, q.f58 = 0x0400, nil
		p.card(q)
		l.want("a reversal", p.code(), "22")
		l.bankSilent(bank)
		p.card(confirm(8, c, c.Seq-1, card.Written, tac))
		l.want("confirmation", p.about().code, "00")
		got := l.bankGot(bank)
		l.deposited(got, 2000)
		l.crash() // the bank's answer is lost
		bank = l.bankUp(0)
		l.pass(time.Minute)
		got = l.bankGot(bank)
		l.want("again", fmt.Sprint(got.MTI()), "0221")
		l.bankAnswers(bank, got, "00")
		l.want("owed", l.shard.owed.Total(), 0)
		p.id = l.connect(-1)
		p.card(confirm(9, c, c.Seq-1, card.Written, tac))
		l.want("confirmed again", p.about().code, "00")
		l.bankSilent(bank)
		l.want("alerts", len(l.alerts), 0)
		l.quiet()
	}
}

// The process dies at each step, and the card's power goes before or after it has
// paid: the account gets what the card has paid, once.
func TestUnloadCrashes(t *testing.T) {
	for _, c := range []struct {
		name    string
		paid    bool // the card
		confirm bool // and told so
	}{{"before the card paid", false, false}, {"after it paid", true, false}, {"after the confirmation", true, true}} {
		for _, next := range []string{"load", "unload"} {
			l := newLoads(t)
			p := l.terminal()
			k := l.issue(1, card.CityCard)
			k.Balance = 5000
			p.card(discharge(7, 2000, k.InitUnload(2000, kioskNo)))
			a := p.about()
			l.crash()
			if c.paid {
				tac, _ := k.Debit(a.time, a.mac2)
				if p.id = l.connect(-1); c.confirm {
					p.card(confirm(8, k, 0, card.Written, tac))
					l.want("confirmed", p.about().code, "00")
					l.crash()
				}
			}
			k.Cut()
			bank := l.bankUp(0)
			p.id = l.connect(-1)
			p.signIn()
			l.pass(30 * time.Second) // what is owed is offered again
			if next == "load" {
				p.card(recharge(9, 1000, k.InitLoad(1000, kioskNo)))
			} else {
				p.card(discharge(9, 1000, k.InitUnload(1000, kioskNo)))
			}
			deposits := 0
			for range 3 {
				for _, f := range l.take(bank, l.shard.links[0].cfg.Framing) {
					v := l.parse(iso8583.Cups(), f)
					if v.MTI()&^1 == 0x0220 {
						l.deposited(v, 2000)
						deposits++
					}
					l.bankAnswers(bank, v, "00")
				}
			}
			l.want(c.name+": "+next, p.about().code, "00")
			l.want(c.name+": deposits", deposits == 1, c.paid)
			l.want(c.name+": owed", l.shard.owed.Total(), 0)
			l.want(c.name+": alerts", len(l.alerts), 0)
			l.quiet()
		}
	}
}

func TestUnloadRefusals(t *testing.T) {
	l := newLoads(t)
	bank := l.bankUp(0)
	p := l.terminal()
	c := l.issue(1, card.TUnion)
	c.Balance = 5000
	trace := uint64(10)
	refused := func(what, code string, alarm flow.Alarm, q topUp) {
		t.Helper()
		trace++
		l.alerts, q.trace = nil, trace
		p.card(q)
		l.want(what, p.about().code, code)
		l.bankSilent(bank)
		if want := int(min(alarm, 1)); len(l.alerts) != want || want == 1 && l.alerts[0].Alarm != alarm {
			t.Errorf("%s: alerts %+v", what, l.alerts)
		}
	}
	refused("more than it has", "51", flow.NoAlarm, discharge(0, 5001, c.InitUnload(5001, kioskNo)))
	nobody := discharge(0, 100, c.InitUnload(100, kioskNo))
	nobody.pan = ""
	refused("no account", "14", flow.NoAlarm, nobody)
	refused("a load's MAC1", "63", flow.WrongMAC1, discharge(0, 100, c.InitLoad(100, kioskNo)))
	refused("an unload's MAC1 for a load", "63", flow.WrongMAC1, recharge(0, 100, c.InitUnload(100, kioskNo)))
	refused("over the limit", "61", flow.NoAlarm, discharge(0, 50_001, c.InitUnload(50_001, kioskNo)))
	l.want("the card", l.purse(c).State, card.Unseen)

	f58 := c.InitUnload(2000, kioskNo)
	p.card(discharge(7, 2000, f58))
	a := p.about()
	refused("replayed", "34", flow.ReplayedMAC1, discharge(0, 2000, f58))
	c.Debit(a.time, a.mac2)
	refused("a wrong TAC", "63", flow.CardParked, confirm(0, c, 0, card.Written, [4]byte{9}))
	l.want("the card", l.purse(c).Reason, card.WrongTAC)
	l.want("owed", l.shard.owed.Total(), 0)

	for id := range l.cards.Keys {
		if id.Unload {
			delete(l.cards.Keys, id)
		}
	}
	other := l.issue(2, card.TUnion)
	refused("a house without unloads", "A7", flow.NoAlarm, discharge(0, 100, other.InitUnload(100, kioskNo)))
	l.quiet()
}

// Cards that work with SM4 are loaded and unloaded like the others, by the
// module's unconfirmed reading, where the house takes their algorithm.
func TestSM4Cards(t *testing.T) {
	for _, family := range []card.Family{card.CityCard, card.TUnion} {
		l := newLoads(t)
		l.cards.SM4 = map[uint8]bool{4: true}
		module, err := soft.NewWith(soft.TestLMK(), soft.Options{SM4Cards: true})
		if err != nil {
			t.Fatal(err)
		}
		l.module = module
		for use, master := range map[hsm.CardKeyID][]byte{{}: loadMaster, {TAC: true}: tacMaster, {Unload: true}: outMaster} {
			use.Family, use.Alg, use.Index, use.Version = hsm.Family(family-1), hsm.CardSM4, 1, 1
			if l.cards.Keys[use], err = module.WrapSM4(hsm.MKAC, master); err != nil {
				t.Fatal(err)
			}
		}
		l.crash()
		bank := l.bankUp(0)
		p := l.terminal()
		c, err := simcard.Issue(simcard.Card{Family: family, Serial: card.Serial{0x20, 9: 7}, Issuer: [8]byte{0x86, 0x98, 0x31, 0x20},
			City: [2]byte{0x31, 0x20}, Balance: 500, Alg: 4, SM4: true}, l.masters(family))
		if err != nil {
			t.Fatal(err)
		}
		p.card(recharge(7, 10_000, c.InitLoad(10_000, kioskNo)))
		l.debited(bank, "00")
		a := p.about()
		tac, ok := c.Credit(a.time, a.mac2)
		l.want("the card takes it", ok, true)
		p.card(confirm(8, c, 0, card.Written, tac))
		l.want("confirmed", p.about().code, "00")
		p.card(discharge(9, 4000, c.InitUnload(4000, kioskNo)))
		a = p.about()
		tac, ok = c.Debit(a.time, a.mac2)
		l.want("the card pays", ok, true)
		p.card(confirm(10, c, 1, card.Written, tac))
		l.want("confirmed", p.about().code, "00")
		l.deposited(l.bankGot(bank), 4000)

		wrong := c.InitLoad(100, kioskNo)
		des := l.issue(3, family)
		p.card(recharge(11, 100, des.InitLoad(100, kioskNo)))
		l.debited(bank, "00")
		l.want("a 3DES card beside it", p.about().code, "00")
		for i := 0; i < len(wrong); i += 2 + int(wrong[i+1]) {
			if wrong[i] == card.TagKey {
				wrong[i+4] = 0 // says 3DES, and signs by SM4
			}
		}
		p.card(recharge(12, 100, wrong))
		l.want("of another algorithm", p.about().code, "63")
	}
}

// A credit is counted against nobody's limits a second time, and is found by its
// own number.
func TestCreditOfAnUnloadIsItsOwn(t *testing.T) {
	l := newLoads(t)
	l.bankUp(0)
	p := l.terminal()
	c := l.issue(1, card.CityCard)
	c.Balance = 5000
	p.card(discharge(7, 2000, c.InitUnload(2000, kioskNo)))
	a := p.about()
	tac, _ := c.Debit(a.time, a.mac2)
	p.card(confirm(8, c, 0, card.Written, tac))
	p.about()
	var of, credits []txn.Facts
	err := l.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if r.Kind == journal.Outcome && r.Facts.Kind == txn.Unload {
			if of = append(of, r.Facts); credited(&r.Facts) {
				credits = append(credits, r.Facts)
			}
		}
		return nil
	})
	if err != nil || len(of) != 2 || len(credits) != 1 {
		t.Fatal(len(of), len(credits), err)
	}
	l.want("names", credits[0].Orig, of[0].ID)
	l.want("number", credits[0].ID != of[0].ID, true)
	l.want("amount", credits[0].Amount, int64(2000))
}
