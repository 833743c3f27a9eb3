// Package dispute is the desk for cases (差错): what the nightly run found, or a person
// raised, with its evidence, what two persons decided about it, and in which day's
// clearing that counted. A case is what its events make of it; they are a chain that
// is only added to, and verified against the cases.
//
//	open ─ proposed ─ decided ─ bound to a day ─ booked
//	 │        └ withdrawn ┘                └ counted once: with that day
//	 ├ held until a day, then open
//	 └ resolved: the partner came late
package dispute

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"tongka/audit"
	"tongka/clearing/casefile"
	"tongka/clearing/chain"
	"tongka/clearing/day"
	"tongka/clearing/fee"
)

// State says where a case is.
type State string

// States.
const (
	Open     State = "open"
	Held     State = "held"     // until a day: nobody need look before
	Proposed State = "proposed" // a decision waits for a second person
	Decided  State = "decided"  // and for the next day's clearing
	Bound    State = "bound"    // is part of a day that is being cleared
	Booked   State = "booked"   // that day is closed
	Resolved State = "resolved" // the partner came late, and they agree
)

// Ended says that nothing more is to be done.
func (s State) Ended() bool { return s == Booked || s == Resolved }

// Acts.
const (
	Hold   = "hold"   // look again on a day
	Ignore = "ignore" // no money moves, and the row waits no more
	Book   = "book"   // the transaction is taken into the books, with its fees
	Refund = "refund" // its money goes back
	Adjust = "adjust" // other money moves, as stated
)

// Proposal is a decision that waits for a second person.
type Proposal struct {
	Number uint64            `json:"number"` // one for all cases of a bulk
	Why    string            `json:"why"`
	By     audit.Who         `json:"by"`
	At     time.Time         `json:"at"`
	Until  day.Date          `json:"until,omitempty"` // of hold
	Is     casefile.Decision `json:"is"`
}

// Case is a case as its events have made it.
type Case struct {
	casefile.Event
	State    State      `json:"state"`
	Severity string     `json:"severity"`
	Due      day.Date   `json:"due"` // somebody should have decided by then
	Until    day.Date   `json:"until,omitempty"`
	Proposal *Proposal  `json:"proposal,omitempty"`
	Decision *Proposal  `json:"decision,omitempty"` // two persons' last
	Second   *audit.Who `json:"second,omitempty"`   // who confirmed it
	For      day.Date   `json:"for,omitempty"`      // the day that it counts with
	Evidence int        `json:"evidence,omitempty"`
	ByHand   bool       `json:"by_hand,omitempty"`
	Note     string     `json:"note,omitempty"` // of who raised it
}

// What an event did.
const (
	evRaised    = "raised"
	evResolved  = "resolved"
	evEvidence  = "evidence"
	evProposed  = "proposed"
	evWithdrawn = "withdrawn"
	evConfirmed = "confirmed"
	evBound     = "bound"
	evBooked    = "booked"
)

// raised is the data of the first event of a case.
type raised struct {
	Event    casefile.Event `json:"event"`
	Severity string         `json:"severity"`
	Due      day.Date       `json:"due"`
	ByHand   bool           `json:"by_hand,omitempty"`
	Note     string         `json:"note,omitempty"`
}

// Evidence is something that was laid to a case.
type Evidence struct {
	Kind   string          `json:"kind"` // trace, file, note
	Text   string          `json:"text,omitempty"`
	SHA256 string          `json:"sha256,omitempty"`
	Size   int64           `json:"size,omitempty"`
	Trace  json.RawMessage `json:"trace,omitempty"` // the story of its transaction
}

// Errors that a caller tells apart.
var (
	ErrNoCase     = errors.New("没有该差错 · no such case")
	ErrState      = errors.New("差错的状态不允许 · the case's state does not allow it")
	ErrSamePerson = errors.New("须由另一人确认（另一系统用户，或另一令牌）· another person must confirm: another user, or another token")
	ErrNoProposal = errors.New("没有该提议 · no such proposal")
	ErrTooMuch    = errors.New("金额超出差错所涉 · more money than the case is about")
)

