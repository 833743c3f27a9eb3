package fold

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tongka/clearing/day"
	"tongka/clearing/row"
	"tongka/journal"
	"tongka/txn"
)

// tape is a journal of records in memory: the place of each is its index.
type tape []journal.Record

func (tp tape) Replay(from journal.LSN, f func(journal.LSN, *journal.Record) error) error {
	for i := max(from, 1); int(i) <= len(tp); i++ {
		r := tp[i-1]
		if err := f(i, &r); err != nil {
			return err
		}
	}
	return nil
}

func (tp tape) FindID(id txn.ID, r *journal.Record) (journal.LSN, error) {
	for i := range tp {
		if *r = tp[i]; r.Facts.ID == id {
			return journal.LSN(i + 1), nil
		}
	}
	return 0, journal.ErrNotFound
}

func outcome(id txn.ID, kind txn.Kind, amount int64, result txn.Result) journal.Record {
	code := txn.OK
	if result == txn.TimedOut {
		code = txn.NoAnswer
	}
	return journal.Record{Kind: journal.Outcome, Facts: txn.Facts{ID: id, Kind: kind, Amount: amount, Result: result, Code: code, Sent: 1e18, At: 1e18}}
}

func reversal(id, orig txn.ID) journal.Record {
	r := outcome(id, txn.Reversal, 0, txn.Approved)
	r.Facts.Orig, r.Facts.Sent = orig, 0
	return r
}

func debtOf(id txn.ID, what journal.OwingEvent) journal.Record {
	return journal.Record{Kind: journal.Owing, Facts: txn.Facts{ID: id}, Body: journal.AppendDebtChange(nil, &journal.DebtChange{What: what})}
}

