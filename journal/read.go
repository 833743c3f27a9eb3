package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Reader reads what was committed, in one goroutine of its own, beside the
// shard. It must not be used after the Log's Close.
type Reader struct {
	db      *pebble.DB
	index   *pebble.DB // nil: it is not looked at
	shard   uint8
	ring    keyring
	key     []byte
	scratch []byte
}

// NewReader makes a reader for another goroutine; clearing and the console read
// through one.
func (l *Log) NewReader() *Reader {
	return &Reader{
		db:    l.db,
		index: l.indexDB(),
		shard: l.shard,
		ring: keyring{db: l.db, master: l.master, shard: l.shard,
			epochs: map[uint32]*epoch{l.epoch.number: l.epoch}},
	}
}

// indexDB is nil until the index is open; the Log's own reader needs none.
func (l *Log) indexDB() *pebble.DB {
	if l.index == nil {
		return nil
	}
	return l.index.db
}

// Get reads a record, a staged one too: an effect that is built on it leaves
// after the same Sync. ErrNotFound when there is none, ErrDamaged when its tick
// cannot be unsealed.
func (l *Log) Get(lsn LSN, r *Record) error {
	if err := l.err(); err != nil {
		return err
	}
	if lsn.tick() < l.tick {
		return l.read.Get(lsn, r)
	}
	i := lsn.tick() - l.tick
	if i >= uint64(len(l.pages)) {
		return ErrNotFound
	}
	end := len(l.plain)
	if i+1 < uint64(len(l.pages)) {
		end = l.pages[i+1]
	}
	return pickRecord(l.plain[l.pages[i]:end], lsn.index(), r)
}

// Replay gives the committed records from an LSN on, in order. It ends at the
// first error of f and gives that one.
func (l *Log) Replay(from LSN, f func(LSN, *Record) error) error {
	if err := l.err(); err != nil {
		return err
	}
	return l.read.Replay(from, f)
}

// Each gives what Put wrote under keys that begin with prefix, in key order,
// without what the open tick changes. Key and plain are lent until f returns.
func (l *Log) Each(prefix []byte, f func(key, plain []byte) error) error {
	if err := l.err(); err != nil {
		return err
	}
	return l.read.Each(prefix, f)
}

// Lookup appends to dst what Put wrote under key, without what the open tick
// changes.
func (l *Log) Lookup(key, dst []byte) ([]byte, bool, error) {
	if err := l.err(); err != nil {
		return dst, false, err
	}
	return l.read.Lookup(key, dst)
}

// Get is Log.Get without staged records.
func (d *Reader) Get(lsn LSN, r *Record) error {
	d.key = tickKey(d.key[:0], d.shard, lsn.tick())
	page, ok, err := d.value(d.key, d.scratch[:0])
	d.scratch = page
	if err != nil {
		return err
	}
	if !ok {
		return ErrNotFound
	}
	if err = pickRecord(page, lsn.index(), r); err != nil && err != ErrNotFound {
		return fmt.Errorf("%w in tick %d: %w", ErrDamaged, lsn.tick(), err)
	}
	return err
}

// Replay is Log.Replay. It sees the state at its start, whatever is committed
// meanwhile.
func (d *Reader) Replay(from LSN, f func(LSN, *Record) error) (err error) {
	opts := span('T', d.shard)
	opts.LowerBound = tickKey(nil, d.shard, from.tick())
	return d.each(opts, func(key, page []byte) error {
		switch len(key) {
		case markKeySize:
			return nil
		case tickKeySize:
		default:
			return fmt.Errorf("%w: key %x is no tick", ErrDamaged, key)
		}
		return eachRecord(page, binary.BigEndian.Uint64(key[2:]), from, f)
	})
}

func eachRecord(page []byte, tick uint64, from LSN, f func(LSN, *Record) error) error {
	turn, off := stampOf(page)
	r := Record{Turn: turn}
	for i := 0; off < len(page); i++ {
		next, err := readRecord(page, off, &r)
		if err != nil {
			return fmt.Errorf("%w in tick %d: %w", ErrDamaged, tick, err)
		}
		if lsn := lsnAt(tick, i); lsn >= from {
			if err = f(lsn, &r); err != nil {
				return err
			}
		}
		off = next
	}
	return nil
}

// Each is Log.Each.
func (d *Reader) Each(prefix []byte, f func(key, plain []byte) error) error {
	return d.each(span('U', d.shard, prefix...), func(key, plain []byte) error {
		return f(key[2:], plain)
	})
}

// each unseals every value in a span. It has a buffer of its own, because f may
// well call Get or Lookup.
func (d *Reader) each(opts *pebble.IterOptions, f func(key, plain []byte) error) (err error) {
	it, err := d.db.NewIter(opts)
	if err != nil {
		return fmt.Errorf("journal: read: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	var plain []byte
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("journal: read key %x: %w", it.Key(), err)
		}
		if plain, err = d.ring.open(plain[:0], it.Key(), value); err != nil {
			return err
		}
		if err = f(it.Key(), plain); err != nil {
			return err
		}
	}
	return it.Error()
}

// Lookup is Log.Lookup.
func (d *Reader) Lookup(key, dst []byte) ([]byte, bool, error) {
	d.key = append(append(d.key[:0], 'U', d.shard), key...)
	return d.value(d.key, dst)
}

// value appends the unsealed value of a whole key to dst.
func (d *Reader) value(key, dst []byte) (out []byte, ok bool, err error) {
	sealed, closer, err := d.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, fmt.Errorf("journal: read key %x: %w", key, err)
	}
	out, err = d.ring.open(dst, key, sealed)
	return out, err == nil, cmp.Or(err, closer.Close())
}
