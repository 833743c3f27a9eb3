package world

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"

	"tongka/engine"
	"tongka/journal"
	"tongka/txn"
)

// memory is a journal that is kept in memory and makes the promises of the real
// one: staged, then committed and readable, then durable; a crash loses what was
// not durable, all of a batch or nothing.
type memory struct {
	records []journal.Record // durable; its place is its LSN less one
	kv      map[string][]byte
	prints  map[uint64]journal.LSN
	from    journal.LSN
	next    txn.ID

	open, air batch
}

type batch struct {
	records []journal.Record
	puts    map[string][]byte // nil: deleted
	marked  bool
	from    journal.LSN
	next    txn.ID
}

var _ engine.Journal = (*memory)(nil)

func newMemory() *memory {
	return &memory{kv: map[string][]byte{}, prints: map[uint64]journal.LSN{}}
}

// crash gives what is left: with the batch in the air or without it.
func (m *memory) crash(keep bool) *memory {
	if keep {
		m.settle()
	}
	return &memory{records: slices.Clip(m.records), kv: maps.Clone(m.kv), prints: maps.Clone(m.prints), from: m.from, next: m.next}
}

func (m *memory) Append(r *journal.Record) journal.LSN {
	c := *r
	c.Body = bytes.Clone(r.Body)
	m.open.records = append(m.open.records, c)
	return journal.LSN(len(m.records) + len(m.air.records) + len(m.open.records))
}

func (m *memory) Next() journal.LSN {
	return journal.LSN(len(m.records) + len(m.air.records) + len(m.open.records) + 1)
}

func (m *memory) Put(key, plain []byte) { m.put(string(key), append([]byte{}, plain...)) }
func (m *memory) Delete(key []byte)     { m.put(string(key), nil) }

func (m *memory) put(key string, plain []byte) {
	if m.open.puts == nil {
		m.open.puts = map[string][]byte{}
	}
	m.open.puts[key] = plain
}

func (m *memory) Mark(from journal.LSN, next txn.ID) {
	m.open.marked, m.open.from, m.open.next = true, from, next
}

// Stamp is the time of a turn, which nobody asks for here.
func (m *memory) Stamp(int64) {}

func (m *memory) Staged() bool {
	return len(m.open.records) > 0 || len(m.open.puts) > 0 || m.open.marked
}

func (m *memory) Commit() error {
	m.settle()
	m.air, m.open = m.open, batch{}
	return nil
}

func (m *memory) Sync() error {
	m.settle()
	return nil
}

// settle makes the batch in the air durable.
func (m *memory) settle() {
	for i := range m.air.records {
		r := &m.air.records[i]
		m.records = append(m.records, *r)
		if f := &r.Facts; r.Kind == journal.Outcome {
			m.prints[journal.Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace)] = journal.LSN(len(m.records))
		}
	}
	for k, v := range m.air.puts {
		if v == nil {
			delete(m.kv, k)
		} else {
			m.kv[k] = v
		}
	}
	if m.air.marked {
		m.from, m.next = m.air.from, m.air.next
	}
	m.air = batch{}
}

// at gives a record, staged or not.
func (m *memory) at(lsn journal.LSN) *journal.Record {
	i := int(lsn) - 1
	for _, part := range [][]journal.Record{m.records, m.air.records, m.open.records} {
		if i < len(part) {
			if i < 0 {
				return nil
			}
			return &part[i]
		}
		i -= len(part)
	}
	return nil
}

func (m *memory) Get(lsn journal.LSN, r *journal.Record) error {
	got := m.at(lsn)
	if got == nil {
		return journal.ErrNotFound
	}
	*r = *got
	return nil
}

func (m *memory) Replay(from journal.LSN, f func(journal.LSN, *journal.Record) error) error {
	for i := max(int(from), 1) - 1; i < len(m.records); i++ {
		r := m.records[i]
		if err := f(journal.LSN(i+1), &r); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Recovery() (journal.LSN, txn.ID) { return m.from, m.next }

func (m *memory) Find(fp uint64, _ int64) (journal.LSN, bool, error) {
	base := len(m.records) + len(m.air.records) + len(m.open.records)
	for _, part := range [][]journal.Record{m.open.records, m.air.records} {
		for i := len(part) - 1; i >= 0; i, base = i-1, base-1 {
			if f := &part[i].Facts; part[i].Kind == journal.Outcome && journal.Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace) == fp {
				return journal.LSN(base), true, nil
			}
		}
	}
	lsn, ok := m.prints[fp]
	return lsn, ok, nil
}

func (m *memory) FindID(id txn.ID, r *journal.Record) (journal.LSN, error) {
	for i := len(m.records) - 1; i >= 0; i-- {
		if m.records[i].Facts.ID == id {
			*r = m.records[i]
			return journal.LSN(i + 1), nil
		}
	}
	return 0, journal.ErrNotFound
}

func (m *memory) Each(prefix []byte, f func(key, plain []byte) error) error {
	all := maps.Clone(m.kv)
	maps.Copy(all, m.air.puts)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if v := all[k]; v != nil && strings.HasPrefix(k, string(prefix)) {
			if err := f([]byte(k), v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Lookup(key, dst []byte) ([]byte, bool, error) {
	v, ok := m.air.puts[string(key)]
	if !ok {
		v, ok = m.kv[string(key)]
	}
	if !ok || v == nil {
		return dst, false, nil
	}
	return append(dst, v...), true, nil
}

// errCrashed ends a turn in which the process died.
var errCrashed = errors.New("the process died here")
