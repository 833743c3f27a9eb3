package run

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/clearing/casefile"
	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/rules"
	"tongka/journal"
	"tongka/txn"
)

func at(d, h, m int) time.Time { return time.Date(2026, 10, d, h, m, 0, 0, zone) }

// twoDays plays two days with every kind of difference that our own CSV can tell.
func twoDays(t *testing.T, sales int) *ground {
	g := newGround(t)
	for i := range sales {
		g.both(at(1, 9, 0).Add(time.Duration(i)*time.Second/100), first, txn.Sale, int64(1000+i*37%9000))
	}
	other := g.sale(at(1, 12, 0), txn.Sale, 5000, txn.Approved)
	g.theirs(first, other, 5007)
	g.sale(at(1, 12, 1), txn.Sale, 700, txn.Approved) // they never say so
	late := g.sale(at(1, 12, 2), txn.Sale, 800, txn.Approved)
	g.theirs(first+1, late, 800) // theirs comes a day late
	twice := g.sale(at(1, 12, 3), txn.Sale, 900, txn.Approved)
	g.theirs(first, twice, 900)
	g.theirs(first, twice, 900)
	owed := g.sale(at(1, 12, 4), txn.Sale, 300, txn.TimedOut)
	g.theirs(first, owed, 300)
	held := g.sale(at(1, 22, 50), txn.Sale, 400, txn.Approved) // near the cut
	g.theirs(first+1, held, 400)
	g.both(at(1, 13, 0), first, txn.LoadCash, 10_000)
	g.both(at(1, 13, 1), first, txn.Refund, 250)
	wrongRRN := g.sale(at(1, 13, 2), txn.Sale, 1234, txn.Approved) // found by the second pass
	g.theirs(first, wrongRRN, 1234)
	last := len(g.csv[first]) - 1
	g.csv[first][last] = "999999999999" + g.csv[first][last][12:]
	g.file(first)
	g.write("tills/bus-1.csv", "C1,0001,S1,200,pay\nC1,0002,S2,150,pay\nC2,0002,S3,5000,load\n")

	g.record(at(2, 8, 0), &journal.Record{Kind: journal.Owing, Facts: txn.Facts{ID: owed.ID},
		Body: journal.AppendDebtChange(nil, &journal.DebtChange{What: journal.DebtDelivered})})
	for i := range 50 {
		g.both(at(2, 9, 0).Add(time.Duration(i)*time.Second), first+1, txn.Sale, 2000)
	}
	g.file(first + 1)
	g.stop()
	return g
}

func counts(r *Report) map[string]int64 {
	out := map[string]int64{}
	for _, c := range r.Classes {
		if c.Count > 0 {
			out[c.Class] = c.Count
		}
	}
	return out
}

// Two days are cleared one after the other: every planted difference is found, what
// is held and what comes late match by themselves, and everything adds up.
func TestTwoDays(t *testing.T) {
	g := twoDays(t, 300)
	r := g.clear(first)
	want := map[string]int64{"matched": 300 + 4, "amount-differs": 1, "ours-only": 2, "duplicate": 1, "status-differs": 1, "next-day": 1}
	if got := counts(r); !maps.Equal(got, want) {
		t.Errorf("the first day: %v, want %v", got, want)
	}
	if c := r.Counts; c.Raised != 5 || c.Held != 3 || c.Resolved != 0 || len(r.Proof.Open) != 1 || r.Proof.Owed != 1 || r.Fund.Closing != 10_000+5000-350+13 || r.Fund.Adjusted != 13 || r.Fund.Consume != -350 || c.Purses != 3 {
		t.Errorf("%+v %+v %+v", c, r.Proof, r.Fund)
	}
	r = g.clear(first + 1)
	want = map[string]int64{"matched": 52, "ours-only": 1}
	if got := counts(r); !maps.Equal(got, want) {
		t.Errorf("the second day: %v, want %v", got, want)
	}
	if c := r.Counts; c.Raised != 0 || c.Resolved != 1 || c.OursCarried != 3 || len(r.Proof.Open) != 0 || r.Proof.Confirmed != 1 || r.Fund.Opening != 14_663 || c.Purses != 0 {
		t.Errorf("%+v %+v %+v", c, r.Proof, r.Fund)
	}
	if r.Cases[0].Event != casefile.Resolved || r.Cases[0].Theirs == nil || !strings.HasPrefix(r.Cases[0].Case, "20261001-o-") {
		t.Errorf("%+v", r.Cases)
	}
}

