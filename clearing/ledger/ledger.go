// Package ledger keeps the reserve accounts (备付金) of institutions on disk: orders of
// two persons and what the nightly clearing did are events of a chain, and the books
// are what these make of them. Each night the day's equation of every account is
// proved, and the statement is signed.
//
// Between the moment at which a day's clearing asks what each account may lose, and
// the night that books the day, nothing is taken out of the accounts: what was said
// stays true.
package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"tongka/audit"
	"tongka/clearing/chain"
	"tongka/clearing/day"
	"tongka/clearing/reserve"
)

// Orders.
const (
	OpenAccount  = "open"
	SetLimits    = "limits"
	Deposit      = "deposit"
	Withdraw     = "withdraw"
	Adjust       = "adjust"
	CloseAccount = "close"
)

// Order is what a person wants done. Every one is confirmed by another person.
type Order struct {
	Do      string    `json:"do"`
	Account string    `json:"account"`
	Against string    `json:"against,omitempty"` // of adjust: another account; none is the world
	Fen     int64     `json:"fen,omitempty"`
	Floor   int64     `json:"floor_fen,omitempty"`
	Warn    int64     `json:"warn_fen,omitempty"`
	Why     string    `json:"why"`
	By      audit.Who `json:"by"`
}

// Proposal is an order that waits.
type Proposal struct {
	Number uint64 `json:"number"`
	Order
}

// state is what follows from the events: all of it is small, and written whole.
type state struct {
	Books   reserve.Snapshot `json:"books"`
	Frozen  day.Date         `json:"frozen,omitempty"` // a day whose clearing has asked
	Waiting []Proposal       `json:"waiting"`
	Last    string           `json:"last,omitempty"` // SHA-256 of the last day's statement
}

// Errors that a caller tells apart.
var (
	ErrNew        = errors.New("备付金账本尚未建立：switch reserve begin · there is no ledger yet")
	ErrSamePerson = errors.New("须由另一人确认（另一系统用户，或另一令牌）· another person must confirm: another user, or another token")
	ErrNoProposal = errors.New("没有该提议 · no such proposal")
	ErrFrozen     = errors.New("清算进行中，账户暂不出款 · a day is being cleared, nothing is taken out meanwhile")
)

// Ledger is open in one process at a time.
type Ledger struct {
	s   *chain.Store
	st  state
	now func() time.Time
}

const stateKey = "state"

// Open opens the ledger in dir, or makes an empty one, which wants Begin.
func Open(dir string) (*Ledger, error) {
	s, err := chain.Open(dir)
	if err != nil {
		return nil, err
	}
	l := &Ledger{s: s, now: time.Now}
	if _, err := s.Get(stateKey, &l.st); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return l, nil
}

// Close lets it go.
func (l *Ledger) Close() error { return l.s.Close() }

// Head is the end of its history.
func (l *Ledger) Head() audit.Head { return l.s.Head() }

// Date is the open day, 0 before Begin.
func (l *Ledger) Date() day.Date { return l.st.Books.Date }

// Accounts are those of now, by name.
func (l *Ledger) Accounts() []reserve.Account { return l.st.Books.Accounts }

// Waiting are the orders that wait for a second person.
func (l *Ledger) Waiting() []Proposal { return l.st.Waiting }

// write writes an event and the state that follows from it; on an error neither is.
func (l *Ledger) write(next state, who audit.Who, subject, what string, data any) error {
	ch := &chain.Change{}
	err := errors.Join(ch.Add(l.now(), who, subject, what, data), ch.Put(stateKey, next))
	if err == nil {
		err = l.s.Commit(ch)
	}
	if err == nil {
		l.st = next
	}
	return err
}

// Begin opens the first day.
func (l *Ledger) Begin(date day.Date, who audit.Who) error {
	if l.Date() != 0 {
		return fmt.Errorf("账本已建立，当前 %s · there is a ledger, its open day is %s", l.Date(), l.Date())
	}
	return l.write(state{Books: reserve.New(date).Snapshot()}, who, "ledger", "begin", date)
}

// books are those of now, to be changed.
func (l *Ledger) books() (*reserve.Books, error) {
	if l.Date() == 0 {
		return nil, ErrNew
	}
	return reserve.Restore(&l.st.Books)
}

