package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
)

// TestFinishTimesOutDurably: the time of a stop is over while a sale is with its
// bank. The terminal hears 98, the reversal is owed on disk, a late yes changes
// nothing, and no request is taken any more.
func TestFinishTimesOutDurably(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(1, 1250, false)
	q := w.bankGot(bank)
	var c Finish
	if err := w.do(&c); err != nil {
		t.Fatal(err)
	}
	if c.TimedOut != 1 || c.Refused != 0 || c.Left != 0 {
		t.Errorf("%+v", c)
	}
	if code := p.code(); code != "98" {
		t.Errorf("F39 %s", code)
	}
	w.take(bank, conn.ASCII4) // the reversal may be offered at once
	w.bankAnswers(bank, q, "00")
	p.silent()
	p.sale(2, 100, false)
	p.silent()
	w.take(bank, conn.ASCII4)
	if err := w.do(&c); err != nil || c.TimedOut != 1 {
		t.Errorf("again: %+v, %v", c, err)
	}
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	if n := w.shard.owed.Total(); n != 1 {
		t.Errorf("after the stop %d reversals are owed, want 1", n)
	}
	bank = w.bankUp(0)
	w.pass(time.Second)
	if f := w.take(bank, conn.ASCII4); len(f) != 1 || w.parse(iso8583.Cups(), f[0]).MTI()&0xFFFE != 0x0420 {
		t.Errorf("the bank got %d messages, want the reversal", len(f))
	}
}

// TestFinishRefusesWhatAModuleHas: nothing has left for a bank, so the terminal
// is refused, and asks again elsewhere.
func TestFinishRefusesWhatAModuleHas(t *testing.T) {
	w, module := remoteWorld(t)
	w.bankUp(0)
	p := &pos{w: w, id: w.connect(-1)}
	p.send(0x0800, nil, func(b *iso8583.Builder) {
		b.PutUint(11, 1)
		p.identity(b)
		b.Put(60, []byte("00000001003"))
		b.Put(63, []byte("01 "))
	})
	w.pass(0)
	if n := len(w.take(module, conn.Binary2)); n != 1 {
		t.Fatalf("the module got %d commands", n)
	}
	if !w.shard.Owes(p.id) || !w.shard.Owes(module) {
		t.Error("nothing is owed while a module works for the terminal")
	}
	w.pass(0)
	var c Finish
	if err := w.do(&c); err != nil {
		t.Fatal(err)
	}
	if c.Refused != 1 || c.TimedOut != 0 || c.Left != 0 {
		t.Errorf("%+v", c)
	}
	if code := p.code(); code != "96" {
		t.Errorf("F39 %s", code)
	}
}

func remoteWorld(t *testing.T) (*world, conn.ID) {
	t.Helper()
	w := newWorld(t)
	w.remote = true
	w.open(vfs.NewCrashableMem())
	w.terminalImported()
	return w, w.boxUp(len(w.names))
}

// TestOwes: a connection is let go only when all it asked was answered, and the
// answer has left.
func TestOwes(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	idle := w.connect(-1)
	w.shard.Draining(p.id)
	for _, id := range []conn.ID{p.id, idle, bank, 99<<32 | 1} {
		if w.shard.Owes(id) {
			t.Errorf("%x is owed something at rest", id)
		}
	}
	w.pass(0)
	p.send(0x0200, p.mak, p.money(1, 1250, false, ""))
	if !w.shard.Owes(p.id) || w.shard.Owes(idle) {
		t.Error("in the turn of the request")
	}
	w.pass(0)
	if !w.shard.Owes(p.id) || !w.shard.Owes(bank) {
		t.Error("while the bank works")
	}
	w.pass(0)
	q := w.bankGot(bank)
	head := iso8583.AppendCupsHeader(nil, "48023310", "00010000")
	b := iso8583.Cups().Begin(head, 0x0210)
	for _, n := range []int{2, 3, 4, 7, 11, 37} {
		b.Copy(n, q, n)
	}
	b.Put(39, []byte("51"))
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
	w.shard.Frame(bank, out)
	if !w.shard.Owes(p.id) {
		t.Error("the answer stands in the buffer and has not left")
	}
	w.pass(0)
	if c := p.code(); c != "51" {
		t.Errorf("F39 %s", c)
	}
	if w.shard.Owes(p.id) || w.shard.Owes(bank) {
		t.Error("after the answer")
	}
	// A second request in the very turn in which the first look was made.
	w.pass(0)
	if w.shard.Owes(p.id) {
		t.Error("at rest")
	}
	p.send(0x0200, p.mak, p.money(2, 1250, false, ""))
	if !w.shard.Owes(p.id) {
		t.Error("the request that came after the look is not seen")
	}
}

// TestFinishInTheTurnOfARequest: a request whose MAC waits for another one's in
// this very turn goes the way of all others.
func TestFinishInTheTurnOfARequest(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	p.send(0x0200, p.mak, p.money(1, 1250, false, ""))
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // who asks does not wait: the turn is ended here
	var c Finish
	if err := w.shard.Do(ctx, &c); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	w.pass(0)
	if c.TimedOut != 1 || c.Left != 0 || w.shard.owed.Total() != 1 {
		t.Errorf("%+v, %d owed", c, w.shard.owed.Total())
	}
	if code := p.code(); code != "98" {
		t.Errorf("F39 %s", code)
	}
}