// A run that is killed at any step, in any phase of it, and several times within
// the long ones, gives the same bytes when it is run again, and never publishes a
// day that is not closed.
func TestKilledAnywhere(t *testing.T) {
	want := twoDays(t, 13_000)
	want.clear(first)
	want.clear(first + 1)
	whole := digests(t, filepath.Join(want.dir, "clearing", "days"))
	if len(whole) < 26 {
		t.Fatalf("%d files are published", len(whole))
	}
	// The same ground: a journal's seals differ each time it is written.
	g := &ground{t: t, dir: t.TempDir()}
	g.must(os.Remove(filepath.Join(want.dir, "tills/bus-1.csv.settled")))
	for _, name := range []string{"journal", "in", "tills", "rules.yaml"} {
		g.must(os.Rename(filepath.Join(want.dir, name), filepath.Join(g.dir, name)))
	}
	deaths := 0
	for date := range []int{0, 1} {
		for i, d := range placesToDie(date == 0) {
			if testing.Short() && date == 1 && i%5 > 0 {
				continue // the first day died everywhere
			}
			_, err := os.Stat(DayFolder(filepath.Join(g.dir, "clearing"), first.Add(date).String()))
			if published := err == nil; published {
				t.Fatalf("day %d before %s %d: published %v", date, d.step, d.phase, published)
			}
			if !g.die(first.Add(date), d.step, d.phase, d.n) {
				t.Fatalf("day %d: it did not die at %s, phase %d, %d", date, d.step, d.phase, d.n)
			}
			deaths++
			if d.step == Close && d.phase == Renamed { // decided, and published by the next run
				g.clear(first.Add(date))
			}
		}
		g.clear(first.Add(date))
	}
	t.Logf("%d deaths", deaths)
	if got := digests(t, filepath.Join(g.dir, "clearing", "days")); !maps.Equal(got, whole) {
		for name := range whole {
			if got[name] != whole[name] {
				t.Errorf("%s differs", name)
			}
		}
		t.Errorf("%d files, want %d", len(got), len(whole))
	}
}

type placeToDie struct {
	step  Step
	phase Phase
	n     int
}

// placesToDie are in the order of a run. A run that died at the last place of a
// step goes on behind it.
func placesToDie(long bool) (all []placeToDie) {
	for s := range Steps {
		all = append(all, placeToDie{s, Begins, 0})
		if long && (s == Intake || s == Fold || s == Reconcile || s == Clear) {
			all = append(all, placeToDie{s, Works, 0}, placeToDie{s, Works, 1}, placeToDie{s, Works, 2})
		}
		all = append(all, placeToDie{s, Written, 0}, placeToDie{s, Renamed, 0})
		if s != Close {
			all = append(all, placeToDie{s, Done, 0})
		}
	}
	return all
}

