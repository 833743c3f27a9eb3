package run

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tongka/clearing/casefile"
	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/clearing/rules"
	"tongka/txn"
)

// cityPositions are what the parties get of one city's business. Their sum is zero,
// and all cities together are the day.
type cityPositions struct {
	City      string     `json:"city"`
	Positions []position `json:"positions"` // merchants as one
}

// fundMoves are what the day does to the card fund, fen, by what it does to it.
type fundMoves struct {
	Load    int64 `json:"load"`
	Refund  int64 `json:"refund"`
	Consume int64 `json:"consume"`
	Adjust  int64 `json:"adjust"` // by decisions, and of differences within the tolerance
	Fees    int64 `json:"fees"`   // its share of them, or what it pays
}

func (f *fundMoves) sum() int64 { return f.Load + f.Refund + f.Consume + f.Adjust + f.Fees }

// take adds what goes onto purse cards, comes back from them, and is paid with them.
func (f *fundMoves) take(r *row.Row) {
	kind := r.Kind
	if kind == txn.Reversal {
		kind = r.Of
	}
	switch kind {
	case txn.LoadAccount, txn.LoadOther, txn.LoadCash:
		f.Load += r.Net()
	case txn.LoadVoid, txn.Unload:
		f.Refund += r.Net()
	default:
		if r.Flags&row.Purse != 0 {
			f.Consume -= r.Net()
		}
	}
}

// books are positions of one city: of the money itself, with its fees, by decisions
// about cases, and of differences within the tolerance.
type books struct{ gross, all, cases, tolerated *fee.Positions }

func newBooks() *books {
	return &books{fee.NewPositions(), fee.NewPositions(), fee.NewPositions(), fee.NewPositions()}
}

// clearer books a day, each transfer in the city of its merchant, so that each city is
// zero by itself.
type clearer struct {
	rules *rules.Rules
	free  *fee.Table
	of    map[string]*books   // by city
	at    map[[15]byte]*books // by merchant
	out   cleared
}

func newClearer(r *rules.Rules) (*clearer, error) {
	free, err := fee.NewTable(nil)
	return &clearer{rules: r, free: free, of: map[string]*books{}, at: map[[15]byte]*books{}}, err
}

func (c *clearer) city(name string) *books {
	b := c.of[name]
	if b == nil {
		b = newBooks()
		c.of[name] = b
	}
	return b
}

func (c *clearer) booksOf(merchant *[15]byte) *books {
	b := c.at[*merchant]
	if b == nil {
		b = c.city(c.rules.CityOf(strings.TrimRight(string(merchant[:]), " \x00")))
		c.at[*merchant] = b
	}
	return b
}

// book takes a row on which both sides agree, or one that was paid offline.
func (c *clearer) book(r *row.Row) error {
	c.out.Fund.take(r)
	b := c.booksOf(&r.Merchant)
	return errors.Join(c.free.Book(b.gross, r), c.rules.Fees.Book(b.all, r))
}

// tolerate takes a difference within the tolerance.
func (c *clearer) tolerate(r *row.Row) {
	if c.rules.Tolerated.Role != fee.Issuer {
		c.booksOf(&r.Merchant).tolerated.Tolerate(r, c.rules.Tolerated)
	}
}

// decide books a decision. Between merchants of two cities it goes by our house, so
// that each city stays zero.
func (c *clearer) decide(d *casefile.Decision) error {
	moves, err := d.Transfers()
	c.out.Decisions++
	for _, m := range moves {
		from, to := c.cityOf(m.From), c.cityOf(m.To)
		switch {
		case from == "" && to == "":
			from, to = rules.OtherCity, rules.OtherCity
		case from == "":
			from = to
		case to == "":
			to = from
		}
		if from == to {
			c.city(from).cases.Move(m.From, m.To, m.Fen)
			continue
		}
		house := fee.Party{Role: fee.Acquirer}
		c.city(from).cases.Move(m.From, house, m.Fen)
		c.city(to).cases.Move(house, m.To, m.Fen)
	}
	return err
}

// cityOf is a merchant's city; other parties are in none.
func (c *clearer) cityOf(p fee.Party) string {
	if p.Role != fee.Merchant {
		return ""
	}
	return c.rules.CityOf(p.Name)
}

// end adds up the cities, and what became of the fund.
func (c *clearer) end() (*cleared, error) {
	whole := newBooks()
	same := func(p fee.Party) fee.Party { return p }
	for _, name := range slices.Sorted(maps.Keys(c.of)) {
		b, city := c.of[name], newBooks()
		for i, from := range b.each() {
			from.AddTo(whole.each()[i], same)
			from.AddTo(city.each()[i], asOne)
		}
		c.out.Cities = append(c.out.Cities, cityPositions{name, city.positions()})
	}
	c.out.Positions, c.out.Fees = whole.positions(), whole.all.Fees
	fund := fee.Party{Role: fee.Fund}
	c.out.Fund.Fees = whole.all.Get(fund).Net - whole.gross.Get(fund).Net
	c.out.Fund.Adjust = whole.cases.Get(fund).Net + whole.tolerated.Get(fund).Net
	return &c.out, c.out.balanced()
}

func (b *books) each() []*fee.Positions {
	return []*fee.Positions{b.gross, b.all, b.cases, b.tolerated}
}

// asOne makes one party of all merchants.
func asOne(p fee.Party) fee.Party {
	if p.Role == fee.Merchant {
		p.Name = ""
	}
	return p
}

// positions puts the books beside each other, by role and name.
func (b *books) positions() (out []position) {
	who := append(append(b.all.Parties(), b.cases.Parties()...), b.tolerated.Parties()...)
	slices.SortFunc(who, byParty)
	for _, p := range slices.Compact(who) {
		g, a, c, t := b.gross.Get(p), b.all.Get(p), b.cases.Get(p), b.tolerated.Get(p)
		out = append(out, position{p, a.Moved, g.Net, a.Net - g.Net, c.Net, t.Net, a.Net + c.Net + t.Net})
	}
	return out
}

// balanced refuses positions that are not zero together, in any city, and cities that
// are not the whole.
func (c *cleared) balanced() error {
	if err := balanced(c.Positions); err != nil {
		return err
	}
	rest := map[fee.Party]int64{}
	for _, p := range c.Positions {
		rest[asOne(p.Party)] += p.Net
	}
	for i := range c.Cities {
		if err := balanced(c.Cities[i].Positions); err != nil {
			return fmt.Errorf("%s: %w", c.Cities[i].City, err)
		}
		for _, p := range c.Cities[i].Positions {
			rest[p.Party] -= p.Net
		}
	}
	for _, who := range slices.SortedFunc(maps.Keys(rest), byParty) {
		if fen := rest[who]; fen != 0 {
			return fmt.Errorf("%s: 各城市合计与总数相差 %d 分 · the cities and the whole differ by %d fen: %w", who, fen, fen, ErrBalance)
		}
	}
	return nil
}

// writeCities makes the table of positions by city.
func (j *job) writeCities(all []cityPositions) error {
	return j.writeCSV(citiesCSV, []string{"city", "role", "name", "transactions", "gross_fen", "fees_fen", "cases_fen", "tolerated_fen", "net_fen"}, func(add func(...any) error) error {
		for i := range all {
			for _, p := range all[i].Positions {
				if err := add(all[i].City, p.Party.Role, j.partyName(p.Party), p.Moved, p.Gross, p.Fees, p.Cases, p.Tolerated, p.Net); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
