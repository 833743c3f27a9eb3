package pool

import (
	"tongka/hsm"
)

// Ask places a command. The order's line is -1 while all lines are busy: Next
// gives it when one is free. False: no module is there, or no place.
func (p *Pool[O]) Ask(v hsm.Verb, owner O, now int64) (Order, bool) {
	if p.free.n == 0 || !p.hope() {
		p.stats.Refused++
		return Order{}, false
	}
	keys := v.Manages()
	timeout := p.o.Timeout
	if keys {
		timeout = p.o.KeyTimeout
	}
	index := p.free.take()
	a := &p.places[index]
	a.verb, a.keys, a.again, a.not, a.line = v, keys, false, -1, -1
	a.deadline, a.owner = now+int64(timeout), owner
	return p.dispatch(index, now), true
}

// hope says that a line is up, be its module trusted yet or not.
func (p *Pool[O]) hope() bool {
	for i := range p.lines {
		l := &p.lines[i]
		if l.up && !l.leaves && p.modules[l.Module].state != Quarantined {
			return true
		}
	}
	return false
}

// dispatch sends a placed command, or lets it wait behind the others of its kind.
func (p *Pool[O]) dispatch(index uint32, now int64) Order {
	a := &p.places[index]
	queue := &p.waiting[kind(a.keys)]
	if queue.n == 0 {
		if n := p.pick(a.keys, a.not, now); n >= 0 {
			return p.send(index, n, now)
		}
	}
	a.state = waits
	queue.put(index)
	return Order{Place: index, Use: a.use, Line: -1, At: a.deadline}
}

func kind(keys bool) int {
	if keys {
		return 1
	}
	return 0
}

// send takes a line for a command. One that may be repeated is given half of its
// time when there is somebody else to ask.
func (p *Pool[O]) send(index uint32, n int, now int64) Order {
	a, l := &p.places[index], &p.lines[n]
	a.state, a.line = out, int16(n)
	l.inFlight++
	p.pay(l.Module, now)
	at := a.deadline
	if !a.again && !a.keys && a.verb.Repeatable() && p.others(l.Module) {
		at = now + (a.deadline-now)/2
	}
	return Order{Place: index, Use: a.use, Header: p.header(index), Line: n, At: at}
}

func (p *Pool[O]) header(index uint32) uint32 {
	return p.places[index].use&p.mask<<p.bits | index
}

// others says that another module is trusted and has a line.
func (p *Pool[O]) others(module int) bool {
	for i := range p.lines {
		l := &p.lines[i]
		if l.up && !l.leaves && l.Module != module && p.modules[l.Module].state == Ready {
			return true
		}
	}
	return false
}

// pick chooses a line: of two at random the one with fewer commands out. A choice
// of two keeps from the slow without herding to the one that was idle last.
func (p *Pool[O]) pick(keys bool, not int16, now int64) int {
	count := len(p.lines)
	if count == 0 {
		return -1
	}
	special := keys && p.keyLines()
	p.random ^= p.random << 13
	p.random ^= p.random >> 7
	p.random ^= p.random << 17
	first := p.from(int(uint32(p.random)%uint32(count)), -1, special, not, now)
	if first < 0 {
		return -1
	}
	second := p.from(int(uint32(p.random>>32)%uint32(count)), first, special, not, now)
	if second >= 0 && p.lines[second].inFlight < p.lines[first].inFlight {
		return second
	}
	return first
}

// from gives the next line that takes a command, but for one; -1 when none does.
func (p *Pool[O]) from(at, but int, keys bool, not int16, now int64) int {
	for range p.lines {
		if at != but && p.takes(at, keys, not, now) {
			return at
		}
		if at++; at == len(p.lines) {
			at = 0
		}
	}
	return -1
}

// keyLines says that key management has lines of its own.
func (p *Pool[O]) keyLines() bool {
	for i := range p.lines {
		if l := &p.lines[i]; l.Keys && l.up && !l.leaves {
			return true
		}
	}
	return false
}