func TestRefusals(t *testing.T) {
	g := twoDays(t, 20)
	expect := func(why string, change func(*Options), target error, words string) {
		t.Helper()
		_, err := g.run(first, change)
		if err == nil || target != nil && !errors.Is(err, target) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", why, err)
		}
	}
	only := func(s Step) func(*Options) { return func(o *Options) { o.Steps = []Step{s} } }
	expect("a step before its turn", only(Clear), ErrUnordered, "reconcile")
	expect("a day that has not ended", func(o *Options) { o.AsOf = at(1, 22, 59).UnixNano() }, nil, "has not ended")
	g.write("in/20261001/other.csv", "x")
	expect("a file nobody expects", nil, nil, "other.csv: ")
	g.must(os.Remove(filepath.Join(g.dir, "in/20261001/other.csv")))
	text, err := os.ReadFile(filepath.Join(g.dir, "in/20261001/bank-20261001.csv"))
	g.must(err)
	g.write("in/20261001/bank-2.csv", string(text))
	expect("the same contents twice", nil, nil, "the same contents as bank-2.csv")
	g.write("in/20261001/bank-2.csv", "rrn,amount\n1,x\n2,5\nend,2,5\n")
	expect("a file with a fault", nil, nil, `bank-2.csv:2:3: amount "x"`)
	redo := Register
	if _, err := g.run(first, func(o *Options) {
		o.Redo, o.GoWithout, o.Steps = &redo, []string{"bank-2.csv"}, []Step{Register, Intake}
	}); err != nil {
		t.Errorf("without it: %v", err)
	}
	g.write("rules.yaml", testRules+"many: false\n")
	expect("other rules", nil, ErrChanged, "rules")
	g.write("rules.yaml", testRules)
	g.write("in/20261001/bank-20261001.csv", string(text)+"\n")
	g.must(os.Remove(filepath.Join(g.dir, "in/20261001/bank-2.csv")))
	again := Intake
	expect("a file that changed", func(o *Options) { o.Redo = &again }, nil, "bank-20261001.csv")
	g.write("in/20261001/bank-20261001.csv", string(text))
	if _, err := g.run(first, func(o *Options) { o.Steps = o.Steps[:Close] }); err != nil {
		t.Fatal(err)
	}
	positions := filepath.Join(g.dir, "clearing/work/20261001", positionsCSV)
	was, err := os.ReadFile(positions)
	g.must(err)
	g.must(os.WriteFile(positions, append(was, "merchant,x,1,1,0,0,1\n"...), 0o600))
	expect("a position by hand", nil, ErrChanged, "positions.csv")
	if _, err := os.Stat(DayFolder(filepath.Join(g.dir, "clearing"), "20261001")); err == nil {
		t.Error("it was published all the same")
	}
	again = Clear
	if s, err := g.run(first, func(o *Options) { o.Redo = &again }); err != nil || !s.Closed {
		t.Fatalf("%+v, %v", s, err)
	}
	expect("to redo a closed day", func(o *Options) { o.Redo = &again }, ErrClosed, "")
	g.write("in/20261001/bank-9.csv", "rrn,amount\n1,5\nend,1,5\n")
	expect("a file for a closed day", nil, ErrClosed, "bank-9.csv")
	if _, err := g.run(first+2, nil); err == nil || !strings.Contains(err.Error(), "so the next is 20261002") {
		t.Errorf("a day left out: %v", err)
	}
	g.write("in/20261002/bank-20261001.csv", string(text))
	if _, err := g.run(first+1, nil); err == nil || !strings.Contains(err.Error(), "were cleared on 20261001") {
		t.Errorf("yesterday's file again: %v", err)
	}
}

// What people decided about a case is booked with the next day, its row waits no
// more, and a decision that would lose money cannot be said.
func TestDecisions(t *testing.T) {
	g := twoDays(t, 20)
	r := g.clear(first)
	var lost string
	for _, e := range r.Cases {
		if e.Class == "ours-only" && e.Fen == 700 {
			lost = e.Case
		}
	}
	g.write("clearing/decisions/20261002.jsonl", `{"case":"`+lost+`","act":"book","ends":true,"moves":[{"from":"issuer:0","to":"merchant:104110045110001","fen":700}]}`+"\n")
	r = g.clear(first + 1)
	if got := counts(r); got["ours-only"] != 0 || r.Decisions != 1 || r.Counts.OursCarried != 2 {
		t.Errorf("%v, %+v", got, r.Counts)
	}
	var booked int64
	for _, p := range r.Parties {
		if p.Name == "104110045110001" {
			booked = p.Cases
		}
	}
	if booked != 700 {
		t.Errorf("the merchant gets %d by decisions", booked)
	}
}

