package fee

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"tongka/clearing/row"
	"tongka/txn"
)

var (
	merchant, issuer = Party{Role: Merchant}, Party{Role: Issuer}
	acquirer, centre = Party{Role: Acquirer}, Party{Role: Centre}
)

func line(kind txn.Kind, amount int64) *row.Row {
	r := &row.Row{Kind: kind, Amount: amount, Status: row.Settled, Link: 2}
	copy(r.Merchant[:], "123456789012345")
	return r
}

func flat(p Price) Rule {
	return Rule{Name: "flat", Payer: merchant, Remainder: acquirer, Tiers: []Tier{{0, p}}}
}

func TestFees(t *testing.T) {
	tiers := Rule{Tiers: []Tier{{1000, Price{Fixed: 1}}, {5000, Price{Rate: 10_000}}, {0, Price{Rate: 3800, Min: 30, Max: 2000}}}}
	rate := flat(Price{Rate: 3800})
	for _, c := range []struct {
		r    *Rule
		of   int64
		want int64
	}{
		{&rate, 0, 0}, {&rate, 131, 0}, {&rate, 132, 1}, {&rate, 10_000, 38}, {&rate, MaxAmount, 3_800_000_000},
		{&tiers, 1000, 1}, {&tiers, 1001, 10}, {&tiers, 5000, 50}, {&tiers, 5001, 30}, {&tiers, 100_000, 380}, {&tiers, 1_000_000, 2000},
	} {
		if got := c.r.Fee(c.of); got != c.want {
			t.Errorf("of %d: %d, want %d", c.of, got, c.want)
		}
	}
}

// The positions of whole days are those of a second way to reckon them, with
// fractions and no code of this package; their sum is zero after every row.
func TestPositionsAgainstFractions(t *testing.T) {
	kinds := []txn.Kind{txn.Sale, txn.Refund, txn.Void, txn.LoadAccount, txn.LoadCash, txn.LoadVoid, txn.PreAuth}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 11))
		rule := Rule{Name: "r", Payer: merchant, Remainder: centre, Returned: rng.IntN(2) == 0,
			Tiers:  []Tier{{0, Price{Rate: rng.Int64N(20_000), Fixed: rng.Int64N(5), Min: rng.Int64N(10), Max: 10 + rng.Int64N(1000)}}},
			Shares: []Share{{issuer, rng.Int64N(500_000)}, {acquirer, rng.Int64N(500_000)}}}
		table, err := NewTable([]Rule{rule})
		if err != nil {
			t.Fatal(err)
		}
		got, want := NewPositions(), map[string]int64{}
		for range 300 {
			r := line(kinds[rng.IntN(len(kinds))], rng.Int64N(1_000_000))
			if rng.IntN(5) == 0 {
				r.Of, r.Kind = r.Kind, txn.Reversal
			}
			if rng.IntN(6) == 0 {
				r.Status = row.Reversed
			}
			if err := table.Book(got, r); err != nil {
				t.Fatal(err)
			}
			slow(want, &rule, r)
			if got.Sum() != 0 {
				t.Fatalf("seed %d: the sum is %d", seed, got.Sum())
			}
		}
		for _, p := range got.Parties() {
			if n := got.Get(p).Net; n != want[p.Role.String()] {
				t.Errorf("seed %d: %s has %d, want %d", seed, p.Role, n, want[p.Role.String()])
			}
		}
	}
}

// slow is the model: words for parties, one case after the other, big fractions.
func slow(pos map[string]int64, rule *Rule, r *row.Row) {
	kind, sign := r.Kind, int64(1)
	if kind == txn.Reversal {
		kind, sign = r.Of, -1
	}
	from, to, gives := "issuer", "merchant", true
	switch kind {
	case txn.Refund, txn.Void:
		from, to, gives = "merchant", "issuer", false
	case txn.LoadAccount:
		to = "fund"
	case txn.LoadCash:
		from, to = "merchant", "fund"
	case txn.LoadVoid:
		from, to, gives = "fund", "merchant", false
	case txn.PreAuth:
		return
	}
	if r.Status != row.Settled || r.Amount == 0 {
		return
	}
	pos[from] -= sign * r.Amount
	pos[to] += sign * r.Amount
	if !gives {
		if !rule.Returned {
			return
		}
		sign = -sign
	}
	price := rule.Tiers[0]
	exact := big.NewRat(r.Amount*price.Rate, Million)
	exact.Add(exact, big.NewRat(1, 2))
	fee := new(big.Int).Div(exact.Num(), exact.Denom()).Int64() + price.Fixed
	fee = min(max(fee, price.Min), price.Max)
	a, b := fee*rule.Shares[0].Parts/Million, fee*rule.Shares[1].Parts/Million
	pos["merchant"] -= sign * fee
	pos["issuer"] += sign * a
	pos["acquirer"] += sign * b
	pos["centre"] += sign * (fee - a - b)
}

// The first rule that fits counts, and what no rule fits costs nothing.
func TestWhichRule(t *testing.T) {
	vip := flat(Price{Fixed: 1})
	vip.Merchant, vip.Kinds = "1234", []txn.Kind{txn.Sale}
	other := flat(Price{Fixed: 7})
	other.Kinds = []txn.Kind{txn.Sale}
	table, err := NewTable([]Rule{vip, other})
	if err != nil {
		t.Fatal(err)
	}
	for want, r := range map[int64]*row.Row{1: line(txn.Sale, 100), 0: line(txn.LoadAccount, 100), 7: {Kind: txn.Sale, Amount: 5, Status: row.Settled}} {
		p := NewPositions()
		if err := table.Book(p, r); err != nil || p.Fees != want || p.Get(acquirer).Net != want {
			t.Errorf("%s: %d, want %d (%v)", r.Kind, p.Fees, want, err)
		}
	}
	if err := table.Book(NewPositions(), line(txn.Sale, MaxAmount+1)); err == nil {
		t.Error("an amount of thirteen digits")
	}
}

