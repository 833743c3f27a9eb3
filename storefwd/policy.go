package storefwd

import (
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Policy says how what is owed to one destination is offered. A zero field
// takes its default.
type Policy struct {
	Window      int           // offers without an answer at a time; default 16
	PerRound    int           // offers in one Interval, so that a bank that comes back is not flooded; default 64
	Interval    time.Duration // length of a round; default 1 s
	Timeout     time.Duration // an offer without an answer for so long has failed; default 30 s
	BackoffMin  time.Duration // about the pause after the first failure; it doubles; default 1 s
	BackoffMax  time.Duration // the longest pause; default 5 min
	MaxAttempts int           // failures before an item is parked; default 100
}

const (
	maxWindow   = 1024 // offers in flight are kept in a plain list
	maxAttempts = 1<<16 - 2
)

// Validate reports every fault at once.
func (p *Policy) Validate() error {
	c := p.filled()
	var faults []error
	number := func(name string, v, high int) {
		if v < 1 || v > high {
			faults = append(faults, fmt.Errorf("storefwd: %s %d is not in 1..%d", name, v, high))
		}
	}
	span := func(name string, d time.Duration) {
		if d < 0 || d > 24*time.Hour {
			faults = append(faults, fmt.Errorf("storefwd: %s %v is not in 0..24h", name, d))
		}
	}
	number("window", c.Window, maxWindow)
	number("per-round", c.PerRound, 1<<20)
	number("max-attempts", c.MaxAttempts, maxAttempts)
	span("interval", c.Interval)
	span("timeout", c.Timeout)
	span("backoff-min", c.BackoffMin)
	span("backoff-max", c.BackoffMax)
	if c.BackoffMin > c.BackoffMax {
		faults = append(faults, fmt.Errorf("storefwd: backoff-min %v is above backoff-max %v", c.BackoffMin, c.BackoffMax))
	}
	return errors.Join(faults...)
}

// Retune replaces the policies, by LinkID; there are never fewer, and more make
// room for new links. They have passed Validate. What waits keeps the time it
// waits for; a window that shrank fills no more until enough have landed.
func (q *Queue) Retune(policies []Policy) {
	for i, p := range policies {
		if i == len(q.links) {
			q.links = append(q.links, link{byName: map[uint64]int32{}, youngest: map[uint64]int32{}, waiting: heap{s: &q.items}})
		}
		q.links[i].policy = p.filled()
	}
}

func (p Policy) filled() Policy {
	p.Window = orDefault(p.Window, 16)
	p.PerRound = orDefault(p.PerRound, 64)
	p.Interval = orDefault(p.Interval, time.Second)
	p.Timeout = orDefault(p.Timeout, 30*time.Second)
	p.BackoffMin = orDefault(p.BackoffMin, time.Second)
	p.BackoffMax = orDefault(p.BackoffMax, max(5*time.Minute, p.BackoffMin))
	p.MaxAttempts = orDefault(p.MaxAttempts, 100)
	return p
}

func orDefault[T int | time.Duration](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

// pause is the backoff after the n-th failure (n ≥ 1) in nanoseconds: between
// half of the nominal pause and all of it. What it draws depends on the item
// and the failure alone, so a replayed history pauses the same.
func (p *Policy) pause(seed, id uint64, n int) int64 {
	d := int64(p.BackoffMax)
	if shift := n - 1; shift < bits.LeadingZeros64(uint64(p.BackoffMin))-1 {
		d = min(d, int64(p.BackoffMin)<<shift)
	}
	return d - int64(hash(seed, id, uint64(n))%uint64(d/2+1))
}

func hash(seed, id, n uint64) uint64 {
	hi, lo := bits.Mul64(id^0x9E3779B97F4A7C15, seed^0xD1B54A32D192ED03)
	h := hi ^ lo ^ n*0x8CB92BA72F3D8DD7
	hi, lo = bits.Mul64(h^h>>32, 0xABC98388FB8FAC03)
	return hi ^ lo
}
