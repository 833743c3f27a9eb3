// Package router picks the bank link of a transaction: an immutable table and a
// pure function on it. A new table replaces the old one whole.
//
// A rule names what it takes (cards, kinds, merchants, …) and where that goes.
// Of the rules that take a transaction the one whose card range is narrowest
// wins, and among equals the one that stands first:
//
//	first ten digits ─▶ segment of the card numbers ─▶ its rules, narrowest first ─▶ the first that fits
//	that rule's targets by weight, those that are ready ─▶ its fallbacks in their order ─▶ 91
package router

import "tongka/txn"

// Limits of a table. They bound the memory and the time of a compilation.
const (
	MaxRules   = 4096
	MaxRanges  = 1_000_000 // card ranges of all rules together, those of issuers included
	MaxTargets = 16        // of a rule
	maxNodes   = 8_000_000 // places of rules in the lists of all segments
)

// Rule sends transactions to links. A condition that is left empty is met by
// every transaction; one without a card meets no condition on cards.
type Rule struct {
	Name      string     // for people; may be empty
	Kinds     []txn.Kind // any of them
	BINs      []Range    // card number in any of them, or of any of Issuers
	Issuers   []string   // names of the BIN table
	Merchants []string   // numbers, or prefixes that end in *
	Groups    []uint16   // terminal groups of the registry
	// MinAmount and MaxAmount are fen, both belong to the range; MaxAmount 0 is no bound.
	MinAmount, MaxAmount int64
	Hours                []Window
	Days                 Days
	To                   []Target // at least one
	Fallback             []txn.LinkID
}

// Target is a link and its share of what a rule takes.
type Target struct {
	Link   txn.LinkID
	Weight uint32 // at least 1
}

// Reason says why Pick decided as it did.
type Reason uint8

// Reasons.
const (
	Picked Reason = iota
	NoRule        // no rule takes it: response code 92
	Down          // no link of the rule is up: response code 91
	Full          // some link of the rule is up and takes no more now
)

// Readiness says whether a link takes a request now.
type Readiness uint8

// Readinesses.
const (
	Ready Readiness = iota
	Busy            // up, but at its limit
	Away            // not up
)

// Health tells which links can take a request now.
type Health interface {
	Ready(txn.LinkID) Readiness
}

// Table is a compiled list of rules. It never changes, so any number of
// goroutines may read it.
type Table struct {
	rules    []rule
	coarse   []uint64 // every stride-th of segments: it stays in the cache
	segments []uint64 // where each begins, in the first ten digits; the first is 0
	heads    []int32  // the rules of each: a place in nodes
	nodes    []node
	base     int32 // the rules without a condition on cards
	calendar Calendar
	warnings []Warning
}

// node is one place of a rule in the list of a segment. Lists share their tails.
type node struct{ rule, next int32 }

// end is behind the last node of a list.
const end = int32(-1)

// Pick finds the link of a transaction of a terminal of group. With Down and
// Full it is the link that was wanted. A rule whose links are down does not give
// way to another rule: another bank could not answer for the card, unless the
// rule says so by its fallbacks.
func (t *Table) Pick(f *txn.Facts, group uint16, h Health) (txn.LinkID, Reason) {
	for n := t.head(f); n != end; n = t.nodes[n].next {
		r := &t.rules[t.nodes[n].rule]
		if r.misses(f, group, &t.calendar) == fits {
			return r.choose(f.ID, h)
		}
	}
	return 0, NoRule
}

// head gives the list of rules for a transaction's card.
func (t *Table) head(f *txn.Facts) int32 {
	if f.PAN.Len() == 0 {
		return t.base
	}
	return t.heads[t.segment(f.PAN.Prefix())]
}

// segment finds the last one that begins at or below prefix. There always is
// one: the first begins at 0.
func (t *Table) segment(prefix uint64) int {
	from := stride * last(t.coarse, prefix)
	return from + last(t.segments[from:min(from+stride, len(t.segments))], prefix)
}

// stride segments are a few cache lines that lie together.
const stride = 32

// last finds the last of sorted numbers that is not above x; the first is not.
func last(sorted []uint64, x uint64) (at int) {
	for n := len(sorted); n > 1; {
		half := n / 2
		if sorted[at+half] <= x {
			at += half
		}
		n -= half
	}
	return at
}

// choose picks among the targets by weight and the transaction's number, which
// is as good as chance and the same each time. When that one cannot take it, the
// others share its part by their weights; a neighbour that took it all would be
// the next to fall.
func (r *rule) choose(id txn.ID, h Health) (txn.LinkID, Reason) {
	x := mix(uint64(id))
	first := r.to[0].Link
	if len(r.to) > 1 {
		first = r.share(x%r.total, ^uint32(0))
	}
	ready := h.Ready(first)
	if ready == Ready {
		return first, Picked
	}
	var open uint32
	var total uint64
	for i, to := range r.to {
		switch h.Ready(to.Link) {
		case Ready:
			open |= 1 << i
			total += uint64(to.Weight)
		case Busy:
			ready = Busy
		}
	}
	if open != 0 {
		return r.share(mix(x)%total, open), Picked
	}
	for _, l := range r.fallback {
		switch h.Ready(l) {
		case Ready:
			return l, Picked
		case Busy:
			ready = Busy
		}
	}
	if ready == Busy {
		return first, Full
	}
	return first, Down
}

// share gives the target of the open ones in whose part of their total x falls.
func (r *rule) share(x uint64, open uint32) txn.LinkID {
	for i, to := range r.to {
		if open>>i&1 == 0 {
			continue
		}
		if x < uint64(to.Weight) {
			return to.Link
		}
		x -= uint64(to.Weight)
	}
	panic("router: a share beyond the total")
}

// mix spreads numbers that follow each other (SplitMix64, Steele, Lea and Flood
// 2014).
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
