package run

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tongka/clearing/day"
	"tongka/journal"
	"tongka/txn"
)

// modelRules have every corner that a fee has: tiers, bounds, odd shares of which all
// parties get some, what is given back and what is not, purses by themselves.
const modelRules = `match: [{by: [rrn]}, {by: [stan, sent, amount]}]
cut: "23:00"
tolerance: 4
tolerated: centre
files: [{name: "bank-*.csv", link: 0, required: true}]
cities: [{name: north, merchants: ["*0", "*1"]}]
offline: [{company: "C*", merchant: "10411004511{terminal}"}]
fees:
  - {name: purse, purse: true, payer: merchant, tiers: [{rate: 0.1%, min: 1}], shares: [{to: issuer, part: 50%}], remainder: acquirer}
  - {name: small, kinds: [sale], merchant: "104110045110001", payer: merchant, remainder: centre,
     tiers: [{up_to: 100, fixed: 1}, {up_to: 50000, rate: 0.5%, min: 3}, {rate: 0.38%, max: 2000}],
     shares: [{to: issuer, part: 33.3333%}, {to: acquirer, part: 33.3333%}, {to: fund, part: 10%}]}
  - {name: all, payer: merchant, tiers: [{rate: 0.38%, max: 2000}], shares: [{to: issuer, part: 70%}], remainder: acquirer, returned: true}
settle:
  - {of: merchant, days: 1, least: 100}
`

// deal is one thing of the model: what happened, and on which day each side has it.
type deal struct {
	kind     txn.Kind
	taken    bool // it takes an earlier day's transaction back
	purse    bool // a card paid or was loaded offline: it waits for nobody
	merchant string
	ours     int64 // fen
	theirs   int64
	dayOurs  int // from 0; -1: never
	dayTheir int
}

// booked is the day with which it counts: the first on which both have it, if they
// agree at all, to four fen.
func (d *deal) booked() int {
	if off := d.theirs - d.ours; d.dayOurs < 0 || d.dayTheir < 0 || off > 4 || off < -4 {
		return -1
	}
	return max(d.dayOurs, d.dayTheir)
}

// share is who gets what of a fee.
type share map[string]int64

// fees says in words and whole fen what a deal costs, and who gets it; half a fen up.
func (d *deal) fees() share {
	fen := d.ours
	switch {
	case d.purse:
		fee := max((fen+500)/1000, 1)
		return share{"fund/": fee / 2, "acquirer/": fee - fee/2}
	case d.kind == txn.Sale && d.merchant == "104110045110001":
		fee := int64(1)
		if fen > 100 {
			fee = max((fen*5+500)/1000, 3)
		}
		if fen > 50_000 {
			fee = min((fen*38+5000)/10_000, 2000)
		}
		third, tenth := fee*333_333/1_000_000, fee/10
		return share{"issuer/bank": third, "acquirer/": third, "fund/": tenth, "centre/": fee - 2*third - tenth}
	}
	fee := min((fen*38+5000)/10_000, 2000)
	return share{"issuer/bank": fee * 7 / 10, "acquirer/": fee - fee*7/10}
}

// model adds a deal to a day's positions: to those of the house by names as
// positions.csv has them, and to those of its city as cities.csv has them.
func (d *deal) model(to map[string]int64) {
	city := "other/"
	if strings.HasSuffix(d.merchant, "0") || strings.HasSuffix(d.merchant, "1") {
		city = "north/"
	}
	move := func(from, with string, fen int64) {
		for who, n := range map[string]int64{from: -fen, with: fen} {
			to[who] += n
			if strings.HasPrefix(who, "merchant/") {
				who = "merchant/"
			}
			to[city+who] += n
		}
	}
	shop, bank := "merchant/"+d.merchant, "issuer/bank"
	from, with := bank, shop
	if d.purse {
		from = "fund/"
	}
	if d.kind == txn.LoadCash {
		from, with = shop, "fund/"
	}
	sign := int64(1)
	if (d.kind == txn.Refund) != d.taken {
		sign = -1
	}
	move(from, with, sign*d.ours)
	for who, fen := range d.fees() {
		move(shop, who, sign*fen)
	}
	// The side that is not the merchant's settles what it says, and the centre bears it.
	if off := sign * (d.theirs - d.ours); d.kind == txn.LoadCash {
		move("centre/", "fund/", off)
	} else {
		move(bank, "centre/", off)
	}
}

// history makes days of deals, with the journal and the files that tell of them.
type history struct {
	*ground
	r     *rand.Rand
	days  int
	deals []deal
	files map[int][]string
	after []delayed // of the next day
	told  bool      // the store of offline transactions hears what is settled
}

func (h *history) at(d int) time.Time {
	h.ground.t.Helper()
	return at(1+d, 9, 0).Add(time.Duration(len(h.deals)) * 20 * time.Second)
}

