package journal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"tongka/journal/internal/bloom"
	"tongka/txn"
)

const (
	// indexChunk entries are written together, in blocks by the first bits of the
	// fingerprint: some 64 entries in each.
	indexChunk = 1 << 16
	blockBits  = 10
	blockHead  = 8
	entrySize  = 16
	// generation is how many fingerprints one half of the memory holds. It also
	// bounds how far behind the writer may fall before the shard waits for it.
	generation = 1 << 16
)

// Fingerprint is the identity of a terminal's request: terminal and merchant
// number, MTI, batch and trace. It is stored, so it must never change. Equal
// requests have equal fingerprints; the opposite holds but for a chance of
// 2^-64 a pair, so who finds a record by it compares the facts.
func Fingerprint(t *txn.Terminal, mti uint16, batch, trace uint32) uint64 {
	le := binary.LittleEndian
	// The two reads of the merchant number overlap by one byte: it has 15.
	h := mix(le.Uint64(t.Merchant[:8])^0x9E3779B97F4A7C15, le.Uint64(t.Merchant[7:])^0xD1B54A32D192ED03)
	h = mix(h^le.Uint64(t.Number[:]), (uint64(batch)<<32|uint64(trace))^0x8CB92BA72F3D8DD7)
	return mix(h^uint64(mti), 0xABC98388FB8FAC03)
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

type entry struct {
	fp  uint64
	lsn LSN
}

// index finds the newest record of a fingerprint. It follows behind: the shard
// remembers the newest fingerprints in two halves, and a goroutine writes them to
// disk when there are enough. A half of the memory is forgotten only after all
// of it is written.
//
// What is written together is sorted and cut into blocks, one value each. One key
// for each fingerprint would cost its insert, its flush and each compaction a
// quarter of a microsecond apiece; a block of 64 costs the same. To find is
// dearer by that, but rare: it reads one block of each chunk, the newest first,
// back to the time that the caller names.
//
// The index has a Pebble database of its own, without a WAL, since all of it can be
// made again. In the truth's, its random keys would share files with the ticks,
// and each compaction would write these anew.
type index struct {
	db      store
	dir     string
	shard   uint8
	inline  bool
	chunk   int // indexChunk and generation; tests need no million records
	half    int
	fail    func(error)
	key     []byte
	filter  *bloom.Filter // so that a new request does not cost a look-up in Pebble, 25 µs
	leaving atomic.Bool
	floor   atomic.Uint64 // LSN: what is before it is gone from the journal
	others  sync.WaitGroup

	// The shard's own.
	cur, prev *fresh
	newest    LSN // in cur
	prevLast  LSN // in prev

	batch  *pebble.Batch // the writer's own
	block  []byte
	sorted []entry

	mu      sync.Mutex
	change  *sync.Cond // pending, done or end changed
	pending []entry    // durable, not yet indexed
	last    LSN        // all up to here is in pending or on disk
	at      int64      // the newest time of all these records
	done    LSN        // all up to here is on disk
	hurry   bool       // write whatever is pending
	end     bool
	err     error
}

func openIndex(o *Options, cache *pebble.Cache, fed func() uint64, fail func(error)) (*index, error) {
	dir := o.FS.PathJoin(o.Dir, "index")
	db, err := openStore(dir, o.index(cache), fed)
	if err != nil {
		return nil, err
	}
	ix := &index{db: db, dir: dir, shard: o.Shard, inline: o.InlineIndex, chunk: indexChunk, half: generation, fail: fail,
		filter:  bloom.New(o.Filter),
		cur:     new(fresh),
		prev:    new(fresh),
		pending: make([]entry, 0, 2*indexChunk),
		batch:   db.NewBatch(),
	}
	ix.change = sync.NewCond(&ix.mu)
	return ix, nil
}

// remember makes a staged record findable.
func (ix *index) remember(fp uint64, lsn LSN) {
	ix.cur.add(fp, lsn)
	ix.newest = lsn
}

// Find gives the newest Outcome, staged ones included, with this fingerprint. An
// Intent is not found: whoever has one in flight knows it, and after a crash
// each is given an Outcome before anything is asked. What ended before since
// (Unix nanoseconds) need not be found: the disk is not searched farther back.
func (l *Log) Find(fp uint64, since int64) (LSN, bool, error) {
	if err := l.err(); err != nil {
		return 0, false, err
	}
	lsn, ok, err := l.index.find(fp, since)
	if lsn < LSN(l.index.floor.Load()) {
		return 0, false, err
	}
	return lsn, ok, err
}

func (ix *index) find(fp uint64, since int64) (LSN, bool, error) {
	if lsn, ok := ix.cur.find(fp); ok {
		return lsn, true, nil
	}
	if lsn, ok := ix.prev.find(fp); ok {
		return lsn, true, nil
	}
	if ix.filter.Unknown(fp) { // it knows all that is not in memory
		return 0, false, nil
	}
	return ix.search(fp, since)
}

// search goes through the blocks that may hold fp, the newest first.
func (ix *index) search(fp uint64, since int64) (lsn LSN, found bool, err error) {
	ix.key = blockKey(ix.key[:0], ix.shard, fp, 0)
	end := blockKey(nil, ix.shard, fp, ^LSN(0))
	it, err := ix.db.NewIter(&pebble.IterOptions{LowerBound: ix.key, UpperBound: end})
	if err != nil {
		return 0, false, fmt.Errorf("journal: index: %w", err)
	}
	for ok := it.Last(); ok && !found; ok = it.Prev() {
		var value []byte
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		if len(value) < blockHead || (len(value)-blockHead)%entrySize != 0 {
			err = fmt.Errorf("%w at key %x: %d bytes", ErrDamaged, it.Key(), len(value))
			break
		}
		if int64(binary.LittleEndian.Uint64(value)) < since {
			break // so is all before it
		}
		lsn, found = inBlock(value[blockHead:], fp)
	}
	return lsn, found, errors.Join(err, it.Close())
}

// inBlock finds a fingerprint among the sorted entries of a block.
func inBlock(b []byte, fp uint64) (LSN, bool) {
	n := len(b) / entrySize
	i := sort.Search(n, func(i int) bool { return binary.LittleEndian.Uint64(b[i*entrySize:]) >= fp })
	if i == n || binary.LittleEndian.Uint64(b[i*entrySize:]) != fp {
		return 0, false
	}
	return LSN(binary.LittleEndian.Uint64(b[i*entrySize+8:])), true
}

// progress is how far the index on disk goes: the last record that is in it, and
// the newest time of all these.
func (ix *index) progress() (last LSN, at int64, ok bool, err error) {
	key := progressKey(ix.shard)
	value, closer, err := ix.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, 0, false, nil
	}
	if err != nil {
		return 0, 0, false, fmt.Errorf("journal: index key %x: %w", key, err)
	}
	if len(value) != 16 {
		return 0, 0, false, errors.Join(fmt.Errorf("%w at key %x: %d bytes", ErrDamaged, key, len(value)), closer.Close())
	}
	last, at = LSN(binary.LittleEndian.Uint64(value)), int64(binary.LittleEndian.Uint64(value[8:]))
	return last, at, true, closer.Close()
}

