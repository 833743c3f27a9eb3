package conn

import "tongka/timeout"

// Guests of whom the loop wants nothing may be ten thousand at once: slow senders
// whose half frames fell due together, callers after a power cut. Each costs some
// microseconds, and all of them in one turn would make the honest wait for as long
// as that takes. So a turn does its sales first and then so many of these; the
// next turn, which looks at the sockets again, does the next.
const (
	overduePerTurn   = 4  // a cut is two system calls and the peer's kernel work, some 25 µs
	newcomersPerTurn = 32 // a newcomer is one, some 7 µs
)

// overdue are connections whose deadline has passed. A timer that has
// expired is not armed, so the doors' limits bound it.
type overdue struct {
	list []lateness
	next int // those before it are settled
}

type lateness struct {
	p    *peer
	kind uint8         // which timer
	half timeout.Token // what the peer's was: another one means that its frame came after all
}

func (o *overdue) add(p *peer, kind uint8) {
	if len(o.list) == cap(o.list) && o.next > len(o.list)/2 { // it may not be empty for hours
		n := copy(o.list, o.list[o.next:])
		clear(o.list[n:])
		o.list, o.next = o.list[:n], 0
	}
	o.list = append(o.list, lateness{p, kind, p.half})
}

// take is the first of them; there must be one.
func (o *overdue) take() lateness {
	late := o.list[o.next]
	o.list[o.next] = lateness{} // the array must not keep it alive
	if o.next++; o.next == len(o.list) {
		o.list, o.next = o.list[:0], 0
	}
	return late
}

func (o *overdue) empty() bool { return len(o.list) == 0 }

// cutOverdue ends some of the connections whose time is over, after what the turn
// had to send has left, and sees to another turn for the others.
func (l *loop) cutOverdue() {
	for n := 0; n < overduePerTurn && !l.overdue.empty(); {
		if l.settle(l.overdue.take()) {
			n++
		}
	}
	if !l.overdue.empty() {
		l.again = true
	}
}

// settle is false when it cost nothing: the peer has gone or was heard of since.
func (l *loop) settle(late lateness) bool {
	p := late.p
	switch {
	case late.kind == idleTimer && p.state == open && p.idle == 0:
		if at, limited := p.idleEnd(); !limited || at > l.now {
			l.watchIdle(p)
			return false
		}
		_ = l.cut(p, ErrIdle)
	case late.kind == halfTimer && p.state == open && p.half == late.half:
		l.refused(p, nil, ErrHalfFrame)
		_ = l.cut(p, ErrHalfFrame)
	case late.kind == closeTimer && p.state == closing:
		l.closeOn(p)
	default:
		return false
	}
	return true
}
