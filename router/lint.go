package router

import (
	"fmt"
	"slices"
	"strings"

	"tongka/txn"
)

// Warning is something in a table that works and may not be meant.
type Warning struct {
	Rule    int    // the rule that it is about, from 0; -1 for the table as a whole
	Message string // Chinese and English
}

// Warnings says what may not be meant: rules that nothing reaches, rules between
// which only their order decides, and cards that no rule takes.
func (t *Table) Warnings() []Warning { return t.warnings }

// lintSteps bounds how many neighbours in lists are looked at. Tables that need
// more are told so.
const lintSteps = 20_000_000

// linter goes through the lists of all segments once.
type linter struct {
	t     *Table
	cut   *swept
	alive []bool // some segment has the rule where no earlier one covers it
	pairs []pair
	known map[[2]int32]bool
	steps int
	list  []int32 // nodes of the list that is being looked at
}

// pair is two rules between which only their order decides, and where.
type pair struct {
	first, second int32
	at            string
}

func (t *Table) lint(cut *swept, src *Source) (ws []Warning) {
	l := linter{t: t, cut: cut, alive: make([]bool, len(t.rules)), known: map[[2]int32]bool{}}
	l.segment(t.base, end, "*")
	for i, head := range t.heads {
		l.segment(head, t.base, Range{cut.starts[i], cut.last(i)}.String())
	}
	if l.steps > lintSteps {
		return []Warning{{-1, "路由过密，未检查重叠 · the routes are too dense: overlaps were not looked for"}}
	}
	for i, alive := range l.alive {
		if !alive {
			ws = append(ws, Warning{i, "永不命中，其交易都被更优先的路由取走 · never reached: routes with precedence take all that it takes"})
		}
	}
	for _, p := range l.pairs {
		if l.alive[p.second] {
			ws = append(ws, Warning{int(p.second), fmt.Sprintf("与 %s 同样优先且有重叠（卡号 %s），以先者为准 · has the precedence of %s and overlaps it (cards %s): the one that stands first counts",
				t.named(p.first), p.at, t.named(p.first), p.at)})
		}
	}
	ws = append(ws, t.idle(src.Links)...)
	return append(ws, l.gaps(src.Kinds)...)
}

// named gives a rule as the config's paths do, with its name.
func (t *Table) named(i int32) string {
	return strings.TrimSuffix(fmt.Sprintf("routes[%d] %s", i, t.rules[i].name), " ")
}

// segment looks at one list up to stop: the base is looked at once for all.
func (l *linter) segment(head, stop int32, cards string) {
	l.list = l.list[:0]
	for n := head; n != stop && n != end && l.steps <= lintSteps; n = l.t.nodes[n].next {
		if i := l.t.nodes[n].rule; !l.covered(n, cards) {
			l.alive[i] = true
		}
		l.list = append(l.list, n)
	}
}

// covered says that rules before n take all that its rule takes, and notes those
// that take some of it with the same precedence.
func (l *linter) covered(n int32, cards string) bool {
	i := l.t.nodes[n].rule
	r := &l.t.rules[i]
	for _, m := range l.list {
		j := l.t.nodes[m].rule
		o := &l.t.rules[j]
		l.steps++
		covers := i == j || o.covers(r)
		// A special case before the general one is what the order is for.
		special := r.covers(o) && !covers
		if key := [2]int32{j, i}; l.width(m) == l.width(n) && !special && r.meets(o) && !r.sameWay(o) && !l.known[key] {
			l.known[key] = true
			l.pairs = append(l.pairs, pair{j, i, cards})
		}
		if covers {
			return true
		}
	}
	return false
}

// width gives how wide the card range of a node is; all of the base are equal.
func (l *linter) width(n int32) uint64 {
	if p := l.cut.of[n]; p >= 0 {
		return l.cut.places[p].width
	}
	return maxPrefix + 1
}

// idle warns of links that no rule leads to.
func (t *Table) idle(links []string) (ws []Warning) {
	for id, name := range links {
		used := slices.ContainsFunc(t.rules, func(r rule) bool {
			return slices.Contains(r.fallback, txn.LinkID(id)) || slices.ContainsFunc(r.to, func(to Target) bool { return to.Link == txn.LinkID(id) })
		})
		if !used {
			ws = append(ws, Warning{-1, fmt.Sprintf("没有路由通往线路 %s · no route leads to link %s", name, name)})
		}
	}
	return ws
}

// shownGaps is how many card ranges a warning names.
const shownGaps = 3

// gaps warns of cards that no rule takes, whatever else it asks for. Kinds with
// the same gaps share a warning.
func (l *linter) gaps(kinds []txn.Kind) (ws []Warning) {
	var found, whose []string
	for _, k := range kinds {
		gap := l.gap(k)
		if gap == "" {
			continue
		}
		if i := slices.Index(found, gap); i >= 0 {
			whose[i] += ", " + k.String()
			continue
		}
		found, whose = append(found, gap), append(whose, k.String())
	}
	for i, gap := range found {
		ws = append(ws, Warning{-1, fmt.Sprintf("%s：%s 无路由，应答 92 · no route, answered 92", whose[i], gap)})
	}
	return ws
}

// gap names the cards that no rule takes for a kind; empty when there are none.
func (l *linter) gap(k txn.Kind) string {
	takes := func(n int32) bool {
		for ; n != end; n = l.t.nodes[n].next {
			if l.t.rules[l.t.nodes[n].rule].kinds>>k&1 != 0 {
				return true
			}
		}
		return false
	}
	if takes(l.t.base) {
		return ""
	}
	var gaps []Range
	for i, head := range l.t.heads {
		r := Range{l.cut.starts[i], l.cut.last(i)}
		switch n := len(gaps); {
		case takes(head):
		case n > 0 && gaps[n-1].Hi+1 == r.Lo:
			gaps[n-1].Hi = r.Hi
		default:
			gaps = append(gaps, r)
		}
	}
	if len(gaps) == 1 && gaps[0].width() == maxPrefix {
		return "任何卡 · any card"
	}
	var names []string
	for _, g := range gaps[:min(len(gaps), shownGaps)] {
		names = append(names, g.String())
	}
	text := strings.Join(append(names, "无卡 no card"), ", ")
	if more := len(gaps) - shownGaps; more > 0 {
		text += fmt.Sprintf("（另 %d 段 · %d more）", more, more)
	}
	return text
}
