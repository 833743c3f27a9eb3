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
