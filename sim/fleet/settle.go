package fleet

import (
	"context"
	"fmt"

	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// Totals are what a terminal says of its batch. Source: UnionPay direct POS
// terminal specification, batch settlement; what was voided counts no more.
type Totals struct {
	Debit, Credit   int64 // fen
	Debits, Credits int
}

// sides are 1 for what is counted as a debit, -1 for a credit.
var sides = map[txn.Kind]int{txn.Sale: 1, txn.Completion: 1, txn.CompletionAdvice: 1, txn.Refund: -1, txn.Void: -1, txn.CompletionVoid: -1}

func (o *Totals) add(k txn.Kind, fen int64, n int) {
	switch sides[k] {
	case 1:
		o.Debit += int64(n) * fen
		o.Debits += n
	case -1:
		o.Credit += int64(n) * fen
		o.Credits += n
	}
}

// Totals adds up the batch that the terminal is in.
func (d *Day) Totals() (sum Totals) {
	for _, s := range d.batch() {
		k := kindOf(&s)
		sum.add(k, s.Amount, 1)
		if k == txn.Void || k == txn.CompletionVoid {
			sum.add(forms[k].of, s.Amount, -1)
		}
	}
	return sum
}

// batch gives what was approved in the batch and stands.
func (d *Day) batch() (all []book.Sale) {
	for _, s := range d.t.sales[d.began:] {
		if s.State == book.Approved && s.Batch == d.t.batch && sides[kindOf(&s)] != 0 {
			all = append(all, s)
		}
	}
	return all
}

// Verdict is what the switch says of a settlement.
type Verdict struct {
	Balanced bool
	Ours     Totals // the terminal's
	Theirs   Totals // the switch's, in balance or not
}

const f48Side = 12 + 3 + 12 + 3 + 1

// Settle sends the totals of the batch, wrong by some fen when that is not 0, and
// goes on to the next batch number. A batch that does not balance wants Upload.
func (d *Day) Settle(ctx context.Context, wrong int64) (v Verdict, err error) {
	t := d.t
	v.Ours = d.Totals()
	v.Ours.Debit += wrong
	f48 := aid.AppendDigits(nil, uint64(v.Ours.Debit), 12)
	f48 = aid.AppendDigits(f48, uint64(v.Ours.Debits), 3)
	f48 = aid.AppendDigits(f48, uint64(v.Ours.Credit), 12)
	f48 = aid.AppendDigits(f48, uint64(v.Ours.Credits), 3)
	f48 = append(f48, '0')
	f48 = aid.AppendDigits(f48, 0, f48Side) // no cards of other countries
	if err := d.counted(ctx, 0x0500, t.batch, "201", f48); err != nil {
		return v, err
	}
	got := string(t.view.AppendText(nil, 48))
	if len(got) != 2*f48Side {
		return v, fmt.Errorf("%w: F48 of a settlement has %d digits", errNoAnswer, len(got))
	}
	if _, err := fmt.Sscanf(got[:f48Side-1], "%12d%3d%12d%3d", &v.Theirs.Debit, &v.Theirs.Debits, &v.Theirs.Credit, &v.Theirs.Credits); err != nil {
		return v, fmt.Errorf("%w: F48 of a settlement: %w", errNoAnswer, err)
	}
	v.Balanced = got[f48Side-1] == '1' && got[2*f48Side-1] == '1'
	d.settled, d.items = t.batch, d.batch()
	t.batch, d.began = t.batch%lastTrace+1, len(t.sales)
	return v, nil
}

// perUpload is how many items one upload holds at most.
const perUpload = 8

// Upload sends all items of the batch that was settled last, and how many there
// were. It gives that number.
func (d *Day) Upload(ctx context.Context) (items int, err error) {
	for from := 0; from < len(d.items); from += perUpload {
		part := d.items[from:min(from+perUpload, len(d.items))]
		f48 := aid.AppendDigits(nil, uint64(len(part)), 2)
		for i := range part {
			pan := d.t.panOf(&part[i]).AppendDigits(nil)
			f48 = aid.AppendDigits(append(f48, "00"...), uint64(part[i].Trace), 6)
			for range 20 - len(pan) {
				f48 = append(f48, '0')
			}
			f48 = aid.AppendDigits(append(f48, pan...), uint64(part[i].Amount), 12)
		}
		if err := d.counted(ctx, 0x0320, d.settled, "201", f48); err != nil {
			return from, err
		}
	}
	return len(d.items), d.counted(ctx, 0x0320, d.settled, "207", aid.AppendDigits(nil, uint64(len(d.items)), 4))
}

// Offline uploads records of offline transactions (0320, F60.1 36), which come to sum
// fen: bytes as the switch is set to read them.
func (d *Day) Offline(ctx context.Context, records []byte, sum int64) error {
	return d.sealed(ctx, 0x0320, func(m *message, trace uint32) {
		t := d.t
		m.Put(3, []byte("000000"))
		m.PutUint(4, uint64(sum))
		m.PutUint(11, uint64(trace))
		m.Put(41, []byte(t.cfg.Number))
		m.Put(42, []byte(t.cfg.Merchant))
		m.Put(49, []byte("156"))
		m.Put(60, t.f60("36", t.batch, "000"))
		m.Put(62, records)
	})
}

// counted sends a message about a batch.
func (d *Day) counted(ctx context.Context, mti iso8583.MTI, batch uint32, net string, f48 []byte) error {
	return d.sealed(ctx, mti, func(m *message, trace uint32) {
		t := d.t
		m.PutUint(11, uint64(trace))
		m.Put(41, []byte(t.cfg.Number))
		m.Put(42, []byte(t.cfg.Merchant))
		m.Put(48, f48)
		m.Put(49, []byte("156"))
		m.Put(60, t.f60("00", batch, net))
	})
}

// sealed sends a message with a MAC, and wants 00 with one.
func (d *Day) sealed(ctx context.Context, mti iso8583.MTI, fill func(m *message, trace uint32)) error {
	trace := d.t.take()
	return d.step(ctx, func() error {
		t := d.t
		if !t.signed {
			return Refusal{txn.SignInAgain}
		}
		m := begin(t.out, mti)
		fill(&m, trace)
		req, err := m.end(t.cfg.MAC, t.mak)
		if err == nil {
			t.out = req
			err = t.exchange(req, mti.Reply(), trace)
		}
		if err == nil {
			err = t.verifyMAC()
		}
		return t.judged(err)
	})
}
