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
	peer    endpoint
	framing conn.Framing
	up      bool   // the switch holds it
	open    bool   // the peer holds it
	said    uint64 // messages so far, of both
	inward  int64  // when the last message to the switch arrives
	outward int64
}

// connect opens a connection to the running process; nil when none runs. link is
// below zero for a terminal.
func (w *world) connect(peer endpoint, link int, f conn.Framing) *wire {
	p := w.proc
	if p == nil {
		return nil
	}
	w.wires++
	l := &wire{w: w, p: p, number: w.wires, peer: peer, framing: f, up: true, open: true}
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
	p.handler.Opened(l.id, conn.Peer{Listener: link < 0, Index: max(link, 0)})
	p.touched = true
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
	l.inward = max(l.inward, l.w.now+l.delay())
	l.w.at(l.inward, func() {
		if l.up && l.p == l.w.proc {
			l.p.touched = true
			l.p.handler.Frame(l.id, frame)
		}
	})
}

// left takes what the switch has sent, checks it, and brings it to the peer.
func (l *wire) left(b []byte) {
	l.outward = max(l.outward, l.w.now+l.delay())
	for len(b) > 0 {
		frame, used, err := l.framing.Next(b)
		if err != nil || used == 0 {
			l.w.violate("well-framed", "connection %d: %x: %v", l.number, b, err)
			return
		}
		l.w.books.leaves(l, frame)
		l.w.at(l.outward, func() {
			if l.open {
				l.peer.hear(l, frame)
			}
		})
		b = b[used:]
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
		p.free = append(p.free, uint32(l.id>>32))
		p.touched = true
		p.handler.Closed(l.id, why)
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
	p := w.proc
	if p == nil {
		return
	}
	live := p.order[:0]
	for _, l := range p.order {
		if l.up {
			live = append(live, l)
		}
	}
	p.order = live
	if len(live) > 0 {
		l := live[fate(w.o.Seed, aboutCut, id)%uint64(len(live))]
		w.note("connection breaks", l.number)
		l.broken()
	}
}
