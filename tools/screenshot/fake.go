package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"tongka/engine"
	"tongka/txn"
)

// scenes are what an invented switch can show.
var scenes = []string{"running", "degraded", "unsecured", "empty", "recovering", "stalled"}

// fake invents a switch: a load that breathes, a bank that is slow at times, a
// few declines.
type fake struct {
	mu    sync.Mutex
	scene string
	rng   *rand.Rand
	snap  engine.Snapshot
	id    txn.ID
}

// newFake begins a scene. The past of the figures is made up here; what comes
// after is counted, so that the page's sums stay true.
func newFake(scene string, now time.Time) (*fake, error) {
	if !slices.Contains(scenes, scene) {
		return nil, fmt.Errorf("-fake %q: want one of %s", scene, strings.Join(scenes, ", "))
	}
	f := &fake{scene: scene, rng: rand.New(rand.NewPCG(8583, 1)), id: 4_812_336_000}
	up := now.Add(-51*time.Hour - 14*time.Minute).UnixNano()
	f.snap = engine.Snapshot{At: now.UnixNano(), Started: up, Ready: scene != "recovering", Slots: 65_536}
	if scene == "recovering" || scene == "empty" {
		f.snap.Started = now.Add(-9 * time.Second).UnixNano()
		f.snap.Links = []engine.LinkView{{Name: "unionpay", State: "signing-on", Since: f.snap.Started}}
		if scene == "empty" {
			f.snap.Links[0].State = "up"
		}
		return f, nil
	}
	f.snap.Links = []engine.LinkView{
		{Name: "unionpay", State: "up", Since: up + 2e9, Sent: 38_114_902, Answered: 38_114_617, TimedOut: 243},
		{Name: "citycard", State: "up", Since: now.Add(-7 * time.Hour).UnixNano(), Sent: 9_204_118, Answered: 9_203_970, TimedOut: 139},
		{Name: "bank-icbc", State: "up", Since: now.Add(-31 * time.Minute).UnixNano(), Sent: 4_020_557, Answered: 4_020_481, TimedOut: 64},
	}
	f.snap.HSMs = []engine.HSMView{
		{Name: "hsm-1", Connected: true, Since: up},
		{Name: "hsm-2", Connected: true, Since: now.Add(-3 * time.Hour).UnixNano(), Missed: 4},
	}
	f.snap.Counters = engine.Counters{
		Received: 51_339_577, Approved: 49_871_204, Declined: 1_466_990, TimedOut: 446, Reversed: 1_893, Delivered: 2_330, Repeats: 5_107,
		LateAnswers: 97, Unmatched: 3, BadFormat: 12, BadMAC: 28, Unregistered: 5, Refused: 41, SignIns: 18_244, Echoes: 88_120,
		Commits: 9_410_882, Records: 102_677_900,
	}
	switch scene {
	case "stalled":
		f.snap.At -= int64(time.Minute)
	case "degraded":
		f.snap.Links[2].State, f.snap.Links[2].Since = "dialing", now.Add(-95*time.Second).UnixNano()
		f.snap.Links[2].Owed, f.snap.Owed, f.snap.Parked = 17, 17, 2
		f.snap.HSMs[1].Connected = false
	case "unsecured":
		for i := range f.snap.HSMs {
			f.snap.HSMs[i].Connected, f.snap.HSMs[i].Missed = false, 311
		}
		f.snap.Counters.HSMFaults = 622
	}
	return f, nil
}

// Snapshot moves the invented switch to now and shows it.
func (f *fake) Snapshot() *engine.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now().UnixNano()
	switch f.scene {
	case "running", "degraded":
		f.advance(now)
	case "stalled": // time stands still
	default:
		f.snap.At = now
	}
	s := f.snap
	s.Links, s.Last, s.HSMs = slices.Clone(f.snap.Links), slices.Clone(f.snap.Last), slices.Clone(f.snap.HSMs)
	return &s
}

