package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"tongka/admin"
	"tongka/audit"
	"tongka/clearing/day"
	"tongka/clearing/layouts"
	"tongka/clearing/row"
	"tongka/clearing/rules"
	"tongka/clearing/run"
	"tongka/clearing/station"
	"tongka/journal"
	"tongka/journal/query"
	"tongka/node"
	"tongka/sim/book"
	"tongka/translate"
	"tongka/txn"
)

// Cleared is how the demo's day was cleared.
type Cleared struct {
	Date        string `json:"date"`
	Balanced    bool   `json:"balanced"`
	Ours        int64  `json:"ours"`
	Theirs      int64  `json:"theirs"`
	Differences int64  `json:"differences"` // one is planted
	Planted     string `json:"planted"`     // its RRN, empty when there was no sale to plant it in
	Traced      bool   `json:"traced"`      // the report opens to what happened to it
	Report      string `json:"report"`      // the page, empty when it went with a temporary folder
}

// good says that the report balances and that what was planted, and nothing else,
// is found and can be traced.
func (c *Cleared) good() bool {
	if c.Planted == "" {
		return c.Balanced && c.Differences == 0
	}
	return c.Balanced && c.Differences == 1 && c.Traced
}

// How the demo clears its days: each life on a folder is one.
const clearingRules = `match: [{by: [rrn]}]
hold: 0s
files:
  - {name: "bank-a-*.csv", link: bank-a, required: true}
  - {name: "bank-b-*.csv", link: bank-b, required: true}
fees:
  - {name: all, payer: merchant, tiers: [{rate: 0.38%, max: 2000}], shares: [{to: issuer, part: 70%}], remainder: acquirer, returned: true}
settle:
  - {of: merchant, days: 1}
  - {of: issuer, days: 1, collect: true}
`

const clearingStation = `sources: [{name: banks, folder: in, wait: 0s}]
kinds:
  - {name: bank-a, files: "bank-a-{yyyymmdd}.csv"}
  - {name: bank-b, files: "bank-b-{yyyymmdd}.csv"}
send:
  - {name: merchants, per: merchant, files: "M_{merchant}_{yyyymmdd}.csv", to: {folder: out}}
`

// office is where the demo's day is cleared.
type office struct {
	*world
	dir  string
	date day.Date
	cuts day.Cuts
	// How many bookings of each bank earlier lives have told of.
	told    [2]int
	planted string
}

