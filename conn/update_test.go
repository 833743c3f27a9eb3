package conn

import (
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"
)

func listenerNamed(name string, change ...func(*ListenerConfig)) ListenerConfig {
	l := ListenerConfig{Name: name, Addr: "127.0.0.1:0", Framing: Binary2}
	for _, c := range change {
		c(&l)
	}
	return l
}

// update does it, and checks that Plan had said so.
func update(t *testing.T, f *Front, cfg Config) Change {
	t.Helper()
	planned, err := f.Plan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done, err := f.Update(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(planned, done) {
		t.Errorf("planned %+v\ndone    %+v", planned, done)
	}
	return done
}

func dialAt(t *testing.T, f *Front, listener int) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr(listener).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// A listener that gets another name at its old address is the same one: nobody is
// cut, and the socket stays. One that speaks something else then is another one,
// and cannot have the address while the old one listens there.
func TestUpdateRenamesAListener(t *testing.T) {
	cfg := Config{Listeners: []ListenerConfig{listenerNamed("old"), listenerNamed("b")}}
	for i := range cfg.Listeners {
		cfg.Listeners[i].Addr, cfg.Listeners[i].Speaks = held(t), "pos"
	}
	f, _ := run(t, cfg)
	c := dialAt(t, f, 0)
	ask(t, c, "before")
	swapped := Config{Listeners: []ListenerConfig{cfg.Listeners[1], cfg.Listeners[0]}}
	swapped.Listeners[0].Name, swapped.Listeners[1].Name = "new", "b2"
	swapped.Listeners[1].MaxConns = 1
	change := update(t, f, swapped)
	want := []Renaming{{"b", Place{"new", 1}}, {"old", Place{"b2", 0}}}
	if !reflect.DeepEqual(change.Listeners, Diff{Renamed: want}) || change.Draining != 0 {
		t.Errorf("%+v", change)
	}
	ask(t, c, "after")
	refused(t, f.Addr(0).String()) // the new limit holds: one is in
	if n := f.Stats().Refused; n != 1 {
		t.Errorf("%d refused", n)
	}
	ask(t, dialAt(t, f, 1), "at the other")
	other := Config{Listeners: []ListenerConfig{swapped.Listeners[0], swapped.Listeners[1]}}
	other.Listeners[1].Name, other.Listeners[1].Speaks = "b3", "bcd"
	if _, err := f.Update(other); err == nil || !strings.Contains(err.Error(), "b3") {
		t.Errorf("another dialect at the address: %v", err)
	}
	ask(t, c, "still")
}

// Limits change for those who are in, and nobody is cut.
func TestUpdateInPlace(t *testing.T) {
	cfg := door1(func(l *ListenerConfig) { l.MaxConns = 1 })
	f, probes := run(t, cfg)
	c := dial(t, f)
	ask(t, c, "in")
	if change := update(t, f, cfg); !change.Empty() {
		t.Errorf("nothing changed, but %+v", change)
	}
	cfg.Listeners = []ListenerConfig{cfg.Listeners[0]}
	l := &cfg.Listeners[0]
	l.MaxConns, l.MaxFrame, l.Idle = 2, 100, 300*time.Millisecond
	change := update(t, f, cfg)
	if want := []Place{{"pos", 0}}; !reflect.DeepEqual(change.Listeners.Changed, want) || change.Draining != 0 {
		t.Errorf("%+v", change)
	}
	ask(t, c, "still in")
	second := dial(t, f)
	ask(t, second, "the second")
	write(t, second, framed(strings.Repeat("x", 101)))
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrOversize) {
		t.Errorf("closed for %v", errs[0])
	}
	readEnd(t, c) // the new idle limit holds for who was in before
	within(t, "idle", func() bool { return f.Stats().ClosedIdle == 1 })
}

// A limit that shrinks under a half frame refuses it, and does not panic.
func TestUpdateShrinksUnderAHalfFrame(t *testing.T) {
	cfg := door1(func(l *ListenerConfig) { l.MaxFrame = 4000; l.Framing = endless{Binary2} })
	f, probes := run(t, cfg)
	c := dial(t, f)
	write(t, c, framed(strings.Repeat("x", 4000))[:3000])
	within(t, "half a frame", func() bool { return f.Stats().BytesIn == 3000 })
	cfg.Listeners = []ListenerConfig{cfg.Listeners[0]}
	cfg.Listeners[0].MaxFrame = 100
	update(t, f, cfg)
	write(t, c, []byte("x"))
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrOversize) {
		t.Errorf("closed for %v", errs[0])
	}
}

