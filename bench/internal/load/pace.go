package load

import "time"

// leastWait is how long the loop sleeps at least when the next sale is a moment away:
// what is due meanwhile goes out together, and its time counts from when it was due.
const leastWait = 50 * time.Microsecond

// pacer says when the next sale is due at a rate, and which connections are free to
// send it. The zero value never does.
//
// The rate is an open loop: sales become due whether or not the system under test keeps
// up, as people come to a counter. What finds no free connection waits in line, and its
// time runs from the moment at which it was due. A generator that measures from the
// moment of sending asks a system that stands still for a second nothing in that second,
// and so hides all but one of those who had to wait (coordinated omission).
type pacer struct {
	every time.Duration
	due   time.Time // of the first sale that nobody has sent
	free  []int32   // a ring of sessions, longest free first
	head  int
	n     int
	held  int64 // sales that found no connection free
}

func (p *pacer) start(rate, sessions int) {
	if rate <= 0 {
		return
	}
	*p = pacer{every: time.Second / time.Duration(rate), due: time.Now(), free: make([]int32, sessions)}
	for i := range sessions {
		p.put(int32(i))
	}
}

func (p *pacer) put(session int32) {
	p.free[(p.head+p.n)%len(p.free)] = session
	p.n++
}

func (p *pacer) take() (session int32) {
	session = p.free[p.head]
	p.head = (p.head + 1) % len(p.free)
	p.n--
	return session
}

// before is the earlier of end and the next sale, if anybody could send it.
func (p *pacer) before(end time.Time) time.Time {
	if p.every > 0 && p.n > 0 && p.due.Before(end) {
		return p.due
	}
	return end
}

// behind is how many sales were due before a moment and have not been sent.
func (p *pacer) behind(at time.Time) int64 {
	if p.every == 0 || !p.due.Before(at) {
		return 0
	}
	return int64((at.Sub(p.due)-1)/p.every) + 1
}

func (g *generator) paced() bool { return g.pacer.every > 0 }

// wait is how long to sleep at most before end.
func (g *generator) wait(end time.Time) time.Duration {
	d := time.Until(g.pacer.before(end))
	if g.paced() {
		return max(d, leastWait)
	}
	return max(d, 0)
}

// sendDue sends what is due, as far as connections are free.
func (g *generator) sendDue() error {
	p := &g.pacer
	for g.sending && p.every > 0 && p.n > 0 && !p.due.After(g.clock) {
		s := &g.sessions[p.take()]
		at := int64(p.due.Sub(g.began)) + 1
		p.due = p.due.Add(p.every)
		if err := g.begin(s, at); err != nil {
			return err
		}
	}
	return g.seal()
}

// release makes a session free again when its sale is answered. The sale that it is for
// was held up when it was due before, and all who are free already have one.
func (g *generator) release(s *session) {
	if g.spec.Reconnect {
		g.leave(s)
	}
	p := &g.pacer
	if p.due.Add(time.Duration(p.n) * p.every).Before(g.clock) {
		p.held++
	}
	p.put(s.Tag)
}

// book counts what was still to come at the end of a window: sales that were due and
// not sent, and those without an answer, each with the time that it had waited by then,
// which is less than it took. Without them a system that stops answering would be judged
// by those whom it had served before.
func (g *generator) book(end time.Time, into func(took time.Duration)) {
	p := &g.pacer
	for at, n := p.due, p.behind(end); n > 0; n-- {
		into(end.Sub(at))
		at = at.Add(p.every)
	}
	now := int64(end.Sub(g.began)) + 1
	for i := range g.sessions {
		for _, slot := range g.sessions[i].sent {
			if slot.at != 0 {
				into(time.Duration(max(now-slot.at, 0)))
			}
		}
	}
}
