package engine

import (
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
)

// onCall is a world whose first bank has n short-lived connections on the sockets
// 0 to n-1.
func onCall(t *testing.T, n, messages int, keep time.Duration, change func(*Link)) *world {
	return lined(t, n, func(l *Link) {
		for i := range l.Lines {
			l.Lines[i].Short = flow.Short{Messages: messages, Keep: int64(keep), Dial: int64(3 * time.Second)}
		}
		if change != nil {
			change(l)
		}
	})
}

// called wants the shard to have dialled just one socket, and opens it.
func (w *world) called(want int) conn.ID {
	w.t.Helper()
	if len(w.dialled) != 1 || w.dialled[0] != want {
		w.t.Fatalf("dialled %v, want %d", w.dialled, want)
	}
	w.dialled = nil
	id := w.connect(want)
	w.pass(0)
	return id
}

// hungUp wants the shard to have closed a connection, and ends it.
func (w *world) hungUp(id conn.ID) {
	w.t.Helper()
	if !w.closed[id] {
		w.t.Fatal("the connection is still open")
	}
	w.shard.Closed(id, nil)
	w.pass(0)
}

// A sale dials, is sent once the connection is open, and hangs up when it is
// answered; the line takes nothing before the connection has ended. There is no
// sign-on, and no echo however long nothing happens.
func TestShortLivedLine(t *testing.T) {
	w := onCall(t, 1, 1, 0, nil)
	p := w.terminal()
	w.pass(time.Hour)
	if !w.shard.Up(0) || len(w.dialled) != 0 {
		t.Fatalf("up %v, dialled %v before there is anything to say", w.shard.Up(0), w.dialled)
	}
	for trace := uint64(1); trace <= 3; trace++ {
		p.sale(trace, 100+trace, true)
		p.silent()
		id := w.called(0)
		sale := w.alone(id, 0x0200)
		p.sale(50+trace, 50, false)
		if got := p.code(); got != "96" {
			t.Errorf("F39 %s while the only connection is taken", got)
		}
		w.bankAnswers(id, sale, "00")
		if got := p.code(); got != "00" {
			t.Errorf("F39 %s", got)
		}
		if w.shard.Up(0) {
			t.Error("the line takes a request before its connection has ended")
		}
		w.hungUp(id)
		if len(w.dialled) != 0 {
			t.Error("dialled for nothing")
		}
	}
}

// A burst goes over one connection while there are messages for it.
func TestBurstOnOneConnection(t *testing.T) {
	w := onCall(t, 2, 3, 2*time.Second, nil)
	p := w.terminal()
	p.sale(1, 101, false)
	socket := w.dialled[0]
	id := w.called(socket)
	for trace := uint64(1); trace <= 3; trace++ {
		if trace > 1 {
			p.sale(trace, 100+trace, false)
			if len(w.dialled) != 0 {
				t.Fatalf("message %d dials although a connection waits for it", trace)
			}
		}
		w.bankAnswers(id, w.alone(id, 0x0200), "00")
		p.code()
		if w.closed[id] != (trace == 3) {
			t.Fatalf("after message %d of 3: closed %v", trace, w.closed[id])
		}
	}
	w.hungUp(id)
	p.sale(4, 104, false)
	id = w.called(w.dialled[0])
	w.bankAnswers(id, w.alone(id, 0x0200), "00")
	p.code()
	w.pass(2*time.Second + slack)
	w.hungUp(id)
}

// What cannot be dialled is answered 91, by the front's word or after its time,
// and owed; while the lines rest nothing is tried, and nothing owed. The reversal
// is the first that goes out when the bank is back.
func TestBankThatCannotBeDialled(t *testing.T) {
	w := onCall(t, 1, 1, 0, nil)
	p := w.terminal()
	p.sale(1, 101, false)
	p.silent()
	w.shard.NotDialled(0)
	w.pass(0)
	if got := p.code(); got != "91" || w.shard.owed.Total() != 1 {
		t.Fatalf("F39 %s, %d owed", got, w.shard.owed.Total())
	}
	p.sale(2, 102, false)
	if got := p.code(); got != "91" || w.shard.owed.Total() != 1 || len(w.dialled) != 1 {
		t.Fatalf("F39 %s, %d owed, dialled %v while the line rests", got, w.shard.owed.Total(), w.dialled)
	}
	w.dialled = nil
	w.pass(1100 * time.Millisecond) // it has rested, and what is owed is tried
	if len(w.dialled) != 1 {
		t.Fatalf("dialled %v", w.dialled)
	}
	w.pass(3*time.Second + slack) // nothing is heard of the call
	if w.line(1).State != flow.LineProbing || w.shard.owed.Total() != 1 {
		t.Fatalf("%v, %d owed", w.line(1).State, w.shard.owed.Total())
	}
	late := w.connect(0) // and now it opens after all: nobody wants it any more
	w.pass(0)
	w.bankSilent(late)
	w.hungUp(late)
	w.dialled = nil
	w.pass(2100 * time.Millisecond)
	id := w.called(0)
	q := w.alone(id, 0x0420) // it was offered before, but never left
	w.bankAnswers(id, q, "25")
	w.hungUp(id)
	if w.shard.owed.Total() != 0 {
		t.Errorf("%d owed", w.shard.owed.Total())
	}
	w.shard.NotDialled(0) // of nobody's call
	w.shard.NotDialled(1) // of a line that lasts
	w.shard.NotDialled(77)
	w.wantState(1, flow.LineUp)
}

