package engine

import (
	"tongka/journal"
	"tongka/router/limit"
	"tongka/txn"
)

// maxInFlight keeps the upstream trace numbers (n6) far from running out.
const maxInFlight = 500_000

// pending finds a transaction in flight by the trace number that the bank knows
// it under. It also remembers how the last one under each number ended, so that
// a late answer is told from one that was never asked for.
type pending struct {
	tab []pend // by STAN
}

type pend struct {
	era  uint16 // ID / 1,000,000: which use of this trace number; after 65 thousand million numbers it begins anew
	line uint16 // that it was sent on, + 1; 0 is none
	ref  uint32 // slot + 1 while in flight, or one of the marks
}

const (
	neverUsed  = 0
	wasExpired = 0xFFFFFFFE
	wasClosed  = 0xFFFFFFFF
)

func newPending(warm bool) pending {
	p := pending{tab: make([]pend, 1_000_000)}
	if warm {
		touch(p.tab)
	}
	return p
}

// touch makes the pages of a table real at the start: what is sized at the start
// is also paid for then, and no transaction waits for a page.
func touch[T any](tab []T) {
	var zero T
	const step = 64 // entries; fewer bytes than a page for all that is kept here
	for i := 0; i < len(tab); i += step {
		tab[i] = zero
	}
}

func era(id txn.ID) uint16 { return uint16(id / 1_000_000) }

// busy says that this trace number is in flight.
func (p *pending) busy(id txn.ID) bool {
	r := p.tab[id.STAN()].ref
	return r != neverUsed && r < wasExpired
}

func (p *pending) open(id txn.ID, slot uint32, line int) {
	p.tab[id.STAN()] = pend{era(id), uint16(line + 1), slot + 1}
}

// line is where a number was sent, -1 when that is not known any more.
func (p *pending) line(id txn.ID) int {
	if e := &p.tab[id.STAN()]; e.era == era(id) {
		return int(e.line) - 1
	}
	return -1
}

// end marks how a transaction in flight ended.
func (p *pending) end(id txn.ID, mark uint32) {
	if e := &p.tab[id.STAN()]; e.era == era(id) {
		e.ref = mark
	}
}

// history is what one terminal did last: by it a repeat is told from a new
// request, and a reversal finds its original. It is a ring of a few entries in
// one or two cache lines, found with the connection, so the common case costs a
// look at memory that is at hand. What it does not hold any more, or not yet
// after a start, the index on disk does. A copy of an old message must not pass
// for a new one, so the highest trace is noted, too: see surelyNew.
type history struct {
	ring         []known
	next         int
	batch, trace uint32 // the highest seen; zero before the first
	hint         uint32 // where the module keeps the terminal's MAC key
	begun        uint32 // batch of which nothing is stored, 0 once it has been asked for
	gate         limit.Gate
	merchant     *limit.Gate // shared by the merchant's terminals
	totals       *totals     // of the batches used last
	taken        int         // slots that work on its requests
	rules        rules
}

type known struct {
	fp  uint64
	ref ref
}

// ref is a slot in flight or a record, and how the transaction ended.
type ref uint64

const refLive = ref(1) << 63

func liveRef(slot uint32) ref { return refLive | ref(slot) }
func doneRef(lsn journal.LSN, r txn.Result) ref {
	return ref(r)<<60 | ref(lsn)&(1<<60-1)
}

func (r ref) live() (slot uint32, ok bool) { return uint32(r), r&refLive != 0 }
func (r ref) result() txn.Result           { return txn.Result(r >> 60 & 7) }
func (r ref) lsn() journal.LSN             { return journal.LSN(r & (1<<60 - 1)) }

// get finds a request that is at hand.
func (h *history) get(fp uint64) (ref, bool) {
	for i := range h.ring {
		if h.ring[i].fp == fp {
			return h.ring[i].ref, h.ring[i].ref != 0
		}
	}
	return 0, false
}

// surelyNew says that a request cannot be on disk, nor in the ring: its trace is above all that
// were seen in its batch, and the batch began in this life of the process, with
// the sign-in of the session, or the journal had no older life. What an older
// life did in a batch only the disk knows.
func (s *Shard) surelyNew(sl *slot) bool {
	h := sl.hist
	return (s.firstLife || sl.sess.Since > s.started) && sl.Batch == sl.sess.Batch && sl.Batch == h.batch && sl.Trace > h.trace
}

// saw notes the trace of a request, done or reversed before it came. All that the
// ring gets is noted, and the batch never goes back, so what is above trace in batch
// is not in the ring either.
func (h *history) saw(f *txn.Facts) {
	switch {
	case f.Batch > h.batch:
		h.batch, h.trace = f.Batch, f.Trace
	case f.Batch == h.batch:
		h.trace = max(h.trace, f.Trace)
	}
}

// put remembers a request, or what became of it, and gives its place in the ring.
func (h *history) put(fp uint64, r ref, holds func(slot uint32, fp uint64) bool) (place uint32) {
	for i := range h.ring {
		if h.ring[i].fp == fp {
			h.ring[i].ref = r
			return uint32(i)
		}
	}
	return h.add(fp, r, holds)
}

// add is put of what is not in the ring. The oldest entry gives way, but never one
// that is in flight: holds tells. A terminal that has more under way than the ring
// holds gets a larger one.
func (h *history) add(fp uint64, r ref, holds func(slot uint32, fp uint64) bool) (place uint32) {
	for range h.ring {
		at := h.next
		k := &h.ring[at]
		h.next = h.after(at)
		if slot, live := k.ref.live(); !live || !holds(slot, k.fp) {
			*k = known{fp, r}
			return uint32(at)
		}
	}
	at := len(h.ring)
	h.ring = append(h.ring, make([]known, at)...)
	h.ring[at] = known{fp, r}
	h.next = h.after(at)
	return uint32(at)
}

// after is the place behind another in the ring. A division would cost more than all
// the rest of add.
func (h *history) after(at int) int {
	if at++; at < len(h.ring) {
		return at
	}
	return 0
}

// ended notes what became of a request that was put at a place, and is still there
// unless it was pushed out.
func (h *history) ended(place uint32, fp uint64, r ref, holds func(slot uint32, fp uint64) bool) {
	if int(place) < len(h.ring) && h.ring[place].fp == fp {
		h.ring[place].ref = r
		return
	}
	h.put(fp, r, holds)
}

// historyOf gives the history of a terminal, made when it is first heard of.
func (s *Shard) historyOf(t *txn.Terminal) *history {
	h := s.histories[*t]
	if h == nil {
		h = &history{ring: make([]known, s.cfg.History), merchant: s.merchantGate(&t.Merchant)}
		s.histories[*t] = h
	}
	return h
}