// theirLine has them know of a transaction on a day.
func (h *history) theirLine(d int, f *txn.Facts, fen int64, kind, of string) {
	t := time.Unix(0, f.At).In(zone)
	h.files[d] = append(h.files[d], fmt.Sprintf("%03d%09d,%06d,%s,%d,%s,%s", t.YearDay(), f.ID%1_000_000_000, f.ID.STAN(), t.Format("0102150405"), fen, kind, of))
}

// one makes a deal of a day, agreed or with one of the differences.
func (h *history) one(d int) {
	kind := []txn.Kind{txn.Sale, txn.Sale, txn.Refund, txn.LoadCash}[h.r.IntN(4)]
	// Corners of the tiers are likely.
	fen := []int64{1 + h.r.Int64N(300), 1 + h.r.Int64N(100_000), 1 + h.r.Int64N(2_000_000), 100, 101, 131, 132, 50_000, 50_001, 526_315, 526_316}[h.r.IntN(11)]
	when := h.at(d)
	x := deal{kind: kind, ours: fen, theirs: fen, dayOurs: d, dayTheir: d}
	how := h.r.IntN(12)
	result := txn.Approved
	if how == 0 {
		result, x.dayOurs = txn.TimedOut, -1 // we took it back; they may have it
	}
	if how == 1 && d+1 < h.days { // near the cut: theirs has it a day later
		when, x.dayTheir = at(1+d, 22, 40).Add(time.Duration(len(h.deals))*time.Second), d+1
	}
	f := h.sale(when, kind, fen, result)
	x.merchant = strings.TrimRight(string(f.Terminal.Merchant[:]), " \x00")
	switch {
	case how == 2:
		x.theirs = max(1, x.theirs-9+h.r.Int64N(19))
	case how == 3:
		x.dayTheir = -1
	case how == 4:
		x.dayTheir = min(d+1+h.r.IntN(2), h.days)
	}
	if x.dayTheir >= 0 && x.dayTheir < h.days {
		h.theirLine(x.dayTheir, f, x.theirs, kind.String(), "")
		if how == 5 {
			h.theirLine(x.dayTheir, f, x.theirs, kind.String(), "") // once more
		}
	}
	h.deals = append(h.deals, x)
	if how == 6 { // only theirs
		h.id++
		h.theirLine(d, &txn.Facts{ID: h.id, At: when.UnixNano()}, fen, kind.String(), "")
	}
	if how == 7 && d+1 < h.days && kind != txn.LoadCash {
		h.takeBack(d+1, f, x)
	}
}

// takeBack has the terminal reverse, after midnight, what was cleared.
func (h *history) takeBack(d int, f *txn.Facts, x deal) {
	when := at(1+d, 0, 30).Add(time.Duration(len(h.deals)) * time.Second)
	x.taken, x.dayOurs, x.dayTheir = true, d, d
	h.deals = append(h.deals, x)
	h.theirLine(d, f, x.ours, "reversal", x.kind.String())
	h.id++
	later := txn.Facts{ID: h.id, Kind: txn.Reversal, Orig: f.ID, Code: txn.OK, Result: txn.Approved, At: when.UnixNano(), Amount: f.Amount}
	h.after = append(h.after, delayed{when, &journal.Record{Kind: journal.Outcome, Facts: later}})
}

// offline makes a file of what was paid and loaded offline, which comes on a day.
func (h *history) offline(d int) {
	var text strings.Builder
	for i := range 1 + h.r.IntN(20) {
		x := deal{kind: txn.OfflineSale, purse: true, ours: []int64{1, 200, 499, 500, 501, 1 + h.r.Int64N(100_000)}[h.r.IntN(6)], dayOurs: d, dayTheir: d}
		x.theirs = x.ours
		word := "pay"
		if h.r.IntN(4) == 0 {
			x.kind, word = txn.LoadCash, "load"
		}
		terminal := fmt.Sprintf("%04d", h.r.IntN(3))
		x.merchant = "10411004511" + terminal
		h.deals = append(h.deals, x)
		fmt.Fprintf(&text, "C%d,%s,S%d,%d,%s\n", i%3, terminal, d, x.ours, word)
	}
	h.write(fmt.Sprintf("tills/%d.csv", d), text.String())
}

// delayed is a record that is written when its day comes.
type delayed struct {
	at time.Time
	r  *journal.Record
}

