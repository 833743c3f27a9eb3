package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tongka/clearing/casefile"
	"tongka/clearing/day"
	"tongka/clearing/recon"
	"tongka/clearing/row"
)

// reconciled is what Reconcile leaves.
type reconciled struct {
	recon.Totals
	Agreed    int64 `json:"agreed"`    // rows to be booked
	Held      int64 `json:"held"`      // rows that wait for the next day
	Raised    int64 `json:"raised"`    // cases
	Resolved  int64 `json:"resolved"`  // cases whose partner came late
	Tolerated int64 `json:"tolerated"` // fen by which matched rows differ, ours less theirs
}

// matcher gives each verdict to where it belongs.
type matcher struct {
	j      *job
	end    int64 // the moment of the cut
	out    reconciled
	agreed *file
	held   *file
	odd    *file // differences within the tolerance
	cases  *file
	diffs  func(...any) error
	encode *json.Encoder
	buf    []byte
	next   [2]*sorter // of the next pass: ours, theirs; nil in the last
	by     row.Fields // of the next pass
}

// reconcile holds both sides against each other, pass by pass.
func (j *job) reconcile() (any, error) {
	var reg registered
	_, err := j.st.step(j.o.Date, Register, &reg)
	m := &matcher{j: j, end: reg.End}
	for _, o := range []struct {
		f    **file
		name string
		temp bool
	}{{&m.agreed, agreedRows, true}, {&m.odd, tolerated, true}, {&m.held, heldRows, false}, {&m.cases, CasesFile, false}} {
		if err == nil {
			*o.f, err = j.create(o.name, o.temp)
		}
	}
	if err != nil {
		return nil, err
	}
	m.encode = json.NewEncoder(m.cases)
	m.encode.SetEscapeHTML(false)
	columns := []string{"date", "class", "reason", "link", "rrn", "stan", "kind", "merchant", "terminal", "card", "ours_fen", "theirs_fen", "difference_fen", "txn", "file", "line", "case"}
	err = j.writeCSV(diffCSV, columns, func(add func(...any) error) error {
		m.diffs = add
		return m.passes()
	})
	for _, f := range []*file{m.agreed, m.odd, m.held, m.cases} {
		err = errors.Join(err, f.end(nil))
	}
	if err == nil && m.out.Unbalanced() != 0 {
		err = fmt.Errorf("%d 分未平 · %d fen are not explained: %w", m.out.Unbalanced(), m.out.Unbalanced(), ErrBalance)
	}
	return &m.out, err
}

// passes matches by each of the rules' fields in turn.
func (m *matcher) passes() (err error) {
	ours, err := m.j.rowsOf(Fold, oursRows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	theirs, err := m.j.rowsOf(Intake, theirsRows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	all := float64(max(1, ours.left+theirs.left))
	var a, b recon.Rows = &counted{ours, m.j, all}, &counted{theirs, m.j, all}
	for i := range m.j.o.Rules.Match {
		m.next, m.by = [2]*sorter{}, nil
		if i+1 < len(m.j.o.Rules.Match) {
			m.by = m.j.o.Rules.Match[i+1]
			var err1, err2 error
			m.next[0], err1 = m.j.sorter(fmt.Sprintf("ours%d", i))
			m.next[1], err2 = m.j.sorter(fmt.Sprintf("theirs%d", i))
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
		}
		totals, err := recon.Reconcile(a, b, m.rules(), m.verdict)
		if err != nil {
			return err
		}
		if i == 0 { // later passes see some of these rows again
			m.out.Ours, m.out.Theirs, m.out.OursNet, m.out.TheirsNet = totals.Ours, totals.Theirs, totals.OursNet, totals.TheirsNet
		}
		if m.by == nil {
			return nil
		}
		sa, err := m.next[0].s.Sort()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sa.Close()) }()
		sb, err := m.next[1].s.Sort()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sb.Close()) }()
		a, b = sa, sb
	}
	return nil
}

// counted tells how far the first pass is; what is left to later ones is little.
type counted struct {
	*rowFile
	j   *job
	all float64
}

// Next implements recon.Rows.
func (c *counted) Next() ([]byte, error) {
	b, err := c.rowFile.Next()
	if b != nil && err == nil {
		c.j.part = float64(c.j.rows) / c.all
		err = c.j.row()
	}
	return b, err
}

func (m *matcher) rules() recon.Rules {
	r := m.j.o.Rules
	out := recon.Rules{Tolerance: r.Tolerance, Many: r.Many}
	if r.Hold > 0 {
		out.HoldFrom = m.end - int64(r.Hold)
	}
	return out
}

// verdict takes one, which is lent.
func (m *matcher) verdict(v *recon.Result) error {
	alone := v.HasOurs != v.HasTheirs && (v.Class == recon.OursOnly || v.Class == recon.TheirsOnly || v.Class == recon.NextDay)
	if alone && m.by != nil {
		if v.HasOurs {
			return m.next[0].add(&v.Ours, m.by)
		}
		return m.next[1].add(&v.Theirs, m.by)
	}
	m.count(v)
	switch {
	case v.Class == recon.Matched:
		return m.matched(v)
	case alone:
		return m.waiting(v)
	}
	return errors.Join(m.raise(v), m.resolve(v, true))
}

