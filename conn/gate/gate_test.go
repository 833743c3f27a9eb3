package gate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func prefixes(t *testing.T, s ...string) (ps []netip.Prefix) {
	t.Helper()
	for _, x := range s {
		p, err := netip.ParsePrefix(x)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

const second = int64(time.Second)

func TestAllowAndDeny(t *testing.T) {
	g := New(Config{Allow: prefixes(t, "10.0.0.0/8", "192.168.1.7/32", "2001:db8::/32", "::ffff:172.16.0.0/108"),
		Deny: prefixes(t, "10.1.0.0/16", "10.1.2.3/32", "2001:db8:0:bad::/64")})
	for a, in := range map[string]bool{
		"10.0.0.1": true, "10.1.0.1": false, "10.1.2.3": false, "10.2.0.1": true, "11.0.0.1": false,
		"192.168.1.7": true, "192.168.1.8": false, "::ffff:10.2.0.1": true, "::ffff:10.1.0.1": false, "172.16.9.9": true,
		"2001:db8::1": true, "2001:db8:0:bad::1": false, "2001:db9::1": false, "2001:db8::1%eth0": true,
	} {
		x, v := g.Enter(netip.MustParseAddr(a), 0)
		if (v == In) != in || (x != nil) != in || !in && v != Denied {
			t.Errorf("%s: %v", a, v)
		}
	}
	open := New(Config{Deny: prefixes(t, "0.0.0.0/0")})
	if _, v := open.Enter(netip.MustParseAddr("10.0.0.1"), 0); v != Denied {
		t.Error("everybody is denied, and one came in")
	}
	if _, v := open.Enter(netip.MustParseAddr("2001:db8::1"), 0); v != In {
		t.Error("nobody of IPv6 is denied")
	}
	if _, v := New(Config{}).Enter(netip.Addr{}, 0); v != In {
		t.Error("an open gate lets an address without a form in")
	}
}

// The set says what a plain search would say.
func TestSetAgainstSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	addr := func() netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(4)), byte(r.IntN(256))}) }
	for range 200 {
		var ps []netip.Prefix
		for range r.IntN(12) {
			ps = append(ps, netip.PrefixFrom(addr(), r.IntN(33)))
		}
		s := newSet(ps)
		for range 50 {
			a, want := addr(), false
			for _, p := range ps {
				want = want || p.Contains(a)
			}
			if s.contains(a) != want {
				t.Fatalf("%v in %v: %v", a, ps, !want)
			}
		}
	}
}

func TestConnectionsOfOneAddress(t *testing.T) {
	g := New(Config{MaxConns: 2})
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	first, _ := g.Enter(a, 0)
	if _, v := g.Enter(a, 0); v != In {
		t.Error(v)
	}
	if _, v := g.Enter(netip.MustParseAddr("::ffff:10.0.0.1"), 0); v != TooMany {
		t.Error("the same address in another form: ", v)
	}
	if _, v := g.Enter(b, 0); v != In {
		t.Error("another address: ", v)
	}
	g.Leave(first, 0)
	if _, v := g.Enter(a, 0); v != In {
		t.Error("after one has left: ", v)
	}
	six := func(s string) Verdict { _, v := g.Enter(netip.MustParseAddr(s), 0); return v }
	if six("2001:db8::1") != In || six("2001:db8::2") != In || six("2001:db8::3") != TooMany || six("2001:db8:0:1::1") != In {
		t.Error("a subscriber of IPv6 is a /64")
	}
}

func TestConnectsOfOneAddress(t *testing.T) {
	g := New(Config{Connects: 2, Burst: 4})
	a := netip.MustParseAddr("10.0.0.1")
	tries := func(n int, at int64) (in int) {
		for range n {
			if x, v := g.Enter(a, at); v == In {
				in++
				g.Leave(x, at)
			} else if v != TooFast {
				t.Error(v)
			}
		}
		return in
	}
	for _, c := range []struct {
		at   int64
		want int
	}{{0, 4}, {second / 4, 0}, {second / 2, 1}, {second, 1}, {10 * second, 4}, {5 * second, 0}} { // the last: the clock was set back
		if in := tries(6, c.at); in != c.want {
			t.Errorf("at %v: %d came in, want %d", time.Duration(c.at), in, c.want)
		}
	}
}

func TestShutOut(t *testing.T) {
	g := New(Config{Strikes: 3, StrikeTime: time.Minute, ShutOut: 10 * time.Minute})
	a := netip.MustParseAddr("10.0.0.1")
	strike := func(at int64) bool {
		x, v := g.Enter(a, at)
		if v != In {
			t.Fatalf("at %v: %v", time.Duration(at), v)
		}
		defer g.Leave(x, at)
		return g.Strike(x, at)
	}
	// Two, and then two much later: never three in a minute.
	for _, at := range []int64{1, 2, 70, 71} {
		if strike(at * second) {
			t.Fatalf("shut out at %d s", at)
		}
	}
	if !strike(72 * second) {
		t.Fatal("three in a minute do not shut out")
	}
	if _, v := g.Enter(a, 73*second); v != ShutOut {
		t.Error(v)
	}
	if _, v := g.Enter(netip.MustParseAddr("10.0.0.2"), 73*second); v != In {
		t.Error("a neighbour is shut out, too")
	}
	if strike(700 * second) {
		t.Error("it begins anew with one strike")
	}
	off := New(Config{})
	x, _ := off.Enter(a, 0)
	for range 1000 {
		if off.Strike(x, 0) {
			t.Fatal("shut out where it is off")
		}
	}
}

