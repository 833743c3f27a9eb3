package engine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/flow"
)

// again starts another life on what is on disk.
func (w *world) again() {
	w.t.Helper()
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
}

// What an operator took out of service stays out over restarts, also of a bank
// that got another line meanwhile, until it is given back.
func TestDrainHoldsOverARestart(t *testing.T) {
	w := lined(t, 2, nil)
	w.lineUp(0)
	w.lineUp(1)
	drain := func(line int, back bool) {
		t.Helper()
		if err := w.do(Drain{Link: "bank-a", Line: line, Back: back}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(states ...flow.LineState) {
		t.Helper()
		for i, s := range states {
			w.wantState(i+1, s)
		}
	}
	drain(2, false)
	w.again()
	want(flow.LineDialing, flow.LineDown)
	w.again()
	want(flow.LineDialing, flow.LineDown)

	id := w.connect(1) // it is dialled all the same, and nothing is said there
	w.pass(0)
	w.bankSilent(id)

	drain(0, false)
	shape := w.shape
	w.shape = func(c *Config) {
		shape(c)
		c.Links[0].Lines = append(c.Links[0].Lines, Line{Send: 7, Receive: 7, Priority: 1})
	}
	w.again()
	want(flow.LineDown, flow.LineDown, flow.LineDown)

	drain(3, true) // one is back, the others are not
	w.again()
	want(flow.LineDown, flow.LineDown, flow.LineDialing)
	drain(0, true)
	w.again()
	want(flow.LineDialing, flow.LineDialing, flow.LineDialing)
	if _, ok, err := w.log.Lookup(drainKey(0), nil); ok || err != nil {
		t.Errorf("kept %v, %v", ok, err)
	}
}

// A line that a reload adds to a bank that is drained whole is out of service.
func TestReloadAddsALineToADrainedBank(t *testing.T) {
	w := lined(t, 1, nil)
	if err := w.do(Drain{Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	c := Retune{Listeners: w.shard.cfg.Listeners, Links: append([]Link(nil), w.shard.cfg.Links...), Routes: w.shard.cfg.Routes}
	c.Links[0].Lines = append([]Line(nil), c.Links[0].Lines...)
	c.Links[0].Lines = append(c.Links[0].Lines, Line{Send: 7, Receive: 7, Priority: 1})
	if err := w.do(&c); err != nil {
		t.Fatal(err)
	}
	w.wantState(2, flow.LineDown)
	if err := w.do(Drain{Link: "bank-a", Back: true}); err != nil {
		t.Fatal(err)
	}
	w.wantState(2, flow.LineDialing)
}

// What is kept is not believed when it cannot be read.
func TestDrainedLinesThatCannotBeRead(t *testing.T) {
	w := lined(t, 1, nil)
	w.shard.log.Put(drainKey(0), []byte{0, 1})
	w.pass(0)
	if err := w.tryOpen(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})); err == nil {
		t.Error("no fault")
	}
}