func TestRulesRefuse(t *testing.T) {
	good := flat(Price{Rate: 1})
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Rule){
		"payer":    func(r *Rule) { r.Payer = Party{} },
		"tiers":    func(r *Rule) { r.Tiers = nil },
		"bound":    func(r *Rule) { r.Tiers[0].UpTo = 5 },
		"order":    func(r *Rule) { r.Tiers = []Tier{{9, Price{}}, {9, Price{}}, {0, Price{}}} },
		"negative": func(r *Rule) { r.Tiers = []Tier{{0, Price{Min: -1}}} },
		"rate":     func(r *Rule) { r.Tiers = []Tier{{0, Price{Rate: Million + 1}}} },
		"bounds":   func(r *Rule) { r.Tiers = []Tier{{0, Price{Min: 5, Max: 4}}} },
		"shares":   func(r *Rule) { r.Shares = []Share{{issuer, 600_000}, {centre, 600_000}} },
		"nobody":   func(r *Rule) { r.Shares = []Share{{Party{}, 1}} },
	} {
		r := flat(Price{Rate: 1})
		spoil(&r)
		if _, err := NewTable([]Rule{good, r}); err == nil || !strings.Contains(err.Error(), `fee rule "flat"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRolesHaveWords(t *testing.T) {
	for r := Merchant; r <= Fund; r++ {
		if got, ok := ParseRole(r.String()); !ok || got != r || r.Words().ZH == "" || r.Words().EN == "" {
			t.Errorf("%s: %v, %v", r, got, ok)
		}
	}
	for _, bad := range []string{"", "bank"} {
		if r, ok := ParseRole(bad); ok {
			t.Errorf("%q is %v", bad, r)
		}
	}
	if fmt.Sprint(Role(99)) != "invalid" || Role(99).Words() != (txn.Words{}) {
		t.Error("a role that is none has words")
	}
}

func TestParties(t *testing.T) {
	for _, s := range []string{"merchant:104110045110012", "issuer:7", "acquirer", "centre", "fund"} {
		if p, err := ParseParty(s); err != nil || p.String() != s {
			t.Errorf("%s: %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "bank", "merchant", "issuer:", "fund:1", "merchant:1:2", "merchant:1234567890123456", "merchant:a b", "invalid"} {
		if p, err := ParseParty(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
}

// A difference within the tolerance is between who bears it and who settles what the
// other side says; the merchant gets what we say, and the sum stays zero.
func TestTolerate(t *testing.T) {
	for _, c := range []struct {
		kind   txn.Kind
		less   bool
		issuer int64
		fund   int64
	}{{txn.Sale, false, -3, 0}, {txn.Sale, true, 3, 0}, {txn.Refund, true, 3, 0}, {txn.LoadAccount, false, -3, 0}, {txn.LoadCash, false, 0, 3}, {txn.LoadVoid, true, 0, -3}} {
		p, r := NewPositions(), line(c.kind, 3)
		if c.less {
			r.Flags |= row.Less
		}
		p.Tolerate(r, acquirer)
		bank, fund := p.Get(Party{Issuer, "2"}).Net, p.Get(Party{Role: Fund}).Net
		if bank != c.issuer || fund != c.fund || p.Get(acquirer).Net != -bank-fund || p.Sum() != 0 || p.Get(Party{Merchant, "123456789012345"}).Net != 0 {
			t.Errorf("%+v: issuer %d, fund %d, sum %d", c, bank, fund, p.Sum())
		}
	}
}

// What a card paid offline is paid by the card fund, which is also its issuer.
func TestPurse(t *testing.T) {
	rule := flat(Price{Fixed: 10})
	rule.Shares, rule.Purse = []Share{{issuer, 500_000}}, true
	table, err := NewTable([]Rule{rule})
	if err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[row.Flags][3]int64{row.Purse: {90, 0, -95}, 0: {100, -100, 0}} {
		p, r := NewPositions(), line(txn.OfflineSale, 100)
		r.Flags = flags
		if err := table.Book(p, r); err != nil {
			t.Fatal(err)
		}
		got := [3]int64{p.Get(Party{Merchant, "123456789012345"}).Net, p.Get(Party{Issuer, "2"}).Net, p.Get(Party{Role: Fund}).Net}
		if got != want || p.Sum() != 0 {
			t.Errorf("flags %d: %v, want %v, sum %d", flags, got, want, p.Sum())
		}
	}
}

// Adding up keeps nets and counts.
func TestAddTo(t *testing.T) {
	a, b, sum := NewPositions(), NewPositions(), NewPositions()
	table, err := NewTable([]Rule{flat(Price{Fixed: 1})})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []*Positions{a, b, b} {
		if err := table.Book(p, line(txn.Sale, int64(10*(i+1)))); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*Positions{a, b} {
		p.AddTo(sum, func(who Party) Party { return Party{Role: who.Role} })
	}
	if m := sum.Get(merchant); m.Net != 57 || m.Moved != 3 || sum.Fees != 3 || sum.Sum() != 0 {
		t.Errorf("%+v, fees %d", m, sum.Fees)
	}
}
