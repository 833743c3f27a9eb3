package load

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"tongka/bench/internal/mix"
)

// openTills makes the terminals of a mix, one a session, on all processors.
func (g *generator) openTills() error {
	failed := make([]error, runtime.NumCPU())
	var wg sync.WaitGroup
	for worker := range failed {
		wg.Go(func() {
			for i := worker; i < len(g.sessions) && failed[worker] == nil; i += len(failed) {
				g.sessions[i].till, failed[worker] = mix.New(g.spec.First+i, g.spec.FirstTrace)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// deal begins a till's next deal. Its time counts from at until the last answer that
// it wants, so a load is over when its confirmation is taken.
func (g *generator) deal(s *session, at int64) error {
	g.underWay++
	s.sent[0].at = at
	return g.speak(s)
}

// goOn sends what follows within a deal, also when no new ones are to begin.
func (g *generator) goOn(s *session) error {
	s.more = false
	return g.speak(s)
}

// unsealed is a request that waits for its MAC: those of a turn are made together, in a
// third of the time. They are sent when the turn ends at the latest.
type unsealed struct {
	s     *session
	frame []byte // the till's own
}

func (g *generator) speak(s *session) error {
	frame, err := s.till.Next(&g.macs)
	if err != nil {
		return err
	}
	g.unsealed = append(g.unsealed, unsealed{s, frame})
	if g.macs.Full() {
		return g.seal()
	}
	return nil
}

// seal makes the MACs and sends what waited for them.
func (g *generator) seal() error {
	if len(g.unsealed) == 0 {
		return nil
	}
	g.macs.Make()
	for _, u := range g.unsealed {
		u.s.till.Seal(u.frame)
		if err := u.s.Write(g.p, u.frame); err != nil {
			return u.s.fault(err)
		}
	}
	g.unsealed = g.unsealed[:0]
	return nil
}

// told takes an answer and says whether it ended a deal. What a terminal would not take
// is a fault.
func (g *generator) told(s *session, frame []byte, now int64) (ended bool) {
	slot := &s.sent[0]
	if slot.at == 0 || s.more {
		g.faults["answer that nobody waits for"]++
		return false
	}
	hear := s.till.Heard
	if g.spec.Echo {
		hear = s.till.Echoed
	}
	more, err := hear(frame)
	if more {
		s.more = true
		return false
	}
	took := now - slot.at
	slot.at = 0
	g.underWay--
	if err != nil {
		g.faults[err.Error()]++
		return true
	}
	_ = g.latency.RecordValue(min(took, int64(time.Minute)))
	return true
}
