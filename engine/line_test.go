package engine

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/journal"
	"tongka/txn"
)

// slack is more than the grain of the timing wheel.
const slack = 10 * time.Millisecond

// lined is a world whose first bank has several lines of one socket each, on
// the front's links 0 to n-1, and whose second bank is behind them.
func lined(t testing.TB, n int, change func(*Link)) *world {
	w := newWorld(t)
	w.shape = func(c *Config) {
		lines := make([]Line, n)
		for i := range lines {
			lines[i] = Line{Send: i, Receive: i, Priority: 1}
		}
		c.Links[0].Lines = lines
		c.Links[1].Lines = []Line{{Send: n, Receive: n, Priority: 1}}
		if change != nil {
			change(&c.Links[0])
		}
	}
	w.open(vfs.NewCrashableMem())
	return w
}

// lineUp connects a socket and signs its line on.
func (w *world) lineUp(socket int) conn.ID {
	w.t.Helper()
	id := w.connect(socket)
	w.pass(0)
	w.answerNet(id, id, netSignOn, "00")
	return id
}

const (
	netSignOn  = 1
	netSignOff = 2
	netEcho    = 301
)

// answerNet takes the one network message that came by one socket and answers it
// by another.
func (w *world) answerNet(heard, says conn.ID, want uint64, code string) {
	w.t.Helper()
	q := w.bankGot(heard)
	if got, _ := q.Uint(70); q.MTI() != 0x0820 || got != want {
		w.t.Fatalf("the bank got %v with F70 %d, want 0820 with %d", q.MTI(), got, want)
	}
	w.bankSays(says, 0x0830, func(b *iso8583.Builder) {
		b.Copy(11, q, 11)
		b.Put(39, []byte(code))
		b.Copy(70, q, 70)
	})
}

// line gives a line of the first bank, from 1.
func (w *world) line(number int) *line { return w.shard.links[0].lines[number-1] }

func (w *world) wantState(number int, want flow.LineState) {
	w.t.Helper()
	if got := w.line(number).State; got != want {
		w.t.Fatalf("line %d is %v, want %v", number, got, want)
	}
}

// requests gives the 0200s that came by a socket.
func (w *world) requests(id conn.ID) (all []*iso8583.View) {
	w.t.Helper()
	for _, f := range w.take(id, conn.ASCII4) {
		if q := w.parse(iso8583.Cups(), f); q.MTI() == 0x0200 {
			all = append(all, q)
		}
	}
	return all
}

func TestRequestsSpreadOverTheLines(t *testing.T) {
	count := func() (n [4]int) {
		w := lined(t, 4, nil)
		var ids [4]conn.ID
		for i := range ids {
			ids[i] = w.lineUp(i)
		}
		p := w.terminal()
		for trace := range uint64(60) {
			p.sale(trace+1, 100+trace, false)
		}
		for i, id := range ids {
			n[i] = len(w.requests(id))
		}
		return n
	}
	first := count()
	for i, n := range first {
		if n < 12 || n > 18 { // of two, the one with fewer: nearly equal
			t.Errorf("line %d got %d of 60: %v", i+1, n, first)
		}
	}
	if again := count(); again != first {
		t.Errorf("the same seed gives %v and %v", first, again)
	}
}

func TestFullLinesArePassedAndAFullBankRefuses(t *testing.T) {
	for _, code := range []string{"96", "91"} {
		w := lined(t, 2, func(l *Link) {
			l.Lines[0].Window, l.Lines[1].Window = 1, 2
			if code == "91" {
				l.FullCode = txn.LinkDown
			}
		})
		a, b := w.lineUp(0), w.lineUp(1)
		p := w.terminal()
		for trace := range uint64(3) {
			p.sale(trace+1, 100+trace, false)
		}
		qa, qb := w.requests(a), w.requests(b)
		if len(qa) != 1 || len(qb) != 2 {
			t.Fatalf("%d and %d requests, want 1 and 2", len(qa), len(qb))
		}
		p.sale(4, 104, false)
		if got := p.code(); got != code {
			t.Errorf("F39 %s when all lines are full, want %s", got, code)
		}
		w.bankAnswers(b, qa[0], "00") // on the other line: it frees the one that it was sent on
		if got := p.code(); got != "00" {
			t.Errorf("F39 %s", got)
		}
		p.sale(5, 105, false)
		if n := len(w.requests(a)); n != 1 {
			t.Errorf("%d requests on the line that is free", n)
		}
	}
}