// Propose has an order wait. What could not be done now is refused at once.
func (l *Ledger) Propose(o Order) (uint64, error) {
	if strings.TrimSpace(o.Why) == "" || len(o.Why) > 800 || strings.ContainsFunc(o.Why, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return 0, errors.New("须写明原因 · why?")
	}
	b, err := l.books()
	if err != nil {
		return 0, err
	}
	number := l.s.Head().N + 1
	if _, err := l.perform(b, &o, number); err != nil {
		return 0, err
	}
	next := l.st
	next.Waiting = append(append([]Proposal(nil), l.st.Waiting...), Proposal{number, o})
	return number, l.write(next, o.By, o.Account, "proposed", Proposal{number, o})
}

// perform does an order to books. warn says that an account is low by it.
func (l *Ledger) perform(b *reserve.Books, o *Order, number uint64) (warn bool, err error) {
	if l.st.Frozen != 0 && (o.Do == Withdraw || o.Do == CloseAccount || o.Do == SetLimits || o.Do == Adjust) {
		return false, fmt.Errorf("%s: %w", l.st.Frozen, ErrFrozen)
	}
	e := reserve.Entry{Ref: fmt.Sprintf("order-%d", number), Date: l.Date(), Account: o.Account, Amount: o.Fen}
	switch o.Do {
	case OpenAccount:
		if strings.ContainsAny(o.Account, " ,\n\"") || len(o.Account) > 64 {
			return false, fmt.Errorf("%q 不是账户名 · %q is no name of an account", o.Account, o.Account)
		}
		return false, b.Open(o.Account, reserve.Limits{Floor: o.Floor, Warn: o.Warn})
	case SetLimits:
		return false, b.SetLimits(o.Account, reserve.Limits{Floor: o.Floor, Warn: o.Warn})
	case CloseAccount:
		return false, b.Close(o.Account)
	case Deposit:
		e.Kind = reserve.Deposit
	case Withdraw:
		e.Kind = reserve.Withdraw
	case Adjust:
		e.Kind, e.Against = reserve.Adjust, o.Against
	default:
		return false, fmt.Errorf("没有操作 %q · no order %q", o.Do, o.Do)
	}
	return b.Post(e)
}

func (l *Ledger) take(number uint64) (p Proposal, next state, err error) {
	next = l.st
	next.Waiting = nil
	for _, w := range l.st.Waiting {
		if w.Number == number {
			p = w
		} else {
			next.Waiting = append(next.Waiting, w)
		}
	}
	if p.Number == 0 {
		err = fmt.Errorf("%d: %w", number, ErrNoProposal)
	}
	return p, next, err
}

// Confirm does an order, by a second person. warn says that the account is low now.
func (l *Ledger) Confirm(number uint64, who audit.Who) (p Proposal, warn bool, err error) {
	p, next, err := l.take(number)
	if err != nil {
		return p, false, err
	}
	if p.By.Same(who) {
		return p, false, ErrSamePerson
	}
	b, err := l.books()
	if err != nil {
		return p, false, err
	}
	if warn, err = l.perform(b, &p.Order, number); err != nil {
		return p, false, err
	}
	next.Books = b.Snapshot()
	return p, warn, l.write(next, who, p.Account, "done", p)
}

// Reject takes a proposal away, by anybody.
func (l *Ledger) Reject(number uint64, who audit.Who) error {
	p, next, err := l.take(number)
	if err != nil {
		return err
	}
	return l.write(next, who, p.Account, "rejected", number)
}

// Freeze says what each open account may lose with a day, fen, and lets nothing be
// taken out until that day is booked. Asked again, it says the same. nil without
// accounts.
func (l *Ledger) Freeze(date day.Date, who audit.Who) (map[string]int64, error) {
	if l.Date() == 0 || date < l.Date() {
		return nil, nil
	}
	if date != l.Date() {
		return nil, fmt.Errorf("备付金账本当前为 %s，须先结 · the ledger's open day is %s, and has to be closed first", l.Date(), l.Date())
	}
	free := map[string]int64{}
	for i := range l.st.Books.Accounts {
		if a := &l.st.Books.Accounts[i]; !a.Closed {
			free[a.Name] = a.Free()
		}
	}
	if l.st.Frozen == date {
		return free, nil
	}
	next := l.st
	next.Frozen = date
	return free, l.write(next, who, "ledger", "frozen", date)
}

