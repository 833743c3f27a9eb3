package reserve

import (
	"fmt"
	"maps"
	"slices"

	"tongka/clearing/day"
)

// Snapshot is all of some books, in a form for files. Entries of the open day are in
// it by what they did, and by their references.
type Snapshot struct {
	Date     day.Date  `json:"date"` // the open day
	World    int64     `json:"world"`
	Accounts []Account `json:"accounts"` // by name
	Refs     []Entry   `json:"refs"`     // of the open day, by reference
}

// Account is one of a snapshot.
type Account struct {
	Name    string  `json:"name"`
	Floor   int64   `json:"floor_fen"`
	Warn    int64   `json:"warn_fen"`
	Balance int64   `json:"balance_fen"`
	Opening int64   `json:"opening_fen"` // of the open day
	Sums    []int64 `json:"sums_fen"`    // of the open day, by kind
	Closed  bool    `json:"closed,omitempty"`
}

// Low says that somebody should be told of the balance.
func (a *Account) Low() bool { return a.Balance < a.Warn }

// Free is what may be taken before the floor is reached, fen.
func (a *Account) Free() int64 { return a.Balance - a.Floor }

// Snapshot gives all of the books.
func (b *Books) Snapshot() Snapshot {
	s := Snapshot{Date: b.date, World: b.world, Accounts: []Account{}, Refs: []Entry{}}
	for _, name := range slices.Sorted(maps.Keys(b.of)) {
		a := b.of[name]
		s.Accounts = append(s.Accounts, Account{name, a.limits.Floor, a.limits.Warn, a.balance, a.opening, slices.Clone(a.sums[:]), a.closed})
	}
	for _, ref := range slices.Sorted(maps.Keys(b.refs)) {
		s.Refs = append(s.Refs, b.refs[ref])
	}
	return s
}

// Restore makes books of a snapshot. Its sum has to be zero.
func Restore(s *Snapshot) (*Books, error) {
	b := New(s.Date)
	b.world = s.World
	for i := range s.Accounts {
		a := &s.Accounts[i]
		if len(a.Sums) != int(kinds) || b.of[a.Name] != nil || a.Name == Outside {
			return nil, fmt.Errorf("account %q: no account of a snapshot", a.Name)
		}
		b.of[a.Name] = &account{limits: Limits{a.Floor, a.Warn}, balance: a.Balance, opening: a.Opening, sums: [kinds]int64(a.Sums), closed: a.Closed}
	}
	for _, e := range s.Refs {
		b.refs[e.Ref] = e
	}
	if sum := b.Sum(); sum != 0 {
		return nil, fmt.Errorf("合计 %d 不为零 · the sum of all accounts is %d", sum, sum)
	}
	return b, nil
}

// SetLimits changes those of an account. A floor above its balance stops what takes
// from it, and nothing else.
func (b *Books) SetLimits(name string, l Limits) error {
	a := b.of[name]
	if a == nil || a.closed {
		return fmt.Errorf("account %q: %w", name, ErrClosed)
	}
	if l.Floor > 0 || l.Warn < l.Floor {
		return fmt.Errorf("account %q: floor %d has to be 0 or below it, and warn %d not below the floor", name, l.Floor, l.Warn)
	}
	a.limits = l
	return nil
}
