package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"tongka/clearing/casefile"
	"tongka/clearing/day"
	"tongka/clearing/extsort"
	"tongka/clearing/fold"
	"tongka/clearing/row"
	"tongka/journal"
	"tongka/txn"
)

// sideTotals are one side's of one link, without what was carried.
type sideTotals struct {
	Rows    int64 `json:"rows"`
	Settled int64 `json:"settled"` // of these, that move money
	Net     int64 `json:"net"`     // fen
}

type byLink map[txn.LinkID]*sideTotals

func (t byLink) add(r *row.Row) {
	x := t[r.Link]
	if x == nil {
		x = &sideTotals{}
		t[r.Link] = x
	}
	x.Rows++
	if n := r.Net(); n != 0 {
		x.Settled++
		x.Net += n
	}
}

// intaken is what Intake leaves.
type intaken struct {
	Rows    int64         `json:"rows"`
	Carried int64         `json:"carried"`
	Links   byLink        `json:"links"`
	Files   []fileTotals  `json:"files"`
	Refused []refusedFile `json:"refused"` // and gone without
	Purses  []fileTotals  `json:"purses,omitempty"`
}

type fileTotals struct {
	Name string `json:"name"`
	sideTotals
}

type refusedFile struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Rows between the steps, below tmp.
const (
	oursRows   = "ours.rows"
	theirsRows = "theirs.rows"
	agreedRows = "agreed.rows"
	pursesRows = "purses.rows"
	tolerated  = "tolerated.rows"
	heldRows   = carry + "/held.rows" // this one is kept for the next day
	carryFile  = carry + "/carry.json"
)

// Names of what is published.
const (
	filesCSV     = "files.csv"
	totalsCSV    = "totals.csv"
	proofCSV     = "proof.csv"
	diffCSV      = "differences.csv"
	CasesFile    = "cases.jsonl"
	positionsCSV = "positions.csv"
	citiesCSV    = "cities.csv"
	paymentsCSV  = "payments.csv"
	refusedCSV   = "refused.csv"
	reserveCSV   = "reserve.csv"
	// EntriesFile are lines for the ledger of reserve accounts.
	EntriesFile = "reserve.jsonl"
)

// sorter makes rows of one side sorted by the first pass's fields.
type sorter struct {
	j *job
	s *extsort.Sorter
	b []byte
}

func (j *job) sorter(name string) (*sorter, error) {
	s, err := extsort.New(extsort.Options{Dir: j.runs(), Name: name, Size: row.Size, Memory: j.o.Memory})
	return &sorter{j: j, s: s}, err
}

func (s *sorter) add(r *row.Row, by row.Fields) error {
	r.SetKey(by)
	s.b = r.Append(s.b[:0])
	return s.s.Add(s.b)
}

// store writes what was added, in order, to an output: rows between the steps when
// temp, else rows that are published.
func (s *sorter) store(name string, temp bool) error {
	st, err := s.s.Sort()
	if err != nil {
		return err
	}
	o, err := s.j.create(name, temp)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	for n := int64(0); ; n++ {
		b, err := st.Next()
		if b != nil && err == nil {
			_, err = o.Write(b)
			s.j.part = reading + (1-reading)*float64(n)/float64(s.s.Count())
			err = errors.Join(err, s.j.row())
		}
		if b == nil || err != nil {
			return o.end(errors.Join(err, st.Close()))
		}
	}
}

// reading is how much of a step that sorts is the reading.
const reading = 0.6

