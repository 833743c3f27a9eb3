package engine

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/router"
)

// retuned is a Retune that changes nothing; its lists are the caller's.
func (w *world) retuned() *Retune {
	c := &w.shard.cfg
	links := slices.Clone(c.Links)
	for i := range links {
		links[i].Lines = slices.Clone(links[i].Lines)
	}
	return &Retune{false, slices.Clone(c.Listeners), links, slices.Clone(c.HSMs), c.HSMTimeout, c.Routes, c.FlowControl, c.Rules, c.Day}
}

// another gives a link like the first one, under another name and socket.
func (r *Retune) another(name string, socket int) {
	l := r.Links[0]
	l.Name, l.Lines = name, []Line{{Send: socket, Receive: socket, Priority: 1}}
	r.Links = append(r.Links, l)
}

func to(t *testing.T, rules ...router.Rule) *router.Table {
	t.Helper()
	table, err := router.Compile(router.Source{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestRetuneAddsABank while a sale is in flight with an old one; after a crash
// its place is remembered.
func TestRetuneAddsABank(t *testing.T) {
	w := newWorld(t)
	a := w.bankUp(0)
	p := w.terminal()
	p.sale(1, 100, false)
	q := w.bankGot(a)
	r := w.retuned()
	r.another("bank-c", 7)
	r.Links[0].AnswerTimeout = 3 * time.Second
	r.Routes = to(t, router.Rule{To: []router.Target{{Link: 2, Weight: 1}}})
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	w.bankAnswers(a, q, "00")
	if c := p.code(); c != "00" {
		t.Errorf("the sale in flight: F39 %s", c)
	}
	p.sale(2, 100, false)
	if c := p.code(); c != "91" {
		t.Errorf("the new bank is not up yet: F39 %s", c)
	}
	id := w.connect(7)
	w.pass(0)
	w.signOn(id)
	p.sale(3, 100, false)
	w.pass(10*time.Second + 10*time.Millisecond) // the new bank's own time
	if c := p.code(); c != "98" {
		t.Errorf("F39 %s", c)
	}
	if n := w.shard.owed.Len(2); n != 1 {
		t.Errorf("%d reversals are owed to the new bank", n)
	}
	crashed := func() vfs.FS { return w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}) }
	right, wrong := crashed(), crashed()
	w.names = []string{"bank-a", "bank-b", "bank-d"}
	if err := w.tryOpen(wrong); err == nil {
		t.Error("another bank took the place of the new one")
	}
	w.names[2] = "bank-c"
	w.open(right)
}

// signOn answers the sign-on of a connection.
func (w *world) signOn(id conn.ID) {
	w.t.Helper()
	on := w.bankGot(id)
	w.bankSays(id, 0x0830, func(b *iso8583.Builder) {
		b.Copy(7, on, 7)
		b.Copy(11, on, 11)
		b.Put(39, []byte("00"))
		b.Copy(70, on, 70)
	})
}

func TestRetuneChangesDeadlines(t *testing.T) {
	w := newWorld(t)
	a := w.bankUp(0)
	p := w.terminal()
	r := w.retuned()
	r.Links[0].AnswerTimeout = 3 * time.Second
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	p.sale(1, 100, false)
	w.bankGot(a)
	w.pass(2 * time.Second)
	p.silent()
	w.pass(time.Second + 10*time.Millisecond)
	if c := p.code(); c != "98" {
		t.Errorf("F39 %s", c)
	}
}

// TestRetuneRefuses: with an error nothing has changed.
func TestRetuneRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Retune){
		"a bank gone":         func(r *Retune) { r.Links = r.Links[:1] },
		"a bank renamed":      func(r *Retune) { r.Links[1].Name = "bank-z" },
		"banks swapped":       func(r *Retune) { r.Links[0], r.Links[1] = r.Links[1], r.Links[0] },
		"no routes":           func(r *Retune) { r.Routes = nil },
		"no time":             func(r *Retune) { r.Links[0].AnswerTimeout = 0 },
		"no lines":            func(r *Retune) { r.Links[0].Lines = nil },
		"one socket for two":  func(r *Retune) { r.another("bank-c", 1) },
		"a wrong reversal":    func(r *Retune) { r.Links[0].Reversal.Window = -1 },
		"a socket too far":    func(r *Retune) { r.another("bank-c", 1<<20) },
		"no module time, too": func(r *Retune) { r.Links[0].Lines[0].Window = -1 },
	} {
		w := newWorld(t)
		r := w.retuned()
		r.HSMTimeout = time.Hour
		spoil(r)
		if err := w.do(r); err == nil {
			t.Errorf("%s: taken", name)
		}
		if len(w.shard.links) != 2 || w.shard.cfg.HSMTimeout != 2*time.Second || w.shard.cfg.Links[0].AnswerTimeout != 10*time.Second {
			t.Errorf("%s: something has changed", name)
		}
	}
}

