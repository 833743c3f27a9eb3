package fold

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"tongka/clearing/row"
	"tongka/flow"
	"tongka/journal"
	"tongka/txn"
)

// close says what a transaction is by the end of the window.
func (f *folder) close(g *group) error {
	switch {
	case g.id == 0:
		return nil
	case g.open != nil:
		f.follow(*g.open, g.end)
		if !g.has {
			return nil
		}
	case !g.has && g.undone:
		return f.later(g)
	case !g.has:
		return nil // the end of a debt that was given up before, or is not ours to follow
	}
	owed := false
	switch {
	case g.result == txn.TimedOut:
		g.row.Status, owed = row.Failed, true
	case g.result == txn.Approved && g.undone:
		g.row.Status, owed = row.Reversed, true
	case g.result == txn.Approved:
		g.row.Status = row.Settled
	default:
		// A load whose MAC2 could not be made was declined, and is owed back all the
		// same: its debt tells.
		if g.end == 0 {
			return nil
		}
		g.row.Status, owed = row.Failed, true
	}
	return f.settle(g, owed)
}

// settle gives out the row, and follows its reversal if there is one.
func (f *folder) settle(g *group, owed bool) error {
	if owed && g.open == nil {
		f.sum.Owed++
		open := Open{ID: g.id, Since: f.o.Date, Kind: g.row.Kind, Link: g.row.Link, Amount: g.row.Amount}
		if g.row.Kind == txn.Reversal {
			open.Kind = g.row.Of
		}
		if f.follow(open, g.end) {
			g.row.Flags |= row.Owed
		}
	}
	kind := g.row.Kind
	if kind == txn.Reversal {
		kind = g.row.Of
	}
	if row.Moves(kind) == 0 {
		return nil // a hold on an account: nothing to clear
	}
	f.sum.Rows++
	return f.emit(&g.row)
}

// follow says whether a debt is open at the end of the day, and keeps it if so.
func (f *folder) follow(o Open, end journal.OwingEvent) bool {
	switch end {
	case journal.DebtDelivered:
		f.sum.Ended++
		return false
	case journal.DebtGivenUp:
		f.sum.GivenUp++
		return false
	case 0:
	default:
		o.Last = end
	}
	f.sum.StillOwe = append(f.sum.StillOwe, o)
	return true
}

// later keeps the reversal of what ended on an earlier day, until it is known
// what became of that.
func (f *folder) later(g *group) error {
	if len(f.earlier) == maxEarlier {
		return fmt.Errorf("fold: more than %d reversals of earlier days in the window of %s", maxEarlier, f.o.Date)
	}
	kept := *g
	f.earlier[g.id] = &kept
	return nil
}

// ofEarlierDays looks up what the reversals of the window took back, by one
// replay from the oldest of them, and gives out a row for each that was cleared.
func (f *folder) ofEarlierDays() error {
	ids := slices.Sorted(maps.Keys(f.earlier))
	from, err := f.oldest(ids)
	if err != nil || from == 0 {
		return err
	}
	err = f.src.Replay(from, func(lsn journal.LSN, r *journal.Record) error {
		if lsn >= f.o.From {
			return errPast
		}
		return f.before(lsn, r)
	})
	if err != nil && !errors.Is(err, errPast) {
		return err
	}
	for _, id := range ids {
		g := f.earlier[id]
		switch {
		case g == nil: // counted already
		case !g.has:
			f.sum.Unknown++
		case g.result == txn.Approved && !g.backBefore:
			g.row.Of, g.row.Kind, g.row.Status, g.row.At = g.row.Kind, txn.Reversal, row.Settled, g.undoneAt
			if err := f.settle(g, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookBack is 256 ticks, as far as journal.FindID looks around a number.
const lookBack journal.LSN = 256 << 16

// oldest is the place of the first of some transactions that the journal has, 0
// when it has none of them.
func (f *folder) oldest(ids []txn.ID) (journal.LSN, error) {
	var r journal.Record
	for _, id := range ids {
		lsn, err := f.src.FindID(id, &r)
		switch {
		case errors.Is(err, journal.ErrNotFound):
			f.sum.Unknown++
			delete(f.earlier, id)
		case err != nil:
			return 0, err
		default:
			// Numbers are given out a little before their records are written, so
			// a later number may stand before it.
			return lsn - min(lsn-1, lookBack), nil
		}
	}
	return 0, nil
}

// before takes a record from before the window, of those that are looked for.
func (f *folder) before(lsn journal.LSN, r *journal.Record) error {
	t := &r.Facts
	if r.Kind != journal.Outcome {
		return nil
	}
	if t.Kind == txn.Reversal {
		if g := f.earlier[t.Orig]; g != nil && t.Code == txn.OK {
			g.backBefore = true
		}
		return nil
	}
	g := f.earlier[t.ID]
	if g == nil || !flow.MovesMoney(t.Kind) || t.Sent == 0 {
		return nil
	}
	made, err := f.row(t)
	if err != nil {
		return fmt.Errorf("fold: record %s: %w", lsn, err)
	}
	g.has, g.result, g.row = true, t.Result, *made
	return nil
}
