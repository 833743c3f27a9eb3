// Package reserve keeps the books of reserve accounts (备付金): each entry moves
// money from one account to another, so the sum of all balances is zero at any
// time, and each day of each account has to add up by its own equation. It is
// pure: the same entries in the same order give the same books.
package reserve

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"tongka/clearing/day"
)

// Outside is where money comes from and goes to: the world that has no account.
const Outside = ""

// ParseKind finds a kind by its word.
func ParseKind(s string) (Kind, bool) {
	for k := Deposit; k < kinds; k++ {
		if kindNames[k] == s {
			return k, true
		}
	}
	return 0, false
}

// Kind says what an entry is in the daily equation.
type Kind uint8

// Kinds. The sign is what it does to the account of an institution.
const (
	Deposit  Kind = iota + 1 // + brought by the institution
	Withdraw                 // − taken by it
	Load                     // + put on cards, and cleared by a bank
	Consume                  // − paid with cards, and settled
	Refund                   // − given back
	Adjust                   // ± decided by people
	kinds
)

var kindNames = [kinds]string{"", "deposit", "withdraw", "load", "consume", "refund", "adjust"}

// String is the kind's word in files.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "invalid"
}

// sign is what an entry's amount does to its account; an adjustment has its own.
func (k Kind) sign() int64 {
	if k == Withdraw || k == Consume || k == Refund {
		return -1
	}
	return 1
}

// Entry is one booking.
type Entry struct {
	Ref     string // its own name: an entry that comes twice is booked once
	Date    day.Date
	Kind    Kind
	Account string
	Against string // the other account, or Outside
	Amount  int64  // fen, above 0; of an adjustment either sign
}

// delta is what the entry does to its account.
func (e *Entry) delta() int64 { return e.Kind.sign() * e.Amount }

// Limits of an account.
type Limits struct {
	Floor int64 // fen: no entry but an adjustment may bring it below
	Warn  int64 // fen: below it somebody should be told
}

// Errors that a caller tells apart.
var (
	ErrBelow  = errors.New("余额将低于下限 · the balance would fall below its limit")
	ErrClosed = errors.New("账户已关闭或不存在 · the account is closed, or there is none")
	ErrDate   = errors.New("日期已结 · the day is closed")
	ErrRef    = errors.New("同一编号、不同内容 · one reference for two entries")
)

// maxAmount keeps sums far from overflow: a thousand million entries fit.
const maxAmount = 999_999_999_999

type account struct {
	limits  Limits
	balance int64
	opening int64        // of the open day
	sums    [kinds]int64 // of the open day, by what they do to the account
	closed  bool
}

// Books are all accounts. They belong to one goroutine.
type Books struct {
	date  day.Date // the open day
	of    map[string]*account
	refs  map[string]Entry // of the open day
	world int64
}

// New begins with an open day and no account.
func New(date day.Date) *Books {
	return &Books{date: date, of: map[string]*account{}, refs: map[string]Entry{}}
}

// Open makes an account, empty.
func (b *Books) Open(name string, l Limits) error {
	if name == Outside || b.of[name] != nil {
		return fmt.Errorf("account %q: there is one of this name, or it is none", name)
	}
	if l.Floor > 0 || l.Warn < l.Floor {
		return fmt.Errorf("account %q: floor %d has to be 0 or below it, and warn %d not below the floor", name, l.Floor, l.Warn)
	}
	b.of[name] = &account{limits: l}
	return nil
}

// Close ends an account whose balance is 0. It stays in the statements of its day.
func (b *Books) Close(name string) error {
	a := b.of[name]
	switch {
	case a == nil || a.closed:
		return fmt.Errorf("account %q: %w", name, ErrClosed)
	case a.balance != 0:
		return fmt.Errorf("account %q: 余额 %d 不为零 · it has %d and cannot be closed", name, a.balance, a.balance)
	}
	a.closed = true
	return nil
}

// Post books an entry whole or not at all. warn says that an account is below
// its warning by it.
func (b *Books) Post(e Entry) (warn bool, err error) { return b.post(e, true) }

// PostCleared books what a day's clearing has done already: limits were asked before
// it was, and the net of a day may have either sign.
func (b *Books) PostCleared(e Entry) (warn bool, err error) { return b.post(e, false) }

