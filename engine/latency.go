package engine

import "math/bits"

// LatencyBuckets is the number of buckets: eight to a power of two from 1 µs
// to 268 s, so a quantile is off by at most an eighth.
const LatencyBuckets = 8 * 26

func latencyBucket(us uint64) int {
	if us < 8 {
		return int(us)
	}
	e := bits.Len64(us) - 4
	b := e*8 + int(us>>uint(e))
	return min(b, LatencyBuckets-1)
}

// LatencyBound is the upper bound of bucket i in microseconds, exclusive.
func LatencyBound(i int) uint64 {
	if i < 8 {
		return uint64(i) + 1
	}
	e := uint(i/8 - 1)
	return uint64(i%8+8+1) << e
}

func (l *Latency) add(us uint64) {
	l.Count++
	l.Sum += us
	l.Buckets[latencyBucket(us)]++
}

// Quantile gives the bound below which the share q (0..1) of all durations
// lies, in microseconds; 0 when there are none.
func (l *Latency) Quantile(q float64) uint64 {
	if l.Count == 0 {
		return 0
	}
	want := uint64(q * float64(l.Count))
	var seen uint64
	for i, n := range l.Buckets {
		if seen += n; n > 0 && seen >= want {
			return LatencyBound(i)
		}
	}
	return LatencyBound(LatencyBuckets - 1)
}

// Since gives what was added after the older histogram was taken.
func (l *Latency) Since(old *Latency) (d Latency) {
	d.Count, d.Sum = l.Count-old.Count, l.Sum-old.Sum
	for i := range d.Buckets {
		d.Buckets[i] = l.Buckets[i] - old.Buckets[i]
	}
	return d
}
