package dispute

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tongka/audit"
	"tongka/clearing/casefile"
	"tongka/clearing/chain"
	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/txn"
)

// Order is what a person proposes for a case.
type Order struct {
	Case  string
	Act   string
	Why   string
	Fen   int64           // of book and refund: other than the case's own figure; 0 is that
	Until day.Date        // of hold
	Moves []casefile.Move // of adjust, and instead of what book and refund would move
}

// saysWhy is false for a reason that is none, or that would spoil the line it is
// shown in.
func saysWhy(why string) bool {
	const most = 200
	return strings.TrimSpace(why) != "" && utf8.ValidString(why) && utf8.RuneCountInString(why) <= most &&
		!strings.ContainsFunc(why, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Propose has decisions wait for a second person: all of the orders, or none. They
// get one number. The error has every order's fault.
func (d *Desk) Propose(orders []Order, who audit.Who) (number uint64, err error) {
	if len(orders) == 0 {
		return 0, errors.New("没有差错 · no case")
	}
	number = d.s.Head().N + 1
	ch, names, faults := &chain.Change{}, []string{}, []error(nil)
	for i := range orders {
		o := &orders[i]
		if slices.Contains(names, o.Case) {
			faults = append(faults, fmt.Errorf("%s: 出现两次 · it stands twice", o.Case))
			continue
		}
		if err := d.propose(ch, o, number, who); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", o.Case, err))
			continue
		}
		names = append(names, o.Case)
	}
	if err := errors.Join(faults...); err != nil {
		return 0, err
	}
	if err := ch.Put(proposalKey(number), names); err != nil {
		return 0, err
	}
	return number, d.s.Commit(ch)
}

func (d *Desk) propose(ch *chain.Change, o *Order, number uint64, who audit.Who) error {
	c, err := d.Get(o.Case)
	switch {
	case err != nil:
		return err
	case c.State != Open && c.State != Held:
		return fmt.Errorf("%s: %w", c.State, ErrState)
	case !saysWhy(o.Why):
		return errors.New("原因须为 1 至 200 个可显示的字符 · why: 1 to 200 characters that can be shown")
	}
	p := Proposal{Number: number, Why: o.Why, By: who, At: d.now().UTC(), Until: o.Until, Is: casefile.Decision{Case: o.Case, Act: o.Act, Ends: o.Act != Hold}}
	if p.Is.Moves, err = d.moves(c, o); err != nil {
		return err
	}
	if _, err := p.Is.Transfers(); err != nil {
		return err
	}
	return d.step(ch, c, who, evProposed, p)
}

// moves is the money of a decision.
func (d *Desk) moves(c *Case, o *Order) ([]casefile.Move, error) {
	still := len(o.Moves) == 0 && o.Fen == 0
	switch o.Act {
	case Hold:
		if !still || o.Until.String() <= c.Date {
			return nil, fmt.Errorf("hold 须给出之后的日期，不动资金 · hold wants a later day and moves no money")
		}
		return nil, nil
	case Ignore:
		if !still || o.Until != 0 {
			return nil, errors.New("ignore 不动资金 · ignore moves no money")
		}
		return nil, nil
	case Adjust:
		if len(o.Moves) == 0 || o.Fen != 0 || o.Until != 0 {
			return nil, errors.New("adjust 须写明每笔划转 · adjust wants its moves")
		}
		return o.Moves, nil
	case Book, Refund:
		if o.Until != 0 {
			return nil, errors.New("日期只用于 hold · a day is for hold")
		}
		return d.booked(c, o)
	}
	return nil, fmt.Errorf("没有处理 %q · no act %q (hold, ignore, book, refund, adjust)", o.Act, o.Act)
}

// booked is what a booking or a refund moves: as stated, or as the transaction
// itself would, with the house's fees when it is booked.
func (d *Desk) booked(c *Case, o *Order) ([]casefile.Move, error) {
	most := c.amount()
	if len(o.Moves) > 0 {
		var sum int64
		for _, m := range o.Moves {
			sum += m.Fen
		}
		if o.Fen != 0 || sum > most {
			return nil, fmt.Errorf("%d > %d 分 · fen: %w", sum, most, ErrTooMuch)
		}
		return o.Moves, nil
	}
	r, err := c.row()
	if err != nil {
		return nil, err
	}
	if o.Fen != 0 {
		r.Amount = o.Fen
	}
	if r.Amount <= 0 || r.Amount > most {
		return nil, fmt.Errorf("%d, %d 分 · fen: %w", r.Amount, most, ErrTooMuch)
	}
	table := d.fees
	if table == nil || o.Act == Refund {
		if table, err = fee.NewTable(nil); err != nil {
			return nil, err
		}
	}
	p := fee.NewPositions()
	if err := table.Book(p, r); err != nil {
		return nil, err
	}
	sign := int64(1)
	if o.Act == Refund {
		sign = -1
	}
	return transfers(p, sign), nil
}

// transfers says positions as moves: who pays, in their order, pays who gets.
func transfers(p *fee.Positions, sign int64) (all []casefile.Move) {
	type open struct {
		who fee.Party
		fen int64
	}
	var pay, get []open
	for _, who := range p.Parties() {
		switch n := sign * p.Get(who).Net; {
		case n < 0:
			pay = append(pay, open{who, -n})
		case n > 0:
			get = append(get, open{who, n})
		}
	}
	for len(pay) > 0 && len(get) > 0 {
		n := min(pay[0].fen, get[0].fen)
		all = append(all, casefile.Move{From: pay[0].who.String(), To: get[0].who.String(), Fen: n})
		if pay[0].fen -= n; pay[0].fen == 0 {
			pay = pay[1:]
		}
		if get[0].fen -= n; get[0].fen == 0 {
			get = get[1:]
		}
	}
	return all
}

// row is the transaction of a case: theirs where money stands in it, since that is
// what will be paid, else ours.
func (c *Case) row() (*row.Row, error) {
	side := c.Theirs
	if side == nil || side.Net == 0 {
		side = c.Ours
	}
	if side == nil {
		return nil, errors.New("差错没有金额，须以 --move 写明 · the case has no figures: state the moves")
	}
	kind, ok := txn.ParseKind(side.Kind)
	if !ok || row.Moves(kind) == 0 {
		return nil, fmt.Errorf("种类 %q 不可记账，须以 --move 写明 · the kind %q cannot be booked: state the moves", side.Kind, side.Kind)
	}
	if c.Merchant == "" {
		return nil, errors.New("差错没有商户，须以 --move 写明 · the case has no merchant: state the moves")
	}
	r := &row.Row{Amount: side.Amount, Kind: kind, Status: row.Settled, Link: txn.LinkID(c.Link)}
	copy(r.Merchant[:], c.Merchant)
	return r, nil
}

// Confirm makes a proposal a decision, by a second person, all of its cases or none.
func (d *Desk) Confirm(number uint64, who audit.Who) (cases []*Case, err error) {
	cases, err = d.proposed(number)
	if err != nil {
		return nil, err
	}
	ch := &chain.Change{}
	for _, c := range cases {
		if c.Proposal.By.Same(who) {
			return nil, ErrSamePerson
		}
		if err := d.step(ch, c, who, evConfirmed, number); err != nil {
			return nil, err
		}
		if c.State == Decided {
			if err := ch.Put(waitingKey(c.Case), true); err != nil {
				return nil, err
			}
		}
	}
	return cases, errors.Join(ch.Put(proposalKey(number), nil), d.s.Commit(ch))
}

// proposed finds the cases of a proposal, without those whose partner came since.
func (d *Desk) proposed(number uint64) (cases []*Case, err error) {
	var names []string
	ok, err := d.s.Get(proposalKey(number), &names)
	if err != nil || !ok || len(names) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%d: %w", number, ErrNoProposal))
	}
	for _, id := range names {
		c, err := d.Get(id)
		if err != nil {
			return nil, err
		}
		if c.Proposal != nil && c.Proposal.Number == number {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%d: %w", number, ErrNoProposal)
	}
	return cases, nil
}

// Withdraw takes a proposal back, by anybody.
func (d *Desk) Withdraw(number uint64, why string, who audit.Who) error {
	if !saysWhy(why) {
		return errors.New("须写明原因 · why?")
	}
	cases, err := d.proposed(number)
	if err != nil {
		return err
	}
	ch := &chain.Change{}
	for _, c := range cases {
		if err := d.step(ch, c, who, evWithdrawn, why); err != nil {
			return err
		}
	}
	return errors.Join(ch.Put(proposalKey(number), nil), d.s.Commit(ch))
}

// Proposals gives those that wait, with their cases.
func (d *Desk) Proposals(f func(number uint64, cases []*Case) error) error {
	return d.s.Each("p/", func(key string, _ []byte) error {
		number, err := strconv.ParseUint(key[len("p/"):], 10, 64)
		if err != nil {
			return err
		}
		cases, err := d.proposed(number)
		if errors.Is(err, ErrNoProposal) {
			return nil
		}
		if err != nil {
			return err
		}
		return f(number, cases)
	})
}

// Bind gives every decision that waits to a day whose clearing begins, and writes all
// of that day's, in the order of their cases. A decision belongs to one day: done
// again for the same one it writes the same, with what was decided since.
func (d *Desk) Bind(date day.Date, out io.Writer, who audit.Who) (n int, err error) {
	var taken bool
	if _, err := d.s.Get(takenKey(date), &taken); err != nil || taken {
		return 0, errors.Join(err, fmt.Errorf("%s: 该日已关闭 · the day is closed", date))
	}
	ch := &chain.Change{}
	err = d.s.Each("w/", func(key string, _ []byte) error {
		c, err := d.Get(key[len("w/"):])
		if err != nil {
			return err
		}
		return errors.Join(d.step(ch, c, who, evBound, date), ch.Put(key, nil), ch.Put(boundKey(date, c.Case), true))
	})
	if err == nil && ch.Len() > 0 {
		err = d.s.Commit(ch)
	}
	if err != nil {
		return 0, err
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return n, d.eachBound(date, func(c *Case) error {
		n++
		return e.Encode(&c.Decision.Is)
	})
}

// Raise makes a case by hand.
func (d *Desk) Raise(e casefile.Event, date day.Date, note string, who audit.Who) (*Case, error) {
	if !saysWhy(note) {
		return nil, errors.New("须写明原因 · why?")
	}
	e.Event, e.Date, e.Of = casefile.Raised, date.String(), date.String()
	e.Case = fmt.Sprintf("%s-m-%d", date, d.s.Head().N+1)
	c := &Case{Event: e}
	l := d.level(e.Class, c.amount())
	ch := &chain.Change{}
	if err := d.step(ch, c, who, evRaised, raised{Event: e, Severity: l.Name, Due: date.Add(l.Days), ByHand: true, Note: note}); err != nil {
		return nil, err
	}
	return c, d.s.Commit(ch)
}

// Lay lays evidence to a case, ended or not.
func (d *Desk) Lay(id string, ev Evidence, who audit.Who) error {
	c, err := d.Get(id)
	if err != nil {
		return err
	}
	ch := &chain.Change{}
	if err := d.step(ch, c, who, evEvidence, ev); err != nil {
		return err
	}
	return d.s.Commit(ch)
}
