// Package pool decides which security module gets a command, what becomes of one
// that is not answered, and whom to trust. It has no sockets, clock or goroutine:
// its owner tells it what happened and performs the orders that it gives.
//
// Modules with the same LMK hold no state, so any of them may serve any command.
// A module has lines; each takes a window of commands. A command's header is its
// place in a table and how often that place was used, so replies need no order and
// a late one is never taken for another's.
package pool

import (
	"errors"
	"fmt"
	"time"

	"tongka/hsm"
)

// Line is one connection to a module.
type Line struct {
	Module int  // lines with the same number go to the same machine
	Keys   bool // for key management only
}

// Options are a pool's limits. Zeros are good but for Places.
type Options struct {
	Places int // commands under way, those that wait and those that are late included
	Width  int // of the message header, in hexadecimal characters; 0 means 8
	Window int // commands out on one line; 0 means 16
	Rate   int // licensed commands a second of each module; 0 is no limit

	Timeout    time.Duration // for a command; 0 means 2 s
	KeyTimeout time.Duration // for key management; 0 means Timeout. A module that makes RSA keys needs more
	Probe      time.Duration // an idle line is asked for a sign of life this often; 0 never
	Deep       int           // every so many probes look at the LMK; 0 means 10

	LMK  [8]byte // check value that every module must have; zeros: the first one's
	Seed uint64  // of the choice between lines
}

const (
	defaultWindow  = 16
	defaultTimeout = 2 * time.Second
	defaultDeep    = 10
	maxPlaces      = 1 << 20

	// maxMissed deadlines in a row end a line: one that takes commands and answers
	// none would look idle and be asked first.
	maxMissed = 3
	// A line that loses one now and then is ended when late commands hold this
	// share of all places.
	lateShare = 4
	// goodAgain is how many good answers to NC a module in quarantine needs.
	goodAgain = 2

	backoffMin = int64(100 * time.Millisecond)
	backoffMax = int64(30 * time.Second)
)

// Validate reports every fault.
func (o *Options) Validate() error {
	var errs []error
	bad := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("hsm pool: "+format, a...))
		}
	}
	bad(o.Places >= 1 && o.Places <= maxPlaces, "%d places, not 1 to %d", o.Places, maxPlaces)
	bad(o.Width >= 0 && o.Width <= 255, "a header of %d characters", o.Width)
	bad(o.Window >= 0, "a window of %d", o.Window)
	bad(o.Rate >= 0, "a rate of %d", o.Rate)
	bad(o.Timeout >= 0 && o.KeyTimeout >= 0 && o.Probe >= 0, "a time below zero")
	bad(o.Deep >= 0, "a deep probe in %d", o.Deep)
	return errors.Join(errs...)
}

// Order is a command to write to a line.
type Order struct {
	Place  uint32
	Use    uint32 // of the place: Expire wants it back
	Header uint32
	Line   int      // -1: it waits, and Next gives it when a line is free
	Verb   hsm.Verb // for a probe: Echo or Diagnose
	Probe  bool
	At     int64 // when to call Expire
}

// Pool is not safe for several goroutines: a shard owns one. O is what its owner
// has to know again when an answer comes.
type Pool[O any] struct {
	o       Options
	lines   []line
	modules []module
	places  []place[O]
	free    ring
	waiting [2]ring // of places: ordinary commands, key management
	bits    uint    // of the header for the place; the rest counts its uses
	mask    uint32
	lmk     [8]byte
	random  uint64
	probe   int64 // when the next probe may be due
	events  []Event
	stats   Stats
}

// Stats count since the start.
type Stats struct {
	Retried   uint64 // put to a second module
	Late      uint64 // answers that nobody waited for any more
	Unmatched uint64 // answers to nothing
	Expired   uint64 // deadlines
	Refused   uint64 // no module, or no place
}

type line struct {
	Line
	up       bool
	leaves   bool // takes no more commands
	inFlight int  // late ones, too: the module may be at them still
	late     int
	missed   int // deadlines in a row
	expired  uint64
	since    int64 // when it came up or went down
	heard    int64 // when it last answered or was probed
	probes   int   // sent; every so many are deep
	probing  bool  // one is out
}