// feed hands a durable tick to the writer: once per tick, one short lock.
func (ix *index) feed(fresh []entry, last LSN, at int64) error {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.pending = append(ix.pending, fresh...)
	ix.last, ix.at = max(ix.last, last), max(ix.at, at)
	if len(ix.pending) >= ix.chunk {
		if ix.inline {
			ix.writePending()
		} else {
			ix.change.Broadcast()
		}
	}
	if len(ix.cur.entries) < ix.half {
		return ix.err
	}
	// prev can only be forgotten when it is written. It is, unless the writer
	// is a whole generation behind: then the shard must wait, or memory grows.
	for ix.done < ix.prevLast && ix.err == nil {
		if ix.inline {
			ix.writePending()
			continue
		}
		ix.hurry = true
		ix.change.Broadcast()
		ix.change.Wait()
	}
	ix.prev.clear()
	ix.cur, ix.prev = ix.prev, ix.cur
	ix.prevLast = ix.newest
	return ix.err
}

// start begins the work behind, after catchUp.
func (ix *index) start() error {
	if ix.inline {
		return ix.fillFilter()
	}
	ix.others.Go(ix.run)
	ix.others.Go(func() {
		if err := ix.fillFilter(); err != nil {
			ix.fail(fmt.Errorf("journal: index: %w", err))
		}
	})
	return nil
}

func (ix *index) run() {
	spare := make([]entry, 0, 2*indexChunk)
	ix.mu.Lock()
	defer ix.mu.Unlock()
	for !ix.end {
		if len(ix.pending) < ix.chunk && !ix.hurry {
			ix.change.Wait()
			continue
		}
		ix.hurry = false
		take, last, at := ix.pending, ix.last, ix.at
		ix.pending = spare[:0]
		ix.mu.Unlock()
		err := ix.write(take, last, at)
		spare = take
		ix.mu.Lock()
		ix.wrote(last, err)
		if err != nil {
			return
		}
	}
}

// writePending is for when no writer runs; mu is held.
func (ix *index) writePending() {
	err := ix.write(ix.pending, ix.last, ix.at)
	ix.pending = ix.pending[:0]
	ix.wrote(ix.last, err)
}

func (ix *index) wrote(last LSN, err error) {
	if err != nil {
		ix.err = err
		ix.fail(err)
	} else {
		ix.done = last
	}
	ix.change.Broadcast()
}

