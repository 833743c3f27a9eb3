package conn

import (
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/queue"

	"tongka/conn/cert"
)

// mangle makes a handler that keeps a lent frame fail at once.
var mangle = raceBuild

// events is what gnet calls. A connection's context is its peer, or the loop
// whose bell it is.
type events struct{ gnet.BuiltinEventEngine }

func (*events) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	switch x := c.Context().(type) {
	case *peer:
		if !x.loop.opened(c, x) {
			return nil, gnet.Close
		}
	case *entrance:
		x.conn = c
	case *loop:
		// gnet has no list of its loops: this is how we learn them.
		x.el, x.sight.berth = c.EventLoop(), berthOf(c)
		x.sight.room = make([]byte, readRoom)
		_ = x.sight.poller.Trigger(queue.HighPriority, func(any) error { return x.attend() }, nil) // fails only when gnet has stopped
	}
	return nil, gnet.None
}

func (*events) OnTraffic(c gnet.Conn) gnet.Action {
	b, _ := c.Next(-1) // all of it: we keep what is over ourselves, so gnet's own buffer stays empty
	switch x := c.Context().(type) {
	case *peer:
		x.loop.received(x, b)
	case *loop:
		x.bell.heard()
		if x.letAboard(newcomersPerTurn) {
			x.again = true // and not at once: others wait too
		}
		x.reported()
	case *entrance:
		x.loop.knocked(x)
	}
	return gnet.None
}

func (*events) OnClose(c gnet.Conn, err error) gnet.Action {
	if p, ok := c.Context().(*peer); ok {
		p.loop.closed(p, err)
	}
	return gnet.None
}