// apply makes of a case what an event says. It is the only place that changes one,
// so that a replay gives the same.
func (c *Case) apply(e *chain.Event) error {
	read := func(to any) error {
		if err := json.Unmarshal(e.Data, to); err != nil {
			return fmt.Errorf("event %d: %w", e.N, err)
		}
		return nil
	}
	switch e.What {
	case evRaised:
		var r raised
		if err := read(&r); err != nil {
			return err
		}
		*c = Case{Event: r.Event, State: Open, Severity: r.Severity, Due: r.Due, ByHand: r.ByHand, Note: r.Note}
	case evResolved:
		c.State, c.Proposal, c.Until = Resolved, nil, 0
	case evEvidence:
		c.Evidence++
	case evProposed:
		c.Proposal = &Proposal{}
		if err := read(c.Proposal); err != nil {
			return err
		}
		c.State = Proposed
	case evWithdrawn:
		c.Proposal, c.State = nil, c.resting()
	case evConfirmed:
		p, who := c.Proposal, e.Who
		c.Decision, c.Second, c.Proposal, c.State, c.Until = p, &who, nil, Decided, 0
		if p.Is.Act == Hold {
			c.State, c.Until = Held, p.Until
		}
	case evBound:
		if err := read(&c.For); err != nil {
			return err
		}
		c.State = Bound
	case evBooked:
		c.State = Booked
	default:
		return fmt.Errorf("event %d: %q is no event of a case", e.N, e.What)
	}
	return nil
}

// resting is the state of a case that nobody is about to decide.
func (c *Case) resting() State {
	if c.Until != 0 {
		return Held
	}
	return Open
}

// Overdue says that its time is over on a day: held until then, or past its due date
// without a decision.
func (c *Case) Overdue(today day.Date) bool {
	switch c.State {
	case Held:
		return today > c.Until
	case Open, Proposed:
		return today > c.Due
	}
	return false
}

// amount is the most money that a case can be about, fen.
func (c *Case) amount() int64 {
	most := max(c.Fen, -c.Fen)
	for _, s := range []*casefile.Side{c.Ours, c.Theirs} {
		if s != nil {
			most = max(most, s.Amount)
		}
	}
	return most
}

// Level says how grave a case is, and how long it may wait.
type Level struct {
	Name    string
	Least   int64    // fen: of cases of so much and more
	Days    int      // until somebody has to have decided
	Classes []string // none: of all
}

// Desk is the store of cases. One process has it at a time.
type Desk struct {
	s      *chain.Store
	levels []Level
	fees   *fee.Table
	now    func() time.Time
}

// Options of a desk.
type Options struct {
	Dir    string
	Levels []Level    // the first that fits
	Fees   *fee.Table // nil: a booking costs nothing
}

// DefaultLevels are those of a house that says nothing.
func DefaultLevels() []Level {
	return []Level{{Name: "high", Least: 100_000, Days: 1}, {Name: "normal", Least: 1000, Days: 3}, {Name: "low", Days: 7}}
}

// OpenDesk opens the store, or makes it.
func OpenDesk(o Options) (*Desk, error) {
	s, err := chain.Open(o.Dir)
	if err != nil {
		return nil, err
	}
	if len(o.Levels) == 0 {
		o.Levels = DefaultLevels()
	}
	return &Desk{s: s, levels: o.Levels, fees: o.Fees, now: time.Now}, nil
}

// Close lets it go.
func (d *Desk) Close() error { return d.s.Close() }

// Head is the end of its history.
func (d *Desk) Head() audit.Head { return d.s.Head() }

// level finds how grave something is.
func (d *Desk) level(class string, fen int64) Level {
	for _, l := range d.levels {
		fits := len(l.Classes) == 0
		for _, c := range l.Classes {
			fits = fits || c == class
		}
		if fits && fen >= l.Least {
			return l
		}
	}
	return Level{Name: "low", Days: 7}
}

// Keys of the chain's store: c/CASE the case, p/NUMBER cases of a proposal, w/CASE
// decided and waiting for a day, b/DATE/CASE bound to one, f/DATE taken in.
func caseKey(id string) string                 { return "c/" + id }
func proposalKey(n uint64) string              { return fmt.Sprintf("p/%020d", n) }
func waitingKey(id string) string              { return "w/" + id }
func boundKey(date day.Date, id string) string { return fmt.Sprintf("b/%s/%s", date, id) }
func takenKey(date day.Date) string            { return "f/" + date.String() }

// Get reads a case.
func (d *Desk) Get(id string) (*Case, error) {
	var c Case
	ok, err := d.s.Get(caseKey(id), &c)
	if err == nil && !ok {
		err = fmt.Errorf("%q: %w", id, ErrNoCase)
	}
	return &c, err
}

// Each gives the cases by their names.
func (d *Desk) Each(f func(*Case) error) error {
	return d.s.Each("c/", func(key string, v []byte) error {
		var c Case
		if err := json.Unmarshal(v, &c); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return f(&c)
	})
}

