package conn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMaxConnsRefusesAndGoesOn(t *testing.T) {
	f, probes := run(t, door1(func(l *ListenerConfig) { l.MaxConns = 3 }))
	conns := make([]*net.TCPConn, 3)
	for i := range conns {
		conns[i] = dial(t, f)
		ask(t, conns[i], "in")
	}
	for range 5 {
		refused(t, f.Addr(0).String())
	}
	within(t, "5 refused", func() bool { return f.Stats().Refused == 5 })
	ask(t, conns[0], "not disturbed")
	_ = conns[1].Close()
	probes[0].ends(1)
	within(t, "the place is free", func() bool { return f.Stats().Open == 2 })
	ask(t, dial(t, f), "in its place")
	if s := f.Stats(); s.Accepted != 4 || s.Open != 3 {
		t.Errorf("%d accepted and %d open, want 4 and 3", s.Accepted, s.Open)
	}
}

// A peer that asks and never reads is cut when too much waits for it, and its
// neighbour notices nothing.
func TestSlowReaderHitsTheCap(t *testing.T) {
	const limit = 64 << 10
	f, probes := run(t, door1(func(l *ListenerConfig) { l.MaxOutbound = limit }))
	honest, slow := dial(t, f), dial(t, f)
	_ = slow.SetReadBuffer(4096)
	request := framed(strings.Repeat("q", 4000))
	var broken error
	for range 10_000 { // 40 MB, far more than both socket buffers hold
		if _, broken = slow.Write(request); broken != nil {
			break
		}
		ask(t, honest, "me too")
	}
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrOutbound) {
		t.Errorf("closed for %v", errs[0])
	}
	within(t, "counted", func() bool { return f.Stats().ClosedOutboundCap == 1 })
	ask(t, honest, "still here")
	// Linger 0: the kernel drops what it held and resets, whichever call sees it.
	if broken == nil {
		_, broken = io.Copy(io.Discard, slow)
	}
	if !errors.Is(broken, syscall.ECONNRESET) && !errors.Is(broken, syscall.EPIPE) {
		t.Errorf("the slow reader sees %v, want a reset", broken)
	}
}

// One Send over the cap is refused too, when the socket does not take it.
func TestOneSendOverTheCap(t *testing.T) {
	huge := make([]byte, 32<<20)
	result := make(chan error, 1)
	f, probes := run(t, door1(func(l *ListenerConfig) { l.MaxOutbound = 1000 }), func(p *probe) {
		p.on = func(id ID, _ []byte) bool {
			result <- p.loop.Send(id, huge)
			if err := p.loop.Send(id, huge); !errors.Is(err, ErrClosed) {
				t.Errorf("sending on gives %v", err)
			}
			return true
		}
	})
	write(t, dial(t, f), framed("a"))
	if err := <-result; !errors.Is(err, ErrOutbound) {
		t.Errorf("Send gives %v", err)
	}
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrOutbound) {
		t.Errorf("closed for %v", errs[0])
	}
}

// Stop lets out what a last tick sends and what a slow peer has yet to read.
func TestStopFlushes(t *testing.T) {
	answer := framed(strings.Repeat("a", 60_000))
	f, probes := run(t, door1(func(l *ListenerConfig) { l.MaxOutbound = 64 << 20 }))
	c := dial(t, f)
	ask(t, c, "hello")
	const n = 300 // 18 MB: more than the socket takes at once
	probes[0].see(func() {
		for id := range probes[0].peers {
			probes[0].out[id] = bytes.Repeat(answer, n) // for the next tick, which is Stop's
		}
	})
	got := make(chan int64, 1)
	go func() {
		all, err := io.Copy(io.Discard, c)
		if err != nil {
			t.Errorf("after %d bytes: %v", all, err)
		}
		_ = c.Close()
		got <- all
	}()
	stop(t, f, probes)
	if all := <-got; all != int64(n*len(answer)) {
		t.Errorf("%d bytes came out, want %d", all, n*len(answer))
	}
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrStopped) {
		t.Errorf("closed for %v", errs[0])
	}
	if _, err := net.Dial("tcp", f.Addr(0).String()); err == nil {
		t.Error("still listening")
	}
}

