package load

import (
	"net/netip"
	"testing"
	"time"

	"tongka/bench/internal/poll"
)

// The loop itself makes no garbage: a collector at work in the generator would
// show in the latencies of whatever it measures.
func TestLoopDoesNotAllocate(t *testing.T) {
	s := short(echoBank(t))
	s.Connections, s.Terminals, s.Depth, s.Ahead = 4, 4, 4, 0
	g, err := open(&s)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(500, func() {
		if err := g.turn(time.Second); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations a turn", n)
	}
	if err := g.drain(); err != nil || g.underWay != 0 || len(g.faults) != 0 {
		t.Fatalf("%d under way, faults %v, %v", g.underWay, g.faults, err)
	}
	if g.latency.TotalCount() < 500 {
		t.Fatalf("%d answers in 500 turns", g.latency.TotalCount())
	}
}

// A terminal that dials for each sale is in one place at a time, and all of
// them take part.
func TestReconnectTakesTerminalsInTurn(t *testing.T) {
	s := short(echoBank(t))
	s.Connections, s.Terminals, s.Reconnect, s.Ahead = 3, 8, true, 0
	g, err := open(&s)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	for g.opened < 60 {
		if err := g.turn(time.Second); err != nil {
			t.Fatal(err)
		}
		busy := map[int]bool{}
		for i := range g.sessions {
			if term := g.sessions[i].term; busy[term] {
				t.Fatalf("terminal %d is in two places", term)
			} else {
				busy[term] = true
			}
		}
	}
	for i := range g.terminals {
		if g.terminals[i].next == s.FirstTrace {
			t.Errorf("terminal %d never took part", i)
		}
	}
}

func TestConnectionsComeFromManyAddresses(t *testing.T) {
	s := short(echoBank(t))
	s.Connections, s.Terminals = 450, 10
	g, err := open(&s)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	from := map[netip.Addr]int{}
	for i := range g.sessions {
		at, err := poll.Bound(g.sessions[i].FD)
		if err != nil {
			t.Fatal(err)
		}
		from[at.Addr()]++
	}
	if len(from) != 450 {
		t.Errorf("450 connections come from %d addresses", len(from))
	}
	if err := g.drain(); err != nil || len(g.faults) != 0 {
		t.Errorf("%v, faults %v", err, g.faults)
	}
}

// A deal of two requests is one answer, however it is cut, and what begins before the end is
// brought to its end.
func TestMixCountsDeals(t *testing.T) {
	s := short(echoBank(t))
	s.Mix, s.Ahead, s.Connections, s.Terminals = true, 0, 20, 20
	g, err := open(&s)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); g.latency.TotalCount() < 400; {
		if err := g.turn(time.Second); err != nil || time.Now().After(end) {
			t.Fatalf("%d deals, %v", g.latency.TotalCount(), err)
		}
	}
	if err := g.drain(); err != nil || g.underWay != 0 || len(g.faults) != 0 {
		t.Fatalf("%d under way, faults %v, %v", g.underWay, g.faults, err)
	}
	// An answer that belongs to nobody, and one that is another request's.
	if g.told(&g.sessions[0], make([]byte, 60), g.now()) || g.faults["answer that nobody waits for"] != 1 {
		t.Errorf("faults %v", g.faults)
	}
	g.sending = true
	if err := g.deal(&g.sessions[0], g.now()); err != nil {
		t.Fatal(err)
	}
	if !g.told(&g.sessions[0], make([]byte, 9), g.now()) || len(g.faults) != 2 {
		t.Errorf("faults %v", g.faults)
	}
}
