package engine

import (
	"fmt"

	"tongka/codec/iso8583"
	"tongka/flow"
	"tongka/txn"
)

// dealState is how a terminal sees a request of its own.
type dealState uint8

const (
	dealSent dealState = iota
	dealApproved
	dealDeclined
	dealReversing
	dealReversed
)

var dealNames = [...]string{"sent", "approved", "declined", "reversing", "reversed"}

func (s dealState) String() string { return dealNames[s] }

// deal is one request of a terminal that is more than a sign-in. Its number
// travels in F14, which the switch passes on and looks at no further: by it a bank
// knows what a terminal meant.
type deal struct {
	number, amount, trace uint64
	form                  *form
	of                    *deal // that it names
	till                  *till
	batch, pan            string
	rrn                   string // F37 of the answer
	frame                 []byte
	code                  string // F39 of the answer that the terminal took
	repeated              bool
	late                  bool // a copy came after its reversal
	spent                 bool // voided or completed, as far as its till knows
	regretted             bool // reversed after its approval was taken
	state                 dealState
}

func (d *deal) String() string { return fmt.Sprintf("%v %d of %d", d.form.kind, d.number, d.amount) }

// form is how a kind looks at a terminal.
type form struct {
	kind       txn.Kind
	mti        iso8583.MTI
	proc, cond uint64
	usage, net string // F60.1, F60.3
	often      int
}

// chaosForms are the kinds that are played, each so often.
var chaosForms = []form{
	{txn.Sale, 0x0200, 0, 0, "22", "", 40},
	{txn.Void, 0x0200, 200000, 0, "23", "", 12},
	{txn.Refund, 0x0220, 200000, 0, "25", "", 14},
	{txn.PreAuth, 0x0100, 30000, 6, "10", "", 14},
	{txn.PreAuthVoid, 0x0100, 200000, 6, "11", "", 5},
	{txn.Completion, 0x0200, 0, 6, "20", "", 24},
	{txn.CompletionVoid, 0x0200, 200000, 6, "21", "", 36},
	{txn.CompletionAdvice, 0x0220, 0, 6, "24", "", 6},
	{txn.OfflineSettle, 0x0220, 0, 0, "30", "", 3},
	{txn.Adjust, 0x0220, 0, 0, "32", "", 3},
	{txn.Tip, 0x0220, 0, 0, "34", "", 8},
	{txn.OfflineSale, 0x0200, 0, 0, "36", "", 3},
	{txn.OfflineRefund, 0x0220, 200000, 0, "27", "", 3},
	{txn.ScriptNotice, 0x0620, 0, 0, "22", "951", 4},
}

// told says that a bank is not asked but told.
func (f *form) told() bool { return !flow.Forwarded(f.kind) }

// reversible says that a terminal may take it back.
func (f *form) reversible() bool { return flow.MovesMoney(f.kind) }

// draw picks a kind, and what it names if it must name something; nil when there
// is nothing to be named.
func (t *till) draw() *deal {
	c := t.c
	sum := 0
	for i := range chaosForms {
		sum += chaosForms[i].often
	}
	at := c.rng.IntN(sum)
	f := &chaosForms[0]
	for i := 0; at >= 0; i++ {
		f = &chaosForms[i]
		at -= f.often
	}
	d := &deal{form: f, till: t}
	if kinds := flow.MayName(f.kind); len(kinds) > 0 {
		if d.of = t.toName(kinds); d.of == nil {
			return nil
		}
	}
	d.number = uint64(len(c.deals) + 1)
	d.pan, d.amount = cards[c.rng.IntN(len(cards))], 1000+d.number
	if d.of != nil {
		d.pan, d.amount = d.of.pan, t.share(f.kind, d.of.amount)
	}
	return d
}

// toName picks a deal that one of these kinds may name: mostly an approved one of
// this till, else any of the merchant's, whatever became of it.
func (t *till) toName(kinds []txn.Kind) *deal {
	c := t.c
	any, own := c.rng.IntN(10) == 0, c.rng.IntN(3) > 0
	var fit []*deal
	for _, d := range c.deals {
		for _, k := range kinds {
			if d.form.kind == k && (any || d.state == dealApproved && !d.spent) && (d.till == t && (any || d.batch == t.batch) || !own && d.rrn != "") {
				fit = append(fit, d)
			}
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[max(0, len(fit)-1-c.rng.IntN(6))]
}

// share is the amount of a deal that names one of an amount: mostly one that may
// be.
func (t *till) share(k txn.Kind, of uint64) uint64 {
	r := t.c.rng
	switch k {
	case txn.Refund:
		return 1 + r.Uint64N(of)
	case txn.Completion, txn.CompletionAdvice:
		return of*85/100 + r.Uint64N(of*32/100)
	case txn.Tip:
		return 1 + r.Uint64N(of*22/100)
	case txn.ScriptNotice:
		return 0
	}
	if r.IntN(12) == 0 {
		return of + 1
	}
	return of
}

// spends notes at what a deal names that it took all of it, or does not any more.
func (d *deal) spends(now bool) {
	if k := d.form.kind; d.of != nil && (k != txn.Refund && k != txn.Tip && k != txn.Adjust && k != txn.ScriptNotice) {
		d.of.spent = now
	}
}

// fields of a deal, or of its reversal when there is a reason for one.
func (t *till) fields(d *deal, pin bool, reason string) func(*iso8583.Builder) {
	batch, named := d.batch, ""
	switch {
	case d.of != nil && (d.of.till == t || d.of.rrn != "") && t.c.rng.IntN(2) == 0:
		named = fmt.Sprintf("%s%06d", d.of.batch, d.of.trace) // its reversal may repeat that
	case d.of == nil && reason != "" && d.batch != t.batch && t.c.rng.IntN(2) == 0:
		batch, named = t.batch, fmt.Sprintf("%s%06d", d.batch, d.trace) // the reversal's own original
	}
	return func(b *iso8583.Builder) {
		b.Put(2, []byte(d.pan))
		b.PutUint(3, d.form.proc)
		if d.amount > 0 {
			b.PutUint(4, d.amount)
		}
		b.PutUint(11, d.trace)
		b.PutUint(14, d.number)
		b.PutUint(22, 21)
		b.PutUint(25, d.form.cond)
		if d.of != nil && (named == "" || d.of.till != t) {
			rrn := d.of.rrn
			if rrn == "" {
				rrn = "000000000001"
			}
			b.Put(37, []byte(rrn))
		}
		if reason != "" {
			b.Put(39, []byte(reason))
		}
		b.Put(41, []byte(t.number))
		b.Put(42, []byte(terminalMerchant))
		b.Put(49, []byte("156"))
		if pin {
			t.putPIN(b, d.pan)
		}
		b.Put(60, []byte(d.form.usage+batch+d.form.net))
		if named != "" {
			b.Put(61, []byte(named))
		}
	}
}
