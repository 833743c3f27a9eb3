package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/router"
)

// probe is a command of the tests.
type probe func(*Shard) error

func (p probe) perform(s *Shard) error { return p(s) }

// do performs a command in a turn of its own.
func (w *world) do(c Command) error {
	w.t.Helper()
	got := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() { got <- w.shard.Do(ctx, c) }()
	for {
		select {
		case err := <-got:
			return err
		default:
			w.pass(0)
		}
	}
}

func TestCommandsArePerformedInATurn(t *testing.T) {
	w := newWorld(t)
	var order []int
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nobody waits: the order of posting is what counts
	for i := range 3 {
		err := w.shard.Do(ctx, probe(func(s *Shard) error {
			if !s.inTurn || s.now != w.now {
				t.Errorf("command %d is performed outside of a turn", i)
			}
			order = append(order, i)
			return nil
		}))
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	w.pass(time.Second)
	if len(order) != 3 || order[0] != 0 || order[2] != 2 {
		t.Errorf("performed %v", order)
	}
	if err := w.do(probe(func(*Shard) error { return errDisk })); err != errDisk {
		t.Errorf("a command's error came back as %v", err)
	}
}

// TestCommandIsAnsweredWhenDurable: who is told "done" may rely on the disk.
func TestCommandIsAnsweredWhenDurable(t *testing.T) {
	w := newWorld(t)
	if err := w.do(probe(func(s *Shard) error { s.log.Put([]byte("test/key"), []byte("v")); return nil })); err != nil {
		t.Fatal(err)
	}
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	if v, ok, err := w.log.Lookup([]byte("test/key"), nil); err != nil || !ok || string(v) != "v" {
		t.Errorf("after a crash: %q, %v, %v", v, ok, err)
	}
	w.log.failSync = errDisk
	for range 2 { // the one that meets the failure, and one after it
		err := w.do(probe(func(s *Shard) error { s.log.Put([]byte("test/key"), nil); return nil }))
		if err != ErrFailed {
			t.Errorf("with a dead disk: %v", err)
		}
	}
}

func TestCommandsAreBounded(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range maxCommands {
		if err := w.shard.Do(ctx, probe(func(*Shard) error { return nil })); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if err := w.shard.Do(ctx, probe(func(*Shard) error { return nil })); err != ErrBusy {
		t.Errorf("one too many: %v", err)
	}
	w.pass(0)
	if err := w.do(probe(func(*Shard) error { return nil })); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestRoutesChangeAtOnce(t *testing.T) {
	w := newWorld(t)
	a, b := w.bankUp(0), w.bankUp(1)
	p := w.terminal()
	p.sale(1, 100, false)
	q := w.bankGot(a)
	r := w.retuned()
	r.Routes = to(t, router.Rule{To: []router.Target{{Link: 1, Weight: 1}}})
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	w.bankAnswers(a, q, "00") // what was in flight is still a's
	if c := p.code(); c != "00" {
		t.Errorf("F39 %s", c)
	}
	p.sale(2, 100, false)
	w.bankSilent(a)
	w.bankAnswers(b, w.bankGot(b), "00")
	if c := p.code(); c != "00" {
		t.Errorf("F39 %s", c)
	}
}

func TestKeepAndKept(t *testing.T) {
	w := newWorld(t)
	got := Kept{Name: "x"}
	if err := w.do(&got); err != nil || got.Value != nil {
		t.Errorf("%q, %v", got.Value, err)
	}
	for _, v := range []string{"one", "two"} {
		if err := w.do(&Keep{"x", []byte(v)}); err != nil {
			t.Fatal(err)
		}
		if err := w.do(&got); err != nil || string(got.Value) != v {
			t.Errorf("%q, %v", got.Value, err)
		}
	}
}
