package recon

import (
	"slices"

	"tongka/clearing/row"
	"tongka/txn"
)

// pair finds partners within a key, the surest first, and says of the rest why it
// has none.
func (m *merger) pair() error {
	if err := m.undo(); err != nil {
		return err
	}
	for _, test := range [...]func(o, t *row.Row) (Class, Reason, bool){same, m.near, verdict} {
		if err := m.each(test); err != nil {
			return err
		}
	}
	if m.rules.Many {
		if err := m.parts(); err != nil {
			return err
		}
	}
	for _, test := range [...]func(o, t *row.Row) (Class, Reason, bool){otherAmount, otherStatus} {
		if err := m.each(test); err != nil {
			return err
		}
	}
	return m.rest()
}

// undo takes their reversals together with what they took back. A centre's file has
// both as records that move money; ours of one day has one row, which does not stand.
// A reversal that we have a row of as well, of an earlier day, is left to be paired.
func (m *merger) undo() error {
	reversal := func(r row.Row) bool { return r.Kind == txn.Reversal }
	if slices.ContainsFunc(m.ours.rows, reversal) {
		return nil
	}
	t := &m.theirs
	for i := 0; i < len(t.rows); {
		r := &t.rows[i]
		of := slices.IndexFunc(t.rows, func(o row.Row) bool {
			return o.Kind == r.Of && o.Status == row.Settled && o.Amount == r.Amount
		})
		if !reversal(*r) || r.Status != row.Settled || of < 0 {
			i++
			continue
		}
		t.rows[of].Status, r.Status = row.Reversed, row.Reversed
		if err := m.one(t, r, Matched, NoMoney); err != nil {
			return err
		}
		t.rows = slices.Delete(t.rows, i, i+1)
		t.count--
	}
	return nil
}

// each pairs what passes a test, in order.
func (m *merger) each(test func(o, t *row.Row) (Class, Reason, bool)) error {
	o, t := &m.ours, &m.theirs
	for i := 0; i < len(o.rows); {
		paired := false
		for j := range t.rows {
			c, why, ok := test(&o.rows[i], &t.rows[j])
			if !ok {
				continue
			}
			if err := m.give(c, why, &o.rows[i], &t.rows[j]); err != nil {
				return err
			}
			o.rows, t.rows = slices.Delete(o.rows, i, i+1), slices.Delete(t.rows, j, j+1)
			paired = true
			break
		}
		if !paired {
			i++
		}
	}
	return nil
}

func same(o, t *row.Row) (Class, Reason, bool) {
	stands := o.Status == row.Settled
	if stands != (t.Status == row.Settled) || judged(t) || o.Signed() != t.Signed() {
		return 0, 0, false
	}
	if !stands {
		return Matched, NoMoney, true
	}
	return Matched, Same, true
}

func (m *merger) near(o, t *row.Row) (Class, Reason, bool) {
	d := o.Net() - t.Net()
	return Matched, WithinLimits, m.rules.Tolerance > 0 && o.Status == row.Settled && t.Status == row.Settled &&
		-m.rules.Tolerance <= d && d <= m.rules.Tolerance
}

// judged says that their file has refused the record for itself.
func judged(t *row.Row) bool { return t.Status == row.TACFailed || t.Status == row.CardInvalid }

func verdictOf(t *row.Row) Class {
	if t.Status == row.TACFailed {
		return TACFailed
	}
	return CardInvalid
}

func verdict(_, t *row.Row) (Class, Reason, bool) {
	return verdictOf(t), TheirVerdict, judged(t)
}

func otherAmount(o, t *row.Row) (Class, Reason, bool) {
	return AmountDiffers, OtherAmount, o.Status == row.Settled && t.Status == row.Settled
}

// otherStatus takes pairs of which one side stands; two that do not, for two
// amounts, move no money.
func otherStatus(o, t *row.Row) (Class, Reason, bool) {
	switch {
	case o.Status == row.Settled:
		return StatusDiffers, TheyTookBack, true
	case t.Status != row.Settled:
		return Matched, NoMoney, true
	case o.Flags&row.Owed != 0:
		return StatusDiffers, ReversalOwed, true
	}
	return StatusDiffers, ReversalUnseen, true
}

// parts matches one row that stands with all that stand on the other side, when
// their sums are the same.
func (m *merger) parts() error {
	one, many := &m.ours, &m.theirs
	if len(one.rows) != 1 {
		one, many = many, one
	}
	if len(one.rows) != 1 || len(many.rows) < 2 || one.count > most || many.count > most {
		return nil
	}
	sum := -one.rows[0].Net()
	for i := range many.rows {
		if many.rows[i].Status != row.Settled {
			return nil
		}
		sum += many.rows[i].Net()
	}
	if sum != 0 || one.rows[0].Status != row.Settled {
		return nil
	}
	for i := range many.rows {
		o, t := &one.rows[0], &many.rows[i]
		if i > 0 {
			o = nil
		}
		if one == &m.theirs {
			o, t = t, o
		}
		if err := m.give(Matched, InParts, o, t); err != nil {
			return err
		}
	}
	one.rows, many.rows = one.rows[:0], many.rows[:0]
	return nil
}

// rest says why rows have no partner.
func (m *merger) rest() error {
	for _, s := range []*side{&m.ours, &m.theirs} {
		other, alone := &m.theirs, OursOnly
		if s == &m.theirs {
			other, alone = &m.ours, TheirsOnly
		}
		for i := range s.rows {
			r := &s.rows[i]
			c, why := alone, NoSuchKey
			switch {
			case judged(r):
				c, why = verdictOf(r), TheirVerdict
			case r.Status != row.Settled:
				c, why = Matched, NoMoney
			case other.count > 0 || s.count > 1 && i > 0:
				c, why = Duplicate, OnceMore
			case r.Flags&row.Held != 0:
				why = HeldAndNoKey
			case m.rules.HoldFrom != 0 && r.At >= m.rules.HoldFrom:
				c, why = NextDay, NearTheCut
			}
			if err := m.one(s, r, c, why); err != nil {
				return err
			}
		}
	}
	return nil
}