func (p *Pool[O]) takes(n int, keys bool, not int16, now int64) bool {
	l := &p.lines[n]
	if !l.up || l.leaves || l.Keys != keys || l.inFlight >= p.o.Window || int(not) == l.Module {
		return false
	}
	m := &p.modules[l.Module]
	return m.state == Ready && (p.o.Rate == 0 || m.next <= now+p.burst())
}

// burst is what a module may be asked at once after a rest: a twentieth of a
// second's licence, and a window's worth at least.
func (p *Pool[O]) burst() int64 {
	step := int64(1e9) / int64(p.o.Rate)
	return max(5e7, step*int64(p.o.Window)) - step
}

// pay takes a token.
func (p *Pool[O]) pay(module int, now int64) {
	if p.o.Rate > 0 {
		m := &p.modules[module]
		m.next = max(m.next, now) + int64(1e9)/int64(p.o.Rate)
	}
}

// Next gives a command that waited and can go now, or a probe; false when there is
// neither. Its owner asks until then, at the end of a turn and when Wait says.
func (p *Pool[O]) Next(now int64) (Order, *O, bool) {
	for k := range p.waiting {
		queue := &p.waiting[k]
		for queue.n > 0 {
			index := queue.first()
			a := &p.places[index]
			if a.state != waits {
				queue.take() // it expired while it waited
				p.vacate(index)
				continue
			}
			n := p.pick(a.keys, a.not, now)
			if n < 0 {
				break
			}
			queue.take()
			return p.send(index, n, now), &a.owner, true
		}
	}
	if o, ok := p.due(now); ok {
		return o, nil, true
	}
	return Order{}, nil, false
}

// Wait is when Next has to be asked at the latest; 0 when nothing is to come.
func (p *Pool[O]) Wait(now int64) int64 {
	if p.o.Rate > 0 && p.waiting[0].n+p.waiting[1].n > 0 {
		// What waits for a licence gets it by and by; what waits for a window is
		// sent when an answer comes.
		return now + max(int64(1e9)/int64(p.o.Rate), int64(1e6))
	}
	if p.probe == never {
		return 0
	}
	return p.probe
}

// Cancel frees the place of an order that could not be written.
func (p *Pool[O]) Cancel(o Order) {
	a := &p.places[o.Place]
	if a.state == probeOut {
		p.lines[a.line].probing = false
	}
	if a.state == waits {
		a.state = late // its queue still holds it
		return
	}
	p.lines[a.line].inFlight--
	p.vacate(o.Place)
}

// Find tells which command a header on a line answers. One that nobody waits for
// any more is counted, and its place is free from now on.
func (p *Pool[O]) Find(n int, header uint32, now int64) (index uint32, verb hsm.Verb, ok bool) {
	index = header & (1<<p.bits - 1)
	if int(index) >= len(p.places) {
		p.stats.Unmatched++
		return 0, 0, false
	}
	a := &p.places[index]
	if a.state < out || int(a.line) != n || a.use&p.mask != header>>p.bits {
		p.stats.Unmatched++
		return 0, 0, false
	}
	l := &p.lines[n]
	l.missed, l.heard = 0, now
	if a.state == late || a.state == probeLate {
		p.stats.Late++
		p.end(index)
		return 0, 0, false
	}
	return index, a.verb, true
}

// Answer ends a command that was found. Mine is false for a probe, and for one
// that the module failed and another shall do: then there is an order.
func (p *Pool[O]) Answer(index uint32, r *hsm.Reply, now int64) (owner O, retry Order, mine bool) {
	a := &p.places[index]
	n := int(a.line)
	owner = a.owner
	if a.state == probeOut {
		verb := a.verb
		p.lines[n].probing = false
		p.end(index)
		p.probed(n, verb, r, now)
		return owner, Order{Line: -1}, false
	}
	sick := unwell(r.Code)
	again := *a
	p.end(index)
	if !sick {
		return owner, Order{Line: -1}, true
	}
	p.quarantine(p.lines[n].Module, Faulty, now)
	if o, ok := p.repeat(&again, p.lines[n].Module, now); ok {
		return owner, o, false
	}
	return owner, Order{Line: -1}, true
}

