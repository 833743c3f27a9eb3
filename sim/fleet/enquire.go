package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"tongka/sim/book"
	"tongka/txn"
)

// wantsEnquiry draws from terminal and number, as wantsPIN does, by another
// stream of the generator.
func (f *Fleet) wantsEnquiry(id int, n uint32) bool {
	return f.cfg.EnquiryShare > 0 && rand.New(rand.NewPCG(uint64(id), uint64(n)|1<<32)).Float64() < f.cfg.EnquiryShare
}

// enquire asks for the balance of the card that the next sale would have taken.
// It is in no book: no money moves, and one without an answer is forgotten.
func (t *terminal) enquire(ctx context.Context) {
	n := t.next
	t.next++
	s := book.Sale{Merchant: t.cfg.Merchant, Terminal: t.cfg.Number, Trace: traceOf(n), Batch: t.batch, PIN: t.fleet.wantsPIN(t.id, n), Number: n, Card: t.cardFor(n)}
	req, err := t.appendEnquiry(t.out, &s)
	if err != nil {
		t.fleet.fail(fmt.Errorf("terminal %s: %w", t.cfg.Number, err))
		return
	}
	t.out = req
	sent := time.Now()
	if err = t.exchange(req, 0x0210, s.Trace); err == nil {
		err = t.verify(&s)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		t.log.Debug("enquiry failed", zap.Uint32("trace", s.Trace), zap.Error(err))
		t.fleet.n.unanswered.Add(1)
		t.disconnect()
	case t.code() == txn.OK && len(t.view.Field(54)) == 0:
		t.fleet.fail(fmt.Errorf("terminal %s: a balance enquiry was approved without a balance (F54)", t.cfg.Number))
	default:
		t.fleet.n.enquiries.Add(1)
		t.fleet.record(time.Since(sent), time.Since(t.due))
		if c := t.code(); c == txn.SignInAgain || c == txn.BadMAC || c == txn.NoKey {
			t.setSigned(false)
		}
	}
}

// appendEnquiry makes the 0200 that asks for a balance: what a sale has, but for
// the amount.
func (t *terminal) appendEnquiry(dst []byte, s *book.Sale) ([]byte, error) {
	m := begin(dst, enquiry.mti)
	m.Put(2, t.panOf(s).AppendDigits(t.text[:0]))
	m.Put(3, []byte(enquiry.proc))
	m.PutUint(11, uint64(s.Trace))
	return t.rest(&m, s, nil, &enquiry)
}

var enquiry = form{mti: 0x0200, proc: "310000", cond: "00", usage: "01", net: session}