// line is one of a day's entries, as the nightly run writes them.
type line struct {
	Ref     string `json:"ref"`
	Date    string `json:"date"`
	Kind    string `json:"kind"`
	Account string `json:"account"`
	Fen     int64  `json:"fen"` // what it does to the account
}

// Night books what a day's clearing did, proves every account's equation, and closes
// the day in one batch. It gives the statement to be signed and published. A day that
// is closed gives nil.
func (l *Ledger) Night(date day.Date, name string, in io.Reader, who audit.Who) (*Statement, error) {
	if l.Date() == 0 || date < l.Date() {
		return nil, nil
	}
	if date != l.Date() {
		return nil, fmt.Errorf("备付金账本当前为 %s · the ledger's open day is %s", l.Date(), l.Date())
	}
	b, err := l.books()
	if err != nil {
		return nil, err
	}
	if err := l.book(b, date, name, in); err != nil {
		return nil, err
	}
	all, err := b.CloseDay()
	if err != nil {
		return nil, err
	}
	st := &Statement{Date: date, Accounts: all, Previous: l.st.Last}
	digest, err := st.digest()
	if err != nil {
		return nil, err
	}
	next := l.st
	next.Books, next.Frozen, next.Last = b.Snapshot(), 0, digest
	return st, l.write(next, who, "ledger", "closed", st)
}

// book posts the lines of accounts that there are.
func (l *Ledger) book(b *reserve.Books, date day.Date, name string, in io.Reader) error {
	has := map[string]bool{}
	for _, a := range l.st.Books.Accounts {
		has[a.Name] = !a.Closed
	}
	s := bufio.NewScanner(in)
	for n := 1; s.Scan(); n++ {
		var x line
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.DisallowUnknownFields()
		err := d.Decode(&x)
		kind, ok := reserve.ParseKind(x.Kind)
		if err == nil && (!ok || x.Date != date.String()) {
			err = fmt.Errorf("kind %q, date %q", x.Kind, x.Date)
		}
		if err == nil && has[x.Account] {
			e := reserve.Entry{Ref: x.Ref, Date: date, Kind: kind, Account: x.Account, Amount: x.Fen}
			if kind == reserve.Consume || kind == reserve.Refund || kind == reserve.Withdraw {
				e.Amount = -x.Fen
			}
			_, err = b.PostCleared(e)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	return s.Err()
}

// Statements gives the statement of each closed day, in order.
func (l *Ledger) Statements(f func(*Statement) error) error {
	return l.s.About("ledger", func(e *chain.Event) error {
		if e.What != "closed" {
			return nil
		}
		var st Statement
		if err := json.Unmarshal(e.Data, &st); err != nil {
			return fmt.Errorf("event %d: %w", e.N, err)
		}
		return f(&st)
	})
}

// Verify follows the chain, proves every closed day again, each from the closing of
// the one before, and holds the sum of all.
func (l *Ledger) Verify() (days int, err error) {
	if err := l.s.Verify(nil); err != nil {
		return 0, err
	}
	closing, last := map[string]int64{}, ""
	err = l.Statements(func(st *Statement) error {
		days++
		if st.Previous != last {
			return fmt.Errorf("%s: 与前一日不相连 · it does not follow from the day before", st.Date)
		}
		for i := range st.Accounts {
			a := &st.Accounts[i]
			if !a.Balanced() || a.Opening != closing[a.Account] {
				return fmt.Errorf("%s %s: 日终等式不成立 · the day does not add up", st.Date, a.Account)
			}
			closing[a.Account] = a.Closing
		}
		last, err = st.digest()
		return err
	})
	if err == nil && last != l.st.Last {
		err = fmt.Errorf("%w: the last statement", chain.ErrBroken)
	}
	for i := range l.st.Books.Accounts {
		a := &l.st.Books.Accounts[i]
		sum := a.Opening
		for _, fen := range a.Sums {
			sum += fen
		}
		if err == nil && (sum != a.Balance || a.Opening != closing[a.Name]) {
			err = fmt.Errorf("%s: %w: the open day", a.Name, chain.ErrBroken)
		}
	}
	if err == nil && l.Date() != 0 {
		_, err = l.books()
	}
	return days, err
}
