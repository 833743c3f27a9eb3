// Package clearing puts the parts of a day together: rows of both sides are sorted
// by key, held against each other, and what both agree on is booked with its fees.
// What differs is booked by nobody; it waits for a decision.
package clearing

import (
	"errors"
	"fmt"
	"sync"

	"tongka/clearing/extsort"
	"tongka/clearing/fee"
	"tongka/clearing/recon"
	"tongka/clearing/row"
)

// Options say how a day is cleared.
type Options struct {
	Dir    string // for runs, emptied of them by Settle and Close
	Memory int    // bytes for each side; 0 as extsort has it
	Fields row.Fields
	Rules  recon.Rules
	Fees   *fee.Table
}

// Day takes the rows of both sides. Ours belongs to one goroutine and Theirs to one, that
// may be another; the rest comes behind both.
type Day struct {
	o            Options
	ours, theirs *extsort.Sorter
	bufs         [2][]byte
}

// NewDay makes an empty day.
func NewDay(o Options) (*Day, error) {
	if len(o.Fields) == 0 || o.Fees == nil {
		return nil, errors.New("clearing: fields to match by and a table of fees are wanted")
	}
	d := &Day{o: o}
	var err, err2 error
	d.ours, err = extsort.New(extsort.Options{Dir: o.Dir, Name: "ours", Size: row.Size, Memory: o.Memory})
	d.theirs, err2 = extsort.New(extsort.Options{Dir: o.Dir, Name: "theirs", Size: row.Size, Memory: o.Memory})
	return d, errors.Join(err, err2)
}

// Ours adds a row of our journal, and fills its key.
func (d *Day) Ours(r *row.Row) error { return d.add(d.ours, &d.bufs[0], r) }

// Theirs adds a row of the other side's file, and fills its key.
func (d *Day) Theirs(r *row.Row) error { return d.add(d.theirs, &d.bufs[1], r) }

func (d *Day) add(s *extsort.Sorter, buf *[]byte, r *row.Row) error {
	r.SetKey(d.o.Fields)
	*buf = r.Append((*buf)[:0])
	return s.Add(*buf)
}

// Outcome is a settled day.
type Outcome struct {
	*recon.Totals
	Positions *fee.Positions
}

// Unbalanced is what neither the verdicts nor the positions explain, fen: 0.
func (o *Outcome) Unbalanced() int64 {
	rest, sum := o.Totals.Unbalanced(), o.Positions.Sum()
	return max(rest, -rest) + max(sum, -sum)
}

// Settle reconciles and books. emit is given every verdict, lent, in the order of
// keys. The day is over then, whatever the error.
func (d *Day) Settle(emit func(*recon.Result) error) (out *Outcome, err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	var ours, theirs *extsort.Stream
	var err2 error
	var both sync.WaitGroup
	both.Go(func() { ours, err = d.ours.Sort() })
	both.Go(func() { theirs, err2 = d.theirs.Sort() })
	both.Wait()
	for _, st := range []*extsort.Stream{ours, theirs} {
		if st != nil {
			defer func() { err = errors.Join(err, st.Close()) }()
		}
	}
	if err = errors.Join(err, err2); err != nil {
		return nil, err
	}
	out = &Outcome{Positions: fee.NewPositions()}
	out.Totals, err = recon.Reconcile(ours, theirs, d.o.Rules, func(r *recon.Result) error {
		if r.Class == recon.Matched && r.HasOurs {
			if err := d.o.Fees.Book(out.Positions, &r.Ours); err != nil {
				return err
			}
		}
		return emit(r)
	})
	if err == nil && out.Unbalanced() != 0 {
		err = fmt.Errorf("clearing: %d 分未平 · %d fen are not explained", out.Unbalanced(), out.Unbalanced())
	}
	return out, err
}

// Close removes what lies on disk of a day that is not settled.
func (d *Day) Close() error { return errors.Join(d.ours.Close(), d.theirs.Close()) }
