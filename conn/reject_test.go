package conn

import (
	"errors"
	"net"
	"testing"
	"time"
)

// A peer that the handler rejects hears what was sent to it, and has a strike; its
// address is shut out after the last one that it may have.
func TestRejectIsAStrike(t *testing.T) {
	cfg := door1(func(l *ListenerConfig) { l.Guard.Strikes, l.Guard.ShutOut = 2, time.Hour })
	f, probes := run(t, cfg, func(p *probe) {
		p.on = func(id ID, b []byte) bool {
			if err := p.loop.Send(id, framed("no")); err != nil {
				t.Error(err)
			}
			p.loop.Reject(id)
			p.loop.Reject(id) // once is enough
			p.loop.Reject(0)  // nobody
			return true
		}
	})
	p := probes[0]
	for range 2 {
		c := dial(t, f)
		write(t, c, framed("what is this"))
		if got := read(t, c); got != "no" {
			t.Errorf("answered %q", got)
		}
		readEnd(t, c)
		_ = c.Close()
		within(t, "it is gone", func() bool { return f.Stats().Open == 0 })
	}
	if errs := p.ends(2); !errors.Is(errs[0], ErrRejected) || !errors.Is(errs[1], ErrRejected) {
		t.Errorf("closed for %v", errs)
	}
	within(t, "both are counted", func() bool { // what closed is counted at the end of its turn
		s := f.Stats()
		return s.ClosedRejected == 2 && s.ShutOuts == 1
	})
	if c, err := net.Dial("tcp", f.Addr(0).String()); err == nil {
		defer c.Close()
	}
	within(t, "nobody gets in", func() bool { return f.Stats().ShutOut == 1 })
}

// Who has come and said nothing is waited for, however long the machine stands
// still between two looks; who came long ago is not.
func TestAStandStillIsNoSilence(t *testing.T) {
	l := &loop{now: int64(time.Hour), began: int64(time.Hour)}
	p := &peer{door: &door{listener: true}, born: l.now - int64(leaveLately)/2}
	for p.looks = range uint8(leaveLooks) {
		if !l.fresh(p) {
			t.Fatalf("not waited for at look %d", p.looks)
		}
	}
	if p.looks = leaveLooks; l.fresh(p) {
		t.Error("waited for without end")
	}
	p.looks, p.born = 0, l.now-int64(leaveLately)
	if l.fresh(p) {
		t.Error("one who is silent as ever is waited for")
	}
}
