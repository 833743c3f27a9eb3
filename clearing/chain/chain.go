// Package chain is a store whose history is only added to. Every change is an event,
// a line of JSON that names the hash of the one before it; what follows from the
// events lies beside them, in the same batch, so a crash leaves both or neither.
//
//	'e' n:8               the event
//	'h' subject 0 n:8     that it is about this subject
//	'k' key               what follows from events, its owner's business
//
// hash is SHA-256 over prev and the event without its hash. What a chain cannot show
// is that its end was cut off: its owner keeps heads elsewhere, in the audit file.
package chain

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"tongka/audit"
)

// Event is one thing that happened to a subject.
type Event struct {
	N       uint64          `json:"n"` // from 1
	At      time.Time       `json:"at"`
	Who     audit.Who       `json:"who"`
	Subject string          `json:"subject"`
	What    string          `json:"what"`
	Data    json.RawMessage `json:"data"`
	Prev    string          `json:"prev"`
	Hash    string          `json:"hash,omitempty"`
}

// ErrBroken is a history that was changed.
var ErrBroken = errors.New("历史链不成立 · the history's chain does not hold")

// ErrBusy is a store that another process has.
var ErrBusy = errors.New("另一进程正在使用 · another process is at it")

// Store is open in one process at a time, and belongs to one goroutine.
type Store struct {
	db   *pebble.DB
	head audit.Head
}

// Open opens the store in dir, or makes it.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	db, err := pebble.Open(dir, &pebble.Options{Logger: silent{}, MemTableSize: 4 << 20})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", dir, ErrBusy, err)
	}
	s := &Store{db: db}
	if err := s.findHead(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// silent keeps Pebble's notes from standard error. What is fatal ends the process.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(f string, args ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", args...)
	os.Exit(1)
}

// Close lets it go.
func (s *Store) Close() error { return s.db.Close() }

// Head is the end of the chain.
func (s *Store) Head() audit.Head { return s.head }

func (s *Store) findHead() (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'e'}, UpperBound: []byte{'f'}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		return it.Error()
	}
	var e Event
	if err := json.Unmarshal(it.Value(), &e); err != nil {
		return fmt.Errorf("%w: key %x: %w", ErrBroken, it.Key(), err)
	}
	s.head = audit.Head{N: e.N, Hash: e.Hash}
	return nil
}

func eventKey(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'e'}, n) }

func aboutKey(subject string, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte("h"+subject), 0), n)
}

// seal gives an event its hash, and its line.
func seal(e *Event) ([]byte, error) {
	e.Hash = ""
	plain, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte(e.Prev), plain...))
	e.Hash = hex.EncodeToString(sum[:])
	return json.Marshal(e)
}

// Change is what is written together.
type Change struct {
	events []Event
	puts   []put
}

type put struct {
	key   string
	value []byte // nil: goes away
}

// Add adds an event; data is made JSON.
func (c *Change) Add(at time.Time, who audit.Who, subject, what string, data any) error {
	b, err := json.Marshal(data)
	c.events = append(c.events, Event{At: at.UTC(), Who: who, Subject: subject, What: what, Data: b})
	return err
}

// Put sets what follows from the events; a nil value takes the key away.
func (c *Change) Put(key string, value any) error {
	if value == nil {
		c.puts = append(c.puts, put{key, nil})
		return nil
	}
	b, err := json.Marshal(value)
	c.puts = append(c.puts, put{key, b})
	return err
}

// Len is how many events a change has.
func (c *Change) Len() int { return len(c.events) }

// Commit writes a change durably, all of it or nothing. The events get their numbers
// in their order, from Head on.
func (s *Store) Commit(c *Change) (err error) {
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	head := s.head
	for i := range c.events {
		e := &c.events[i]
		e.N, e.Prev = head.N+1, head.Hash
		line, err := seal(e)
		if err != nil {
			return err
		}
		head = audit.Head{N: e.N, Hash: e.Hash}
		if err := errors.Join(b.Set(eventKey(e.N), line, nil), b.Set(aboutKey(e.Subject, e.N), nil, nil)); err != nil {
			return err
		}
	}
	for _, p := range c.puts {
		key := []byte("k" + p.key)
		if p.value == nil {
			err = b.Delete(key, nil)
		} else {
			err = b.Set(key, p.value, nil)
		}
		if err != nil {
			return err
		}
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	s.head = head
	return nil
}

// Get reads what was put; false when there is none.
func (s *Store) Get(key string, to any) (bool, error) {
	v, closer, err := s.db.Get([]byte("k" + key))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := errors.Join(json.Unmarshal(v, to), closer.Close()); err != nil {
		return false, fmt.Errorf("%q: %w", key, err)
	}
	return true, nil
}

// Each gives what was put under keys that begin with prefix, in their order. The
// value is lent.
func (s *Store) Each(prefix string, f func(key string, value []byte) error) (err error) {
	low := []byte("k" + prefix)
	return s.span(low, after(low), func(k, v []byte) error { return f(string(k[1:]), v) })
}

func after(low []byte) []byte {
	high := append([]byte(nil), low...)
	high[len(high)-1]++ // keys are text: no byte is the last
	return high
}

func (s *Store) span(low, high []byte, f func(k, v []byte) error) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = f(it.Key(), v)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

// About gives the events of one subject, in their order.
func (s *Store) About(subject string, f func(*Event) error) error {
	low := append([]byte("h"+subject), 0)
	high := append([]byte("h"+subject), 1)
	return s.span(low, high, func(k, _ []byte) error {
		n := binary.BigEndian.Uint64(k[len(k)-8:])
		v, closer, err := s.db.Get(eventKey(n))
		if err != nil {
			return fmt.Errorf("%w: %d: %w", ErrBroken, n, err)
		}
		var e Event
		if err := errors.Join(json.Unmarshal(v, &e), closer.Close()); err != nil {
			return fmt.Errorf("%w: %d: %w", ErrBroken, n, err)
		}
		return f(&e)
	})
}

// Verify follows the whole chain; each, if not nil, gets every event. Its error names
// the first that does not follow.
func (s *Store) Verify(each func(*Event) error) error {
	var head audit.Head
	err := s.span([]byte{'e'}, []byte{'f'}, func(k, v []byte) error {
		var e Event
		if err := json.Unmarshal(v, &e); err != nil {
			return fmt.Errorf("%w: %d: %w", ErrBroken, head.N+1, err)
		}
		hash := e.Hash
		again, err := seal(&e)
		switch {
		case err != nil:
			return err
		case e.N != head.N+1 || e.Prev != head.Hash || e.Hash != hash || string(again) != string(v):
			return fmt.Errorf("%w: %d", ErrBroken, head.N+1)
		}
		head = audit.Head{N: e.N, Hash: e.Hash}
		if each != nil {
			return each(&e)
		}
		return nil
	})
	if err == nil && head != s.head {
		err = fmt.Errorf("%w: %d", ErrBroken, head.N+1)
	}
	return err
}
