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

// sell makes one sale, or what else the mix wants. Nothing is sent that is not in the book, and no next sale
// is begun before the book says how this one ended or that it is owed.
func (t *terminal) sell(ctx context.Context) {
	k, o := t.choose(t.next)
	t.request(ctx, k, o)
}

// request makes one request of kind k, which names o or nothing, and gives its place
// in the book.
func (t *terminal) request(ctx context.Context, k txn.Kind, o *original) (i int) {
	i, s, of := t.open(k, o)
	if !t.fleet.write(&s) {
		return i
	}
	req, err := t.appendRequest(t.out, &s, of)
	if err != nil {
		t.fleet.fail(fmt.Errorf("terminal %s: %w", t.cfg.Number, err))
		return i
	}
	t.out = req
	sent := time.Now()
	t.fleet.n.sent.Add(1)
	if err = t.exchange(req, formOf(&s).mti|0x0010, s.Trace); err == nil {
		err = t.verify(&s)
	}
	if ctx.Err() != nil {
		return i // stays open, as if the plug had been pulled
	}
	done := time.Now()
	s.Micros = done.Sub(sent).Microseconds()
	if err != nil {
		t.failed(i, &s, err)
		return i
	}
	t.fleet.record(done.Sub(sent), done.Sub(t.due))
	code := t.code()
	s.RRN, s.Code, s.State = string(t.view.Field(37)), code.String(), book.Declined
	switch code {
	case txn.OK:
		s.State = book.Approved
		t.fleet.n.approved.Add(1)
		t.fleet.n.kinds[kindOf(&s)].Add(1)
		t.approved(i, &s)
	case txn.NoAnswer:
		t.fleet.n.timedOut.Add(1)
	case txn.SignInAgain, txn.BadMAC, txn.NoKey:
		t.setSigned(false)
		fallthrough
	default:
		t.fleet.n.declined.Add(1)
	}
	t.store(i, &s)
	return i
}

// open begins the next request in memory; of is what it names, or nil.
func (t *terminal) open(k txn.Kind, o *original) (i int, s book.Sale, of *book.Sale) {
	n := t.next
	t.next++
	t.made++
	s = book.Sale{
		Merchant: t.cfg.Merchant, Terminal: t.cfg.Number, Amount: baseFen + int64(n), Trace: traceOf(n),
		Number: n, Card: t.cardFor(n), Batch: t.batch, State: book.Open, At: time.Now().UnixNano(),
	}
	if k != txn.Sale {
		s.Kind = book.Kind(k.String())
	}
	if o != nil {
		of = t.name(&s, k, o)
	}
	s.PIN = !forms[k].told && t.fleet.wantsPIN(t.id, n)
	s.PAN = t.panOf(&s).String()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sales = append(t.sales, s)
	return len(t.sales) - 1, s, of
}

// recall takes a sale from the book of an older process.
func (t *terminal) recall(s book.Sale) {
	i := len(t.sales)
	t.sales = append(t.sales, s)
	t.next = max(t.next, numberOf(&s)+1)
	t.batch = s.Batch
	if formOf(&s).leavesNoReversal {
		if s.State == book.Open { // given up, as when it is not answered
			s.Reason = txn.NoAnswer.String()
			s.State, s.Code = book.Declined, s.Reason
			t.store(i, &s)
		}
		return
	}
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

// numberOf is the number of a request; that of a sale in an old book is in its
// amount.
func numberOf(s *book.Sale) uint32 {
	if s.Number == 0 {
		return uint32(s.Amount - baseFen)
	}
	return s.Number
}

// cardFor is which card request number n is made with.
func (t *terminal) cardFor(n uint32) int { return int(n) % len(t.pans) }

func (t *terminal) cardOf(s *book.Sale) int {
	if s.Number == 0 {
		return t.cardFor(numberOf(s))
	}
	return s.Card % len(t.pans)
}

// panOf gives the whole card number of a request whose book shows it masked, also
// to a new process.
func (t *terminal) panOf(s *book.Sale) *txn.PAN { return &t.pans[t.cardOf(s)] }

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
	if formOf(s).leavesNoReversal {
		s.State, s.Code = book.Declined, s.Reason // given up
	} else {
		t.owe(owed{sale: i})
	}
	t.store(i, s)
}

func (t *terminal) owe(o owed) {
	t.owed = append(t.owed, o)
	t.fleet.n.unresolved.Add(1)
}

// reverse sends one 0400. 00 says reversed; 25 and 12 say that there is nothing
// to reverse, and 22 that it cannot be any more, which ends it too.
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
	req, err := t.appendReversal(t.out, &s)
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
		case txn.OK, txn.NoOriginal, txn.BadTransaction, txn.Conflict:
			s.State, s.Code = book.Reversed, code.String()
			if code == txn.Conflict { // others build on it: it stands
				s.State = book.Approved
			}
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
