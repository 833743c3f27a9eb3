package world

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"time"

	"tongka/engine"
	"tongka/hsm/soft"
	"tongka/registry"
	"tongka/translate"
)

// start is the simulated time at which every history begins.
var start = time.Date(2026, 11, 21, 9, 0, 0, 0, translate.Zone).UnixNano()

// world is one history being played.
type world struct {
	o       Options
	now     int64
	events  events
	seq     uint64
	proc    *process // nil while no process runs
	store   store
	module  *soft.Module
	reg     *registry.Registry
	tills   []*till
	issuers []*issuer
	shape   *shape
	boxes   []*box
	purses  []*purse
	visits  int // rounds of the cards' last ones that have been

	engineCards *engine.Cards
	wires       uint64
	books       books
	crashes     int
	dying       *stimulus // the process ends in its next turn
	stalling    *stimulus // the disk stalls when it writes next
	shocks      int       // and how often again after that
	quiet       int64     // since when nobody waits for anything; 0: somebody does
	hash        hash.Hash64
	trace       bool
	result      Result
}

// event is something that happens at a time; equal times go by their order.
type event struct {
	at  int64
	seq uint64
	do  func()
}

type events []event

func (a *event) before(b *event) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// push and pop keep the first event in front, as container/heap does, which would
// copy each event to the heap.
func (e *events) push(x event) {
	*e = append(*e, x)
	all := *e
	for i := len(all) - 1; i > 0; {
		parent := (i - 1) / 2
		if !all[i].before(&all[parent]) {
			break
		}
		all[i], all[parent] = all[parent], all[i]
		i = parent
	}
}

func (e *events) pop() event {
	all := *e
	first, last := all[0], len(all)-1
	all[0], all[last].do = all[last], nil
	all = all[:last]
	*e = all
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(all) && all[child+1].before(&all[child]) {
			child++
		}
		if child >= len(all) || !all[child].before(&all[i]) {
			return first
		}
		all[i], all[child] = all[child], all[i]
		i = child
	}
}

// after plans something. What comes to the switch is gathered to a tenth of a
// millisecond, so that a turn holds more than one thing.
func (w *world) after(d int64, do func()) { w.at(w.now+d, do) }

func (w *world) at(at int64, do func()) {
	const grain = int64(100 * time.Microsecond)
	w.seq++
	w.events.push(event{(max(at, w.now) + grain - 1) / grain * grain, w.seq, do})
}

// note makes something part of the history.
func (w *world) note(what string, numbers ...uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(w.now))
	w.hash.Write(b[:])
	w.hash.Write([]byte(what))
	for _, n := range numbers {
		binary.LittleEndian.PutUint64(b[:], n)
		w.hash.Write(b[:])
	}
	if w.trace {
		w.result.Trail = append(w.result.Trail, fmt.Sprintf("%12.6fs %s %v", float64(w.now-start)/1e9, what, numbers))
	}
}

func (w *world) violate(checker, format string, a ...any) {
	const enough = 20
	if len(w.result.Violations) < enough {
		w.result.Violations = append(w.result.Violations, Violation{checker, fmt.Sprintf(format, a...), w.now - start})
	}
}

// play goes through a history to its end and compares the books.
func (w *world) play(history []stimulus) error {
	for i := range history {
		s := &history[i]
		w.at(start+s.at, func() { w.stir(s) })
	}
	if err := w.begin(); err != nil {
		return err
	}
	last := start
	if n := len(history); n > 0 {
		last += history[n-1].at
	}
	for w.now < last+settling && len(w.result.Violations) == 0 {
		if (!w.step() || w.now > last && w.settled()) && !w.visitAgain() {
			break
		}
	}
	var err error
	if len(w.result.Violations) == 0 {
		if w.compare(); w.proc != nil {
			err = w.comparePurses()
		}
	}
	return errors.Join(err, w.end())
}

// step does all that happens at the next moment, and ends the turn.
func (w *world) step() bool {
	p := w.proc
	at := int64(1<<63 - 1)
	if len(w.events) > 0 {
		at = w.events[0].at
	}
	if p != nil && p.stalled == 0 && p.wake != 0 && p.wake < at {
		at = p.wake
	}
	if at == 1<<63-1 {
		return false
	}
	w.now = max(w.now, at)
	for len(w.events) > 0 && w.events[0].at <= w.now {
		w.events.pop().do()
	}
	if p = w.proc; p != nil && p.stalled == 0 && (p.touched || w.dying != nil || p.wake != 0 && p.wake <= w.now) {
		p.turn()
	}
	return true
}

// stir does one thing of the plan.
func (w *world) stir(s *stimulus) {
	switch s.fault {
	case none:
		w.tills[s.till].asked(s)
	case crash:
		if w.proc != nil {
			w.dying = s
		}
	case cut:
		w.cutOne(s.id)
	case ghost:
		w.tills[s.till].haunted(s.id)
	case forgery:
		w.tills[s.till].forged(s.id)
	case grey:
		w.greyed(s)
	case stall:
		w.stalling, w.shocks = s, int(fate(w.o.Seed, aboutStall, s.id)%5)
	case spell:
		m := mood(s.id%uint64(moods-1) + 1)
		its := w.moodOf(s.which)
		*its = m
		w.note("mood", uint64(s.which), uint64(m))
		w.after(s.span, func() { *its = well })
	}
}

// moodOf is the mood of a bank, or behind these of a security module.
func (w *world) moodOf(which int) *mood {
	if which < banks {
		return &w.issuers[which].mood
	}
	return &w.boxes[which-banks].mood
}

// settled says that nobody waits for anything any more, and that the switch has
// shown itself since: an older picture may lack what the last answer caused.
func (w *world) settled() bool {
	if w.waiting() {
		w.quiet = 0
		return false
	}
	if w.quiet == 0 {
		w.quiet = w.now
	}
	s := w.proc.shard.Snapshot()
	return s != nil && s.At > w.quiet && s.Owed == 0 && s.InFlight == 0
}

func (w *world) waiting() bool {
	for _, t := range w.tills {
		if t.job != nil || len(t.queue) > 0 {
			return true
		}
	}
	for i := range banks + len(w.boxes) {
		if *w.moodOf(i) != well {
			return true
		}
	}
	return w.proc == nil
}

func newWorld(o Options, trace bool) (*world, error) {
	w := &world{o: o, now: start, hash: fnv.New64a(), trace: trace, shape: shapeOf(o.Seed), module: soft.New(soft.TestLMK()), books: newBooks(),
		result: Result{Seed: o.Seed, Transactions: o.Transactions}}
	var err error
	if w.reg, err = registry.Open(registry.Options{InMemory: true, SessionTTL: 240 * time.Hour}); err != nil {
		return nil, err
	}
	if o.Pebble {
		w.store = newPebbleStore()
	} else {
		w.store = &memoryStore{memory: newMemory()}
	}
	for i := range banks {
		w.issuers = append(w.issuers, newIssuer(w, i))
	}
	for i, socket := range w.shape.boxes {
		w.boxes = append(w.boxes, newBox(w, i, socket))
	}
	if err := w.provision(); err != nil {
		return nil, err
	}
	if err := w.issuePurses(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *world) end() error {
	w.result.Crashes, w.result.Hash = w.crashes, w.hash.Sum64()
	if w.proc != nil {
		w.proc.dead = true
	}
	err := w.store.close()
	if e := w.reg.Close(); err == nil {
		err = e
	}
	return err
}
