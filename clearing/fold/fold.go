// Package fold makes the rows of a business day out of the journal: what money
// moved, what was taken back, and which reversals are still owed. It reads a window
// of places, so it gives the same whenever it is run, and sorts by transaction in
// bounded memory, so a day may have any size.
//
// A sale and its reversal of one day are one row, reversed. A reversal of a sale
// of an earlier day, which is cleared already, is a row of its own that takes the
// money back. What timed out is a row too: the other side may have it.
package fold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"tongka/clearing/day"
	"tongka/clearing/extsort"
	"tongka/clearing/row"
	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// Source is the journal; *journal.Reader is one.
type Source interface {
	Replay(from journal.LSN, f func(journal.LSN, *journal.Record) error) error
	FindID(id txn.ID, r *journal.Record) (journal.LSN, error)
}

// Options say what is folded.
type Options struct {
	Date     day.Date
	From, To journal.LSN // the day's window, To exclusive
	Carried  []Open      // what the day before left open, by number
	Dir      string      // for runs
	Memory   int         // bytes, as extsort has it
}

// Open is a reversal that is owed and was not followed to its end by the end of
// the day.
type Open struct {
	ID     txn.ID
	Since  day.Date // the day on which it became owed
	Kind   txn.Kind // of the transaction
	Link   txn.LinkID
	Amount int64              // fen
	Last   journal.OwingEvent // parked, held or released; 0 when nothing happened
}

// Summary is what a fold counted.
type Summary struct {
	Records  int64 // of the journal in the window
	Rows     int64
	Owed     int64  // reversals that became owed in the window
	Ended    int64  // of these and of the carried ones, confirmed by the bank
	GivenUp  int64  // ended by an operator
	Unknown  int64  // reversals of what the journal does not have
	StillOwe []Open // by number
}

// what an event is of a transaction.
const (
	ended    = 'e' // outcome
	undone   = 'r' // its terminal took it back
	debt     = 'd' // what became of the reversal owed
	carried  = 'c' // was open when the day began
	headSize = 8 + 8 + 1 + 2
	evSize   = headSize + row.Size
)

// errPast ends a replay at the window's end.
var errPast = errors.New("past")

// maxEarlier bounds the reversals of earlier days that one day may have: they are
// held in memory.
const maxEarlier = 1 << 20

type folder struct {
	o       Options
	src     Source
	sort    *extsort.Sorter
	clock   translate.Clock
	emit    func(*row.Row) error
	sum     Summary
	rec     []byte
	earlier map[txn.ID]*group // taken back in the window, ended before it
}

// group is all that happened to one transaction in the window.
type group struct {
	id         txn.ID
	has        bool // an outcome
	row        row.Row
	result     txn.Result
	undone     bool
	undoneAt   int64
	end        journal.OwingEvent
	open       *Open // carried
	backBefore bool  // of an earlier one: somebody took it back before the window
}

// Fold gives emit each row of the day, by transaction number and then those that
// take back earlier days, also by number. A row has no key yet and is lent.
func Fold(src Source, o Options, emit func(*row.Row) error) (sum *Summary, err error) {
	if o.To < o.From {
		return nil, fmt.Errorf("fold: the window %s to %s ends before it begins", o.From, o.To)
	}
	sorter, err := extsort.New(extsort.Options{Dir: o.Dir, Name: "fold", Size: evSize, Memory: o.Memory})
	if err != nil {
		return nil, err
	}
	f := &folder{o: o, src: src, sort: sorter, emit: emit, earlier: map[txn.ID]*group{}}
	defer func() { err = errors.Join(err, sorter.Close()) }()
	if err := f.carry(); err != nil {
		return nil, err
	}
	err = src.Replay(o.From, func(lsn journal.LSN, r *journal.Record) error {
		if lsn >= o.To {
			return errPast
		}
		f.sum.Records++
		return f.take(lsn, r)
	})
	if err != nil && !errors.Is(err, errPast) {
		return nil, err
	}
	if err := f.groups(); err != nil {
		return nil, err
	}
	if err := f.ofEarlierDays(); err != nil {
		return nil, err
	}
	slices.SortFunc(f.sum.StillOwe, func(a, b Open) int { return int(int64(a.ID - b.ID)) })
	return &f.sum, nil
}

