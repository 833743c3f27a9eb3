package engine

import (
	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/flow"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// Up says whether a link takes requests now.
func (s *Shard) Up(id txn.LinkID) bool {
	return s.links[id].State == flow.LinkUp && s.links[id].id != 0
}

// bankFrame takes one message from a bank.
func (s *Shard) bankFrame(p *peer, b []byte) {
	l := &s.links[p.index]
	msg, err := l.cfg.Bank.Spec.Split(b, &s.envelope)
	if err == nil {
		err = l.cfg.Bank.Spec.Parse(&s.bview, msg)
	}
	if err != nil {
		s.stats.BadFormat++
		if s.badLines.allow(s.now) {
			s.zap.Warn("bank's frame refused", zap.String("link", l.cfg.Name), zap.Error(err))
		}
		return
	}
	var m translate.BankMessage
	translate.ReadBank(&s.bview, &m)
	switch m.MTI {
	case 0x0210:
		s.bankAnswer(txn.LinkID(p.index), &m)
	case 0x0430, 0x0431:
		s.adviceAnswer(txn.LinkID(p.index), &m)
	case 0x0830:
		s.netAnswer(txn.LinkID(p.index), &m)
	case 0x0820:
		s.sendNetwork(l, 0x0830, m.Net, m.STAN)
	default:
		s.stats.Unmatched++
	}
}

// bankAnswer finds the transaction that an answer belongs to: our trace number,
// and then link, reference number and amount must all be those that we sent. An
// answer that fits nothing is counted and changes nothing; if it was meant for a
// transaction in flight, the deadline will reverse that.
func (s *Shard) bankAnswer(from txn.LinkID, m *translate.BankMessage) {
	e := s.pending.tab[m.STAN%1_000_000]
	switch e.ref {
	case neverUsed, wasClosed:
		s.stats.Unmatched++
		return
	case wasExpired:
		s.stats.LateAnswers++
		return
	}
	sl := &s.slots[e.ref-1]
	if sl.Link != from || sl.State != flow.Waiting || m.Code == (txn.Code{}) ||
		m.RRN != s.clock.RRN(&sl.Facts) || m.Amount != 0 && m.Amount != sl.Amount {
		s.stats.Unmatched++
		return
	}
	l := &s.links[from]
	l.inFlight--
	l.answered++
	s.pending.end(sl.ID, wasClosed)
	s.answering = sl
	s.run(sl, flow.Event{Kind: flow.Answered, Code: m.Code, Auth: m.Auth, Settle: m.Settle, Now: s.now})
	s.answering = nil
}

// adviceAnswer ends what was owed. 25 and 12 mean that the bank has nothing to
// take back, which is as good; any other refusal is offered again.
func (s *Shard) adviceAnswer(from txn.LinkID, m *translate.BankMessage) {
	switch m.Code {
	case txn.OK, txn.NoOriginal, txn.BadTransaction:
	default:
		return
	}
	if s.owed.Settle(s.idOf(m.RRN), from) {
		s.stats.Delivered++
	} else {
		s.stats.Unmatched++
	}
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

// deliver offers what is owed to every bank that is up.
func (s *Shard) deliver() {
	if s.owed.Total() == 0 {
		return
	}
	s.owed.Expire(s.now)
	var f txn.Facts
	for i := range s.links {
		l := &s.links[i]
		for s.Up(txn.LinkID(i)) {
			attempt, ok := s.owed.Due(s.now, txn.LinkID(i), &f)
			if !ok {
				break
			}
			s.offer(l, &f, attempt > 1)
		}
	}
}

// parked is the alarm for a reversal that is not offered any more. It is known to
// the bank by its numbers; what stands in it is card data, and not for a log.
func (s *Shard) parked(it storefwd.Item, fault error) {
	s.zap.Error("reversal parked: it is not offered any more", zap.String("link", s.links[it.Link].cfg.Name), zap.Uint64("txn", uint64(it.ID)),
		zap.Uint32("stan", it.ID.STAN()), zap.Int("attempts", it.Attempts), zap.Error(fault))
}

func (s *Shard) offer(l *link, f *txn.Facts, again bool) {
	out := s.out(l.id)
	if out == nil {
		return
	}
	start := len(out.b)
	b, err := l.cfg.Bank.AppendReversal(l.cfg.Framing.Begin(out.b), f, again, &s.clock)
	if err == nil {
		b, err = l.cfg.Framing.End(b, start)
	}
	if err != nil {
		s.zap.Error("reversal not rendered", zap.String("link", l.cfg.Name), zap.Uint64("txn", uint64(f.ID)), zap.Error(err))
		out.b = out.b[:start]
		return
	}
	out.b = b
}

// linkEvent moves a link and does what its machine asks.
func (s *Shard) linkEvent(id txn.LinkID, ev flow.LinkEvent) {
	l := &s.links[id]
	was := l.State
	var out flow.LinkEffects
	flow.DecideLink(&l.Link, ev, &out)
	if l.State != was {
		l.since = s.now
		s.zap.Info("bank link", zap.String("link", l.cfg.Name), zap.Stringer("state", l.State), zap.Stringer("after", ev))
	}
	if l.State == flow.LinkDown {
		s.owed.LinkDown(id)
		s.disarmLink(l)
	}
	for _, do := range out.A[:out.N] {
		switch do {
		case flow.SendSignOn:
			s.askNetwork(l, translate.NetSignOn)
		case flow.SendEcho:
			s.askNetwork(l, translate.NetEcho)
		case flow.ArmLink:
			s.disarmLink(l)
			l.gen++
			l.armed = true
			s.arm(&l.timer, s.now+l.Wait, timerID(timerLink, l.gen, uint32(id)))
		case flow.HangUp:
			if l.id != 0 {
				s.loop.Close(l.id)
			}
		}
	}
}

func (s *Shard) disarmLink(l *link) {
	if l.armed {
		l.armed = false
		s.wheel.Disarm(l.timer)
	}
}

// askNetwork sends a sign-on or an echo under a number of its own.
func (s *Shard) askNetwork(l *link, net uint16) {
	for s.lastID++; s.lastID.STAN() == 0 || s.pending.busy(s.lastID); s.lastID++ {
	}
	l.netSTAN = s.lastID.STAN()
	s.sendNetwork(l, 0x0820, net, l.netSTAN)
}

func (s *Shard) sendNetwork(l *link, mti iso8583.MTI, net uint16, stan uint32) {
	out := s.out(l.id)
	if out == nil {
		return
	}
	start := len(out.b)
	b, err := l.cfg.Bank.AppendNetwork(l.cfg.Framing.Begin(out.b), mti, net, stan, s.now, &s.clock)
	if err == nil {
		b, err = l.cfg.Framing.End(b, start)
	}
	if err != nil {
		s.zap.Error("network message not rendered", zap.String("link", l.cfg.Name), zap.Error(err))
		b = out.b[:start]
	}
	out.b = b
}

// netAnswer takes the answer to the sign-on or echo that is out.
func (s *Shard) netAnswer(from txn.LinkID, m *translate.BankMessage) {
	l := &s.links[from]
	switch {
	case m.STAN != l.netSTAN:
		s.stats.Unmatched++
	case m.Net == translate.NetEcho:
		s.linkEvent(from, flow.Echoed)
	case m.Code == txn.OK:
		s.linkEvent(from, flow.SignedOn)
	default:
		s.linkEvent(from, flow.Refused)
	}
}
