package engine

import (
	"tongka/flow"
	"tongka/txn"
)

// became is the chain of a row as a bank's books have it; closers says how many
// took all of it.
func (r *bankRow) became(s *Shard) (c flow.Chain, closers int) {
	for _, p := range r.parts {
		if !p.counts() {
			continue
		}
		switch p.kind {
		case txn.Void, txn.PreAuthVoid, txn.Completion, txn.CompletionVoid, txn.CompletionAdvice:
			c.Closed, c.By = s.idOf(number(p.rrn)), p.kind
			closers++
		case txn.Refund:
			c.Refunded += int64(p.amount)
		case txn.Tip:
			c.Tip += int64(p.amount)
		}
	}
	return c, closers
}

func number(digits string) (n uint64) {
	for _, d := range digits {
		n = n*10 + uint64(d-'0')
	}
	return n
}

// allows says that what a row holds lets p take its part. It is the bank's own
// judgement, not the switch's: the switch forwards nothing that this denies, but
// for what waits to be taken back.
func (r *bankRow) allows(p *bankRow) bool {
	c := flow.Chain{}
	closed := false
	for _, q := range r.parts {
		if q != p && q.counts() {
			switch q.kind {
			case txn.Refund:
				c.Refunded += int64(q.amount)
			case txn.Tip:
				c.Tip += int64(q.amount)
			case txn.ScriptNotice, txn.Adjust:
			default:
				closed = true
			}
		}
	}
	switch {
	case !r.counts() || closed:
		return false
	case p.kind == txn.Refund:
		return c.Refunded+int64(p.amount) <= int64(r.amount)+c.Tip
	case p.kind == txn.Void, p.kind == txn.CompletionVoid:
		return c.Refunded == 0
	}
	return true
}

// compare holds what the terminals believe against what the banks hold, deal by
// deal. A notice without money may be with its bank though its terminal gave up.
func (c *chaos) compare() {
	for _, d := range c.deals {
		row := c.banks[bankOf(d.pan)].deals[d.number]
		holds := row != nil && row.counts()
		if want := d.state == dealApproved; holds != want && (want || d.form.reversible()) {
			c.t.Errorf("%v by %s: the terminal says %v (F39 %s), the bank's books say %v", d, d.till.number, d.state, d.code, holds)
		}
	}
}

// chained holds what the switch keeps of every deal against the banks' books, and
// both against the rules: never closed twice, never closed beside a refund or a
// tip, never more given back than was taken.
func (c *chaos) chained() {
	s := c.shard
	for _, k := range c.banks {
		for _, r := range k.deals {
			want, closers := r.became(s)
			got, err := s.chain(s.idOf(number(r.rrn)))
			switch {
			case err != nil:
				c.t.Error(err)
			case got != want:
				c.t.Errorf("%v %s of %d: the switch keeps %+v, the bank's books say %+v", r.kind, r.rrn, r.amount, got, want)
			case closers > 1, closers == 1 && want.Refunded+want.Tip > 0, closers > 0 && !r.counts():
				c.t.Errorf("%v %s of %d (holds: %v): %d closed it, %+v", r.kind, r.rrn, r.amount, r.counts(), closers, want)
			case want.Refunded > int64(r.amount)+want.Tip, want.Tip > int64(r.amount)/5, want.Refunded+want.Tip > 0 && !r.counts():
				c.t.Errorf("%v %s of %d (holds: %v): %+v", r.kind, r.rrn, r.amount, r.counts(), want)
			}
		}
	}
	if len(s.chains)+len(s.unlock) != 0 {
		c.t.Errorf("%d chains are held, %d to be let go", len(s.chains), len(s.unlock))
	}
}
