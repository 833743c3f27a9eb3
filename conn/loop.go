package conn

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"tongka/timeout"
)

const (
	wheelTick = 10 * time.Millisecond // our own deadlines are seconds
	wheelRoom = 1024
	// longestSleep bounds how late a clock that was set forward is noticed, for
	// runtime timers do not follow it.
	longestSleep = time.Second
	// closePatience is how long a closed peer may take to read what is left and
	// to close its side; closeStep is how often we look.
	closePatience = 2 * time.Second
	closeStep     = 10 * time.Millisecond
)

// loop is one gnet event loop with its handler and its connections. Everything
// below the first group of fields belongs to the loop's goroutine.
//
// A turn: what is ready is reported, and when the reports are through there is a
// tick. What the handler is told while it is being told something else waits until
// it returns.
type loop struct {
	number   int
	bell     bell
	rang     atomic.Bool    // the timer has
	el       gnet.EventLoop // set before the loop is used
	sight    sight          // the same
	front    *Front         // the same
	open     atomic.Int64   // connections handed to it and not closed since
	shared   sharedCounts
	boarding boarding
	done     chan struct{} // closed when stopping has closed the last connection

	h       Handler
	drainer Drainer  // h, when it is one
	caller  Caller   // the same
	demand  sync.Map // of links dialled on demand, by index: chan struct{} with room for one
	slots   []slot
	free    []uint32 // indexes of empty slots
	live    int
	wheel   *timeout.Wheel
	due     func(uint64) // method value made once
	now     int64        // unix ns of the turn's first report, then of its tick
	began   int64        // unix ns of the turn's first report
	timer   *time.Timer  // rings the bell
	timerAt int64        // what timer is set to, unix ns; 0 when it has rung
	yielded int64        // now, when the scheduler last had the goroutine
	yield   func()       // gives it to the scheduler

	heard    bool // something was reported in this turn
	ticking  bool
	again    bool // something was reported during the tick, or waits for the next turn
	telling  bool // the handler is being called
	stopping bool
	welcomed int // newcomers who were let in this turn

	pending  []ending // connections that are gone, not told yet
	came     []arrival
	frames   []byte // of came, one behind the other
	partials partials
	plain    []byte // what one TLS record held
	sealed   []byte // TLS records on their way out; empty between two calls
	overdue  overdue
	count    counts
}

// slot keeps an index's generation while nobody has it.
type slot struct {
	p   *peer
	gen uint32
}

type ending struct {
	id  ID
	err error
}

// arrival is a frame that the handler has not been told yet, up to end in
// loop.frames.
type arrival struct {
	id  ID
	end int
}

func newLoop(number int) *loop {
	l := &loop{number: number, wheel: timeout.New(wheelTick, wheelRoom), done: make(chan struct{}), yield: runtime.Gosched}
	l.due = l.expired
	l.timer = time.AfterFunc(math.MaxInt64, func() {
		l.rang.Store(true)
		l.bell.ring()
	})
	return l
}

// Wake implements Loop.
func (l *loop) Wake() { l.bell.ring() }

// Send implements Loop.
func (l *loop) Send(id ID, framed []byte) error {
	p := l.peer(id)
	if p == nil || p.state != open {
		return ErrClosed
	}
	limit := p.door.terms.Load().maxOutbound
	if waits := p.c.OutboundBuffered(); waits > 0 && waits+len(framed) > limit {
		return l.cut(p, ErrOutbound)
	}
	if p.tls != nil {
		var err error
		if framed, err = l.seal(p, framed); err != nil {
			return l.cut(p, ErrTLS)
		}
		defer l.unseal()
	}
	l.count[sends]++
	l.count[bytesOut] += uint64(len(framed))
	p.sent = l.now
	left, err := push(p.c, framed)
	if err != nil {
		return l.cut(p, err)
	}
	if len(left) == 0 {
		return nil
	}
	if _, err := p.c.Write(left); err != nil {
		return l.cut(p, err) // usually gnet has closed it inside Write
	}
	if p.c.OutboundBuffered() > limit {
		return l.cut(p, ErrOutbound)
	}
	return nil
}

// Close implements Loop.
func (l *loop) Close(id ID) {
	if p := l.peer(id); p != nil && p.state == open {
		l.finish(p, nil)
	}
}

// Reject implements Loop.
func (l *loop) Reject(id ID) {
	if p := l.peer(id); p != nil && p.state == open {
		l.finish(p, ErrRejected)
	}
}

// finish closes a connection after what was sent to it has left.
func (l *loop) finish(p *peer, why error) {
	p.state, p.why = closing, why
	p.until = l.now + int64(closePatience)
	l.disarm(p)
	l.dropPart(p)
	if p.tls != nil {
		if l.sayGoodbye(p); p.state == gone {
			return
		}
	}
	l.closeOn(p)
}

// closeOn takes the next step of closing: wait for the outbound buffer, then
// for the peer's own end of stream, at most for closePatience.
func (l *loop) closeOn(p *peer) {
	waits := p.c.OutboundBuffered()
	switch {
	case l.now >= p.until:
		_ = l.cut(p, p.why)
		return
	case waits == 0 && !p.shut:
		if p.hangUp() != nil { // the peer has gone already
			_ = l.cut(p, p.why)
			return
		}
	}
	next := p.until
	if !p.shut {
		next = l.now + int64(closeStep)
	}
	p.half = l.wheel.Arm(next, p.timerID(closeTimer))
}