// TestRetuneLines: a bank gets a second line and loses its first.
func TestRetuneLines(t *testing.T) {
	w := newWorld(t)
	first := w.bankUp(0)
	p := w.terminal()
	p.sale(1, 100, false)
	q := w.bankGot(first)
	r := w.retuned()
	r.Links[0].Lines = []Line{{Send: 9, Receive: 9, Priority: 1}}
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	second := w.connect(9)
	w.pass(0)
	w.signOn(second)
	w.bankAnswers(first, q, "00") // it may still say what it has
	if c := p.code(); c != "00" {
		t.Errorf("F39 %s", c)
	}
	p.sale(2, 100, false)
	w.bankSilent(first)
	w.bankAnswers(second, w.bankGot(second), "00")
	if c := p.code(); c != "00" {
		t.Errorf("F39 %s", c)
	}
	w.shard.Draining(first)
	w.shard.Closed(first, conn.ErrDrained)
	w.pass(time.Second)
	if v := w.picture().Links[0]; v.State != "up" {
		t.Errorf("the link is %s", v.State)
	}
}

// TestMovedLineComesBack: the front lets a line go and connects it elsewhere; an
// operator's drain is not undone by that.
func TestMovedLineComesBack(t *testing.T) {
	w := newWorld(t)
	a := w.bankUp(0)
	w.shard.Draining(a)
	w.pass(0)
	off := w.bankGot(a)
	if v := string(off.AppendText(nil, 70)); v != "002" || off.MTI() != 0x0820 {
		t.Errorf("the bank got %v F70 %s, want a sign-off", off.MTI(), v)
	}
	if !w.shard.Owes(a) {
		t.Error("the line may go before it has signed off")
	}
	w.pass(6 * time.Second) // no answer: it hangs up
	if !w.closed[a] || w.shard.Owes(a) {
		t.Error("the line hangs on")
	}
	w.shard.Closed(a, nil)
	w.pass(0)
	w.signOn(w.mustConnect(0))
	if !w.shard.Up(0) {
		t.Error("the line did not come back at its new place")
	}
	if err := w.do(Drain{Link: "bank-b"}); err != nil {
		t.Fatal(err)
	}
	b := w.mustConnect(1)
	w.shard.Draining(b)
	w.shard.Closed(b, conn.ErrDrained)
	w.pass(0)
	w.mustConnect(1)
	if w.shard.Up(1) || w.shard.lines[1].State != flow.LineDown {
		t.Error("what an operator took out came back by itself")
	}
}

func (w *world) mustConnect(link int) conn.ID {
	id := w.connect(link)
	w.pass(0)
	return id
}

// TestLeaveSignsOffForGood: before a stop the lines sign off and stay away.
func TestLeaveSignsOffForGood(t *testing.T) {
	w := newWorld(t)
	a := w.bankUp(0)
	if err := w.do(Leave{}); err != nil {
		t.Fatal(err)
	}
	w.shard.Draining(a)
	w.pass(0)
	off := w.bankGot(a)
	w.bankSays(a, 0x0830, func(b *iso8583.Builder) {
		b.Copy(7, off, 7)
		b.Copy(11, off, 11)
		b.Put(39, []byte("00"))
		b.Copy(70, off, 70)
	})
	if !w.closed[a] {
		t.Error("the line hangs on after its sign-off")
	}
	w.shard.Closed(a, nil)
	again := w.mustConnect(0)
	w.bankSilent(again)
}