// A clock that is set back neither stops the refill of connects nor makes a
// shut-out longer.
func TestClockSetBack(t *testing.T) {
	a := netip.MustParseAddr("10.1.2.3")
	g := New(Config{Connects: 1, Burst: 1, Strikes: 1, ShutOut: time.Minute})
	now := int64(1_790_000_000) * int64(time.Second)
	come := func() Verdict {
		x, v := g.Enter(a, now)
		if v == In {
			g.Leave(x, now)
		}
		return v
	}
	if v := come(); v != In {
		t.Fatalf("verdict %v", v)
	}
	now -= int64(time.Hour)
	come()
	now += int64(time.Second)
	if v := come(); v != In {
		t.Errorf("verdict %v a second after the clock was set back", v)
	}
	now += int64(time.Second)
	x, _ := g.Enter(a, now)
	g.Strike(x, now)
	g.Leave(x, now)
	now -= int64(time.Hour)
	if v := come(); v != ShutOut {
		t.Errorf("verdict %v", v)
	}
	now += int64(time.Minute)
	come() // the refill begins here
	now += int64(time.Second)
	if v := come(); v != In {
		t.Errorf("verdict %v a minute after the clock was set back", v)
	}
}

func TestHandshakesOfOneAddress(t *testing.T) {
	g := New(Config{MaxHandshakes: 2})
	x, _ := g.Enter(netip.MustParseAddr("10.0.0.1"), 0)
	for i, want := range []bool{true, true, false} {
		if g.Greet(x) != want {
			t.Errorf("handshake %d: %v", i+1, !want)
		}
	}
	g.Greeted(x)
	if !g.Greet(x) {
		t.Error("the place is free again")
	}
}

// However many addresses knock, the account stays small, and those who are in or
// shut out are not forgotten for it.
func TestMemoryIsBounded(t *testing.T) {
	g := New(Config{Connects: 1, Strikes: 1, MaxConns: 1})
	bad, good := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	x, _ := g.Enter(bad, 0)
	g.Strike(x, 0)
	g.Leave(x, 0)
	stays, _ := g.Enter(good, 0)
	for i := range 3 * spare {
		a := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
		if x, v := g.Enter(a, second); v == In {
			g.Leave(x, second)
		} else {
			t.Fatalf("%v: %v", a, v)
		}
	}
	if len(g.guests) > spare+2 || g.idle > spare {
		t.Errorf("%d addresses, %d without a connection", len(g.guests), g.idle)
	}
	if _, v := g.Enter(bad, 2*second); v != ShutOut {
		t.Errorf("who was shut out: %v", v)
	}
	if _, v := g.Enter(good, 10*second); v != TooMany {
		t.Errorf("who is in: %v", v)
	}
	g.Leave(stays, 10*second)
	plain := New(Config{MaxConns: 5})
	for i := range 100 {
		x, _ := plain.Enter(netip.AddrFrom4([4]byte{12, 0, 0, byte(i)}), 0)
		plain.Leave(x, 0)
	}
	if len(plain.guests) != 0 || plain.idle != 0 {
		t.Errorf("%d of whom nothing is worth knowing", len(plain.guests))
	}
}

func TestSetWhileSomebodyIsIn(t *testing.T) {
	g := New(Config{})
	a := netip.MustParseAddr("10.0.0.1")
	x, _ := g.Enter(a, 0)
	g.Set(Config{MaxConns: 1, Deny: prefixes(t, "10.0.0.2/32")})
	if _, v := g.Enter(a, 0); v != TooMany {
		t.Error(v)
	}
	if _, v := g.Enter(netip.MustParseAddr("10.0.0.2"), 0); v != Denied {
		t.Error(v)
	}
	g.Leave(x, 0)
	if _, v := g.Enter(a, 0); v != In {
		t.Error(v)
	}
}

func TestValidate(t *testing.T) {
	bad := Config{Allow: []netip.Prefix{{}}, Deny: []netip.Prefix{{}}, MaxConns: -1, Connects: 0, Burst: 5, MaxHandshakes: -1, Strikes: -1, StrikeTime: -1, ShutOut: -1}
	err := bad.Validate()
	for _, w := range []string{"allow[0]", "deny[0]", "connections", "burst without", "handshakes", "strikes", "strike time", "shut-out"} {
		if !strings.Contains(fmt.Sprint(err), w) {
			t.Errorf("not reported: %s", w)
		}
	}
	if err := (&Config{}).Validate(); err != nil {
		t.Error(err)
	}
}

func BenchmarkEnterAndLeave(b *testing.B) {
	var deny []netip.Prefix
	for i := range 10_000 {
		deny = append(deny, netip.PrefixFrom(netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 0}), 24))
	}
	g := New(Config{Deny: deny, MaxConns: 10, Connects: 1 << 30})
	a := netip.MustParseAddr("10.0.0.1")
	for b.Loop() {
		x, _ := g.Enter(a, 1)
		g.Leave(x, 1)
	}
}
