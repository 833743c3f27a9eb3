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
	db      pebble.Reader
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
	return l.index.db.DB
}

// Get reads a record, a staged one too: an effect that is built on it leaves
// after the same Sync. ErrNotFound when there is none, ErrDamaged when its tick
// cannot be unsealed.
func (l *Log) Get(lsn LSN, r *Record) error {
	if err := l.err(); err != nil {
		return err
	}
	if lsn.tick() < l.tick {
		return l.getCommitted(lsn, r)
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
	l.hot.purged(l.purges.Load())
	if out, found, known := l.hot.get(key, dst); known {
		return out, found, nil
	}
	out, found, err := l.read.Lookup(key, dst)
	if err == nil {
		l.hot.fill(key, out[len(dst):], found)
	}
	return out, found, err
}

// held are the pages that were opened last. To unseal one of 64 KiB takes 15 µs, and
// when many terminals are busy, several reverse what one page holds.
type held struct {
	pages [heldPages]struct {
		tick  uint64 // 0: none
		plain []byte
	}
	next int
}

const heldPages = 4

// getCommitted is Reader.Get by the pages that are held; what a purge took away is
// not there, whoever holds it.
func (l *Log) getCommitted(lsn LSN, r *Record) error {
	tick := lsn.tick()
	if tick < LSN(l.index.floor.Load()).tick() {
		return ErrNotFound
	}
	for i := range l.held.pages {
		if p := &l.held.pages[i]; p.tick == tick && tick != 0 {
			return pick(p.plain, lsn, r)
		}
	}
	p := &l.held.pages[l.held.next]
	l.held.next = (l.held.next + 1) % heldPages
	p.tick = 0
	var err error
	if p.plain, err = l.read.page(tick, p.plain[:0]); err != nil {
		return err
	}
	p.tick = tick
	return pick(p.plain, lsn, r)
}

// Get is Log.Get without staged records.
func (d *Reader) Get(lsn LSN, r *Record) (err error) {
	if d.scratch, err = d.page(lsn.tick(), d.scratch[:0]); err != nil {
		return err
	}
	return pick(d.scratch, lsn, r)
}

// page appends the records of a committed tick to dst.
func (d *Reader) page(tick uint64, dst []byte) ([]byte, error) {
	d.key = tickKey(d.key[:0], d.shard, tick)
	page, ok, err := d.value(d.key, dst)
	if err == nil && !ok {
		err = ErrNotFound
	}
	return page, err
}

func pick(page []byte, lsn LSN, r *Record) error {
	err := pickRecord(page, lsn.index(), r)
	if err != nil && err != ErrNotFound {
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
