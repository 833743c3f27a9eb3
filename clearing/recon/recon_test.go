package recon

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tongka/clearing/row"
	"tongka/txn"
)

// list is a stream of rows in memory.
type list struct{ recs [][]byte }

func (l *list) Next() ([]byte, error) {
	if len(l.recs) == 0 {
		return nil, nil
	}
	b := l.recs[0]
	l.recs = l.recs[1:]
	return b, nil
}

func stream(rows []row.Row) *list {
	l := &list{}
	for i := range rows {
		l.recs = append(l.recs, rows[i].Append(nil))
	}
	slices.SortFunc(l.recs, bytes.Compare)
	return l
}

// line reads "key status amount [flags]": * is Held, ! is Owed, @ is late.
func line(t *testing.T, id int, s string) row.Row {
	t.Helper()
	var key uint64
	r := row.Row{ID: uint64(id), Kind: txn.Sale}
	var status, flags string
	if _, err := fmt.Sscan(s, &key, &status, &r.Amount, &flags); err != nil && flags != "" {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint64(r.Key[:], key)
	r.Status, _ = row.ParseStatus(status)
	if strings.Contains(flags, "*") {
		r.Flags |= row.Held
	}
	if strings.Contains(flags, "!") {
		r.Flags |= row.Owed
	}
	if r.At = 10; strings.Contains(flags, "@") {
		r.At = 100
	}
	return r
}

// Each case is one key, both sides, and the verdicts.
func TestVerdicts(t *testing.T) {
	rules := Rules{Tolerance: 2, Many: true, HoldFrom: 50}
	for _, c := range []struct{ ours, theirs, want string }{
		{"1 settled 100", "1 settled 100", "matched:0"},
		{"1 settled 100", "1 settled 102", "matched:1"},
		{"1 settled 100", "1 settled 103", "amount-differs:4"},
		{"1 settled 100", "", "ours-only:8"},
		{"", "1 settled 100", "theirs-only:8"},
		{"1 settled 100 @", "", "next-day:10"},
		{"", "1 settled 100 @", "next-day:10"},
		{"1 settled 100 @*", "", "ours-only:9"},
		{"1 settled 100 *", "1 settled 100", "matched:0"},
		{"1 reversed 100", "1 reversed 100", "matched:3"},
		{"1 failed 100", "1 reversed 100", "matched:3"},
		{"1 failed 100", "1 reversed 99", "matched:3"},
		{"1 failed 100 !", "", "matched:3"},
		{"", "1 reversed 100", "matched:3"},
		{"1 failed 100 !", "1 settled 100", "status-differs:5"},
		{"1 reversed 100", "1 settled 100", "status-differs:6"},
		{"1 settled 100", "1 reversed 100", "status-differs:7"},
		{"1 settled 100", "1 settled 100|1 settled 100", "matched:0 duplicate:11"},
		{"1 settled 100|1 settled 100", "1 settled 100", "matched:0 duplicate:11"},
		{"", "1 settled 100|1 settled 100", "theirs-only:8 duplicate:11"},
		{"1 settled 100", "1 settled 60|1 settled 40", "matched:2 matched:2"},
		{"1 settled 60|1 settled 40", "1 settled 100", "matched:2 matched:2"},
		{"1 settled 100", "1 settled 50|1 settled 40", "amount-differs:4 duplicate:11"},
		{"1 settled 100", "1 reversed 100|1 settled 100", "matched:0 matched:3"},
		{"1 settled 100", "1 tac-failed 100", "tac-failed:12"},
		{"", "1 card-invalid 100", "card-invalid:12"},
		{"1 settled 5", "2 settled 5", "ours-only:8 theirs-only:8"},
	} {
		var sides [2][]row.Row
		for i, s := range []string{c.ours, c.theirs} {
			for j, l := range strings.Split(s, "|") {
				if l != "" {
					sides[i] = append(sides[i], line(t, j, l))
				}
			}
		}
		var got []string
		totals, err := Reconcile(stream(sides[0]), stream(sides[1]), rules, func(r *Result) error {
			got = append(got, fmt.Sprintf("%s:%d", r.Class, r.Reason))
			return nil
		})
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q against %q: %v, want %s (%v)", c.ours, c.theirs, got, c.want, err)
		}
		if totals.Unbalanced() != 0 {
			t.Errorf("%q against %q: %d is not explained", c.ours, c.theirs, totals.Unbalanced())
		}
	}
}

// Days with every kind of trouble, whose verdicts are known from how they are
// made; and each row is in one verdict.
func TestPlantedDays(t *testing.T) {
	type plant struct {
		ours, theirs string
		want         []Class
	}
	plants := []plant{
		{"settled 9", "settled 9", []Class{Matched}}, {"settled 9", "settled 8", []Class{AmountDiffers}}, {"settled 9", "", []Class{OursOnly}},
		{"", "settled 9", []Class{TheirsOnly}}, {"failed 9 !", "settled 9", []Class{StatusDiffers}}, {"settled 9 @", "", []Class{NextDay}},
		{"settled 9", "settled 9|settled 9", []Class{Matched, Duplicate}}, {"reversed 9", "", []Class{Matched}}, {"settled 9", "tac-failed 9", []Class{TACFailed}},
	}
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 9))
		var ours, theirs []row.Row
		var want [Classes]int64
		for key := range 1 + rng.IntN(400) {
			p := plants[rng.IntN(len(plants))]
			for i, s := range []string{p.ours, p.theirs} {
				for _, l := range strings.Split(s, "|") {
					if l == "" {
						continue
					}
					if r := line(t, len(ours)+len(theirs), fmt.Sprintf("%d %s", key*7919%1000, l)); i == 0 {
						ours = append(ours, r)
					} else {
						theirs = append(theirs, r)
					}
				}
			}
			for _, c := range p.want {
				want[c]++
			}
		}
		seen := map[uint64]int{}
		totals, err := Reconcile(stream(ours), stream(theirs), Rules{HoldFrom: 50}, func(r *Result) error {
			if r.HasOurs {
				seen[r.Ours.ID]++
			}
			if r.HasTheirs {
				seen[r.Theirs.ID]++
			}
			return nil
		})
		if err != nil || totals.Count != want || totals.Unbalanced() != 0 {
			t.Fatalf("seed %d: %v, want %v, %d left (%v)", seed, totals.Count, want, totals.Unbalanced(), err)
		}
		for id, n := range seen {
			if n != 1 {
				t.Fatalf("seed %d: row %d is in %d verdicts", seed, id, n)
			}
		}
		var differences int64
		for c := AmountDiffers; c < Classes; c++ {
			differences += want[c]
		}
		if len(seen) != len(ours)+len(theirs) || totals.Differences() != differences {
			t.Fatalf("seed %d: %d differences, want %d, in %d rows", seed, totals.Differences(), differences, len(seen))
		}
	}
}

