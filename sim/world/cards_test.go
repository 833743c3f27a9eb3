package world

import "testing"

// Cards are loaded in every history, and in some of them people must decide.
func TestCardsInHistories(t *testing.T) {
	loads, parked := 0, 0
	for seed := range uint64(12) {
		r, err := Run(Options{Seed: 1000 + seed, Transactions: 700, Pebble: seed == 7})
		if err != nil || len(r.Violations) > 0 {
			t.Fatalf("seed %d: %v %+v", 1000+seed, err, r)
		}
		loads, parked = loads+r.Loads, parked+r.Parked
	}
	if loads < 500 || parked == 0 {
		t.Errorf("%d loads, %d cards parked", loads, parked)
	}
}

// The history of one city, whose bank was debited 15,270 times for cards that were
// not written: cards lose their power when the MAC2 has left, nobody confirms, and
// terminals try to reverse, while lines, banks and the process fail. At the end
// what was paid is on the cards, or a person has the card by name.
func TestTheOpenLoadsOfACity(t *testing.T) {
	n := 15_270
	if testing.Short() {
		n /= 10
	}
	r, err := Run(Options{Seed: 15270, Transactions: n, Cards: n, OnlyLoads: true})
	if err != nil || len(r.Violations) > 0 {
		t.Fatalf("%v %+v", err, r)
	}
	t.Logf("%d loads of %d cards, %d crashes, %d cards parked", r.Loads, n, r.Crashes, r.Parked)
	if r.Loads < 4*n || r.Crashes == 0 {
		t.Errorf("%d loads, %d crashes", r.Loads, r.Crashes)
	}
}

// A card that has more or less than was paid, and nobody knows of it, is found.
func TestCardsThatDoNotAgreeAreFound(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"more on the card": func(w *world) { w.purses[0].credited += 5 },
		"paid for nothing": func(w *world) { w.issuers[0].rows["x"] = &row{account: w.purses[1].account, amount: 7, booked: true} },
		"taken back, yet on": func(w *world) {
			w.issuers[0].rows["x"] = &row{account: w.purses[1].account, amount: 7, booked: true, reversed: true}
			w.purses[1].credited = 7
		},
	} {
		w, err := newWorld(Options{Seed: 1}, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.begin(); err != nil {
			t.Fatal(err)
		}
		change(w)
		if err := w.comparePurses(); err != nil {
			t.Fatal(err)
		}
		if v := w.result.Violations; len(v) != 1 || v[0].Checker != "card-value-equals-paid-or-parked" {
			t.Errorf("%s: %+v", name, v)
		}
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
	}
}

// In this history a module lets the MAC of an answer fall in the very last visit of a
// card: nobody is left to find out what became of it, and the switch is not to blame.
// So modules are well while the cards come again.
func TestLastVisitsMeetWellModules(t *testing.T) {
	r, err := Run(Options{Seed: 314, Transactions: 1000})
	if err != nil || len(r.Violations) > 0 {
		t.Fatalf("%v %+v", err, r)
	}
}
