package timeout

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

// start is an ordinary time of day; the wheel must not care which.
const start = int64(1_760_000_000_123_456_789)

func fired(w *Wheel, now int64) []uint64 {
	var ids []uint64
	w.Advance(now, func(id uint64) { ids = append(ids, id) })
	return ids
}

func TestFiresInOrderNeverEarly(t *testing.T) {
	w := New(time.Millisecond, 4)
	w.Advance(start, func(uint64) { t.Fatal("nothing was armed") })
	after := []time.Duration{
		3 * time.Hour, 50 * time.Microsecond, 30 * time.Second, 300 * time.Millisecond, 49 * 24 * time.Hour,
		2 * time.Second, 70 * time.Second, time.Millisecond, 10 * 365 * 24 * time.Hour,
	}
	for i, d := range after {
		w.Arm(start+int64(d), uint64(i))
	}
	slices.Sort(after)
	last := time.Duration(0)
	for w.Len() > 0 {
		next, ok := w.Next()
		if !ok {
			t.Fatal("Next says nothing is armed")
		}
		w.Advance(next-1, func(id uint64) { t.Fatalf("timer %d fired before Next", id) })
		w.Advance(next, func(id uint64) {
			if d := time.Duration(next - start); d < after[0] || d > after[0]+time.Millisecond || d < last {
				t.Errorf("timer %d for %v fired at %v", id, after[0], d)
			}
			last, after = time.Duration(next-start), after[1:]
		})
	}
	if len(after) != 0 {
		t.Errorf("%v never fired", after)
	}
}

func TestTokens(t *testing.T) {
	w := New(time.Millisecond, 1)
	w.Advance(start, nil)
	a := w.Arm(start+5*ms, 1)
	b := w.Arm(start+5*ms, 2)
	if !w.Disarm(a) || w.Disarm(a) {
		t.Error("a timer is taken back once")
	}
	if got := fired(w, start+10*ms); !slices.Equal(got, []uint64{2}) {
		t.Errorf("fired %v, want the one that was left", got)
	}
	if w.Disarm(b) {
		t.Error("a timer that fired was taken back")
	}
	c := w.Arm(start+20*ms, 3) // takes the node of a or b
	if w.Disarm(a) || w.Disarm(b) {
		t.Error("an old token takes back the timer that has its node now")
	}
	for _, none := range []Token{0, 1, Token(7) << 32, math.MaxUint64} {
		if w.Disarm(none) {
			t.Errorf("token %#x was never given", none)
		}
	}
	if !w.Disarm(c) || w.Len() != 0 {
		t.Error("the living timer was lost")
	}
}

func TestDueMayArmAndDisarm(t *testing.T) {
	w := New(time.Millisecond, 1)
	w.Advance(start, nil)
	at := start + 5*ms
	tokens := map[uint64]Token{}
	for id := range uint64(10) {
		tokens[id] = w.Arm(at, id)
	}
	var got []uint64
	due := func(id uint64) {
		got = append(got, id)
		other := id ^ 1 // whichever of a pair comes first takes the other back
		if !w.Disarm(tokens[other]) {
			t.Errorf("timer %d: its twin %d could not be taken back", id, other)
		}
		w.Arm(at, id+100) // its time has passed: must not come in this Advance
	}
	w.Advance(at+ms, due)
	if len(got) != 5 || w.Len() != 5 {
		t.Fatalf("fired %v and left %d, want one of each pair and 5 left", got, w.Len())
	}
	if again := fired(w, at+3*ms); len(again) != 5 || slices.Min(again) < 100 {
		t.Errorf("the timers armed by due: %v", again)
	}
}

func TestPastAndSameTick(t *testing.T) {
	w := New(time.Millisecond, 1)
	w.Advance(start, nil)
	w.Arm(start-int64(time.Hour), 1)
	w.Arm(-5, 2)
	w.Arm(math.MinInt64, 3)
	if got := fired(w, start+2*ms); len(got) != 3 {
		t.Errorf("timers of the past: %v, want all three", got)
	}
	w.Arm(math.MaxInt64, 4)
	if next, ok := w.Next(); !ok || next <= start {
		t.Errorf("Next for the end of time: %d %v", next, ok)
	}
	if got := fired(w, start+int64(100*365*24*time.Hour)); len(got) != 0 {
		t.Error("the end of time came early")
	}
	if got := fired(w, math.MaxInt64); len(got) != 0 { // rounded up, it is after the last tick
		t.Error("rounded down")
	}
}

