package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tongka/engine"
)

// after is a snapshot with so many approvals, declines and timeouts since noon.
func after(d time.Duration, approved, declined, timedOut uint64) *engine.Snapshot {
	s := snapshotAt(d)
	s.Counters = engine.Counters{Approved: approved, Declined: declined, TimedOut: timedOut}
	s.Latency = engine.Latency{}
	return s
}

func TestRatesUseTheSnapshotsOwnTimes(t *testing.T) {
	var p past
	p.add(after(0, 0, 0, 0))
	if len(p.points) != 0 {
		t.Fatal("one snapshot gives no rate")
	}
	p.add(after(2*time.Second, 90, 8, 2)) // a late sample: 100 in two seconds
	p.add(after(2*time.Second, 90, 8, 2)) // the same once more
	p.add(after(time.Second, 50, 8, 2))   // an older one
	p.add(nil)
	p.add(after(3*time.Second, 123, 8, 2))
	want := []Point{
		{AtMS: noon.UnixMilli() + 2000, TPS: 50, Failed: 5},
		{AtMS: noon.UnixMilli() + 3000, TPS: 33, Failed: 0},
	}
	if d := cmp.Diff(want, p.points); d != "" {
		t.Error(d)
	}
	if p.peak() != 50 {
		t.Errorf("peak %v, want 50", p.peak())
	}
}

func TestRestartBeginsANewPast(t *testing.T) {
	var p past
	p.add(after(0, 1000, 0, 0))
	p.add(after(time.Second, 1100, 0, 0))
	again := after(2*time.Second, 5, 0, 0)
	again.Started = again.At
	p.add(again)
	if len(p.points) != 0 || len(p.snaps) != 1 {
		t.Errorf("%d points and %d snapshots of the old life, want 0 and 1", len(p.points), len(p.snaps)-1)
	}
}

func TestApprovalShare(t *testing.T) {
	old := after(0, 0, 0, 0)
	if r := between(old, after(time.Second, 0, 0, 0)); r.approval != nil {
		t.Errorf("nothing decided, but a share of %v", *r.approval)
	}
	reversals := after(time.Second, 3, 1, 0)
	reversals.Counters.Reversed = 6
	r := between(old, reversals)
	if r.approval == nil || *r.approval != 75 || r.finished != 10 || r.failed != 1 {
		t.Errorf("got %+v, want 75 %%, 10 finished, 1 failed", r)
	}
	if r := between(old, old); r != (rates{}) {
		t.Errorf("no time passed, but %+v", r)
	}
}

// The p99 of a window forgets what is older than the window.
func TestLatencyWindow(t *testing.T) {
	var p past
	slow := after(0, 0, 0, 0)
	addLatency(&slow.Latency, 1000, 900_000)
	p.add(slow)
	if a, b := p.quantiles(); a != nil || b != nil {
		t.Error("one snapshot has a window")
	}
	for i := 1; i <= 20; i++ {
		s := after(time.Duration(i)*time.Second, 0, 0, 0)
		s.Latency = slow.Latency
		addLatency(&s.Latency, uint64(min(i, 10)), 2000)
		p.add(s)
	}
	// Samples 11 to 20 added nothing over sample 10.
	if a, b := p.quantiles(); a != nil || b != nil {
		t.Errorf("got %d and %d, want none in the last ten seconds", *a, *b)
	}
	s := after(21*time.Second, 0, 0, 0)
	s.Latency = p.newest().Latency
	addLatency(&s.Latency, 98, 300)
	addLatency(&s.Latency, 2, 40_000)
	p.add(s)
	p50, p99 := p.quantiles()
	if p50 == nil || *p50 < 300 || *p50 > 338 || *p99 < 40_000 || *p99 > 45_056 {
		t.Errorf("p50 %v, p99 %v; want the bounds above 300 and 40000", p50, p99)
	}
	last := p.points[len(p.points)-1]
	if last.P50 == nil || *last.P50 != *p50 || *last.P99 != *p99 {
		t.Error("the chart's newest point differs from the figure")
	}
}

func TestPastIsBounded(t *testing.T) {
	var p past
	for i := range 1000 {
		p.add(after(time.Duration(i)*time.Second, uint64(i), 0, 0))
	}
	if len(p.snaps) != keepSnapshots || len(p.points) != keepPoints {
		t.Errorf("%d snapshots and %d points, want %d and %d", len(p.snaps), len(p.points), keepSnapshots, keepPoints)
	}
	if got, want := p.points[0].AtMS, noon.UnixMilli()+700_000; got != want {
		t.Errorf("oldest point at %d, want %d", got, want)
	}
	if got, want := p.before(minute).At, noon.Add(939*time.Second).UnixNano(); got != want {
		t.Errorf("a minute starts at %d, want %d", got, want)
	}
}
