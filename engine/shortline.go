package engine

import (
	"go.uber.org/zap"

	"tongka/conn"
	"tongka/flow"
	"tongka/txn"
)

// A short-lived line is dialled when a message is given to it. Until it is open
// the message waits in the line's own buffer, which then becomes the
// connection's: nothing leaves before the turn that opened it has ended, and so
// never before its intent is on disk. It carries one message at a time.

// call is the present connection of a short-lived line, or the one on its way.
type call struct {
	buf    *outbuf
	sl     *slot   // the request that waits in buf, if it is one
	ending conn.ID // that we hung up on, and that has not ended yet
}

// lineOut gives the buffer for a message on a line; nil when it is gone.
func (s *Shard) lineOut(n *line) *outbuf {
	if n.Lasts() || n.send != 0 {
		return s.out(n.send)
	}
	if n.call.buf == nil {
		n.call.buf = new(outbuf)
	}
	return n.call.buf
}

// given notes that a message was given to a line; sl is its transaction, if it is
// a request.
func (s *Shard) given(n *line, sl *slot) {
	if n.Lasts() {
		return
	}
	s.lineEvent(n, flow.Wanted)
	if n.Calling() && sl != nil {
		n.call.sl = sl
	}
}

// callOpened takes the connection of a short-lived line, and with it what waited.
func (s *Shard) callOpened(n *line, id conn.ID) {
	if n.send != 0 || n.call.ending != 0 {
		s.hangUp(id) // the front dials a line once at a time
		return
	}
	n.send, n.recv = id, id
	n.call.sl = nil
	if p := s.peer(id); n.call.buf != nil {
		p.own = n.call.buf
		if len(p.own.b) > 0 {
			s.out(id)
		}
	}
	s.lineEvent(n, flow.Connected)
}

// NotDialled implements conn.Caller: the front could not reach a link.
func (s *Shard) NotDialled(link int) {
	s.begin()
	if w, ok := s.wires[link]; ok && w.kind == bankPeer && s.lines[w.index].Calling() && !s.dead {
		s.notDialled(s.lines[w.index])
	}
}

// notDialled gives a call up. The request that waited for it is told 91 at once,
// and taken back with the next call like any other that was not answered.
func (s *Shard) notDialled(n *line) {
	sl, use := n.call.sl, n.Use
	s.unsend(n)
	if s.badLines.allow(s.now) {
		s.zap.Warn("bank not dialled", zap.String("link", s.links[n.link].cfg.Name), zap.Int("line", n.number))
	}
	s.lineEvent(n, flow.NotDialled)
	if sl != nil && sl.line == n && sl.use == use && sl.State == flow.Waiting {
		s.expireSlot(sl, flow.Event{Kind: flow.Expired, Deny: txn.LinkDown, Now: s.now})
	}
}

// unsend takes back what waits for a call. There is only one message; a reversal
// is the first that the bank sees when it is offered again.
func (s *Shard) unsend(n *line) {
	if n.Calling() {
		if n.debt.id != 0 && !n.debt.asked && n.debt.use == n.Use {
			s.owed.Unsent(n.debt.id, n.debt.form, n.link)
		}
		n.call.buf.b = n.call.buf.b[:0]
		n.call.sl = nil
	}
}

// onCall is a connection of a short-lived line that is there already and waits
// for another message.
func (l *link) onCall() *line {
	if !l.calls {
		return nil
	}
	for _, n := range l.serving {
		if !n.Lasts() && n.send != 0 && n.Takes() {
			return n
		}
	}
	return nil
}
