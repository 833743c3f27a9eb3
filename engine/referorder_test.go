package engine

import (
	"strings"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/storefwd"
)

// A completion that a bank is only told of is taken back before the bank has heard
// of it, and the process dies between: the notice comes first, then its reversal,
// and the pre-authorisation can be completed anew.
func TestNoticeAndItsReversalKeepTheirOrder(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	w.want("pre-authorised", p.through(bank, naming{mti: 0x0100, proc: 30000, cond: 6, usage: "10", trace: 7, amount: 1000}, "00"), "00")
	w.shard.Closed(bank, nil)
	w.pass(0)
	advice := naming{mti: 0x0220, cond: 6, usage: "24", trace: 8, of: 7, amount: 1100}
	p.name(advice)
	w.want("told", p.code(), "00")
	id := w.shard.lastID
	p.takesBack(advice)
	w.want("taken back", p.code(), "00")
	w.want("owed", w.shard.owed.Total(), 2)
	w.crash()
	for _, form := range []storefwd.Form{storefwd.Advice, storefwd.Reversal} {
		w.want(form.String()+" is owed", w.shard.owed.Owes(id, form, 0), true)
	}
	bank = w.bankUp(0)
	q := w.bankGot(bank)
	w.want("first", q.MTI(), iso8583.MTI(0x0221))
	rrn := string(q.Field(37))
	w.bankAnswers(bank, q, "00")
	q = w.bankGot(bank)
	w.want("then", q.MTI(), iso8583.MTI(0x0421))
	w.want("of the same", string(q.Field(37)), rrn)
	w.want("as the bank knows it", string(q.Field(90)[:4]), "0220")
	w.bankAnswers(bank, q, "00")
	w.want("owed at the end", w.shard.owed.Total(), 0)

	p.id = w.connect(-1)
	completion := naming{mti: 0x0200, cond: 6, usage: "20", trace: 9, of: 7, amount: 1000}
	w.want("completed anew", p.through(bank, completion, "00"), "00")
	w.idle()
}

// A refund is with the bank when the process dies: nobody can say whether it was
// given, so it is taken back, and all of the sale can be given back afterwards.
func TestRefundInFlightAtACrash(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.approved(bank, 7, 1000)
	p.name(refund(8, 7, 600))
	first := w.bankGot(bank)
	w.crash()
	bank = w.bankUp(0)
	r := w.bankGot(bank)
	w.want("taken back", r.MTI(), iso8583.MTI(0x0420))
	w.want("of the refund", string(r.Field(37)), string(first.Field(37)))
	w.want("which has the type of a notice", string(r.Field(90)[:4]), "0220")
	w.bankAnswers(bank, r, "00")
	p.id = w.connect(-1)
	w.want("its repeat", p.through(bank, refund(8, 7, 600), "00"), "98")
	w.want("all of it", p.through(bank, refund(9, 7, 1000), "00"), "00")
	w.want("one fen more", p.through(bank, refund(10, 7, 1), "00"), "13")
	w.idle()
}

// Two terminals of a merchant give back the same sale: one is told to wait, and
// together they get no more than was paid. A reversal of the sale stays refused
// until both refunds are taken back.
func TestTwoTerminalsAtOneSale(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	csv := "merchant,terminal,tmk,mac\n" + terminalMerchant + ",T0000002," + w.wrap(hsm.TMK, tmkClear).String() + ",unionpay\n"
	if _, _, err := w.reg.Import(strings.NewReader(csv), "t.csv"); err != nil {
		t.Fatal(err)
	}
	p.sale(7, 1000, false)
	q := w.bankGot(bank)
	rrn := string(q.Field(37))
	w.bankAnswers(bank, q, "00")
	w.want("the sale", p.code(), "00")
	other := &pos{w: w, id: w.connect(-1), number: "T0000002"}
	other.signIn()
	byRRN := func(trace, amount uint64) naming {
		n := refund(trace, 0, amount)
		n.rrn = rrn
		return n
	}
	p.name(refund(8, 7, 600))
	q = w.bankGot(bank)
	other.name(byRRN(1, 600))
	w.want("the other meanwhile", other.code(), "09")
	w.bankAnswers(bank, q, "00")
	w.want("the first", p.code(), "00")
	w.want("too much now", other.through(bank, byRRN(2, 600), "00"), "13")
	w.want("what is left", other.through(bank, byRRN(3, 400), "00"), "00")
	for _, c := range []struct {
		who *pos
		of  naming
	}{{p, refund(8, 0, 600)}, {other, refund(3, 0, 400)}} {
		p.reverse(7, 1000)
		w.want("the sale's reversal", p.code(), "22")
		c.who.takesBack(c.of)
		w.want("the refund's reversal", c.who.code(), "00")
		w.bankAnswers(bank, w.bankGot(bank), "00")
		w.pass(time.Second)
	}
	p.reverse(7, 1000)
	w.want("the sale's reversal at the end", p.code(), "00")
	w.bankAnswers(bank, w.bankGot(bank), "00")
	w.idle()
}
