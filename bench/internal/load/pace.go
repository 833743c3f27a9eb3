package load

import "time"

// pacer says when the next sale is due at a rate. The zero value never does.
type pacer struct {
	every time.Duration
	due   time.Time
	turn  int // of which session it is
}

func (p *pacer) start(rate int) {
	if rate > 0 {
		*p = pacer{every: time.Second / time.Duration(rate), due: time.Now()}
	}
}

// before is the earlier of end and the next sale.
func (p *pacer) before(end time.Time) time.Time {
	if p.every > 0 && p.due.Before(end) {
		return p.due
	}
	return end
}

func (g *generator) paced() bool { return g.pacer.every > 0 }

// sendDue sends what is due, each session in turn. A session whose sale is not
// answered sends the next one with the answer, and its time runs from now: a
// system that is slow must not thereby be asked less.
func (g *generator) sendDue() error {
	p := &g.pacer
	for g.sending && p.every > 0 && !p.due.After(g.clock) {
		s := &g.sessions[p.turn]
		p.turn = (p.turn + 1) % len(g.sessions)
		p.due = p.due.Add(p.every)
		switch {
		case s.owed != 0:
			if g.unsent++; g.spec.Shortfall {
				continue
			}
			g.faults["sale that could not be sent for two turns"]++
		case s.busy:
			s.owed = g.now()
		default:
			s.busy = true
			if err := g.begin(s, g.now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// next is what a session does with an answer at a rate.
func (g *generator) next(s *session) error {
	if g.spec.Reconnect {
		g.leave(s)
	}
	if s.busy = s.owed != 0; !s.busy {
		return nil
	}
	at := s.owed
	s.owed = 0
	return g.begin(s, at)
}
