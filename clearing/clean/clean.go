// Package clean keeps a house's data from growing without end: a summary of each day
// is kept for good, backups are made and proved by restoring them, and the journal's
// oldest days go once nobody can need them any more. Each part can be done again: what
// is there is not made twice.
package clean

import (
	"errors"
	"fmt"
	"time"

	"tongka/clearing/day"
	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// LeastKept is how many whole days of the journal always stay: repeats, voids and
// disputes are looked up there.
const LeastKept = 30

// Source is a journal that is read.
type Source interface {
	Replay(from journal.LSN, f func(journal.LSN, *journal.Record) error) error
	Each(prefix []byte, f func(key, plain []byte) error) error
	LastBefore(to journal.LSN) (txn.ID, error)
	Floor() (journal.Floor, error)
}

// Kind is what a day had of one kind of transaction.
type Kind struct {
	Count    int64 `json:"count"`
	Approved int64 `json:"approved"`
	TimedOut int64 `json:"timed_out"`
	Fen      int64 `json:"approved_fen"`
}

// Summary is what stays of a day.
type Summary struct {
	Date    day.Date         `json:"date"`
	From    uint64           `json:"from"` // its window in the journal
	To      uint64           `json:"to"`
	Records int64            `json:"records"`
	Kinds   map[string]*Kind `json:"kinds"`
	Sums    string           `json:"sums"` // SHA-256 of the cleared day's SHA256SUMS
}

var errPast = errors.New("past")

// ErrGone is a day whose journal was taken away before it had a summary.
var ErrGone = errors.New("流水已清理 · its journal is gone")

// Summarize reads a day's window: the places from inclusive, to exclusive, that it was
// cleared by.
func Summarize(src Source, date day.Date, from, to uint64) (*Summary, error) {
	floor, err := src.Floor()
	if err == nil && from < uint64(floor.At) {
		err = fmt.Errorf("%s: %w", date, ErrGone)
	}
	if err != nil {
		return nil, err
	}
	s := &Summary{Date: date, From: from, To: to, Kinds: map[string]*Kind{}}
	err = src.Replay(journal.LSN(from), func(at journal.LSN, r *journal.Record) error {
		if uint64(at) >= to {
			return errPast
		}
		s.Records++
		f := &r.Facts
		if r.Kind != journal.Outcome {
			return nil
		}
		k := s.Kinds[f.Kind.String()]
		if k == nil {
			k = &Kind{}
			s.Kinds[f.Kind.String()] = k
		}
		k.Count++
		switch f.Result {
		case txn.Approved:
			k.Approved++
			if flow.MovesMoney(f.Kind) {
				k.Fen += f.Amount
			}
		case txn.TimedOut:
			k.TimedOut++
		}
		return nil
	})
	if errors.Is(err, errPast) {
		err = nil
	}
	return s, err
}

// Plan says how far a journal may be cut: all days up to and with date. Everything
// that keeps it is named. waits gives the numbers of transactions that a person has
// still to decide about. What was cut further before stays as it is.
func Plan(src Source, cuts day.Cuts, date day.Date, now time.Time, waits func(func(txn.ID)) error) (f journal.Floor, err error) {
	_, to, ok := cuts.Window(date)
	if !ok {
		return f, fmt.Errorf("%s: 日切簿中没有此日 · the book of cuts does not have it", date)
	}
	today, err := day.ParseDate(now.Format("20060102"))
	if err != nil {
		return f, err
	}
	if date.Add(LeastKept) >= today {
		return f, fmt.Errorf("%s: 至少保留 %d 日 · at least %d days are kept", date, LeastKept, LeastKept)
	}
	was, err := src.Floor()
	if err != nil || was.At >= journal.LSN(to) {
		return was, err
	}
	f.At = journal.LSN(to)
	if f.Last, err = src.LastBefore(f.At); err != nil {
		return f, err
	}
	var faults []error
	err = storefwd.EachOnDisk(src.Each, func(_ txn.LinkID, d *storefwd.Debt) error {
		if d.ID <= f.Last && len(faults) < 20 {
			faults = append(faults, fmt.Errorf("流水 %d 仍欠 %s · transaction %d: a %s is still owed", d.ID, d.Form, d.ID, d.Form))
		}
		return nil
	})
	err = errors.Join(err, waits(func(id txn.ID) {
		if id <= f.Last && len(faults) < 20 {
			faults = append(faults, fmt.Errorf("流水 %d 挂人工 · transaction %d waits for a person", id, id))
		}
	}))
	return f, errors.Join(append(faults, err)...)
}
