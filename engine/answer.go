package engine

import (
	"go.uber.org/zap"

	"tongka/conn"
	"tongka/fault"
	"tongka/flow"
	"tongka/hsm"
	"tongka/translate"
	"tongka/txn"
)

// sealed says whether the answer to a transaction carries a MAC: when it moves
// money and the terminal has a key to check it with.
func (s *Shard) sealed(sl *slot) bool {
	return sl.sess != nil && flow.NeedsSession(sl.Kind) && (s.cfg.Module != nil || sl.index != scratchIndex)
}

// answer renders the answer from the MTI on, with room for its MAC; nil when it
// cannot be rendered. It is lent until the next one is.
func (s *Shard) answer(sl *slot) []byte {
	if s.bodyID == sl.ID {
		return s.body
	}
	a := translate.Answer{Sealed: s.sealed(sl)}
	if s.answering == sl {
		a.Bank = &s.bview
	}
	if sl.day != nil {
		a.F48, a.F62 = sl.day.f48, sl.day.f62
		if sl.Key == flow.AskKey && sl.Code == txn.OK {
			a.F62 = keyF62(sl.day.key)
		}
	}
	if sl.keys != nil && sl.Code == txn.OK {
		a.F62, a.Batch = sl.keys.f62(), sl.keys.session.Batch
	}
	if sl.Load != nil {
		a.Card = s.cardField(sl)
	}
	b, err := s.cfg.Listeners[sl.door].Door.AppendAnswer(s.body[:0], &sl.Facts, &sl.echo, &a, &s.clock)
	if err != nil {
		s.zap.Error("answer not rendered", fault.Field(fault.AnswerLost), zap.Uint64("txn", uint64(sl.ID)), zap.Error(err))
		return nil
	}
	s.body, s.bodyID = b, sl.ID
	return b
}

// reply answers a terminal, but for one case: a sale or the like that is refused before
// anybody looked whether it is a repeat, while its first is in flight or was
// approved. The terminal would take the refusal for final and the money would be
// gone; unanswered it repeats, or reverses.
func (s *Shard) reply(sl *slot) {
	if !sl.Proved && flow.MovesMoney(sl.Kind) && sl.Code != txn.Duplicate && s.mayBeBooked(sl) {
		return
	}
	if body := s.answer(sl); body != nil {
		s.send(sl, body, s.sealed(sl))
	}
}

func (s *Shard) mayBeBooked(sl *slot) bool {
	if sl.hist == nil {
		return false // an unknown terminal has no transactions
	}
	fp := identity(&sl.Facts)
	// A copy of it may be with a module that works, from before the terminal signed
	// in again.
	if s.cfg.Module == nil && (sl.Code == txn.SystemFault || sl.Code == txn.SignInAgain || sl.Code == txn.BadMAC ||
		s.gates.caps != nil && sl.Code == s.gates.caps.Code) && s.securing(sl, fp) {
		return true
	}
	if sl.sess != nil && s.surelyNew(sl) {
		return false
	}
	r, ok := sl.hist.get(fp)
	if !ok {
		var err error
		if r, ok, err = s.seekDisk(fp, &sl.Facts, s.since(sl)); err != nil {
			return true // nobody can tell
		}
	}
	index, live := r.live()
	return ok && (live && index != sl.index && s.holds(index, fp) || !live && r.result() == txn.Approved)
}

// securing says that another slot has the same request and is not done with its
// securing steps.
func (s *Shard) securing(sl *slot, fp uint64) bool {
	if s.gates.caps != nil && sl.hist.gate.InFlight() == 0 {
		return false // nothing of this terminal is under way
	}
	busy := len(s.slots) - len(s.free)
	for i := 0; i < len(s.slots) && busy > 0; i++ {
		o := &s.slots[i]
		if o.State == flow.New {
			continue
		}
		if busy--; o != sl && o.State == flow.Securing && o.Terminal == sl.Terminal && identity(&o.Facts) == fp {
			return true
		}
	}
	return false
}

