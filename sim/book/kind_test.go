package book

import (
	"strings"
	"testing"
)

// mixed is a pair of books that agree about several kinds: a sale of 10 yuan, 4 of
// it given back, with a tip of 1; a pre-authorisation that was completed.
func mixed() (sales []Sale, bookings []Booking) {
	add := func(k Kind, amount, of int64) {
		s := Sale{Merchant: "m", Terminal: "t", Kind: k, Amount: amount, Of: of, PAN: "x", State: Approved}
		sales = append(sales, s)
		bookings = append(bookings, Booking{Merchant: "m", Terminal: "t", Kind: k, Amount: amount, Of: of, PAN: "x", State: Booked})
	}
	add("", 1000, 0)
	add("refund", 400, 1000)
	add("tip", 100, 1000)
	add("pre-auth", 2000, 0)
	add("completion", 1800, 2000)
	add("script-notice", 0, 1000)
	return sales, bookings
}

func TestKindsAreSummed(t *testing.T) {
	v := Compare(mixed())
	if !v.OK() || v.Net != 1000-400+100+1800 || v.NetBanks != v.Net || len(v.Kinds) != 6 {
		t.Fatalf("%+v", v)
	}
	for _, want := range []string{"refund 1 (4.00)", "sale 1 (10.00)", "净额 net: 终端 terminals 25.00, 银行 banks 25.00"} {
		if line := v.KindsLine(); !strings.Contains(line, want) {
			t.Errorf("no %q in %s", want, line)
		}
	}
}

func TestPlantedFaultsOfOtherKinds(t *testing.T) {
	for _, c := range []struct {
		name      string
		plant     func(s []Sale, b []Booking) ([]Sale, []Booking)
		lost, dup int
		line      string
	}{
		{"a refund that no bank gave", func(s []Sale, b []Booking) ([]Sale, []Booking) { b[1].State = Declined; return s, b }, 1, 0, "refund 1 (4.00) / 0 (0.00)"},
		{"a refund of another sale", func(s []Sale, b []Booking) ([]Sale, []Booking) { b[1].Of = 999; return s, b }, 1, 1, "terminals 25.00, 银行 banks 25.00"},
		{"a refund given twice", func(s []Sale, b []Booking) ([]Sale, []Booking) { return s, append(b, b[1]) }, 0, 1, "banks 21.00"},
		{"a tip that was taken back at the terminal", func(s []Sale, b []Booking) ([]Sale, []Booking) { s[2].State = Reversed; return s, b }, 0, 1, "terminals 24.00"},
		{"a completion booked as a sale", func(s []Sale, b []Booking) ([]Sale, []Booking) { b[4].Kind = ""; return s, b }, 1, 1, "sale 1 (10.00) / 2 (28.00)"},
		{"a notice that its bank does not have", func(s []Sale, b []Booking) ([]Sale, []Booking) { return s, b[:5] }, 1, 0, ""},
		{"a notice that its terminal gave up", func(s []Sale, b []Booking) ([]Sale, []Booking) { s[5].State = Declined; return s, b }, 0, 0, ""},
	} {
		v := Compare(c.plant(mixed()))
		if v.Lost != c.lost || v.Duplicated != c.dup || !strings.Contains(v.KindsLine(), c.line) {
			t.Errorf("%s: lost %d duplicated %d; %s", c.name, v.Lost, v.Duplicated, v.KindsLine())
		}
		if len(v.Discrepancies) > 0 && c.name[:8] == "a refund" && !strings.Contains(v.Discrepancies[0].String(), "refund 金额") {
			t.Errorf("%s: %s", c.name, v.Discrepancies[0].String())
		}
	}
}