func (m *matcher) count(v *recon.Result) {
	m.out.Count[v.Class]++
	m.out.Difference[v.Class] += v.Ours.Net() - v.Theirs.Net() // of a side that is not there: 0
	if v.Class == recon.Matched && v.HasOurs && v.HasTheirs && v.Reason == recon.WithinLimits {
		m.out.Tolerated += v.Ours.Net() - v.Theirs.Net()
	}
}

// matched books what stands, and ends the cases of those who waited.
func (m *matcher) matched(v *recon.Result) error {
	if v.HasOurs && v.Ours.Net() != 0 {
		m.out.Agreed++
		if err := m.append(m.agreed, &v.Ours); err != nil {
			return err
		}
		if err := m.tolerate(v); err != nil {
			return err
		}
	}
	return m.resolve(v, false)
}

// tolerate keeps by how much a match within the tolerance differs: our row with the
// difference for its amount.
func (m *matcher) tolerate(v *recon.Result) error {
	d := v.Theirs.Net() - v.Ours.Net()
	if !v.HasTheirs || v.Reason != recon.WithinLimits || d == 0 {
		return nil
	}
	r := v.Ours
	if r.Amount = max(d, -d); d < 0 {
		r.Flags |= row.Less
	}
	return m.append(m.odd, &r)
}

// resolve ends the cases about rows that found a partner. Where they differ, the
// case of ours goes on under its name, and only theirs ends.
func (m *matcher) resolve(v *recon.Result, differ bool) error {
	var err error
	if v.HasOurs && v.Ours.Flags&row.Late != 0 && !differ {
		only := *v
		err = m.event(casefile.Resolved, &only)
	}
	if v.HasTheirs && v.Theirs.Flags&row.Late != 0 && (v.HasOurs || !differ) {
		only := recon.Result{Class: v.Class, Reason: v.Reason, HasTheirs: true, Theirs: v.Theirs}
		err = errors.Join(err, m.event(casefile.Resolved, &only))
	}
	return err
}

// waiting holds a row for a later day: near the cut in silence, else with a case.
func (m *matcher) waiting(v *recon.Result) error {
	r := &v.Ours
	if v.HasTheirs {
		r = &v.Theirs
	}
	if v.Class == recon.NextDay {
		r.Flags |= row.Held
		return errors.Join(m.difference(v), m.hold(r))
	}
	if r.Flags&row.Late == 0 {
		if err := m.raise(v); err != nil {
			return err
		}
	} else if err := m.difference(v); err != nil {
		return err
	}
	if age(r.Date, m.j.o.Date) >= m.j.o.Rules.LateDays {
		return nil // the case stays; the row is not looked for any more
	}
	r.Flags |= row.Held | row.Late
	return m.hold(r)
}

// age is how many days lie between two.
func age(from, to day.Date) int {
	t := func(d day.Date) time.Time {
		return time.Date(int(d/10000), time.Month(d/100%100), int(d%100), 0, 0, 0, 0, time.UTC)
	}
	return int(t(to).Sub(t(from)) / (24 * time.Hour))
}

func (m *matcher) hold(r *row.Row) error {
	m.out.Held++
	return m.append(m.held, r)
}

func (m *matcher) append(to *file, r *row.Row) error {
	m.buf = r.Append(m.buf[:0])
	_, err := to.Write(m.buf)
	return err
}

func (m *matcher) raise(v *recon.Result) error {
	return errors.Join(m.difference(v), m.event(casefile.Raised, v))
}

func (m *matcher) event(what string, v *recon.Result) error {
	if what == casefile.Raised {
		m.out.Raised++
	} else {
		m.out.Resolved++
	}
	return m.encode.Encode(casefile.Of(m.j.o.Date, what, v))
}

// difference is a line of the table of all that differs.
func (m *matcher) difference(v *recon.Result) error {
	e := casefile.Of(m.j.o.Date, casefile.Raised, v)
	var ours, theirs, id, file, line any = "", "", "", "", ""
	kind := ""
	if e.Theirs != nil {
		theirs, file, line, kind = e.Theirs.Net, e.Theirs.File, e.Theirs.Line, e.Theirs.Kind
	}
	if e.Ours != nil {
		ours, id, kind = e.Ours.Net, e.Ours.Txn, e.Ours.Kind
	}
	name := e.Case
	if v.Class == recon.NextDay {
		name = "" // it has none yet
	}
	return m.diffs(e.Of, e.Class, e.ReasonZH+" · "+e.ReasonEN, m.j.linkName(linkOf(v)), e.RRN, e.STAN, kind, e.Merchant, e.Terminal, e.Card,
		ours, theirs, e.Fen, id, file, line, name)
}
