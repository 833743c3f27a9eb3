package engine

import (
	"tongka/journal"
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
	era uint32 // ID / 1,000,000: which use of this trace number
	ref uint32 // slot + 1 while in flight, or one of the marks
}

const (
	neverUsed  = 0
	wasExpired = 0xFFFFFFFE
	wasClosed  = 0xFFFFFFFF
)

func newPending() pending {
	p := pending{tab: make([]pend, 1_000_000)}
	touch(p.tab)
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

func era(id txn.ID) uint32 { return uint32(id / 1_000_000) }

// busy says that this trace number is in flight.
func (p *pending) busy(id txn.ID) bool {
	r := p.tab[id.STAN()].ref
	return r != neverUsed && r < wasExpired
}

func (p *pending) open(id txn.ID, slot uint32) { p.tab[id.STAN()] = pend{era(id), slot + 1} }

// end marks how a transaction in flight ended.
func (p *pending) end(id txn.ID, mark uint32) {
	if e := &p.tab[id.STAN()]; e.era == era(id) {
		e.ref = mark
	}
}

// recent knows the requests of the last while by fingerprint. Two generations:
// when the young one is full the old one is forgotten, so nothing is ever
// deleted one by one and at least half of the capacity is always remembered.
type recent struct {
	young, old table
	// from and oldFrom are the first records of each generation: a restart
	// replays from the older of the two.
	from, oldFrom journal.LSN
}

// table is open addressing over pairs, at most half full.
type table struct {
	tab  []known
	mask uint64
	n    int
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

func newRecent(capacity int) recent {
	size := uint64(8)
	for size < uint64(capacity) { // each generation holds capacity/2, half full
		size *= 2
	}
	t := func() table {
		t := table{tab: make([]known, size), mask: size - 1}
		touch(t.tab)
		return t
	}
	return recent{young: t(), old: t()}
}

func (t *table) slot(fp uint64) *known {
	for i := fp & t.mask; ; i = (i + 1) & t.mask {
		if k := &t.tab[i]; k.fp == fp || k.fp == 0 {
			return k
		}
	}
}

// get finds a request; a fingerprint of 0 is never stored.
func (r *recent) get(fp uint64) (ref, bool) {
	if k := r.young.slot(fp); k.fp == fp {
		return k.ref, true
	}
	if r.old.n > 0 { // a look into cold memory saved until it is needed
		if k := r.old.slot(fp); k.fp == fp {
			return k.ref, true
		}
	}
	return 0, false
}

// put remembers a request, or what became of it. at is the newest record. True
// says that the older half was forgotten: who is in flight must be put again.
func (r *recent) put(fp uint64, v ref, at journal.LSN) (turned bool) {
	if fp == 0 {
		return false
	}
	k := r.young.slot(fp)
	if k.fp == 0 {
		if uint64(r.young.n) > r.young.mask/2 {
			r.young, r.old = r.old, r.young
			clear(r.young.tab)
			r.young.n = 0
			r.oldFrom, r.from = r.from, at
			k = r.young.slot(fp)
			turned = true
		}
		r.young.n++
	}
	*k = known{fp, v}
	return turned
}

// drop forgets a request that came to nothing. The pair stays, so that probing
// over it still works, as one that was never answered.
func (r *recent) drop(fp uint64) {
	if k := r.young.slot(fp); k.fp == fp && fp != 0 {
		k.ref = 0
	}
}
