package limits

import (
	"math/rand/v2"
	"testing"
	"time"

	"tongka/txn"
)

func TestDayBeginsAtItsCut(t *testing.T) {
	beijing := time.FixedZone("", 8*3600)
	at := func(d, h, m int) int64 { return time.Date(2026, 3, d, h, m, 0, 0, beijing).UnixNano() }
	for _, c := range []struct {
		a, b int64
		cut  time.Duration
		same bool
	}{
		{at(1, 0, 0), at(1, 23, 59), 0, true},
		{at(1, 23, 59), at(2, 0, 0), 0, false},
		{at(1, 23, 0), at(2, 22, 59), 23 * time.Hour, true},
		{at(1, 22, 59), at(1, 23, 0), 23 * time.Hour, false},
	} {
		if a, b := Day(c.a, c.cut), Day(c.b, c.cut); (a == b) != c.same || a != b && b != a+1 {
			t.Errorf("%v: days %d and %d", c, a, b)
		}
	}
}

func TestRule(t *testing.T) {
	r := Rule{Single: 500, Sum: 1000, Count: 3}
	var u Use
	for i, c := range []struct {
		day    int32
		amount int64
		want   Verdict
	}{
		{1, 501, OverAmount}, {1, 500, Pass}, {1, 500, Pass}, {1, 1, OverAmount}, {1, 0, Pass}, {1, 0, OverCount},
		{2, 500, Pass}, {1, 500, Pass}, {2, 501, OverAmount},
	} {
		got := r.Check(&u, c.day, c.amount)
		if got != c.want {
			t.Errorf("step %d: %v, want %v", i, got, c.want)
		}
		if got == Pass {
			u.Add(c.day, c.amount)
		}
	}
	if u != (Use{Sum: 500, Day: 2, Count: 1}) {
		t.Errorf("%+v: an older day was counted", u)
	}
	u.Take(1, 500)
	u.Take(2, 500)
	u.Take(2, 500)
	if u != (Use{Day: 2}) {
		t.Errorf("taken back: %+v", u)
	}
	if none := (&Rule{}).Check(&Use{Sum: 1 << 60, Day: 1, Count: 1 << 31}, 1, 1<<60); none != Pass {
		t.Errorf("no bounds: %v", none)
	}
}

func TestCodes(t *testing.T) {
	for v, want := range map[Verdict]txn.Code{Pass: {}, OverAmount: {'6', '1'}, OverCount: {'6', '5'}, NoRoom: txn.SystemFault} {
		if v.Code() != want {
			t.Errorf("%v: %v", v, v.Code())
		}
	}
}

func TestFind(t *testing.T) {
	p, d := &Profile{}, &Profile{}
	s := &Set{Terminal: {"a": p, Default: d}}
	if s.Find(Terminal, "a") != p || s.Find(Terminal, "") != d || s.Find(Terminal, "x") != nil || s.Find(Card, "") != nil || (*Set)(nil).Find(Card, "") != nil {
		t.Error("another profile")
	}
}

func TestClasses(t *testing.T) {
	for k, want := range map[txn.Kind]Class{txn.SignIn: Free, txn.Sale: Pay, txn.Reversal: Free, txn.Balance: Ask, 200: Pay} {
		if got := ClassOf(k); got != want {
			t.Errorf("%v: %v", k, got)
		}
	}
	if len(ClassWords) != int(Classes) || len(SubjectWords) != int(Subjects) {
		t.Error("a class or subject without a word")
	}
}

// Random cards over some days, against a map.
func TestCardsAgainstModel(t *testing.T) {
	type key struct {
		print uint64
		class Class
	}
	for seed := range uint64(10) {
		rng, c := rand.New(rand.NewPCG(seed, 3)), NewCards(40)
		_, most := c.Len()
		model, today := map[key]Use{}, int32(100)
		for step := range 3000 {
			if rng.IntN(100) == 0 {
				today++
				model = map[key]Use{}
			}
			k, amount := key{rng.Uint64N(60), Class(rng.IntN(2))}, rng.Int64N(100)
			had, known := model[k]
			r := Rule{Sum: 500, Count: 9}
			want := r.Check(&had, today, amount)
			if !known && len(model) >= most {
				want = NoRoom
			}
			if got := c.Check(&r, k.print, k.class, today, amount); got != want {
				t.Fatalf("seed %d step %d: %v, want %v", seed, step, got, want)
			}
			switch {
			case want == Pass:
				c.Add(k.print, k.class, today, amount)
				had.Add(today, amount)
				model[k] = had
			case known && rng.IntN(2) == 0 && had.Count > 0:
				c.Take(k.print, k.class, today, 0)
				had.Take(today, 0)
				model[k] = had
			case want == NoRoom:
				c.Add(k.print, k.class, today, amount) // nothing happens
			}
			if used, _ := c.Len(); used != len(model) && len(model) > 0 {
				t.Fatalf("seed %d step %d: %d places, want %d", seed, step, used, len(model))
			}
		}
	}
}

func TestCardsOfAnotherDay(t *testing.T) {
	c, r := NewCards(4), &Rule{Count: 1}
	c.Add(7, Pay, 5, 100)
	if c.Check(r, 7, Pay, 5, 1) != OverCount || c.Check(r, 7, Load, 5, 1) != Pass || c.Check(r, 7, Pay, 6, 1) != Pass || c.Check(r, 7, Pay, 4, 1) != Pass {
		t.Error("classes or days are mixed up")
	}
	c.Take(7, Pay, 4, 100)
	c.Add(7, Pay, 4, 100)
	if c.Check(r, 7, Pay, 5, 1) != OverCount {
		t.Error("another day changed this one")
	}
	c.Take(7, Pay, 5, 100)
	c.Take(8, Pay, 5, 100)
	if c.Check(r, 7, Pay, 5, 1) != Pass {
		t.Error("not taken back")
	}
}

func TestAllocatesNothing(t *testing.T) {
	c, r, n := NewCards(1000), &Rule{Single: 1000, Sum: 1 << 50, Count: 1 << 30}, uint64(0)
	if a := testing.AllocsPerRun(2000, func() {
		n++
		if c.Check(r, n<<20, Pay, int32(n/500), 100) == Pass {
			c.Add(n<<20, Pay, int32(n/500), 100)
		}
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// BenchmarkCards is one transaction of one of a million cards, checked and counted.
func BenchmarkCards(b *testing.B) {
	c, r := NewCards(1<<20), &Rule{Single: 1000, Sum: 1 << 50, Count: 1 << 30}
	rng := rand.New(rand.NewPCG(1, 1))
	prints := make([]uint64, 1<<20)
	for i := range prints {
		prints[i] = rng.Uint64()
	}
	b.ResetTimer()
	for i := range b.N {
		p := prints[i&(1<<20-1)]
		if c.Check(r, p, Pay, 1, 100) == Pass {
			c.Add(p, Pay, 1, 100)
		}
	}
}
