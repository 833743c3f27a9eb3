package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/journal/internal/wal"
	"tongka/keyfile"
	"tongka/txn"
)

const (
	pageLimit = 64 << 10 // bytes of records in one sealed value, unless one record is longer
	tickBlock = 1 << 20  // tick numbers that are taken at a time
)

// Log is the journal of one shard. It belongs to the shard's goroutine; only
// NewReader's result may be used elsewhere. A tick goes
//
//	Append, Put, Delete, Mark …  → Commit → (other work) → Sync → effects leave
//
// and the next tick may be staged between Commit and Sync.
type Log struct {
	db     store
	fs     vfs.FS
	order  sync.Mutex    // batches are in the log and in the database in one order
	wal    *wal.Log      // with order held
	fed    atomic.Uint64 // bytes that it was given
	large  int           // bytes of a batch from which the log is awaited first, see keep
	master *keyfile.Ring
	shard  uint8
	epoch  *epoch
	count  uint64 // seals made in this epoch
	key    []byte // scratch for keys
	read   *Reader
	hot    hot
	held   held
	purges atomic.Uint64 // from whichever goroutine
	index  *index
	fault  atomic.Pointer[error] // the first error, from whichever goroutine

	tick    uint64 // number of the first page of the open tick
	turn    int64  // when its turn is
	plain   []byte // its records, unsealed
	pages   []int  // where each page of plain begins
	records int    // in the last page
	last    LSN    // the newest record, 0 = none yet
	open    *staging
	flying  *staging // committed, not yet synced; swapped with open
	inAir   bool

	markFrom LSN
	markNext txn.ID
}

// staging is what goes to disk together. There are two, because the next tick
// is staged while the disk writes.
type staging struct {
	batch *pebble.Batch
	fresh []entry // for the index, once durable
	last  LSN
	at    int64 // the newest time of a record
}

// Append stages a record in the open tick and gives its place. The body is
// copied. A body longer than MaxBody is a fault of the program, which the next
// Commit reports; its place is 0. No allocation once the buffers have grown.
func (l *Log) Append(r *Record) LSN {
	if len(r.Body) > MaxBody {
		l.fail(fmt.Errorf("journal: the body of a record has %d bytes: at most %d fit", len(r.Body), MaxBody))
		return 0
	}
	if n := len(l.pages); n == 0 || len(l.plain)-l.pages[n-1]+recordHead+maxFacts+len(r.Body) > pageLimit {
		l.pages = append(l.pages, len(l.plain))
		l.records = 0
		l.plain = append(l.plain, stampMark, 0, 0, 0, 0, 0, 0, 0, 0) // filled in by Commit
	}
	lsn := lsnAt(l.tick+uint64(len(l.pages)-1), l.records)
	l.records++
	l.last = lsn
	l.plain = appendRecord(l.plain, r)
	l.open.at = max(l.open.at, r.Facts.At)
	if r.Kind == Outcome {
		f := &r.Facts
		fp := Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace)
		l.open.fresh = append(l.open.fresh, entry{fp, lsn})
		l.index.remember(fp, lsn)
	}
	return lsn
}

// Next is a place behind every record that was appended so far, and not behind any
// that will be. Where a business day ends is said by one.
func (l *Log) Next() LSN {
	if n := len(l.pages); n > 0 {
		return lsnAt(l.tick+uint64(n-1), l.records)
	}
	return lsnAt(l.tick, 0)
}

// Stamp says when the turn is whose records are staged, Unix nanoseconds. It
// holds for all of them and until the next Stamp.
func (l *Log) Stamp(turn int64) { l.turn = turn }

// Put stages a key of the caller's own, sealed, in the batch of the open tick.
// Both arguments are copied. Each and Lookup see it after Commit.
func (l *Log) Put(key, plain []byte) {
	l.key = append(append(l.key[:0], 'U', l.shard), key...)
	l.hot.change(key, plain, true)
	l.putSealed(plain)
}

// Delete stages the end of a key that Put wrote.
func (l *Log) Delete(key []byte) {
	l.key = append(append(l.key[:0], 'U', l.shard), key...)
	l.hot.change(key, nil, false)
	// A batch that is not indexed has no way to fail here.
	_ = l.open.batch.Delete(l.key, nil)
}

// Mark stages a new recovery point: every record before from is of a finished
// transaction, and every ID at or above next is unused or in a record at or
// behind from.
func (l *Log) Mark(from LSN, next txn.ID) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(from))
	binary.LittleEndian.PutUint64(b[8:], uint64(next))
	l.key = markKey(l.key[:0], l.shard, l.tick)
	l.putSealed(b[:])
	l.markFrom, l.markNext = from, next
}

// Recovery gives the newest Mark: where to replay from, and the ID above which
// new ones begin, next to what the replay shows. Zeros on a new journal.
func (l *Log) Recovery() (from LSN, next txn.ID) { return l.markFrom, l.markNext }

func (l *Log) putSealed(plain []byte) {
	op := l.open.batch.SetDeferred(len(l.key), sealHead+len(plain)+sealTail)
	copy(op.Key, l.key)
	l.count++
	l.epoch.seal(op.Value, l.count, op.Key, plain)
	_ = op.Finish() // fails only in an indexed batch
}

