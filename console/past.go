package console

import (
	"math"
	"time"

	"tongka/engine"
)

// How far back the figures look.
const (
	keepSnapshots = 64  // a little more than the longest window below
	keepPoints    = 300 // of the charts: five minutes
	minute        = time.Minute
	latencyWindow = 10 * time.Second // one second holds too few for a p99
)

// past is what successive snapshots tell that one alone does not: rates, and
// the charts. It belongs to the sampler.
type past struct {
	snaps  []*engine.Snapshot // oldest first, At strictly growing
	points []Point
}

// Point is one second of the charts.
type Point struct {
	AtMS   int64   `json:"t"`      // Unix milliseconds
	TPS    float64 `json:"tps"`    // finished transactions per second
	Failed float64 `json:"failed"` // of these, declined or timed out
	P50    *uint64 `json:"p50_us"` // of the last ten seconds; null when there were none
	P99    *uint64 `json:"p99_us"`
}

// add takes the newest snapshot in. One that is not newer than the last (the
// shard did not make another one in between) adds nothing, so that a rate is
// never computed over no time.
func (p *past) add(s *engine.Snapshot) {
	if s == nil {
		return
	}
	if len(p.snaps) > 0 {
		switch last := p.newest(); {
		case s.Started != last.Started:
			*p = past{} // another life: its counters began at zero
		case s.At <= last.At:
			return
		}
	}
	p.snaps = appendBounded(p.snaps, s, keepSnapshots)
	if len(p.snaps) < 2 {
		return
	}
	r := between(p.snaps[len(p.snaps)-2], s)
	pt := Point{AtMS: s.At / int64(time.Millisecond), TPS: r.finished, Failed: r.failed}
	pt.P50, pt.P99 = p.quantiles()
	p.points = appendBounded(p.points, pt, keepPoints)
}

// quantiles gives p50 and p99 of the latency window in microseconds.
func (p *past) quantiles() (p50, p99 *uint64) {
	if len(p.snaps) == 0 {
		return nil, nil
	}
	l := p.newest().Latency.Since(&p.before(latencyWindow).Latency)
	if l.Count == 0 {
		return nil, nil
	}
	return new(l.Quantile(0.50)), new(l.Quantile(0.99))
}

func (p *past) newest() *engine.Snapshot { return p.snaps[len(p.snaps)-1] }

// before is the snapshot that a window which ends now starts from: the last
// one at least d old, or the oldest there is.
func (p *past) before(d time.Duration) *engine.Snapshot {
	limit := p.newest().At - int64(d)
	for i := len(p.snaps) - 1; i > 0; i-- {
		if p.snaps[i].At <= limit {
			return p.snaps[i]
		}
	}
	return p.snaps[0]
}

// peak is the highest rate in the charts.
func (p *past) peak() (tps float64) {
	for i := range p.points {
		tps = max(tps, p.points[i].TPS)
	}
	return tps
}

// rates are per second.
type rates struct {
	finished, failed float64
	approval         *float64 // percent; nil when nothing was decided
}

// between compares two snapshots of one life. Finished is what a terminal got
// its final word on; a reversal is one, but neither raises nor lowers the
// share of approvals.
func between(old, s *engine.Snapshot) rates {
	secs := float64(s.At-old.At) / float64(time.Second)
	if secs <= 0 {
		return rates{}
	}
	approved := s.Counters.Approved - old.Counters.Approved
	failed := s.Counters.Declined - old.Counters.Declined + s.Counters.TimedOut - old.Counters.TimedOut
	reversed := s.Counters.Reversed - old.Counters.Reversed
	r := rates{finished: tenths(float64(approved+failed+reversed) / secs), failed: tenths(float64(failed) / secs)}
	if n := approved + failed; n > 0 {
		r.approval = new(tenths(100 * float64(approved) / float64(n)))
	}
	return r
}

// tenths is as fine as a rate of one second means anything, and it keeps the
// events short.
func tenths(v float64) float64 { return math.Round(v*10) / 10 }

// appendBounded forgets the oldest when full, in place.
func appendBounded[T any](s []T, v T, limit int) []T {
	if len(s) == limit {
		copy(s, s[1:])
		s = s[:limit-1]
	}
	return append(s, v)
}