// Listeners come, go and move; who is in stays until nothing is owed to him.
func TestUpdateListeners(t *testing.T) {
	cfg := Config{Listeners: []ListenerConfig{listenerNamed("stays"), listenerNamed("goes"), listenerNamed("moves"), listenerNamed("reframes")}}
	f, d := runDebtor(t, cfg)
	stays, goes, moves, reframes := dialAt(t, f, 0), dialAt(t, f, 1), dialAt(t, f, 2), dialAt(t, f, 3)
	for _, c := range []*net.TCPConn{stays, goes, moves, reframes} {
		ask(t, c, "in")
	}
	gone, movedFrom, same := f.Addr(1).String(), f.Addr(2).String(), f.Addr(3).String()
	var owing ID
	d.see(func() {
		for id, p := range d.peers {
			if p.Index == 1 {
				owing = id
			}
		}
	})
	d.set(owing, true)
	change := update(t, f, Config{Listeners: []ListenerConfig{
		listenerNamed("new"), cfg.Listeners[0],
		listenerNamed("moves", func(l *ListenerConfig) { l.Addr = "127.0.0.2:0" }),
		listenerNamed("reframes", func(l *ListenerConfig) { l.Framing = ASCII4 }),
	}})
	want := Diff{Added: []Place{{"new", 4}}, Removed: []Place{{"goes", 1}}, Moved: []Place{{"moves", 2}}, Replaced: []Place{{"reframes", 5}}}
	if !reflect.DeepEqual(change.Listeners, want) || change.Draining != 3 {
		t.Errorf("%+v", change)
	}
	readEnd(t, moves)
	readEnd(t, reframes)
	ask(t, goes, "still owed something")
	ask(t, stays, "not disturbed")
	ask(t, dialAt(t, f, 4), "by the new door")
	ask(t, dialAt(t, f, 2), "by the moved door")
	for _, addr := range []string{gone, movedFrom} {
		if _, err := net.Dial("tcp", addr); err == nil {
			t.Errorf("%s still listens", addr)
		}
	}
	if f.Addr(5).String() != same || f.Addr(1) != nil || f.Addr(3) != nil {
		t.Errorf("at %v, was %v", f.Addr(5), same)
	}
	write(t, dialAt(t, f, 5), []byte("0005hello"))
	within(t, "a frame of the new framing", func() bool {
		found := false
		d.see(func() { found = string(d.frames[len(d.frames)-1]) == "hello" })
		return found
	})
	d.set(owing, false)
	readEnd(t, goes)
}

// What cannot be opened or is not whole changes nothing.
func TestUpdateFailsWhole(t *testing.T) {
	cfg := Config{Listeners: []ListenerConfig{listenerNamed("a"), listenerNamed("b")}}
	f, _ := run(t, cfg)
	c := dialAt(t, f, 1)
	taken := f.Addr(0).String()
	for want, bad := range map[string]Config{
		`listener "taken"`:        {Listeners: []ListenerConfig{listenerNamed("free"), listenerNamed("taken", func(l *ListenerConfig) { l.Addr = taken })}},
		"only come by a restart":  {Loops: 2, Listeners: cfg.Listeners},
		`listeners[1]: the name`:  {Listeners: []ListenerConfig{listenerNamed("a"), listenerNamed("a")}},
		`links[1]: the name`:      {Links: []LinkConfig{{Name: "x", Addr: "h:1", Framing: ASCII4}, {Name: "x", Addr: "h:1", Framing: ASCII4}}},
		`drain time`:              {DrainTime: -1},
		`listeners[0] "x": no fr`: {Listeners: []ListenerConfig{{Name: "x", Addr: "h:1"}}},
	} {
		if change, err := f.Update(bad); err == nil || !strings.Contains(err.Error(), want) || !change.Empty() {
			t.Errorf("want %s: %+v, %v", want, change, err)
		}
	}
	ask(t, c, "not disturbed")
	ask(t, dialAt(t, f, 0), "nor new ones")
	f.StopAccepting()
	if _, err := f.Update(cfg); err == nil {
		t.Error("updated while it is being stopped")
	}
}

// Links come, go and move. A moved one is dialled anew only after its old
// connection has ended: there is one of each at any time.
func TestUpdateLinks(t *testing.T) {
	a, b, c, d := newBank(t), newBank(t), newBank(t), newBank(t)
	link := func(name string, at *bank, change ...func(*LinkConfig)) LinkConfig {
		l := LinkConfig{Name: name, Addr: at.addr, Framing: Binary2, BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond}
		for _, x := range change {
			x(&l)
		}
		return l
	}
	f, h := runDebtor(t, Config{Links: []LinkConfig{link("stays", a), link("goes", b), link("moves", c)}})
	stays, goes, moves := a.next(), b.next(), c.next()
	for _, x := range []net.Conn{stays, goes, moves} {
		defer x.Close()
		ask(t, x, "hello")
	}
	var owing ID
	h.see(func() {
		for id, p := range h.peers {
			if p.Index == 2 {
				owing = id
			}
		}
	})
	h.set(owing, true)
	change := update(t, f, Config{Links: []LinkConfig{
		link("stays", a, func(l *LinkConfig) { l.MaxFrame = 50 }), link("moves", d), link("new", b)}})
	want := Diff{Added: []Place{{"new", 3}}, Removed: []Place{{"goes", 1}}, Changed: []Place{{"stays", 0}}, Moved: []Place{{"moves", 2}}}
	if !reflect.DeepEqual(change.Links, want) || change.Draining != 2 {
		t.Errorf("%+v", change)
	}
	readEnd(t, goes)
	_ = goes.Close()
	fresh := b.next()
	defer fresh.Close()
	ask(t, fresh, "the new link")
	ask(t, moves, "still owed something")
	select {
	case <-d.in:
		t.Error("dialled while the old connection is open")
	default:
	}
	h.set(owing, false)
	readEnd(t, moves)
	_ = moves.Close()
	there := d.next()
	defer there.Close()
	ask(t, there, "moved")
	ask(t, stays, "not disturbed")
	write(t, stays, framed(strings.Repeat("x", 51)))
	readEnd(t, stays)
	again := a.next() // it is a link as before, and comes back
	defer again.Close()
}

// What never ends is cut when the time for it is over.
func TestUpdateCutsAtTheEnd(t *testing.T) {
	cfg := Config{Listeners: []ListenerConfig{listenerNamed("stays"), listenerNamed("goes")}}
	f, d := runDebtor(t, cfg)
	c := dialAt(t, f, 1)
	ask(t, c, "in")
	d.set(d.ids(true)[0], true)
	update(t, f, Config{Listeners: cfg.Listeners[:1], DrainTime: 100 * time.Millisecond})
	_, _ = io.Copy(io.Discard, c) // a reset, before the caller's own deadline
	within(t, "counted", func() bool { return f.Stats().ClosedDrained == 1 })
}