// advance lives through the time since the last call, transaction by
// transaction. Many callers at once get the same second.
func (f *fake) advance(now int64) {
	secs := float64(now-f.snap.At) / 1e9
	if secs < 0.2 { // too short for a rate that looks like one
		return
	}
	t := float64(now) / 1e9
	// Two slow waves and a quick one look like a day's load in five minutes.
	slow := math.Max(0, math.Sin(t/47)-0.8) * 5 // a bank that is busy now and then
	load := 2150 + 420*math.Sin(t/61) + 160*math.Sin(t/7) + 90*f.rng.NormFloat64()
	n := int(load * secs)
	for i := range n {
		f.finish(now-int64(n-1-i)*int64(1e9/load), slow)
	}
	f.snap.InFlight = max(0, int(load*(0.009+0.02*slow))+f.rng.IntN(12))
	f.spread()
	for i := range f.snap.HSMs {
		if m := &f.snap.HSMs[i]; m.Connected {
			m.InFlight = f.rng.IntN(7)
		}
	}
	f.snap.Counters.Commits += uint64(secs * 180)
	f.snap.Counters.Records += uint64(2 * n)
	f.snap.Counters.Received += uint64(n)
	if f.rng.IntN(25) == 0 {
		f.snap.Counters.BadMAC++
	}
	f.snap.At = now
	slices.SortFunc(f.snap.Last, func(a, b engine.View) int { return int(b.ID) - int(a.ID) })
	f.snap.Last = f.snap.Last[:min(len(f.snap.Last), 50)]
}

// spread lays what is in flight over the links that are up.
func (f *fake) spread() {
	left := f.snap.InFlight
	for i, share := range []float64{0.74, 0.18, 0.08} {
		l := &f.snap.Links[i]
		l.InFlight = 0
		if l.State == "up" {
			l.InFlight = int(float64(left) * share)
		}
	}
}

// finish invents one transaction. Card numbers are of the test range 622848
// with a made-up tail, and masked before they are anything.
func (f *fake) finish(now int64, slow float64) {
	us := uint64(5200 * math.Exp(0.33*f.rng.NormFloat64()) * (1 + slow))
	if f.rng.IntN(120) == 0 {
		us *= 4
	}
	f.id++
	v := engine.View{
		ID: f.id, At: now, Micros: int64(us), Kind: txn.Sale, Code: txn.OK, Result: txn.Approved,
		Terminal: fmt.Sprintf("310%05d", f.rng.IntN(4000)), Merchant: fmt.Sprintf("8983105411%05d", f.rng.IntN(900)),
		PAN:    fmt.Sprintf("%s******%04d", []string{"622848", "621700", "625907"}[f.rng.IntN(3)], f.rng.IntN(10000)),
		Amount: int64(100 * math.Exp(3.6+1.1*f.rng.NormFloat64())), Link: f.snap.Links[f.pick()].Name,
	}
	l := &f.snap.Links[slices.IndexFunc(f.snap.Links, func(l engine.LinkView) bool { return l.Name == v.Link })]
	l.Sent++
	switch k := f.rng.IntN(1000); {
	case k < 61:
		v.Code, v.Result = [...]txn.Code{{'5', '1'}, {'5', '5'}, {'6', '1'}, {'0', '5'}}[k%4], txn.Declined
		f.snap.Counters.Declined++
	case k < 65:
		v.Kind, v.Result = txn.Reversal, txn.Approved
		f.snap.Counters.Reversed++
	case k == 65 && slow > 0.9 && f.rng.IntN(20) == 0:
		v.Code, v.Result, v.Micros = txn.NoAnswer, txn.TimedOut, 31_000_412
		f.snap.Counters.TimedOut++
		f.snap.Counters.Delivered++ // its reversal, at once
		l.TimedOut++
	default:
		f.snap.Counters.Approved++
	}
	if v.Result != txn.TimedOut {
		l.Answered++
	}
	addLatency(&f.snap.Latency, uint64(v.Micros))
	// Only the newest can be seen, so older ones need not be kept.
	if f.rng.IntN(40) == 0 {
		f.snap.Last = append(f.snap.Last, v)
	}
}

// pick chooses a link by its share of the load; what is down carries nothing.
func (f *fake) pick() int {
	k := f.rng.IntN(100)
	switch {
	case k < 74:
		return 0
	case k < 92 || f.snap.Links[2].State != "up":
		return 1
	}
	return 2
}

// addLatency counts one duration in microseconds, as the engine does inside.
func addLatency(l *engine.Latency, us uint64) {
	l.Count++
	l.Sum += us
	for i := range l.Buckets {
		if us < engine.LatencyBound(i) || i == len(l.Buckets)-1 {
			l.Buckets[i]++
			return
		}
	}
}
