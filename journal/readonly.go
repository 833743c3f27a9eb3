package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"tongka/txn"
)

// Kept is a Reader of a journal whose switch does not run.
type Kept struct {
	*Reader
	db, index *pebble.DB
	rest      *pebble.Batch // what only the log holds, over db
}

// OpenReadOnly opens the journal in o.Dir and changes nothing there. It fails while
// a switch runs on it. A folder without an index is read without one.
func OpenReadOnly(o Options) (*Kept, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.fill()
	cache := pebble.NewCache(o.Cache)
	defer cache.Unref() // the databases keep theirs
	opts := o.truth(cache)
	opts.ReadOnly = true
	db, err := pebble.Open(o.Dir, opts)
	if err != nil {
		return nil, fmt.Errorf("journal: open %s: %w", o.Dir, err)
	}
	rest := db.NewIndexedBatch()
	if _, err := readLog(db, &o, func(b *pebble.Batch) error { return rest.Apply(b, nil) }); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: open %s: %w", o.Dir, err), rest.Close(), db.Close())
	}
	k := &Kept{db: db, rest: rest, Reader: &Reader{db: rest, shard: o.Shard,
		ring: keyring{db: rest, master: o.ring(), shard: o.Shard, epochs: map[uint32]*epoch{}}}}
	dir := o.FS.PathJoin(o.Dir, "index")
	if _, err := o.FS.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return k, nil
	}
	opts = o.index(cache)
	opts.ReadOnly = true
	if k.index, err = pebble.Open(dir, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("journal: open %s: %w", dir, err), rest.Close(), db.Close())
	}
	k.Reader.index = k.index
	return k, nil
}

// Close lets the folder go.
func (k *Kept) Close() error {
	var err error
	if k.index != nil {
		err = k.index.Close()
	}
	return errors.Join(err, k.rest.Close(), k.db.Close())
}

// Page is one sealed value of records, as Pages gives it. It is lent.
type Page struct {
	Tick  uint64
	Turn  int64  // Unix nanoseconds, 0 when it has no stamp
	Epoch uint32 // under whose key it is sealed
	Count uint64 // of the seals of that epoch
	plain []byte
}

// Records gives the records of a page in their order.
func (p *Page) Records(f func(LSN, *Record) error) error { return eachRecord(p.plain, p.Tick, 0, f) }

// Pages gives every page from a tick on, as they are at the call. One that
// cannot be unsealed goes to bad, if that is given, and is passed over when bad
// gives nil. f ends it by an error of its own.
func (d *Reader) Pages(from uint64, f func(*Page) error, bad func(tick uint64, err error) error) (err error) {
	opts := span('T', d.shard)
	opts.LowerBound = tickKey(nil, d.shard, from)
	it, err := d.db.NewIter(opts)
	if err != nil {
		return fmt.Errorf("journal: read: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	var plain []byte
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) == markKeySize {
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("journal: read key %x: %w", it.Key(), err)
		}
		p := Page{Tick: binary.BigEndian.Uint64(it.Key()[2:])}
		if plain, err = d.ring.open(plain[:0], it.Key(), value); err == nil && len(it.Key()) != tickKeySize {
			err = fmt.Errorf("%w: key %x is no tick", ErrDamaged, it.Key())
		}
		if err != nil {
			if bad == nil {
				return err
			}
			if err = bad(p.Tick, err); err != nil {
				return err
			}
			continue
		}
		p.Epoch, p.Count = binary.LittleEndian.Uint32(value), binary.LittleEndian.Uint64(value[4:])
		p.plain = plain
		p.Turn, _ = stampOf(plain)
		if err := f(&p); err != nil {
			return err
		}
	}
	return it.Error()
}

// TickAt gives the first tick whose turn is not before a moment, Unix
// nanoseconds; one beyond the last when there is none. Ticks are in the order of
// time as long as nobody set the clock back.
func (d *Reader) TickAt(at int64) (tick uint64, err error) {
	it, err := d.db.NewIter(span('T', d.shard))
	if err != nil {
		return 0, fmt.Errorf("journal: read: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	p := pages{d: d, it: it}
	if !p.skip(it.First(), it.Next) {
		return 0, it.Error()
	}
	low := p.tick
	if !p.skip(it.Last(), it.Prev) {
		return 0, it.Error()
	}
	high := p.tick + 1
	for low < high {
		mid := low + (high-low)/2
		if !p.seek(mid) || p.tick >= high {
			high = mid
			continue
		}
		if err := p.read(); err != nil {
			return 0, err
		}
		if turn, _ := stampOf(p.plain); turn >= at {
			high = mid
		} else {
			low = p.tick + 1
		}
	}
	return low, nil
}

// LastID is the highest number of a transaction that the end of the journal
// knows, 0 for an empty one.
func (d *Reader) LastID() (id txn.ID, err error) {
	it, err := d.db.NewIter(span('T', d.shard))
	if err != nil {
		return 0, fmt.Errorf("journal: read: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	p := pages{d: d, it: it}
	for ok, n := p.skip(it.Last(), it.Prev), 0; ok && n < findWindow; ok, n = p.previous(), n+1 {
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
	return id, cmp.Or(p.err, it.Error())
}

// Entry is one line of the index: the newest outcome of a fingerprint.
type Entry struct {
	Print uint64
	At    LSN
}

// IndexChunks gives the last record of each chunk of the index, in order, and how
// far the index goes. ok is false where there is no index.
func (d *Reader) IndexChunks() (chunks []LSN, upTo LSN, ok bool, err error) {
	if d.index == nil {
		return nil, 0, false, nil
	}
	ix := &index{db: store{DB: d.index}, shard: d.shard}
	upTo, _, ok, err = ix.progress()
	if err != nil || !ok {
		return nil, 0, ok, err
	}
	seen := map[LSN]bool{}
	it, err := d.index.NewIter(span('B', d.shard))
	if err != nil {
		return nil, 0, true, fmt.Errorf("journal: index: %w", err)
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != blockKeySize {
			return nil, 0, true, fmt.Errorf("%w: index key %x is no block", ErrDamaged, it.Key())
		}
		if last := LSN(binary.BigEndian.Uint64(it.Key()[4:])); !seen[last] {
			seen[last] = true
			chunks = append(chunks, last)
		}
	}
	slices.Sort(chunks)
	return chunks, upTo, true, it.Error()
}

// IndexChunk gives the entries of one chunk.
func (d *Reader) IndexChunk(last LSN) (entries []Entry, err error) {
	for block := range uint64(1 << blockBits) {
		key := blockKey(nil, d.shard, block<<(64-blockBits), last)
		value, closer, err := d.index.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("journal: index key %x: %w", key, err)
		}
		b := bytes.Clone(value)
		if err := closer.Close(); err != nil {
			return nil, err
		}
		if len(b) < blockHead || (len(b)-blockHead)%entrySize != 0 {
			return nil, fmt.Errorf("%w at index key %x: %d bytes", ErrDamaged, key, len(b))
		}
		for b = b[blockHead:]; len(b) > 0; b = b[entrySize:] {
			entries = append(entries, Entry{binary.LittleEndian.Uint64(b), LSN(binary.LittleEndian.Uint64(b[8:]))})
		}
	}
	return entries, nil
}