func TestALaterPriorityServesOnlyWithoutTheFirst(t *testing.T) {
	w := lined(t, 3, func(l *Link) { l.Lines[2].Priority = 2 })
	c := w.lineUp(2)
	p := w.terminal()
	p.sale(1, 101, false)
	if len(w.requests(c)) != 1 {
		t.Fatal("the second priority does not serve when it is alone")
	}
	a, b := w.lineUp(0), w.lineUp(1)
	for trace := uint64(2); trace < 10; trace++ {
		p.sale(trace, 100+trace, false)
	}
	if n, m := len(w.requests(a))+len(w.requests(b)), len(w.requests(c)); n != 8 || m != 0 {
		t.Errorf("%d of 8 by the first priority, %d by the second", n, m)
	}
	w.shard.Closed(a, io.EOF)
	w.shard.Closed(b, io.EOF)
	p.sale(10, 110, false)
	if len(w.requests(c)) != 1 {
		t.Error("the second priority does not serve when the first is lost")
	}
}

// One socket sends and another receives; they live and die together.
func TestPairOfSockets(t *testing.T) {
	w := lined(t, 1, func(l *Link) { l.Lines[0] = Line{Send: 0, Receive: 7, Priority: 1} })
	send := w.connect(0)
	w.pass(0)
	w.bankSilent(send)
	w.wantState(1, flow.LineDialing)
	recv := w.connect(7)
	w.pass(0)
	w.bankSilent(recv)
	w.answerNet(send, recv, netSignOn, "00")
	w.wantState(1, flow.LineUp)
	p := w.terminal()
	p.sale(1, 101, false)
	w.bankAnswers(recv, w.bankGot(send), "00")
	if p.code() != "00" {
		t.Error("not approved")
	}
	w.bankSilent(recv)
	w.bankSays(recv, 0x0820, func(b *iso8583.Builder) { b.PutUint(11, 9); b.PutUint(70, netEcho) })
	if q := w.bankGot(send); q.MTI() != 0x0830 {
		t.Errorf("the bank's echo is answered with %v", q.MTI())
	}
	w.shard.Closed(recv, io.EOF)
	w.pass(0)
	if !w.closed[send] {
		t.Error("one socket is lost, and the other left open")
	}
	w.wantState(1, flow.LineDialing)
	again := w.connect(7) // before the other one's end is told
	w.shard.Closed(send, nil)
	w.wantState(1, flow.LineDialing)
	send = w.connect(0)
	w.pass(0)
	w.answerNet(send, again, netSignOn, "00")
	w.wantState(1, flow.LineUp)
}

// A line takes requests and answers none. It is taken out; the other one serves.
func TestSilentLineIsTakenOutAndProbed(t *testing.T) {
	w := lined(t, 2, func(l *Link) { l.MaxMissed = 3 })
	a := w.lineUp(0)
	p := w.terminal()
	for trace := uint64(1); trace <= 4; trace++ {
		p.sale(trace, 100+trace, false)
	}
	asked := w.requests(a)
	b := w.lineUp(1)
	w.take(p.id, conn.Binary2)
	w.pass(10*time.Second + slack)
	w.wantState(1, flow.LineProbing)
	if got := w.take(p.id, conn.Binary2); len(got) != 4 {
		t.Fatalf("%d answers to the terminal, want 4 times 98", len(got))
	}
	for _, f := range w.take(b, conn.ASCII4) { // what is owed goes by the other line
		if q := w.parse(iso8583.Cups(), f); q.MTI() == 0x0420 {
			w.bankAnswers(b, q, "00")
		}
	}
	for trace := uint64(11); trace < 17; trace++ {
		p.sale(trace, 100+trace, false)
	}
	if n := len(w.requests(b)); n != 6 {
		t.Errorf("%d of 6 requests on the line that answers", n)
	}
	w.answerNet(a, a, netEcho, "00")
	w.wantState(1, flow.LineUp)
	if !w.line(1).OnTrial() {
		t.Error("not on trial")
	}
	for trace := uint64(21); trace < 27; trace++ {
		p.sale(trace, 100+trace, false)
	}
	trial := w.requests(a)
	if len(trial) != 1 {
		t.Fatalf("%d requests on trial, want 1", len(trial))
	}
	w.bankAnswers(a, asked[0], "00") // very late: no proof that requests are answered
	if w.shard.stats.LateAnswers != 1 || !w.line(1).OnTrial() {
		t.Errorf("%d late answers, trial %v", w.shard.stats.LateAnswers, w.line(1).OnTrial())
	}
	w.bankAnswers(a, trial[0], "51")
	if w.line(1).OnTrial() {
		t.Error("an answer does not end the trial")
	}
}