// The deadline of a request holds while it is dialled for, too.
func TestDeadlineWhileDialling(t *testing.T) {
	w := onCall(t, 1, 1, 0, func(l *Link) {
		l.AnswerTimeout = 2 * time.Second
	})
	p := w.terminal()
	p.sale(1, 101, false)
	w.pass(2*time.Second + slack)
	if got := p.code(); got != "91" || w.shard.owed.Total() != 1 {
		t.Fatalf("F39 %s, %d owed", got, w.shard.owed.Total())
	}
	id := w.called(0)
	if types, _ := w.all(id); len(types) != 1 || types[0] != 0x0420 {
		t.Errorf("on the line are %v: the sale that was given up must not leave", types)
	}
}

// A request that is not answered ends its connection, and so does one whose
// connection the bank ends: told 98 at the deadline and no sooner, and taken back.
func TestShortLivedTimeouts(t *testing.T) {
	w := onCall(t, 1, 5, time.Second, nil)
	p := w.terminal()
	p.sale(1, 101, false)
	id := w.called(0)
	w.alone(id, 0x0200)
	w.pass(10*time.Second + slack)
	if got := p.code(); got != "98" {
		t.Fatalf("F39 %s", got)
	}
	w.hungUp(id)
	w.pass(time.Second)
	id = w.called(0)
	w.bankAnswers(id, w.alone(id, 0x0420), "00")

	p.sale(2, 102, false)
	w.alone(id, 0x0200)
	w.shard.Closed(id, io.EOF)
	w.pass(0)
	p.silent()
	p.sale(3, 103, false) // the line is free again at once
	id = w.called(0)
	w.bankAnswers(id, w.alone(id, 0x0200), "00")
	if got := p.code(); got != "00" {
		t.Errorf("F39 %s", got)
	}
	w.pass(2 * time.Second)
	w.hungUp(id)
	w.pass(8*time.Second + slack)
	if got := p.code(); got != "98" || w.shard.owed.Total() != 1 {
		t.Errorf("F39 %s, %d owed", got, w.shard.owed.Total())
	}
}

// A terminal's reversal of what still waits for the call takes it back: it never
// leaves.
func TestReversedWhileDialling(t *testing.T) {
	w := onCall(t, 1, 1, 0, nil)
	p := w.terminal()
	p.sale(1, 101, false)
	p.reverse(1, 101)
	if got := p.code(); got != "00" {
		t.Fatalf("F39 %s", got)
	}
	id := w.called(0)
	q := w.alone(id, 0x0420)
	w.bankAnswers(id, q, "25")
	w.hungUp(id)
}

// A crash while a request is dialled for, or under way, owes its reversal before
// the doors open.
func TestCrashWhileDialling(t *testing.T) {
	for _, open := range []bool{false, true} {
		w := onCall(t, 1, 1, 0, nil)
		p := w.terminal()
		p.sale(1, 101, false)
		if open {
			w.called(0)
		}
		w.dialled = nil
		w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
		if n := w.shard.owed.Total(); n != 1 {
			t.Fatalf("%d owed after a crash, open %v", n, open)
		}
		w.pass(0)
		id := w.called(0)
		w.bankAnswers(id, w.alone(id, 0x0420), "25")
		if n := w.shard.owed.Total(); n != 0 {
			t.Errorf("%d owed", n)
		}
	}
}

func TestDrainShortLivedLine(t *testing.T) {
	w := onCall(t, 1, 5, time.Minute, nil)
	p := w.terminal()
	p.sale(1, 101, false)
	id := w.called(0)
	if err := w.do(Drain{Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	w.bankAnswers(id, w.alone(id, 0x0200), "00")
	p.code()
	w.wantState(1, flow.LineDown)
	w.hungUp(id)
	p.sale(2, 102, false)
	if got := p.code(); got != "91" {
		t.Errorf("F39 %s from a bank that is drained", got)
	}
	if err := w.do(Drain{Link: "bank-a", Back: true}); err != nil {
		t.Fatal(err)
	}
	p.sale(3, 103, false)
	id = w.called(0)
	w.bankAnswers(id, w.alone(id, 0x0200), "00")
	w.shard.Draining(id) // a reload moves it: it ends when it is at rest, and the next call goes elsewhere
	if !w.shard.Up(0) {
		t.Error("a line that moves is out of service")
	}
}

// Keys are asked for on a call of their own.
func TestAskKeysOnACall(t *testing.T) {
	w := onCall(t, 1, 1, 0, func(l *Link) { l.ZMK = l.ZPK })
	if err := w.do(AskKeys{Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	id := w.called(0)
	q := w.alone(id, 0x0820)
	w.bankSays(id, 0x0830, func(b *iso8583.Builder) { b.Copy(11, q, 11); b.Put(39, []byte("00")); b.PutUint(70, 101) })
	w.pass(5*time.Second + slack)
	w.hungUp(id)
}

func TestShortLivedSettings(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		short   flow.Short
		receive int
		ok      bool
	}{
		{flow.Short{Messages: 1, Dial: 1}, 0, true},
		{flow.Short{Messages: 1}, 0, false},
		{flow.Short{Messages: -1, Dial: 1}, 0, false},
		{flow.Short{Messages: 1, Dial: 1, Keep: -1}, 0, false},
		{flow.Short{Messages: 1, Dial: 1}, 7, false},
	} {
		cfg := w.shard.cfg
		cfg.Links = append([]Link(nil), cfg.Links...)
		cfg.Links[0].Lines = []Line{{Send: 0, Receive: c.receive, Priority: 1, Short: c.short}}
		if err := cfg.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v, receives by %d: %v", c.short, c.receive, err)
		}
	}
}
