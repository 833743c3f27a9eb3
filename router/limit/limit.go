// Package limit says whether one more may come: token buckets and caps on what
// is under way. It owns no clock, takes no lock and allocates nothing: who uses a
// gate owns it and brings the time.
package limit

import "math"

// Rate is how often something may happen: a bucket of Burst tokens into which a
// new one falls every so often. The zero Rate lets everything pass.
type Rate struct {
	each  int64 // nanoseconds for one token
	slack int64 // how far ahead of its time one may come: a burst less one
}

// NewRate gives n in per nanoseconds, and burst at once. All are at least 1, and
// n is at most per.
func NewRate(n, per, burst int64) Rate {
	each := max(per/n, 1)
	return Rate{each: each, slack: min(burst-1, math.MaxInt64/4/each) * each}
}

// Cap is what one gate lets through; the zero Cap is no limit.
type Cap struct {
	Rate     Rate
	InFlight int32 // at once, 0 = any number
}

// Gate counts what passed. A bucket is one number: the moment at which it will
// be full again (the generic cell rate algorithm, ITU-T I.371).
type Gate struct {
	full     int64 // Unix nanoseconds
	inFlight int32
}

// Open says whether one more may come now.
func (g *Gate) Open(c *Cap, now int64) bool {
	return (c.InFlight == 0 || g.inFlight < c.InFlight) && g.Has(c.Rate, now)
}

// Enter lets one in. Leave must follow.
func (g *Gate) Enter(c *Cap, now int64) {
	g.inFlight++
	g.Take(c.Rate, now)
}

// Leave ends what Enter began.
func (g *Gate) Leave() { g.inFlight-- }

// Has says whether the bucket has a token now. One that would be full later than
// an empty one is of before the clock was set back, and is taken for full: else
// nothing would pass until the clock has caught up.
func (g *Gate) Has(r Rate, now int64) bool {
	return r.each == 0 || g.full-now <= r.slack || g.full-now > r.slack+r.each
}

// Take takes a token, for what is not counted while it is under way. A bucket
// does not become emptier than empty.
func (g *Gate) Take(r Rate, now int64) {
	switch {
	case r.each == 0:
	case g.full-now > r.slack+r.each: // the clock was set back
		g.full = now + r.each
	default:
		g.full = min(max(g.full, now), now+r.slack) + r.each
	}
}

// Rested says that nothing is lost when the gate is forgotten: its bucket is full,
// and nothing is under way.
func (g *Gate) Rested(now int64) bool { return g.inFlight == 0 && g.full <= now }

// InFlight is how many have entered and not left.
func (g *Gate) InFlight() int { return int(g.inFlight) }