// What an ended use of a line left in flight speaks neither against the next one
// nor fills its window.
func TestAnOldUseIsNotCounted(t *testing.T) {
	w := lined(t, 1, func(l *Link) { l.MaxMissed, l.Lines[0].Window = 2, 2 })
	a := w.lineUp(0)
	p := w.terminal()
	p.sale(1, 101, false)
	p.sale(2, 102, false)
	w.shard.Closed(a, io.EOF)
	a = w.lineUp(0)
	p.sale(3, 103, false)
	w.pass(9 * time.Second)
	p.sale(4, 104, false)
	if n := len(w.requests(a)); n != 2 {
		t.Fatalf("%d requests on the new connection, want 2", n)
	}
	w.pass(time.Second + slack) // the first two and the third miss: of this use it is one
	w.wantState(1, flow.LineUp)
	if n := w.shard.links[0].inFlight; n != 1 || w.line(1).InFlight != 1 {
		t.Errorf("%d and %d in flight, want 1", n, w.line(1).InFlight)
	}
}

func TestDrainALineAndABank(t *testing.T) {
	w := lined(t, 2, nil)
	a, b := w.lineUp(0), w.lineUp(1)
	p := w.terminal()
	p.sale(1, 101, false)
	first, second := 1, 2
	q := w.requests(a)
	if len(q) == 0 {
		first, second, a, b = 2, 1, b, a
		q = w.requests(a)
	}
	if err := w.do(Drain{Link: "bank-a", Line: first}); err != nil {
		t.Fatal(err)
	}
	w.wantState(first, flow.LineDraining)
	w.bankSilent(a)
	w.bankAnswers(a, q[0], "00")
	if p.code() != "00" {
		t.Error("what was in flight is not awaited")
	}
	w.answerNet(a, a, netSignOff, "00")
	w.wantState(first, flow.LineDown)
	if !w.closed[a] {
		t.Error("not hung up")
	}
	p.sale(2, 102, false)
	if len(w.requests(b)) != 1 {
		t.Error("the other line does not serve")
	}
	if err := w.do(Drain{Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	p.sale(3, 103, false)
	if got := p.code(); got != "91" {
		t.Errorf("F39 %s from a bank that is drained", got)
	}
	w.pass(10*time.Second + slack) // the sale in flight times out, and with it ends the wait
	w.answerNet(b, b, netSignOff, "96")
	w.wantState(second, flow.LineDown)
	w.shard.Closed(a, nil)
	w.shard.Closed(b, nil)
	if err := w.do(Drain{Link: "bank-a", Back: true}); err != nil {
		t.Fatal(err)
	}
	w.lineUp(0)
	w.lineUp(1)
	for _, c := range []struct {
		d    Drain
		want error
	}{{Drain{Link: "moon"}, ErrNoLink}, {Drain{Link: "bank-a", Line: 3}, ErrNoLine}, {Drain{Link: "bank-a", Line: -1}, ErrNoLine}} {
		if err := w.do(c.d); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c.d, err)
		}
	}
}

