package book

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// load is a wish of card 1 that was asked for once.
func load(n int, kind Kind, amount int64, state State) Wish {
	return Wish{Number: n, Kind: kind, Card: 1, Amount: amount, State: state, Asked: 1}
}

func written(w Wish) Wish {
	w.State, w.Written, w.Debits = Approved, true, 1
	return w
}

func debit(kind Kind, amount int64) Booking {
	return Booking{Kind: kind, Amount: amount, State: Booked}
}

// Each thing that can be wrong between cards and ledgers, and what it is called.
func TestCompareCards(t *testing.T) {
	paid := written(load(0, "load-account", 101, Open))
	voided := load(0, "load-cash", 101, Reversed)
	voided.Debits, voided.VoidsAsked, voided.Voids = 1, 1, 1
	again := written(load(0, "load-cash", 101, Open)) // a void nobody heard, then the same anew
	again.Debits, again.VoidsAsked, again.Voids = 2, 1, 1
	order := written(load(0, "order-load", 101, Open))
	order.Order = "K1-0"
	for name, c := range map[string]struct {
		value                             uint32
		wishes                            []Wish
		banks                             []Booking
		lost, duplicated, differs, parked int
		unresolved                        int
		says                              string
	}{
		"paid and written":           {101, []Wish{paid}, []Booking{debit("load-account", 101)}, 0, 0, 0, 0, 0, ""},
		"declined":                   {0, []Wish{load(0, "load-account", 101, Declined)}, []Booking{{Kind: "load-account", Amount: 101, State: Declined}}, 0, 0, 0, 0, 0, ""},
		"reversed at the bank":       {0, []Wish{load(0, "load-account", 101, Declined)}, []Booking{{Kind: "load-account", Amount: 101, State: Reversed}}, 0, 0, 0, 0, 0, ""},
		"voided":                     {0, []Wish{voided}, []Booking{debit("load-cash", 101), debit("load-void", 101)}, 0, 0, 0, 0, 0, ""},
		"voided unheard, then anew":  {101, []Wish{again}, []Booking{debit("load-cash", 101), debit("load-void", 101), debit("load-cash", 101)}, 0, 0, 0, 0, 0, ""},
		"an order":                   {101, []Wish{order}, nil, 0, 0, 0, 0, 0, ""},
		"sales are no loads":         {0, nil, []Booking{debit("", 101)}, 0, 0, 0, 0, 0, ""},
		"parked with its money":      {0, []Wish{load(0, "load-cash", 101, Parked)}, []Booking{debit("load-cash", 101)}, 0, 0, 0, 1, 0, ""},
		"parked without":             {0, []Wish{load(0, "load-cash", 101, Parked)}, nil, 0, 0, 0, 1, 0, ""},
		"open":                       {0, []Wish{load(0, "load-cash", 101, Open)}, nil, 0, 0, 0, 0, 1, ""},
		"written, nobody paid":       {101, []Wish{paid}, nil, 1, 0, 0, 0, 0, "no bank has booked"},
		"written on a parked card":   {101, []Wish{{Card: 1, Kind: "load-cash", Amount: 101, State: Parked, Written: true}}, nil, 1, 0, 0, 0, 0, "no bank has booked"},
		"paid, never written":        {0, []Wish{load(0, "load-account", 101, Declined)}, []Booking{debit("load-account", 101)}, 0, 1, 0, 0, 0, "paid 1"},
		"paid twice":                 {101, []Wish{paid}, []Booking{debit("load-account", 101), debit("load-account", 101)}, 0, 1, 0, 0, 0, "paid 2"},
		"parked, and paid twice":     {0, []Wish{load(0, "load-cash", 101, Parked)}, []Booking{debit("load-cash", 101), debit("load-cash", 101)}, 0, 2, 0, 0, 0, "paid 2"},
		"a void that took too much":  {101, []Wish{paid}, []Booking{debit("load-account", 101), debit("load-void", 101)}, 1, 0, 0, 0, 0, "no bank has booked"},
		"debited without a wish":     {0, nil, []Booking{debit("load-other", 101)}, 0, 1, 0, 0, 0, "no kiosk asked"},
		"an order twice":             {202, []Wish{order, {Number: 1, Card: 1, Kind: "order-load", Amount: 101, Order: "K1-0", State: Approved, Written: true, Debits: 1}}, nil, 1, 0, 0, 0, 0, "no bank has booked"},
		"unloaded":                   {^uint32(100), []Wish{{Card: 1, Kind: "unload", Amount: 101, State: Approved, Written: true}}, []Booking{debit("unload", 101)}, 0, 0, 0, 0, 0, ""},
		"unloaded, no bank told":     {^uint32(100), []Wish{{Card: 1, Kind: "unload", Amount: 101, State: Approved, Written: true}}, nil, 1, 0, 0, 0, 0, "no bank has booked"},
		"unloaded and parked":        {^uint32(100), []Wish{{Card: 1, Kind: "unload", Amount: 101, State: Parked, Written: true}}, nil, 0, 0, 0, 1, 0, ""},
		"told of no unload":          {0, []Wish{load(0, "unload", 101, Declined)}, []Booking{debit("unload", 101)}, 0, 1, 0, 0, 0, "paid 1"},
		"a card that holds too much": {102, []Wish{paid}, []Booking{debit("load-account", 101)}, 0, 0, 1, 0, 0, "holds 1.02"},
	} {
		k := Cards{Cards: []Card{{Number: 1, Name: "3120*1001", Initial: 500, Balance: 500 + c.value}}, Wishes: c.wishes}
		v := CompareCards(&k, c.banks)
		if v.Lost != c.lost || v.Duplicated != c.duplicated || v.Differs != c.differs || len(v.Parked) != c.parked || v.Unresolved != c.unresolved {
			t.Errorf("%s: %+v", name, v)
		}
		if !strings.Contains(strings.Join(v.Says, "\n"), c.says) || (c.says == "") != v.OK() {
			t.Errorf("%s: says %q, want %q", name, v.Says, c.says)
		}
		if v.OK() && c.unresolved == 0 && v.Paid != v.OnCards+v.ParkedFen {
			t.Errorf("%s: paid %d, on cards %d, parked %d", name, v.Paid, v.OnCards, v.ParkedFen)
		}
	}
}