// A party with a reserve account is settled out of it, up to its limit and no
// further: then nothing of it is, and it waits. The sum stays zero.
func TestReserveCaps(t *testing.T) {
	for _, c := range []struct {
		free           int64
		drawn, refused int
	}{{1 << 40, 1, 0}, {10, 0, 1}} {
		g := twoDays(t, 20)
		asked := 0
		s, err := g.run(first, func(o *Options) {
			o.Caps = func(d day.Date) (map[string]int64, error) {
				asked++
				return map[string]int64{"issuer:bank": c.free}, nil
			}
		})
		if err != nil || !s.Closed || asked != 1 {
			t.Fatalf("%v, asked %d", err, asked)
		}
		dir := DayFolder(filepath.Join(g.dir, "clearing"), first.String())
		entries, err := os.ReadFile(filepath.Join(dir, EntriesFile))
		g.must(err)
		if n := strings.Count(string(entries), `"kind":"consume","account":"issuer:bank","fen":-`); n != c.drawn {
			t.Errorf("free %d: %s", c.free, entries)
		}
		refused, err := os.ReadFile(filepath.Join(dir, refusedCSV))
		g.must(err)
		if n := strings.Count(string(refused), "issuer:bank,"); n != c.refused {
			t.Errorf("free %d: %s", c.free, refused)
		}
		page, err := os.ReadFile(filepath.Join(dir, ReportHTML))
		g.must(err)
		if len(s.Report.Refused) != c.refused || strings.Contains(string(page), "未结算") != (c.refused > 0) {
			t.Errorf("free %d: the report has %+v", c.free, s.Report.Refused)
		}
		if strings.Contains(fmt.Sprint(s.Report.Payments), "issuer") {
			t.Errorf("it pays twice: %+v", s.Report.Payments)
		}
	}
}

