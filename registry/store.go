package registry

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"go.uber.org/zap"

	"tongka/fault"
	"tongka/txn"
)

// Keys in Badger: one letter, then merchant and terminal number.
const (
	terminalPrefix = 't'
	sessionPrefix  = 's'
)

func storeKey(prefix byte, id *txn.Terminal) []byte {
	return appendID(append(make([]byte, 0, 1+idSize), prefix), id)
}

// retryAfter is how long the writer waits after Badger refused a write.
const retryAfter = time.Second

// gather is how long it waits for more sessions before it writes: each write has a price
// of its own, and the journal has them all.
const gather = 50 * time.Millisecond

// openStore opens Badger with small buffers: a registry of 100,000 terminals is
// some ten megabytes, and the default would take several hundred. Writes are not
// synced one by one, because the journal holds each sign-in first; an import
// syncs at its end.
func openStore(o *Options) (*badger.DB, error) {
	dir := o.Dir
	if o.InMemory {
		dir = ""
	}
	b := badger.DefaultOptions(dir).WithInMemory(o.InMemory).
		WithLogger(badgerLog{o.Logger.Sugar()}).
		WithMemTableSize(8 << 20).WithNumMemtables(2).
		WithValueLogFileSize(16 << 20).
		WithCompression(options.None).WithBlockCacheSize(0).
		WithNumCompactors(2).WithDetectConflicts(false).
		WithMetricsEnabled(false)
	db, err := badger.Open(b)
	if err != nil {
		return nil, fmt.Errorf("registry: open %q: %w", dir, err)
	}
	return db, nil
}