// History gives what happened to a case.
func (d *Desk) History(id string, f func(*chain.Event) error) error { return d.s.About(id, f) }

// step is one event of one case, staged.
func (d *Desk) step(ch *chain.Change, c *Case, who audit.Who, what string, data any) error {
	at := d.now()
	if err := ch.Add(at, who, c.Case, what, data); err != nil {
		return err
	}
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	if err := c.apply(&chain.Event{At: at.UTC(), Who: who, What: what, Data: b}); err != nil {
		return err
	}
	return ch.Put(caseKey(c.Case), c)
}

// Report is what Verify saw.
type Report struct {
	Cases  int        `json:"cases"`
	Events uint64     `json:"events"`
	Head   audit.Head `json:"head"`
}

// Verify follows the chain, and makes every case anew from its events: it has to be
// the one that is kept.
func (d *Desk) Verify() (rep Report, err error) {
	rep.Head = d.s.Head()
	if err := d.s.Verify(func(*chain.Event) error { rep.Events++; return nil }); err != nil {
		return rep, err
	}
	return rep, d.Each(func(kept *Case) error {
		rep.Cases++
		var c Case
		if err := d.s.About(kept.Case, c.apply); err != nil {
			return err
		}
		a, err1 := json.Marshal(kept)
		b, err2 := json.Marshal(&c)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if string(a) != string(b) {
			return fmt.Errorf("%s: 与其历史不符 · it is not what its history makes of it: %w", kept.Case, chain.ErrBroken)
		}
		return nil
	})
}

// part is how many events are written together when a day is taken in.
const part = 1000

// TakeIn takes the cases of a closed day in, and ends those that counted with it.
// Done again, or after a crash in the middle, it does what is missing.
func (d *Desk) TakeIn(date day.Date, name string, in io.Reader, who audit.Who) (n int, err error) {
	var done bool
	if _, err := d.s.Get(takenKey(date), &done); err != nil || done {
		return 0, err
	}
	ch := &chain.Change{}
	staged := map[string]*Case{} // of this part
	flush := func() error {
		if ch.Len() == 0 {
			return nil
		}
		err := d.s.Commit(ch)
		ch, staged = &chain.Change{}, map[string]*Case{}
		return err
	}
	err = casefile.EachEvent(name, in, func(e *casefile.Event) error {
		c := staged[e.Case]
		if c == nil {
			c = &Case{}
			if _, err := d.s.Get(caseKey(e.Case), c); err != nil {
				return err
			}
		}
		staged[e.Case] = c
		did, err := d.take(ch, c, e, date, who)
		if did {
			n++
		}
		if err == nil && ch.Len() >= part {
			err = flush()
		}
		return err
	})
	if err == nil {
		err = d.endBound(ch, date, who)
	}
	if err == nil {
		err = ch.Put(takenKey(date), true)
	}
	if err == nil {
		err = d.s.Commit(ch)
	}
	return n, err
}

// take does what one line of the run says of a case.
func (d *Desk) take(ch *chain.Change, c *Case, e *casefile.Event, date day.Date, who audit.Who) (did bool, err error) {
	known := c.State != ""
	switch {
	case e.Event == casefile.Raised && !known:
		fen := (&Case{Event: *e}).amount()
		l := d.level(e.Class, fen)
		c.Case = e.Case
		return true, d.step(ch, c, who, evRaised, raised{Event: *e, Severity: l.Name, Due: date.Add(l.Days)})
	case e.Event == casefile.Resolved && known && !c.State.Ended() && c.State != Bound:
		// What was decided and has not counted yet does not count any more.
		if err := ch.Put(waitingKey(c.Case), nil); err != nil {
			return false, err
		}
		return true, d.step(ch, c, who, evResolved, e)
	}
	return false, nil
}

// endBound ends the cases whose decisions counted with a day.
func (d *Desk) endBound(ch *chain.Change, date day.Date, who audit.Who) error {
	return d.eachBound(date, func(c *Case) error {
		if c.State != Bound {
			return nil
		}
		return d.step(ch, c, who, evBooked, date)
	})
}

func (d *Desk) eachBound(date day.Date, f func(*Case) error) error {
	return d.s.Each("b/"+date.String()+"/", func(key string, _ []byte) error {
		c, err := d.Get(key[len("b/20060102/"):])
		if err != nil {
			return err
		}
		return f(c)
	})
}
