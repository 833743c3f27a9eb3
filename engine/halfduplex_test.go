package engine

import (
	"errors"
	"testing"
	"time"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
)

// all gives whatever came by a bank's socket, by type.
func (w *world) all(id conn.ID) (types []iso8583.MTI, last *iso8583.View) {
	w.t.Helper()
	for _, f := range w.take(id, conn.ASCII4) {
		last = w.parse(iso8583.Cups(), f)
		types = append(types, last.MTI())
	}
	return types, last
}

// alone wants just one message of a type on the socket.
func (w *world) alone(id conn.ID, want iso8583.MTI) *iso8583.View {
	w.t.Helper()
	types, q := w.all(id)
	if len(types) != 1 || types[0] != want {
		w.t.Fatalf("on the line are %v, want %v alone", types, want)
	}
	return q
}

// One message is out at a time, be it a request, a reversal or an echo.
func TestHalfDuplex(t *testing.T) {
	w := lined(t, 1, func(l *Link) {
		l.Lines[0].HalfDuplex = true
		l.EchoInterval = 15 * time.Second
	})
	a := w.lineUp(0)
	p := w.terminal()
	for trace := uint64(1); trace <= 2; trace++ {
		p.sale(trace, 100+trace, false)
	}
	w.alone(a, 0x0200)
	if got := p.code(); got != "96" {
		t.Errorf("F39 %s while a request is out, want 96", got)
	}
	w.pass(10*time.Second + slack) // it is not answered, and taken back
	if got := p.code(); got != "98" {
		t.Fatalf("F39 %s", got)
	}
	reversal := w.alone(a, 0x0420)
	p.sale(3, 103, false)
	if got := p.code(); got != "96" {
		t.Errorf("F39 %s while a reversal is out, want 96", got)
	}
	w.bankSilent(a)
	if err := w.do(AskKeys{Link: "bank-a"}); err == nil {
		t.Error("keys are asked for beside a reversal")
	}
	w.bankAnswers(a, reversal, "96") // not what we want to hear, but the line is free
	p.sale(4, 104, false)
	sale := w.alone(a, 0x0200)
	w.pass(6 * time.Second) // the echo and the reversal are due, and wait
	w.bankSilent(a)
	w.bankAnswers(a, sale, "00")
	if got := p.code(); got != "00" {
		t.Errorf("F39 %s", got)
	}
	for range 60 { // they come one after the other
		w.pass(time.Second)
		types, q := w.all(a)
		switch {
		case len(types) > 1:
			t.Fatalf("out at once: %v", types)
		case len(types) == 0:
		case q.MTI() == 0x0420 || q.MTI() == 0x0421:
			w.pass(time.Second)
			w.bankSilent(a)
			w.bankAnswers(a, q, "00")
		case q.MTI() == 0x0820:
			p.sale(uint64(w.shard.now%1e6), 105, false)
			if got := p.code(); got != "96" {
				t.Errorf("F39 %s while an echo is out, want 96", got)
			}
			w.bankSays(a, 0x0830, func(b *iso8583.Builder) { b.Copy(11, q, 11); b.Put(39, []byte("00")); b.Copy(70, q, 70) })
		}
	}
	if n := w.shard.owed.Total(); n != 0 {
		t.Errorf("%d still owed", n)
	}
	if n := w.line(1); n.InFlight != 0 || w.shard.debtsOut != 0 {
		t.Errorf("%d in flight, %d debts out", n.InFlight, w.shard.debtsOut)
	}
}

// A reversal that is never answered keeps its line for its time and no longer;
// one whose line is lost does not follow it into its next use.
func TestHalfDuplexForgetsWhatIsNotAnswered(t *testing.T) {
	w := lined(t, 1, func(l *Link) { l.Lines[0].HalfDuplex, l.EchoInterval = true, time.Hour })
	a := w.lineUp(0)
	p := w.terminal()
	p.sale(1, 101, false)
	w.alone(a, 0x0200)
	w.pass(10*time.Second + slack)
	p.code()
	w.alone(a, 0x0420)
	timeout := w.shard.links[0].cfg.Reversal.Timeout
	w.pass(timeout - time.Second)
	w.bankSilent(a)
	if w.line(1).Takes() {
		t.Error("a request would go beside the reversal")
	}
	for deadline := 0; ; deadline++ {
		w.pass(time.Second)
		if types, _ := w.all(a); len(types) == 1 && types[0] == 0x0421 {
			break
		}
		if deadline > 600 {
			t.Fatal("the reversal is not repeated")
		}
	}
	w.shard.Closed(a, errors.New("lost"))
	w.pass(0)
	b := w.lineUp(0)
	w.alone(b, 0x0421)
	if n := w.line(1); n.InFlight != 1 || w.shard.debtsOut != 1 || n.State != flow.LineUp {
		t.Errorf("%d in flight, %d debts out, %v", n.InFlight, w.shard.debtsOut, n.State)
	}
}

// Of two lines the one in full duplex takes what the busy one cannot; an answer
// that comes by the other line makes room, too.
func TestRequestsGoRoundABusyHalfDuplexLine(t *testing.T) {
	w := lined(t, 2, func(l *Link) { l.Lines[0].HalfDuplex, l.EchoInterval = true, time.Hour })
	a := w.lineUp(0)
	p := w.terminal()
	p.sale(1, 101, false)
	w.alone(a, 0x0200)
	w.pass(5 * time.Second)
	b := w.lineUp(1)
	w.pass(5*time.Second + slack)
	p.code()
	reversal := w.alone(a, 0x0420) // by its original's line
	for trace := uint64(2); trace < 5; trace++ {
		p.sale(trace, 100+trace, false)
	}
	if n := len(w.requests(b)); n != 3 {
		t.Errorf("%d of 3 requests on the other line", n)
	}
	w.bankSilent(a)
	w.bankAnswers(b, reversal, "00")
	if n := w.line(1); !n.Takes() || w.shard.debtsOut != 0 || w.shard.owed.Total() != 0 {
		t.Errorf("%d in flight, %d debts out", n.InFlight, w.shard.debtsOut)
	}
}

// A request that its terminal takes back is still with the bank: its line stays
// busy until the bank has answered, or would not any more.
func TestHalfDuplexWaitsForWhatWasTakenBack(t *testing.T) {
	for _, answered := range []bool{true, false} {
		w := lined(t, 1, func(l *Link) { l.Lines[0].HalfDuplex = true })
		a := w.lineUp(0)
		p := w.terminal()
		p.sale(1, 101, false)
		sale := w.alone(a, 0x0200)
		w.pass(2 * time.Second)
		p.reverse(1, 101)
		if got := p.code(); got != "00" {
			t.Fatalf("F39 %s", got)
		}
		w.pass(5 * time.Second)
		w.bankSilent(a)
		p.sale(2, 102, false)
		if got := p.code(); got != "96" {
			t.Errorf("F39 %s while the line is busy, want 96", got)
		}
		if answered {
			w.bankAnswers(a, sale, "00") // late
		} else {
			w.pass(5*time.Second + slack)
		}
		w.bankAnswers(a, w.alone(a, 0x0420), "00")
		p.sale(3, 103, false)
		w.bankAnswers(a, w.alone(a, 0x0200), "00")
		if got := p.code(); got != "00" {
			t.Errorf("answered %v: F39 %s after it", answered, got)
		}
	}
}