// load reads terminals and running sessions. Badger leaves out what its TTL has
// ended.
func load(db *badger.DB) (*Snapshot, error) {
	var profiles []Profile
	err := scan(db, terminalPrefix, func(key, val []byte) error {
		p, err := decodeProfile(val)
		if err == nil && !bytes.Equal(key, storeKey(terminalPrefix, &p.ID)) {
			err = fmt.Errorf("%w: byte 1: the identity is not the key's", errForm)
		}
		profiles = append(profiles, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	more, err := loadExtras(db)
	if err != nil {
		return nil, err
	}
	snap := newSnapshot(profiles, more)
	return snap, scan(db, sessionPrefix, func(_, val []byte) error {
		id, s, err := DecodeSession(val)
		if err != nil {
			return err
		}
		if t := snap.Terminal(&id); t != nil {
			t.session.Store(&s)
		}
		return nil
	})
}

// scan calls f for every record of a prefix, in the order of the keys.
func scan(db *badger.DB, prefix byte, f func(key, val []byte) error) error {
	return db.View(func(tx *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix = []byte{prefix}
		it := tx.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			err := item.Value(func(val []byte) error { return f(item.Key(), val) })
			if err != nil {
				return fmt.Errorf("registry: key %q: %w", item.Key(), err)
			}
		}
		return nil
	})
}

// saveProfiles writes terminals and returns when they are on disk. A crash in
// between leaves some of them; the same import again completes it.
func (r *Registry) saveProfiles(profiles []*Profile, details map[txn.Terminal]*Details) error {
	wb := r.db.NewWriteBatch()
	defer wb.Cancel()
	for _, p := range profiles {
		if err := wb.Set(storeKey(terminalPrefix, &p.ID), appendProfile(nil, p)); err != nil {
			return fmt.Errorf("registry: save terminals: %w", err)
		}
	}
	for id, d := range details {
		key := storeKey(detailsPrefix, &id)
		err := wb.Delete(key)
		if d != nil {
			err = setJSON(wb, key, d)
		}
		if err != nil {
			return fmt.Errorf("registry: save terminals: %w", err)
		}
	}
	return r.settleBatch(wb)
}

// settleBatch has a batch on disk when it returns.
func (r *Registry) settleBatch(wb *badger.WriteBatch) error {
	if err := wb.Flush(); err != nil {
		return fmt.Errorf("registry: save: %w", err)
	}
	if r.db.Opts().InMemory {
		return nil
	}
	if err := r.db.Sync(); err != nil {
		return fmt.Errorf("registry: sync: %w", err)
	}
	return nil
}

// write is the one goroutine that brings sessions to Badger. A morning's storm
// of sign-ins becomes few large batches, because marks gather before and while it writes.
func (r *Registry) write() {
	defer close(r.stopped)
	var due <-chan time.Time
	wake := r.wake
	for {
		select {
		case <-wake:
			// Until then nobody waits for words: to be woken costs whoever signs in more than
			// all the rest of it. One more word stays in the channel.
			due, wake = time.After(gather), nil
			continue
		case <-due:
		case <-r.stop:
			if err := r.flush(); err != nil {
				r.log.Error("registry: sessions not saved at close; the journal has them", fault.Field(fault.RegistryUnsaved), zap.Error(err))
			}
			return
		}
		due, wake = nil, r.wake
		if err := r.flush(); err != nil {
			r.log.Error("registry: sessions not saved, will try again", fault.Field(fault.RegistryUnsaved), zap.Error(err))
			due, wake = time.After(retryAfter), nil
		}
	}
}

// flush writes the sessions of all terminals that are marked. The mark goes
// before the session is read, so a session that comes later marks again.
func (r *Registry) flush() error {
	snap := r.snap.Load()
	var taken []*Terminal
	for w := range snap.dirty {
		if snap.dirty[w].Load() == 0 {
			continue
		}
		for m := snap.dirty[w].Swap(0); m != 0; m &= m - 1 {
			taken = append(taken, &snap.terminals[w*64+bits.TrailingZeros64(m)])
		}
	}
	if len(taken) == 0 {
		return nil
	}
	err := errors.Join(r.save(r.db, taken), r.saveKeyLoads(taken))
	if err != nil {
		r.markAgain(taken)
	}
	return err
}

// markAgain gives back marks whose write failed, in the snapshot that holds now.
func (r *Registry) markAgain(taken []*Terminal) {
	for {
		now := r.snap.Load()
		for _, t := range taken {
			if i := now.find(&t.ID); i >= 0 {
				now.mark(i)
			}
		}
		if r.snap.Load() == now {
			return
		}
	}
}

// saveSessions writes the sessions of terminals to Badger.
func saveSessions(db *badger.DB, terminals []*Terminal) error {
	wb := db.NewWriteBatch()
	defer wb.Cancel()
	for _, t := range terminals {
		if err := saveSession(wb, t); err != nil {
			return err
		}
	}
	return wb.Flush()
}

// saveSession puts the terminal's session into the batch; a terminal without
// one has its record removed.
func saveSession(wb *badger.WriteBatch, t *Terminal) error {
	key := storeKey(sessionPrefix, &t.ID)
	s := t.session.Load()
	if s == nil {
		return wb.Delete(key)
	}
	e := badger.NewEntry(key, AppendSession(nil, &t.ID, s))
	// Badger counts whole seconds: rounded up, so that it never forgets early.
	e.ExpiresAt = uint64((max(s.Until, 1) + int64(time.Second) - 1) / int64(time.Second))
	return wb.SetEntry(e)
}

// badgerLog hands Badger's lines to zap, its chatter at debug level.
type badgerLog struct{ to *zap.SugaredLogger }

func (l badgerLog) line(format string, a []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, a...))
}
func (l badgerLog) Errorf(f string, a ...any)   { l.to.Error(l.line(f, a)) }
func (l badgerLog) Warningf(f string, a ...any) { l.to.Warn(l.line(f, a)) }
func (l badgerLog) Infof(f string, a ...any)    { l.to.Debug(l.line(f, a)) }
func (l badgerLog) Debugf(f string, a ...any)   { l.to.Debug(l.line(f, a)) }

// sortProfiles orders by merchant, then number, as Badger does.
func sortProfiles(p []Profile) {
	slices.SortFunc(p, func(a, b Profile) int { return compareID(&a.ID, &b.ID) })
}

func compareID(a, b *txn.Terminal) int {
	if c := bytes.Compare(a.Merchant[:], b.Merchant[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.Number[:], b.Number[:])
}
