package pool

import (
	"math"
	"time"

	"tongka/hsm"
)

// State is how far a module is trusted.
type State uint8

// States of a module.
const (
	Testing     State = iota // NC has to answer before it is asked anything
	Ready                    // it serves
	Quarantined              // it failed, and is asked NC with growing pauses
)

// String is the state's name.
func (s State) String() string { return [...]string{"testing", "ready", "quarantined"}[s] }

// Reason is why a module was taken out.
type Reason uint8

// Reasons.
const (
	Fine     Reason = iota
	Silent          // it did not answer
	Faulty          // it said that it is not well
	WrongLMK        // its LMK is not the pool's: an alarm
)

// String is the reason's name.
func (r Reason) String() string {
	return [...]string{"fine", "does not answer", "reports a fault", "has another LMK"}[r]
}

// Event is a change that somebody should hear of.
type Event struct {
	Module int
	State  State
	Reason Reason
}

// Events gives what changed since the last call.
func (p *Pool[O]) Events(tell func(Event)) {
	for _, e := range p.events {
		tell(e)
	}
	p.events = p.events[:0]
}

// never is later than any time.
const never = int64(math.MaxInt64)

// unwell says that a code is about the module and not about the command: its LMK
// is not loaded or wrong, its store or its random numbers fail.
func unwell(c hsm.Code) bool {
	switch c {
	case hsm.Code{'1', '3'}, hsm.Code{'4', '0'}, hsm.Code{'4', '1'}, hsm.Code{'4', '2'}, hsm.Code{'4', '9'}:
		return true
	}
	return false
}

// Opened says that a line is connected. A module that is not trusted yet is asked
// for its LMK first.
func (p *Pool[O]) Opened(n int, now int64) {
	l := &p.lines[n]
	m := &p.modules[l.Module]
	if m.state == Ready && !p.reached(l.Module) {
		m.state, m.good, m.again = Testing, 0, now // somebody may have changed it
	}
	l.up, l.leaves, l.missed, l.probing, l.since, l.heard = true, false, 0, false, now, now
	p.probe = now
}

// reached says that a module has a line.
func (p *Pool[O]) reached(module int) bool {
	for i := range p.lines {
		if p.lines[i].up && p.lines[i].Module == module {
			return true
		}
	}
	return false
}

// quarantine takes a module out. Repeated failure makes the pause longer.
func (p *Pool[O]) quarantine(index int, why Reason, now int64) {
	m := &p.modules[index]
	m.good = 0
	m.backoff = min(max(2*m.backoff, backoffMin), backoffMax)
	// Up to a quarter more, so that several do not come back in step.
	p.random = p.random*6364136223846793005 + 1442695040888963407
	m.again = now + m.backoff + int64(p.random>>33)%(m.backoff/4)
	p.probe = min(p.probe, m.again)
	if m.state != Quarantined || m.reason != why {
		m.state, m.reason = Quarantined, why
		p.events = append(p.events, Event{index, Quarantined, why})
	}
}

// due makes the probe whose time has come. All lines are looked at only when one
// may be due.
func (p *Pool[O]) due(now int64) (Order, bool) {
	if now < p.probe {
		return Order{}, false
	}
	p.probe = never
	for n := range p.lines {
		l := &p.lines[n]
		if !l.up || l.leaves || l.probing {
			continue
		}
		at, verb := p.wants(n)
		if at > now {
			p.probe = min(p.probe, at)
			continue
		}
		if p.free.n == 0 {
			p.probe = now + int64(10*time.Millisecond)
			return Order{}, false
		}
		p.probe = now // there may be more
		return p.sendProbe(n, verb, now), true
	}
	return Order{}, false
}

// wants says when a line wants which probe. Only one line of a module that is not
// trusted is asked; the others learn from it.
func (p *Pool[O]) wants(n int) (at int64, verb hsm.Verb) {
	l := &p.lines[n]
	m := &p.modules[l.Module]
	if m.state != Ready {
		for i := range p.lines {
			if o := &p.lines[i]; o.Module == l.Module && o.up && (o.probing || i < n && !o.leaves) {
				return never, 0
			}
		}
		return m.again, hsm.Diagnose
	}
	if p.o.Probe == 0 {
		return never, 0
	}
	verb = hsm.Echo
	if l.probes%p.o.Deep == p.o.Deep-1 {
		verb = hsm.Diagnose
	}
	return l.heard + int64(p.o.Probe), verb
}

func (p *Pool[O]) sendProbe(n int, verb hsm.Verb, now int64) Order {
	l := &p.lines[n]
	l.probing, l.heard = true, now
	l.probes++
	l.inFlight++
	p.pay(l.Module, now)
	index := p.free.take()
	a := &p.places[index]
	a.state, a.verb, a.line, a.not = probeOut, verb, int16(n), -1
	return Order{Place: index, Use: a.use, Header: p.header(index), Line: n, Verb: verb, Probe: true, At: now + int64(p.o.Timeout)}
}

// unproved notes that a probe was not answered in time: one not trusted is asked
// again later, one that serves soon.
func (p *Pool[O]) unproved(n int, now int64) {
	l := &p.lines[n]
	if p.modules[l.Module].state != Ready {
		p.quarantine(l.Module, Silent, now)
	}
	p.probe = min(p.probe, now)
}

// probed judges the answer to a probe.
func (p *Pool[O]) probed(n int, verb hsm.Verb, r *hsm.Reply, now int64) {
	index := p.lines[n].Module
	m := &p.modules[index]
	p.probe = min(p.probe, now)
	if unwell(r.Code) {
		p.quarantine(index, Faulty, now)
		return
	}
	if verb != hsm.Diagnose {
		return
	}
	if r.Code.OK() { // one that does not know NC is alive, and its LMK is not ours to see
		if p.lmk == [8]byte{} {
			p.lmk = r.KCV
		}
		if p.lmk != r.KCV {
			p.quarantine(index, WrongLMK, now)
			return
		}
	}
	m.good++
	need := 1
	if m.state == Quarantined {
		need = goodAgain
	}
	if m.state != Ready && m.good >= need {
		m.state, m.reason, m.backoff, m.again = Ready, Fine, 0, 0
		p.events = append(p.events, Event{index, Ready, Fine})
	} else {
		m.again = now
	}
}

// View is a picture of one line and its module.
type View struct {
	Up       bool
	State    State
	Reason   Reason
	Since    int64
	InFlight int
	Late     int
	Expired  uint64
}

// View gives a picture for the console.
func (p *Pool[O]) View(n int) View {
	l := &p.lines[n]
	m := &p.modules[l.Module]
	return View{Up: l.up, State: m.state, Reason: m.reason, Since: l.since, InFlight: l.inFlight, Late: l.late, Expired: l.expired}
}