// write puts entries and the progress into one batch. A crash loses what Pebble
// has not flushed by then, entries and progress alike: catchUp makes it again.
func (ix *index) write(entries []entry, last LSN, at int64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("journal: index: pebble panicked: %v", p)
		}
	}()
	entries = ix.sort(entries)
	ix.batch.Reset()
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].fp>>(64-blockBits) == entries[0].fp>>(64-blockBits) {
			n++
		}
		ix.writeBlock(entries[:n], last, at)
		entries = entries[n:]
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(last))
	binary.LittleEndian.PutUint64(b[8:], uint64(at))
	if err = ix.batch.Set(progressKey(ix.shard), b[:], nil); err == nil {
		err = ix.db.Apply(ix.batch, pebble.NoSync)
	}
	if err != nil {
		return fmt.Errorf("journal: index: %w", err)
	}
	return nil
}

// sort orders entries by fingerprint, and those of one by age. They are spread over
// the blocks first, in one pass, so that only a block's few are left to sort; the
// result is lent until the next call.
func (ix *index) sort(entries []entry) []entry {
	var at [1<<blockBits + 1]int
	for _, e := range entries {
		at[e.fp>>(64-blockBits)+1]++
	}
	for i := range len(at) - 1 {
		at[i+1] += at[i]
	}
	ix.sorted = slices.Grow(ix.sorted[:0], len(entries))[:len(entries)]
	from := at
	for _, e := range entries {
		block := e.fp >> (64 - blockBits)
		ix.sorted[at[block]] = e
		at[block]++
	}
	for i := range 1 << blockBits {
		slices.SortFunc(ix.sorted[from[i]:from[i+1]], func(a, b entry) int {
			if a.fp != b.fp {
				return cmp.Compare(a.fp, b.fp)
			}
			return cmp.Compare(a.lsn, b.lsn)
		})
	}
	return ix.sorted
}

// writeBlock puts sorted entries into one value; of equal fingerprints the last
// is the newest, and the only one that stays.
func (ix *index) writeBlock(entries []entry, last LSN, at int64) {
	ix.block = binary.LittleEndian.AppendUint64(ix.block[:0], uint64(at))
	for i, e := range entries {
		if i+1 < len(entries) && entries[i+1].fp == e.fp {
			continue
		}
		ix.filter.Add(e.fp)
		ix.block = binary.LittleEndian.AppendUint64(ix.block, e.fp)
		ix.block = binary.LittleEndian.AppendUint64(ix.block, uint64(e.lsn))
	}
	var key [blockKeySize]byte
	op := ix.batch.SetDeferred(blockKeySize, len(ix.block))
	copy(op.Key, blockKey(key[:0], ix.shard, entries[0].fp, last))
	copy(op.Value, ix.block)
	_ = op.Finish() // fails only in an indexed batch
}

// catchUp writes what a crash left out, before anything else happens.
func (ix *index) catchUp(read *Reader) error {
	done, at, ok, err := ix.progress()
	if err != nil {
		return err
	}
	if ok {
		// It is fed only what is durable. If it knows more, the journal was set
		// back to an older state, and will use these places for other records.
		if err = read.Get(done, new(Record)); errors.Is(err, ErrNotFound) && done >= LSN(ix.floor.Load()) {
			return fmt.Errorf("journal: the index is ahead of the journal, at %v: remove %s and it is made anew", done, ix.dir)
		}
	}
	ix.done, ix.last, ix.at = done, done, at
	err = read.Replay(done+1, func(lsn LSN, r *Record) error {
		ix.last, ix.at = lsn, max(ix.at, r.Facts.At)
		if r.Kind == Outcome {
			f := &r.Facts
			ix.pending = append(ix.pending, entry{Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace), lsn})
		}
		if len(ix.pending) >= ix.chunk {
			ix.writePending()
		}
		return ix.err
	})
	if err != nil || ix.last == ix.done {
		return err
	}
	ix.writePending()
	return ix.err
}

// fillFilter adds what the index on disk holds, unless that is more than a filter
// can tell apart. Until it is through, each miss is asked of Pebble.
func (ix *index) fillFilter() error {
	it, err := ix.db.NewIter(span('B', ix.shard))
	if err != nil {
		return err
	}
	room := ix.filter.Room()
	for ok := it.First(); ok && room >= 0 && !ix.leaving.Load(); ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(err, it.Close())
		}
		for b := value[min(blockHead, len(value)):]; len(b) >= entrySize; b = b[entrySize:] {
			ix.filter.Add(binary.LittleEndian.Uint64(b))
			room--
		}
	}
	if err = it.Close(); err == nil && room >= 0 && !ix.leaving.Load() {
		ix.filter.SetReady()
	}
	return err
}

// close ends the writer and writes what is left.
func (ix *index) close() error {
	ix.stop()
	ix.others.Wait()
	if ix.err == nil && ix.last > ix.done {
		ix.writePending()
	}
	if ix.err != nil {
		return ix.err
	}
	return errors.Join(ix.batch.Close(), ix.db.Flush(), ix.db.Close())
}

// abandon ends the writer without touching the disk or waiting for it.
func (ix *index) abandon() { ix.stop() }

func (ix *index) stop() {
	ix.leaving.Store(true)
	ix.mu.Lock()
	ix.end = true
	ix.change.Broadcast()
	ix.mu.Unlock()
}