// opened is false when there is no place for the newcomer.
func (l *loop) opened(c gnet.Conn, p *peer) bool {
	l.reported()
	p.opened = true
	if !p.door.listener && !l.makeWay(p.door) {
		l.count[linesRefused]++
		_ = c.SetLinger(0)
		return false
	}
	i := uint32(len(l.slots))
	if n := len(l.free); n > 0 {
		i, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.slots = append(l.slots, slot{})
	}
	s := &l.slots[i]
	if s.gen++; s.gen == 0 {
		s.gen = 1
	}
	s.p = p
	p.id, p.c, p.state = makeID(i, s.gen), c, open
	l.sight.see(p)
	p.born = l.now
	l.live++
	l.watchIdle(p)
	if t := p.door.terms.Load(); t.alive != nil {
		p.sent = l.now
		p.alive = l.wheel.Arm(l.now+t.aliveAfter, p.timerID(aliveTimer))
	}
	who := Peer{Listener: p.door.listener, Index: p.door.index, Remote: p.remote}
	if !who.Listener {
		who.Line = l.number
	}
	l.telling = true
	if p.tls != nil {
		cs := p.tls.session.ConnectionState()
		who.Holder = cert.Holder(&cs)
		p.tls.l = l
	}
	l.h.Opened(p.id, who)
	l.told()
	if last := p.door.leaving.Load(); last != nil { // it was on its way when the others were told
		l.letLeave(p, last, l.now)
	}
	if p.tls != nil && p.state == open { // crypto/tls may have read ahead
		l.pump(p, nil)
	}
	return true
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := t.AddrPort() // on a listener for both, IPv4 comes inside IPv6
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// received takes what has come.
func (l *loop) received(p *peer, b []byte) {
	l.reported()
	l.count[bytesIn] += uint64(len(b))
	if p.tls != nil {
		l.pump(p, b)
		return
	}
	l.cutUp(p, b)
}

// cutUp cuts what has come into frames. Whole frames are delivered from
// where gnet read them; only the beginning of one that is not whole is copied.
func (l *loop) cutUp(p *peer, b []byte) {
	for len(b) > 0 && p.state == open {
		var used int
		var err error
		if p.part != nil {
			used, err = l.complete(p, b)
		} else {
			used, err = l.whole(p, b)
		}
		if err != nil {
			l.refused(p, b, err)
			_ = l.cut(p, err)
			return
		}
		b = b[used:]
	}
}

// refused shows the handler what no frame could be made of.
func (l *loop) refused(p *peer, b []byte, err error) {
	r, ok := l.h.(Refuser)
	if !ok {
		return
	}
	if p.part != nil {
		b = p.part
	}
	l.telling = true
	r.Refused(p.id, b, err)
	l.told()
}

// whole delivers the first frame of b, or keeps b when that is only a part.
func (l *loop) whole(p *peer, b []byte) (used int, err error) {
	t := p.door.terms.Load()
	frame, used, err := t.framing.Next(b)
	if err != nil {
		return 0, err
	}
	if used > 0 {
		l.deliver(p, frame)
		return used, nil
	}
	if len(b) > t.room {
		return 0, ErrOversize
	}
	p.part = l.partials.add(nil, b)
	if p.half == 0 { // half a TLS record may have set it
		p.half = l.wheel.Arm(l.now+t.frameTimeout, p.timerID(halfTimer))
	}
	return len(b), nil
}

// complete adds to the kept part as much of b as one frame can need, and
// delivers that frame when it is whole.
func (l *loop) complete(p *peer, b []byte) (used int, err error) {
	had := len(p.part)
	t := p.door.terms.Load()
	more := min(len(b), t.room-had)
	if more <= 0 {
		return 0, ErrOversize // a framing without a limit of its own, or one that has become less
	}
	p.part = l.partials.add(p.part, b[:more])
	frame, used, err := t.framing.Next(p.part)
	if err != nil {
		return 0, err
	}
	if used == 0 {
		return more, nil
	}
	if used <= had { // it was not whole before: the framing contradicts itself
		return 0, ErrMalformed
	}
	lent := p.part // taken off p: the handler may close the connection
	p.part = nil
	l.wheel.Disarm(p.half)
	p.half = 0
	l.deliver(p, frame)
	l.partials.put(lent)
	return used - had, nil
}

// maxWaiting bytes of frames wait for the end of the turn at most.
const maxWaiting = 256 << 10

// deliver keeps a frame for the handler until all that is ready has been read.
// A system call leaves little of the handler's code and tables in the caches of a
// processor, so many frames one after the other cost it much less than each
// between two reads.
func (l *loop) deliver(p *peer, frame []byte) {
	p.seen = l.now
	if frame == nil {
		l.count[keepAlives]++
		return
	}
	l.count[framesIn]++
	if len(l.frames)+len(frame) > maxWaiting {
		l.handIn()
	}
	l.frames = append(l.frames, frame...)
	l.came = append(l.came, arrival{p.id, len(l.frames)})
}

// handIn tells the handler the frames that have come, in their order.
func (l *loop) handIn() {
	l.telling = true
	from := 0
	for _, a := range l.came {
		frame := l.frames[from:a.end]
		from = a.end
		if p := l.slots[a.id.Index()].p; p.state == closing { // its slot is taken until its end was told
			continue
		}
		l.h.Frame(a.id, frame)
		if mangle {
			for i := range frame {
				frame[i] = 0xDB
			}
		}
	}
	l.came, l.frames = l.came[:0], l.frames[:0]
	if cap(l.frames) > 2*maxWaiting { // one frame was longer than all that may wait
		l.frames = nil
	}
	l.told()
}

// closed is called by gnet, whoever closed the connection: also from inside our
// own Write and Close. Its gnet.Conn means nothing afterwards.
func (l *loop) closed(p *peer, err error) {
	l.reported()
	if p.state == enrolling { // it found no place, and nobody was told of it
		l.letGo(p)
		return
	}
	if l.stopping && p.why == nil && err == nil {
		p.why = ErrStopped
	}
	reason, why := verdict(p, err)
	l.count[reason]++
	l.disarm(p)
	l.dropPart(p)
	l.sight.lose(p)
	p.state, p.c = gone, nil
	l.strike(p, reason)
	l.letGo(p)
	l.pending = append(l.pending, ending{p.id, why})
	if p.down != nil {
		p.why = why
		close(p.down)
	}
	if !l.telling {
		l.told()
	}
}

// strike tells the gate of a guest who sent what is nothing to us.
func (l *loop) strike(p *peer, reason counter) {
	switch reason {
	case closedOversize, closedEmpty, closedMalformed, closedTLS, closedRejected:
		if p.guest != nil && p.door.gate.Strike(p.guest, l.now) {
			l.count[shutOuts]++
		}
	}
}

// verdict says why a connection ended, for the handler and for the counters.
func verdict(p *peer, err error) (counter, error) {
	if p.state == closing {
		switch p.why {
		case ErrDrained:
			return closedDrained, p.why
		case ErrRejected:
			return closedRejected, p.why
		case io.EOF:
			return closedByPeer, p.why
		}
		return closedByUs, p.why
	}
	if p.why != nil {
		err = p.why
	}
	switch {
	case err == nil:
		return closedByUs, nil
	case errors.Is(err, io.EOF):
		return closedByPeer, io.EOF
	}
	for reason, e := range reasons {
		if e != nil && err == e {
			return counter(reason), err
		}
	}
	return closedReset, err
}

// told ends a call to the handler and makes up for the calls that had to wait.
// A slot is free only after its end was told, so that no index has two meanings.
func (l *loop) told() {
	if len(l.came) > 0 { // an end comes after the frames before it
		l.telling = false
		return
	}
	for i := 0; i < len(l.pending); i++ { // grows while Closed sends and closes
		e := l.pending[i]
		l.telling = true
		l.h.Closed(e.id, e.err)
		l.slots[e.id.Index()].p = nil
		l.free = append(l.free, e.id.Index())
		l.live--
	}
	l.pending = l.pending[:0]
	l.telling = false
	l.checkDone()
}
