package router

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tongka/txn"
)

// health is what links can do; those that are not in it are ready.
type health map[txn.LinkID]Readiness

func (h health) Ready(l txn.LinkID) Readiness { return h[l] }

func facts(t testing.TB, kind txn.Kind, pan string) *txn.Facts {
	t.Helper()
	f := &txn.Facts{ID: 1, Kind: kind, Amount: 100, At: at("2026-11-20 12:00")}
	copy(f.Terminal.Merchant[:], "898310048160001")
	if pan != "" {
		p, err := txn.ParsePAN([]byte(pan))
		if err != nil {
			t.Fatal(err)
		}
		f.PAN = p
	}
	return f
}

func at(s string) int64 {
	t, err := time.ParseInLocation("2006-01-02 15:04", s, time.FixedZone("CST", zone))
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}

func bins(t testing.TB, list ...string) (ranges []Range) {
	t.Helper()
	for _, s := range list {
		r, err := ParseRange(s)
		if err != nil {
			t.Fatal(err)
		}
		ranges = append(ranges, r)
	}
	return ranges
}

func to(links ...txn.LinkID) (targets []Target) {
	for _, l := range links {
		targets = append(targets, Target{l, 1})
	}
	return targets
}

func compile(t testing.TB, src Source) *Table {
	t.Helper()
	table, err := Compile(src)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func rules(list ...Rule) Source { return Source{Rules: list} }

func TestNarrowestCardRangeWins(t *testing.T) {
	table := compile(t, rules(
		Rule{BINs: bins(t, "62"), To: to(1)},
		Rule{BINs: bins(t, "622588"), To: to(2)},
		Rule{BINs: bins(t, "6225880001"), To: to(3)},
		Rule{BINs: bins(t, "622588"), To: to(9), Kinds: []txn.Kind{txn.Balance}},
		Rule{Kinds: []txn.Kind{txn.Sale}, To: to(4)},
		Rule{BINs: bins(t, "622500-622599"), To: to(5)},
		Rule{BINs: bins(t, "622590-622609"), To: to(6)}, // lies across the one before, and is narrower
		Rule{BINs: bins(t, "0", "9999999999"), To: to(7)},
	))
	for _, c := range []struct {
		kind txn.Kind
		pan  string
		link txn.LinkID
		why  Reason
	}{
		{txn.Sale, "6200000000000005", 1, Picked},
		{txn.Sale, "6225000000000005", 5, Picked},
		{txn.Sale, "6225879999999999", 5, Picked},
		{txn.Sale, "6225880100000005", 2, Picked},
		{txn.Sale, "6225880001000005", 3, Picked},
		{txn.Sale, "6225880002000005", 2, Picked},
		{txn.Sale, "6225899999999999", 5, Picked},
		{txn.Sale, "6225900000000000", 6, Picked},
		{txn.Sale, "6226099999999999", 6, Picked},
		{txn.Sale, "6226100000000000", 1, Picked},
		{txn.Balance, "6225880002000005", 2, Picked}, // equal ranges: the first stands
		{txn.Sale, "4000000000000002", 4, Picked},
		{txn.Balance, "4000000000000002", 0, NoRule},
		{txn.Sale, "", 4, Picked},
		{txn.Balance, "", 0, NoRule},
		{txn.Balance, "000000000000", 7, Picked},
		{txn.Balance, "9999999999999999999", 7, Picked},
		{txn.Balance, "9999999998999999999", 0, NoRule},
	} {
		link, why := table.Pick(facts(t, c.kind, c.pan), 0, health{})
		if link != c.link || why != c.why {
			t.Errorf("%v %s: link %d, reason %d, want %d, %d", c.kind, c.pan, link, why, c.link, c.why)
		}
	}
}

func TestConditions(t *testing.T) {
	table := compile(t, Source{
		Rules: []Rule{
			{Merchants: []string{"898310048160002", "1234*", "M1"}, To: to(1)},
			{Groups: []uint16{9, 7}, To: to(2)},
			{MinAmount: 500_000, To: to(3)},
			{MinAmount: 200, MaxAmount: 299, To: to(4)},
			{Hours: []Window{{22 * 60, 2 * 60}}, To: to(5)},
			{Days: Holiday, To: to(6)},
			{Days: 1 << 1, To: to(7)}, // Monday
			{To: to(8)},
		},
		Calendar: Calendar{Holidays: []int32{day("2026-11-18"), day("2026-10-01")}, Workdays: []int32{day("2026-11-22")}},
	})
	for _, c := range []struct {
		what string
		edit func(f *txn.Facts, group *uint16)
		link txn.LinkID
	}{
		{"nothing special, a Friday", func(*txn.Facts, *uint16) {}, 8},
		{"merchant", func(f *txn.Facts, _ *uint16) { copy(f.Terminal.Merchant[:], "898310048160002") }, 1},
		{"merchant by prefix", func(f *txn.Facts, _ *uint16) { copy(f.Terminal.Merchant[:], "12349999") }, 1},
		{"short merchant", func(f *txn.Facts, _ *uint16) { copy(f.Terminal.Merchant[:], "M1             ") }, 1},
		{"one that begins alike", func(f *txn.Facts, _ *uint16) { copy(f.Terminal.Merchant[:], "M10            ") }, 8},
		{"group", func(_ *txn.Facts, g *uint16) { *g = 7 }, 2},
		{"other group", func(_ *txn.Facts, g *uint16) { *g = 8 }, 8},
		{"large", func(f *txn.Facts, _ *uint16) { f.Amount = 500_000 }, 3},
		{"not quite large", func(f *txn.Facts, _ *uint16) { f.Amount = 499_999 }, 8},
		{"in a range, its end", func(f *txn.Facts, _ *uint16) { f.Amount = 299 }, 4},
		{"night", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-20 22:00") }, 5},
		{"after midnight", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-20 01:59") }, 5},
		{"morning", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-20 02:00") }, 8},
		{"Saturday", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-21 12:00") }, 6},
		{"a Sunday that is worked", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-22 12:00") }, 8},
		{"a Wednesday off", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-18 12:00") }, 6},
		{"Monday", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-23 12:00") }, 7},
		{"Monday, just after midnight in China", func(f *txn.Facts, _ *uint16) { f.At = at("2026-11-23 03:00") }, 7},
	} {
		f, group := facts(t, txn.Sale, "6225880000000003"), uint16(0)
		c.edit(f, &group)
		if link, why := table.Pick(f, group, health{}); link != c.link || why != Picked {
			t.Errorf("%s: link %d (%d), want %d", c.what, link, why, c.link)
		}
	}
}

func day(s string) int32 {
	d, _ := localTime(at(s + " 00:00"))
	return d
}

func TestWeightsAreKept(t *testing.T) {
	table := compile(t, rules(Rule{To: []Target{{1, 70}, {2, 20}, {3, 10}}, Fallback: []txn.LinkID{4, 5}}))
	const n = 100_000
	share := func(h health) (got [6]int) {
		f := facts(t, txn.Sale, "")
		for i := range n {
			f.ID = txn.ID(i + 1)
			link, why := table.Pick(f, 0, h)
			again, _ := table.Pick(f, 0, h)
			if why != Picked || link != again {
				t.Fatalf("%d: %d, %d, reason %d", f.ID, link, again, why)
			}
			got[link]++
		}
		return got
	}
	for _, c := range []struct {
		h    health
		want [6]int // percent
	}{
		{health{}, [6]int{0, 70, 20, 10, 0, 0}},
		{health{1: Away}, [6]int{0, 0, 67, 33, 0, 0}}, // not all to the neighbour
		{health{1: Busy, 2: Away}, [6]int{0, 0, 0, 100, 0, 0}},
		{health{1: Away, 2: Busy, 3: Away}, [6]int{0, 0, 0, 0, 100, 0}},
		{health{1: Away, 2: Busy, 3: Away, 4: Away}, [6]int{0, 0, 0, 0, 0, 100}},
	} {
		got := share(c.h)
		for l, want := range c.want {
			if d := got[l]*100/n - want; d < -1 || d > 1 {
				t.Errorf("%v: link %d has %d%%, want %d%%", c.h, l, got[l]*100/n, want)
			}
		}
	}
}

func TestNothingReady(t *testing.T) {
	table := compile(t, rules(Rule{BINs: bins(t, "62"), To: to(1), Fallback: []txn.LinkID{2}}, Rule{To: to(3)}))
	f := facts(t, txn.Sale, "6225880000000003")
	for _, c := range []struct {
		h    health
		link txn.LinkID
		why  Reason
	}{
		{health{}, 1, Picked},
		{health{1: Away}, 2, Picked},
		{health{1: Away, 2: Away}, 1, Down}, // link 3 is another bank's
		{health{1: Busy, 2: Away}, 1, Full},
		{health{1: Away, 2: Busy}, 1, Full},
	} {
		if link, why := table.Pick(f, 0, c.h); link != c.link || why != c.why {
			t.Errorf("%v: link %d, reason %d, want %d, %d", c.h, link, why, c.link, c.why)
		}
	}
}

// The table must decide as the plainest possible reading of its rules does.
func TestPickAgreesWithAModel(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for round := range 300 {
		var src Source
		for i := range 1 + r.IntN(20) {
			rule := Rule{To: to(txn.LinkID(i))}
			for range r.IntN(5) {
				n := 1 + r.IntN(4)
				lo := r.IntN(int(pow10(n)))
				hi := min(lo+r.IntN(int(pow10(n))/4+1), int(pow10(n))-1)
				rule.BINs = append(rule.BINs, bins(t, fmt.Sprintf("%0*d-%0*d", n, lo, n, hi))...)
			}
			if r.IntN(3) == 0 {
				rule.Kinds = []txn.Kind{txn.Sale}
			}
			if r.IntN(3) == 0 {
				rule.MinAmount = 50
			}
			src.Rules = append(src.Rules, rule)
		}
		table := compile(t, src)
		for range 200 {
			f := facts(t, []txn.Kind{txn.Sale, txn.Balance}[r.IntN(2)], fmt.Sprintf("%016d", r.Int64N(1e16)))
			f.Amount = int64(r.IntN(100))
			link, why := table.Pick(f, 0, health{})
			want, ok := model(&src, f)
			if ok != (why == Picked) || ok && link != want {
				t.Fatalf("round %d: %v amount %d: link %d (%d), the model has %d (%v)\n%+v", round, f.PAN, f.Amount, link, why, want, ok, src.Rules)
			}
			x := table.Explain(f, 0, health{})
			if x.Reason != why || x.Link != link || ok && x.Steps[x.Rule].Verdict != Chosen {
				t.Fatalf("round %d: the explanation says %+v", round, x)
			}
		}
	}
}

func pow10(n int) (p int64) {
	for p = 1; n > 0; n-- {
		p *= 10
	}
	return p
}

func model(src *Source, f *txn.Facts) (txn.LinkID, bool) {
	best, width := -1, uint64(0)
	for i, r := range src.Rules {
		w := uint64(maxPrefix + 1)
		if len(r.BINs) > 0 {
			w = 1 << 63
			for _, b := range r.BINs {
				if p := f.PAN.Prefix(); b.Lo <= p && p <= b.Hi {
					w = min(w, b.width())
				}
			}
			if w == 1<<63 {
				continue
			}
		}
		if len(r.Kinds) > 0 && !slices.Contains(r.Kinds, f.Kind) || f.Amount < r.MinAmount {
			continue
		}
		if best < 0 || w < width {
			best, width = i, w
		}
	}
	return txn.LinkID(max(best, 0)), best >= 0
}

func TestExplainSaysWhyEachRuleWasPassedOver(t *testing.T) {
	table := compile(t, rules(
		Rule{Name: "kind", Kinds: []txn.Kind{txn.Balance}, To: to(1)},
		Rule{Name: "card", BINs: bins(t, "63"), To: to(1)},
		Rule{Name: "group", Groups: []uint16{1}, To: to(1)},
		Rule{Name: "amount", MinAmount: 101, To: to(1)},
		Rule{Name: "merchant", Merchants: []string{"1*"}, To: to(1)},
		Rule{Name: "time", Hours: []Window{{0, 60}}, To: to(1)},
		Rule{Name: "day", Days: Holiday, To: to(1)},
		Rule{Name: "wide", To: to(1)},
		Rule{Name: "narrow", BINs: bins(t, "62"), To: to(2)},
	))
	x := table.Explain(facts(t, txn.Sale, "6225880000000003"), 0, health{})
	want := []Verdict{OtherKind, OtherCard, OtherGroup, OtherAmount, OtherMerchant, OtherTime, OtherDay, Later, Chosen}
	for i, s := range x.Steps {
		if s.Verdict != want[i] {
			t.Errorf("%s: verdict %d, want %d", s.Name, s.Verdict, want[i])
		}
	}
	if x.Rule != 8 || x.Link != 2 || x.Reason != Picked {
		t.Errorf("%+v", x)
	}
	if x := table.Explain(facts(t, txn.Balance, ""), 0, health{1: Away}); x.Rule != 0 || x.Reason != Down {
		t.Errorf("%+v", x)
	}
}

func TestCompileNamesEveryFault(t *testing.T) {
	_, err := Compile(Source{Links: []string{"a", "b"}, Rules: []Rule{
		{To: to(0)},
		{},
		{Name: "x", To: []Target{{1, 0}}},
		{To: to(1, 1)},
		{To: to(1), Fallback: []txn.LinkID{1, 2}},
		{To: to(0), MinAmount: 5, MaxAmount: 4},
		{To: to(0), Merchants: []string{"*"}},
		{To: to(0), Issuers: []string{"CMB"}},
		{To: to(0), BINs: []Range{{5, 4}, {0, 1 << 40}}},
		{To: make([]Target, MaxTargets+1)},
	}})
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{"routes[1]: 有 0 条线路", "routes[2] x: 线路 b 的权重", "routes[3]: 线路 b 出现两次", "routes[4]: 线路 b 出现两次",
		"routes[4]: 没有第 2 条线路", "routes[5]: 金额下限 5 大于上限 4", `routes[6]: 商户号 "*"`, `routes[7]: 卡 BIN 表中没有发卡方 "CMB"`,
		"routes[8]: 卡号段", "routes[9]: 有 17 条线路"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "routes[0]") {
		t.Errorf("a right rule is blamed:\n%v", err)
	}
	if _, err := Compile(Source{Rules: make([]Rule, MaxRules+1)}); err == nil {
		t.Error("too many rules")
	}
}

// Ranges that all lie across each other would need a list for each pair.
func TestTooDeepIsRefused(t *testing.T) {
	var ranges []Range
	for i := range uint64(20_000) {
		ranges = append(ranges, Range{i, 5_000_000_000 + 2*i})
	}
	if _, err := Compile(rules(Rule{BINs: ranges, To: to(1)})); err == nil {
		t.Fatal("it was compiled")
	}
}

func TestWarnings(t *testing.T) {
	links := []string{"a", "b", "c"}
	kinds := []txn.Kind{txn.Sale, txn.Balance}
	for _, c := range []struct {
		what  string
		rules []Rule
		want  []string
	}{
		{"all is well", []Rule{{BINs: bins(t, "62"), To: to(0)}, {To: to(1), Fallback: []txn.LinkID{2}}}, nil},
		{"the same twice", []Rule{{To: to(0, 1)}, {To: to(2)}}, []string{"1 永不命中"}},
		{"an exception behind its rule", []Rule{{BINs: bins(t, "62"), To: to(0)}, {BINs: bins(t, "62"), Kinds: []txn.Kind{txn.Sale}, To: to(1)}, {To: to(2)}},
			[]string{"1 永不命中"}},
		{"an exception before its rule", []Rule{{Merchants: []string{"8*"}, To: to(0)}, {To: to(1, 2)}}, nil},
		{"by a union, which is not seen", []Rule{{BINs: bins(t, "620-624"), To: to(0)}, {BINs: bins(t, "625-629"), To: to(1)}, {BINs: bins(t, "62"), To: to(0)}, {To: to(2)}},
			[]string{"2 永不命中"}},
		{"only the order decides", []Rule{{Merchants: []string{"8*"}, To: to(0)}, {MinAmount: 1000, To: to(1)}, {To: to(2)}},
			[]string{"1 与 routes[0] 同样优先"}},
		{"both ways are the same", []Rule{{Merchants: []string{"8*"}, To: to(0)}, {MinAmount: 1000, To: to(0)}, {To: to(1, 2)}}, nil},
		{"ranges of one width across each other", []Rule{{BINs: bins(t, "6200-6209"), To: to(0)}, {BINs: bins(t, "6205-6214"), To: to(1)}, {To: to(2)}},
			[]string{"1 与 routes[0] 同样优先且有重叠（卡号 6205-6209）"}},
		{"gaps", []Rule{{BINs: bins(t, "62", "4", "51-55"), To: to(0, 1)}, {Kinds: []txn.Kind{txn.Sale}, BINs: bins(t, "6"), To: to(2)}},
			[]string{"-1 sale：0-3, 50, 56-59（另 1 段", "-1 balance：0-3, 50, 56-61"}},
		{"a kind without any", []Rule{{Kinds: []txn.Kind{txn.Sale}, To: to(0, 1, 2)}}, []string{"-1 balance：任何卡"}},
		{"an idle link", []Rule{{To: to(0), Fallback: []txn.LinkID{2}}}, []string{"-1 没有路由通往线路 b"}},
	} {
		ws := compile(t, Source{Rules: c.rules, Links: links, Kinds: kinds}).Warnings()
		ok := len(ws) == len(c.want)
		for i := range min(len(ws), len(c.want)) {
			ok = ok && strings.HasPrefix(strings.ReplaceAll(fmt.Sprintf("%d %s", ws[i].Rule, ws[i].Message), ", 无卡 no card", ""), c.want[i])
		}
		if !ok {
			t.Errorf("%s: %v, want %v", c.what, ws, c.want)
		}
	}
}

// big is a table of n card ranges as issuers have them: most of 6 to 9 digits
// under 62, some within others.
func big(t testing.TB, n int) (*Table, []*txn.Facts) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]Rule, 64)
	for i := range list {
		list[i] = Rule{To: []Target{{txn.LinkID(i % 8), 70}, {txn.LinkID(8 + i%8), 30}}}
	}
	seen := map[Range]bool{}
	for len(seen) < n {
		digits := 6 + r.IntN(4)
		lo := 62*pow10(digits-2) + r.Int64N(pow10(digits-2))
		x := bins(t, fmt.Sprint(lo))[0]
		if !seen[x] {
			seen[x] = true
			to := &list[r.IntN(len(list))]
			to.BINs = append(to.BINs, x)
		}
	}
	var all []*txn.Facts
	for i := range 1 << 11 {
		f := facts(t, txn.Sale, fmt.Sprintf("62%014d", r.Int64N(1e14)))
		f.ID = txn.ID(i)
		all = append(all, f)
	}
	list = append(list, Rule{To: to(16)})
	return compile(t, rules(list...)), all
}

func TestPickAllocatesNothing(t *testing.T) {
	table, all := big(t, 1000)
	i := 0
	if n := testing.AllocsPerRun(1000, func() {
		table.Pick(all[i%len(all)], 0, allReady{})
		i++
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type allReady struct{}

func (allReady) Ready(txn.LinkID) Readiness { return Ready }

// BenchmarkPick is a pick of another card each time.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		table, all := big(b, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			h := Health(allReady{})
			for i := range b.N {
				table.Pick(all[i&(len(all)-1)], 0, h)
			}
		})
	}
}

func BenchmarkCompile100000(b *testing.B) {
	for range b.N {
		big(b, 100_000)
	}
}

func TestMixSpreads(t *testing.T) {
	var n [10]int
	for i := range 100_000 {
		n[mix(uint64(i))%10]++
	}
	if slices.MinFunc(n[:], cmp.Compare[int]) < 9700 || slices.MaxFunc(n[:], cmp.Compare[int]) > 10_300 {
		t.Errorf("%v", n)
	}
}
