package conn

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// bank is a peer to dial, on an address that stays the same.
type bank struct {
	t    *testing.T
	addr string
	ln   net.Listener
	in   chan net.Conn
}

func newBank(t *testing.T) *bank {
	b := &bank{t: t, addr: held(t), in: make(chan net.Conn, 16)}
	b.open()
	t.Cleanup(b.shut)
	return b
}

func (b *bank) open() {
	ln, err := net.Listen("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.ln = ln
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			b.in <- c
		}
	}()
}

func (b *bank) shut() { _ = b.ln.Close() }

func (b *bank) next() net.Conn {
	b.t.Helper()
	select {
	case c := <-b.in:
		b.t.Cleanup(func() { _ = c.Close() })
		return c
	case <-time.After(patience):
		b.t.Fatal("nobody dials")
		return nil
	}
}

func linkTo(b *bank) Config {
	return Config{Links: []LinkConfig{{
		Name: "bank", Addr: b.addr, Framing: Binary2,
		DialTimeout: patience, BackoffMin: 5 * time.Millisecond, BackoffMax: 50 * time.Millisecond,
	}}}
}

func TestLinkComesBack(t *testing.T) {
	b := newBank(t)
	f, probes := run(t, linkTo(b))
	for i := range 3 {
		c := b.next()
		ask(t, c, "echo test") // the probe answers, whoever asks
		if i == 1 {
			reset(c.(*net.TCPConn))
		} else {
			_ = c.Close()
		}
		probes[0].ends(i + 1)
	}
	ask(t, b.next(), "and again")
	within(t, "4 dialled and 1 open", func() bool { s := f.Stats(); return s.Dialled == 4 && s.Open == 1 })
	probes[0].see(func() {
		for _, p := range probes[0].peers {
			if p.Listener || p.Index != 0 || p.Line != 0 || p.Remote.String() != b.addr {
				t.Errorf("peer %+v", p)
			}
		}
	})
}

func TestLinkThatIsDownAtStart(t *testing.T) {
	b := newBank(t)
	b.shut()
	f, probes := run(t, linkTo(b))
	within(t, "some tries", func() bool { return f.Stats().DialErrs >= 4 })
	if open, _, _ := probes[0].count(); open != 0 {
		t.Error("a link is open that nobody answers")
	}
	b.open()
	ask(t, b.next(), "at last")
}

// A peer that takes the line and drops it at once is not dialled in a hot loop.
func TestLinkDroppedAtOnceBacksOff(t *testing.T) {
	b := newBank(t)
	cfg := linkTo(b)
	cfg.Links[0].BackoffMin, cfg.Links[0].BackoffMax = 100*time.Millisecond, 100*time.Millisecond
	f, _ := run(t, cfg)
	start := time.Now()
	for range 5 {
		_ = b.next().Close()
	}
	// Five lines need four pauses of at least half of the backoff.
	if d := time.Since(start); d < 4*50*time.Millisecond {
		t.Errorf("dialled %d times in %v", f.Stats().Dialled, d)
	}
}

func TestLinkFramesAreHeldToLimits(t *testing.T) {
	b := newBank(t)
	cfg := linkTo(b)
	cfg.Links[0].MaxFrame = 100
	cfg.Links[0].FrameTimeout = 50 * time.Millisecond
	_, probes := run(t, cfg)
	write(t, b.next(), []byte{0, 101})
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrOversize) {
		t.Errorf("closed for %v", errs[0])
	}
	write(t, b.next(), []byte{0, 50, 'h'})
	probes[0].ends(2)
	probes[0].see(func() {
		n := 0
		for _, err := range probes[0].closed {
			if errors.Is(err, ErrHalfFrame) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%v, want one half frame", probes[0].closed)
		}
	})
}

// The primary first, then its backups without a pause, then the primary again:
// also after a backup was in use.
func TestBackupAddresses(t *testing.T) {
	primary, backup := newBank(t), newBank(t)
	gone := newBank(t)
	gone.shut()
	primary.shut()
	cfg := linkTo(primary)
	cfg.Links[0].Backups = []string{gone.addr, backup.addr}
	cfg.Links[0].BackoffMin, cfg.Links[0].BackoffMax = 50*time.Millisecond, 50*time.Millisecond
	f, probes := run(t, cfg)
	c := backup.next()
	ask(t, c, "at the backup")
	if s := f.Stats(); s.DialErrs != 2 {
		t.Errorf("%d tries failed, want 2", s.DialErrs)
	}
	primary.open()
	<-time.After(60 * time.Millisecond) // the line has lived
	_ = c.Close()
	ask(t, primary.next(), "at home again")
	probes[0].see(func() {
		for id, p := range probes[0].peers {
			want := primary.addr
			if !isNew(probes[0].closed, id) {
				want = backup.addr
			}
			if p.Remote.String() != want {
				t.Errorf("peer %+v, want %s", p, want)
			}
		}
	})
}

