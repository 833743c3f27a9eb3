package run

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tongka/clearing/day"
	"tongka/clearing/row"
)

// DetailsFile has the rows that were booked, by merchant, then by transaction.
const DetailsFile = "details.rows"

// details keeps what is booked, sorted by merchant; nil keeps nothing.
type details struct{ *sorter }

func (j *job) details() (*details, error) {
	if !j.o.Details {
		return nil, nil
	}
	s, err := j.sorter("details")
	return &details{s}, err
}

// add takes a row whose money moves.
func (d *details) add(r *row.Row) error {
	if d == nil || r.Net() == 0 {
		return nil
	}
	k := *r
	k.Key = row.Key{}
	copy(k.Key[:], r.Merchant[:])
	binary.BigEndian.PutUint64(k.Key[len(r.Merchant):], r.ID)
	d.b = k.Append(d.b[:0])
	return d.s.Add(d.b)
}

// end writes what was kept, when all went well.
func (d *details) end(err error) error {
	if d == nil {
		return err
	}
	if err != nil {
		return errors.Join(err, d.s.Close())
	}
	return d.store(DetailsFile, false)
}

// ErrNoDetails is a day that is not closed, or was run without Options.Details.
var ErrNoDetails = errors.New("该日未关闭，或清算时未留明细 · the day is not closed, or no details were kept when it was run")

// EachDetail reads the booked rows of a closed day, and holds them against the day's
// sums. A row is lent.
func EachDetail(dir string, d day.Date, f func(*row.Row) error) (err error) {
	folder := DayFolder(dir, d.String())
	sum, err := sumOf(folder, DetailsFile)
	if err != nil {
		return fmt.Errorf("%s: %w", d, err)
	}
	name := filepath.Join(folder, DetailsFile)
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	rf, err := openRows(name, &output{Name: DetailsFile, Size: info.Size(), Sum: sum})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rf.Close()) }()
	return eachRow(rf, f)
}

// sumOf finds an output's digest among the sums of a closed day.
func sumOf(folder, name string) (sum string, err error) {
	in, err := os.Open(filepath.Join(folder, SumsFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", ErrNoDetails
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if s, n, ok := strings.Cut(lines.Text(), "  "); ok && n == name {
			return s, nil
		}
	}
	return "", ErrNoDetails
}
