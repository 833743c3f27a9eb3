// Package storefwd knows what we owe to whom, and when to offer it again.
package storefwd

import "tongka/txn"

// Policy says how the owed items of one destination are offered. Durations are nanoseconds.
type Policy struct {
	Window      int   // offers without an answer at a time
	PerRound    int   // offers in one Interval
	Interval    int64 // length of a round
	BackoffMin  int64
	BackoffMax  int64
	Timeout     int64 // an offer without an answer for so long has failed
	MaxAttempts int
}

// Validate reports every fault at once.
func (p *Policy) Validate() error { return nil }

// Store is where owed items are kept; *journal.Log is one.
type Store interface {
	Put(key, plain []byte)
	Delete(key []byte)
	Each(prefix []byte, f func(key, plain []byte) error) error
	Lookup(key, dst []byte) ([]byte, bool, error)
}

// Queue holds what is owed; it belongs to one shard's goroutine.
type Queue struct{}

// New makes an empty queue with one policy per LinkID.
func New(store Store, policies []Policy, seed uint64) *Queue { return &Queue{} }

// Load reads what is owed after a restart: all of it is due at once, in order.
func (q *Queue) Load() error { return nil }

// Owe puts an item into the current tick and the queue.
func (q *Queue) Owe(f *txn.Facts, link txn.LinkID, now int64) {}

// Due gives the next item to offer: attempt is 1 for the first offer ever.
func (q *Queue) Due(now int64, to txn.LinkID, f *txn.Facts) (attempt int, ok bool) { return 0, false }

// Settle ends an item; false if it is unknown (a second confirmation).
func (q *Queue) Settle(id txn.ID, link txn.LinkID) bool { return false }

// Expire takes back the offers whose Timeout is over.
func (q *Queue) Expire(now int64) {}

// LinkDown takes back all offers of a link, without counting an attempt.
func (q *Queue) LinkDown(link txn.LinkID) {}

// Next says when to ask Due or Expire again; false for never.
func (q *Queue) Next(now int64) (at int64, ok bool) { return 0, false }

// Len counts the items owed to a link, the parked ones included.
func (q *Queue) Len(link txn.LinkID) int { return 0 }

// Parked counts the items of a link that used up their attempts.
func (q *Queue) Parked(link txn.LinkID) int { return 0 }

// Total counts all items.
func (q *Queue) Total() int { return 0 }
