// Package plan prepares work on messages by their bitmap. Messages of one kind
// carry the same fields, so what can be found out from the bitmap alone (which
// fields of fixed length stand together, how their bytes are checked and
// converted at once) is found out once.
package plan

import (
	"sync/atomic"

	"tongka/codec/iso8583/internal/table"
)

// A cache has so many places, and a key may be in so many of them.
const (
	places = 256
	ways   = 4
)

// Cache keeps plans by the dialect that a message comes from and by its bitmap.
// It is safe for concurrent use. Its size is fixed (with plans of a few kilobytes,
// one megabyte at most) and first come stays: whoever sends bitmaps at random
// fills it, at worst, and what finds no place goes the way without a plan, which
// costs a little more time and allocates nothing.
type Cache[T any] struct {
	places [places + ways]atomic.Pointer[entry[T]]
}

type entry[T any] struct {
	from      *table.Fields
	low, high uint64
	plan      T
}

// hash spreads bitmaps: fields 1 to 64 and 65 to 128.
func hash(low, high uint64) uint64 {
	return (low*0x9E3779B97F4A7C15 ^ high*0xC2B2AE3D27D4EB4F) >> 56
}

// Find gives the plan for messages of the dialect from with these fields, nil
// when there is none. Both halves of the bitmap come by value: whoever has just
// written them to memory need not wait until they can be read back as a pair.
func (c *Cache[T]) Find(from *table.Fields, low, high uint64) *T {
	at := hash(low, high)
	for i := range uint64(ways) {
		e := c.places[at+i].Load()
		if e == nil {
			return nil
		}
		if e.low == low && e.high == high && e.from == from {
			return &e.plan
		}
	}
	return nil
}

// Learn keeps what plan gives for a key that has no plan, if there is a place.
// When two do it at once, one of them plans in vain.
func (c *Cache[T]) Learn(from *table.Fields, low, high uint64, plan func() T) {
	at := hash(low, high)
	for i := range uint64(ways) {
		if p := &c.places[at+i]; p.Load() == nil {
			p.CompareAndSwap(nil, &entry[T]{from, low, high, plan()})
			return
		}
	}
}