// Staged says whether Commit would write anything.
func (l *Log) Staged() bool { return len(l.pages) > 0 || !l.open.batch.Empty() }

// Commit seals the open tick and hands it to the log and to Pebble; the disk begins
// to write and the tick is readable. Nothing may leave the house before Sync. Without
// anything staged it does nothing.
func (l *Log) Commit() error {
	if l.inAir {
		if err := l.Sync(); err != nil {
			return err
		}
	}
	if err := l.err(); err != nil || !l.Staged() {
		return err
	}
	l.sealPages()
	if err := l.reserve(); err != nil {
		return l.fail(err)
	}
	l.open, l.flying = l.flying, l.open
	l.flying.last = l.last
	l.inAir = true
	if err := l.keep(l.flying.batch, l.flying.batch.Len() >= l.large); err != nil {
		return l.fail(fmt.Errorf("journal: commit: %w", err))
	}
	l.hot.turn++
	return nil
}

// sealPages moves the tick's records into its batch and opens the next tick.
func (l *Log) sealPages() {
	for i, start := range l.pages {
		end := len(l.plain)
		if i+1 < len(l.pages) {
			end = l.pages[i+1]
		}
		binary.LittleEndian.PutUint64(l.plain[start+1:], uint64(l.turn))
		l.key = tickKey(l.key[:0], l.shard, l.tick+uint64(i))
		l.putSealed(l.plain[start:end])
	}
	l.tick += uint64(len(l.pages))
	l.plain, l.pages = l.plain[:0], l.pages[:0]
}

// reserve takes the next block of tick numbers when half of this one is used.
// The other half is more than the tick after this one can need, and by then
// this batch is durable: see invariant 3.
func (l *Log) reserve() error {
	if l.tick+tickBlock/2 < l.epoch.limit {
		return nil
	}
	l.epoch.limit = l.tick + tickBlock
	l.key = epochKey(l.key[:0], l.shard, l.epoch.number)
	return l.open.batch.Set(l.key, l.epoch.encode(), nil)
}

// Sync waits until the committed tick is on disk. After nil, all of the tick is
// durable and its effects may leave. After an error nothing of it may leave, and
// this Log is at its end (invariant 6).
func (l *Log) Sync() error {
	if err := l.err(); err != nil || !l.inAir {
		return err
	}
	if err := l.await(); err != nil {
		return l.fail(fmt.Errorf("journal: sync: %w", err))
	}
	l.inAir = false
	l.flying.batch.Reset()
	err := l.index.feed(l.flying.fresh, l.flying.last, l.flying.at)
	l.flying.fresh, l.flying.at = l.flying.fresh[:0], 0
	if err != nil {
		return l.fail(err)
	}
	return nil
}

// keep writes a batch to the log and to the database. Nothing may be in a table
// before it is safe in the log: after a crash all that the log has is done again, and
// what a table knew of a lost batch would be left in pieces. The memtable of a batch
// is not flushed before the next batch, for which the log is awaited; but a large
// batch is flushed by itself, at once, so await says that it is to be safe first.
func (l *Log) keep(b *pebble.Batch, await bool) error {
	l.order.Lock()
	defer l.order.Unlock()
	if err := l.wal.Write(b.Repr()); err != nil {
		return err
	}
	l.fed.Add(uint64(b.Len()))
	if await {
		if err := l.wal.Sync(); err != nil {
			return err
		}
	}
	return l.db.Apply(b, pebble.NoSync)
}

// await waits until all that was kept is safe.
func (l *Log) await() error {
	l.order.Lock()
	defer l.order.Unlock()
	return l.wal.Sync()
}

// flush has all that was kept so far in tables, and waits for it. It may be called
// from any goroutine.
func (l *Log) flush() error {
	l.order.Lock()
	err := l.wal.Sync()
	if err != nil {
		l.order.Unlock()
		return err
	}
	done, err := l.db.AsyncFlush()
	l.order.Unlock()
	if err == nil {
		<-done
	}
	return err
}

// fail keeps the first error and gives that one.
func (l *Log) fail(err error) error {
	l.fault.CompareAndSwap(nil, &err)
	return *l.fault.Load()
}

func (l *Log) err() error {
	if p := l.fault.Load(); p != nil {
		return *p
	}
	return nil
}

// Close waits for what was committed and lets the database go; what was only
// staged is forgotten. After a fault it leaves the database alone, since
// Pebble's own Close may then hang: the process is expected to end.
func (l *Log) Close() error {
	err := l.Sync()
	if err != nil {
		l.index.abandon()
		return err
	}
	l.db.pace.Hurry()
	l.index.db.pace.Hurry()
	err = l.index.close()
	if err != nil {
		return l.fail(err)
	}
	if err = l.flush(); err == nil {
		err = l.wal.Finish()
	}
	l.fail(errClosed)
	return errors.Join(err, l.open.batch.Close(), l.flying.batch.Close(), l.db.Close())
}

var errClosed = errors.New("journal: closed")
