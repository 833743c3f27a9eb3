package world

import (
	"errors"
	"io"
	"time"

	"tongka/conn"
)

// endpoint is who is at the other end of a connection with the switch.
type endpoint interface {
	hear(l *wire, frame []byte)
	lost(l *wire)
}

// wire is one connection. Bytes arrive in their order in each direction, after a
// while; when it breaks, what is under way is lost.
type wire struct {
	w       *world
	p       *process
	id      conn.ID
	number  uint64
	lane    uint64 // who dials one connection after the other sees the end of each first
	peer    endpoint
	framing conn.Framing
	up      bool   // the switch holds it
	open    bool   // the peer holds it
	said    uint64 // messages so far, of both
	inward  int64  // when the last message to the switch arrives
	outward int64
	trunk   *trunk   // of a bank's
	held    [2]int64 // until when nothing gets through to the switch, and from it
	stuck   [][]byte // what is held on its way to the switch
	out     bool     // on a half-duplex line: something is out that nobody has answered
	outAt   int64    // since when
}

// connect opens a connection to the running process; nil when none runs. link is
// below zero for a terminal.
func (w *world) connect(peer endpoint, link int, f conn.Framing) *wire {
	p := w.proc
	if p == nil {
		return nil
	}
	w.wires++
	l := &wire{w: w, p: p, number: w.wires, lane: w.wires, peer: peer, framing: f, up: true, open: true}
	if link >= 0 {
		l.lane = 1<<40 | uint64(link)
	}
	if n := len(p.free); n > 0 {
		l.id = conn.ID(p.free[n-1]) << 32
		p.free = p.free[:n-1]
	} else {
		l.id = conn.ID(len(p.places)) << 32
		p.places = append(p.places, 0)
	}
	place := uint32(l.id >> 32)
	p.places[place]++
	l.id |= conn.ID(p.places[place])
	p.wires[l.id] = l
	p.order = append(p.order, l)
	p.do(l.lane, func() { p.handler.Opened(l.id, conn.Peer{Listener: link < 0, Index: max(link, 0)}) })
	return l
}

func (l *wire) delay() int64 {
	l.said++
	d := fate(l.w.o.Seed, aboutDelay, l.number, l.said)
	if d%97 == 0 { // now and then a packet is sent again
		return int64(200*time.Millisecond) + int64(d%uint64(100*time.Millisecond))
	}
	return int64(100*time.Microsecond) + int64(d%uint64(2*time.Millisecond))
}

// say sends a message of the peer to the switch.
func (l *wire) say(frame []byte) {
	if l.held[0] > l.w.now {
		if l.stuck = append(l.stuck, frame); len(l.stuck) == 1 {
			l.w.at(l.held[0], l.release)
		}
		return
	}
	l.inward = max(l.inward, l.w.now+l.delay())
	l.w.at(l.inward, func() { l.arrives(frame) })
}

func (l *wire) arrives(frame []byte) {
	if l.up && l.p == l.w.proc {
		l.out = false
		l.p.do(l.lane, func() { l.p.handler.Frame(l.id, frame) })
	}
}

// release lets through what was held.
func (l *wire) release() {
	for _, frame := range l.stuck {
		l.arrives(frame)
	}
	l.stuck, l.held[0] = nil, 0
}

// left takes what the switch has sent, checks it, and brings it to the peer.
func (l *wire) left(b []byte) {
	l.outward = max(l.outward, max(l.w.now, l.p.stalled)+l.delay(), l.held[1])
	for len(b) > 0 {
		frame, used, err := l.framing.Next(b)
		if err != nil || used == 0 {
			l.w.violate("well-framed", "connection %d: %x: %v", l.number, b, err)
			return
		}
		l.watch(frame)
		l.w.at(l.outward, func() {
			if l.open {
				l.peer.hear(l, frame)
			}
		})
		b = b[used:]
	}
}

// watch holds what leaves against the disk, and a half-duplex line against its
// name: until something comes back nothing more leaves, unless what is out is
// given up, which nothing is in less than leastWait.
func (l *wire) watch(frame []byte) {
	if _, ok := l.peer.(*box); ok {
		return // what modules are asked has no effect outside
	}
	l.w.books.leaves(l, frame)
	if l.trunk == nil || !l.trunk.half {
		return
	}
	if l.out && l.w.now-l.outAt < int64(leastWait) {
		l.w.violate("one-at-a-time", "a second message leaves on half-duplex connection %d after %v", l.number, time.Duration(l.w.now-l.outAt))
	}
	l.out, l.outAt = true, l.w.now
}

// greyed is a connection on which nothing gets through in one direction for a
// while. Nobody is told, and nothing is lost.
func (w *world) greyed(s *stimulus) {
	if l := w.anyWire(aboutGrey, s.id); l != nil {
		way := fate(w.o.Seed, aboutGrey, s.id, 1) % 2
		l.held[way] = w.now + s.span
		w.note("connection is slow", l.number, way)
	}
}

var errReset = errors.New("connection reset by peer")

// broken is a connection that ends at both ends, at once for the switch and a
// little later for the peer.
func (l *wire) broken() {
	l.forget(errReset)
	l.w.after(int64(time.Millisecond), l.ended)
}

// hungUp is a connection that the switch closed: what it had sent arrives.
func (l *wire) hungUp() {
	l.forget(nil)
	l.w.at(l.outward+int64(time.Millisecond), l.ended)
}

// hangUp is the peer's end.
func (l *wire) hangUp() {
	l.open = false
	if l.held[0] > l.w.now { // the way is free again just when somebody has given it up
		l.inward = max(l.inward, l.w.now+int64(fate(l.w.o.Seed, aboutGrey, l.number, 2)%uint64(20*time.Millisecond)))
		l.w.at(l.inward, l.release)
	}
	l.w.at(l.inward, func() { l.forget(io.EOF) })
}

// forget tells the shard, if it still runs.
func (l *wire) forget(why error) {
	if !l.up {
		return
	}
	l.up = false
	p := l.p
	delete(p.wires, l.id)
	if p == l.w.proc {
		p.do(l.lane, func() {
			p.free = append(p.free, uint32(l.id>>32))
			p.handler.Closed(l.id, why)
		})
	}
}

func (l *wire) ended() {
	if l.open {
		l.open = false
		l.peer.lost(l)
	}
}

// cutOne breaks one of the connections that are up.
func (w *world) cutOne(id uint64) {
	if l := w.anyWire(aboutCut, id); l != nil {
		w.note("connection breaks", l.number)
		l.broken()
	}
}

// anyWire draws one of the connections that are up; nil when there is none.
func (w *world) anyWire(about, id uint64) *wire {
	p := w.proc
	if p == nil {
		return nil
	}
	live := p.order[:0]
	for _, l := range p.order {
		if l.up {
			live = append(live, l)
		}
	}
	p.order = live
	if len(live) == 0 {
		return nil
	}
	return live[fate(w.o.Seed, about, id)%uint64(len(live))]
}
