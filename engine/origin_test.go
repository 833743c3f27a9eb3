package engine

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"tongka/conn"
	"tongka/router/limit"
)

// dials gives the terminal a new connection, from an address.
func (p *pos) dials(from string) {
	w := p.w
	w.shard.Closed(p.id, errors.New("the line broke"))
	w.nextID++
	p.id = conn.ID(w.nextID)<<32 | 1
	w.shard.Opened(p.id, conn.Peer{Listener: true, Remote: netip.MustParseAddrPort(from)})
}

// A bucket belongs to the address and not to the connection: who dials for each sale
// finds it as the last sale left it. Of IPv6 a whole /64 is one subscriber.
func TestAnAddressKeepsItsBucketWhenItDialsAgain(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	w.limits(FlowControl{Address: perSecond(1, 3)})
	trace := uint64(0)
	from := func(address string, n uint64, want int) {
		t.Helper()
		passed := 0
		for range n {
			p.dials(address)
			trace++
			passed += p.salesThrough(trace, 1, "96")
		}
		if passed != want {
			t.Errorf("%s: %d of %d sales passed, want %d", address, passed, n, want)
		}
	}
	from("192.0.2.1:1000", 5, 3)
	from("192.0.2.2:1000", 5, 3)
	from("192.0.2.1:2000", 2, 0)
	from("[2001:db8::1]:1000", 2, 2)
	from("[2001:db8::ffff]:1000", 2, 1)
	from("[2001:db8:0:1::1]:1000", 2, 2)
	from("[::ffff:192.0.2.1]:1000", 1, 0)
	w.pass(time.Second)
	from("192.0.2.1:3000", 2, 1)
	if n := w.shard.stats.OverAddress; n != 9 {
		t.Errorf("%d counted, want 9", n)
	}
}

// What is under way from an address stays counted when its connection breaks, and a
// slot that was counted once is not counted again in a later life.
func TestAnAddressAndWhatItLeftUnderWay(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	f := FlowControl{Address: limit.Cap{InFlight: 2}}
	w.limits(f)
	p.dials("192.0.2.1:1")
	if n := p.salesThrough(1, 4, "96"); n != 2 {
		t.Fatalf("%d passed, want 2", n)
	}
	p.dials("192.0.2.1:2")
	if n := p.salesThrough(5, 2, "96"); n != 0 {
		t.Errorf("%d passed beside two under way", n)
	}
	if err := w.do(w.relimited(nil)); err != nil {
		t.Fatal(err)
	}
	delete(w.sent, bank)
	w.pass(11 * time.Second) // both time out
	w.pass(time.Second)
	delete(w.sent, p.id)
	if n := p.salesThrough(7, 1, ""); n != 1 {
		t.Error("refused without limits")
	}
	w.limits(f)
	if n := p.salesThrough(8, 3, "96"); n != 2 {
		t.Errorf("%d passed, want 2", n)
	}
	if o := w.shard.gates.origins[netip.MustParseAddr("192.0.2.1")]; o == nil || o.gate.InFlight() != 2 || o.open != 1 {
		t.Errorf("%+v", o)
	}
}

// Addresses that come once and never again do not fill the memory, and those with
// a connection are not forgotten for them.
func TestAddressesAreForgotten(t *testing.T) {
	w := newWorld(t)
	s := w.shard
	c := &FlowControl{Address: perSecond(1, 1)}
	stays := peer{from: netip.MustParseAddr("192.0.2.1")}
	kept := s.cameFrom(&stays, c)
	for i := range 3 * spareOrigins {
		p := peer{from: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
		o := s.cameFrom(&p, c)
		if s.cameFrom(&p, c) != o {
			t.Fatal("found twice")
		}
		if i%2 == 0 {
			o.gate.Take(c.Address.Rate, s.now) // something to remember
		}
		s.leftFrom(p.origin)
	}
	if n := len(s.gates.origins); n > spareOrigins+100 || s.gates.away != n-1 {
		t.Errorf("%d addresses are remembered, %d without a connection", n, s.gates.away)
	}
	if s.cameFrom(&stays, c) != kept || s.gates.origins[stays.from] != kept {
		t.Error("an address with a connection was forgotten")
	}
	again := peer{from: stays.from}
	if s.cameFrom(&again, c) != kept || kept.open != 2 {
		t.Errorf("a second connection: %+v", kept)
	}
}
