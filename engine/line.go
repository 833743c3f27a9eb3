package engine

import (
	"tongka/conn"
	"tongka/flow"
	"tongka/timeout"
	"tongka/translate"
	"tongka/txn"
)

// line is one line of a bank: one socket, or two of which one sends and the
// other receives. A pair lives and dies together, so that both ends agree on
// what an answer on it belongs to.
type line struct {
	flow.Line
	cfg        *Line
	link       txn.LinkID
	index      int // in Shard.lines
	number     int // of the lines of its link, from 1, for people
	send, recv conn.ID
	since      int64
	timer      timeout.Token
	armed      bool
	moves      bool // the front let it go, and brings it back elsewhere
	gen        uint32
	netSTAN    uint32 // of the network message that is out
	netAsked   uint16 // its F70, 0 = none is out
	sent       uint64
	answered   uint64
	timedOut   uint64
	debt       debtOut
	call       call // of a short-lived line
	held       bool // an operator took it out, and nobody has given it back
}

// wire says what one of the front's links is to the shard.
type wire struct {
	kind     peerKind
	index    uint16 // of the line or module
	receives bool   // of a line of two sockets: the one that we read
}

// addLines makes the lines of a link, and the table by which their sockets are
// known. A line that is among old goes on under its new settings.
func (s *Shard) addLines(id txn.LinkID, old []*line) {
	l := &s.links[id]
	l.calls = false
	for i := range l.cfg.Lines {
		c := &l.cfg.Lines[i]
		l.calls = l.calls || c.Short.Messages > 0
		limits := flow.LineLimits{AnswerTimeout: int64(l.cfg.EchoTimeout), EchoInterval: int64(l.cfg.EchoInterval),
			Window: c.Window, MaxMissed: l.cfg.MaxMissed, HalfDuplex: c.HalfDuplex || c.Short.Messages > 0, Short: c.Short}
		n := sameLine(old, c.Send)
		if n == nil {
			n = &line{link: id, index: len(s.lines), since: s.now, Line: flow.NewLine(limits)}
			s.lines = append(s.lines, n)
			if l.held {
				s.lineEvent(n, flow.Drain) // the bank is out of service, by whichever line
				n.held = true
			}
		}
		n.cfg, n.number, n.Limits = c, i+1, limits
		l.lines = append(l.lines, n)
		w := wire{kind: bankPeer, index: uint16(n.index)}
		s.wires[c.Send] = w
		w.receives = c.Receive != c.Send
		s.wires[c.Receive] = w
	}
	l.serving = make([]*line, 0, len(l.lines))
	l.regroup()
}

// sameLine finds the line that sends on a socket.
func sameLine(lines []*line, send int) *line {
	for _, n := range lines {
		if n.cfg.Send == send {
			return n
		}
	}
	return nil
}

// Up says whether a link takes a request now.
func (s *Shard) Up(id txn.LinkID) bool {
	for _, n := range s.links[id].serving {
		if n.Takes() {
			return true
		}
	}
	return false
}

// pick gives the line for the next request: of two at random the one with fewer
// requests out, which spreads nearly as well as looking at all, and unlike that
// does not send everybody to the line that came back last. nil when none can
// take one.
func (s *Shard) pick(l *link) *line {
	of := l.serving
	if n := l.onCall(); n != nil {
		return n
	}
	if len(of) > 1 {
		a := s.below(len(of))
		b := s.below(len(of) - 1)
		if b >= a {
			b++
		}
		if of[b].InFlight < of[a].InFlight {
			a, b = b, a
		}
		if of[a].Takes() {
			return of[a]
		}
		if of[b].Takes() {
			return of[b]
		}
	}
	for _, n := range of {
		if n.Takes() {
			return n
		}
	}
	return nil
}

// below draws a number from 0 to n-1. The generator is splitmix64 from
// Config.Seed, so a history can be played again.
func (s *Shard) below(n int) int {
	s.dice += 0x9E3779B97F4A7C15
	z := s.dice
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int(uint64(uint32(z^z>>31)) * uint64(n) >> 32)
}

// regroup finds the lines that requests may take: those of the first priority
// that has one up. A line on trial does not count for that, or its one request
// would be all that the bank gets.
func (l *link) regroup() {
	l.serving = l.serving[:0]
	for from := 0; ; {
		next, sound := 0, false
		for _, n := range l.lines {
			if p := n.cfg.Priority; n.State == flow.LineUp && p > from && (next == 0 || p < next) {
				next = p
			}
		}
		if next == 0 {
			return
		}
		for _, n := range l.lines {
			if n.State == flow.LineUp && n.cfg.Priority == next {
				l.serving = append(l.serving, n)
				sound = sound || !n.OnTrial()
			}
		}
		if sound {
			return
		}
		from = next
	}
}

// state is the best that a link's lines are in.
func (l *link) state() flow.LineState {
	best := flow.LineDown
	for _, n := range l.lines {
		if betterLine[n.State] > betterLine[best] {
			best = n.State
		}
	}
	return best
}