// cut closes a connection now and returns why. What has not been sent by then
// is dropped, for its reader is gone or does not read.
func (l *loop) cut(p *peer, why error) error {
	if p.state == gone {
		return why
	}
	p.why = why
	if p.c.OutboundBuffered() > 0 {
		_ = p.c.SetLinger(0)
	}
	_ = l.el.Close(p.c) // calls closed; its error is of the descriptor's end and changes nothing
	return why
}

// peer is nil when id's connection is gone.
func (l *loop) peer(id ID) *peer {
	i := id.Index()
	if int(i) >= len(l.slots) {
		return nil
	}
	if p := l.slots[i].p; p != nil && p.id == id {
		return p
	}
	return nil
}

// reported begins a turn, or joins the one that has begun.
func (l *loop) reported() {
	switch {
	case l.heard:
	case l.ticking:
		l.again = true
	default:
		l.heard = true
		l.now = time.Now().UnixNano()
		l.began = l.now
	}
}

// tick is called when the turn's reports are through.
func (l *loop) tick() {
	l.now = time.Now().UnixNano()
	l.handIn()
	if l.rang.Load() { // asked for and not worked out: the two clocks drift
		l.rang.Store(false)
		l.timerAt = 0
	}
	l.heard = true // what expires needs no tick of its own
	l.wheel.Advance(l.now, l.due)
	l.heard, l.ticking = false, true
	l.telling = true
	next := l.h.Tick(l.now)
	l.told()
	l.cutOverdue()
	l.ticking, l.welcomed = false, 0
	l.shared.publish(&l.count)
	l.sleepUntil(next)
}

// sleepUntil sets the timer for the handler's wish or our own, whichever is
// first. A timer that is set for something earlier stays: firing for nothing is
// cheaper than setting it again in each tick.
func (l *loop) sleepUntil(next int64) {
	if own, ok := l.wheel.Next(); ok && (next == 0 || own < next) {
		next = own
	}
	if next == 0 {
		return
	}
	next = min(next, l.now+int64(longestSleep))
	if l.timerAt != 0 && l.timerAt <= next {
		return
	}
	l.timerAt = next
	l.timer.Reset(time.Duration(max(next-l.now, 0)))
}

// expired is called by the wheel.
func (l *loop) expired(id uint64) {
	p := l.slots[id/timerKinds].p
	switch id % timerKinds {
	case idleTimer:
		// Armed once and not at each frame: see how long it has been in fact.
		l.watchIdle(p)
	case halfTimer:
		l.overdue.add(p, halfTimer)
	case closeTimer:
		if l.now >= p.until {
			l.overdue.add(p, closeTimer)
			return
		}
		l.closeOn(p)
	case aliveTimer:
		l.keepAlive(p)
	case leaveTimer:
		l.leave(p)
	}
}

// keepAlive sends a keep-alive when nothing was sent for long enough. Its timer
// is armed once and not at each Send. What waits in the buffer of a peer that
// does not read keeps the line as much alive.
func (l *loop) keepAlive(p *peer) {
	t := p.door.terms.Load()
	at := p.sent + t.aliveAfter
	if at <= l.now {
		if p.c.OutboundBuffered() == 0 {
			l.count[keepAlivesSent]++
			if l.Send(p.id, t.alive) != nil {
				return
			}
		}
		at = l.now + t.aliveAfter
	}
	p.alive = l.wheel.Arm(at, p.timerID(aliveTimer))
}

// watchIdle sets a connection's clock for the time when it will have been silent
// for too long, or has it cut when it has.
func (l *loop) watchIdle(p *peer) {
	p.idle = 0
	switch at, limited := p.idleEnd(); {
	case !limited:
	case at > l.now:
		p.idle = l.wheel.Arm(at, p.timerID(idleTimer))
	default:
		l.overdue.add(p, idleTimer)
	}
}

func (l *loop) disarm(p *peer) {
	l.wheel.Disarm(p.idle)
	l.wheel.Disarm(p.half)
	l.wheel.Disarm(p.alive)
	l.wheel.Disarm(p.out)
	p.idle, p.half, p.alive, p.out = 0, 0, 0, 0
}

func (l *loop) dropPart(p *peer) {
	l.partials.put(p.part)
	p.part = nil
}

// stop runs on the loop: a last tick for what the handler has pending, then
// every connection is closed.
func (l *loop) stop() {
	for l.letAboard(math.MaxInt) { // who was on the way is told the end like all others
	}
	l.stopping = true
	l.tick()
	for _, s := range l.slots {
		if s.p != nil && s.p.state == open {
			l.finish(s.p, ErrStopped)
		}
	}
	l.tick() // publishes, and sets the timer for the steps of closing
	l.checkDone()
}

func (l *loop) checkDone() {
	if !l.stopping || l.live > 0 {
		return
	}
	select {
	case <-l.done:
	default:
		close(l.done)
	}
}
