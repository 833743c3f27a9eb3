package conn

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
)

// endingLoop closes connections as gnet does.
type endingLoop struct {
	gnet.EventLoop
	l *loop
}

func (e endingLoop) Close(c gnet.Conn) error {
	e.l.closed(c.Context().(*peer), nil)
	return nil
}

// namedConn knows its peer.
type namedConn struct {
	deafConn
	p *peer
}

func (c namedConn) Context() any { return c.p }

// guests is a bare loop with n more connections.
func guests(t *testing.T, n int, c ListenerConfig) (*loop, *relay, []*peer) {
	l, r, _ := bare()
	t.Cleanup(func() { l.timer.Stop() })
	l.el = endingLoop{l: l}
	d := newDoor(context.Background(), true, 0, listenerTerms(&c, nil))
	all := make([]*peer, n)
	for i := range all {
		all[i] = &peer{door: d, loop: l}
		l.opened(namedConn{p: all[i]}, all[i])
	}
	l.tick()
	return l, r, all
}

func alive(all []*peer) (n int) {
	for _, p := range all {
		if p.state == open {
			n++
		}
	}
	return n
}

// turnWhenDue plays turns until the first of the crowd's deadlines has passed.
func turnWhenDue(t *testing.T, l *loop) {
	t.Helper()
	for end := time.Now().Add(patience); l.overdue.empty() && time.Now().Before(end); {
		<-time.After(time.Millisecond)
		l.now = time.Now().UnixNano()
		l.wheel.Advance(l.now, l.due)
	}
	if l.overdue.empty() {
		t.Fatal("nobody is overdue")
	}
}

// Half frames that fall due together cost each turn only so much, and the frame
// that came before the cut is not lost for the deadline's sake.
func TestHalfFramesAreCutInParts(t *testing.T) {
	const n = 50
	l, r, all := guests(t, n, ListenerConfig{Framing: Binary2, FrameTimeout: time.Nanosecond})
	for _, p := range all {
		l.received(p, framed("sale")[:3])
	}
	turnWhenDue(t, l)
	l.tick()
	for left := n - overduePerTurn; left > 10; left -= overduePerTurn {
		if got := alive(all); got != left || !l.bell.rung.Load() {
			t.Fatalf("%d are left, want %d; rung %v", got, left, l.bell.rung.Load())
		}
		l.tick()
	}
	last := all[0] // the wheel gives the latest of a tick first
	l.received(last, framed("sale")[3:])
	next := all[1] // its frame comes, and another begins, for which a new time runs
	next.door.terms.Load().frameTimeout = int64(time.Hour)
	l.received(next, framed("sale")[3:])
	l.received(next, framed("more")[:3])
	for range n {
		l.tick()
	}
	if alive(all) != 2 || last.state != open || next.state != open || !l.overdue.empty() {
		t.Errorf("%d are left, the last %v, %v", alive(all), last.state, next.state)
	}
	if r.n.Load() != 2 || l.count[closedHalfFrame] != n-2 {
		t.Errorf("%d frames, %d cut", r.n.Load(), l.count[closedHalfFrame])
	}
}

// Those who were silent for too long are cut so, too, unless they speak or the
// limit changes before.
func TestIdleAreCutInParts(t *testing.T) {
	const n = 30
	l, _, all := guests(t, n, ListenerConfig{Framing: Binary2, Idle: 50 * time.Millisecond})
	for len(l.overdue.list) < n {
		<-time.After(time.Millisecond)
		l.now = time.Now().UnixNano()
		l.wheel.Advance(l.now, l.due)
	}
	l.received(all[n-1], framed("here"))
	l.tick()
	if got := alive(all); got != n-overduePerTurn {
		t.Errorf("%d are left after a turn, want %d", got, n-overduePerTurn)
	}
	all[0].door.terms.Load().idle = int64(time.Hour)
	l.retime()
	for range n {
		l.tick()
	}
	if got := alive(all); got != n-overduePerTurn {
		t.Errorf("%d are left with a longer limit", got)
	}
	all[0].door.terms.Load().idle = 0
	l.retime()
	l.tick()
	if got := alive(all); got != n-overduePerTurn || !l.overdue.empty() {
		t.Errorf("%d are left without a limit", got)
	}
	all[0].door.terms.Load().idle = 1
	l.retime()
	l.retime() // twice in the list
	for range 2 * n {
		l.tick()
	}
	if alive(all) != 0 || l.count[closedIdle] != n || !l.overdue.empty() {
		t.Errorf("%d are left, %d cut", alive(all), l.count[closedIdle])
	}
}

// The list keeps its order and its room while it is never empty.
func TestOverdueListDoesNotGrow(t *testing.T) {
	var o overdue
	peers := make([]*peer, 100)
	for i := range peers {
		peers[i] = &peer{id: makeID(uint32(i), 1)}
		o.add(peers[i], idleTimer)
	}
	for i := range 10_000 {
		late := o.take()
		if late.p != peers[i%100] {
			t.Fatalf("%d: %#x", i, late.p.id)
		}
		o.add(late.p, halfTimer)
	}
	if cap(o.list) > 400 {
		t.Errorf("room for %d", cap(o.list))
	}
	for i := range peers {
		if o.empty() || o.take().p != peers[i] {
			t.Fatalf("%d is lost", i)
		}
	}
	if !o.empty() {
		t.Error("not empty")
	}
}

// A crowd that comes while the loop is busy is let in in parts, whole turns apart,
// and all of it.
func TestNewcomersComeInParts(t *testing.T) {
	const n = 200
	busy, goOn := make(chan struct{}), make(chan struct{})
	var most, before int
	f, probes := run(t, door1(), func(p *probe) {
		p.on = func(_ ID, b []byte) bool {
			if string(b) != "wait" {
				return false
			}
			close(busy)
			<-goOn
			return true
		}
		p.onTick = func(int64) int64 {
			most, before = max(most, len(p.peers)-before), len(p.peers)
			return 0
		}
	})
	write(t, dial(t, f), framed("wait"))
	<-busy
	conns := make([]*net.TCPConn, n)
	for i := range conns {
		conns[i] = dial(t, f)
	}
	close(goOn)
	for _, c := range conns {
		ask(t, c, "in")
	}
	probes[0].see(func() {
		if most > newcomersPerTurn || most < 2 {
			t.Errorf("%d in one turn", most)
		}
	})
}

// Who waits to be let in when the front stops is told the end like all others.
func TestStopWhileNewcomersWait(t *testing.T) {
	const n = 3 * newcomersPerTurn
	busy, goOn := make(chan struct{}), make(chan struct{})
	f, probes := run(t, door1(), func(p *probe) {
		p.on = func(ID, []byte) bool { close(busy); <-goOn; return true }
	})
	write(t, dial(t, f), framed("wait"))
	<-busy
	conns := make([]*net.TCPConn, n)
	for i := range conns {
		conns[i] = dial(t, f)
	}
	ended := make(chan error, n)
	for _, c := range conns {
		go func() {
			_, err := io.Copy(io.Discard, c)
			_ = c.Close()
			ended <- err
		}()
	}
	go func() { // Stop is on its way before the loop goes on
		<-f.ctx.Done()
		f.entering.Wait()
		close(goOn)
	}()
	stop(t, f, probes)
	for range n {
		if err := <-ended; err != nil {
			t.Errorf("the end is %v", err)
		}
	}
	for _, err := range probes[0].ends(n) {
		if !errors.Is(err, ErrStopped) && err != nil {
			t.Errorf("closed for %v", err)
		}
	}
}
