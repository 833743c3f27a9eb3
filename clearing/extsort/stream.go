package extsort

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Stream gives sorted records, from memory or from a merge of runs.
type Stream struct {
	size  int
	buf   []byte
	order []place
	heap  []*source // the least is first
	last  *source   // whose record was given: it moves on at the next call
	all   []*source
}

// source is one run that is read.
type source struct {
	name string
	f    *os.File
	r    *bufio.Reader
	rec  []byte
	skip int // bytes that the records of all sources have in common
	head uint64
}

func open(names []string, size, skip int) (*Stream, error) {
	st := &Stream{size: size}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("extsort: %w", err), st.Close())
		}
		src := &source{name: name, f: f, r: bufio.NewReaderSize(f, readBuffer), rec: make([]byte, size), skip: skip}
		st.all = append(st.all, src)
		ok, err := src.next()
		if err != nil {
			return nil, errors.Join(err, st.Close())
		}
		if ok {
			st.heap = append(st.heap, src)
		}
	}
	for i := len(st.heap)/2 - 1; i >= 0; i-- {
		st.sink(i)
	}
	return st, nil
}

func (s *source) next() (bool, error) {
	switch _, err := io.ReadFull(s.r, s.rec); {
	case err == io.EOF:
		return false, nil
	case err != nil:
		return false, fmt.Errorf("extsort: run %s: %w", s.name, err)
	}
	s.head = binary.BigEndian.Uint64(s.rec[s.skip:])
	return true, nil
}

func (s *source) before(o *source) bool {
	return s.head < o.head || s.head == o.head && bytes.Compare(s.rec[s.skip+8:], o.rec[s.skip+8:]) < 0
}

// sink restores the heap below i.
func (st *Stream) sink(i int) {
	h := st.heap
	for {
		least := i
		for c := 2*i + 1; c < 2*i+3 && c < len(h); c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// Next gives the next record, lent until the next call, and nil behind the last.
func (st *Stream) Next() ([]byte, error) {
	if st.all == nil {
		if len(st.order) == 0 {
			return nil, nil
		}
		at := st.order[0].at
		st.order = st.order[1:]
		return st.buf[at : at+st.size], nil
	}
	if st.last != nil {
		ok, err := st.last.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			n := len(st.heap) - 1
			st.heap[0] = st.heap[n]
			st.heap = st.heap[:n]
		}
		st.sink(0)
		st.last = nil
	}
	if len(st.heap) == 0 {
		return nil, nil
	}
	st.last = st.heap[0]
	return st.last.rec, nil
}

// Close lets the files go and removes them. The stream must not be used after it.
func (st *Stream) Close() error {
	var err error
	for _, s := range st.all {
		err = errors.Join(err, s.f.Close(), os.Remove(s.name))
	}
	st.heap, st.last, st.order, st.buf = nil, nil, nil, nil
	return err
}
