package conn

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWakeFromOutside(t *testing.T) {
	f, probes := run(t, door1())
	p := probes[0]
	ticks := func() (n int) { p.see(func() { n = p.ticks }); return }
	within(t, "the first tick", func() bool { return ticks() > 0 })
	for range 20 {
		before := ticks()
		p.loop.Wake()
		within(t, "a tick after Wake", func() bool { return ticks() > before })
	}
	var all sync.WaitGroup
	for range 8 { // many at once, while traffic goes on
		all.Go(func() {
			for range 1000 {
				p.loop.Wake()
			}
		})
	}
	c := dial(t, f)
	for i := range 200 {
		ask(t, c, fmt.Sprint(i))
	}
	all.Wait()
}

func TestWakeAfterStop(t *testing.T) {
	f, probes := run(t, door1())
	stop(t, f, probes)
	var before, after int
	probes[0].see(func() { before = probes[0].ticks })
	probes[0].loop.Wake() // harmless, and heard by nobody
	probes[0].see(func() { after = probes[0].ticks })
	if before != after {
		t.Error("a tick after Stop")
	}
}

// The tick comes at the time that the last one returned, not before, without
// any traffic; also when a nearer wish follows a farther one.
func TestTickNextIsHonoured(t *testing.T) {
	type visit struct{ asked, came int64 }
	var visits []visit
	done := make(chan struct{})
	waits := []time.Duration{
		30 * time.Millisecond, time.Millisecond, 5 * time.Millisecond, 1200 * time.Millisecond, 200 * time.Microsecond, 10 * time.Millisecond,
	}
	asked, early := int64(0), 0
	run(t, door1(), func(p *probe) {
		p.onTick = func(now int64) int64 {
			if len(waits) == 0 {
				return 0
			}
			if now < asked { // allowed, but nothing is going on that could cause many
				early++
				return asked
			}
			if asked != 0 {
				visits = append(visits, visit{asked, now})
				waits = waits[1:]
				if len(waits) == 0 {
					close(done)
					return 0
				}
			}
			asked = now + int64(waits[0])
			return asked
		}
	})
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the ticks stopped coming")
	}
	if early > len(waits)+5 {
		t.Errorf("%d ticks came early", early)
	}
	for _, v := range visits {
		t.Logf("late by %v", time.Duration(v.came-v.asked))
	}
}

// An idle loop with a far wish sleeps.
func TestIdleLoopSleeps(t *testing.T) {
	_, probes := run(t, door1(), func(p *probe) {
		p.onTick = func(now int64) int64 { return now + int64(time.Hour) }
	})
	p := probes[0]
	within(t, "the first tick", func() bool { n := 0; p.see(func() { n = p.ticks }); return n > 0 })
	<-time.After(300 * time.Millisecond)
	p.see(func() {
		if p.ticks > 5 {
			t.Errorf("%d ticks in a third of a second of nothing", p.ticks)
		}
	})
}

// A handler that always wants to be called again at once, and also wakes
// itself, does not keep the loop from its sockets.
func TestGreedyTickDoesNotStarveSockets(t *testing.T) {
	f, _ := run(t, door1(), func(p *probe) {
		p.onTick = func(now int64) int64 { p.loop.Wake(); return now - 1 }
	})
	for i := range 3 {
		c := dial(t, f)
		for j := range 50 {
			ask(t, c, fmt.Sprint(i, j))
		}
	}
}

// All that one turn brought is told before its tick: two frames in a segment
// are answered by one write.
func TestOneTickForWhatCameTogether(t *testing.T) {
	f, _ := run(t, door1())
	c := dial(t, f)
	const n = 50
	var burst []byte
	for i := range n {
		burst = append(burst, framed(fmt.Sprint(i))...)
	}
	write(t, c, burst)
	for i := range n {
		if got := read(t, c); got != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got, i)
		}
	}
	within(t, "counters", func() bool { return f.Stats().FramesIn == n })
	if s := f.Stats(); s.Sends > n/10 {
		t.Errorf("%d writes for %d answers", s.Sends, n)
	}
}

// Index serves again, with another generation; the probe checks that no two
// open connections share one.
func TestIndexesAreDenseAndIDsAreNot(t *testing.T) {
	f, probes := run(t, door1())
	p := probes[0]
	const rounds, crowd = 5, 8
	for range rounds {
		for range crowd {
			c := dial(t, f)
			ask(t, c, "hi")
			defer c.Close()
		}
		var ids []ID
		p.see(func() {
			for id := range p.peers {
				if isNew(p.closed, id) {
					ids = append(ids, id)
				}
			}
		})
		_, closed, _ := p.count()
		p.see(func() { p.onTick = func(int64) int64 { closeAll(p, ids); p.onTick = nil; return 0 } })
		p.loop.Wake()
		p.ends(closed + crowd)
	}
	p.see(func() {
		if len(p.peers) != rounds*crowd {
			t.Errorf("%d different ids, want %d", len(p.peers), rounds*crowd)
		}
		for id := range p.peers {
			if id.Index() >= crowd {
				t.Errorf("index %d, with never more than %d open", id.Index(), crowd)
			}
		}
	})
	for _, id := range []ID{0, 1, makeID(3, 99), makeID(1000, 1)} {
		if l := p.loop.(*loop); l.peer(id) != nil {
			t.Errorf("%#x is taken for a connection", id)
		}
	}
}

