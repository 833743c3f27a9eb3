package conn

import "testing"

// A held front leaves callers in the backlog and loses none; it can be stopped
// while it is held.
func TestHeldUntilAdmitted(t *testing.T) {
	cfg := door1()
	cfg.Held = true
	f, _ := run(t, cfg)
	c := dial(t, f)
	write(t, c, framed("hello"))
	if n := f.Stats().Accepted; n != 0 {
		t.Errorf("%d were taken in", n)
	}
	f.Admit()
	f.Admit()
	if got := read(t, c); got != "hello" {
		t.Errorf("%q", got)
	}
	run(t, cfg) // is stopped as it is
}
