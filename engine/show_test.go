package engine

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/storefwd"
	"tongka/txn"
)

// watched is a world whose log can be looked at.
func watched(t *testing.T) (*world, *observer.ObservedLogs) {
	w := newWorld(t)
	core, logs := observer.New(zap.InfoLevel)
	w.logger = zap.New(core)
	return w, logs
}

// picture gives the snapshot of one period later.
func (w *world) picture() *Snapshot {
	w.pass(time.Duration(showEvery))
	return w.shard.Snapshot()
}

func TestSnapshotShowsTheModules(t *testing.T) {
	w := newWorld(t)
	if p := w.picture(); len(p.HSMs) != 0 {
		t.Errorf("modules behind sockets: %+v; the one of this switch is in the process", p.HSMs)
	}
	w.remote = true
	w.open(vfs.NewCrashableMem())
	if p := w.picture(); len(p.HSMs) != 1 || p.HSMs[0] != (HSMView{Name: "hsm-1", State: "testing", Since: w.shard.started}) {
		t.Fatalf("before it is connected: %+v", p.HSMs)
	}
	box := w.boxUp(2)
	up := w.now
	w.terminalImported()
	p := &pos{w: w, id: w.connect(-1)}
	p.send(0x0800, nil, func(b *iso8583.Builder) { p.identity(b); b.Put(60, []byte("00000001003")) })
	if got, want := w.picture().HSMs[0], (HSMView{Name: "hsm-1", Connected: true, State: "ready", Since: up, InFlight: 1}); got != want {
		t.Errorf("with one command out: %+v, want %+v", got, want)
	}
	w.pass(3 * time.Second)
	if got, want := w.picture().HSMs[0], (HSMView{Name: "hsm-1", Connected: true, State: "ready", Since: up, InFlight: 1, Late: 1, Missed: 1}); got != want {
		t.Errorf("after its deadline: %+v, want %+v", got, want)
	}
	w.shard.Closed(box, io.EOF)
	down := w.now
	if got, want := w.picture().HSMs[0], (HSMView{Name: "hsm-1", State: "ready", Since: down, Missed: 1}); got != want {
		t.Errorf("after its line broke: %+v, want %+v", got, want)
	}
}

// A parked reversal is named once, by its numbers and not by its card.
func TestParkedReversalIsAnAlarm(t *testing.T) {
	w, logs := watched(t)
	w.open(vfs.NewCrashableMem())
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	id := w.shard.lastID
	w.take(bank, conn.ASCII4)
	for range 60 { // ten offers of five seconds, a pause of one second between
		w.pass(2 * time.Second)
		for _, f := range w.take(bank, conn.ASCII4) {
			if q := w.parse(iso8583.Cups(), f); q.MTI() == 0x0820 {
				w.bankSays(bank, 0x0830, func(b *iso8583.Builder) { // an echo: the line stays up
					b.Copy(11, q, 11)
					b.Put(39, []byte("00"))
					b.Copy(70, q, 70)
				})
			}
		}
	}
	alarms := logs.FilterLevelExact(zap.ErrorLevel).All()
	if len(alarms) != 1 || w.picture().Parked != 1 {
		t.Fatalf("%d alarms, %d parked: want one of each: %v", len(alarms), w.shard.Snapshot().Parked, alarms)
	}
	f := alarms[0].ContextMap()
	if f["link"] != "bank-a" || f["txn"] != uint64(id) || f["stan"] != id.STAN() || f["attempts"] != int64(10) {
		t.Errorf("%s %v, want transaction %d", alarms[0].Message, f, id)
	}
	if all := fmt.Sprint(alarms[0].Message, f); strings.Contains(all, "6225880000000003") || strings.Contains(all, "622588") {
		t.Errorf("card data in the log: %s", all)
	}
}