func closeAll(p *probe, ids []ID) {
	for _, id := range ids {
		_ = p.loop.(*loop).cut(p.loop.(*loop).peer(id), ErrIdle)
	}
}

// greeter speaks first, and hangs up on the second who comes.
type greeter struct {
	*probe
	loop Loop
	n    int
}

func (g *greeter) Opened(id ID, p Peer) {
	g.probe.Opened(id, p)
	if err := g.loop.Send(id, framed("welcome "+p.Remote.Addr().String())); err != nil {
		g.t.Error(err)
	}
	if g.n++; g.n == 2 {
		g.loop.Close(id)
	}
}

func TestHandlerMayActInOpened(t *testing.T) {
	cfg := door1(func(l *ListenerConfig) { l.Addr = ":0" })
	var p *probe
	f, err := Start(cfg, func(l Loop) Handler {
		p = &probe{t: t, loop: l, peers: map[ID]Peer{}, closed: map[ID]error{}, out: map[ID][]byte{}}
		return &greeter{probe: p, loop: l}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { stop(t, f, []*probe{p}) }()
	_, port, _ := net.SplitHostPort(f.Addr(0).String())
	for i := range 2 {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if got := read(t, c); got != "welcome 127.0.0.1" {
			t.Errorf("greeted by %q", got)
		}
		if i == 1 {
			readEnd(t, c)
		}
	}
}

// Two loops share the terminals, and each has its own handler.
func TestTwoLoops(t *testing.T) {
	cfg := door1()
	cfg.Loops = 2
	f, probes := run(t, cfg)
	for i := range 10 {
		ask(t, dial(t, f), fmt.Sprint(i))
	}
	for i, p := range probes {
		if open, _, frames := p.count(); open != 5 || frames != 5 {
			t.Errorf("loop %d has %d connections and %d frames, want 5 of each", i, open, frames)
		}
	}
	p := probes[0]
	p.see(func() {
		for _, peer := range p.peers {
			if !peer.Listener || peer.Index != 0 || !peer.Remote.Addr().IsLoopback() || peer.Remote.Port() == 0 {
				t.Errorf("peer %+v", peer)
			}
		}
	})
}

// All that is ready is read before the handler is told the first frame of it.
func TestFramesAreHandedInTogether(t *testing.T) {
	f, probes := run(t, door1())
	p := probes[0]
	a, b := dial(t, f), dial(t, f)
	within(t, "both in", func() bool { return f.Stats().Open == 2 })
	blocked, release := make(chan struct{}), make(chan struct{})
	var came []uint64 // by then, when each frame was told
	p.see(func() {
		p.on = func(_ ID, b []byte) bool {
			came = append(came, p.loop.(*loop).count[framesIn])
			if string(b) == "block" {
				close(blocked)
				<-release
			}
			return true
		}
	})
	mustWrite(t, a, framed("block"))
	<-blocked
	mustWrite(t, a, framed("one"), framed("two"))
	mustWrite(t, b, framed("three"))
	close(release)
	within(t, "four frames", func() (ok bool) { p.see(func() { ok = len(came) == 4 }); return })
	p.see(func() {
		if fmt.Sprint(came) != "[1 4 4 4]" {
			t.Errorf("%v frames had come when each was told", came)
		}
	})
}

// What waits to be handed in is bounded, however much comes in one turn.
func TestWaitingFramesAreBounded(t *testing.T) {
	f, probes := run(t, door1())
	p := probes[0]
	most, n := 0, 0
	p.see(func() {
		p.on = func(ID, []byte) bool {
			most = max(most, len(p.loop.(*loop).frames))
			n++
			return true
		}
	})
	c := dial(t, f)
	frame := framed(strings.Repeat("x", 900))
	const frames = 3 * maxWaiting / 900
	mustWrite(t, c, bytes.Repeat(frame, frames))
	within(t, "all", func() (ok bool) { p.see(func() { ok = n == frames }); return })
	p.see(func() {
		if most == 0 || most > maxWaiting {
			t.Errorf("%d bytes waited, want at most %d", most, maxWaiting)
		}
	})
}

func mustWrite(t *testing.T, c net.Conn, parts ...[]byte) {
	t.Helper()
	if _, err := c.Write(bytes.Join(parts, nil)); err != nil {
		t.Fatal(err)
	}
}
