package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tongka/txn"
)

// Floor is where a journal begins whose older records are gone.
type Floor struct {
	At   LSN    // records before it are gone
	Last txn.ID // no transaction above it is gone, but some at or below it may be
}

func floorKey(shard uint8) []byte { return []byte{'P', shard} }

// Floor reads it, zero when nothing was ever taken away.
func (d *Reader) Floor() (f Floor, err error) {
	v, closer, err := d.db.Get(floorKey(d.shard))
	if errors.Is(err, pebble.ErrNotFound) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("journal: floor: %w", err)
	}
	if len(v) != 16 {
		return f, errors.Join(fmt.Errorf("%w: floor of %d bytes", ErrDamaged, len(v)), closer.Close())
	}
	f = Floor{LSN(binary.LittleEndian.Uint64(v)), txn.ID(binary.LittleEndian.Uint64(v[8:]))}
	return f, closer.Close()
}

// LastBefore is the highest number of a transaction that the pages before a place
// name, as far as numbers and places may differ.
func (d *Reader) LastBefore(to LSN) (id txn.ID, err error) {
	it, err := d.db.NewIter(span('T', d.shard))
	if err != nil {
		return 0, fmt.Errorf("journal: read: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	p := pages{d: d, it: it}
	for ok, n := p.skip(it.SeekLT(tickKey(nil, d.shard, to.tick())), it.Prev), 0; ok && n < findWindow; ok, n = p.previous(), n+1 {
		if err := p.read(); err != nil {
			return 0, err
		}
		err := eachRecord(p.plain, p.tick, 0, func(_ LSN, r *Record) error {
			id = max(id, r.Facts.ID)
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return id, errors.Join(p.err, it.Error())
}

// Purge takes the records before a place away, with what the index has of them and
// the chains of transactions up to f.Last: ranges of keys, so it costs the same for a
// day and for a year. It is one durable batch, and may be called from any goroutine
// while the shard commits. Who calls it has seen to it that nothing is owed or waits
// of what goes. A place that the next start may have to read is refused.
func (l *Log) Purge(f Floor) error {
	if err := l.err(); err != nil {
		return err
	}
	read := l.NewReader()
	was, err := read.Floor()
	if err != nil {
		return err
	}
	mark, _, err := read.readMark()
	if err != nil {
		return err
	}
	f.At = FirstOf(f.At.tick()) // a page is one value
	switch {
	case f.At < was.At:
		return fmt.Errorf("journal: purge to %v: it begins at %v already", f.At, was.At)
	case f.At > mark:
		return fmt.Errorf("journal: purge to %v: a start reads from %v", f.At, mark)
	}
	f.Last = max(f.Last, was.Last)
	value := binary.LittleEndian.AppendUint64(nil, uint64(f.At))
	value = binary.LittleEndian.AppendUint64(value, uint64(f.Last))
	b := l.db.NewBatch()
	chains := append([]byte{'U', l.shard}, "chain/"...)
	err = errors.Join(b.Set(floorKey(l.shard), value, nil),
		b.DeleteRange(tickKey(nil, l.shard, 0), tickKey(nil, l.shard, f.At.tick()), nil),
		b.DeleteRange(chains, binary.BigEndian.AppendUint64(append([]byte(nil), chains...), uint64(f.Last)+1), nil))
	if err == nil {
		err = l.keep(b, true)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return fmt.Errorf("journal: purge: %w", err)
	}
	l.purges.Add(1)
	l.index.floor.Store(uint64(f.At))
	return l.index.purge(f.At)
}

// purge takes away the blocks that name only what is gone. Those that name some of it
// stay, and what they say of it is passed over.
func (ix *index) purge(to LSN) error {
	b := ix.db.NewBatch()
	for block := range uint64(1 << blockBits) {
		fp := block << (64 - blockBits)
		if err := b.DeleteRange(blockKey(nil, ix.shard, fp, 0), blockKey(nil, ix.shard, fp, to), nil); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	if err := errors.Join(b.Commit(pebble.NoSync), b.Close()); err != nil {
		return fmt.Errorf("journal: index: %w", err)
	}
	return nil
}
