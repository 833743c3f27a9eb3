package load

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"tongka/bench/internal/mix"
	"tongka/bench/internal/poll"
	"tongka/bench/internal/sale"
	"tongka/hsm/clear"
)

const scratchLen = 256 << 10

// generator is one thread: nothing in it is locked.
type generator struct {
	spec      *Spec
	p         *poll.Poller
	terminals []terminal
	sessions  []session
	opened    int // connections so far
	underWay  int
	sending   bool
	clock     time.Time // of the last wake-up
	began     time.Time
	pacer     pacer
	latency   *hdrhistogram.Histogram
	refused   int64
	faults    map[string]int64
	scratch   []byte
	out       []byte
	macs      clear.Batch // of a mix: of the requests that wait for them
	unsealed  []unsealed
}

// session is one connection and what is under way on it.
type session struct {
	poll.Stream
	term int       // index of the terminal
	till *mix.Till // of a mix, else nil
	more bool      // its deal goes on with another request
	sent []sent    // ring by trace number, a power of two
}

// sent is a request under way; at is nanoseconds since generator.began, plus 1
// so that zero means free.
type sent struct {
	trace uint32
	at    int64
}

// open makes everything that a run needs before the first connection, so that
// nothing is made while the clock runs.
func open(s *Spec) (*generator, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	var terminals []terminal
	if !s.Mix {
		var err error
		if terminals, err = requests(s); err != nil {
			return nil, err
		}
	}
	p, err := poll.New()
	if err != nil {
		return nil, err
	}
	p.Alone = s.Alone
	g := &generator{
		spec: s, p: p, terminals: terminals, latency: newHistogram(), faults: map[string]int64{},
		sessions: make([]session, s.Connections), scratch: make([]byte, scratchLen), began: time.Now(),
	}
	ring := s.ring()
	rings := make([]sent, ring*s.Connections)
	for i := range g.sessions {
		g.sessions[i] = session{Stream: poll.Stream{FD: -1, Tag: int32(i)}, term: i % s.Terminals, sent: rings[i*ring : (i+1)*ring]}
	}
	if s.Mix {
		err = g.openTills()
	}
	return g, err
}