// Days of every kind of difference, within the tolerance and beyond it, with refunds
// and reversals over midnight, a file that comes a day late and one that comes twice,
// and what was paid offline, give the same cents as a model that knows nothing of how
// they are found: of each party, in each city.
func TestDaysAgreeWithASlowModel(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		h := &history{ground: newGround(t), r: rand.New(rand.NewPCG(seed, 3)), days: 4, files: map[int][]string{}, told: seed%2 == 0}
		h.write("rules.yaml", modelRules)
		lost := h.r.IntN(h.days - 1) // their file of this day comes with the next one's
		for d := range h.days {
			var now []delayed
			now, h.after = h.after, nil
			for _, x := range now {
				h.record(x.at, x.r)
			}
			for range 60 {
				h.one(d)
			}
		}
		h.files[lost+1] = append(h.files[lost+1], h.files[lost]...)
		h.files[lost] = nil
		for i := range h.deals {
			if h.deals[i].dayTheir == lost {
				h.deals[i].dayTheir = lost + 1
			}
		}
		for d := range h.days {
			if d != lost {
				h.csvOf(first.Add(d), h.files[d])
			}
		}
		h.stop()
		for d := range h.days {
			h.offline(d)
			h.compare(seed, d, d == lost)
		}
	}
}

// csvOf writes their file.
func (h *history) csvOf(d day.Date, lines []string) {
	var sum int64
	for _, l := range lines {
		n, _ := strconv.ParseInt(strings.Split(l, ",")[3], 10, 64)
		sum += n
	}
	h.write(fmt.Sprintf("in/%s/bank-%s.csv", d, d), fmt.Sprintf("rrn,stan,sent,amount,kind,of\n%s\nend,%d,%d\n", strings.Join(lines, "\n"), len(lines), sum))
}

// compare clears a day and holds its positions against the model's.
func (h *history) compare(seed uint64, d int, lost bool) {
	h.ground.t.Helper()
	date := first.Add(d)
	if d > 0 && !lost { // yesterday's file once more is refused, and left out
		if b, err := os.ReadFile(filepath.Join(h.dir, fmt.Sprintf("in/%s/bank-%s.csv", date.Add(-1), date.Add(-1)))); err == nil {
			h.write(fmt.Sprintf("in/%s/bank-again.csv", date), string(b))
			if _, err := h.run(date, nil); err == nil {
				h.ground.t.Errorf("seed %d, day %d: the same file twice", seed, d)
			}
		}
	}
	s, err := h.run(date, func(o *Options) {
		o.GoWithout = []string{"bank-*.csv", "bank-again.csv"}
		if !h.told { // as if each run had died before it could tell
			o.Purses = forgetful{tills(filepath.Join(h.dir, "tills"))}
		}
	})
	if err != nil || !s.Closed || s.Report.sumNet() != 0 {
		h.ground.t.Fatalf("seed %d, day %d: %v", seed, d, err)
	}
	want, fund := map[string]int64{}, int64(0)
	for i := range h.deals {
		if x := &h.deals[i]; x.booked() == d {
			x.model(want)
			if x.purse && x.kind == txn.OfflineSale {
				fund -= x.ours
			}
		}
	}
	if f := s.Report.Fund; f.Consume != fund || f.Closing-f.Opening != want["fund/"] {
		h.ground.t.Errorf("seed %d, day %d: the fund's day is %+v, the model's %d and %d", seed, d, f, fund, want["fund/"])
	}
	for who, fen := range tableOf(h.ground.t, filepath.Join(s.Folder, positionsCSV), "role", "name") {
		h.same(seed, d, who, fen, want)
	}
	sums := map[string]int64{}
	for who, fen := range tableOf(h.ground.t, filepath.Join(s.Folder, citiesCSV), "city", "role", "name") {
		h.same(seed, d, who, fen, want)
		city, _, _ := strings.Cut(who, "/")
		sums[city] += fen
	}
	for city, sum := range sums {
		if sum != 0 {
			h.ground.t.Errorf("seed %d, day %d: %s sums to %d", seed, d, city, sum)
		}
	}
	for who, fen := range want {
		if fen != 0 {
			h.ground.t.Errorf("seed %d, day %d: %s has nothing, the model %d", seed, d, who, fen)
		}
	}
}

// same holds one position against the model's, and takes it off the list.
func (h *history) same(seed uint64, d int, who string, fen int64, want map[string]int64) {
	h.ground.t.Helper()
	if fen != want[who] {
		h.ground.t.Errorf("seed %d, day %d: %s has %d, the model %d", seed, d, who, fen, want[who])
	}
	delete(want, who)
}

// forgetful never keeps what is settled.
type forgetful struct{ tills }

// Settled implements Purses.
func (forgetful) Settled([]string) error { return nil }

// tableOf reads the column net_fen of a table, by others.
func tableOf(t *testing.T, name string, by ...string) map[string]int64 {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for _, row := range rows[1:] {
		var who []string
		var net int64
		for i, column := range rows[0] {
			for _, b := range by {
				if b == column {
					who = append(who, row[i])
				}
			}
			if column == "net_fen" {
				if net, err = strconv.ParseInt(row[i], 10, 64); err != nil {
					t.Fatal(err)
				}
			}
		}
		out[strings.Join(who, "/")] = net
	}
	return out
}
