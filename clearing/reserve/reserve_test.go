package reserve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"tongka/clearing/day"
)

const today = day.Date(20261001)

func books(t *testing.T, names ...string) *Books {
	t.Helper()
	b := New(today)
	for _, n := range names {
		if err := b.Open(n, Limits{Floor: -100, Warn: 50}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func post(t *testing.T, b *Books, e Entry) bool {
	t.Helper()
	warn, err := b.Post(e)
	if err != nil {
		t.Fatal(err)
	}
	return warn
}

func TestADayOfAnAccount(t *testing.T) {
	b := books(t, "city", "bank")
	post(t, b, Entry{"1", today, Deposit, "city", Outside, 1000})
	post(t, b, Entry{"2", today, Load, "city", "bank", 60})
	post(t, b, Entry{"3", today, Consume, "city", Outside, 500})
	post(t, b, Entry{"4", today, Refund, "city", Outside, 10})
	post(t, b, Entry{"5", today, Adjust, "city", Outside, -5})
	post(t, b, Entry{"6", today, Withdraw, "city", Outside, 100})
	if post(t, b, Entry{"6", today, Withdraw, "city", Outside, 100}); b.Balance("city") != 445 {
		t.Errorf("%d: an entry that came twice is booked twice", b.Balance("city"))
	}
	all, err := b.CloseDay()
	want := Statement{today, "city", 0, 1000, -100, 60, -500, -10, -5, 445, false}
	if err != nil || len(all) != 2 || all[1] != want || !all[0].Warn {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := b.Post(Entry{"7", today, Deposit, "city", Outside, 1}); !errors.Is(err, ErrDate) {
		t.Errorf("an entry for a closed day: %v", err)
	}
	all, err = b.CloseDay()
	if err != nil || all[1].Opening != 445 || all[1].Closing != 445 || all[1].Date != today.Add(1) {
		t.Errorf("the day after: %+v, %v", all, err)
	}
}

func TestLimits(t *testing.T) {
	b := books(t, "a", "b")
	if !post(t, b, Entry{"1", today, Consume, "a", Outside, 100}) {
		t.Error("nobody is warned")
	}
	for _, e := range []Entry{{"2", today, Consume, "a", Outside, 1}, {"3", today, Load, "b", "a", 1}} {
		if _, err := b.Post(e); !errors.Is(err, ErrBelow) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if b.Balance("a") != -100 || b.Balance("b") != 0 || b.Sum() != 0 {
		t.Errorf("what was refused is booked: %d, %d", b.Balance("a"), b.Balance("b"))
	}
	post(t, b, Entry{"4", today, Adjust, "a", Outside, -1}) // people may
	if b.Balance("a") != -101 {
		t.Error(b.Balance("a"))
	}
}

func TestRefusals(t *testing.T) {
	b := books(t, "a", "b")
	post(t, b, Entry{"ref", today, Deposit, "a", Outside, 5})
	for _, e := range []Entry{
		{"", today, Deposit, "a", Outside, 1}, {"x", today, 0, "a", Outside, 1}, {"x", today, kinds, "a", Outside, 1},
		{"x", today.Add(1), Deposit, "a", Outside, 1}, {"x", today, Deposit, "a", Outside, 0}, {"x", today, Deposit, "a", Outside, -1},
		{"x", today, Adjust, "a", Outside, -maxAmount - 1}, {"x", today, Deposit, "a", "a", 1}, {"x", today, Deposit, "c", Outside, 1},
		{"x", today, Deposit, Outside, "a", 1}, {"x", today, Deposit, "a", "c", 1}, {"ref", today, Deposit, "a", Outside, 6},
	} {
		if _, err := b.Post(e); err == nil {
			t.Errorf("%+v is booked", e)
		}
	}
	if b.Balance("a") != 5 || b.Sum() != 0 {
		t.Errorf("what was refused is booked: %d", b.Balance("a"))
	}
	if b.Close("a") == nil || b.Close("c") == nil || b.Open("a", Limits{}) == nil || b.Open("", Limits{}) == nil || b.Open("d", Limits{Floor: 1}) == nil {
		t.Error("an account with money is closed, or one is opened that cannot be")
	}
	if err := b.Close("b"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Post(Entry{"y", today, Deposit, "b", Outside, 1}); !errors.Is(err, ErrClosed) {
		t.Errorf("an entry for a closed account: %v", err)
	}
	if _, err := b.CloseDay(); err != nil {
		t.Fatal(err)
	}
	if err := b.Open("b", Limits{}); err != nil {
		t.Errorf("the name of a closed account is not free the day after: %v", err)
	}
}

// A broken balance, however it came to be, closes no day.
func TestADayThatDoesNotAddUp(t *testing.T) {
	b := books(t, "a", "b")
	b.of["a"].balance++
	if _, err := b.CloseDay(); err == nil {
		t.Error("a sum that is not zero")
	}
	b.of["b"].balance--
	if _, err := b.CloseDay(); err == nil {
		t.Error("two wrong balances of one sum")
	}
}

// Years of anything: the sum is zero after each entry, the days hang together, and
// the balances are those of a model that only adds.
func TestBooksAgainstAModel(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 5))
		names := []string{"a", "b", "c"}
		b, model, last := books(t, names...), map[string]int64{}, map[string]int64{}
		date := today
		for i := range 500 {
			e := Entry{fmt.Sprint(i), date, Kind(1 + rng.IntN(6)), names[rng.IntN(3)], append(names, Outside)[rng.IntN(4)], rng.Int64N(400) - 20}
			if _, err := b.Post(e); err == nil {
				d := e.Amount
				switch e.Kind.String() {
				case "withdraw", "consume", "refund":
					d = -d
				}
				model[e.Account] += d
				model[e.Against] -= d
			}
			if b.Sum() != 0 {
				t.Fatalf("seed %d: the sum is %d", seed, b.Sum())
			}
			if rng.IntN(40) > 0 {
				continue
			}
			all, err := b.CloseDay()
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				if s.Opening != last[s.Account] || s.Closing != model[s.Account] || s.Date != date {
					t.Fatalf("seed %d: %+v, want from %d to %d", seed, s, last[s.Account], model[s.Account])
				}
				last[s.Account] = s.Closing
			}
			date = date.Add(1)
		}
	}
}
