package router

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"tongka/txn"
)

// Source is what a table is compiled from.
type Source struct {
	Rules    []Rule
	BINs     *BINs // nil: no issuer is known
	Calendar Calendar
	Links    []string   // names by txn.LinkID; nil: rules may name any number
	Kinds    []txn.Kind // that are routed: cards that no rule takes for one of them are warned of
}

// Compile checks the rules and makes a table of them. The error names every
// fault, each with the position of its rule, counted from 1.
func Compile(src Source) (*Table, error) {
	if len(src.Rules) > MaxRules {
		return nil, fmt.Errorf("%d 条路由，至多 %d 条 · %d routes, at most %d", len(src.Rules), MaxRules, len(src.Rules), MaxRules)
	}
	t := &Table{calendar: src.Calendar.sorted()}
	var faults []error
	var places []place
	var base []int32
	for i := range src.Rules {
		in := &src.Rules[i]
		bad := func(zh, en string, a ...any) {
			at := fmt.Sprintf("routes[%d]", i)
			if in.Name != "" {
				at += " " + in.Name
			}
			faults = append(faults, fmt.Errorf("%s: "+zh+" · "+en, append(append([]any{at}, a...), a...)...))
		}
		t.rules = append(t.rules, in.compile(src.Links, bad))
		if r := &t.rules[i]; !r.cards {
			base = append(base, int32(i))
		}
		places = in.places(places, int32(i), src.BINs, bad)
	}
	if len(places) > MaxRanges {
		faults = append(faults, fmt.Errorf("%d 个卡号段，至多 %d 个 · %d card ranges, at most %d", len(places), MaxRanges, len(places), MaxRanges))
	}
	if faults != nil {
		return nil, errors.Join(faults...)
	}
	cut, err := sweep(places, base)
	if err != nil {
		return nil, err
	}
	t.segments, t.heads, t.nodes, t.base = slices.Clip(cut.starts), slices.Clip(cut.heads), slices.Clip(cut.nodes), cut.base
	for i := 0; i < len(t.segments); i += stride {
		t.coarse = append(t.coarse, t.segments[i])
	}
	t.warnings = t.lint(cut, &src)
	return t, nil
}

// compile makes a rule ready, cards aside.
func (in *Rule) compile(links []string, bad func(zh, en string, a ...any)) rule {
	r := rule{name: in.Name, min: in.MinAmount, max: in.MaxAmount, days: in.Days, hours: in.Hours,
		cards: len(in.BINs)+len(in.Issuers) > 0, fallback: in.Fallback, to: in.To, groups: slices.Clone(in.Groups)}
	if len(in.Kinds) == 0 {
		r.kinds = math.MaxUint64
	}
	for _, k := range in.Kinds {
		r.kinds |= 1 << k
	}
	slices.Sort(r.groups)
	if r.max == 0 {
		r.max = math.MaxInt64
	}
	if r.min < 0 || r.max < r.min {
		bad("金额下限 %d 大于上限 %d", "amount: %d is above %d", r.min, r.max)
	}
	for _, m := range in.Merchants {
		span, err := merchant(m)
		if err != nil {
			bad("%v", "%v", err)
		}
		r.merchants = append(r.merchants, span)
	}
	r.merchants = join(r.merchants)
	r.total = in.targets(links, bad)
	return r
}

// targets checks where a rule leads to and gives the sum of the weights.
func (in *Rule) targets(links []string, bad func(zh, en string, a ...any)) (total uint64) {
	if len(in.To) == 0 || len(in.To)+len(in.Fallback) > MaxTargets {
		bad("有 %d 条线路，须为 1 至 %d 条", "%d links, wanted 1 to %d", len(in.To)+len(in.Fallback), MaxTargets)
	}
	seen := map[txn.LinkID]bool{}
	once := func(l txn.LinkID) {
		if links != nil && int(l) >= len(links) {
			bad("没有第 %d 条线路", "there is no link %d", l)
		}
		if seen[l] {
			bad("线路 %s 出现两次", "link %s stands twice", linkName(links, l))
		}
		seen[l] = true
	}
	for _, to := range in.To {
		once(to.Link)
		if to.Weight == 0 {
			bad("线路 %s 的权重须至少为 1", "the weight of link %s must be at least 1", linkName(links, to.Link))
		}
		total += uint64(to.Weight)
	}
	for _, l := range in.Fallback {
		once(l)
	}
	return total
}

// places appends the card ranges of rule number value.
func (in *Rule) places(dst []place, value int32, bins *BINs, bad func(zh, en string, a ...any)) []place {
	for _, r := range in.BINs {
		if r.Lo > r.Hi || r.Hi > maxPrefix {
			bad("卡号段 %v 无效", "card range %v is not valid", r)
			continue
		}
		dst = append(dst, place{r, r.width(), value})
	}
	for _, name := range in.Issuers {
		parts, ok := bins.of(name)
		if !ok {
			bad("卡 BIN 表中没有发卡方 %q", "issuer %q is not in the BIN table", name)
		}
		for _, p := range parts {
			p.value = value
			dst = append(dst, p)
		}
	}
	return dst
}

const maxPrefix = 9_999_999_999

func linkName(links []string, l txn.LinkID) string {
	if int(l) < len(links) {
		return links[l]
	}
	return fmt.Sprint(l)
}
