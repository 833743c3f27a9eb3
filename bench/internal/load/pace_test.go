package load

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestSalesAtARate(t *testing.T) {
	at := echoBank(t)
	for name, reconnect := range map[string]bool{"on a line": false, "each with a line of its own": true} {
		t.Run(name, func(t *testing.T) {
			s := short(at)
			s.Rate, s.Reconnect, s.Window = 200, reconnect, 250*time.Millisecond
			s.Shortfall = true // a machine that stands still is behind, and no fault of ours
			began := time.Now()
			r, err := Run(s, nil)
			due := 1 + int64(200*time.Since(began).Seconds())
			if err != nil || len(r.Faults) != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			// Never more than the rate allows; fewer when the machine stands still.
			if r.Answers < 5 || r.Answers > due {
				t.Errorf("%d answers where %d were due, in %.2f s at 200 a second", r.Answers, due, r.Seconds)
			}
		})
	}
}

// A system that holds a sale up is asked the next one late, and its time counts
// from when that was due.
func TestWhatIsDueCounts(t *testing.T) {
	const hold = 60 * time.Millisecond
	s := short(scripted(t, func(f []byte) []byte {
		<-time.After(hold)
		return reply(f, "00")
	}))
	// A sale is due each 40 ms and takes 60: the second waits for the first.
	s.Echo, s.Connections, s.Terminals, s.Rate = false, 1, 1, 25
	s.WarmUp, s.Window = 0, 115*time.Millisecond
	g, err := open(&s)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); g.latency.TotalCount() < 2; {
		if time.Now().After(end) {
			t.Fatal("no second answer")
		}
		if err := g.until(time.Now().Add(5 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	// From its due time (40 ms) to its answer (120 ms), where its own time is 60.
	if got := time.Duration(g.latency.Max()); got < hold+10*time.Millisecond {
		t.Errorf("the sale that waited took %v", got)
	}
}

// Whoever was due while a system stood still has waited, not only the one whom it was
// serving: the mistake that an open loop is for.
func TestStandstillIsFeltByAllWhoWereDue(t *testing.T) {
	const still = 400 * time.Millisecond
	n := 0
	s := short(scripted(t, func(f []byte) []byte {
		if n++; n == 5 { // one connection: nobody else counts
			<-time.After(still)
		}
		return reply(f, "00")
	}))
	s.Echo, s.Connections, s.Terminals, s.Rate = false, 1, 1, 100
	s.WarmUp, s.Window, s.Shortfall = 0, 700*time.Millisecond, true
	r, err := Run(s, nil)
	if err != nil || len(r.Faults) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	h, err := hdrhistogram.Decode([]byte(r.Histogram))
	if err != nil {
		t.Fatal(err)
	}
	// Some forty were due meanwhile, and waited half of it on average.
	var late int64
	for _, b := range h.Distribution() {
		if b.From >= int64(still/4) {
			late += b.Count
		}
	}
	if late < 20 || r.Unsent < 20 {
		t.Errorf("%d of %d sales have felt %v", late, h.TotalCount(), still)
	}
}

// A system that goes silent is judged by those who wait, not by those whom it has served.
func TestWhoeverStillWaitsIsCounted(t *testing.T) {
	n := 0
	s := short(scripted(t, func(f []byte) []byte {
		if n++; n > 3 {
			return []byte{}
		}
		return reply(f, "00")
	}))
	s.Echo, s.Connections, s.Terminals, s.Rate = false, 1, 1, 100
	s.WarmUp, s.Window, s.Drain, s.Shortfall = 0, 500*time.Millisecond, 10*time.Millisecond, true
	r, err := Run(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Behind < 30 || r.Unsent < r.Behind || r.Answers > 3 || r.P50 < 100_000 {
		t.Errorf("%d answers, %d behind, p50 %v µs", r.Answers, r.Behind, r.P50)
	}
}

func TestPacer(t *testing.T) {
	var p pacer
	end := time.Now()
	if p.behind(end) != 0 || p.before(end) != end {
		t.Error("without a rate something is due")
	}
	p.start(1000, 2)
	due := p.due
	if got := p.before(due.Add(time.Second)); got != due {
		t.Errorf("next at %v, due %v", got, due)
	}
	if a, b := p.take(), p.take(); a != 0 || b != 1 {
		t.Errorf("turns %d, %d", a, b)
	}
	if end := due.Add(time.Second); p.before(end) != end {
		t.Error("a sale is due that nobody is free to send")
	}
	p.put(1)
	p.put(0)
	if a, b := p.take(), p.take(); a != 1 || b != 0 {
		t.Errorf("turns %d, %d: who is free longest goes first", a, b)
	}
	for after, want := range map[time.Duration]int64{-time.Second: 0, 0: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, 2500 * time.Microsecond: 3} {
		if got := p.behind(due.Add(after)); got != want {
			t.Errorf("%v after: %d behind, want %d", after, got, want)
		}
	}
}

// What the system cannot keep up with for long is a fault, not a lower rate.
func TestRateThatIsNotKept(t *testing.T) {
	s := short(scripted(t, func(f []byte) []byte {
		<-time.After(100 * time.Millisecond)
		return reply(f, "00")
	}))
	s.Echo, s.Connections, s.Terminals, s.Rate = false, 1, 1, 100
	r, err := Run(s, nil)
	if err != nil || r.Faults["sale that could not be sent in time"] == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	// Where the shortfall is what is measured, it is counted and no fault.
	s.Shortfall = true
	if r, err = Run(s, nil); err != nil || len(r.Faults) != 0 || r.Unsent == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