// close drops all connections; the system under test sees them end as it does
// when terminals are switched off.
func (g *generator) close() {
	for i := range g.sessions {
		if fd := g.sessions[i].FD; fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	_ = g.p.Close()
}

// start connects everybody and sends the first requests.
func (g *generator) start() error {
	if err := g.startAll(); err != nil {
		return err
	}
	return g.seal()
}

func (g *generator) startAll() error {
	g.sending = true
	g.pacer.start(g.spec.Rate, len(g.sessions))
	for i := range g.sessions {
		s := &g.sessions[i]
		if g.paced() && g.spec.Reconnect { // each connects when it is its turn
			continue
		}
		if err := g.connect(s); err != nil {
			return err
		}
		if !g.spec.Silent && !g.paced() {
			if err := g.send(s, g.spec.Depth, g.now()); err != nil {
				return err
			}
		}
		// A listener's queue is short: take what has come before going on.
		if i%64 == 63 {
			if err := g.turn(0); err != nil {
				return err
			}
		}
	}
	return nil
}

// connect opens a session's connection from an address of its own: terminals
// stand in many places, and a switch counts connections per address.
func (g *generator) connect(s *session) (err error) {
	n := g.opened
	g.opened++
	from := netip.AddrFrom4([4]byte{127, 0, byte(1 + n/200%32), byte(1 + n%200)})
	if s.FD, err = poll.Dial(g.spec.Address, from); err != nil {
		return err
	}
	return g.p.Add(s.FD, s.Tag, poll.Read)
}

// until runs the loop up to a moment.
func (g *generator) until(end time.Time) error {
	for g.clock = time.Now(); g.clock.Before(end); {
		if err := g.turn(g.wait(end)); err != nil {
			return err
		}
		if err := g.sendDue(); err != nil {
			return err
		}
	}
	return nil
}

// drain sends nothing more and waits for the last answers. What does not come
// is a fault.
func (g *generator) drain() error {
	g.sending = false
	for end := time.Now().Add(g.spec.Drain); g.underWay > 0 && time.Now().Before(end); {
		if err := g.turn(100 * time.Millisecond); err != nil {
			return err
		}
	}
	if g.underWay > 0 {
		g.faults["no answer"] += int64(g.underWay)
	}
	return nil
}

// turn handles what one wait brings.
func (g *generator) turn(most time.Duration) error {
	events, err := g.p.WaitFor(most)
	if err != nil {
		return err
	}
	g.clock = time.Now()
	for _, ev := range events {
		s := &g.sessions[ev.Fd]
		if err := g.serve(s, ev.Events); err != nil {
			return s.fault(err)
		}
	}
	return g.seal()
}

// fault says whose connection an error is of.
func (s *session) fault(err error) error {
	if err == io.EOF {
		err = errors.New("closed by the system under test")
	}
	return fmt.Errorf("load: connection %d of terminal %d: %w", s.Tag, s.term, err)
}

// serve reads once and, when that brings answers, writes once: as many requests
// as were answered, so that Depth stays under way.
func (g *generator) serve(s *session, events uint32) error {
	if events&poll.Write != 0 {
		if err := s.Flush(g.p); err != nil {
			return err
		}
	}
	if events&^poll.Write == 0 {
		return nil
	}
	b, err := s.Read(g.scratch)
	if err != nil || len(b) == 0 {
		return err
	}
	now, answers := g.now(), 0
	for {
		n := sale.FrameLen(b)
		if n == 0 || n > len(b) {
			break
		}
		if s.till != nil && g.told(s, b[:n], now) || s.till == nil && g.answered(s, b[:n], now) {
			answers++
		}
		b = b[n:]
	}
	s.Keep(b)
	if s.more {
		return g.goOn(s)
	}
	switch {
	case answers == 0 || !g.sending:
		return nil
	case g.paced(): // who is free sends what is due, which may be another one
		g.release(s)
		return nil
	case g.spec.Reconnect:
		g.leave(s)
		return g.begin(s, g.now())
	}
	return g.send(s, answers, now)
}

// leave closes a session's connection as a terminal does; the next one is for the
// next terminal in turn. Sessions step over each other's, so no terminal is in
// two places.
func (g *generator) leave(s *session) {
	_ = unix.Close(s.FD)
	if s.term += len(g.sessions); s.term >= len(g.terminals) {
		s.term = int(s.Tag)
	}
	s.Stream = poll.Stream{FD: -1, Tag: s.Tag}
}

// begin sends one sale, on a new connection where there is none.
func (g *generator) begin(s *session, at int64) error {
	if s.FD < 0 {
		if err := g.connect(s); err != nil {
			return err
		}
	}
	return g.send(s, 1, at)
}

// send sends n requests in one write.
func (g *generator) send(s *session, n int, now int64) error {
	if s.till != nil {
		return g.deal(s, now)
	}
	g.out = g.out[:0]
	t := &g.terminals[s.term]
	for range n {
		frame, trace := t.frame()
		slot := &s.sent[int(trace)&(len(s.sent)-1)]
		if slot.at != 0 {
			return fmt.Errorf("trace %06d is still without an answer after %d others", slot.trace, len(s.sent))
		}
		*slot = sent{trace, now}
		g.out = append(g.out, frame...)
	}
	g.underWay += n
	return s.Write(g.p, g.out)
}

// answered books an answer: approved ones count, everything else is a fault. It
// says whether the answer ended a request.
func (g *generator) answered(s *session, frame []byte, now int64) bool {
	var code [2]byte
	var trace uint32
	var err error
	if g.spec.Echo {
		code = [2]byte{'0', '0'}
		trace, err = sale.Echoed(frame)
	} else {
		trace, code, err = sale.Answer(frame)
	}
	if err != nil {
		g.faults[err.Error()]++
		return false
	}
	slot := &s.sent[int(trace)&(len(s.sent)-1)]
	if slot.at == 0 || slot.trace != trace {
		g.faults["answer that nobody waits for"]++
		return false
	}
	took := now - slot.at
	slot.at = 0
	g.underWay--
	if g.spec.mayRefuse(code) {
		g.refused++
	} else if code != [2]byte{'0', '0'} {
		g.faults["F39 "+string(code[:])]++
		return true
	}
	_ = g.latency.RecordValue(min(took, int64(time.Minute)))
	return true
}

// mayRefuse says that a code which is no approval was to be expected.
func (s *Spec) mayRefuse(code [2]byte) bool {
	switch string(code[:]) {
	case "96":
		return s.Enquiry
	case "98", "91":
		return s.Timeouts
	}
	return false
}

// now is nanoseconds since the start, never 0.
func (g *generator) now() int64 { return int64(time.Since(g.began)) + 1 }