// foldAll folds the tape in windows that end at the places given, each with what
// the one before left open, and shows the rows.
func foldAll(t *testing.T, tp tape, ends []int) (rows [][]row.Row, sums []*Summary) {
	t.Helper()
	from, date, open := journal.LSN(1), day.Date(20261001), []Open(nil)
	for _, end := range ends {
		var got []row.Row
		sum, err := Fold(tp, Options{Date: date, From: from, To: journal.LSN(end), Carried: open, Dir: t.TempDir(), Memory: 1}, func(r *row.Row) error {
			got = append(got, *r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if int(sum.Rows) != len(got) {
			t.Errorf("%s: counted %d rows of %d", date, sum.Rows, len(got))
		}
		rows, sums = append(rows, got), append(sums, sum)
		from, date, open = journal.LSN(end), date.Add(1), sum.StillOwe
	}
	return rows, sums
}

func show(rows []row.Row) string {
	var b strings.Builder
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(&b, "%d %s %s %d", r.ID, r.Kind, r.Status, r.Net())
		if r.Flags&row.Owed != 0 {
			b.WriteString(" owed")
		}
		b.WriteString("; ")
	}
	return b.String()
}

// Each line is one thing that can become of a transaction.
func TestWhatBecomesOfATransaction(t *testing.T) {
	rewritten := outcome(30, txn.LoadAccount, 500, txn.Approved)
	rewritten.Facts.Sent = 0
	tp := tape{
		outcome(1, txn.Sale, 100, txn.Approved),
		outcome(2, txn.Sale, 200, txn.Approved), reversal(3, 2), debtOf(2, journal.DebtDelivered),
		outcome(4, txn.Sale, 400, txn.TimedOut),
		outcome(5, txn.Sale, 500, txn.Declined),
		outcome(6, txn.Refund, 60, txn.Approved),
		outcome(7, txn.PreAuth, 70, txn.TimedOut),
		outcome(8, txn.LoadAccount, 80, txn.Declined), debtOf(8, journal.DebtParked),
		outcome(9, txn.Balance, 0, txn.Approved), rewritten,
		// from 13 on: the next day
		debtOf(4, journal.DebtDelivered), reversal(10, 1), reversal(11, 2), reversal(12, 4), reversal(13, 99), debtOf(8, journal.DebtGivenUp),
		// from 19 on: the day after
		reversal(14, 1), debtOf(1, journal.DebtDelivered),
	}
	rows, sums := foldAll(t, tp, []int{13, 19, 21})
	for i, want := range []string{
		"1 sale settled 100; 2 sale reversed 0; 4 sale failed 0 owed; 6 refund settled -60; 8 load-account failed 0 owed; ",
		"1 reversal settled -100 owed; ", "",
	} {
		if got := show(rows[i]); got != want {
			t.Errorf("day %d:\ngot  %s\nwant %s", i+1, got, want)
		}
	}
	for i, want := range []string{"[4 7 8]", "[1 7]", "[7]"} {
		var ids []txn.ID
		for _, o := range sums[i].StillOwe {
			ids = append(ids, o.ID)
		}
		if fmt.Sprint(ids) != want {
			t.Errorf("day %d: open %v, want %s", i+1, ids, want)
		}
	}
	if s := sums[1]; s.Unknown != 1 || s.Owed != 1 || s.Ended != 1 || s.GivenUp != 1 || sums[0].StillOwe[2].Last != journal.DebtParked {
		t.Errorf("the second day counted %+v", s)
	}
}

// model is what every transaction is worth in the end, and what is owed, by the
// plainest of folds over the whole tape.
func model(tp tape) (net int64, owed []txn.ID) {
	last, back, done := map[txn.ID]txn.Facts{}, map[txn.ID]bool{}, map[txn.ID]bool{}
	for i := range tp {
		r := &tp[i]
		switch {
		case r.Kind == journal.Owing:
			c, _ := journal.ReadDebtChange(r.Body)
			done[r.Facts.ID] = c.What == journal.DebtDelivered || c.What == journal.DebtGivenUp
		case r.Facts.Kind == txn.Reversal:
			back[r.Facts.Orig] = true
		default:
			last[r.Facts.ID] = r.Facts
		}
	}
	for id, f := range last {
		switch {
		case f.Result == txn.Approved && !back[id]:
			net += row.Moves(f.Kind) * f.Amount
		case f.Result == txn.Declined:
		case !done[id]:
			owed = append(owed, id)
		}
	}
	slices.Sort(owed)
	return net, owed
}

// However a life is cut into days, the days add up to the whole, no transaction is
// paid twice, and what is owed is owed.
func TestDaysAddUpToTheWhole(t *testing.T) {
	kinds := []txn.Kind{txn.Sale, txn.Sale, txn.Void, txn.Refund, txn.PreAuth, txn.Completion, txn.LoadCash, txn.LoadVoid}
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var tp tape
		owing := map[txn.ID]bool{}
		var approved, reversed []txn.ID
		for id := txn.ID(1); id < txn.ID(5+rng.IntN(120)); id++ {
			switch dice := rng.IntN(10); {
			case dice < 2 && len(approved) > 0:
				i := rng.IntN(len(approved))
				tp = append(tp, reversal(id, approved[i]))
				owing[approved[i]] = true
				reversed = append(reversed, approved[i])
				approved = slices.Delete(approved, i, i+1)
			case dice < 3 && len(reversed) > 0: // once more, by another number
				tp = append(tp, reversal(id, reversed[rng.IntN(len(reversed))]))
			case dice < 5 && len(owing) > 0:
				o := slices.Sorted(maps.Keys(owing))[rng.IntN(len(owing))]
				what := journal.OwingEvent(1 + rng.IntN(5))
				tp = append(tp, debtOf(o, what))
				if what == journal.DebtDelivered || what == journal.DebtGivenUp {
					delete(owing, o)
				}
			default:
				result := []txn.Result{txn.Approved, txn.Approved, txn.Declined, txn.TimedOut}[rng.IntN(4)]
				tp = append(tp, outcome(id, kinds[rng.IntN(len(kinds))], rng.Int64N(1000), result))
				switch result {
				case txn.Approved:
					approved = append(approved, id)
				case txn.TimedOut:
					owing[id] = true
				}
			}
		}
		var ends []int
		for at := 1; at <= len(tp); at += rng.IntN(1 + len(tp)) {
			ends = append(ends, at)
		}
		ends = append(ends, len(tp)+1)
		rows, sums := foldAll(t, tp, ends)
		var net int64
		for i := range rows {
			for j := range rows[i] {
				net += rows[i][j].Net()
			}
		}
		wantNet, wantOwed := model(tp)
		var owed []txn.ID
		for _, o := range sums[len(sums)-1].StillOwe {
			owed = append(owed, o.ID)
		}
		if net != wantNet || !slices.Equal(owed, wantOwed) {
			t.Fatalf("seed %d, windows %v: net %d, want %d; owed %v, want %v", seed, ends, net, wantNet, owed, wantOwed)
		}
	}
}

func TestFoldSaysWhatIsWrong(t *testing.T) {
	emit := func(*row.Row) error { return nil }
	bad := debtOf(3, 1)
	bad.Body = bad.Body[:4]
	for want, tp := range map[string]tape{
		"record 0.1: owing at byte 4": {bad},
		"amount -5 is negative":       {outcome(1, txn.Sale, -5, txn.Approved)},
	} {
		if _, err := Fold(tp, Options{From: 1, To: 9, Dir: t.TempDir()}, emit); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := Fold(tape{}, Options{From: 2, To: 1, Dir: t.TempDir()}, emit); err == nil {
		t.Error("a window that ends before it begins")
	}
	stop := errors.New("stop")
	_, err := Fold(tape{outcome(1, txn.Sale, 5, txn.Approved)}, Options{From: 1, To: 9, Dir: t.TempDir()}, func(*row.Row) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("the receiver's error is lost: %v", err)
	}
}