// A peer that neither reads nor leaves cannot hold Stop up for longer than ctx.
func TestStopGivesUpWithItsContext(t *testing.T) {
	f, probes := run(t, door1(func(l *ListenerConfig) { l.MaxOutbound = 64 << 20 }), func(p *probe) {
		p.on = func(id ID, _ []byte) bool {
			p.out[id] = make([]byte, 32<<20)
			return true
		}
	})
	c := dial(t, f)
	write(t, c, framed("a"))
	within(t, "sent", func() bool { return f.Stats().Sends == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v", err)
	}
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrStopped) {
		t.Errorf("closed for %v", errs[0])
	}
	// Stopping again says the same; forget it, for the cleanup expects nil.
	if err := f.Stop(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stopped again: %v", err)
	}
	f.stopErr = nil
}

// Close sends what waits first, although the peer's own bytes lie unread, and
// delivers nothing more.
func TestCloseAfterWhatWasSent(t *testing.T) {
	answer := framed(strings.Repeat("a", 50_000))
	f, probes := run(t, door1(func(l *ListenerConfig) { l.MaxOutbound = 64 << 20 }), func(p *probe) {
		p.on = func(id ID, b []byte) bool {
			if string(b) != "bye" {
				t.Errorf("frame %q after Close", b)
			}
			if err := p.loop.Send(id, bytes.Repeat(answer, 200)); err != nil {
				t.Error(err)
			}
			p.loop.Close(id)
			p.loop.Close(id) // once is enough, twice is harmless
			if err := p.loop.Send(id, answer); !errors.Is(err, ErrClosed) {
				t.Errorf("Send after Close gives %v", err)
			}
			return true
		}
	})
	c := dial(t, f)
	write(t, c, bytes.Join([][]byte{framed("bye"), framed("more"), framed("and more")}, nil))
	if n, err := io.Copy(io.Discard, c); err != nil || n != int64(200*len(answer)) {
		t.Errorf("%d bytes and %v, want %d", n, err, 200*len(answer))
	}
	_ = c.Close()
	if errs := probes[0].ends(1); errs[0] != nil {
		t.Errorf("closed for %v, want nil", errs[0])
	}
	within(t, "counted", func() bool { return f.Stats().ClosedByUs == 1 })
}

// A closed peer that keeps its side open is cut when our patience ends.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	f, probes := run(t, door1(), func(p *probe) {
		p.on = func(id ID, _ []byte) bool { p.loop.Close(id); return true }
	})
	c := dial(t, f)
	write(t, c, framed("a"))
	readEnd(t, c) // it sees the end, and stays
	if errs := probes[0].ends(1); errs[0] != nil {
		t.Errorf("closed for %v, want nil", errs[0])
	}
}

// The peer resets while we send: the write fails, Closed comes once, afterwards
// and not inside the handler's own call, and only once.
func TestPeerGoneWhileSending(t *testing.T) {
	var results []error
	f, probes := run(t, door1(), func(p *probe) {
		p.onTick = func(int64) int64 {
			for id := range p.peers {
				if isNew(p.closed, id) && len(p.frames) > 0 {
					results = append(results, p.loop.Send(id, framed("anyone?")))
				}
			}
			return time.Now().UnixNano()
		}
	})
	c := dial(t, f)
	ask(t, c, "hello")
	reset(c)
	errs := probes[0].ends(1)
	if errs[0] == nil {
		t.Error("closed without a reason")
	}
	within(t, "counted", func() bool { return f.Stats().ClosedReset == 1 })
}

