package conn

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// A listener that comes and goes leaves no descriptor behind, neither its own nor
// that under which its loop was told; who came by it is served until the end.
func TestAListenerLeavesNoDescriptor(t *testing.T) {
	cfg := Config{Listeners: []ListenerConfig{listenerNamed("stays")}}
	f, _ := run(t, cfg)
	ask(t, dialAt(t, f, 0), "in")
	before := openFiles(t)
	for n := range 5 {
		more := cfg
		more.Listeners = append(slices.Clone(cfg.Listeners), listenerNamed("passes"))
		update(t, f, more)
		c := dialAt(t, f, n+1)
		ask(t, c, "in by the other")
		update(t, f, cfg)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "all closed", func() bool { return openFiles(t) <= before })
	ask(t, dialAt(t, f, 0), "still")
}

// A socket that was given to another process keeps what waits in it for that one.
func TestWhoWaitsInAGivenSocketIsTheOthers(t *testing.T) {
	for _, given := range []bool{true, false} {
		busy, goOn := make(chan struct{}), make(chan struct{})
		f, _ := run(t, door1(), func(p *probe) {
			p.on = func(_ ID, b []byte) bool {
				if string(b) != "wait" {
					return false
				}
				close(busy)
				<-goOn
				return true
			}
		})
		write(t, dial(t, f), framed("wait"))
		<-busy
		c := dial(t, f) // waits in the socket
		if given {
			fd, err := f.listeners[0].in.give()
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
		}
		f.StopAccepting()
		if n := f.Stats().Accepted; given != (n == 1) {
			t.Errorf("given %v: %d were accepted", given, n)
		}
		close(goOn)
		if !given {
			ask(t, c, "let in at the end")
		}
	}
}

// An entrance that rests, since there was no descriptor, is closed like another, and
// one that is open looks again.
func TestAnEntranceRests(t *testing.T) {
	f, _ := run(t, door1())
	ask(t, dial(t, f), "in")
	e := f.listeners[0].in
	e.mu.Lock()
	e.come.err = unix.EMFILE
	e.rest()
	e.mu.Unlock()
	ask(t, dial(t, f), "after the rest")
	e.mu.Lock()
	e.rest()
	e.mu.Unlock()
	f.StopAccepting()
	if e.fd != -1 {
		t.Error("a resting entrance is not closed")
	}
	if n := f.Stats().AcceptErrs; n != 2 {
		t.Errorf("%d errors", n)
	}
}