// A reversal that was offered on a line that is lost goes by another at once.
func TestReversalsGoByAnyLine(t *testing.T) {
	w := lined(t, 2, nil)
	a := w.lineUp(0)
	p := w.terminal()
	p.sale(1, 101, false)
	p.reverse(1, 101)
	w.take(p.id, conn.Binary2)
	var original *iso8583.View
	for _, f := range w.take(a, conn.ASCII4) {
		original = w.parse(iso8583.Cups(), f)
	}
	if original.MTI() != 0x0420 {
		t.Fatalf("%v, want the reversal", original.MTI())
	}
	b := w.lineUp(1)
	w.shard.Closed(a, io.EOF)
	w.pass(0)
	q := w.bankGot(b)
	if q.MTI() != 0x0421 || string(q.Field(37)) != string(original.Field(37)) {
		t.Fatalf("%v %s, want the repeat of %s", q.MTI(), q.Field(37), original.Field(37))
	}
	w.bankAnswers(b, q, "00")
	if n := w.shard.owed.Total(); n != 0 {
		t.Errorf("%d owed", n)
	}
}

// What a bank says of its own accord, each with its reaction.
func TestBankSpeaksFirst(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	says := func(net uint64) (code string) {
		t.Helper()
		w.bankSays(bank, 0x0820, func(b *iso8583.Builder) { b.PutUint(11, 77); b.PutUint(70, net) })
		q := w.bankGot(bank)
		if stan, _ := q.Uint(11); q.MTI() != 0x0830 || stan != 77 {
			t.Fatalf("%v with F11 %d", q.MTI(), stan)
		}
		return string(q.Field(39))
	}
	for net, code := range map[uint64]string{netEcho: "00", 201: "00", 202: "00", 1: "00", 555: "40", 0: "40"} {
		if got := says(net); got != code {
			t.Errorf("F70 %d is answered %s, want %s", net, got, code)
		}
		w.wantState(1, flow.LineUp)
	}
	if got := says(2); got != "00" {
		t.Errorf("the sign-off is answered %s", got)
	}
	w.wantState(1, flow.LineSigningOn)
	p.sale(1, 101, false)
	if got := p.code(); got != "91" {
		t.Errorf("F39 %s after the bank signed off", got)
	}
	w.pass(time.Minute + slack)
	w.answerNet(bank, bank, netSignOn, "96")
	w.wantState(1, flow.LineSigningOn)
	w.pass(time.Minute + slack)
	w.answerNet(bank, bank, netSignOn, "00")
	w.wantState(1, flow.LineUp)
	w.pass(time.Minute + slack)
	w.answerNet(bank, bank, netEcho, "77")
	w.wantState(1, flow.LineSigningOn)
	w.answerNet(bank, bank, netSignOn, "00")
	w.wantState(1, flow.LineUp)
}

// An answer to a network message counts once, on its own line, and for what was asked.
func TestNetworkAnswersAreMatched(t *testing.T) {
	w := lined(t, 2, nil)
	a, b := w.connect(0), w.connect(1)
	w.pass(0)
	q := w.bankGot(a)
	w.take(b, conn.ASCII4)
	answer := func(id conn.ID, net uint64) {
		w.bankSays(id, 0x0830, func(m *iso8583.Builder) {
			m.Copy(11, q, 11)
			m.Put(39, []byte("00"))
			m.PutUint(70, net)
		})
	}
	answer(b, netSignOn)
	answer(a, netEcho)
	w.wantState(1, flow.LineSigningOn)
	w.wantState(2, flow.LineSigningOn)
	answer(a, netSignOn)
	w.wantState(1, flow.LineUp)
	answer(a, netSignOn)
	if n := w.shard.stats.Unmatched; n != 3 {
		t.Errorf("%d unmatched, want 3", n)
	}
}