// Compare leaves to CompareCards what is about cards.
func TestCompareLeavesCardsAlone(t *testing.T) {
	v := Compare(nil, []Booking{debit("load-account", 101), debit("load-void", 101)})
	if !v.OK() || v.Bookings != 0 || v.NetBanks != 0 {
		t.Errorf("%+v", v)
	}
}

// The last word about each card and wish counts, and half a line does not.
func TestBookOfKiosks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kiosks.jsonl")
	f, got, err := OpenCards(path)
	if err != nil || len(got.Cards)+len(got.Wishes) != 0 {
		t.Fatal(got, err)
	}
	w := load(0, "load-cash", 101, Open)
	for _, v := range []Visit{{Wish: &w}, {Card: &Card{Number: 1, Balance: 500}, Wish: &w}, {Card: &Card{Number: 1, Balance: 601}}} {
		if err := f.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	w.State = Declined
	if err := f.Add(Visit{Wish: &w}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, `{"of":{"n":1,"bal`...), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = ReadCards(path)
	if err != nil || len(got.Cards) != 1 || got.Cards[0].Balance != 601 || len(got.Wishes) != 1 || got.Wishes[0].State != Declined {
		t.Errorf("%+v, %v", got, err)
	}
	if err := os.WriteFile(path, append(b, "{}\n[]\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = ReadCards(path); err == nil || !strings.Contains(err.Error(), "kiosks.jsonl:6") {
		t.Errorf("a line that is none: %v", err)
	}
}
