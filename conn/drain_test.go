package conn

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"
)

// debtor is a probe that owes what a test says.
type debtor struct {
	*probe
	mu   sync.Mutex
	owes map[ID]bool
	told map[ID]int
}

func (d *debtor) Draining(id ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told[id]++
}

func (d *debtor) Owes(id ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owes[id]
}

func (d *debtor) set(id ID, owes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owes[id] = owes
}

// runDebtor starts a front of one loop whose handler is a Drainer.
func runDebtor(t *testing.T, cfg Config) (*Front, *debtor) {
	t.Helper()
	var d *debtor
	f, err := Start(cfg, func(l Loop) Handler {
		d = &debtor{probe: &probe{t: t, loop: l, peers: map[ID]Peer{}, closed: map[ID]error{}, out: map[ID][]byte{}},
			owes: map[ID]bool{}, told: map[ID]int{}}
		return d
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, f, []*probe{d.probe}) })
	return f, d
}

// ids gives the open connections of listeners, or of links.
func (d *debtor) ids(listener bool) (ids []ID) {
	d.see(func() {
		for id, p := range d.peers {
			if p.Listener == listener && isNew(d.closed, id) {
				ids = append(ids, id)
			}
		}
	})
	return ids
}

// Drain closes the terminals that have nothing under way, waits for half frames
// and for what is owed, and only then closes the links.
func TestDrainWaitsForWhatIsUnderWay(t *testing.T) {
	b := newBank(t)
	cfg := linkTo(b)
	cfg.Listeners = door1().Listeners
	f, d := runDebtor(t, cfg)
	line := b.next()
	defer line.Close()
	quiet, half, waits := dial(t, f), dial(t, f), dial(t, f)
	for _, c := range []io.ReadWriter{quiet, half, waits} {
		if _, err := c.Write(framed("in")); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		within(t, "three frames", func() bool { _, _, n := d.count(); return n == 3 })
	}
	read(t, quiet)
	read(t, half)
	read(t, waits)
	var owing ID
	d.see(func() {
		for id, p := range d.peers {
			if p.Remote.String() == waits.LocalAddr().String() {
				owing = id
			}
		}
	})
	d.set(owing, true)
	write(t, half, framed("slow")[:3])
	within(t, "half a frame", func() bool { return f.Stats().BytesIn >= 3*4+3 })

	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { done <- f.Drain(ctx, 50*time.Millisecond) }()
	readEnd(t, quiet)
	_ = quiet.Close()
	within(t, "the quiet one is gone", func() bool { return len(d.ids(true)) == 2 })
	if len(d.ids(false)) != 1 {
		t.Error("the link left before the terminals")
	}
	write(t, half, framed("slow")[3:]) // finishes, is answered, and goes
	if got := read(t, half); got != "slow" {
		t.Errorf("answered %q", got)
	}
	readEnd(t, half)
	_ = half.Close()
	within(t, "the slow one is gone", func() bool { return len(d.ids(true)) == 1 })
	select {
	case err := <-done:
		t.Fatalf("drained while something was owed: %v", err)
	default:
	}
	ask(t, waits, "still served")
	d.set(owing, false)
	readEnd(t, waits)
	_ = waits.Close()
	readEnd(t, line)
	_ = line.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	within(t, "four drained", func() bool { return f.Stats().ClosedDrained == 4 })
	d.see(func() {
		for id, err := range d.closed {
			if !errors.Is(err, ErrDrained) {
				t.Errorf("%#x closed for %v", id, err)
			}
		}
	})
	for id, n := range d.told {
		if n != 1 {
			t.Errorf("%#x was told %d times", id, n)
		}
	}
	if len(d.told) != 4 {
		t.Errorf("%d were told, want 4", len(d.told))
	}
	if s := f.Stats(); s.Dialled != 1 {
		t.Errorf("a drained link was dialled again: %d", s.Dialled)
	}
}

// The closings of many are spread: the first comes early, the last not before
// most of the window has passed.
func TestDrainSpreads(t *testing.T) {
	const n, window = 20, 400 * time.Millisecond
	f, probes := run(t, door1())
	ends := make(chan time.Time, n)
	for range n {
		c := dial(t, f)
		ask(t, c, "in")
		go func() {
			_, _ = io.Copy(io.Discard, c)
			ends <- time.Now()
			_ = c.Close()
		}()
	}
	start := time.Now()
	if err := f.Drain(t.Context(), window); err != nil {
		t.Fatal(err)
	}
	var last time.Duration
	for range n {
		last = max(last, (<-ends).Sub(start))
	}
	if last < window/2 {
		t.Errorf("all of them were closed within %v", last)
	}
	if errs := probes[0].ends(n); !errors.Is(errs[0], ErrDrained) {
		t.Errorf("closed for %v", errs[0])
	}
}

// What is owed for ever ends with ctx; the connection goes on until Stop.
func TestDrainGivesUpWithItsContext(t *testing.T) {
	f, d := runDebtor(t, door1())
	c := dial(t, f)
	ask(t, c, "in")
	d.set(d.ids(true)[0], true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := f.Drain(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain: %v", err)
	}
	ask(t, c, "still served")
}
