package world

import (
	"cmp"
	"slices"
	"time"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/engine"
	"tongka/hsm"
	"tongka/hsm/payshield"
	"tongka/journal"
	"tongka/router"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// process is one life of the switch: a shard on its loop.
type process struct {
	w       *world
	shard   *engine.Shard
	handler conn.Handler
	log     *watched
	places  []uint32 // how often each was used
	free    []uint32
	wires   map[conn.ID]*wire
	order   []*wire // of opening, so that nothing depends on a map
	closing []*wire
	touched bool  // something came since the last turn
	wake    int64 // when the shard wants its next turn
	dead    bool  // nothing that it still does is seen
	stalled int64 // until when it waits for its disk; what comes lies in the inbox
	inbox   []arrival
	sends   int // left before it dies, counted from the first of a turn; below zero: no limit
}

var _ conn.Loop = (*process)(nil)

// begin starts a life on what is on disk.
func (w *world) begin() error {
	log, err := w.store.open()
	if err != nil {
		return err
	}
	p := &process{w: w, wires: map[conn.ID]*wire{}, sends: -1}
	p.log = &watched{Journal: log, p: p}
	cfg, err := w.config(p)
	if err != nil {
		return err
	}
	if p.shard, err = engine.Open(cfg, p.log, w.reg); err != nil {
		return err
	}
	p.handler = p.shard.Attach(p)
	w.proc = p
	w.note("process starts")
	for _, k := range w.issuers {
		k.dial()
	}
	for _, b := range w.boxes {
		b.dial()
	}
	p.touched = true
	return nil
}

func (w *world) config(p *process) (engine.Config, error) {
	cfg := engine.Config{InFlight: 64, History: 4, Seed: w.o.Seed, HSMs: w.shape.modules(), HSMTimeout: moduleTimeout,
		NoWarm: true, Clock: func() int64 { return w.now }, Logger: zap.NewNop(), Fatal: func(error) { p.dead = true }}
	if len(w.boxes) == 0 {
		cfg.Module = w.module
	}
	cfg.Cards = w.engineCards
	if err := cfg.Dialect.Define("UB", payshield.Layout{}); err != nil {
		return cfg, err
	}
	door, err := translate.NewDoor(iso8583.Pos(), acquirer)
	if err != nil {
		return cfg, err
	}
	cfg.Listeners = []engine.Listener{{Name: "pos", Door: door, Framing: conn.Binary2}}
	first, err := router.ParseRange("62")
	if err != nil {
		return cfg, err
	}
	cfg.Routes, err = router.Compile(router.Source{Rules: []router.Rule{
		{BINs: []router.Range{first}, To: []router.Target{{Link: 0, Weight: 1}}}, {To: []router.Target{{Link: 1, Weight: 1}}}}})
	if err != nil {
		return cfg, err
	}
	zpk, err := w.module.Wrap(hsm.ZPK, zpkClear)
	if err != nil {
		return cfg, err
	}
	for i, name := range []string{"bank-a", "bank-b"} {
		bank, err := translate.NewBank(iso8583.Cups(), "00010000", acquirer, acquirer, acquirer)
		if err != nil {
			return cfg, err
		}
		cfg.Links = append(cfg.Links, engine.Link{Name: name, Lines: w.shape.lines(i), Bank: bank, Framing: conn.ASCII4, ZPK: zpk,
			AnswerTimeout: 10 * time.Second, EchoInterval: 30 * time.Second, EchoTimeout: leastWait, MaxMissed: 10,
			Reversal: storefwd.Policy{Window: 16, PerRound: 64, Interval: time.Second, BackoffMin: time.Second,
				BackoffMax: 8 * time.Second, Timeout: leastWait, MaxAttempts: 10_000}})
	}
	return cfg, nil
}

// leastWait is the shortest time after which the switch gives up on a bank's answer.
const leastWait = 5 * time.Second

// arrival is what a process has not seen yet, and from whom.
type arrival struct {
	lane uint64
	do   func()
}

// do lets the process see something, or when it is stalled, puts it behind what
// it will see.
func (p *process) do(lane uint64, f func()) {
	if p.stalled != 0 {
		p.inbox = append(p.inbox, arrival{lane, f})
		return
	}
	p.touched = true
	f()
}

// stall stops the process in the middle of its turn, as a disk does that takes
// its time: what the turn sends leaves later, and what comes waits. The loop then
// reads one connection after the other, in no order that the senders know of. A
// disk that was slow once is slow a few times more, for a moment each, so that
// turns have a great deal in them; and some processes die of it.
func (p *process) stall(s *stimulus) {
	w := p.w
	p.stalled = w.now + s.span
	w.note("the disk stalls", uint64(s.span))
	w.at(p.stalled, func() {
		if p != w.proc {
			return
		}
		p.stalled, p.touched = 0, true
		switch dice := fate(w.o.Seed, aboutStall, s.id, uint64(w.shocks)); {
		case w.shocks > 0:
			w.shocks--
			w.stalling = &stimulus{id: s.id, fault: stall, span: int64(time.Millisecond) + int64(dice%uint64(8*time.Millisecond))}
		case dice%2 == 0 && w.dying == nil:
			w.dying = &stimulus{at: w.now - start, id: s.id, fault: crash, phase: halfSent}
		}
		all := p.inbox
		p.inbox = nil
		slices.SortStableFunc(all, func(a, b arrival) int {
			return cmp.Compare(fate(w.o.Seed, aboutStall, s.id, a.lane), fate(w.o.Seed, aboutStall, s.id, b.lane))
		})
		for _, a := range all {
			a.do()
		}
	})
}

// turn ends a turn of the loop. When the process is to die, it dies in the phase
// that the plan says.
func (p *process) turn() {
	p.touched = false
	w := p.w
	dying := w.dying
	if dying != nil && dying.phase != beforeCommit && !p.log.Staged() && w.now < start+dying.at+int64(5*time.Second) {
		dying = nil // a turn that writes something is worth dying in
	}
	if dying != nil {
		switch dying.phase {
		case beforeCommit:
			w.crash(dying, false)
			return
		case inDoubt:
			p.log.fail = true
		case synced:
			p.log.dieAfter = true
		case halfSent:
			p.sends = int(fate(w.o.Seed, aboutPhase, dying.id, 1) % 8)
		}
	}
	p.wake = p.handler.Tick(w.now)
	if dying != nil {
		w.crash(dying, fate(w.o.Seed, aboutDoubt, dying.id)%2 == 0)
		return
	}
	for len(p.closing) > 0 {
		l := p.closing[0]
		p.closing = p.closing[1:]
		l.hungUp()
	}
}

// crash ends the process. What it had sent arrives; what came to it is lost.
func (w *world) crash(s *stimulus, keep bool) {
	p := w.proc
	w.dying, w.proc, p.dead = nil, nil, true
	w.crashes++
	w.note("process dies", s.id, uint64(s.phase))
	for _, l := range p.order {
		if l.up {
			l.broken()
		}
	}
	if w.store.crash(keep) && s.phase == inDoubt {
		for i := range p.log.staged { // it is there after all
			w.books.durable(&p.log.staged[i])
		}
	}
	pause := int64(20*time.Millisecond) + int64(fate(w.o.Seed, aboutCrash, s.id, 1)%uint64(2*time.Second))
	w.after(pause, func() {
		if err := w.begin(); err != nil {
			w.violate("starts-again", "after crash %d: %v", s.id, err)
		}
	})
}

// Send takes bytes that leave; from then on they are seen.
func (p *process) Send(id conn.ID, framed []byte) error {
	l := p.wires[id]
	switch {
	case p.sends == 0:
		p.dead = true
	case p.sends > 0:
		p.sends--
	}
	if p.dead {
		return nil
	}
	if l == nil || !l.up {
		return conn.ErrClosed
	}
	l.left(append([]byte(nil), framed...))
	return nil
}

// Close hangs up after the turn.
func (p *process) Close(id conn.ID) {
	if l := p.wires[id]; l != nil && l.up && !p.dead {
		p.closing = append(p.closing, l)
	}
}

// Dial is for short-lived lines: the connection is there a little later, or it is
// said that it cannot be, or nothing is heard of it.
func (p *process) Dial(link int) {
	w := p.w
	for _, k := range w.issuers {
		for i := range k.lines {
			t := &k.lines[i]
			if t.socket != link || t.short == 0 {
				continue
			}
			w.wires++
			dice := fate(w.o.Seed, aboutShape, uint64(link), w.wires)
			w.after(int64(time.Millisecond)+int64(dice%uint64(20*time.Millisecond)), func() {
				if w.proc != p || p.dead {
					return
				}
				switch dice >> 32 % 16 {
				case 0:
					p.do(1<<40|uint64(link), func() { p.handler.(conn.Caller).NotDialled(link) })
				case 1:
				default:
					k.dialLine(t)
				}
			})
		}
	}
}

// Wake is for other goroutines, of which there are none.
func (p *process) Wake() {}

// watched holds every byte that leaves against what is on disk.
type watched struct {
	engine.Journal
	p        *process
	staged   []stagedFact
	fail     bool // the next sync is in doubt
	dieAfter bool // nothing leaves after the next sync
}

type stagedFact struct {
	kind journal.Kind
	id   txn.ID
	code txn.Code
}

func (l *watched) Append(r *journal.Record) journal.LSN {
	l.staged = append(l.staged, stagedFact{r.Kind, r.Facts.ID, r.Facts.Code})
	return l.Journal.Append(r)
}

func (l *watched) Sync() error {
	if l.fail {
		return errCrashed
	}
	if err := l.Journal.Sync(); err != nil {
		return err
	}
	if s := l.p.w.stalling; s != nil && len(l.staged) > 0 {
		l.p.w.stalling = nil
		l.p.stall(s)
	}
	for _, s := range l.staged {
		l.p.w.books.durable(&s)
	}
	l.staged = l.staged[:0]
	if l.dieAfter {
		l.p.dead = true
	}
	return nil
}

// Reject is Close with a black mark, which nobody here counts.
func (p *process) Reject(id conn.ID) { p.Close(id) }
