package conn

import (
	"io"
	"testing"
	"time"

	"tongka/conn/framing"
)

func kept(t *testing.T, after time.Duration) Framing {
	t.Helper()
	f, err := framing.Parse(framing.Options{Name: "ascii4", KeepAlive: after})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// An idle line gets keep-alives, on a listener and on a link, again and again.
func TestIdleLineIsKeptAlive(t *testing.T) {
	b := newBank(t)
	cfg := door1(func(l *ListenerConfig) { l.Framing = kept(t, 30*time.Millisecond) })
	cfg.Links = linkTo(b).Links
	cfg.Links[0].Framing = cfg.Listeners[0].Framing
	start := time.Now()
	f, _ := run(t, cfg)
	for _, c := range []io.Reader{dial(t, f), b.next()} {
		got := make([]byte, 12)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "000000000000" {
			t.Fatalf("%q, %v", got, err)
		}
		if d := time.Since(start); d < 90*time.Millisecond {
			t.Errorf("three keep-alives in %v", d)
		}
	}
	within(t, "counted", func() bool { s := f.Stats(); return s.KeepAlivesSent >= 6 && s.Sends >= s.KeepAlivesSent })
}

// A busy line gets none: what is sent puts the next one off.
func TestBusyLineNeedsNoKeepAlive(t *testing.T) {
	const answer = "0001x"
	f, _ := run(t, door1(func(l *ListenerConfig) { l.Framing = kept(t, 250*time.Millisecond) }), func(p *probe) {
		p.on = func(id ID, _ []byte) bool { p.out[id] = []byte(answer); return true }
	})
	c := dial(t, f)
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	got := make([]byte, len(answer))
	start, longest := time.Now(), time.Duration(0)
	for last := start; time.Since(start) < 700*time.Millisecond; {
		<-tick.C
		write(t, c, []byte("0001q"))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		longest, last = max(longest, time.Since(last)), time.Now()
		if string(got) != answer && longest < 100*time.Millisecond { // a machine that stood still twice may see one
			t.Fatalf("%q on a line that was busy each %v", got, longest)
		}
	}
}

// The loop's own keep-alives neither allocate nor touch a connection whose
// framing has none.
func TestKeepAliveOnTheLoop(t *testing.T) {
	l, _, p := bare()
	defer l.timer.Stop()
	if p.alive != 0 {
		t.Error("a timer for keep-alives that nobody wants")
	}
	l.letGo(p)
	p.door = newDoor(t.Context(), true, 0, listenerTerms(&ListenerConfig{Framing: kept(t, time.Second)}, nil))
	l.takeOn(p)
	p.sent = l.now
	step := func() {
		l.now += int64(time.Second)
		l.keepAlive(p)
		l.wheel.Disarm(p.alive)
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := l.count[keepAlivesSent]; n != 101 {
		t.Errorf("%d keep-alives, want 101", n)
	}
}