// An address that takes lines and drops them is passed over like one that does
// not answer.
func TestBackupOfAnAddressThatDrops(t *testing.T) {
	primary, backup := newBank(t), newBank(t)
	cfg := linkTo(primary)
	cfg.Links[0].Backups = []string{backup.addr}
	cfg.Links[0].BackoffMin, cfg.Links[0].BackoffMax = time.Hour, time.Hour
	run(t, cfg)
	_ = primary.next().Close()
	ask(t, backup.next(), "here")
}

// A bank that closes after each answer is dialled again after the shortest
// pause, however often: it has served.
func TestShortLivedLine(t *testing.T) {
	b := newBank(t)
	cfg := linkTo(b)
	cfg.Links[0].BackoffMin, cfg.Links[0].BackoffMax = 100*time.Millisecond, time.Hour
	run(t, cfg)
	start := time.Now()
	const lines = 10 // were the pauses to grow, the last would outlast our patience
	for range lines {
		c := b.next()
		ask(t, c, "one question")
		_ = c.Close()
	}
	if d := time.Since(start); d < (lines-1)*50*time.Millisecond {
		t.Errorf("%d lines in %v: without a pause", lines, d)
	}
}

// No two dials in the same instant, and none later than its place in the queue.
func TestDialsAreStaggered(t *testing.T) {
	var s stagger
	now := time.Unix(1000, 0)
	for i := range 5 {
		if d := s.turn(now); d != time.Duration(i)*dialStagger {
			t.Errorf("dial %d waits %v", i, d)
		}
	}
	if d := s.turn(now.Add(time.Second)); d != 0 {
		t.Errorf("waits %v though nobody dials", d)
	}
	if d := s.turn(now); d < time.Second {
		t.Errorf("%v: a clock set back lets two dial at once", d)
	}
}

func TestManyLinksDialOneAfterTheOther(t *testing.T) {
	b := newBank(t)
	cfg := linkTo(b)
	const links = 12
	for range links - 1 {
		cfg.Links = append(cfg.Links, cfg.Links[0])
	}
	start := time.Now()
	f, _ := run(t, cfg)
	within(t, "all up", func() bool { return f.Stats().Dialled == links })
	if d := time.Since(start); d < (links-1)*dialStagger {
		t.Errorf("%d lines in %v", links, d)
	}
}

// Each loop has a line of its own to each link.
func TestEachLoopHasItsLine(t *testing.T) {
	banks := []*bank{newBank(t), newBank(t)}
	cfg := linkTo(banks[0])
	cfg.Links = append(cfg.Links, linkTo(banks[1]).Links...)
	cfg.Loops = 2
	_, probes := run(t, cfg)
	for _, b := range banks {
		ask(t, b.next(), "a")
		ask(t, b.next(), "b")
	}
	for n, p := range probes {
		p.see(func() {
			seen := map[int]int{}
			for _, peer := range p.peers {
				seen[peer.Index]++
				if peer.Line != n {
					t.Errorf("line %d on loop %d", peer.Line, n)
				}
			}
			if seen[0] != 1 || seen[1] != 1 || len(seen) != 2 {
				t.Errorf("loop %d has lines %v", n, seen)
			}
		})
	}
}

// Stop ends a dial that hangs and a pause between tries.
func TestStopWhileDialling(t *testing.T) {
	b := newBank(t)
	b.shut()
	cfg := linkTo(b)
	cfg.Links[0].BackoffMin, cfg.Links[0].BackoffMax = time.Hour, time.Hour
	f, probes := run(t, cfg)
	within(t, "a failure", func() bool { return f.Stats().DialErrs == 1 })
	stop(t, f, probes)
}

func TestStopEndsLinksInOrder(t *testing.T) {
	b := newBank(t)
	f, probes := run(t, linkTo(b))
	c := b.next()
	ask(t, c, "up")
	go func() { // a bank that closes when we do
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}()
	stop(t, f, probes)
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrStopped) {
		t.Errorf("closed for %v", errs[0])
	}
	if s := f.Stats(); s.ClosedByUs != 1 || s.ClosedReset != 0 {
		t.Errorf("%+v", s)
	}
}

func TestBackoffGrowsAndIsJittered(t *testing.T) {
	n := &line{min: 100 * time.Millisecond, max: 3 * time.Second}
	for failures, whole := range []time.Duration{100, 200, 400, 800, 1600, 3000, 3000} {
		whole *= time.Millisecond
		seen := map[time.Duration]bool{}
		for range 50 {
			d := n.backoff(failures)
			if d < whole/2 || d > whole {
				t.Errorf("after %d failures %v, want %v to %v", failures, d, whole/2, whole)
			}
			seen[d] = true
		}
		if len(seen) < 10 {
			t.Errorf("after %d failures only %d different pauses", failures, len(seen))
		}
	}
	for _, failures := range []int{31, 32, 63, 64, 1 << 30} {
		if d := n.backoff(failures); d < n.max/2 || d > n.max {
			t.Errorf("after %d failures %v", failures, d)
		}
	}
}
