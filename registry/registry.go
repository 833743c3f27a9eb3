// Package registry holds the terminals: who they are, their keys under the LMK,
// what they may do, and the session that the last sign-in began.
//
// Reading is one pointer load and a look-up in an immutable table. Badger keeps
// the terminals across restarts, and its TTL forgets sessions that have ended.
// A session reaches Badger behind the caller's back; until then the journal,
// which has the sign-in on disk before the terminal hears of it, is the truth:
// after a crash it is replayed through Install.
//
// Memory per terminal, measured: 64 B the terminal, 16 to 32 B its slots in the
// table, 80 B a session; Badger itself is bounded by about 40 MB.
package registry

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"go.uber.org/zap"

	"tongka/txn"
)

// Options say where a registry lives.
type Options struct {
	Dir        string           // folder of the Badger store, made when missing
	InMemory   bool             // nothing on disk; Dir is not used
	SessionTTL time.Duration    // length of a session; 0 means DefaultSessionTTL
	Max        int              // terminals at most; an import beyond it is refused; 0 means MaxTerminals
	Logger     *zap.Logger      // nil means silence
	Now        func() time.Time // nil means time.Now; asked for imports and exports only

	save func(*badger.DB, []*Terminal) error // saveSessions; tests let it fail
}

// DefaultSessionTTL is one day: terminals sign in every morning.
const DefaultSessionTTL = 24 * time.Hour

// MaxTerminals is the number of terminals that any registry holds at most.
const MaxTerminals = 4_000_000

// settle fills in defaults, or gives all that is wrong.
func (o *Options) settle() error {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.save == nil {
		o.save = saveSessions
	}
	if o.SessionTTL == 0 {
		o.SessionTTL = DefaultSessionTTL
	}
	if o.Max == 0 {
		o.Max = MaxTerminals
	}
	var wrong []error
	if o.SessionTTL < 0 {
		wrong = append(wrong, fmt.Errorf("registry: session TTL %v is negative", o.SessionTTL))
	}
	if o.Max < 0 || o.Max > MaxTerminals {
		wrong = append(wrong, fmt.Errorf("registry: %d terminals at most, wanted 1 to %d", o.Max, MaxTerminals))
	}
	if o.Dir == "" && !o.InMemory {
		wrong = append(wrong, errors.New("registry: no folder given"))
	}
	return errors.Join(wrong...)
}

// Registry is safe for use by any number of goroutines.
type Registry struct {
	db        *badger.DB
	log       *zap.Logger
	ttl       time.Duration
	most      int
	save      func(*badger.DB, []*Terminal) error
	now       func() time.Time
	snap      atomic.Pointer[Snapshot]
	importing sync.Mutex
	loads     keyLoads
	wake      chan struct{} // holds one: "there is something dirty"
	stop      chan struct{}
	stopped   chan struct{}
	closed    sync.Once
}

// Open opens or makes the store and reads all of it into memory.
func Open(o Options) (*Registry, error) {
	if err := o.settle(); err != nil {
		return nil, err
	}
	db, err := openStore(&o)
	if err != nil {
		return nil, err
	}
	snap, err := load(db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	r := &Registry{
		db: db, log: o.Logger, ttl: o.SessionTTL, most: o.Max, now: o.Now, save: o.save,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	r.loads.of = map[txn.Terminal]*KeyLoad{}
	r.snap.Store(snap)
	go r.write()
	return r, nil
}

// Close writes what is not in Badger yet and closes it. Later calls do nothing.
func (r *Registry) Close() (err error) {
	r.closed.Do(func() {
		close(r.stop)
		<-r.stopped
		err = r.db.Close()
	})
	return err
}

// Snapshot gives the terminals of this moment. Take it once per batch of work.
func (r *Registry) Snapshot() *Snapshot { return r.snap.Load() }

// Until is the end of a session that begins at now, both in Unix nanoseconds.
func (r *Registry) Until(now int64) int64 { return now + int64(r.ttl) }

// Install makes s the terminal's session. It is seen in memory at once, by
// holders of older snapshots too, and reaches Badger later. It never waits: all
// it leaves for the writer is one bit, so nothing can overflow or get lost. The
// journal must hold the sign-in already.
//
// t may come from an older snapshot. An import may put a new one in place at any
// moment, so the mark is looked at again: either we see the new snapshot and
// write there, or the import, which looks at the old one after the swap, sees
// our mark.
func (r *Registry) Install(t *Terminal, s *Session) {
	t.session.Store(s)
	for {
		snap := r.snap.Load()
		i := snap.find(&t.ID)
		if i < 0 {
			return
		}
		snap.terminals[i].session.Store(s)
		snap.mark(i)
		if r.snap.Load() == snap {
			break
		}
	}
	r.nudge()
}

// nudge tells the writer that something is dirty; one word waiting is enough.
func (r *Registry) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
