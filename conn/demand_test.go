package conn

import (
	"testing"
	"time"
)

func onDemand(t *testing.T, cfg Config) (*Front, *probe) {
	t.Helper()
	cfg.Links[0].OnDemand = true
	f, probes := run(t, cfg)
	return f, probes[0]
}

func (p *probe) dial(times int) {
	for range times {
		p.loop.Dial(0)
	}
}

func (p *probe) failed() (n int) {
	p.see(func() { n = p.missed })
	return n
}

// A link on demand is dialled when that is asked for; what is asked for while a
// connection is there is one more, however often.
func TestLinkOnDemand(t *testing.T) {
	b := newBank(t)
	f, c := onDemand(t, linkTo(b))
	if n := f.Stats().Dialled; n != 0 {
		t.Fatalf("dialled %d times, never asked for", n)
	}
	c.dial(1)
	for i := range 3 {
		peer := b.next()
		ask(t, peer, "hello")
		if i < 2 {
			c.dial(5)
		}
		_ = peer.Close()
		c.ends(i + 1)
	}
	if n := f.Stats().Dialled; n != 3 || c.failed() != 0 {
		t.Errorf("dialled %d times, want 3; %d failed", n, c.failed())
	}
}

func TestLinkOnDemandThatCannotBeReached(t *testing.T) {
	b := newBank(t)
	b.shut()
	cfg := linkTo(b)
	cfg.Links[0].Backups = []string{"127.0.0.1:1"}
	f, c := onDemand(t, cfg)
	for want := 1; want <= 3; want++ {
		c.dial(1)
		within(t, "it is told", func() bool { return c.failed() == want })
	}
	if n := f.Stats().DialErrs; n != 3 {
		t.Errorf("%d dial errors of 3 calls", n)
	}
	b.open()
	c.dial(1)
	ask(t, b.next(), "at last")
	if n := c.failed(); n != 3 {
		t.Errorf("%d failed", n)
	}
}

// The backup is called when the first address is not there.
func TestLinkOnDemandByItsBackup(t *testing.T) {
	b := newBank(t)
	cfg := linkTo(b)
	cfg.Links[0].Addr, cfg.Links[0].Backups = "127.0.0.1:1", []string{b.addr}
	_, c := onDemand(t, cfg)
	c.dial(1)
	ask(t, b.next(), "by the backup")
}

// A link that moves while it is called is called at its new place; one that is
// taken away is not called any more.
func TestLinkOnDemandMoves(t *testing.T) {
	a, b := newBank(t), newBank(t)
	cfg := linkTo(a)
	f, c := onDemand(t, cfg)
	c.dial(1)
	old := a.next()
	ask(t, old, "here")
	c.dial(1) // asked for while the old connection is still there
	cfg.Links = append([]LinkConfig(nil), cfg.Links...)
	cfg.Links[0].Addr = b.addr
	if ch, err := f.Update(cfg); err != nil || len(ch.Links.Moved) != 1 {
		t.Fatal(ch, err)
	}
	_ = old.Close()
	ask(t, b.next(), "there")
	cfg.Links = nil
	if _, err := f.Update(cfg); err != nil {
		t.Fatal(err)
	}
	c.dial(1)
	c.ends(2)
	if n := f.Stats().Dialled; n != 2 {
		t.Errorf("dialled %d times, want 2", n)
	}
}

func TestOnDemandAndListenContradict(t *testing.T) {
	cfg := Config{Links: []LinkConfig{{Name: "bank", Addr: "127.0.0.1:0", Framing: Binary2, Listen: true, OnDemand: true, Silence: time.Second}}}
	if cfg.Validate() == nil {
		t.Error("no fault")
	}
}
