package bank

import (
	"tongka/sim/book"
	"tongka/txn"
)

// chain is what became of a booking: how often it was closed by a void or a
// completion, what was given back of it and what was added, fen.
type chain struct {
	closed        int
	refunded, tip int64
}

// original finds the booking that F90 names, or nil.
func (l *ledger) original(b *book.Booking) (*book.Booking, *chain) {
	i, known := l.when[b.OfKey]
	if !known || b.OfKey == 0 {
		return nil, nil
	}
	if l.since[i] == nil {
		l.since[i] = &chain{}
	}
	return &l.all[i], l.since[i]
}

// allows says whether the booking that b names lets it take its part: 25 when it
// holds nothing, 12 when it is closed, 13 when too little is left.
func (l *ledger) allows(b *book.Booking) txn.Code {
	if b.OfKey == 0 {
		return txn.OK
	}
	o, c := l.original(b)
	switch {
	case o == nil || o.State != book.Booked:
		return txn.NoOriginal
	case c.closed > 0:
		return txn.BadTransaction
	}
	switch b.Kind {
	case kindRefund:
		if c.refunded+b.Amount > o.Amount+c.tip {
			return txn.BadAmount
		}
	case kindVoid, kindPreAuthVoid, kindCompletionVoid, kindLoadVoid:
		if c.refunded > 0 {
			return txn.BadTransaction
		}
		if b.Amount != o.Amount {
			return txn.BadAmount
		}
	}
	return txn.OK
}

// take writes into what b names what b took of it, or, with -1, did after all not.
func (l *ledger) take(b *book.Booking, n int64) {
	o, c := l.original(b)
	switch {
	case o == nil:
	case b.Kind == kindRefund:
		c.refunded += n * b.Amount
	case b.Kind == kindTip:
		c.tip += n * b.Amount
	case b.Kind.MovesMoney():
		c.closed += int(n)
	}
}

// notice books what a bank is told, once however often it comes, and gives F39.
// What was told has happened: it is refused only when its reversal came first, and
// then it is called known, for there is nothing to be done about it.
func (l *ledger) notice(b book.Booking) (txn.Code, error) {
	l.stats.Notices++
	switch _, known := l.at[b.Key()]; {
	case known:
		l.stats.NoticeRepeats++
		return txn.Duplicate, nil
	case len(l.all) >= l.limit:
		return txn.SystemFault, nil
	}
	return txn.OK, l.enter(b, txn.OK)
}
