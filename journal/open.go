package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"tongka/journal/internal/wal"
	"tongka/txn"
)

// Open opens the journal in o.Dir, or makes it. What only the log holds goes into
// the tables first. Then it begins a new epoch (on disk before Open returns), makes
// the log's files ready and repairs the index.
func Open(o Options) (*Log, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	cache := pebble.NewCache(o.Cache)
	defer cache.Unref() // the databases keep theirs
	l := &Log{fs: o.FS, master: o.ring(), shard: o.Shard, large: o.MemTable / 4}
	var err error
	if l.db, err = openStore(o.Dir, o.truth(cache), l.fed.Load); err != nil {
		return nil, err
	}
	if err = l.start(&o, cache); err != nil {
		if l.index != nil {
			err = errors.Join(err, l.index.close())
		}
		if l.wal != nil {
			err = errors.Join(err, l.wal.Close())
		}
		return nil, errors.Join(err, l.db.Close())
	}
	if !o.NoWarm {
		l.db.hold()
		l.index.db.hold()
	}
	return l, nil
}

func (l *Log) start(o *Options, cache *pebble.Cache) (err error) {
	if err = l.beginLog(o); err != nil {
		return err
	}
	l.read, l.hot = l.NewReader(), newHot()
	l.open, l.flying = l.newStaging(), l.newStaging()
	if l.markFrom, l.markNext, err = l.read.readMark(); err != nil {
		return err
	}
	l.index, err = openIndex(o, cache, l.fed.Load, func(err error) { l.fail(err) })
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
	return l.index.start()
}

// beginLog brings the tables up to the log's end, and begins a new epoch and a new
// segment with each other.
func (l *Log) beginLog(o *Options) error {
	// Whether the key fits can be told behind this: a change of it may be in the log.
	found, err := readLog(l.db.DB, o, func(b *pebble.Batch) error { return l.db.Apply(b, pebble.NoSync) })
	if err != nil {
		return err
	}
	if found.Frames > 0 {
		o.Logger.Info("the journal was not closed: its log is read", zap.Int("commits", found.Frames))
		if err := l.db.Flush(); err != nil {
			return fmt.Errorf("journal: flush: %w", err)
		}
	}
	return l.beginEpoch(o.Logger, found.Next(), func(first []byte) (err error) {
		l.wal, err = wal.Begin(o.log(), found, first, l.db.AsyncFlush)
		return err
	})
}

// readLog gives the batches that are in the log and may not be in a table.
func readLog(db *pebble.DB, o *Options, each func(*pebble.Batch) error) (*wal.Found, error) {
	since, err := lastSegment(db, o.Shard)
	if err != nil {
		return nil, err
	}
	found, err := wal.Recover(o.log(), since, func(payload []byte) error {
		b := db.NewBatch()
		// Pebble keeps a large batch until it is flushed, so it has bytes of its own.
		if err := b.SetRepr(bytes.Clone(payload)); err != nil {
			return err
		}
		return errors.Join(each(b), b.Close())
	})
	if errors.Is(err, wal.ErrDamaged) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return found, err
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
func (d *Reader) readMark() (from LSN, next txn.ID, err error) {
	it, err := d.db.NewIter(span('T', d.shard))
	if err != nil {
		return 0, 0, fmt.Errorf("journal: mark: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	ok := it.Last()
	for ok && len(it.Key()) != markKeySize {
		ok = it.Prev()
	}
	if !ok {
		return 0, 0, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return 0, 0, fmt.Errorf("journal: mark: %w", err)
	}
	plain, err := d.ring.open(nil, it.Key(), value)
	if err != nil {
		return 0, 0, err
	}
	if len(plain) != 16 {
		return 0, 0, fmt.Errorf("%w at key %x: %d bytes", ErrDamaged, it.Key(), len(plain))
	}
	return LSN(binary.LittleEndian.Uint64(plain)), txn.ID(binary.LittleEndian.Uint64(plain[8:])), nil
}
