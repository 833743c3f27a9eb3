package engine

import (
	"go.uber.org/zap"

	"tongka/fault"
	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// bankFrame takes one message from a bank.
func (s *Shard) bankFrame(p *peer, b []byte) {
	n := s.lines[p.index]
	l := &s.links[n.link]
	v := s.bankWire(l)
	msg, err := l.cfg.Bank.Spec.Split(b, &s.envelope)
	if err != nil {
		s.keepMalformed(p, b, nil, -1, err)
	} else if err = s.readBank(l, msg); err != nil {
		s.keepMalformed(p, b, v, len(b)-len(msg), err)
	}
	if err != nil {
		s.stats.BadFormat++
		s.limited(fault.BankFrameRefused, "bank's frame refused", zap.String("link", l.cfg.Name), zap.Int("line", n.number), zap.Error(err))
		return
	}
	var m translate.BankMessage
	translate.ReadBank(&s.bview, &m)
	if !l.cfg.Bank.Seals() || s.proven(n, &m, b) {
		s.bankMessage(n, &m)
	}
}

// bankMessage does what a bank's message in s.bview says, once it is believed.
func (s *Shard) bankMessage(n *line, m *translate.BankMessage) {
	switch m.MTI {
	case 0x0230, 0x0630:
		if !s.told(n, m) {
			s.bankAnswer(n, m)
		}
	case 0x0110, 0x0210:
		s.bankAnswer(n, m)
	case 0x0430, 0x0431:
		s.adviceAnswer(n, m)
	case 0x0830:
		s.netAnswer(n, m)
	case 0x0820:
		s.bankAsks(n, m)
	case 0x0800:
		s.bankKey(n, m)
	default:
		s.stats.Unmatched++
	}
}

// bankAnswer finds the transaction that an answer belongs to: our trace number,
// and then bank, reference number and amount must all be those that we sent. It
// may come on any line of the bank. An answer that fits nothing is counted and changes nothing; if it was meant for a
// transaction in flight, the deadline will reverse that.
func (s *Shard) bankAnswer(from *line, m *translate.BankMessage) {
	e := s.pending.tab[m.STAN%1_000_000]
	switch e.ref {
	case neverUsed, wasClosed:
		s.stats.Unmatched++
		return
	case wasExpired:
		s.stats.LateAnswers++
		s.debtAnswered(s.idOf(m.RRN), from, true) // it may have kept a half-duplex line busy
		s.lineEvent(from, flow.LateAnswer)
		return
	}
	sl := &s.slots[e.ref-1]
	if sl.Link != from.link || sl.State != flow.Waiting || m.Code == (txn.Code{}) ||
		m.RRN != s.clock.RRN(&sl.Facts) || m.Amount != 0 && m.Amount != sl.Amount {
		s.stats.Unmatched++
		return
	}
	s.leave(sl, answered)
	s.pending.end(sl.ID, wasClosed)
	s.answering = sl
	s.run(sl, flow.Event{Kind: flow.Answered, Code: m.Code, Auth: m.Auth, Settle: m.Settle, Now: s.now})
	s.answering = nil
	if sl.State == flow.Writing {
		sl.Load.Bank = append([]byte(nil), s.bview.Bytes()...)
	}
}

// adviceAnswer ends what was owed. 25 and 12 mean that the bank has nothing to
// take back, which is as good; any other refusal is offered again.
func (s *Shard) adviceAnswer(by *line, m *translate.BankMessage) {
	id := s.idOf(m.RRN)
	s.debtAnswered(id, by, false)
	switch m.Code {
	case txn.OK, txn.NoOriginal, txn.BadTransaction:
	default:
		return
	}
	if !s.delivered(id, storefwd.Reversal, by.link, m.Code) {
		s.stats.Unmatched++
	}
}

// told takes the answer to a notice; false when none is owed under its number. A
// bank that has it already says duplicate. Any other refusal is offered again.
func (s *Shard) told(by *line, m *translate.BankMessage) bool {
	id := s.idOf(m.RRN)
	if !s.owed.Owes(id, storefwd.Advice, by.link) {
		return false
	}
	s.debtAnswered(id, by, false)
	if m.Code.Approved() || m.Code == txn.Duplicate {
		s.delivered(id, storefwd.Advice, by.link, m.Code)
	}
	return true
}

// delivered ends a debt that its bank has confirmed; false when there is none.
func (s *Shard) delivered(id txn.ID, form storefwd.Form, to txn.LinkID, code txn.Code) bool {
	it, ok := s.owed.Find(id, form, to)
	if !ok {
		return false
	}
	s.owed.Settle(id, form, to)
	s.stats.Delivered++
	s.debtChanged(&it, journal.DebtDelivered, code)
	return true
}

// debtChanged writes down what became of a debt, so that a transaction's whole
// story stands in the journal.
func (s *Shard) debtChanged(it *storefwd.Item, what journal.OwingEvent, code txn.Code) {
	s.aux = journal.AppendDebtChange(s.aux[:0], &journal.DebtChange{What: what, Form: uint8(it.Form), Link: it.Link,
		Offers: uint16(it.Offers), Code: code})
	s.rec = journal.Record{Kind: journal.Owing, Body: s.aux, Facts: txn.Facts{ID: it.ID, Link: it.Link, At: s.now}}
	s.newest = s.log.Append(&s.rec)
	s.stats.Records++
}

// idOf is the newest number that a reference number can stand for.
func (s *Shard) idOf(rrn uint64) txn.ID {
	const span = 1_000_000_000
	id := s.lastID/span*span + txn.ID(rrn%span)
	if id > s.lastID && id >= span {
		id -= span
	}
	return id
}

// deliver offers what is owed to every bank that is up. The lines' windows are
// for requests: what is owed has a window of its own, but on half-duplex lines.
func (s *Shard) deliver() {
	s.debtsOver()
	if s.owed.Total() == 0 {
		return
	}
	s.owed.Expire(s.now)
	var d storefwd.Debt
	for i := range s.links {
		l := &s.links[i]
		for len(l.serving) > 0 {
			if l.quiet(l.serving[0]) == nil {
				s.owed.Rest(txn.LinkID(i)) // an answer makes room, and begins a turn
				break
			}
			attempt, ok := s.owed.Due(s.now, txn.LinkID(i), &d)
			if !ok {
				break
			}
			s.offer(l, l.quiet(s.lineOf(l, d.ID)), &d, attempt > 1)
		}
	}
}

// lineOf is the line for a reversal: the one that its original was sent on, if
// that is still in service, for there nothing overtakes the original; otherwise
// any that serves.
func (s *Shard) lineOf(l *link, id txn.ID) *line {
	if i := s.pending.line(id); i >= 0 && &s.links[s.lines[i].link] == l && s.lines[i].State == flow.LineUp {
		return s.lines[i]
	}
	return l.serving[s.below(len(l.serving))]
}

// parked is the alarm for a reversal that is not offered any more. It is known to
// the bank by its numbers; what stands in it is card data, and not for a log.
func (s *Shard) parked(it storefwd.Item, why error) {
	s.zap.Error("debt parked: it is not offered any more", fault.Field(fault.DebtParked), zap.Stringer("form", it.Form), zap.String("link", s.links[it.Link].cfg.Name), zap.Uint64("txn", uint64(it.ID)),
		zap.Uint32("stan", it.ID.STAN()), zap.Int("attempts", it.Attempts), zap.Error(why))
	s.debtChanged(&it, journal.DebtParked, txn.Code{})
}

func (s *Shard) offer(l *link, n *line, d *storefwd.Debt, again bool) {
	out := s.lineOut(n)
	if out == nil {
		return
	}
	start := len(out.b)
	b, err, class := l.cfg.Framing.Begin(out.b), error(nil), translate.Reversals
	if d.Form == storefwd.Advice {
		class = translate.Advices
		b, err = l.cfg.Bank.AppendAdvice(b, &d.Facts, d.Body, again, &s.clock)
	} else {
		b, err = l.cfg.Bank.AppendReversal(b, &d.Facts, again, &s.clock)
	}
	if err == nil {
		s.offered(n, d)
		err = s.dispatch(n, out, b, start, class, nil)
	}
	if err != nil {
		s.notOffered(n, d)
		s.zap.Error("debt not rendered", fault.Field(fault.DebtUnrendered), zap.String("link", l.cfg.Name), zap.Stringer("form", d.Form), zap.Uint64("txn", uint64(d.ID)), zap.Error(err))
		out.b = out.b[:start]
	}
}

// askNetwork sends a sign-on, echo or sign-off under a number of its own.
func (s *Shard) askNetwork(n *line, net uint16) {
	n.netSTAN, n.netAsked = s.networkSTAN(), net
	s.sendNetwork(n, translate.Network{MTI: 0x0820, Net: net, STAN: n.netSTAN})
}

// networkSTAN gives a trace number that no request in flight has.
func (s *Shard) networkSTAN() uint32 {
	for s.lastID++; s.lastID.STAN() == 0 || s.pending.busy(s.lastID); s.lastID++ {
	}
	return s.lastID.STAN()
}

func (s *Shard) sendNetwork(n *line, m translate.Network) {
	if n.send == 0 && n.Lasts() {
		return // it was hung up, or lost
	}
	out := s.lineOut(n)
	if out == nil {
		return
	}
	l := &s.links[n.link]
	start := len(out.b)
	b, err := l.cfg.Bank.AppendNetwork(l.cfg.Framing.Begin(out.b), &m, s.now, &s.clock)
	if err == nil {
		err = s.dispatch(n, out, b, start, translate.ClassOf(m.MTI, m.Net), nil)
	}
	if err != nil {
		s.zap.Error("network message not rendered", fault.Field(fault.RequestUnrendered), zap.String("link", l.cfg.Name), zap.Error(err))
		out.b = out.b[:start]
	}
}

// netAnswer takes the answer to the network message that is out on this line.
// One without a response code counts for an echo only: that the bank is there.
func (s *Shard) netAnswer(n *line, m *translate.BankMessage) {
	if m.Net == translate.NetKeyReset {
		if m.Code != txn.OK {
			s.refusal(n, "change of keys refused by the bank", m)
		}
		return // the key comes by itself
	}
	if s.cutAnswer(n, m) {
		return
	}
	asked := n.netAsked
	if asked == 0 || m.STAN != n.netSTAN || m.Net != 0 && m.Net != asked {
		s.stats.Unmatched++
		return
	}
	n.netAsked = 0
	ok := m.Code == txn.OK
	switch {
	case asked == translate.NetSignOff:
		s.lineEvent(n, flow.SignedOff)
	case asked == translate.NetSignOn && ok:
		s.lineEvent(n, flow.SignedOn)
	case asked == translate.NetSignOn:
		s.refusal(n, "sign-on refused by the bank", m)
		s.lineEvent(n, flow.SignOnRefused)
	case ok || m.Code == (txn.Code{}):
		s.lineEvent(n, flow.Echoed)
	default:
		s.refusal(n, "echo refused by the bank", m)
		s.lineEvent(n, flow.EchoRefused)
	}
}

// refusal logs what a bank does not want, with its code.
func (s *Shard) refusal(n *line, what string, m *translate.BankMessage) {
	s.limited(fault.BankRefusal, what, zap.String("link", s.links[n.link].cfg.Name), zap.Int("line", n.number), zap.Stringer("code", m.Code))
}

// bankAsks answers a network message of the bank. One that nobody here knows is
// answered 40 and changes nothing.
func (s *Shard) bankAsks(n *line, m *translate.BankMessage) {
	reply := translate.Network{MTI: 0x0830, Net: m.Net, STAN: m.STAN, Code: txn.OK}
	event, known := bankEvents[m.Net]
	if (m.Net == translate.NetDayCutBegins || m.Net == translate.NetDayCutEnds) && !s.cutTold(CutEvent{Link: n.link, Net: m.Net, Theirs: true}) {
		return
	}
	if !known {
		reply.Code = txn.NotSupported
		s.limited(fault.BankUnknownNetwork, "network message of the bank not known", zap.String("link", s.links[n.link].cfg.Name),
			zap.Int("line", n.number), zap.Uint16("code", m.Net))
	}
	s.sendNetwork(n, reply)
	if event != 0 {
		s.lineEvent(n, event)
	}
}

// bankEvents are the network codes (F70) of a bank that are known, and what they
// are to its line; most are answered and nothing more.
var bankEvents = map[uint16]flow.LineEvent{
	translate.NetSignOn: flow.BankSignedOn, translate.NetSignOff: flow.BankSignedOff,
	translate.NetDayCutBegins: 0, translate.NetDayCutEnds: 0, translate.NetEcho: 0,
}