func (b *Books) post(e Entry, limited bool) (warn bool, err error) {
	if was, ok := b.refs[e.Ref]; ok {
		if was != e {
			return false, fmt.Errorf("entry %q: %w", e.Ref, ErrRef)
		}
		return false, nil
	}
	if err := b.check(&e, limited); err != nil {
		return false, fmt.Errorf("entry %q: %w", e.Ref, err)
	}
	one, other := b.of[e.Account], b.of[e.Against]
	d := e.delta()
	for _, x := range []struct {
		a *account
		d int64
	}{{one, d}, {other, -d}} {
		if limited && x.a != nil && x.d < 0 && e.Kind != Adjust && x.a.balance+x.d < x.a.limits.Floor {
			return false, fmt.Errorf("entry %q: %w", e.Ref, ErrBelow)
		}
	}
	warn = one.book(e.Kind, d)
	if other != nil {
		warn = other.book(e.Kind, -d) || warn
	} else {
		b.world -= d
	}
	b.refs[e.Ref] = e
	return warn, nil
}

func (b *Books) check(e *Entry, limited bool) error {
	switch {
	case e.Ref == "":
		return errors.New("it has no reference")
	case e.Kind == 0 || e.Kind >= kinds:
		return fmt.Errorf("unknown kind %d", e.Kind)
	case e.Date != b.date:
		return fmt.Errorf("%s, %s: %w", e.Date, b.date, ErrDate)
	case e.Amount == 0 || limited && e.Amount < 0 && e.Kind != Adjust || e.Amount > maxAmount || e.Amount < -maxAmount:
		return fmt.Errorf("the amount %d cannot be", e.Amount)
	case e.Account == e.Against:
		return errors.New("it moves money from an account to itself")
	}
	for _, name := range []string{e.Account, e.Against} {
		if a := b.of[name]; (name != Outside || name == e.Account) && (a == nil || a.closed) {
			return fmt.Errorf("account %q: %w", name, ErrClosed)
		}
	}
	return nil
}

func (a *account) book(k Kind, d int64) (warn bool) {
	a.balance += d
	a.sums[k] += d
	return d < 0 && a.balance < a.limits.Warn
}

// Balance of an account, fen.
func (b *Books) Balance(name string) int64 {
	if a := b.of[name]; a != nil {
		return a.balance
	}
	return 0
}

// Sum is of all balances and the world's, and 0.
func (b *Books) Sum() int64 {
	sum := b.world
	for _, a := range b.of {
		sum += a.balance
	}
	return sum
}

// Statement is one account's day: Opening and all that follows add up to Closing.
type Statement struct {
	Date                                               day.Date
	Account                                            string
	Opening                                            int64
	Deposit, Withdraw, Load, Consume, Refund, Adjusted int64 // with their signs
	Closing                                            int64
	Warn                                               bool // below its warning at the end
}

// Balanced says that the daily equation holds.
func (s *Statement) Balanced() bool {
	return s.Opening+s.Deposit+s.Withdraw+s.Load+s.Consume+s.Refund+s.Adjusted == s.Closing
}

// CloseDay ends the open day, if every account's equation and the sum of all hold,
// and gives the statements by name. The next date is open from then on.
func (b *Books) CloseDay() ([]Statement, error) {
	if sum := b.Sum(); sum != 0 {
		return nil, fmt.Errorf("%s: 合计 %d 不为零 · the sum of all accounts is %d", b.date, sum, sum)
	}
	var all []Statement
	for _, name := range slices.Sorted(maps.Keys(b.of)) {
		a := b.of[name]
		s := Statement{b.date, name, a.opening, a.sums[Deposit], a.sums[Withdraw], a.sums[Load], a.sums[Consume], a.sums[Refund], a.sums[Adjust],
			a.balance, a.balance < a.limits.Warn}
		if !s.Balanced() {
			return nil, fmt.Errorf("%s: account %q: 日终等式不成立 · the day does not add up: %+v", b.date, name, s)
		}
		all = append(all, s)
	}
	for name, a := range b.of {
		if a.opening, a.sums = a.balance, [kinds]int64{}; a.closed {
			delete(b.of, name)
		}
	}
	b.date = b.date.Add(1)
	clear(b.refs)
	return all, nil
}
