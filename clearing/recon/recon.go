// Package recon holds two sorted streams of rows against each other, ours and
// theirs, and says of each row once what it is. It keeps one key's rows in memory,
// and of these no more than sixteen a side.
package recon

import (
	"bytes"
	"fmt"

	"tongka/clearing/row"
)

// Rules say how strictly rows are held against each other.
type Rules struct {
	Tolerance int64 // fen by which amounts may differ and still match
	Many      bool  // one row matches several of the same key and sum
	// HoldFrom is the moment, Unix nanoseconds, from which a row without a partner
	// is held for the next day, once; 0 holds none.
	HoldFrom int64
}

// Rows gives rows as row.Append writes them, ascending, and nil behind the last.
// What it gives is lent. *extsort.Stream is one.
type Rows interface{ Next() ([]byte, error) }

// Result is one verdict. A row is in exactly one result, except one side of an
// InParts pair, which is in the first result of its parts only.
type Result struct {
	Class     Class
	Reason    Reason
	HasOurs   bool
	HasTheirs bool
	Ours      row.Row
	Theirs    row.Row
}

// Totals are what one run saw.
type Totals struct {
	Ours, Theirs       int64 // rows
	OursNet, TheirsNet int64 // fen, row.Net summed
	Count              [Classes]int64
	Difference         [Classes]int64 // fen, ours less theirs
}

// Differences is how many verdicts are not Matched.
func (t *Totals) Differences() (n int64) {
	for _, c := range t.Count[Matched+1:] {
		n += c
	}
	return n
}

// Unbalanced is what the verdicts do not explain of the distance between the two
// sides, fen. It is 0, or a row was lost.
func (t *Totals) Unbalanced() int64 {
	rest := t.OursNet - t.TheirsNet
	for _, d := range t.Difference {
		rest -= d
	}
	return rest
}

// most is how many rows of a key a side is compared with; a file with one key for
// all must not fill the memory.
const most = 16

// side is one of the two streams.
type side struct {
	name  string
	src   Rows
	next  row.Row
	any   bool
	last  row.Key
	rows  []row.Row // of the key at hand, not paired yet
	count int       // of the key at hand
	total *int64
	net   *int64
}

type merger struct {
	rules        Rules
	ours, theirs side
	emit         func(*Result) error
	res          Result
	totals       Totals
}

// Reconcile gives emit each verdict in the order of keys. Result is lent.
func Reconcile(ours, theirs Rows, rules Rules, emit func(*Result) error) (*Totals, error) {
	m := &merger{rules: rules, emit: emit}
	m.ours = side{name: "ours", src: ours, rows: make([]row.Row, 0, most), total: &m.totals.Ours, net: &m.totals.OursNet}
	m.theirs = side{name: "theirs", src: theirs, rows: make([]row.Row, 0, most), total: &m.totals.Theirs, net: &m.totals.TheirsNet}
	for _, s := range []*side{&m.ours, &m.theirs} {
		if err := s.advance(); err != nil {
			return nil, err
		}
	}
	for m.ours.any || m.theirs.any {
		if err := m.key(); err != nil {
			return nil, err
		}
	}
	return &m.totals, nil
}

func (s *side) advance() error {
	b, err := s.src.Next()
	if s.any = b != nil; err != nil || !s.any {
		return err
	}
	s.last = s.next.Key
	if err := s.next.Read(b); err != nil {
		return fmt.Errorf("reconcile: %s, row %d: %w", s.name, *s.total, err)
	}
	if *s.total > 0 && bytes.Compare(s.next.Key[:], s.last[:]) < 0 {
		return fmt.Errorf("reconcile: %s, row %d: the rows are not in order", s.name, *s.total)
	}
	*s.total++
	*s.net += s.next.Net()
	return nil
}

// key takes all rows of the least key.
func (m *merger) key() error {
	key := m.theirs.next.Key
	if !m.theirs.any || m.ours.any && bytes.Compare(m.ours.next.Key[:], key[:]) < 0 {
		key = m.ours.next.Key
	}
	for _, s := range []*side{&m.ours, &m.theirs} {
		s.rows, s.count = s.rows[:0], 0
		for s.any && s.next.Key == key {
			if s.count++; len(s.rows) < most {
				s.rows = append(s.rows, s.next)
			} else if err := m.surplus(s); err != nil {
				return err
			}
			if err := s.advance(); err != nil {
				return err
			}
		}
	}
	return m.pair()
}

// surplus is the verdict on a row beyond what a key is compared with.
func (m *merger) surplus(s *side) error {
	if s.next.Status != row.Settled {
		return m.one(s, &s.next, Matched, NoMoney)
	}
	return m.one(s, &s.next, Duplicate, OnceMore)
}

// give counts a verdict and hands it out.
func (m *merger) give(c Class, why Reason, ours, theirs *row.Row) error {
	m.res.Class, m.res.Reason = c, why
	m.res.HasOurs, m.res.HasTheirs = ours != nil, theirs != nil
	m.res.Ours, m.res.Theirs = row.Row{}, row.Row{}
	m.totals.Count[c]++
	if ours != nil {
		m.res.Ours = *ours
		m.totals.Difference[c] += ours.Net()
	}
	if theirs != nil {
		m.res.Theirs = *theirs
		m.totals.Difference[c] -= theirs.Net()
	}
	return m.emit(&m.res)
}

// one is a verdict on a row of one side.
func (m *merger) one(s *side, r *row.Row, c Class, why Reason) error {
	if s == &m.ours {
		return m.give(c, why, r, nil)
	}
	return m.give(c, why, nil, r)
}
