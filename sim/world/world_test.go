package world

import (
	"testing"
	"time"
)

func TestSome(t *testing.T) {
	begin := time.Now()
	tx, crashes := 0, 0
	for seed := range uint64(60) {
		r, err := Run(Options{Seed: seed, Transactions: 1500})
		if err != nil {
			t.Fatal(err)
		}
		tx += r.Transactions
		crashes += r.Crashes
		for _, v := range r.Violations {
			t.Errorf("seed %d %+v", seed, v)
		}
		if len(r.Violations) > 0 {
			s, err := Shrink(Options{Seed: seed, Transactions: 1500}, r, 60)
			t.Log(s.Shortest, err)
			break
		}
	}
	t.Logf("%d transactions, %d crashes, %.0f/s", tx, crashes, float64(tx)/time.Since(begin).Seconds())
}
