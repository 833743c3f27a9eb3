// Package extsort sorts records of one size by their bytes, in memory that does
// not grow with their number: what does not fit goes to a folder in sorted runs,
// which are merged while they are read. It knows nothing of what it sorts.
package extsort

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Options say what is sorted and where it may lie meanwhile.
type Options struct {
	Dir    string // runs are written here, and removed by Close
	Name   string // runs begin with it: two sorters may share a folder
	Size   int    // bytes of a record, at least 8
	Memory int    // bytes of records held; 0 = 32 MiB. A sixth more goes to their order
}

const (
	defaultMemory = 32 << 20
	minRecords    = 16
	// fan is how many runs are read at once, each through readBuffer bytes: 8 MiB.
	fan        = 128
	readBuffer = 64 << 10
)

// Sorter takes records. It belongs to one goroutine.
type Sorter struct {
	o     Options
	buf   []byte
	order []place
	runs  []string
	made  int // runs ever: their names differ
	count int64
	// alike is how many bytes all records sorted so far have in common at their
	// beginning with first, which is one of them.
	alike int
	first []byte
}

// place is a record in buf and the eight bytes behind what all have in common, which
// tell most apart without a look at the record.
type place struct {
	head uint64
	at   int
}

// New makes a sorter. Nothing is written before the memory is full.
func New(o Options) (*Sorter, error) {
	if o.Memory == 0 {
		o.Memory = defaultMemory
	}
	switch {
	case o.Dir == "":
		return nil, errors.New("extsort: dir is empty")
	case o.Size < 8:
		return nil, fmt.Errorf("extsort: records of %d bytes, at least 8", o.Size)
	}
	o.Memory = max(o.Memory/o.Size, minRecords) * o.Size
	return &Sorter{o: o}, nil
}

// Add copies a record. One of another size than Options.Size is an error.
func (s *Sorter) Add(rec []byte) error {
	if len(rec) != s.o.Size {
		return fmt.Errorf("extsort: record %d has %d bytes, not %d", s.count, len(rec), s.o.Size)
	}
	if len(s.buf) == s.o.Memory {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.buf == nil {
		// At once: growing by copies would hold three times as much. The system gives
		// pages only as they are written.
		s.buf = make([]byte, 0, s.o.Memory)
	}
	s.buf = append(s.buf, rec...)
	s.count++
	return nil
}

// Count is how many records were added.
func (s *Sorter) Count() int64 { return s.count }

// compared makes sure that alike holds for what is in buf too.
func (s *Sorter) compared() {
	if s.first == nil && len(s.buf) > 0 {
		s.first = bytes.Clone(s.buf[:s.o.Size])
		s.alike = s.o.Size - 8 // the head is within the record
	}
	for at := 0; at < len(s.buf) && s.alike > 0; at += s.o.Size {
		if rec := s.buf[at : at+s.alike]; !bytes.Equal(rec, s.first[:s.alike]) {
			n := 0
			for rec[n] == s.first[n] {
				n++
			}
			s.alike = n
		}
	}
}

// sort puts the places of buf in the order of their records.
func (s *Sorter) sort() {
	s.compared()
	skip, size := s.alike, s.o.Size
	s.order = slices.Grow(s.order[:0], len(s.buf)/size)
	for at := 0; at < len(s.buf); at += size {
		s.order = append(s.order, place{binary.BigEndian.Uint64(s.buf[at+skip:]), at})
	}
	slices.SortFunc(s.order, func(a, b place) int {
		switch {
		case a.head < b.head:
			return -1
		case a.head > b.head:
			return 1
		}
		return bytes.Compare(s.buf[a.at+skip+8:a.at+size], s.buf[b.at+skip+8:b.at+size])
	})
}

// spill writes what is held as one more run.
func (s *Sorter) spill() error {
	s.sort()
	err := s.run(func(w *bufio.Writer) error {
		for _, p := range s.order {
			if _, err := w.Write(s.buf[p.at : p.at+s.o.Size]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.buf = s.buf[:0]
	if len(s.runs) < fan {
		return nil
	}
	return s.join()
}

// join makes one run of all, so that no merge reads more than fan of them.
func (s *Sorter) join() error {
	old := s.runs
	st, err := open(old, s.o.Size, s.alike)
	if err != nil {
		return err
	}
	s.runs = nil
	err = s.run(func(w *bufio.Writer) error {
		for {
			rec, err := st.Next()
			if rec == nil || err != nil {
				return err
			}
			if _, err := w.Write(rec); err != nil {
				return err
			}
		}
	})
	return errors.Join(err, st.Close())
}

// run makes a file of what write gives.
func (s *Sorter) run(write func(*bufio.Writer) error) (err error) {
	name := filepath.Join(s.o.Dir, fmt.Sprintf("%s.%06d.run", s.o.Name, s.made))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("extsort: %w", err)
	}
	s.made++
	s.runs = append(s.runs, name)
	w := bufio.NewWriterSize(f, readBuffer)
	if err := errors.Join(write(w), w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("extsort: %w", err)
	}
	return nil
}

// Sort ends the adding and gives the records in order. The sorter's memory is
// the stream's from then on.
func (s *Sorter) Sort() (*Stream, error) {
	if len(s.runs) == 0 {
		s.sort()
		return &Stream{size: s.o.Size, buf: s.buf, order: s.order}, nil
	}
	if len(s.buf) > 0 {
		if err := s.spill(); err != nil {
			return nil, err
		}
	}
	s.buf, s.order = nil, nil
	return open(s.runs, s.o.Size, s.alike)
}

// Close removes the runs of a sorter that is not sorted after all.
func (s *Sorter) Close() error {
	var err error
	for _, name := range s.runs {
		if e := os.Remove(name); !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	s.runs = nil
	return err
}