// clear ends the day: the banks bring their files, one of them with a wrong amount,
// and the nightly run makes books and a report of them and the journal.
func (w *world) clear(ctx context.Context) (*Cleared, error) {
	o := &office{world: w, dir: filepath.Join(w.data, "clearing")}
	for _, d := range []string{"in", "out"} {
		if err := os.MkdirAll(filepath.Join(o.dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	if a := w.node.Act(ctx, audit.Who{Via: "demo"}, admin.Action{Verb: admin.Checkpoint, What: o.snapshot()}); !a.OK {
		return nil, fmt.Errorf("%s · %s: %v", a.Zh, a.En, a.Lines)
	}
	defer os.RemoveAll(o.snapshot()) // of this moment only
	for _, step := range []func() error{o.cut, o.files} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	sum, err := o.run(ctx)
	if err != nil {
		return nil, err
	}
	return o.cleared(sum)
}

func (o *office) snapshot() string { return filepath.Join(o.dir, "snapshot") }

func (o *office) journal() (*journal.Kept, error) {
	ring, err := journal.LoadRing(o.cfg.Journal.KeyFile, o.cfg.Journal.OldKeys, o.snapshot(), node.OpenKey(o.cfg))
	if err != nil {
		return nil, err
	}
	return journal.OpenReadOnly(journal.Options{Dir: o.snapshot(), Key: ring.Key, Old: ring.Old})
}

// cut ends the day behind all that the journal has. Days follow each other in the
// book, however often the demo is played on one real day.
func (o *office) cut() (err error) {
	b, err := day.OpenBook(filepath.Join(o.dir, "cuts"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	now := time.Now()
	if len(b.Cuts()) == 0 {
		today, err := day.ParseDate(now.In(translate.Zone).Format("20060102"))
		if err != nil {
			return err
		}
		if err := b.Decide(day.Cut{Date: today.Add(-1), By: day.Origin}); err != nil {
			return err
		}
	}
	log, err := o.journal()
	if err != nil {
		return err
	}
	tick, err := log.TickAt(math.MaxInt64)
	if err = errors.Join(err, log.Close()); err != nil {
		return err
	}
	o.date = b.Cuts().Open()
	err = b.Decide(day.Cut{Date: o.date, End: uint64(journal.FirstOf(tick)), At: now.UnixNano(), By: day.Command})
	o.cuts = b.Cuts()
	return err
}

// files has each bank write what it has booked since the day before.
func (o *office) files() error {
	name := filepath.Join(o.dir, "told.json")
	b, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, &o.told)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for i, bank := range []string{"bank-a", "bank-b"} {
		all := o.banks[i].Bookings()
		if err := o.file(bank, all[min(o.told[i], len(all)):], i == 0); err != nil {
			return err
		}
		o.told[i] = len(all)
	}
	if b, err = json.Marshal(o.told); err != nil {
		return err
	}
	return os.WriteFile(name, b, 0o600)
}

// file writes the file of a bank. In one the first sale has an amount that is not ours.
func (o *office) file(bank string, all []book.Booking, plant bool) (err error) {
	var rows []row.Row
	head := layouts.Head{}
	for i := range all {
		r, ok, err := theirs(&all[i])
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if plant && r.Kind == txn.Sale && r.Status == row.Settled {
			plant, o.planted = false, all[i].RRN
			r.Amount += 100
		}
		head.Records++
		head.Sum += r.Amount
		rows = append(rows, r)
	}
	f, err := os.Create(filepath.Join(o.dir, "in", fmt.Sprintf("%s-%s.csv", bank, o.date)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := (&layouts.Form{Name: layouts.Own}).NewWriter(f, head)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := w.Add(&rows[i]); err != nil {
			return err
		}
	}
	return w.End()
}

// theirs makes a line of a booking; false for one that moved no money.
func theirs(b *book.Booking) (r row.Row, ok bool, err error) {
	r = row.Row{Kind: txn.Sale, Status: row.Settled, Amount: b.Amount, STAN: b.STAN, Sent: b.Sent}
	if b.Kind != "" {
		r.Kind, _ = txn.ParseKind(string(b.Kind)) // one that is not known moves nothing
	}
	if b.State == book.Reversed {
		r.Status = row.Reversed
	}
	if row.Moves(r.Kind) == 0 || b.State != book.Booked && b.State != book.Reversed {
		return r, false, nil
	}
	if _, err := fmt.Sscanf(b.RRN, "%d", &r.RRN); err != nil {
		return r, false, fmt.Errorf("booking with RRN %q: %w", b.RRN, err)
	}
	copy(r.Merchant[:], b.Merchant)
	copy(r.Terminal[:], b.Terminal)
	return r, true, nil
}

// run takes the files in and clears the day, as `switch files scan` and `switch clear
// run` do.
func (o *office) run(ctx context.Context) (*run.Summary, error) {
	names := []string{"bank-a", "bank-b"}
	r, err := rules.Parse("clearing.yaml", []byte(clearingRules), names)
	if err != nil {
		return nil, err
	}
	c, err := station.Parse("station.yaml", o.dir, []byte(clearingStation))
	if err != nil {
		return nil, err
	}
	// The book's days may be ahead of the calendar's.
	evening, err := time.ParseInLocation("20060102", o.date.String(), translate.Zone)
	if err != nil {
		return nil, err
	}
	st, err := station.Open(station.Options{Dir: filepath.Join(o.dir, "station"), Config: c, By: "demo", Now: func() time.Time { return evening.Add(23 * time.Hour) }})
	if err != nil {
		return nil, err
	}
	if err := st.Pass(ctx); err != nil {
		return nil, err
	}
	steps, err := run.ParseSteps("")
	if err != nil {
		return nil, err
	}
	sum, err := run.Run(ctx, run.Options{Dir: o.dir, Date: o.date, Rules: r, Inbox: st, Took: st.Took, Links: names, Cuts: o.cuts, AsOf: math.MaxInt64, Steps: steps,
		Journal: func() (run.Journal, error) { return o.journal() }, Trace: o.trace, Traces: 10, Details: true})
	if err != nil {
		return nil, err
	}
	_, err = st.Send(ctx, station.SendOrder{Date: o.date, Run: o.dir})
	return sum, err
}

// trace tells what happened to a transaction.
func (o *office) trace(id uint64, to journal.LSN) (lines []string, err error) {
	log, err := o.journal()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	d, err := query.NewDesk(log.Reader, 1)
	if err != nil {
		return nil, err
	}
	story, err := d.Show(context.Background(), txn.ID(id), "", false)
	if err != nil {
		return nil, err
	}
	return story.Lines(to), nil
}

// cleared says what came of it. The page outlives a temporary folder.
func (o *office) cleared(sum *run.Summary) (*Cleared, error) {
	r := sum.Report
	c := &Cleared{Date: sum.Date, Balanced: r.Balanced, Ours: r.Counts.Ours, Theirs: r.Counts.Theirs, Differences: r.Counts.Differences, Planted: o.planted,
		Report: filepath.Join(sum.Folder, run.ReportHTML)}
	for i := range r.Cases {
		if r.Cases[i].RRN == o.planted && len(r.Traces[r.Cases[i].Case]) > 1 {
			c.Traced = true
		}
	}
	if o.o.Data != "" {
		return c, nil
	}
	if c.Theirs == 0 { // it was stopped before anybody sold: there is nothing to read
		c.Report = ""
		return c, nil
	}
	page, err := os.ReadFile(c.Report)
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp("", "tongka-clearing-*.html")
	if err != nil {
		return nil, err
	}
	_, err = out.Write(page)
	c.Report = out.Name()
	return c, errors.Join(err, out.Close())
}
