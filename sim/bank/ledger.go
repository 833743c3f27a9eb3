package bank

import (
	"tongka/sim/book"
	"tongka/txn"
)

// Codes that only a bank gives. Source: CUPS response codes.
var (
	suspected   = txn.Code{'2', '2'} // original and its reversal came in the wrong order
	wrongAmount = txn.Code{'6', '4'} // the reversal's amount is not the original's
)

// ledger is a bank's book and what follows from it. It is not safe for
// concurrent use: the bank's lock guards it.
type ledger struct {
	bank  string
	limit int
	at    map[book.BookingKey]int32
	when  map[uint64]int32 // by F7 and F11, as F90 names an original
	all   []book.Booking
	since map[int32]*chain  // what became of a booking
	names map[string]string // one copy of each merchant, terminal and card
	book  *book.File
	stats Stats
}

func openLedger(bank, path string, limit int) (*ledger, error) {
	l := &ledger{bank: bank, limit: limit, at: map[book.BookingKey]int32{}, when: map[uint64]int32{}, since: map[int32]*chain{}, names: map[string]string{}}
	f, all, err := book.OpenBookings(path)
	if err != nil {
		return nil, err
	}
	l.book = f
	for i := range all {
		l.append(all[i])
		l.count(all[i].State, 1)
		if all[i].State == book.Booked {
			l.take(&all[i], 1)
		}
	}
	return l, nil
}

func (l *ledger) append(b book.Booking) {
	k := b.Key()
	l.at[k] = int32(len(l.all))
	l.when[k.When] = int32(len(l.all))
	l.all = append(l.all, b)
}

func (l *ledger) count(s book.State, n int64) {
	switch s {
	case book.Booked:
		l.stats.Booked += n
	case book.Reversed:
		l.stats.Reversed += n
	}
}

// sale books b, or declines it when decline is not zero, and gives F39. So it is
// with all that a bank is asked; what names an original is held against what
// became of that. The same again is refused with 94: a bank has no stored
// answers, and the switch may never repeat a request. One whose reversal came
// first is refused with 22.
func (l *ledger) sale(b book.Booking, decline txn.Code) (txn.Code, error) {
	if i, known := l.at[b.Key()]; known {
		if l.all[i].State == book.Refused {
			l.stats.Refused++
			return suspected, nil
		}
		l.stats.Repeated++
		return txn.Duplicate, nil
	}
	if len(l.all) >= l.limit {
		return txn.SystemFault, nil
	}
	code := l.allows(&b)
	switch {
	case decline != (txn.Code{}):
		l.stats.Declined++
		code = decline
	case code != txn.OK:
		l.stats.Unfit++
	}
	return code, l.enter(b, code)
}

// enter puts what was decided into the books.
func (l *ledger) enter(b book.Booking, code txn.Code) error {
	b.State, b.Code = book.Booked, l.name(code[:])
	if code != txn.OK {
		b.State = book.Declined
	}
	l.count(b.State, 1)
	l.append(b)
	if code == txn.OK {
		l.take(&b, 1)
	}
	return l.book.Add(&b)
}

// reverse takes a booking back and gives F39. It may be asked any number of
// times. Of a sale that it never saw, a bank says 25 and remembers it, so that
// the sale, should it still arrive, is refused: the two can overtake each other
// on two lines. r holds what the reversal says of the original.
func (l *ledger) reverse(r book.Booking) (txn.Code, error) {
	i, known := l.at[r.Key()]
	if !known {
		l.stats.ReversalUnknown++
		if len(l.all) >= l.limit {
			return txn.SystemFault, nil // not remembered, so not to be called settled
		}
		r.State, r.Code = book.Refused, l.name(txn.NoOriginal[:])
		l.append(r)
		return txn.NoOriginal, l.book.Add(&r)
	}
	b := &l.all[i]
	switch {
	case b.State == book.Refused:
		l.stats.ReversalRepeats++
		return txn.NoOriginal, nil
	case b.Amount != r.Amount || b.Terminal != r.Terminal || b.Merchant != r.Merchant:
		l.stats.ReversalWrong++
		return wrongAmount, nil
	case b.State != book.Booked:
		l.stats.ReversalRepeats++
		return txn.OK, nil
	}
	b.State = book.Reversed
	l.take(b, -1)
	l.count(book.Booked, -1)
	l.count(book.Reversed, 1)
	return txn.OK, l.book.Add(b)
}

// maxNames bounds the table of names; beyond it each booking has its own copy.
const maxNames = 1 << 20

// name gives b as a string, the same copy each time.
func (l *ledger) name(b []byte) string {
	if s, ok := l.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(l.names) < maxNames {
		l.names[s] = s
	}
	return s
}
