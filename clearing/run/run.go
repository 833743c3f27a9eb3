// Package run is the nightly clearing of one business day, step by step: files and
// journal in, books, cases and reports out. Every step writes its outputs under
// temporary names, renames them and then notes in its own store that it is done,
// so a run that dies anywhere is run again and gives the same bytes. The day ends
// by one batch in that store; only what is closed is published.
//
//	dir/state            what is done: Pebble, one process at a time
//	dir/work/DATE        outputs of a day that is not closed
//	dir/tmp/DATE         rows between the steps, as many bytes as the day has
//	dir/days/DATE        outputs of a closed day, there at once and whole
//	dir/decisions/DATE.jsonl   what the desk for disputes decided, booked with that day
package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/fold"
	"tongka/clearing/rules"
	"tongka/journal"
	"tongka/txn"
)

// Step is one part of the run. They are done in this order.
type Step uint8

// Steps.
const (
	Register  Step = iota // files, decisions, rules and the day's window, frozen
	Intake                // their files into sorted rows
	Fold                  // our journal into sorted rows, and the proof of the day
	Totals                // both sides' totals by link, before the detail
	Reconcile             // verdicts, cases, what is held
	Clear                 // fees and positions
	Settle                // payments
	Reserve               // the fund's equation
	Reporting             // for people
	Close                 // one batch, then published
	Steps
)

var stepNames = [Steps]string{"register", "intake", "journal", "totals", "reconcile", "clear", "settle", "reserve", "report", "close"}

var stepWords = [Steps]txn.Words{{ZH: "文件登记", EN: "files registered"}, {ZH: "验证入库", EN: "files verified and taken in"}, {ZH: "本方流水", EN: "our journal"},
	{ZH: "总账核对", EN: "totals compared"}, {ZH: "对账", EN: "reconciled"}, {ZH: "清分", EN: "cleared"}, {ZH: "结算", EN: "settled"},
	{ZH: "备付金", EN: "reserve proved"}, {ZH: "报表", EN: "reported"}, {ZH: "关闭", EN: "closed"}}

// String is the step's word on the command line.
func (s Step) String() string {
	if s < Steps {
		return stepNames[s]
	}
	return "invalid"
}

// Words are for people.
func (s Step) Words() txn.Words {
	if s < Steps {
		return stepWords[s]
	}
	return txn.Words{}
}