type module struct {
	state   State
	good    int   // answers to NC in a row
	again   int64 // in quarantine: when to ask next
	backoff int64
	next    int64 // token bucket: when the bucket would be empty again
	reason  Reason
}

type place[O any] struct {
	use      uint32
	state    placeState
	verb     hsm.Verb
	keys     bool
	again    bool // it was put to another module before
	line     int16
	not      int16 // module that it shall not go to any more, or -1
	deadline int64 // of the command, with its repetition
	owner    O
}

type placeState uint8

const (
	unused placeState = iota
	waits
	out
	late
	probeOut
	probeLate
)

// New makes a pool without lines.
func New[O any](o Options) (*Pool[O], error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Width, 8)
	def(&o.Window, defaultWindow)
	def(&o.Deep, defaultDeep)
	o.SetTimeouts(o.Timeout, o.KeyTimeout)
	width := uint(min(o.Width, 8))
	p := &Pool[O]{o: o, lmk: o.LMK, random: o.Seed*0x9E3779B97F4A7C15 + 1}
	// Three quarters of the header's bits tell the place, the rest its use.
	p.bits = min(3*width, 20)
	p.mask = uint32(1)<<(4*width-p.bits) - 1
	p.places = make([]place[O], min(o.Places, 1<<p.bits))
	for i, r := range []*ring{&p.free, &p.waiting[0], &p.waiting[1]} {
		r.places = make([]uint32, len(p.places))
		for j := range p.places {
			if i == 0 {
				r.put(uint32(j))
			}
		}
	}
	return p, nil
}

// SetTimeouts changes how long a command may take; zeros mean the defaults.
func (o *Options) SetTimeouts(command, keys time.Duration) {
	if o.Timeout = command; command == 0 {
		o.Timeout = defaultTimeout
	}
	if o.KeyTimeout = keys; keys == 0 {
		o.KeyTimeout = o.Timeout
	}
}

// SetTimeouts changes how long the commands to come may take.
func (p *Pool[O]) SetTimeouts(command, keys time.Duration) { p.o.SetTimeouts(command, keys) }

// Add makes a line known, not yet connected, and gives its number.
func (p *Pool[O]) Add(l Line, now int64) int {
	for len(p.modules) <= l.Module {
		p.modules = append(p.modules, module{state: Testing})
	}
	p.lines = append(p.lines, line{Line: l, since: now})
	return len(p.lines) - 1
}

// Leaves says that a line shall take no more commands, or that it may again;
// what is out is still answered.
func (p *Pool[O]) Leaves(n int, leaves bool) { p.lines[n].leaves = leaves }

// Module is the number of the module that a line goes to.
func (p *Pool[O]) Module(n int) int { return p.lines[n].Module }

// Busy says that somebody waits for an answer on a line.
func (p *Pool[O]) Busy(n int) bool { return p.lines[n].inFlight > p.lines[n].late }

// Owner is who asked for a command under way: to be changed in place.
func (p *Pool[O]) Owner(place uint32) *O { return &p.places[place].owner }

// Stats gives what was counted.
func (p *Pool[O]) Stats() Stats { return p.stats }

// Free is how many places are free; all, when nothing waits, is out or late.
func (p *Pool[O]) Free() int { return p.free.n }

// Places is how many there are.
func (p *Pool[O]) Places() int { return len(p.places) }

// ring gives places back in the order in which they came.
type ring struct {
	places []uint32
	from   int
	n      int
}

func (r *ring) put(p uint32) {
	at := r.from + r.n
	if at >= len(r.places) {
		at -= len(r.places)
	}
	r.places[at] = p
	r.n++
}

func (r *ring) first() uint32 { return r.places[r.from] }

func (r *ring) take() uint32 {
	p := r.places[r.from]
	if r.from++; r.from == len(r.places) {
		r.from = 0
	}
	r.n--
	return p
}
