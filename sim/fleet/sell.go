package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tongka/sim/book"
	"tongka/txn"
)

// sell makes one sale. Nothing is sent that is not in the book, and no next sale
// is begun before the book says how this one ended or that it is owed.
func (t *terminal) sell(ctx context.Context) {
	i, s, pan := t.open()
	if !t.fleet.write(&s) {
		return
	}
	req, err := t.appendSale(t.out, &s, pan)
	if err != nil {
		t.fleet.fail(fmt.Errorf("terminal %s: %w", t.cfg.Number, err))
		return
	}
	t.out = req
	sent := time.Now()
	t.fleet.n.sent.Add(1)
	if err = t.exchange(req, 0x0210, s.Trace); err == nil {
		err = t.verify(&s)
	}
	if ctx.Err() != nil {
		return // stays open, as if the plug had been pulled
	}
	done := time.Now()
	s.Micros = done.Sub(sent).Microseconds()
	if err != nil {
		t.failed(i, &s, err)
		return
	}
	t.fleet.record(done.Sub(sent), done.Sub(t.due))
	code := t.code()
	s.RRN, s.Code, s.State = string(t.view.Field(37)), code.String(), book.Declined
	switch code {
	case txn.OK:
		s.State = book.Approved
		t.fleet.n.approved.Add(1)
	case txn.NoAnswer:
		t.fleet.n.timedOut.Add(1)
	case txn.SignInAgain, txn.BadMAC, txn.NoKey:
		t.setSigned(false)
		fallthrough
	default:
		t.fleet.n.declined.Add(1)
	}
	t.store(i, &s)
}

// open begins the next sale in memory.
func (t *terminal) open() (i int, s book.Sale, pan *txn.PAN) {
	n := t.next
	t.next++
	t.made++
	pan = t.panOf(n)
	s = book.Sale{
		Merchant: t.cfg.Merchant, Terminal: t.cfg.Number, Amount: baseFen + int64(n), Trace: traceOf(n),
		Batch: t.batch, PAN: pan.String(), PIN: t.fleet.wantsPIN(t.id, n), State: book.Open, At: time.Now().UnixNano(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sales = append(t.sales, s)
	return len(t.sales) - 1, s, pan
}

// recall takes a sale from the book of an older process.
func (t *terminal) recall(s book.Sale) {
	i := len(t.sales)
	t.sales = append(t.sales, s)
	t.next = max(t.next, uint32(s.Amount-baseFen)+1)
	t.batch = s.Batch
	switch s.State {
	case book.Open:
		if s.Reason == "" {
			t.sales[i].Reason = txn.NoAnswer.String()
		}
		t.owe(owed{sale: i})
	case book.Unresolved:
		t.owe(owed{sale: i, tries: maxTries})
	}
}

// panOf gives the card of sale number n: from the number alone, so that a new
// process knows the whole card number of a sale whose book shows it masked.
func (t *terminal) panOf(n uint32) *txn.PAN { return &t.pans[int(n)%len(t.pans)] }

// store writes s into memory and book.
func (t *terminal) store(i int, s *book.Sale) {
	t.mu.Lock()
	t.sales[i] = *s
	t.mu.Unlock()
	t.fleet.write(s)
}

// failed notes that a sale's end is not known and its reversal is due. The
// connection is closed: what still comes on it belongs to the past.
func (t *terminal) failed(i int, s *book.Sale, err error) {
	t.log.Debug("sale failed", zap.Uint32("trace", s.Trace), zap.Error(err))
	t.fleet.n.timedOut.Add(1)
	s.Reason = txn.NoAnswer.String()
	if errors.Is(err, errBadMAC) {
		t.fleet.n.badMAC.Add(1)
		s.Reason = txn.BadMAC.String()
	}
	t.disconnect()
	t.owe(owed{sale: i})
	t.store(i, s)
}

func (t *terminal) owe(o owed) {
	t.owed = append(t.owed, o)
	t.fleet.n.unresolved.Add(1)
}

// reverse sends one 0400. 00 says reversed; 25 and 12 say that there is nothing
// to reverse, which ends it too.
func (t *terminal) reverse(ctx context.Context, which int) {
	o := &t.owed[which]
	i := o.sale
	t.mu.Lock()
	s := t.sales[i]
	t.mu.Unlock()
	if o.tries++; o.tries > 1 {
		s.Repeats++
		t.fleet.n.repeats.Add(1)
	}
	req, err := t.appendReversal(t.out, &s, t.panOf(uint32(s.Amount-baseFen)))
	if err == nil {
		t.out = req
		err = t.exchange(req, 0x0410, s.Trace)
	}
	if err == nil {
		err = t.verify(&s)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		t.disconnect()
	} else {
		switch code := t.code(); code {
		case txn.OK, txn.NoOriginal, txn.BadTransaction:
			s.State, s.Code = book.Reversed, code.String()
			t.owed = append(t.owed[:which], t.owed[which+1:]...)
			t.fleet.n.unresolved.Add(-1)
			t.fleet.n.reversed.Add(1)
			t.store(i, &s)
			return
		case txn.SignInAgain, txn.BadMAC, txn.NoKey:
			t.setSigned(false)
		}
	}
	o.next = time.Now().Add(retryEvery)
	if o.tries >= maxTries {
		s.State = book.Unresolved
	}
	t.store(i, &s)
}
