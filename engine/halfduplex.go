package engine

import (
	"tongka/flow"
	"tongka/storefwd"
	"tongka/txn"
)

// debtOut is what was offered on a half-duplex line and keeps it busy until it is
// answered, or would be offered again; or a request that its terminal took back
// while the bank had it. It counts as in flight there.
type debtOut struct {
	id    txn.ID // 0: nothing is out
	form  storefwd.Form
	asked bool   // it is a request: its reversal may be out elsewhere, and answered first
	use   uint32 // of the line, when it left
	until int64
}

// offered notes that a debt has left on a line.
func (s *Shard) offered(n *line, d *storefwd.Debt) {
	if n.Limits.HalfDuplex {
		n.debt = debtOut{d.ID, d.Form, false, n.Use, s.now + int64(s.links[n.link].cfg.Reversal.Timeout)}
		n.InFlight++
		s.debtsOut++
	}
}

// notOffered takes that back for one that did not leave after all.
func (s *Shard) notOffered(n *line, d *storefwd.Debt) {
	s.owed.Unsent(d.ID, d.Form, n.link)
	if n.debt.id == d.ID && !n.debt.asked {
		s.debtOver(n, false)
	}
}

// stillOut keeps a half-duplex line busy with a request that is cancelled here:
// the bank has it and will answer, and until then nothing else may leave, the
// reversal of this very request the least of all.
func (s *Shard) stillOut(sl *slot) {
	n := sl.line
	if n == nil || !n.Limits.HalfDuplex || n.Use != sl.use || n.Calling() { // while it is dialled the bank has nothing
		return
	}
	n.debt = debtOut{sl.ID, storefwd.Reversal, true, n.Use, s.now + int64(s.links[n.link].cfg.AnswerTimeout)}
	n.InFlight++
	s.debtsOut++
}

// debtAnswered makes room where something was out, whatever the bank said to it. It
// may be out on two lines, when one was lost between its offers: then the answer
// is that of the line it came by. Otherwise it may have come by any.
func (s *Shard) debtAnswered(id txn.ID, by *line, asked bool) {
	if s.debtsOut == 0 {
		return
	}
	if by.debt.id == id && by.debt.asked == asked {
		s.debtOver(by, false)
		return
	}
	for _, n := range s.links[by.link].lines {
		if n.debt.id == id && n.debt.asked == asked {
			s.debtOver(n, false)
			return
		}
	}
}

// debtsOver does so with those that nobody has answered in time.
func (s *Shard) debtsOver() {
	if s.debtsOut == 0 {
		return
	}
	for _, n := range s.lines {
		if n.debt.id != 0 && (s.now >= n.debt.until || n.Use != n.debt.use) {
			s.debtOver(n, true)
		}
	}
}

func (s *Shard) debtOver(n *line, missed bool) {
	use := n.debt.use
	n.debt = debtOut{}
	s.debtsOut--
	if n.Use != use {
		return // the next use of the line began with nothing in flight
	}
	n.InFlight--
	if missed && !n.Lasts() {
		s.lineEvent(n, flow.Missed)
	}
	s.mayRest(n)
}

// quiet is a line that a debt may be offered on: n, or else another one that
// serves; nil when all are half-duplex and busy. In full duplex debts do not ask
// for room, since they have a window of their own.
func (l *link) quiet(n *line) *line {
	if !n.Limits.HalfDuplex || n.Quiet() {
		return n
	}
	for _, n := range l.serving {
		if !n.Limits.HalfDuplex || n.Quiet() {
			return n
		}
	}
	return nil
}