// A wheel that was never told the time starts at 1970.
func TestArmBeforeFirstAdvance(t *testing.T) {
	w := New(time.Millisecond, 1)
	w.Arm(start+50*ms, 7)
	if got := fired(w, start+40*ms); len(got) != 0 {
		t.Errorf("fired early: %v", got)
	}
	if got := fired(w, start+51*ms); !slices.Equal(got, []uint64{7}) {
		t.Errorf("fired %v, want 7", got)
	}
}

func TestClockSetBack(t *testing.T) {
	w := New(time.Millisecond, 1)
	w.Advance(start, nil)
	old := w.Arm(start+20*ms, 1)
	w.Arm(start+int64(time.Minute), 2)
	back := start - int64(time.Hour)
	w.Arm(back+30*ms, 3) // armed by the new time, before the wheel was told
	if got := fired(w, back); len(got) != 0 {
		t.Errorf("the step back fired %v", got)
	}
	w.Arm(back+10*ms, 4)
	if next, _ := w.Next(); next > back+11*ms {
		t.Errorf("Next is %v after the step, want 10ms", time.Duration(next-back))
	}
	if got := fired(w, back+11*ms); !slices.Equal(got, []uint64{4}) {
		t.Errorf("fired %v, want 4", got)
	}
	if got := fired(w, back+31*ms); !slices.Equal(got, []uint64{3}) {
		t.Errorf("fired %v, want 3", got)
	}
	if !w.Disarm(old) {
		t.Error("a token died of the step")
	}
	if got := fired(w, start+int64(2*time.Minute)); !slices.Equal(got, []uint64{2}) {
		t.Errorf("fired %v, want 2", got)
	}
}

// model is the wheel as a list that is searched.
type model struct {
	now  int64           // of the last Advance
	at   map[Token]int64 // deadlines
	from map[Token]int64 // what lateness counts from: the deadline, or when it was armed after that
	id   map[Token]uint64
}

// TestAgainstModel drives a wheel at random, with steps of the clock from
// nanoseconds to days and some backwards, and compares each step with a list:
// whatever is one tick over its time has fired, nothing fires before its time.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			tick := time.Duration(1) << r.IntN(28)
			w := New(tick, 1+r.IntN(64))
			now := start
			m := model{now, map[Token]int64{}, map[Token]int64{}, map[Token]uint64{}}
			w.Advance(now, nil)
			for range 3000 {
				switch k := r.IntN(10); {
				case k < 5:
					m.arm(t, w, now+span(r)-int64(tick))
				case k < 8:
					m.disarmOne(t, w)
				default:
					if r.IntN(50) == 0 {
						now -= span(r) / 4
					} else if next, ok := w.Next(); ok && r.IntN(2) == 0 {
						now = max(now, next)
					} else {
						now += span(r)
					}
					m.advance(t, w, now, int64(tick), r)
				}
				m.check(t, w, int64(tick))
			}
		})
	}
}

// span is a duration of any magnitude up to some days.
func span(r *rand.Rand) int64 { return r.Int64N(1 << (1 + r.IntN(48))) }

func (m *model) arm(t *testing.T, w *Wheel, at int64) {
	tok := w.Arm(at, uint64(at)*3)
	if _, had := m.at[tok]; had || tok == 0 {
		t.Fatalf("token %#x is in use", tok)
	}
	m.keep(tok, at)
}

func (m *model) keep(tok Token, at int64) {
	m.at[tok], m.from[tok], m.id[tok] = at, max(at, m.now), uint64(at)*3
}

func (m *model) disarmOne(t *testing.T, w *Wheel) {
	for tok := range m.at {
		if !w.Disarm(tok) {
			t.Fatalf("an armed timer cannot be taken back")
		}
		m.forget(tok)
		if w.Disarm(tok) {
			t.Fatalf("taken back twice")
		}
		return
	}
}

func (m *model) forget(tok Token) {
	delete(m.at, tok)
	delete(m.from, tok)
	delete(m.id, tok)
}

