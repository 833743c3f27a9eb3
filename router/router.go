// Package router picks the bank link of a transaction: an immutable table and a
// pure function on it. A new table replaces the old one whole.
package router

import (
	"cmp"
	"fmt"
	"slices"

	"tongka/txn"
)

// MaxBIN is the longest prefix of a card number that a rule can name, in digits.
const MaxBIN = 10

// Rule sends transactions to a link. Kinds empty means every kind; BIN empty
// means every card, and requests without a card. The longest BIN wins; among
// equals the rule that stands first.
type Rule struct {
	Kinds []txn.Kind
	BIN   string // 1 to 10 digits
	Link  txn.LinkID
}

// Reason says why Pick decided as it did.
type Reason uint8

// Reasons.
const (
	Picked Reason = iota
	NoRule        // no rule matches: response code 92
	Down          // the link of the rule is not up: response code 91
)

// Health tells which links can take a request now.
type Health interface {
	Up(txn.LinkID) bool
}

type entry struct {
	bin   uint64
	order int
	kinds uint64 // a bit for each txn.Kind
	link  txn.LinkID
}

// Table is a compiled list of rules. It never changes, so any number of
// goroutines may read it.
type Table struct {
	byLen [MaxBIN + 1][]entry // index: digits of the BIN; sorted by bin, order
}

// Compile checks the rules and sorts them for look-up. The error names the rule
// by its position, counted from 1.
func Compile(rules []Rule) (*Table, error) {
	t := new(Table)
	for i, r := range rules {
		e := entry{order: i, link: r.Link}
		if len(r.BIN) > MaxBIN {
			return nil, fmt.Errorf("rule %d: BIN %q has more than %d digits", i+1, r.BIN, MaxBIN)
		}
		for _, c := range []byte(r.BIN) {
			if c < '0' || c > '9' {
				return nil, fmt.Errorf("rule %d: BIN %q holds %q, expected digits", i+1, r.BIN, c)
			}
			e.bin = e.bin*10 + uint64(c-'0')
		}
		for _, k := range r.Kinds {
			e.kinds |= 1 << k
		}
		if len(r.Kinds) == 0 {
			e.kinds = ^uint64(0)
		}
		t.byLen[len(r.BIN)] = append(t.byLen[len(r.BIN)], e)
	}
	for _, list := range t.byLen {
		slices.SortFunc(list, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.bin, b.bin), cmp.Compare(a.order, b.order))
		})
	}
	return t, nil
}

// Pick finds the link of a transaction. A rule whose link is down does not fall
// through to a shorter BIN: another bank could not answer for the card.
func (t *Table) Pick(f *txn.Facts, h Health) (txn.LinkID, Reason) {
	prefix, digits := f.PAN.Prefix(), MaxBIN
	if f.PAN.Len() == 0 {
		digits = 0
	}
	for n := MaxBIN; n >= 0; n-- {
		if n <= digits {
			if e := find(t.byLen[n], prefix, f.Kind); e != nil {
				if !h.Up(e.link) {
					return e.link, Down
				}
				return e.link, Picked
			}
		}
		prefix /= 10
	}
	return 0, NoRule
}

// find gives the first entry of this BIN that takes the kind.
func find(list []entry, bin uint64, k txn.Kind) *entry {
	lo, hi := 0, len(list)
	for lo < hi {
		if mid := (lo + hi) / 2; list[mid].bin < bin {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for ; lo < len(list) && list[lo].bin == bin; lo++ {
		if list[lo].kinds&(1<<k) != 0 {
			return &list[lo]
		}
	}
	return nil
}
