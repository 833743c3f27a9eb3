package book

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is what is wrong between the two books about one sale.
type Fault string

// Faults.
const (
	Lost       Fault = "lost"       // the terminal holds an approval, no bank holds the money
	Duplicated Fault = "duplicated" // a bank holds money that the terminal does not count as paid
	Differs    Fault = "differs"    // the two agree about the money, but not about card or RRN
)

// Discrepancy names one fault: which sale, and what each side says of it.
type Discrepancy struct {
	Fault    Fault     `json:"fault"`
	Merchant string    `json:"merchant"`
	Terminal string    `json:"terminal"`
	Kind     Kind      `json:"kind,omitempty"`
	Amount   int64     `json:"amount"` // fen
	Sale     *Sale     `json:"sale,omitempty"`
	Bookings []Booking `json:"bookings,omitempty"`
	Says     string    `json:"says"` // in one line, for people
}

// Verdict is the result of comparing the books.
type Verdict struct {
	Sales         int           `json:"sales"`      // in the terminals' books
	Approved      int           `json:"approved"`   // of these
	Unresolved    int           `json:"unresolved"` // of these, open ones included
	Bookings      int           `json:"bookings"`   // in the banks' books
	Held          int           `json:"held"`       // of these, booked and not reversed
	Matched       int           `json:"matched"`    // approved once, held once
	Lost          int           `json:"lost"`
	Duplicated    int           `json:"duplicated"` // bookings too many, so one sale can count several times
	Differs       int           `json:"differs"`
	Kinds         []Sum         `json:"kinds,omitempty"`         // of each kind that occurs
	Net           int64         `json:"net"`                     // fen: what the terminals were told that customers paid, less what they got back
	NetBanks      int64         `json:"net_banks"`               // fen: what the banks hold of it
	Discrepancies []Discrepancy `json:"discrepancies,omitempty"` // the first maxDiscrepancies
}

// maxDiscrepancies bounds the list; the counts are always whole.
const maxDiscrepancies = 1000

// OK says that no money was lost or taken twice.
func (v *Verdict) OK() bool { return v.Lost == 0 && v.Duplicated == 0 && v.Differs == 0 }

// String is the verdict in one line of Chinese and English.
func (v *Verdict) String() string {
	word := "账目一致 books agree"
	if !v.OK() {
		word = "账目不符 BOOKS DIFFER"
	}
	return fmt.Sprintf("%s: 终端交易 sales %d · 批准 approved %d · 未决 unresolved %d · 银行记账 bookings %d · 有效 held %d · 一致 matched %d · 丢失 lost %d · 重复 duplicated %d · 不符 differs %d",
		word, v.Sales, v.Approved, v.Unresolved, v.Bookings, v.Held, v.Matched, v.Lost, v.Duplicated, v.Differs)
}

// Compare joins the terminals' sales with all banks' bookings by merchant,
// terminal and amount. Only money counts: a booking that was declined, refused
// or reversed holds none. A sale that the terminal holds as approved needs
// exactly one booking that holds money, any other sale needs none; that is also
// asked of sales that are still open or unresolved, so settle the fleet first.
// So it is with requests of other kinds. A notice that moves no money may be with
// a bank though its terminal gave up. What is about cards is CompareCards' work.
func Compare(terminals []Sale, banks []Booking) Verdict {
	banks = slices.DeleteFunc(slices.Clone(banks), func(b Booking) bool { return b.Kind.OfCards() })
	v := Verdict{Bookings: len(banks)}
	held := make(map[SaleKey][]Booking)
	sums := map[Kind]*Sum{}
	for _, b := range banks {
		if b.State == Booked {
			v.Held++
			sumOf(sums, b.Kind).hold(b.Amount)
			k := b.SaleKey()
			held[k] = append(held[k], b)
		}
	}
	var c latest[SaleKey, Sale]
	for _, s := range terminals {
		c.put(s.Key(), s)
	}
	v.Sales = len(c.all)
	for i := range c.all {
		s := &c.all[i]
		kind := s.Key().Kind
		sumOf(sums, kind).ask(s.State)
		if s.State == Approved {
			sumOf(sums, kind).approve(s.Amount)
		}
		v.judge(s, held[s.Key()])
		delete(held, s.Key())
	}
	// What is left belongs to no sale. In the banks' order, so that the same
	// books always give the same list.
	for _, b := range banks {
		k := b.SaleKey()
		if bs := held[k]; len(bs) > 0 {
			v.Duplicated += len(bs)
			v.name(Duplicated, k, nil, bs, fmt.Sprintf("booked %d times, no terminal knows the sale", len(bs)))
			delete(held, k)
		}
	}
	v.addUp(sums)
	return v
}

// judge compares one sale with the bookings that hold money for it.
func (v *Verdict) judge(s *Sale, bs []Booking) {
	switch s.State {
	case Approved:
		v.Approved++
	case Open, Unresolved:
		v.Unresolved++
	}
	switch {
	case s.State == Approved && len(bs) == 0:
		v.Lost++
		v.name(Lost, s.Key(), s, nil, "approved at the terminal, no bank holds it")
	case s.State == Approved && len(bs) == 1:
		if b := &bs[0]; b.PAN != s.PAN || s.RRN != "" && b.RRN != s.RRN {
			v.Differs++
			v.name(Differs, s.Key(), s, bs, fmt.Sprintf("terminal has card %s RRN %s, bank has card %s RRN %s", s.PAN, s.RRN, b.PAN, b.RRN))
			return
		}
		v.Matched++
	case s.State == Approved:
		v.Duplicated += len(bs) - 1
		v.name(Duplicated, s.Key(), s, bs, fmt.Sprintf("approved once, booked %d times", len(bs)))
	case len(bs) > 0 && !s.Kind.MovesMoney():
	case len(bs) > 0:
		v.Duplicated += len(bs)
		v.name(Duplicated, s.Key(), s, bs, fmt.Sprintf("%s at the terminal, booked %d times", strings.TrimSpace(string(s.State)+" "+s.Code), len(bs)))
	}
}

func (v *Verdict) name(f Fault, k SaleKey, s *Sale, bs []Booking, says string) {
	if len(v.Discrepancies) < maxDiscrepancies {
		v.Discrepancies = append(v.Discrepancies, Discrepancy{f, k.Merchant, k.Terminal, k.Kind, k.Amount, s, bs, says})
	}
}

// faultWords are the faults for people.
var faultWords = map[Fault]string{Lost: "丢失 lost", Duplicated: "重复 duplicated", Differs: "不符 differs"}

// String is the discrepancy in one line.
func (d *Discrepancy) String() string {
	return fmt.Sprintf("%s: 商户 merchant %s 终端 terminal %s %s金额 amount %s: %s", faultWords[d.Fault], d.Merchant, d.Terminal, d.Kind.word(), yuan(d.Amount), d.Says)
}