// resend gives a repeat the answer that its first got, byte for byte but for the
// MAC, which is made anew under the key of now. A transaction that a restart
// closed has no answer stored: it is rendered from its facts.
func (s *Shard) resend(sl *slot) {
	body, own := s.rec.Body, sl.Facts
	if len(body) == 0 {
		sl.Facts = s.rec.Facts
		body = s.answer(sl)
		sl.Facts = own
	}
	if body != nil {
		s.send(sl, body, s.sealed(sl))
	}
}

// send puts an answer into the terminal's buffer. A terminal that is gone asks
// again or reverses; nothing is lost by not answering it.
func (s *Shard) send(sl *slot, body []byte, sealed bool) {
	if sealed && s.cfg.Module == nil {
		s.sealRemote(sl, body)
		return
	}
	out := s.out(sl.conn)
	if out == nil {
		return
	}
	b, from, err := s.frame(out.b, sl, body)
	out.b = b
	if err != nil {
		return
	}
	if sealed {
		to := from + len(body)
		s.seals = append(s.seals, seal{out: out, from: from, mac: to - s.cfg.Listeners[sl.door].Door.MACRoom, to: to, key: &sl.sess.MAK, hint: &sl.hist.hint, alg: sl.term.MAC})
	}
	if sl.Sent != 0 {
		s.sent = append(s.sent, sl.At)
	}
}

// frame appends length, envelope and body; from is where the body begins.
func (s *Shard) frame(dst []byte, sl *slot, body []byte) (b []byte, from int, err error) {
	l := &s.cfg.Listeners[sl.door]
	start := len(dst)
	b = sl.echo.Append(l.Framing.Begin(dst), l.Door.Spec, sl.Code)
	from = len(b)
	b, err = l.Framing.End(append(b, body...), start)
	if err != nil {
		s.zap.Error("answer not framed", fault.Field(fault.AnswerLost), zap.Uint64("txn", uint64(sl.ID)), zap.Error(err))
	}
	return b, from, err
}

// sealAll makes the MACs of this turn's answers, in place, many at a time.
func (s *Shard) sealAll() {
	var who [hsm.Together]*seal
	h, n := &s.held, 0
	for i := range s.seals {
		j := &s.seals[i]
		if j.out == nil {
			continue
		}
		q := &h.req[n] // as verifyRequest
		q.Verb, q.Type, q.Alg, q.Key, q.MAC = hsm.MakeMAC, hsm.TAK, j.alg, *j.key, [8]byte{}
		q.Data, q.Hint = j.out.b[j.from:j.mac], j.hint
		who[n] = j
		if n++; n == len(who) {
			s.sealSome(who[:n])
			n = 0
		}
	}
	if n > 0 {
		s.sealSome(who[:n])
	}
	s.seals = s.seals[:0]
}

func (s *Shard) sealSome(who []*seal) {
	h := &s.held // nothing is held at the end of a turn
	s.cfg.Module.DoAll(h.req[:len(who)], h.rep[:len(who)])
	for i, j := range who {
		s.stamp(j, &h.rep[i])
	}
}

// stamp puts a MAC into its answer. Without one the zeros that stay are wrong, so
// the terminal takes the answer for none and reverses.
func (s *Shard) stamp(j *seal, r *hsm.Reply) {
	if !r.Code.OK() {
		s.stats.HSMFaults++
		return
	}
	translate.PutMAC(j.out.b[j.mac:j.to], &r.MAC)
}

// dropSeals forgets the MACs of a buffer that will not be sent.
func (s *Shard) dropSeals(out *outbuf) {
	for i := range s.seals {
		if s.seals[i].out == out {
			s.seals[i].out = nil
		}
	}
}

// sendNow puts finished bytes into a peer's buffer.
func (s *Shard) sendNow(id conn.ID, framed []byte) {
	if out := s.out(id); out != nil {
		out.b = append(out.b, framed...)
	}
}
