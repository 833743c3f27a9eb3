package book

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// world is a pair of books that agree: n approved and booked sales, one declined
// by the bank, one reversed on both sides, one that never reached the bank.
func world(n int) (sales []Sale, bookings []Booking) {
	at := func(amount int64, s State) Sale {
		return Sale{Merchant: "898310054110000", Terminal: "10000001", Amount: amount, PAN: "622588******0001", State: s}
	}
	held := func(s *Sale, state State) Booking {
		return Booking{Bank: "a", Merchant: s.Merchant, Terminal: s.Terminal, Amount: s.Amount, RRN: "000000000001", PAN: s.PAN, State: state}
	}
	for i := range n {
		s := at(int64(100+i), Approved)
		s.RRN = "000000000001"
		sales, bookings = append(sales, s), append(bookings, held(&s, Booked))
	}
	declined, reversed, unsent := at(9_000_000, Declined), at(9_000_001, Reversed), at(9_000_002, Reversed)
	sales = append(sales, declined, reversed, unsent)
	return sales, append(bookings, held(&declined, Declined), held(&reversed, Reversed))
}

func TestBooksThatAgree(t *testing.T) {
	sales, bookings := world(3)
	v := Compare(sales, bookings)
	want := Verdict{Sales: 6, Approved: 3, Bookings: 5, Held: 3, Matched: 3,
		Kinds: []Sum{{Kind: "sale", Asked: 6, Declined: 1, Reversed: 2, Approved: 3, ApprovedFen: 303, Held: 3, HeldFen: 303}}, Net: 303, NetBanks: 303}
	if d := cmp.Diff(want, v); d != "" || !v.OK() {
		t.Errorf("verdict (-want +got):\n%s", d)
	}
	if s := v.String(); !strings.Contains(s, "books agree") || !strings.Contains(s, "matched 3") {
		t.Errorf("verdict prints %q", s)
	}
}

type books struct {
	sales    []Sale
	bookings []Booking
}

// Each case plants one fault into books that agree.
var planted = []struct {
	name              string
	plant             func(b *books)
	lost, dup, differ int
	fault             Fault
	says              string
}{
	{"the bank never booked", func(b *books) { b.bookings = b.bookings[1:] }, 1, 0, 0, Lost, "no bank holds it"},
	{"the bank reversed what was approved", func(b *books) { b.bookings[0].State = Reversed }, 1, 0, 0, Lost, "no bank holds it"},
	{"the bank declined what was approved", func(b *books) { b.bookings[0].State = Declined }, 1, 0, 0, Lost, "no bank holds it"},
	{"the reversal came first", func(b *books) { b.bookings[0].State = Refused }, 1, 0, 0, Lost, "no bank holds it"},
	{"booked twice", func(b *books) { b.bookings = append(b.bookings, b.bookings[0]) }, 0, 1, 0, Duplicated, "booked 2 times"},
	{"booked twice, once reversed", func(b *books) {
		again := b.bookings[0]
		again.State = Reversed
		b.bookings = append(b.bookings, again)
	}, 0, 0, 0, "", ""},
	{"booked at two banks", func(b *books) {
		again := b.bookings[0]
		again.Bank = "b"
		b.bookings = append(b.bookings, again, again)
	}, 0, 2, 0, Duplicated, "booked 3 times"},
	{"told 98 and held", func(b *books) { b.sales[0].State, b.sales[0].Code = Declined, "98" }, 0, 1, 0, Duplicated, "declined 98"},
	{"reversed at the terminal and held", func(b *books) { b.sales[0].State = Reversed }, 0, 1, 0, Duplicated, "reversed"},
	{"unresolved and held", func(b *books) { b.sales[0].State = Unresolved }, 0, 1, 0, Duplicated, "unresolved"},
	{"open and held", func(b *books) { b.sales[0].State = Open }, 0, 1, 0, Duplicated, "open"},
	{"unresolved and not held", func(b *books) {
		b.sales[0].State = Unresolved
		b.bookings[0].State = Reversed
	}, 0, 0, 0, "", ""},
	{"no terminal knows it", func(b *books) { b.sales = b.sales[1:] }, 0, 1, 0, Duplicated, "no terminal knows"},
	{"another amount", func(b *books) { b.bookings[0].Amount = 7777 }, 1, 1, 0, Lost, "no bank holds it"},
	{"another terminal", func(b *books) { b.bookings[0].Terminal = "10000002" }, 1, 1, 0, Lost, "no bank holds it"},
	{"another card", func(b *books) { b.bookings[0].PAN = "622588******0019" }, 0, 0, 1, Differs, "0019"},
	{"another RRN", func(b *books) { b.bookings[0].RRN = "000000000002" }, 0, 0, 1, Differs, "000000000002"},
	{"no RRN at the terminal", func(b *books) { b.sales[0].RRN = "" }, 0, 0, 0, "", ""},
}

func TestPlantedFaults(t *testing.T) {
	for _, c := range planted {
		t.Run(c.name, func(t *testing.T) {
			var b books
			b.sales, b.bookings = world(3)
			c.plant(&b)
			v := Compare(b.sales, b.bookings)
			if v.Lost != c.lost || v.Duplicated != c.dup || v.Differs != c.differ {
				t.Errorf("lost %d duplicated %d differs %d, want %d %d %d", v.Lost, v.Duplicated, v.Differs, c.lost, c.dup, c.differ)
			}
			if v.OK() != (c.lost+c.dup+c.differ == 0) {
				t.Errorf("OK is %v", v.OK())
			}
			if c.fault == "" {
				if len(v.Discrepancies) != 0 {
					t.Errorf("named %v", v.Discrepancies)
				}
				return
			}
			if len(v.Discrepancies) == 0 {
				t.Fatal("nothing named")
			}
			d := &v.Discrepancies[0]
			if d.Fault != c.fault || !strings.Contains(d.Says, c.says) || d.Merchant == "" {
				t.Errorf("named %+v, want %s with %q", d, c.fault, c.says)
			}
			if line := d.String(); !strings.Contains(line, string(c.fault)) || !strings.Contains(line, "1.00") && !strings.Contains(line, "77.77") {
				t.Errorf("prints %q", line)
			}
		})
	}
}

// The last entry of a sale counts, also when two fleets' books are put together.
func TestLatestSaleCounts(t *testing.T) {
	sales, bookings := world(1)
	first := sales[0]
	first.State = Open
	v := Compare(append([]Sale{first}, sales...), bookings)
	if v.Sales != 4 || v.Matched != 1 || !v.OK() {
		t.Errorf("%+v", v)
	}
}

func TestManyFaultsAreCountedButNotAllNamed(t *testing.T) {
	sales, _ := world(maxDiscrepancies + 7)
	v := Compare(sales, nil)
	if v.Lost != maxDiscrepancies+7 || len(v.Discrepancies) != maxDiscrepancies {
		t.Errorf("lost %d, named %d", v.Lost, len(v.Discrepancies))
	}
}
