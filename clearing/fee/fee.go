// Package fee says what a cleared row costs and who gets of it, in whole fen, and
// adds up who owes whom. Everything is a transfer from one party to another, so
// the sum of all positions is zero at any time.
package fee

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"tongka/clearing/row"
	"tongka/txn"
)

// Million is what rates are parts of: 3800 is 0.38 %.
const Million = 1_000_000

// MaxAmount is the most fen that a fee is made of: twelve digits, as F4 has.
const MaxAmount = 999_999_999_999

// Price is a rate and a fixed part, with bounds.
type Price struct {
	Rate  int64 // parts of Million of the amount, half a fen up
	Fixed int64 // fen
	Min   int64 // fen
	Max   int64 // fen; 0 = none
}

// Tier is the price of amounts up to and including a bound.
type Tier struct {
	UpTo int64 // fen; the last has 0: everything above
	Price
}

// Share is a part of a fee.
type Share struct {
	To    Party
	Parts int64 // of Million
}

// Rule is what one kind of business costs. The first rule that fits a row counts.
type Rule struct {
	Name      string
	Kinds     []txn.Kind // none = all that move money
	Merchant  string     // the beginning of the merchant's number; empty = any
	Purse     bool       // only what was paid from purses offline
	Payer     Party      // whose account the fee is taken from
	Tiers     []Tier     // at least one, ascending; the amount as a whole is in one
	Shares    []Share
	Remainder Party // gets what the shares leave, the odd fen among it
	// Returned says that what takes money back (a refund, a void) gives the fee back
	// too; otherwise it costs nothing.
	Returned bool
}

// Validate reports every fault at once.
func (r *Rule) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("fee rule %q: "+format, append([]any{r.Name}, args...)...))
	}
	if r.Payer == (Party{}) || r.Remainder == (Party{}) {
		bad("a payer and a party for the remainder are wanted")
	}
	if len(r.Tiers) == 0 || r.Tiers[len(r.Tiers)-1].UpTo != 0 {
		bad("the last tier has to be without a bound")
	}
	for i, t := range r.Tiers {
		if i > 0 && i < len(r.Tiers)-1 && t.UpTo <= r.Tiers[i-1].UpTo || i < len(r.Tiers)-1 && t.UpTo <= 0 {
			bad("tier %d: bounds have to ascend", i+1)
		}
		if t.Rate < 0 || t.Rate > Million || t.Fixed < 0 || t.Min < 0 || t.Max < 0 || t.Max > 0 && t.Max < t.Min ||
			max(t.Fixed, t.Min, t.Max) > MaxAmount {
			bad("tier %d: rate %d, fixed %d, min %d, max %d cannot be", i+1, t.Rate, t.Fixed, t.Min, t.Max)
		}
	}
	sum := int64(0)
	for i, s := range r.Shares {
		if s.To == (Party{}) || s.Parts < 0 || s.Parts > Million {
			bad("share %d: %d parts of a million cannot be", i+1, s.Parts)
			continue
		}
		sum += s.Parts
	}
	if sum > Million {
		bad("the shares are %d of %d", sum, Million)
	}
	return errors.Join(faults...)
}

// fits says whether a rule is for a row, which is of this kind or takes it back.
func (r *Rule) fits(kind txn.Kind, line *row.Row) bool {
	if !strings.HasPrefix(string(line.Merchant[:]), r.Merchant) || r.Purse && line.Flags&row.Purse == 0 {
		return false
	}
	for _, k := range r.Kinds {
		if k == kind {
			return true
		}
	}
	return len(r.Kinds) == 0
}

// Fee is the fee of an amount, fen. The amount is 0 to MaxAmount.
func (r *Rule) Fee(amount int64) int64 {
	t := &r.Tiers[len(r.Tiers)-1]
	for i := range r.Tiers[:len(r.Tiers)-1] {
		if amount <= r.Tiers[i].UpTo {
			t = &r.Tiers[i]
			break
		}
	}
	f := max(part(amount, t.Rate, Million/2)+t.Fixed, t.Min)
	if t.Max > 0 {
		f = min(f, t.Max)
	}
	return f
}

// part is (n × parts + round) / Million; 128 bits between, so that nothing
// overflows.
func part(n, parts, round int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(parts))
	lo, carry := bits.Add64(lo, uint64(round), 0)
	q, _ := bits.Div64(hi+carry, lo, Million)
	return int64(q)
}

// Table is the fees of a house.
type Table struct{ rules []Rule }

// NewTable checks the rules.
func NewTable(rules []Rule) (*Table, error) {
	var faults []error
	for i := range rules {
		faults = append(faults, rules[i].Validate())
	}
	return &Table{rules}, errors.Join(faults...)
}

// Book adds a row to the positions: the money itself, and what it costs. A row
// that moves none changes nothing.
func (t *Table) Book(p *Positions, r *row.Row) error {
	signed := r.Net()
	if signed == 0 {
		return nil
	}
	if r.Amount > MaxAmount {
		return fmt.Errorf("row %d: amount %d is above %d", r.ID, r.Amount, int64(MaxAmount))
	}
	kind := kindOf(r)
	from, to := sides(kind, r)
	p.Move(from, to, signed)
	p.count(to)
	for i := range t.rules {
		if rule := &t.rules[i]; rule.fits(kind, r) {
			rule.charge(p, r, signed)
			return nil
		}
	}
	return nil
}

// charge moves the fee of a row. What takes back an earlier day's transaction
// takes back the fee as well: it was never to be.
func (r *Rule) charge(p *Positions, line *row.Row, signed int64) {
	sign := int64(1)
	if signed < 0 {
		if sign = -1; !r.Returned && line.Kind != txn.Reversal {
			return
		}
	}
	if line.Kind == txn.Reversal && row.Moves(line.Of) < 0 {
		// It takes back a refund: if the refund gave the fee back, it is due again.
		if sign = 1; !r.Returned {
			return
		}
	}
	payer, fee := r.Payer.of(line), r.Fee(line.Amount)
	rest := fee
	for _, s := range r.Shares {
		n := part(fee, s.Parts, 0)
		p.Move(payer, s.To.of(line), sign*n)
		rest -= n
	}
	p.Move(payer, r.Remainder.of(line), sign*rest)
	p.Fees += sign * fee
}
