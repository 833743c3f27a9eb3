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

// deal is one thing of the model: what happened, and on which day each side has it.
type deal struct {
	kind     txn.Kind
	taken    bool // it takes an earlier day's transaction back
	merchant string
	ours     int64 // fen
	theirs   int64
	dayOurs  int // from 0; -1: never
	dayTheir int
}

// booked is the day with which it counts: the first on which both have it, if they
// agree at all.
func (d *deal) booked() int {
	if d.dayOurs < 0 || d.dayTheir < 0 || d.ours != d.theirs {
		return -1
	}
	return max(d.dayOurs, d.dayTheir)
}

// modelFee is 0.38 % and at most 20 yuan, half a fen up; of it the issuer has 70 %,
// the rest is ours.
func modelFee(fen int64) (fee, issuer int64) {
	fee = min((fen*38*2+10_000)/20_000, 2000)
	return fee, fee * 7 / 10
}

// model adds a deal to a day's positions, by names as positions.csv has them.
func (d *deal) model(to map[string]int64) {
	from, with := "issuer/bank", "merchant/"+d.merchant
	if d.kind == txn.LoadCash {
		from, with = with, "fund/"
	}
	sign := int64(1)
	if (d.kind == txn.Refund) != d.taken {
		sign = -1
	}
	to[from] -= sign * d.ours
	to[with] += sign * d.ours
	fee, issuer := modelFee(d.ours)
	to["merchant/"+d.merchant] -= sign * fee
	to["issuer/bank"] += sign * issuer
	to["acquirer/"] += sign * (fee - issuer)
}

// history makes days of deals, with the journal and the files that tell of them.
type history struct {
	*ground
	r     *rand.Rand
	days  int
	deals []deal
	files map[int][]string
	after []delayed // of the next day
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
	fen := 1 + h.r.Int64N([]int64{300, 100_000, 2_000_000}[h.r.IntN(3)])
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
		x.theirs += 1 + h.r.Int64N(9)
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

// delayed is a record that is written when its day comes.
type delayed struct {
	at time.Time
	r  *journal.Record
}

// Days of every kind of difference, with refunds and reversals over midnight, a file
// that comes a day late and one that comes twice, give the same cents as a model that
// knows nothing of how they are found.
func TestDaysAgreeWithASlowModel(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		h := &history{ground: newGround(t), r: rand.New(rand.NewPCG(seed, 3)), days: 4, files: map[int][]string{}}
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
	s, err := h.run(date, func(o *Options) { o.GoWithout = []string{"bank-*.csv", "bank-again.csv"} })
	if err != nil || !s.Closed || s.Report.sumNet() != 0 {
		h.ground.t.Fatalf("seed %d, day %d: %v", seed, d, err)
	}
	want := map[string]int64{}
	for i := range h.deals {
		if h.deals[i].booked() == d {
			h.deals[i].model(want)
		}
	}
	f, err := os.Open(filepath.Join(s.Folder, positionsCSV))
	h.must(err)
	rows, err := csv.NewReader(f).ReadAll()
	h.must(err)
	h.must(f.Close())
	for _, row := range rows[1:] {
		who := row[0] + "/" + row[1]
		if got, _ := strconv.ParseInt(row[6], 10, 64); got != want[who] {
			h.ground.t.Errorf("seed %d, day %d: %s has %d, the model %d", seed, d, who, got, want[who])
		}
		delete(want, who)
	}
	for who, fen := range want {
		if fen != 0 {
			h.ground.t.Errorf("seed %d, day %d: %s has nothing, the model %d", seed, d, who, fen)
		}
	}
}