// add puts an event into the sorter: number, place, what, two bytes of its own,
// and a row.
func (f *folder) add(id txn.ID, lsn journal.LSN, what, a, b byte, r *row.Row) error {
	f.rec = binary.BigEndian.AppendUint64(f.rec[:0], uint64(id))
	f.rec = binary.BigEndian.AppendUint64(f.rec, uint64(lsn))
	f.rec = append(f.rec, what, a, b)
	r.Status = row.Settled // until the group is closed: a row without one is none
	f.rec = r.Append(f.rec)
	return f.sort.Add(f.rec)
}

func (f *folder) carry() error {
	for i := range f.o.Carried {
		c := &f.o.Carried[i]
		r := row.Row{Date: c.Since, Kind: c.Kind, Link: c.Link, Amount: c.Amount}
		if err := f.add(c.ID, 0, carried, byte(c.Last), 0, &r); err != nil {
			return err
		}
	}
	return nil
}

// take makes events of a record.
func (f *folder) take(lsn journal.LSN, r *journal.Record) error {
	t := &r.Facts
	switch {
	case r.Kind == journal.Owing:
		c, err := journal.ReadDebtChange(r.Body)
		if err != nil {
			return fmt.Errorf("fold: record %s: %w", lsn, err)
		}
		if c.Form != uint8(storefwd.Reversal) {
			return nil // an advice only tells: its money has moved
		}
		return f.add(t.ID, lsn, debt, byte(c.What), 0, &row.Row{})
	case r.Kind != journal.Outcome:
		return nil
	case t.Kind == txn.Reversal:
		if t.Code != txn.OK || t.Orig == 0 {
			return nil
		}
		return f.add(t.Orig, lsn, undone, 0, 0, &row.Row{At: t.At})
	case !flow.MovesMoney(t.Kind) || t.Sent == 0:
		return nil // a load that is written anew has no second debit
	}
	made, err := f.row(t)
	if err != nil {
		return fmt.Errorf("fold: record %s: %w", lsn, err)
	}
	return f.add(t.ID, lsn, ended, byte(t.Result), 0, made)
}

// row is what both sides may know of a transaction.
func (f *folder) row(t *txn.Facts) (*row.Row, error) {
	if t.Amount < 0 {
		return nil, fmt.Errorf("transaction %d: the amount %d is negative", t.ID, t.Amount)
	}
	r := row.Row{ID: uint64(t.ID), RRN: f.clock.RRN(t), At: t.At, Amount: t.Amount, STAN: t.ID.STAN(), Date: f.o.Date, Link: t.Link,
		Kind: t.Kind, Merchant: t.Terminal.Merchant, Terminal: t.Terminal.Number}
	r.Sent = f.clock.At(t.Sent).F7()
	r.SetCard(&t.PAN)
	return &r, nil
}

// groups goes through the transactions.
func (f *folder) groups() (err error) {
	st, err := f.sort.Sort()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	var g group
	for {
		b, err := st.Next()
		if err != nil {
			return err
		}
		if b == nil {
			break
		}
		if id := txn.ID(binary.BigEndian.Uint64(b)); id != g.id {
			if err := f.close(&g); err != nil {
				return err
			}
			g = group{id: id}
		}
		if err := g.take(b); err != nil {
			return err
		}
	}
	return f.close(&g)
}

// take adds one event. Events of a transaction come in the order of their places.
func (g *group) take(b []byte) error {
	var r row.Row
	if err := r.Read(b[headSize:]); err != nil {
		return fmt.Errorf("fold: transaction %d: %w", g.id, err)
	}
	switch b[16] {
	case ended:
		g.has, g.result, g.row = true, txn.Result(b[17]), r
	case undone:
		g.undone, g.undoneAt = true, r.At
	case debt:
		g.end = journal.OwingEvent(b[17])
	case carried:
		g.open = &Open{ID: g.id, Since: r.Date, Kind: r.Kind, Link: r.Link, Amount: r.Amount, Last: journal.OwingEvent(b[17])}
	}
	return nil
}
