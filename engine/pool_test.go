package engine

import (
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/hsm/payshield"
	"tongka/hsm/soft"
)

// pair is a world with two modules behind sockets 2 and 3.
type pair struct {
	*world
	boxes  [2]conn.ID
	server *payshield.Server
}

func newPair(t *testing.T, w *world) *pair {
	t.Helper()
	w.remote = true
	w.shape = func(c *Config) {
		c.HSMs = append(c.HSMs, HSM{Name: "hsm-2", Socket: 3, Framing: conn.Binary2})
	}
	w.open(vfs.NewCrashableMem())
	w.terminalImported()
	p := &pair{world: w, server: payshield.NewServer(w.module, payshield.Dialect{HeaderLen: w.header})}
	p.boxes = [2]conn.ID{w.boxUp(2), w.boxUp(3)}
	return p
}

// serve answers what one module was asked, and says how much that was.
func (p *pair) serve(box int) (n int) {
	for _, f := range p.take(p.boxes[box], conn.Binary2) {
		p.shard.Frame(p.boxes[box], p.server.Answer(nil, f))
		n++
	}
	p.pass(0)
	return n
}

// signIn sends a sign-in and lets both modules work; the last command that
// deaf was asked stays without an answer.
func (p *pair) signIn() *pos {
	t := &pos{w: p.world, id: p.connect(-1)}
	t.send(0x0800, nil, func(b *iso8583.Builder) {
		t.identity(b)
		b.Put(60, []byte("00000001003"))
	})
	p.pass(0)
	for p.serve(0)+p.serve(1) > 0 {
	}
	v := t.got()
	t.batch = string(v.AppendText(nil, 60)[2:8])
	t.pik, t.mak = t.unwrap(v.Field(62)[:20]), t.unwrap(v.Field(62)[20:])
	return t
}

// What a module does not answer, the other one does: after half of the time, or
// at once when the line breaks.
func TestTheOtherModuleIsAsked(t *testing.T) {
	for name, spoil := range map[string]func(p *pair, box int){
		"silence":     func(p *pair, _ int) { p.pass(1100 * time.Millisecond) },
		"broken line": func(p *pair, box int) { p.shard.Closed(p.boxes[box], io.EOF); p.pass(0) },
	} {
		p := newPair(t, newWorld(t))
		bank := p.bankUp(0)
		till := p.signIn()
		till.sale(7, 1250, false)
		asked := -1
		for i, id := range p.boxes {
			if len(p.take(id, conn.Binary2)) > 0 {
				asked = i // and answers nothing
			}
		}
		if asked < 0 {
			t.Fatal("nobody was asked for the MAC")
		}
		p.bankSilent(bank)
		spoil(p, asked)
		if p.serve(1-asked) != 1 {
			t.Fatalf("%s: the other module is not asked", name)
		}
		p.bankAnswers(bank, p.bankGot(bank), "00")
		for p.serve(1-asked)+p.serve(asked) > 0 {
		}
		if c := till.code(); c != "00" {
			t.Errorf("%s: F39 %s", name, c)
		}
		if n := p.shard.stats.HSMFaults; n != 0 {
			t.Errorf("%s: %d faults", name, n)
		}
	}
}

// A module with another LMK is never asked, and the log says why.
func TestAnotherLMKIsSaidLoudly(t *testing.T) {
	w, logs := watched(t)
	p := newPair(t, w)
	other, err := soft.RandomLMK(zeros{})
	if err != nil {
		t.Fatal(err)
	}
	p.shard.Closed(p.boxes[1], io.EOF)
	p.boxes[1] = p.connect(3)
	p.pass(0)
	stranger := payshield.NewServer(soft.New(other), payshield.Dialect{HeaderLen: w.header})
	for _, f := range p.take(p.boxes[1], conn.Binary2) {
		p.shard.Frame(p.boxes[1], stranger.Answer(nil, f))
	}
	p.pass(0)
	alarm := logs.FilterMessage("security module quarantined").FilterLevelExact(zap.ErrorLevel).All()
	if len(alarm) != 1 || alarm[0].ContextMap()["module"] != "hsm-2" || alarm[0].ContextMap()["reason"] != "has another LMK" {
		t.Errorf("alarms: %v", alarm)
	}
	p.signIn()
	if v := p.picture().HSMs; v[1].State != "quarantined" || v[1].Connected || v[0].State != "ready" || !v[0].Connected {
		t.Errorf("%+v", v)
	}
}

// zeros is as random as a test needs.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// More commands than the window holds wait, and none is lost.
func TestCommandsWaitForAWindow(t *testing.T) {
	w := newWorld(t)
	w.remote = true
	w.shape = func(c *Config) { c.Pool.Window = 1 }
	w.open(vfs.NewCrashableMem())
	w.terminalImported()
	box := w.boxUp(2)
	server := payshield.NewServer(w.module, payshield.Dialect{HeaderLen: w.header})
	var tills []*pos
	for range 5 {
		p := &pos{w: w, id: w.connect(-1)}
		p.send(0x0800, nil, func(b *iso8583.Builder) { p.identity(b); b.Put(60, []byte("00000001003")) })
		tills = append(tills, p)
	}
	w.pass(0)
	for range 100 {
		frames := w.take(box, conn.Binary2)
		if len(frames) == 0 {
			break
		}
		if len(frames) > 1 {
			t.Fatalf("%d commands at once", len(frames))
		}
		w.shard.Frame(box, server.Answer(nil, frames[0]))
		w.pass(0)
	}
	for i, p := range tills {
		if v := p.got(); string(v.AppendText(nil, 39)) != "00" {
			t.Errorf("till %d: F39 %s", i, v.AppendText(nil, 39))
		}
	}
	w.idle()
}
