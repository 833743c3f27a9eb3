package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"tongka/txn"
)

// Open opens the journal in o.Dir, or makes it. It repairs the index, begins a
// new epoch (on disk before Open returns) and warms the WAL files.
func Open(o Options) (*Log, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	cache := pebble.NewCache(o.Cache)
	defer cache.Unref() // the databases keep theirs
	db, err := pebble.Open(o.Dir, o.truth(cache))
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", o.Dir, err)
	}
	l := &Log{db: db, master: o.ring(), shard: o.Shard}
	if err = l.start(&o, cache); err != nil {
		if l.index != nil {
			err = errors.Join(err, l.index.close())
		}
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

func (l *Log) start(o *Options, cache *pebble.Cache) (err error) {
	if err = l.beginEpoch(o.Logger); err != nil {
		return err
	}
	l.read, l.hot = l.NewReader(), newHot()
	l.open, l.flying = l.newStaging(), l.newStaging()
	if err := l.readMark(); err != nil {
		return err
	}
	l.index, err = openIndex(o, cache, func(err error) { l.fail(err) })
	if err != nil {
		return err
	}
	floor, err := l.read.Floor()
	if err != nil {
		return err
	}
	l.index.floor.Store(uint64(floor.At))
	if err := l.index.catchUp(l.read); err != nil {
		return err
	}
	if !o.NoWarm {
		if err := l.warm(o.MemTable); err != nil {
			return fmt.Errorf("journal: warm: %w", err)
		}
	}
	return l.index.start()
}

func (l *Log) newStaging() *staging {
	return &staging{batch: l.db.NewBatchWithSize(pageLimit,
		pebble.WithInitialSizeBytes(2*pageLimit), pebble.WithMaxRetainedSizeBytes(retainBatch))}
}

// span bounds an iterator to the keys of one letter and shard, the caller's
// prefix included.
func span(letter byte, shard uint8, prefix ...byte) *pebble.IterOptions {
	low := append([]byte{letter, shard}, prefix...)
	high := append([]byte(nil), low...)
	for i := len(high) - 1; i >= 0; i-- {
		if high[i]++; high[i] != 0 {
			high = high[:i+1]
			break
		}
	}
	return &pebble.IterOptions{LowerBound: low, UpperBound: high}
}

// readMark finds the newest mark, a second's ticks from the end.
func (l *Log) readMark() (err error) {
	it, err := l.db.NewIter(span('T', l.shard))
	if err != nil {
		return fmt.Errorf("journal: mark: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	ok := it.Last()
	for ok && len(it.Key()) != markKeySize {
		ok = it.Prev()
	}
	if !ok {
		return it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return fmt.Errorf("journal: mark: %w", err)
	}
	plain, err := l.read.ring.open(nil, it.Key(), value)
	if err != nil {
		return err
	}
	if len(plain) != 16 {
		return fmt.Errorf("%w at key %x: %d bytes", ErrDamaged, it.Key(), len(plain))
	}
	l.markFrom = LSN(binary.LittleEndian.Uint64(plain))
	l.markNext = txn.ID(binary.LittleEndian.Uint64(plain[8:]))
	return nil
}

// warm fills WAL files and flushes them, so that Pebble has files to recycle:
// writing over blocks that a file already owns costs a sync half of one that
// must also record new blocks. LogData goes to the WAL alone and leaves no key
// behind.
func (l *Log) warm(memTable int) error {
	if err := l.growMemTable(memTable); err != nil {
		return err
	}
	noise := make([]byte, min(1<<20, memTable))
	for range warmFiles {
		for left := memTable; left > 0; left -= len(noise) {
			if err := l.db.LogData(noise, pebble.NoSync); err != nil {
				return err
			}
		}
		if err := l.db.LogData(noise[:1], pebble.Sync); err != nil {
			return err
		}
		if err := l.db.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// growMemTable leads Pebble past its beginning: it starts with a memtable of
// 256 KiB, doubles it with each rotation and flushes, thus recycles, nothing
// meanwhile. One value of more than a quarter makes it jump to half, and a flush
// of that to the whole.
func (l *Log) growMemTable(memTable int) error {
	key := []byte{'W', l.shard}
	if err := l.db.Set(key, make([]byte, memTable/4+memTable/32), pebble.NoSync); err != nil {
		return err
	}
	if err := l.db.Delete(key, pebble.NoSync); err != nil {
		return err
	}
	return l.db.Flush()
}