func (m *model) advance(t *testing.T, w *Wheel, now, tick int64, r *rand.Rand) {
	if now>>w.shift < m.now>>w.shift { // the step puts right what was armed by the new clock before it
		maps.Copy(m.from, m.at)
	}
	m.now = now
	got := map[uint64]int{}
	inside := map[Token]int64{} // armed by due: for a later Advance, whatever their time
	w.Advance(now, func(id uint64) {
		got[id]++
		if r.IntN(4) == 0 {
			at := now + span(r) - tick
			inside[w.Arm(at, uint64(at)*3)] = at
		}
	})
	for tok, at := range m.at {
		id := m.id[tok]
		switch {
		case got[id] > 0:
			if at > now {
				t.Fatalf("fired %v early", time.Duration(at-now))
			}
			got[id]--
			m.forget(tok)
			if w.Disarm(tok) {
				t.Fatal("a timer that fired was taken back")
			}
		case m.from[tok]+tick <= now:
			t.Fatalf("not fired %v after its time, the tick is %v", time.Duration(now-at), time.Duration(tick))
		}
	}
	for id, n := range got {
		if n != 0 {
			t.Fatalf("id %d fired %d times too often", id, n)
		}
	}
	for tok, at := range inside {
		m.keep(tok, at)
	}
}

func (m *model) check(t *testing.T, w *Wheel, tick int64) {
	if w.Len() != len(m.at) {
		t.Fatalf("Len is %d, want %d", w.Len(), len(m.at))
	}
	next, ok := w.Next()
	if ok != (len(m.at) > 0) {
		t.Fatalf("Next says %v with %d armed", ok, len(m.at))
	}
	for _, from := range m.from {
		if next > from+tick {
			t.Fatalf("Next is %v after a deadline, the tick is %v", time.Duration(next-from), time.Duration(tick))
		}
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	w := New(time.Millisecond, 1000)
	now := start
	tokens := make([]Token, 0, 1000)
	due := func(uint64) {}
	if n := testing.AllocsPerRun(100, func() {
		tokens = tokens[:0]
		for i := range 1000 {
			tokens = append(tokens, w.Arm(now+int64(i)*70*ms, uint64(i)))
		}
		for i := 0; i < 1000; i += 2 {
			w.Disarm(tokens[i])
		}
		now += 80_000 * ms
		w.Advance(now, due)
	}); n != 0 {
		t.Errorf("%v allocations for a thousand timers that it has room for", n)
	}
	if w.Len() != 0 {
		t.Errorf("%d left", w.Len())
	}
}

func TestGrowsBeyondCapacity(t *testing.T) {
	w := New(time.Millisecond, 1)
	w.Advance(start, nil)
	for i := range uint64(10_000) {
		w.Arm(start+int64(i)*ms, i)
	}
	var ids []uint64
	for at := start; len(ids) < 10_000; at += ms {
		if at > start+11_000*ms {
			t.Fatalf("%d of 10000 timers fired", len(ids))
		}
		w.Advance(at, func(id uint64) { ids = append(ids, id) })
	}
	if !slices.IsSorted(ids) {
		t.Error("a millisecond apart, and not in order")
	}
}

// The life of nearly every timer: armed, and taken back when the answer comes,
// among 200,000 others.
func BenchmarkArmDisarm(b *testing.B) {
	const pending, window = 200_000, 512
	w := New(time.Millisecond, pending+window+1)
	now := start
	w.Advance(now, nil)
	for i := range pending {
		w.Arm(now+30*int64(time.Second)+int64(i)*150_000, uint64(i))
	}
	var tokens [window]Token
	i := 0
	for b.Loop() {
		w.Disarm(tokens[i%window])
		now += 10_000
		tokens[i%window] = w.Arm(now+30*int64(time.Second), uint64(i))
		i++
	}
}

func BenchmarkAdvanceBusy(b *testing.B) {
	const pending = 200_000
	w := New(time.Millisecond, pending+1)
	now := start
	w.Advance(now, nil)
	for i := range pending {
		w.Arm(now+int64(i)*150_000, uint64(i)) // evenly over 30 s
	}
	due := func(id uint64) { w.Arm(now+30*int64(time.Second), id) }
	for b.Loop() {
		now += 150_000 // one falls due
		w.Advance(now, due)
	}
}

func BenchmarkNext(b *testing.B) {
	w := New(time.Millisecond, 10)
	w.Advance(start, nil)
	w.Arm(start+int64(time.Hour), 1)
	for b.Loop() {
		w.Next()
	}
}