// ParseSteps reads words with commas between them; nothing is all of them.
func ParseSteps(s string) (all []Step, err error) {
	if s == "" {
		for i := range Steps {
			all = append(all, i)
		}
		return all, nil
	}
	for _, w := range strings.Split(s, ",") {
		i := slices.Index(stepNames[:], strings.TrimSpace(w))
		if i < 0 {
			return nil, fmt.Errorf("没有步骤 %q · no step %q (%s)", w, w, strings.Join(stepNames[:], ", "))
		}
		all = append(all, Step(i))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Journal is what a run reads of ours; *journal.Kept is one.
type Journal interface {
	fold.Source
	TickAt(at int64) (tick uint64, err error)
	Close() error
}

// Options say what is run, on what.
type Options struct {
	Dir       string // the clearing's own folder
	Date      day.Date
	Rules     *rules.Rules
	Inbox     Inbox
	Links     []string // names, by number; for people
	Cuts      day.Cuts // of the switch; days that are not in it are cut by the rules' schedule
	Journal   func() (Journal, error)
	AsOf      int64    // the moment that the journal is as of, Unix nanoseconds: a day that ends later cannot be run
	Steps     []Step   // in order
	Redo      *Step    // forget this and what is behind it first
	GoWithout []string // required files, by pattern, and refused ones, by name, that the day is run without
	Memory    int      // bytes to sort each side in; 0 = 32 MiB
	Heed      func(Progress)
	// Trace tells what happened to one of ours up to a place in the journal; the first
	// Traces cases of the report open to it.
	Trace   func(id uint64, to journal.LSN) ([]string, error)
	Traces  int
	Purses  Purses // nil: nothing that was paid offline is cleared
	Details bool   // what is booked is kept by merchant, for files to merchants and cities
	// Decide has what the desk decided written for the day, in its file, before the
	// day is frozen; nil: the file is as it is.
	Decide func(day.Date) error
	// Took is told which of the day's files a step that is done has: of Intake and
	// Close, by every run that finds them done, so that no crash keeps it from knowing.
	Took func(d day.Date, at Step, files []FileInfo) error
	// Caps says what parties with a reserve account may lose with the day, fen, by
	// their names as payments have them; it is asked when the day is frozen. nil:
	// nobody has one.
	Caps func(day.Date) (map[string]int64, error)
}

// Phase is where in a step a run is.
type Phase uint8

// Phases.
const (
	Begins    Phase = iota
	Works           // some thousand rows more
	Written         // outputs are written under temporary names
	Renamed         // and have their own, or the closed day is decided and not published yet
	Done            // and the store says so
	DoneSince       // was done by an earlier run
)

// Progress says how far a run is.
type Progress struct {
	Step  Step
	Phase Phase
	Rows  int64   // of the step so far
	Part  float64 // of the step's work, 0 to 1
}

// Errors that a caller tells apart.
var (
	ErrClosed    = errors.New("已关闭 · the day is closed")
	ErrUnordered = errors.New("前面的步骤尚未完成 · a step before it is not done")
	ErrBalance   = errors.New("合计不为零，拒绝发布 · the positions do not sum to zero, nothing is published")
	ErrChanged   = errors.New("登记后已变更 · changed since it was registered")
)

// Summary is what a run leaves to say.
type Summary struct {
	Date   string   `json:"date"`
	Closed bool     `json:"closed"`
	Done   []string `json:"done"` // steps, of this run and of those before it
	Folder string   `json:"folder"`
	Report *Report  `json:"report,omitempty"` // once it is made
}

// Run does the steps that are asked for and not done yet.
func Run(ctx context.Context, o Options) (sum *Summary, err error) {
	if o.Rules == nil || o.Inbox == nil || o.Journal == nil || o.Dir == "" || o.Date == 0 {
		return nil, errors.New("clearing: date, folder, rules, files and journal are wanted")
	}
	st, err := openStore(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	j := &job{o: o, ctx: ctx, st: st}
	closed, err := st.closed(o.Date)
	if err != nil {
		return nil, err
	}
	if closed != nil {
		return j.after(closed)
	}
	if err := j.begin(); err != nil {
		return nil, err
	}
	for _, s := range o.Steps {
		if err := j.step(s); err != nil {
			return nil, fmt.Errorf("%s %s · %s: %w", o.Date, s.Words().ZH, s, err)
		}
	}
	return j.summary()
}

// after is a run of a day that is closed: what a crash kept from being published
// is, and files that came since are named.
func (j *job) after(c *closedDay) (*Summary, error) {
	if j.o.Redo != nil {
		return nil, fmt.Errorf("%s: %w", j.o.Date, ErrClosed)
	}
	if err := errors.Join(j.publish(), j.took(Close), j.settlePurses()); err != nil {
		return nil, err
	}
	files, err := j.o.Inbox.Files(j.o.Date)
	if err != nil {
		return nil, err
	}
	var late []error
	for _, f := range files {
		if !slices.Contains(c.Files, f.SHA256) {
			late = append(late, fmt.Errorf("%s: 该日已关闭，请移交未关闭的一日 · its day %s is closed, give it to one that is open: %w", f.Name, j.o.Date, ErrClosed))
		}
	}
	if len(late) > 0 {
		return nil, errors.Join(late...)
	}
	for s := range Steps {
		j.heed(s, DoneSince)
	}
	return j.summary()
}

// begin holds the day against the one before it.
func (j *job) begin() error {
	last, err := j.st.last()
	if err != nil {
		return err
	}
	if last != 0 && j.o.Date != last.Add(1) {
		return fmt.Errorf("%s: 上一已关闭日为 %s，须先清算 %s · the last day closed is %s, so the next is %s", j.o.Date, last, last.Add(1), last, last.Add(1))
	}
	if last != 0 {
		if j.before, err = j.st.closed(last); err != nil {
			return err
		}
	}
	if j.o.Redo != nil {
		if err := j.st.forget(j.o.Date, *j.o.Redo); err != nil {
			return err
		}
	}
	return j.makeFolders()
}

// step does one, if it is not done.
func (j *job) step(s Step) error {
	if s > 0 {
		if ok, err := j.st.has(j.o.Date, s-1); err != nil || !ok {
			return errors.Join(err, fmt.Errorf("%w: %s", ErrUnordered, s-1))
		}
	}
	if ok, err := j.st.has(j.o.Date, s); err != nil || ok {
		j.heed(s, DoneSince)
		return errors.Join(err, j.took(s))
	}
	if s > Register {
		if err := j.sameRules(); err != nil {
			return err
		}
	}
	j.at, j.rows, j.part, j.outputs = s, 0, 0, nil
	j.heed(s, Begins)
	do := [Steps]func() (any, error){j.register, j.intake, j.fold, j.totals, j.reconcile, j.clear, j.settle, j.reserve, j.report, nil}[s]
	if s == Close {
		if err := j.close(); err != nil {
			return err
		}
		return errors.Join(j.took(s), j.settlePurses())
	}
	data, err := do()
	if err != nil {
		return errors.Join(err, j.dropOutputs())
	}
	j.heed(s, Written)
	if err := j.renameOutputs(); err != nil {
		return err
	}
	j.heed(s, Renamed)
	if err := j.st.done(j.o.Date, s, j.outputs, data); err != nil {
		return err
	}
	j.heed(s, Done)
	return j.took(s)
}

// took tells whose files a step has.
func (j *job) took(s Step) error {
	if j.o.Took == nil || s != Intake && s != Close {
		return nil
	}
	var r registered
	if _, err := j.st.step(j.o.Date, Register, &r); err != nil {
		return err
	}
	files := make([]FileInfo, len(r.Files))
	for i := range r.Files {
		files[i] = r.Files[i].FileInfo
	}
	return j.o.Took(j.o.Date, s, files)
}

// heed tells how far it is.
func (j *job) heed(s Step, p Phase) {
	if j.o.Heed != nil {
		j.o.Heed(Progress{s, p, j.rows, j.part})
	}
}

// often is how many rows lie between two looks at the world.
const often = 4096

// row counts one more, and ends the run when it is to stop.
func (j *job) row() error {
	if j.rows++; j.rows%often != 0 {
		return nil
	}
	j.heed(j.at, Works)
	return j.ctx.Err()
}

// Left is how long, at the rate so far, the rest of the step takes.
func (p Progress) Left(since time.Duration) time.Duration {
	if p.Part <= 0 || p.Part >= 1 {
		return 0
	}
	return time.Duration(float64(since) * (1 - p.Part) / p.Part)
}
