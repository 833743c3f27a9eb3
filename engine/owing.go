package engine

import (
	"errors"
	"slices"

	"go.uber.org/zap"

	"tongka/fault"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// Why a command on debts changes nothing.
var (
	ErrNoDebt  = errors.New("engine: no such debt")
	ErrAlready = errors.New("engine: it is so already")
)

// lookAt is how many places of the queue one Debts looks at: some tens of
// microseconds of the loop.
const lookAt = 4096

// Debts is the command that shows what is owed, a part at a time: begin with From
// 0 and go on with Next until it is -1. What is owed may change between two parts.
type Debts struct {
	From  int
	Next  int
	Items []storefwd.Item // appended to
}

func (c *Debts) perform(s *Shard) error {
	c.Items = slices.Grow(c.Items, 64)
	c.Next = s.owed.Some(c.From, lookAt, func(it storefwd.Item) { c.Items = append(c.Items, it) })
	return nil
}

// DebtAction says what an operator does to a debt.
type DebtAction uint8

// Actions on debts.
const (
	HoldDebt    DebtAction = iota // not offered any more
	ReleaseDebt                   // parked or held: offered again
	SettleDebt                    // given up: the bank was told by other ways
	LookDebt                      // nothing: is it there?
)

// Operate is the command by which an operator acts on one debt, or with no ID on
// all deliveries to a link (hold and release only). Item is the debt as it was.
type Operate struct {
	Do   DebtAction
	ID   txn.ID
	Form storefwd.Form
	Link string

	Item storefwd.Item
}

func (c *Operate) perform(s *Shard) error {
	at := slices.IndexFunc(s.links, func(l link) bool { return l.cfg.Name == c.Link })
	if at < 0 {
		return ErrNoLink
	}
	to := txn.LinkID(at)
	if c.ID == 0 {
		switch c.Do {
		case SettleDebt:
			return ErrNoDebt
		case LookDebt:
			return nil
		}
		if !s.owed.Stop(to, c.Do == HoldDebt) {
			return ErrAlready
		}
		s.zap.Warn("deliveries to a link", fault.Field(fault.DebtsHeld), zap.String("link", c.Link), zap.Bool("stopped", c.Do == HoldDebt))
		return nil
	}
	var ok bool
	if c.Item, ok = s.owed.Find(c.ID, c.Form, to); !ok {
		return ErrNoDebt
	}
	what := journal.DebtHeld
	switch c.Do {
	case LookDebt:
		return nil
	case HoldDebt:
		ok = s.owed.Hold(c.ID, c.Form, to)
	case ReleaseDebt:
		what = journal.DebtReleased
		ok = s.owed.Release(c.ID, c.Form, to, s.now)
	case SettleDebt:
		what = journal.DebtGivenUp
		ok = s.owed.Settle(c.ID, c.Form, to)
	}
	if !ok {
		return ErrAlready
	}
	s.debtChanged(&c.Item, what, txn.Code{})
	s.zap.Warn("debt", fault.Field(fault.DebtsHeld), zap.Stringer("now", what), zap.String("link", c.Link), zap.Uint64("txn", uint64(c.ID)), zap.Stringer("form", c.Form))
	return nil
}
