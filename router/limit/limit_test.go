package limit

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const second = int64(time.Second)

func TestBucketLetsABurstThroughAndThenItsRate(t *testing.T) {
	c := Cap{Rate: NewRate(10, second, 5)}
	var g Gate
	now := int64(1_790_000_000) * second
	count := func(n int) (passed int) {
		for range n {
			if g.Open(&c, now) {
				g.Enter(&c, now)
				passed++
			}
		}
		return passed
	}
	if n := count(20); n != 5 {
		t.Errorf("%d at once, want 5", n)
	}
	now += second/10 - 1
	if n := count(20); n != 0 {
		t.Errorf("%d a nanosecond too early", n)
	}
	now++
	if n := count(20); n != 1 {
		t.Errorf("%d after a tenth of a second, want 1", n)
	}
	now += second
	if n := count(20); n != 5 {
		t.Errorf("%d after a second, want the burst of 5", n)
	}
}

// Whatever comes when, no window holds more than its rate and one burst.
func TestBucketNeverExceedsItsRate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		n, burst := 1+r.Int64N(2000), 1+r.Int64N(50)
		c := Cap{Rate: NewRate(n, second, burst)}
		var g Gate
		now, passed := int64(0), int64(0)
		for now < 2*second {
			if g.Open(&c, now) {
				g.Enter(&c, now)
				passed++
			}
			if most := burst + now*n/second + 1; passed > most {
				t.Fatalf("%d/s, burst %d: %d passed in %v, at most %d", n, burst, passed, time.Duration(now), most)
			}
			now += r.Int64N(second / n / 2)
		}
		if least := 2 * n * 7 / 10; passed < least {
			t.Errorf("%d/s, burst %d: only %d of at least %d", n, burst, passed, least)
		}
	}
}

// A clock that is set back takes nobody's tokens: else nothing would pass for as
// long as it was set back.
func TestClockSetBack(t *testing.T) {
	c := Cap{Rate: NewRate(10, second, 5)}
	var g Gate
	now := int64(1_790_000_000) * second
	count := func(n int) (passed int) {
		for range n {
			if g.Open(&c, now) {
				g.Enter(&c, now)
				passed++
			}
		}
		return passed
	}
	count(20)
	now -= 3600 * second
	if n := count(20); n != 5 {
		t.Errorf("%d after the clock was set back, want a full bucket of 5", n)
	}
	now += second / 10
	if n := count(20); n != 1 {
		t.Errorf("%d a tenth of a second later, want 1", n)
	}
}

// What is taken without a question leaves no debt behind that looks like a clock
// set back, and is made up for by the time of one token.
func TestTakenWithoutAsking(t *testing.T) {
	r := NewRate(10, second, 2)
	var g Gate
	now := int64(1_790_000_000) * second
	for range 50 {
		g.Take(r, now)
	}
	if g.Has(r, now) || g.Has(r, now+second/10-1) || !g.Has(r, now+second/10) {
		t.Error("an empty bucket has a token too early or too late")
	}
}

func TestInFlight(t *testing.T) {
	c := Cap{InFlight: 2}
	var g Gate
	for i := range 3 {
		if open := g.Open(&c, 0); open != (i < 2) {
			t.Fatalf("%d under way: open %v", i, open)
		} else if open {
			g.Enter(&c, 0)
		}
	}
	g.Leave()
	if !g.Open(&c, 0) || g.InFlight() != 1 {
		t.Errorf("one left: %d under way", g.InFlight())
	}
}

func TestNoLimit(t *testing.T) {
	var c Cap
	var g Gate
	for range 1000 {
		if !g.Open(&c, 0) {
			t.Fatal("closed without a limit")
		}
		g.Enter(&c, 0)
	}
}

// The ends of what a config can say do not run over.
func TestExtremes(t *testing.T) {
	for _, r := range []Rate{NewRate(1, 24*3600*second, math.MaxInt32), NewRate(1_000_000, second, math.MaxInt32), NewRate(1, 1, 1)} {
		var g Gate
		now := int64(math.MaxInt64 / 2)
		for range 1000 {
			if !g.Has(r, now) && r.each > 1 {
				t.Fatalf("%+v: closed within its burst", r)
			}
			g.Take(r, now)
		}
		if g.full < now {
			t.Errorf("%+v: ran over", r)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	c := Cap{Rate: NewRate(1000, second, 10), InFlight: 10}
	var g Gate
	now := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		if now += 1000; g.Open(&c, now) {
			g.Enter(&c, now)
			g.Leave()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate(b *testing.B) {
	c := Cap{Rate: NewRate(1_000_000, second, 10), InFlight: 10}
	var g Gate
	for i := range b.N {
		if now := int64(i) * 500; g.Open(&c, now) {
			g.Enter(&c, now)
			g.Leave()
		}
	}
}
