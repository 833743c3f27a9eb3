package conn

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"

	"tongka/conn/gate"
)

// How long an acceptor pauses when accept fails, each time twice as long.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = 160 * time.Millisecond
)

// enrolment is a socket on its way to its loop.
type enrolment struct {
	p      *peer
	result <-chan gnet.RegisteredResult
}

// entrance is a listening socket and the door that those who come in belong to.
type entrance struct {
	ln   *net.TCPListener
	bare bool                 // inherited, so that it does not set keep-alive on what it accepts
	door atomic.Pointer[door] // Update changes it when the socket stays and the framing does not
}

// accept takes sockets in until the listener is closed. It never waits for a
// loop: a loop that is in the middle of a long turn must not slow the door.
func (f *Front) accept(e *entrance) {
	pause := acceptPauseMin
	for {
		c, err := e.ln.AcceptTCP()
		d := e.door.Load()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			f.acceptErrs.Add(1)
			if pause == acceptPauseMin { // once for each bad time
				f.log.Warn("accept failed", zap.String("listener", d.name), zap.Error(err))
			}
			f.pause(f.ctx, pause)
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = acceptPauseMin
		t := d.terms.Load()
		guest := f.admit(d, t, c)
		if guest == nil {
			refuse(c)
			continue
		}
		f.accepted.Add(1)
		if e.bare {
			_ = c.SetKeepAliveConfig(keepAlive) // a peer that is gone is noticed later
		}
		if t.tls != nil {
			f.greet(d, guest, t.tls, c)
			continue
		}
		p := f.newcomer(d, guest)
		if result, ok := f.enroll(p, c); ok {
			f.enrolled <- enrolment{p, result}
		}
	}
}

// admit is nil for a caller who is refused, and counts why. Nothing has been
// spent on him but an accept.
func (f *Front) admit(d *door, t *terms, c *net.TCPConn) *gate.Guest {
	now := time.Now().UnixNano()
	guest, verdict := d.gate.Enter(addrPort(c.RemoteAddr()).Addr(), now)
	switch verdict {
	case gate.Denied:
		f.denied.Add(1)
	case gate.TooMany:
		f.tooMany.Add(1)
	case gate.TooFast:
		f.tooFast.Add(1)
	case gate.ShutOut:
		f.shutOut.Add(1)
	case gate.In:
		if d.open.Load()+d.pending.Load() < t.maxConns {
			return guest
		}
		d.gate.Leave(guest, now)
		f.refused.Add(1)
	}
	return nil
}

// newcomer is a connection that came in by the door. All lines of one link
// belong to one loop, which tells how many there are.
func (f *Front) newcomer(d *door, guest *gate.Guest) *peer {
	if d.listener {
		return &peer{door: d, guest: guest, loop: f.idlest()}
	}
	return &peer{door: d, guest: guest, loop: f.loops[d.index%len(f.loops)], down: make(chan struct{})}
}

// refuse resets: a flood of refused callers must not leave a flood of sockets
// in TIME_WAIT.
func refuse(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// idlest is the loop with the fewest connections.
func (f *Front) idlest() *loop {
	best := f.loops[0]
	for _, l := range f.loops[1:] {
		if l.open.Load() < best.open.Load() {
			best = l
		}
	}
	return best
}

// enroll gives the socket to gnet, which takes it over in any case.
func (f *Front) enroll(p *peer, c net.Conn) (<-chan gnet.RegisteredResult, bool) {
	dropZones(c)
	p.loop.takeOn(p)
	result, err := p.loop.el.Enroll(gnet.NewContext(context.Background(), p), c)
	if err != nil {
		_ = c.Close()
		f.notEnrolled(p, err)
		return nil, false
	}
	return result, true
}

// outcome waits for gnet. It can fail without saying so, when epoll refuses
// the socket; then the peer was never opened.
func (f *Front) outcome(e enrolment) bool {
	r := <-e.result
	if r.Err == nil && e.p.opened {
		return true
	}
	f.notEnrolled(e.p, r.Err)
	return false
}

var errNotOpened = errors.New("the event loop did not take the socket")

func (f *Front) notEnrolled(p *peer, err error) {
	p.loop.letGo(p)
	f.enrollErrs.Add(1)
	f.log.Warn("connection not enrolled", zap.String("at", p.door.name), zap.Error(or(err, errNotOpened)))
}

// settle looks at what became of accepted sockets, in place of the acceptors.
func (f *Front) settle() {
	defer close(f.settled)
	var watching sync.WaitGroup
	defer watching.Wait()
	for e := range f.enrolled {
		if f.outcome(e) && !e.p.door.listener {
			watching.Go(func() { f.watch(e.p) })
		}
	}
}

func (l *loop) takeOn(p *peer) {
	l.open.Add(1)
	p.door.open.Add(1)
}

func (l *loop) letGo(p *peer) {
	l.open.Add(-1)
	p.door.open.Add(-1)
	if p.guest != nil {
		p.door.gate.Leave(p.guest, time.Now().UnixNano())
	}
}

// pause is false when ctx ended meanwhile.
func (f *Front) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