// intake reads their files. One that is refused is named with its lines, and the
// others are read all the same; the day goes on without it only by order.
func (j *job) intake() (any, error) {
	var reg registered
	if _, err := j.st.step(j.o.Date, Register, &reg); err != nil {
		return nil, err
	}
	s, err := j.sorter("theirs")
	if err != nil {
		return nil, err
	}
	in := intaken{Links: byLink{}}
	var faults []error
	var whole, all int64 // bytes
	for i := range reg.Files {
		all += reg.Files[i].Size
	}
	for i := range reg.Files {
		f := &reg.Files[i]
		whole += f.Size
		t, err := j.takeIn(f, s, &in, func(at int64) {
			j.part = reading * float64(whole-f.Size+at) / float64(max(all, 1))
		})
		switch {
		case err == nil:
			in.Files = append(in.Files, fileTotals{f.Name, t})
		case j.ctx.Err() != nil:
			return nil, errors.Join(j.ctx.Err(), s.s.Close())
		default:
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		faults = append(faults, errors.New("更正文件后 --redo register，或以 --without 文件名 排除 · mend the file and --redo register, or leave it out with --without NAME and --redo register"))
		return nil, errors.Join(append(faults, s.s.Close())...)
	}
	if in.Carried, err = j.carried(false, func(r *row.Row) error { return s.add(r, j.o.Rules.Match[0]) }); err != nil {
		return nil, errors.Join(err, s.s.Close())
	}
	if err := errors.Join(s.store(theirsRows, true), j.intakePurses(&reg, &in)); err != nil {
		return nil, err
	}
	return &in, j.writeCSV(filesCSV, []string{"name", "link", "bytes", "sha256", "rows", "settled", "net_fen"}, func(add func(...any) error) error {
		for i, f := range reg.Files {
			t := in.Files[i]
			if err := add(f.Name, j.linkName(txn.LinkID(f.Link)), f.Size, f.SHA256, t.Rows, t.Settled, t.Net); err != nil {
				return err
			}
		}
		for i, f := range reg.Purses {
			t := in.Purses[i]
			if err := add(f.Name, offlineLink, f.Size, f.SHA256, t.Rows, t.Settled, t.Net); err != nil {
				return err
			}
		}
		return nil
	})
}

// offlineLink stands where a link does, of files that came by none.
const offlineLink = "offline"

// takeIn reads one file.
func (j *job) takeIn(f *theirFile, s *sorter, in *intaken, far func(at int64)) (t sideTotals, err error) {
	only := byLink{}
	sum, err := j.o.Inbox.Rows(j.o.Date, f.Name, func(r *row.Row, at int64) error {
		far(at)
		r.Link, r.File, r.Date = txn.LinkID(f.Link), f.Number, j.o.Date
		only.add(r)
		in.Links.add(r)
		in.Rows++
		if err := s.add(r, j.o.Rules.Match[0]); err != nil {
			return err
		}
		return j.row()
	})
	if err == nil && sum != f.SHA256 {
		err = fmt.Errorf("%s: %w", f.Name, ErrChanged)
	}
	if x := only[txn.LinkID(f.Link)]; x != nil {
		t = *x
	}
	return t, err
}

// folded is what Fold leaves.
type folded struct {
	*fold.Summary
	Carried int64  `json:"carried"`
	Links   byLink `json:"links"`
}

// carriedOver is what a day leaves to the next, beside the rows that wait.
type carriedOver struct {
	Open     []fold.Open `json:"open"`     // reversals owed
	Balances []balance   `json:"balances"` // what is not paid yet
	Fund     int64       `json:"fund"`     // fen on purse cards
	// Unpaid is what was paid with cards, and the fund's account did not cover, fen,
	// negative.
	Unpaid int64 `json:"unpaid,omitempty"`
}

// yesterday reads what the day before left.
func (j *job) yesterday() (c carriedOver, err error) {
	if j.before == nil {
		return c, nil
	}
	b, err := os.ReadFile(filepath.Join(DayFolder(j.o.Dir, j.before.Date.String()), carryFile))
	if err != nil {
		return c, fmt.Errorf("前一日的结转 · what the day before carries over: %w", err)
	}
	return c, json.Unmarshal(b, &c)
}

// carried gives the rows of one side that wait for a partner since a day before,
// without those whose case is decided. Their flags say that they waited.
func (j *job) carried(ours bool, f func(*row.Row) error) (n int64, err error) {
	if j.before == nil {
		return 0, nil
	}
	ended, err := j.endedCases()
	if err != nil {
		return 0, err
	}
	c, err := j.st.step(j.before.Date, Reconcile, nil)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(c.Outputs, func(o output) bool { return o.Name == heldRows })
	if i < 0 {
		return 0, errors.New("no rows are carried over")
	}
	rf, err := openRows(filepath.Join(DayFolder(j.o.Dir, j.before.Date.String()), heldRows), &c.Outputs[i])
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rf.Close()) }()
	err = eachRow(rf, func(r *row.Row) error {
		// Theirs are of a file; ours never are.
		if (r.File == 0) != ours || ended[casefile.ID(r, ours)] {
			return nil
		}
		n++
		return f(r)
	})
	return n, err
}