// Links and modules end at every stop; that is no loss.
func TestStopIsNoLoss(t *testing.T) {
	for _, c := range []struct {
		why      error
		warnings int
	}{{conn.ErrStopped, 0}, {fmt.Errorf("loop 1: %w", conn.ErrStopped), 0}, {io.EOF, 2}, {nil, 2}} {
		w, logs := watched(t)
		w.remote = true
		w.open(vfs.NewCrashableMem())
		bank, box := w.bankUp(0), w.connect(2)
		w.shard.Closed(bank, c.why)
		w.shard.Closed(box, c.why)
		if n := logs.FilterLevelExact(zap.WarnLevel).Len(); n != c.warnings {
			t.Errorf("%v: %d warnings, want %d", c.why, n, c.warnings)
		}
		if n := logs.FilterMessage("bank line lost").Len() + logs.FilterMessage("security module lost").Len(); n != 2 {
			t.Errorf("%v: %d lines of what ended, want 2", c.why, n)
		}
	}
}

// A line that an operator takes out of service ends by our own hand.
func TestDrainIsNoLoss(t *testing.T) {
	w, logs := watched(t)
	w.open(vfs.NewCrashableMem())
	bank := w.bankUp(0)
	if err := (Drain{Link: "bank-a"}).perform(w.shard); err != nil {
		t.Fatal(err)
	}
	w.shard.Closed(bank, nil)
	if n, all := logs.FilterMessage("bank line lost").Len(), logs.FilterLevelExact(zap.WarnLevel).Len(); n != 1 || all != 0 {
		t.Errorf("%d lines of the end, %d warnings", n, all)
	}
}

func TestConfigRefusesAPolicyThatCannotWork(t *testing.T) {
	w := newWorld(t)
	cfg := w.shard.cfg
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	cfg.Links = append([]Link(nil), cfg.Links...)
	cfg.Links[1].Reversal = storefwd.Policy{Window: 1025, MaxAttempts: 1 << 16}
	err := cfg.Validate()
	for _, want := range []string{"link bank-b: ", "window 1025", "max-attempts 65536"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// A picture counts what terminals were answered, by kind.
func TestKindsAreCounted(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1000, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.sale(8, 1000, false)
	w.bankAnswers(bank, w.bankGot(bank), "51")
	w.pass(time.Second)
	k := w.shard.Snapshot().Kinds
	if k[txn.Sale] != (KindCount{Approved: 1, Other: 1}) || k[txn.SignIn].Approved != 1 || k[txn.Void] != (KindCount{}) {
		t.Errorf("%+v", k)
	}
}

// A picture of the last transactions is two objects, however many they are: it is made
// four times a second on the shard's own loop.
func TestLastTransactionsShareTheirWords(t *testing.T) {
	w := newWorld(t)
	s := w.shard
	fill := func(n int) {
		for i := range n {
			f := txn.Facts{ID: txn.ID(i + 1), Kind: txn.Sale, Amount: int64(i), Code: txn.OK}
			copy(f.Terminal.Number[:], fmt.Sprintf("%-8d", 31000000+i))
			copy(f.Terminal.Merchant[:], fmt.Sprintf("%-15d", 8983+i))
			if i%2 == 0 {
				pan, err := txn.ParsePAN([]byte(fmt.Sprintf("622848040256489%04d", i)))
				if err != nil {
					t.Fatal(err)
				}
				f.PAN = pan
			}
			s.done[s.doneAt] = finished{f, 5}
			s.doneAt = (s.doneAt + 1) % len(s.done)
		}
	}
	for _, n := range []int{3, len(s.done)} {
		fill(n)
		all := s.lastViews()
		if len(all) != min(n, len(s.done)) {
			t.Fatalf("%d rows of %d", len(all), n)
		}
		for i, v := range all {
			at := n - 1 - i
			want := View{ID: txn.ID(at + 1), Micros: 5, Kind: txn.Sale, Amount: int64(at), Code: txn.OK,
				Terminal: fmt.Sprint(31000000 + at), Merchant: fmt.Sprint(8983 + at)}
			if at%2 == 0 {
				want.PAN = fmt.Sprintf("622848*********%04d", at)
			}
			if v != want {
				t.Errorf("row %d is %+v, want %+v", i, v, want)
			}
		}
	}
	if n := testing.AllocsPerRun(10, func() { s.lastViews() }); n > 2 {
		t.Errorf("%v objects for a picture", n)
	}
}
