package load

import (
	"testing"
	"time"
)

func TestSalesAtARate(t *testing.T) {
	at := echoBank(t)
	for name, reconnect := range map[string]bool{"on a line": false, "each with a line of its own": true} {
		t.Run(name, func(t *testing.T) {
			s := short(at)
			s.Rate, s.Reconnect, s.Window = 200, reconnect, 250*time.Millisecond
			began := time.Now()
			r, err := Run(s)
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
	for end := time.Now().Add(10 * time.Second); g.latency.TotalCount() < 2; {
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

// What the system cannot keep up with for long is a fault, not a lower rate.
func TestRateThatIsNotKept(t *testing.T) {
	s := short(scripted(t, func(f []byte) []byte {
		<-time.After(100 * time.Millisecond)
		return reply(f, "00")
	}))
	s.Echo, s.Connections, s.Terminals, s.Rate = false, 1, 1, 100
	r, err := Run(s)
	if err != nil || r.Faults["sale that could not be sent for two turns"] == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	// Where the shortfall is what is measured, it is counted and no fault.
	s.Shortfall = true
	if r, err = Run(s); err != nil || len(r.Faults) != 0 || r.Unsent == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