// fold makes our side.
func (j *job) fold() (any, error) {
	var reg registered
	if _, err := j.st.step(j.o.Date, Register, &reg); err != nil {
		return nil, err
	}
	yesterday, err := j.yesterday()
	if err != nil {
		return nil, err
	}
	src, err := j.o.Journal()
	if err != nil {
		return nil, err
	}
	pass := &passing{Journal: src, j: j, from: reg.From, to: reg.To}
	s, err := j.sorter("ours")
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	out := folded{Links: byLink{}}
	out.Summary, err = fold.Fold(pass, fold.Options{Date: j.o.Date, From: journal.LSN(reg.From), To: journal.LSN(reg.To), Carried: yesterday.Open,
		Dir: j.runs(), Memory: j.o.Memory}, func(r *row.Row) error {
		out.Links.add(r)
		return s.add(r, j.o.Rules.Match[0])
	})
	if err := errors.Join(err, src.Close()); err != nil {
		return nil, errors.Join(err, s.s.Close())
	}
	if out.Carried, err = j.carried(true, func(r *row.Row) error { return s.add(r, j.o.Rules.Match[0]) }); err != nil {
		return nil, errors.Join(err, s.s.Close())
	}
	if err := s.store(oursRows, true); err != nil {
		return nil, err
	}
	return &out, j.writeCSV(proofCSV, []string{"txn", "owed_since", "kind", "link", "amount_fen", "last"}, func(add func(...any) error) error {
		for _, o := range out.StillOwe {
			if err := add(o.ID, o.Since, o.Kind, j.linkName(o.Link), o.Amount, lastOf(&o)); err != nil {
				return err
			}
		}
		return nil
	})
}

// passing is the journal, with an eye on how far it is read.
type passing struct {
	Journal
	j        *job
	from, to uint64
}

// Replay implements fold.Source.
func (p *passing) Replay(from journal.LSN, f func(journal.LSN, *journal.Record) error) error {
	return p.Journal.Replay(from, func(n journal.LSN, r *journal.Record) error {
		if uint64(n) >= p.from && uint64(n) < p.to {
			p.j.part = reading * float64(uint64(n)-p.from) / float64(p.to-p.from)
		}
		return errors.Join(f(n, r), p.j.row())
	})
}

func lastOf(o *fold.Open) string {
	if o.Last == 0 {
		return "owed"
	}
	return o.Last.String()
}

// linkName is a link's name, or its number when it has none here.
func (j *job) linkName(id txn.LinkID) string {
	if int(id) < len(j.o.Links) {
		return j.o.Links[id]
	}
	return fmt.Sprint(id)
}

// window finds the day's places in the journal: as the switch cut it, or by the
// rules' schedule where the switch did not.
func (j *job) window(r *registered) error {
	from, to, known := j.o.Cuts.Window(j.o.Date)
	if known {
		i := slices.IndexFunc(j.o.Cuts, func(c day.Cut) bool { return c.Date == j.o.Date })
		r.From, r.To, r.End = from, to, j.o.Cuts[i].At
	} else {
		r.End = j.o.Rules.Schedule.End(j.o.Date)
	}
	if j.o.AsOf < r.End {
		return fmt.Errorf("该日尚未结束，或流水快照早于日切 · the day has not ended, or the journal is as of a moment before its cut")
	}
	if !known {
		if err := j.bySchedule(r); err != nil {
			return err
		}
	}
	if j.before != nil && r.From != j.before.To {
		return fmt.Errorf("窗口自 %s 起，前一日止于 %s · the window begins at %s, the day before ended at %s", journal.LSN(r.From), journal.LSN(j.before.To),
			journal.LSN(r.From), journal.LSN(j.before.To))
	}
	return nil
}

func (j *job) bySchedule(r *registered) error {
	src, err := j.o.Journal()
	if err != nil {
		return err
	}
	at := func(moment int64) (uint64, error) {
		tick, err := src.TickAt(moment)
		return uint64(journal.FirstOf(tick)), err
	}
	if r.To, err = at(r.End); err == nil && j.before != nil {
		r.From = j.before.To
	} else if err == nil {
		r.From, err = at(j.o.Rules.Schedule.End(j.o.Date.Add(-1)))
	}
	// A clock that was set back over the cut leaves a place before the last one's.
	r.To = max(r.To, r.From)
	return errors.Join(err, src.Close())
}