func TestBalanced(t *testing.T) {
	if err := balanced([]position{{Gross: 5, Net: 5}, {Gross: -5, Net: -5}}); err != nil {
		t.Error(err)
	}
	for _, p := range [][]position{{{Gross: 5, Net: 5}}, {{Gross: 4, Net: 5}, {Gross: -5, Net: -5}}} {
		if err := balanced(p); !errors.Is(err, ErrBalance) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// What cards paid offline is of the first day that is registered with it; a record of
// nobody refuses its file, with its place, and the file waits for a later day.
func TestPaidOffline(t *testing.T) {
	g := twoDays(t, 20)
	g.write("tills/bad.csv", "C1,0001,S1,5,pay\nD1,0001,S7,6,pay\nD1,1/2,S7,6,pay\n")
	_, err := g.run(first, nil)
	if err == nil || !strings.Contains(err.Error(), `bad.csv:2: `) || !strings.Contains(err.Error(), `bad.csv:3: `) || !strings.Contains(err.Error(), "--without") {
		t.Fatalf("a record of nobody: %v", err)
	}
	redo := Register
	s, err := g.run(first, func(o *Options) { o.Redo, o.GoWithout = &redo, []string{"bad.csv"} })
	if err != nil || s.Report.Counts.Purses != 3 || s.Report.Fund.Consume != -350 {
		t.Fatalf("without it: %+v, %v", s, err)
	}
	if last := s.Report.Files[len(s.Report.Files)-1]; last.Name != "bus-1.csv" || last.Link != "offline" || last.Rows != 3 {
		t.Errorf("%+v", s.Report.Files)
	}
	// The rules of today do not name offline files: they are counted, and wait.
	was := testRules
	g.write("rules.yaml", strings.Replace(was, "offline:", "cities: [{name: a, merchants: [\"1*\"]}]\n#", 1))
	if s, err = g.run(first+1, func(o *Options) {
		o.Steps = []Step{Register, Intake, Fold, Totals, Reconcile, Clear, Settle, Reserve, Reporting}
	}); err != nil {
		t.Fatal(err)
	}
	if s.Report.Counts.PursesLeft != 1 || s.Report.Cities[0].City != "a" {
		t.Errorf("%+v", s.Report.Counts)
	}
	g.write("rules.yaml", strings.Replace(was, `company: "C*"`, `company: "[CD]*"`, 1))
	g.write("tills/bad.csv", "C1,0001,S1,5,pay\nD1,0001,S7,6,pay\n")
	s, err = g.run(first+1, func(o *Options) { o.Redo = &redo })
	if err != nil || !s.Closed || s.Report.Counts.Purses != 2 || s.Report.Fund.Consume != -11 {
		t.Fatalf("mended: %+v, %v", s, err)
	}
	if _, err := os.Stat(filepath.Join(g.dir, "tills/bad.csv.settled")); err != nil {
		t.Error("nobody was told that it is settled")
	}
}

// What the fund's account does not cover is not taken out of it: it stands among the
// refused, and is taken with the first day that covers it.
func TestFundCap(t *testing.T) {
	g := twoDays(t, 20)
	g.write("rules.yaml", strings.Replace(testRules, "fees:", "fees:\n  - {name: free, purse: true, payer: merchant, tiers: [{}], remainder: acquirer}", 1))
	g.write("tills/bus-1.csv", "C1,0001,S1,20000,pay\n") // and 10,000 are loaded that day
	entries := func(d day.Date, free int64) (string, *Report) {
		s, err := g.run(d, func(o *Options) {
			o.Caps = func(day.Date) (map[string]int64, error) { return map[string]int64{"fund": free}, nil }
		})
		g.must(err)
		b, err := os.ReadFile(filepath.Join(s.Folder, EntriesFile))
		g.must(err)
		refused, err := os.ReadFile(filepath.Join(s.Folder, refusedCSV))
		g.must(err)
		return string(b) + string(refused), s.Report
	}
	text, r := entries(first, 9999)
	if strings.Contains(text, "consume") || !strings.Contains(text, `"load","account":"fund","fen":10000`) || !strings.Contains(text, "fund,10000,9999") || r.Unpaid != -20_000 || r.Fund.Closing != -10_000 {
		t.Errorf("beyond the limit: %s %+v", text, r.Fund)
	}
	if text, r = entries(first+1, 20_000); !strings.Contains(text, `"consume","account":"fund","fen":-20000`) || r.Unpaid != 0 || r.Fund.Opening != -10_000 {
		t.Errorf("a day later: %s %+v", text, r.Fund)
	}
}

// Cities that are not zero, or are not the whole, are refused.
func TestCitiesBalance(t *testing.T) {
	one := func(fen ...int64) (all []position) {
		for i, n := range fen {
			all = append(all, position{Party: fee.Party{Role: fee.Role(i + 1)}, Gross: n, Net: n})
		}
		return all
	}
	for name, c := range map[string]cleared{
		"":                        {Positions: one(5, -5), Cities: []cityPositions{{"a", one(3, -3)}, {"b", one(2, -2)}}},
		"b: 1 ":                   {Positions: one(5, -5), Cities: []cityPositions{{"a", one(3, -3)}, {"b", one(2, -1)}}},
		"the whole differ by 1 f": {Positions: one(5, -5), Cities: []cityPositions{{"a", one(3, -3)}, {"b", one(1, -1)}}},
	} {
		if err := c.balanced(); (err == nil) != (name == "") || err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What a decision moves between merchants of two cities goes by our house, so that
// each city is zero; other moves are of the city of their merchant, or of none.
func TestDecisionsAcrossCities(t *testing.T) {
	r, err := rules.Parse("r", []byte(testRules+"cities: [{name: a, merchants: [\"1*\"]}, {name: b, merchants: [\"2*\"]}]\n"), []string{"bank"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := newClearer(r)
	if err != nil {
		t.Fatal(err)
	}
	d := casefile.Decision{Case: "x", Act: "adjust", Moves: []casefile.Move{
		{From: "merchant:1", To: "merchant:2", Fen: 7}, {From: "issuer:0", To: "merchant:2", Fen: 5}, {From: "merchant:1", To: "fund", Fen: 3}, {From: "issuer:0", To: "centre", Fen: 1}}}
	if err := c.decide(&d); err != nil {
		t.Fatal(err)
	}
	out, err := c.end()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, city := range out.Cities {
		for _, p := range city.Positions {
			if p.Net != 0 {
				got[city.City+" "+p.Party.String()] = p.Cases
			}
		}
	}
	if want := map[string]int64{"a merchant": -10, "a acquirer": 7, "a fund": 3, "b acquirer": -7, "b issuer:0": -5, "b merchant": 12, "other issuer:0": -1, "other centre": 1}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if out.Fund.Adjust != 3 || c.decide(&casefile.Decision{Case: "x"}) == nil {
		t.Errorf("the fund has %+v", out.Fund)
	}
}