// TestRetuneModules: a second module takes over from the first, which is let go.
func TestRetuneModules(t *testing.T) {
	w, first := remoteWorld(t)
	r := w.retuned()
	r.HSMs = append(r.HSMs, HSM{Name: "hsm-2", Socket: 11, Framing: conn.Binary2})
	r.HSMTimeout = time.Second
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	second := w.boxUp(11)
	ask := func() {
		p := &pos{w: w, id: w.connect(-1)}
		p.send(0x0800, nil, func(b *iso8583.Builder) {
			b.PutUint(11, 1)
			p.identity(b)
			b.Put(60, []byte("00000001003"))
			b.Put(63, []byte("01 "))
		})
		w.pass(0)
	}
	ask()
	ask()
	if len(w.take(first, conn.Binary2)) != 1 || len(w.take(second, conn.Binary2)) != 1 {
		t.Fatal("the modules do not share the work")
	}
	w.shard.Draining(first)
	if !w.shard.Owes(first) {
		t.Error("a module at work may go")
	}
	ask()
	if len(w.take(first, conn.Binary2)) != 0 || len(w.take(second, conn.Binary2)) != 1 {
		t.Error("a module that is let go is asked")
	}
	w.pass(1100 * time.Millisecond) // what it had is late now
	if w.shard.Owes(first) {
		t.Error("a late command holds the module")
	}
	w.shard.Closed(first, io.EOF)
	r = w.retuned()
	r.HSMs = r.HSMs[:1]
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	if n := len(w.picture().HSMs); n != 1 {
		t.Errorf("%d modules are shown", n)
	}
	ask()
	if len(w.take(second, conn.Binary2)) != 0 {
		t.Error("a module that is configured no more is asked")
	}
	w.connect(2)
	w.pass(0)
}

// TestRetuneIsPrepared: it is looked at and nothing has changed but the room for
// new listeners, so that the front may still refuse.
func TestRetuneIsPrepared(t *testing.T) {
	w := newWorld(t)
	r := w.retuned()
	r.Prepare = true
	r.another("bank-c", 7)
	r.Listeners = append(r.Listeners, r.Listeners[0])
	r.HSMTimeout = time.Hour
	if err := w.do(r); err != nil {
		t.Fatal(err)
	}
	if len(w.shard.links) != 2 || len(w.shard.cfg.Listeners) != 2 || w.shard.cfg.HSMTimeout != 2*time.Second {
		t.Errorf("%d links, %d listeners", len(w.shard.links), len(w.shard.cfg.Listeners))
	}
	early := w.mustConnect(7)
	if !w.closed[early] {
		t.Error("a bank that is not known yet is kept")
	}
	w.shard.Frame(early, []byte("0000"))
	w.shard.Closed(early, nil)
	r.Prepare, r.Listeners = false, r.Listeners[:1]
	if err := w.do(r); err != nil || len(w.shard.links) != 3 || len(w.shard.cfg.Listeners) != 2 {
		t.Errorf("%v: %d links, %d listeners", err, len(w.shard.links), len(w.shard.cfg.Listeners))
	}
	w.signOn(w.mustConnect(7))
}

// The rules of the house hold for what comes after them.
func TestRetuneRules(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.approved(bank, 7, 1000)
	w.want("pre-authorised", p.through(bank, naming{mti: 0x0100, proc: 30000, cond: 6, usage: "10", trace: 8, amount: 1000}, "00"), "00")
	tip := naming{mti: 0x0220, usage: "34", trace: 9, of: 7, amount: 1}
	completion := naming{mti: 0x0200, cond: 6, usage: "20", trace: 20, of: 8, amount: 1010}
	for i, c := range []struct {
		rules           flow.Rules
		tip, completion string
	}{{flow.Rules{}, "13", "13"}, {flow.Rules{Completion: 1, Tip: 1}, "00", "00"}} {
		r := w.retuned()
		r.Rules = c.rules
		if err := w.do(r); err != nil {
			t.Fatal(err)
		}
		tip.trace, completion.trace = uint64(30+2*i), uint64(31+2*i)
		w.want("the completion", p.through(bank, completion, "00"), c.completion)
		p.name(tip)
		w.want("the tip", p.code(), c.tip)
	}
}
