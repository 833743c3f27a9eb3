package router

import (
	"bytes"
	"cmp"
	"slices"

	"tongka/txn"
)

// rule is a Rule made ready for Pick.
type rule struct {
	kinds     uint64 // a bit for each txn.Kind
	min, max  int64
	days      Days
	cards     bool // has a condition on cards
	groups    []uint16
	merchants []span15
	hours     []Window
	to        []Target
	total     uint64 // of the weights
	fallback  []txn.LinkID
	name      string
}

// span15 is a range of merchant numbers as they travel; both ends belong to it.
type span15 struct{ lo, hi [15]byte }

// Verdict says why a rule was or was not the one.
type Verdict uint8

// Verdicts of a rule on one transaction, in the order in which they are looked
// at.
const (
	fits       Verdict = iota
	Chosen             // this one
	OtherCard          // the card, or the lack of one
	OtherKind          // kind of transaction
	OtherGroup         // terminal group
	OtherAmount
	OtherMerchant
	OtherTime // time of day
	OtherDay
	Later // takes it too, but has a wider card range or stands behind
)

// misses gives the first condition of r that a transaction does not meet; cards
// are not looked at, they found the rule.
func (r *rule) misses(f *txn.Facts, group uint16, c *Calendar) Verdict {
	switch {
	case r.kinds>>f.Kind&1 == 0:
		return OtherKind
	case len(r.groups) > 0 && !holds(r.groups, group):
		return OtherGroup
	case f.Amount < r.min || f.Amount > r.max:
		return OtherAmount
	case len(r.merchants) > 0 && !within(r.merchants, &f.Terminal.Merchant):
		return OtherMerchant
	}
	if len(r.hours) == 0 && r.days == 0 {
		return fits
	}
	day, minute := localTime(f.At)
	if len(r.hours) > 0 && !open(r.hours, minute) {
		return OtherTime
	}
	if r.days != 0 && r.days&c.day(day) == 0 {
		return OtherDay
	}
	return fits
}

func holds(sorted []uint16, g uint16) bool {
	_, ok := slices.BinarySearch(sorted, g)
	return ok
}

// within looks for m among ranges that are sorted and do not touch.
func within(ranges []span15, m *[15]byte) bool { return around(ranges, m) != nil }

// around gives the range that m lies in.
func around(ranges []span15, m *[15]byte) *span15 {
	lo, hi := 0, len(ranges)
	for lo < hi {
		if mid := (lo + hi) / 2; bytes.Compare(ranges[mid].hi[:], m[:]) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(ranges) && bytes.Compare(ranges[lo].lo[:], m[:]) <= 0 {
		return &ranges[lo]
	}
	return nil
}

// join sorts ranges and makes one of those that overlap.
func join(ranges []span15) []span15 {
	slices.SortFunc(ranges, func(a, b span15) int { return cmp.Or(bytes.Compare(a.lo[:], b.lo[:]), bytes.Compare(a.hi[:], b.hi[:])) })
	var out []span15
	for _, r := range ranges {
		if n := len(out); n > 0 && bytes.Compare(r.lo[:], out[n-1].hi[:]) <= 0 {
			if bytes.Compare(r.hi[:], out[n-1].hi[:]) > 0 {
				out[n-1].hi = r.hi
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// covers says that r takes everything that o takes, cards aside.
func (r *rule) covers(o *rule) bool {
	return o.kinds&^r.kinds == 0 && r.min <= o.min && r.max >= o.max &&
		subset(r.groups, o.groups, func(g uint16) bool { return holds(r.groups, g) }) &&
		subset(r.merchants, o.merchants, func(m span15) bool {
			in := around(r.merchants, &m.lo)
			return in != nil && bytes.Compare(in.hi[:], m.hi[:]) >= 0
		}) &&
		subset(r.hours, o.hours, func(w Window) bool { return slices.ContainsFunc(r.hours, w.in) }) &&
		(r.days == 0 || o.days != 0 && o.days&^r.days == 0)
}

// subset says that a condition with the values all takes what one with the
// values some takes: an empty one takes everything.
func subset[T any](all, some []T, has func(T) bool) bool {
	return len(all) == 0 || len(some) > 0 && !slices.ContainsFunc(some, func(x T) bool { return !has(x) })
}

// meets says that some transaction is taken by both, cards aside. Times and days
// are taken to meet: whether they do depends on a calendar.
func (r *rule) meets(o *rule) bool {
	if r.kinds&o.kinds == 0 || r.min > o.max || o.min > r.max {
		return false
	}
	if len(r.groups) > 0 && len(o.groups) > 0 && !slices.ContainsFunc(o.groups, func(g uint16) bool { return holds(r.groups, g) }) {
		return false
	}
	if len(r.merchants) == 0 || len(o.merchants) == 0 {
		return true
	}
	for i, j := 0, 0; i < len(r.merchants) && j < len(o.merchants); {
		a, b := &r.merchants[i], &o.merchants[j]
		switch {
		case bytes.Compare(a.hi[:], b.lo[:]) < 0:
			i++
		case bytes.Compare(b.hi[:], a.lo[:]) < 0:
			j++
		default:
			return true
		}
	}
	return false
}

// sameWay says that it makes no difference which of the two is taken.
func (r *rule) sameWay(o *rule) bool {
	return slices.Equal(r.to, o.to) && slices.Equal(r.fallback, o.fallback)
}