// One key for all, as a broken file may have it, is answered in bounded memory and
// loses no row.
func TestOneKeyForAll(t *testing.T) {
	var ours, theirs []row.Row
	for i := range 500 {
		ours = append(ours, line(t, i, "7 settled 10"))
		theirs = append(theirs, line(t, i, "7 settled 10"), line(t, 1000+i, "7 settled 11"))
	}
	totals, err := Reconcile(stream(ours), stream(theirs), Rules{Many: true}, func(*Result) error { return nil })
	if err != nil || totals.Unbalanced() != 0 || totals.Count[Matched] != most || totals.Count[Duplicate] != 1500-2*most {
		t.Errorf("%+v, %v", totals, err)
	}
}

func TestReconcileSaysWhatIsWrong(t *testing.T) {
	ok := func(*Result) error { return nil }
	rows := []row.Row{line(t, 1, "2 settled 1"), line(t, 2, "1 settled 1")}
	turned := &list{recs: [][]byte{rows[0].Append(nil), rows[1].Append(nil)}}
	if _, err := Reconcile(turned, &list{}, Rules{}, ok); err == nil || !strings.Contains(err.Error(), "ours, row 1") {
		t.Errorf("out of order: %v", err)
	}
	if _, err := Reconcile(&list{}, &list{recs: [][]byte{{1, 2, 3}}}, Rules{}, ok); err == nil || !strings.Contains(err.Error(), "theirs, row 0") {
		t.Errorf("a short row: %v", err)
	}
	stop := errors.New("stop")
	if _, err := Reconcile(stream(rows), &list{}, Rules{}, func(*Result) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestEverythingHasWords(t *testing.T) {
	for c := range Classes {
		if w := c.Words(); w.ZH == "" || w.EN == "" || c.String() == "" {
			t.Errorf("class %d: %+v", c, w)
		}
	}
	for r := range Reasons {
		if w := r.Words(); w.ZH == "" || w.EN == "" {
			t.Errorf("reason %d: %+v", r, w)
		}
	}
	if Classes.String() != "invalid" || Classes.Words() != (txn.Words{}) || Reasons.Words() != (txn.Words{}) {
		t.Error("what is none has words")
	}
}

func TestAPairAllocatesNothing(t *testing.T) {
	r := line(t, 1, "1 settled 100")
	o, th := r.Append(nil), r.Append(nil)
	const pairs = 1000
	var ours, theirs list
	for range pairs {
		ours.recs, theirs.recs = append(ours.recs, o), append(theirs.recs, th)
	}
	n := testing.AllocsPerRun(5, func() {
		a, b := ours, theirs
		if _, err := Reconcile(&a, &b, Rules{}, func(*Result) error { return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if n > 20 {
		t.Errorf("%v allocations for %d rows of each", n, pairs)
	}
}

// A file that has a transaction and its reversal as two records says of it what our
// one row that does not stand says.
func TestTheirReversals(t *testing.T) {
	sale, back := line(t, 1, "1 settled 100"), line(t, 2, "1 settled 100")
	back.Kind, back.Of = txn.Reversal, txn.Sale
	other := back
	other.Amount = 99
	for _, c := range []struct {
		name         string
		ours, theirs []row.Row
		want         map[Class]int64
	}{
		{"both took it back", []row.Row{line(t, 7, "1 reversed 100")}, []row.Row{sale, back}, map[Class]int64{Matched: 2}},
		{"we know of nothing", nil, []row.Row{sale, back}, map[Class]int64{Matched: 2}},
		{"ours stands", []row.Row{line(t, 7, "1 settled 100")}, []row.Row{sale, back}, map[Class]int64{Matched: 1, StatusDiffers: 1}},
		{"of another amount", []row.Row{line(t, 7, "1 settled 100")}, []row.Row{sale, other}, map[Class]int64{Matched: 1, Duplicate: 1}},
		{"one that we have as well", []row.Row{sale, back}, []row.Row{sale, back}, map[Class]int64{Matched: 2}},
	} {
		tot, err := Reconcile(stream(c.ours), stream(c.theirs), Rules{}, func(*Result) error { return nil })
		if err != nil || tot.Unbalanced() != 0 {
			t.Fatalf("%s: %+v, %v", c.name, tot, err)
		}
		for class := range Classes {
			if tot.Count[class] != c.want[class] {
				t.Errorf("%s: %v %d, want %d", c.name, class, tot.Count[class], c.want[class])
			}
		}
	}
}