// Changes are on disk before what follows from them leaves, and a picture shows
// them.
func TestLineChangesAreRecordedAndShown(t *testing.T) {
	w := lined(t, 2, nil)
	a := w.lineUp(0)
	w.shard.Closed(a, io.EOF)
	w.pass(0)
	p := w.picture()
	v := p.Links[0]
	if v.State != "dialing" || len(v.Lines) != 2 || v.Lines[0].State != "dialing" || p.Counters.LineChanges != 3 || len(p.Changes) != 3 {
		t.Fatalf("%+v, %d changes", v, p.Counters.LineChanges)
	}
	if c := p.Changes[0]; c.From != "up" || c.To != "dialing" || c.Cause != "lost" || c.Line != 1 || c.Serves || c.At == 0 {
		t.Errorf("%+v", c)
	}
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	var got []journal.LineChange
	err := w.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if r.Kind != journal.LinkChanged {
			return nil
		}
		c, err := journal.ReadLineChange(r.Body)
		got = append(got, c)
		return err
	})
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	if c := got[2]; c.Link != "bank-a" || flow.LineState(c.To) != flow.LineDialing || flow.LineEvent(c.Cause) != flow.Lost {
		t.Errorf("%+v", c)
	}
}

// More changes than a picture holds: the newest first, and no more.
func TestChangesAreBounded(t *testing.T) {
	w := lined(t, 1, nil)
	for range keptChanges {
		w.shard.Closed(w.connect(0), io.EOF)
	}
	p := w.picture()
	if len(p.Changes) != keptChanges || p.Changes[0].To != "dialing" || p.Counters.LineChanges != 2*keptChanges {
		t.Errorf("%d changes of %d, the newest %+v", len(p.Changes), p.Counters.LineChanges, p.Changes[0])
	}
}

// The bank has moved: a new connection takes the place of the one that is still
// open, and an answer by the old one still counts.
func TestAReplacedSocketIsReadToItsEnd(t *testing.T) {
	w := lined(t, 1, nil)
	old := w.lineUp(0)
	p := w.terminal()
	p.sale(1, 101, false)
	q := w.bankGot(old)
	now := w.lineUp(0)
	if w.closed[old] || !w.shard.Owes(old) {
		t.Error("the old connection is owed an answer")
	}
	p.sale(2, 102, false)
	if len(w.requests(now)) != 1 {
		t.Error("the new connection does not serve")
	}
	w.bankAnswers(old, q, "00")
	if p.code() != "00" {
		t.Error("the answer by the old connection does not count")
	}
	w.shard.Closed(old, nil)
	w.wantState(1, flow.LineUp)
}

func TestConfigRefusesLinesThatCannotBe(t *testing.T) {
	w := newWorld(t)
	cfg := w.shard.cfg
	cfg.Links = append([]Link(nil), cfg.Links...)
	cfg.Links[0].Lines = []Line{{Send: 1, Receive: 1, Priority: 1}, {Send: -1, Receive: 70_000}, {Send: 5, Receive: 5, Priority: 1, Window: -1}}
	cfg.Links[1].MaxMissed = -1
	err := cfg.Validate()
	for _, want := range []string{"socket -1", "socket 70000", "line 2: priority 0", "window -1", "link bank-b, line 1: socket 1 is taken", "bank-b: no lines, or a negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	cfg.Links[1].Lines = nil
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "bank-b: no lines") {
		t.Error(err)
	}
}

// As long as its line is in service, a reversal goes by the line of its original:
// by another it could overtake it, and be answered "unknown".
func TestReversalFollowsItsOriginal(t *testing.T) {
	w := lined(t, 4, nil)
	var ids []conn.ID
	for i := range 4 {
		ids = append(ids, w.lineUp(i))
	}
	p := w.terminal()
	for trace := uint64(1); trace <= 12; trace++ {
		p.sale(trace, 100+trace, false)
		p.reverse(trace, 100+trace)
		w.take(p.id, conn.Binary2)
		for i, id := range ids {
			var got []iso8583.MTI
			var back *iso8583.View
			for _, f := range w.take(id, conn.ASCII4) {
				back = w.parse(iso8583.Cups(), f)
				got = append(got, back.MTI())
			}
			if len(got) != 0 && (len(got) != 2 || got[0] != 0x0200 || got[1] != 0x0420) {
				t.Fatalf("line %d got %v, want a sale and its reversal, or nothing", i+1, got)
			}
			if back != nil {
				w.bankAnswers(id, back, "00")
			}
		}
	}
	if n := w.shard.stats.Delivered; n != 12 {
		t.Errorf("%d of 12 delivered", n)
	}
}
