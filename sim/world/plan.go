package world

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

const (
	tills    = 12
	banks    = 2
	spacing  = int64(30 * time.Millisecond) // between the beginnings of two operations, on average
	settling = int64(40 * time.Minute)      // how long everything may take to come to its end
)

// kind is what a terminal does.
type kind uint8

const (
	sale kind = iota
	balance
	void
	refund
	load // of an e-purse card
)

var kindNames = [...]string{"sale", "balance", "void", "refund", "load"}

// stimulus is one thing that is done to the switch from outside. A history is a
// list of these; leaving one out changes no other.
type stimulus struct {
	at    int64
	id    uint64
	fault fault // none: an operation of a terminal
	kind  kind
	till  int
	of    uint64 // a void's or refund's original: an earlier operation of the terminal
	span  int64  // of a spell
	which int    // of a spell: the bank, or behind the banks the security module; of a load: the card
	phase phase
}

type fault uint8

const (
	none    fault = iota
	crash         // the process dies and starts again
	cut           // a connection breaks
	spell         // a bank falls silent, deaf or slow for a while
	ghost         // a copy of an old request comes once more
	forgery       // somebody who has no key changes a request
	grey          // a connection lets nothing through one way for a while
	stall         // the disk takes its time
)

// phase is where in a turn the process dies.
type phase uint8

const (
	beforeCommit phase = iota
	inDoubt            // handed to the disk, not known to be there
	synced             // on disk, and nothing has left
	halfSent           // some of the effects have left
	phases
)

var phaseNames = [...]string{"before the commit", "during the sync", "after the sync", "half way through the sending"}

func (s *stimulus) String() string {
	at := time.Duration(s.at)
	switch s.fault {
	case crash:
		return fmt.Sprintf("%v crash %d %s", at, s.id, phaseNames[s.phase])
	case cut:
		return fmt.Sprintf("%v cut %d", at, s.id)
	case ghost:
		return fmt.Sprintf("%v till %d: an old request comes again", at, s.till)
	case forgery:
		return fmt.Sprintf("%v till %d: a forged request", at, s.till)
	case grey:
		return fmt.Sprintf("%v connection %d is slow one way for %v", at, s.id, time.Duration(s.span))
	case stall:
		return fmt.Sprintf("%v the disk stalls for %v", at, time.Duration(s.span))
	case spell:
		return fmt.Sprintf("%v bank or module %d is %s for %v", at, s.which, moodNames[mood(s.id%uint64(moods-1)+1)], time.Duration(s.span))
	}
	if s.of != 0 {
		return fmt.Sprintf("%v till %d: %s %d of %d", at, s.till, kindNames[s.kind], s.id, s.of)
	}
	return fmt.Sprintf("%v till %d: %s %d", at, s.till, kindNames[s.kind], s.id)
}

// plan makes the whole history of a seed.
func plan(o *Options) []stimulus {
	var all []stimulus
	last := map[int]uint64{} // each terminal's newest sale
	for i := range uint64(o.Transactions) {
		id := i + 1
		s := stimulus{id: id, till: int(fate(o.Seed, aboutOp, id) % tills),
			at: int64(i)*spacing + int64(fate(o.Seed, aboutThink, id)%uint64(spacing))}
		switch dice := fate(o.Seed, aboutKind, id) % 20; {
		case o.OnlyLoads:
			s.kind, s.which = load, int(i)
		case fate(o.Seed, aboutPurse, id)%8 == 0:
			s.kind, s.which = load, int(fate(o.Seed, aboutPurse, id, 4)>>1)
		case dice < 14 || last[s.till] == 0:
			last[s.till] = id
		case dice < 16:
			s.kind = balance
		case dice < 18:
			s.kind, s.of = void, last[s.till]
		default:
			s.kind, s.of = refund, last[s.till]
		}
		all = append(all, s)
	}
	long := int64(o.Transactions) * spacing
	players := uint64(banks + len(shapeOf(o.Seed).boxes))
	longest := 20 * time.Second
	add := func(about uint64, f fault, every int64) {
		for i := range uint64(long/every + 1) {
			id := 1_000_000_000*about + i
			all = append(all, stimulus{id: id, fault: f, till: int(fate(o.Seed, aboutOp, id) % tills), at: int64(i)*every + int64(fate(o.Seed, about, i)%uint64(every)),
				which: int(fate(o.Seed, aboutBankMood, id) % players), phase: phase(fate(o.Seed, aboutPhase, id) % uint64(phases)),
				span: int64(time.Second) + int64(fate(o.Seed, aboutSpell, id)%uint64(longest))})
		}
	}
	add(aboutCrash, crash, int64(13*time.Second))
	add(aboutCut, cut, int64(1500*time.Millisecond))
	add(aboutSpell, spell, int64(10*time.Second))
	add(aboutGhost, ghost, int64(200*time.Millisecond))
	add(aboutForgery, forgery, int64(2*time.Second))
	add(aboutStall, stall, int64(6*time.Second))
	longest = time.Minute // longer than anybody waits
	add(aboutGrey, grey, int64(2*time.Second))
	slices.SortStableFunc(all, func(a, b stimulus) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id)) })
	return all
}