var betterLine = [...]uint8{flow.LineDown: 0, flow.LineDialing: 1, flow.LineSigningOn: 2, flow.LineProbing: 3,
	flow.LineDraining: 4, flow.LineUp: 5}

// ending is how a request left its line.
type ending uint8

const (
	answered ending = iota
	missed
	cancelled
)

// leave takes a transaction off the line that it was sent on.
func (s *Shard) leave(sl *slot, how ending) {
	s.links[sl.Link].inFlight--
	n := sl.line
	if n == nil {
		return // there was none any more when it was to leave
	}
	switch how {
	case answered:
		n.answered++
	case missed:
		n.timedOut++
	}
	if n.Use != sl.use {
		return
	}
	s.unsend(n)
	n.InFlight--
	switch how {
	case answered:
		if n.Answered() {
			s.links[n.link].regroup()
		}
	case missed:
		if !s.finishing { // then it is our time that is over, not the bank's
			s.lineEvent(n, flow.Missed)
		}
	}
	s.mayRest(n)
}

// mayRest tells a line that nothing is out on it any more, if it waits for that.
func (s *Shard) mayRest(n *line) {
	if n.InFlight == 0 && (n.State == flow.LineDraining || !n.Lasts()) {
		s.lineEvent(n, flow.Idle)
	}
}

// lineOpened notes a socket of a line. It takes the place of one that is still
// there, as when the bank has moved, and with it the line begins anew; what the
// old one still brings is read until the front closes it.
func (s *Shard) lineOpened(n *line, id conn.ID, receives bool) {
	if !n.Lasts() {
		s.callOpened(n, id)
		return
	}
	pair := n.cfg.Send != n.cfg.Receive
	replaced := receives && n.recv != 0 || !receives && n.send != 0
	if replaced && n.send != 0 && n.recv != 0 {
		s.lineEvent(n, flow.Lost)
	}
	if !pair || !receives {
		n.send = id
	}
	if !pair || receives {
		n.recv = id
	}
	if n.send != 0 && n.recv != 0 {
		s.moved(n)
		s.lineEvent(n, flow.Connected)
	}
}

// lineClosed ends a line because a socket has gone, unless that was given up or
// replaced before; the other one of a pair is closed.
func (s *Shard) lineClosed(n *line, id conn.ID) {
	if id == n.call.ending {
		n.call.ending = 0
		s.lineEvent(n, flow.Lost)
		return
	}
	if n.send != id && n.recv != id {
		return
	}
	whole := n.send != 0 && n.recv != 0
	s.closeLine(n, id)
	if whole {
		s.lineEvent(n, flow.Lost)
	}
}

// closeLine closes the sockets of a line but for one that has gone.
func (s *Shard) closeLine(n *line, gone conn.ID) {
	if !n.Lasts() && gone == 0 {
		n.call.ending = n.send
	}
	for _, id := range [...]conn.ID{n.send, n.recv} {
		if id != 0 && id != gone {
			s.loop.Close(id)
			gone = id
		}
	}
	n.send, n.recv = 0, 0
}

// lineEvent moves a line and does what its machine asks.
func (s *Shard) lineEvent(n *line, ev flow.LineEvent) {
	was := n.State
	var out flow.LineEffects
	flow.DecideLine(&n.Line, ev, &out)
	if n.State != was {
		s.lineChanged(n, was, ev)
	}
	for _, do := range out.A[:out.N] {
		switch do {
		case flow.SendSignOn:
			s.askNetwork(n, translate.NetSignOn)
		case flow.SendEcho:
			s.askNetwork(n, translate.NetEcho)
		case flow.SendSignOff:
			s.askNetwork(n, translate.NetSignOff)
		case flow.ArmLine:
			s.disarmLine(n)
			n.gen++
			n.armed = true
			s.arm(&n.timer, s.now+n.Wait, timerID(timerLine, n.gen, uint32(n.index)))
		case flow.HangUp:
			s.closeLine(n, 0)
		case flow.DialLine:
			s.loop.Dial(n.cfg.Send)
		}
	}
}

// lineChanged follows a change of state: which lines serve, what is owed, and
// who must know.
func (s *Shard) lineChanged(n *line, was flow.LineState, why flow.LineEvent) {
	l := &s.links[n.link]
	n.since = s.now
	if n.State == flow.LineDown || n.State == flow.LineDialing {
		n.netAsked = 0
		s.disarmLine(n)
	}
	if n.State == flow.LineUp || was == flow.LineUp {
		l.regroup()
	}
	if was == flow.LineUp {
		// What was offered on this line is offered again by another, or when one is
		// back: several sends are one effect, and no attempt is used up by a line.
		s.owed.LinkDown(n.link)
	}
	if now := l.state(); now != l.was {
		l.was, l.since = now, s.now
	}
	s.tellLine(n, was, why)
}

func (s *Shard) disarmLine(n *line) {
	if n.armed {
		n.armed = false
		s.wheel.Disarm(n.timer)
	}
}