// repeat places a command for a second module, if it may be and one is there.
func (p *Pool[O]) repeat(a *place[O], not int, now int64) (Order, bool) {
	if a.again || !a.verb.Repeatable() || now >= a.deadline || p.free.n == 0 || !p.others(not) {
		return Order{}, false
	}
	index := p.free.take()
	b := &p.places[index]
	b.verb, b.keys, b.again, b.not, b.line = a.verb, a.keys, true, int16(not), -1
	b.deadline, b.owner = a.deadline, a.owner
	p.stats.Retried++
	return p.dispatch(index, now), true
}

// Expiry is what became of a command whose time was over.
type Expiry uint8

// Expiries.
const (
	Nothing Expiry = iota // it had ended before
	Repeat                // the order says where it goes now
	Failed                // nobody answered in time
)

// Expire is to be called at an order's At. Close is a line that has answered
// nothing for too long, or -1.
func (p *Pool[O]) Expire(index, use uint32, now int64) (e Expiry, owner *O, o Order, closeLine int) {
	a := &p.places[index]
	if a.use&useBits != use&useBits {
		return Nothing, nil, o, -1
	}
	switch a.state {
	case waits:
		a.state = late
		p.stats.Expired++
		return Failed, &a.owner, o, -1
	case out, probeOut:
	default:
		return Nothing, nil, o, -1
	}
	n := int(a.line)
	l := &p.lines[n]
	p.stats.Expired++
	l.missed++
	l.late++
	l.expired++
	if a.state == probeOut {
		a.state, l.probing = probeLate, false
		p.unproved(n, now)
		return Nothing, nil, o, p.hopeless(n, now)
	}
	a.state = late
	e, owner = Failed, &a.owner
	if order, ok := p.repeat(a, l.Module, now); ok {
		e, o = Repeat, order
		owner = &p.places[o.Place].owner
	}
	return e, owner, o, p.hopeless(n, now)
}

// useBits are those of a use that a timer keeps.
const useBits = 1<<28 - 1

// hopeless takes a line out that does not answer; -1 when it is not so bad.
func (p *Pool[O]) hopeless(n int, now int64) int {
	l := &p.lines[n]
	if !l.up || l.missed < maxMissed && l.late*lateShare < len(p.places) {
		return -1
	}
	l.up, l.since = false, now
	p.quarantine(l.Module, Silent, now)
	return n
}

// Lost ends a line. Every command that was out on it is given to fate: with an
// order it goes to another module, without one (Line -1 and no place) it failed.
func (p *Pool[O]) Lost(n int, now int64, fate func(owner O, o Order, again bool)) {
	l := &p.lines[n]
	if l.up {
		l.up, l.since = false, now
	}
	l.probing = false
	for i := range p.places {
		a := &p.places[i]
		if a.state < out || int(a.line) != n {
			continue
		}
		was := *a
		p.end(uint32(i))
		if was.state != out {
			continue
		}
		o, ok := p.repeat(&was, l.Module, now)
		fate(was.owner, o, ok)
	}
}

// end frees the place of a command that was out.
func (p *Pool[O]) end(index uint32) {
	a := &p.places[index]
	l := &p.lines[a.line]
	l.inFlight--
	if a.state == late || a.state == probeLate {
		l.late--
	}
	p.vacate(index)
}

func (p *Pool[O]) vacate(index uint32) {
	p.places[index] = place[O]{use: p.places[index].use + 1, line: -1, not: -1}
	p.free.put(index)
}
