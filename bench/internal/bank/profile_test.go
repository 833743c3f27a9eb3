package bank

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

func TestParseProfile(t *testing.T) {
	for text, want := range map[string]Profile{
		"0": {}, "stuck": {Stuck: true}, "fixed:5ms": {Median: 5 * time.Millisecond},
		"lognormal:20ms,0.5": {Median: 20 * time.Millisecond, Spread: 0.5},
	} {
		if got, err := ParseProfile(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "fixed", "fixed:", "fixed:-1ms", "fixed:6s", "fixed:5ms,1", "lognormal:5ms", "lognormal:5ms,", "lognormal:5ms,NaN",
		"lognormal:5ms,3", "lognormal:5ms,0", "lognormal:,1", "stuck:1", "0:1", "slow"} {
		if got, err := ParseProfile(text); err == nil || got != (Profile{}) {
			t.Errorf("%q is taken: %+v", text, got)
		}
	}
}

// Half of the times lie below the median, and the tail is where a log-normal one is.
func TestLogNormalTimes(t *testing.T) {
	p := Profile{Median: 10 * time.Millisecond, Spread: 0.5}
	r := rand.New(rand.NewPCG(3, 4))
	below, far := 0, 0
	const n = 20_000
	for range n {
		d := p.next(r)
		if d < p.Median {
			below++
		}
		if d > 32*time.Millisecond { // exp(0.5 × 2.326): one in a hundred
			far++
		}
	}
	if below < n*48/100 || below > n*52/100 || far < n*7/1000 || far > n*13/1000 {
		t.Errorf("%d below the median, %d in the tail of %d", below, far, n)
	}
	p = Profile{Median: mostDelay, Spread: 2}
	for range 100 {
		if d := p.next(r); d <= 0 || d > mostDelay {
			t.Fatalf("%v", d)
		}
	}
}

func TestQueueGivesTheEarliestFirst(t *testing.T) {
	var q queue
	r := rand.New(rand.NewPCG(5, 6))
	base := time.Now()
	for round := range 3 {
		for i := range 200 {
			q.push(held{due: base.Add(time.Duration(r.IntN(50)) * time.Millisecond), tag: int32(i)}, []byte{byte(i)})
		}
		last := time.Time{}
		for i := range 200 {
			h := q.pop()
			if h.due.Before(last) || !bytes.Equal(h.frame, []byte{byte(h.tag)}) {
				t.Fatalf("round %d, %d: %v before %v, frame %v of %d", round, i, h.due, last, h.frame, h.tag)
			}
			last = h.due
			q.free = append(q.free, h.frame)
		}
	}
	if len(q.list) != 0 || len(q.free) != 200 {
		t.Errorf("%d left, %d buffers", len(q.list), len(q.free))
	}
	if q.wait(base) < time.Minute {
		t.Error("nobody waits, and the bank wakes")
	}
}

// Answers come after their time, on both doors; who has gone meanwhile gets none.
func TestAnswersThatTakeTheirTime(t *testing.T) {
	const delay = 80 * time.Millisecond
	b, _ := runWith(t, Profile{Median: delay})
	sale := cups(t, 0x0200, request)
	gone := dial(t, b.Centre())
	if _, err := gone.Write(sale); err != nil {
		t.Fatal(err)
	}
	gone.Close()
	raw := make([]byte, 20)
	raw[1] = 18
	raw[rawMTI] = 0x02
	for name, c := range map[string]struct {
		at    net.Conn
		frame []byte
		least time.Duration
	}{"centre": {dial(t, b.Centre()), sale, delay}, "raw": {dial(t, b.Raw()), raw, delay},
		"a sign-on": {dial(t, b.Centre()), cups(t, 0x0820, map[int]string{7: "0102093000", 11: "000001", 70: "001"}), 0}} {
		began := time.Now()
		// In two pieces, the second with half of another.
		for _, part := range [][]byte{c.frame[:7], c.frame[7:], c.frame[:5]} {
			if _, err := c.at.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(c.at, make([]byte, lengthLen)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if took := time.Since(began); took < c.least {
			t.Errorf("%s: an answer after %v", name, took)
		}
	}
}

// Of all lines the first is stuck, which shows by nothing but its silence to sales.
func TestStuckLine(t *testing.T) {
	b, _ := runWith(t, Profile{Stuck: true})
	first := dial(t, b.Centre())
	signOn := cups(t, 0x0820, map[int]string{7: "0102093000", 11: "000001", 70: "001"})
	sale := cups(t, 0x0200, request)
	ask := func(c net.Conn, frame []byte) byte {
		t.Helper()
		if _, err := c.Write(frame); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, lengthLen)
		if _, err := io.ReadFull(c, head); err != nil {
			t.Fatal(err)
		}
		n, _ := decimal(head)
		rest := make([]byte, n)
		if _, err := io.ReadFull(c, rest); err != nil {
			t.Fatal(err)
		}
		return rest[headerLen+1]
	}
	if got := ask(first, signOn); got != '8' {
		t.Errorf("a sign-on is answered with class %c", got)
	}
	second := dial(t, b.Centre())
	// The sale on the first line is passed over: what comes back is the echo's answer.
	if got := ask(first, append(bytes.Clone(sale), signOn...)); got != '8' {
		t.Errorf("a stuck line answers class %c", got)
	}
	if got := ask(second, sale); got != '2' {
		t.Errorf("the second line answers class %c", got)
	}
}
