package node

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"tongka/engine"
	"tongka/sim"
)

// waiting is a caller in the backlog of a socket that the next node inherits.
// served is closed when that has taken him in and hung up on his empty frame.
func (l *lives) waiting() (served chan struct{}) {
	l.t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		l.t.Fatal(err)
	}
	l.gets = map[string]*net.TCPListener{"pos": ln}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Write([]byte{0, 0}); err != nil {
		l.t.Fatal(err)
	}
	served = make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, c)
		close(served)
	}()
	return served
}

func (l *lives) taken(served chan struct{}) {
	l.t.Helper()
	select {
	case <-served:
	case <-time.After(time.Minute):
		l.t.Error("the caller was not taken in")
	}
}

// Whoever waits in the backlog at a hot restart is taken in when the bank is
// signed on, and not to be told that it is not.
func TestCallersWaitForTheBank(t *testing.T) {
	bank := bankAt(t, sim.BankConfig{Listen: "127.0.0.1:0"})
	l := newLives(t)
	l.stop()
	slow, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slow.Close() })
	l.edit("127.0.0.1:1", slow.Addr().String())
	served := l.waiting()
	go func() { // a bank that is far away
		near, err := slow.Accept()
		if err != nil {
			return
		}
		select {
		case <-served:
			t.Error("the doors opened before the bank was there")
		case <-time.After(200 * time.Millisecond):
		}
		far, err := net.Dial("tcp", bank.Addr())
		if err != nil {
			t.Error(err)
			return
		}
		go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}()
	l.start()
	var c engine.Count
	if err := l.node.shard.Do(t.Context(), &c); err != nil || c.Banks != 0 {
		t.Errorf("%v: %+v", err, c)
	}
	l.taken(served)
}

// A bank that is down does not keep the callers waiting for ever.
func TestCallersDoNotWaitForADeadBank(t *testing.T) {
	l := newLives(t)
	l.stop()
	served := l.waiting()
	l.start()
	l.taken(served)
}

// impatient gives up after its first question.
type impatient struct {
	context.Context
	asked int
}

func (c *impatient) Done() <-chan struct{} {
	if c.asked++; c.asked == 1 {
		return nil
	}
	over := make(chan struct{})
	close(over)
	return over
}

func (c *impatient) Err() error { return context.DeadlineExceeded }

// When the front has changed the shard follows, even if nobody has time for it:
// half a reload would leave the two with different ideas of who is who.
func TestReloadIsNotLeftInTheMiddle(t *testing.T) {
	l := newLives(t)
	l.edit("listeners: [", `listeners: [{name: second, address: "127.0.0.1:0"}, `)
	r, err := l.node.revise()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.node.apply(&impatient{Context: t.Context()}, r); err != nil {
		t.Fatal(err)
	}
	if l.node.Addr(0) == nil || l.node.Addr(1) == nil {
		t.Error("a listener is not known")
	}
}