// The peer is gone before the handler acts: Send fails inside gnet, or Close
// finds nothing to hang up. Closed comes once, and not inside that call: the
// probe checks both.
func TestPeerGoneBeforeTheHandlerActs(t *testing.T) {
	for name, act := range map[string]func(l Loop, id ID) error{
		"send":  func(l Loop, id ID) error { return l.Send(id, framed("too late")) },
		"close": func(l Loop, id ID) error { l.Close(id); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			inside, gone := make(chan struct{}), make(chan struct{})
			var result error
			f, probes := run(t, door1(), func(p *probe) {
				p.on = func(id ID, _ []byte) bool {
					close(inside)
					<-gone
					result = act(p.loop, id)
					if err := p.loop.Send(id, framed("again")); !errors.Is(err, ErrClosed) {
						t.Errorf("Send afterwards gives %v", err)
					}
					return true
				}
			})
			c := dial(t, f)
			write(t, c, framed("a"))
			<-inside
			reset(c)
			close(gone)
			errs := probes[0].ends(1)
			probes[0].see(func() {
				if (result == nil) != (name == "close") || !errors.Is(errs[0], result) {
					t.Errorf("the act gave %v and Closed %v", result, errs[0])
				}
			})
		})
	}
}

// A socket that gnet cannot take is counted and given up, its place freed.
func TestSocketThatCannotBeEnrolled(t *testing.T) {
	f, probes := run(t, door1())
	a, b := net.Pipe() // has no descriptor
	defer b.Close()
	p := &peer{door: f.doors[0], loop: f.loops[0]}
	if f.boardConn(p, a, true) == nil {
		t.Fatal("a pipe was enrolled")
	}
	if s := f.Stats(); s.EnrollErrs != 1 || s.Open != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("its other end sees %v", err)
	}
	if open, _, _ := probes[0].count(); open != 0 {
		t.Error("it was opened")
	}
}

// A descriptor that epoll refuses, too, and nobody waits for ever.
func TestDescriptorThatEpollRefuses(t *testing.T) {
	f, probes := run(t, door1())
	file, err := os.CreateTemp(t.TempDir(), "") // epoll takes no plain file
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	within(t, "the listener is watched", func() bool { // and makes no descriptor of its own any more
		e := f.listeners[0].in
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.loop != nil
	})
	fd, err := dup(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{door: f.doors[0], loop: f.loops[0]}
	p.loop.takeOn(p)
	arrived := make(chan struct{})
	p.loop.board(boarder{p: p, fd: fd, arrived: arrived})
	<-arrived
	if s := f.Stats(); p.opened || s.EnrollErrs != 1 || s.Open != 0 {
		t.Errorf("opened %v, %+v", p.opened, s)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
		t.Error("its descriptor is left open")
	}
	if open, _, _ := probes[0].count(); open != 0 {
		t.Error("it was opened")
	}
	ask(t, dial(t, f), "the loop goes on")
}

// Out of file descriptors, connections are refused or wait; those that are in
// go on, and so does the listener when descriptors are free again.
func TestOutOfFileDescriptors(t *testing.T) {
	f, _ := run(t, door1())
	honest := dial(t, f)
	ask(t, honest, "in")

	var had syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	restore := func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had) }
	defer restore()
	probe, err := syscall.Dup(0) // the lowest free number
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Close(probe)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(probe) + 20, Max: had.Max}); err != nil {
		t.Fatal(err)
	}
	var crowd []net.Conn
	defer func() {
		for _, c := range crowd {
			_ = c.Close()
		}
	}()
	within(t, "accept fails", func() bool {
		c, err := net.DialTimeout("tcp", f.Addr(0).String(), time.Second)
		if err == nil {
			crowd = append(crowd, c)
		}
		return f.Stats().AcceptErrs > 0
	})
	ask(t, honest, "still here")
	for _, c := range crowd {
		_ = c.Close()
	}
	restore()
	ask(t, dial(t, f), "in again")
	ask(t, honest, "and here")
}
