// Package bloom is a Bloom filter of 64-bit fingerprints that are already well
// mixed.
package bloom

import (
	"math/bits"
	"sync/atomic"
)

// Filter has all four bits of a fingerprint in one word, so that asking costs
// one cache line. Full, it only says "perhaps" too often. Any number of
// goroutines may use it.
type Filter struct {
	words []uint64
	ready atomic.Bool
}

// New makes an empty filter of so many bytes; 16 bits a fingerprint make it
// wrong about once in a hundred.
func New(bytes int) *Filter { return &Filter{words: make([]uint64, bytes/8)} }

func (f *Filter) place(fp uint64) (word *uint64, mask uint64) {
	i, _ := bits.Mul64(fp, uint64(len(f.words)))
	mask = 1<<(fp&63) | 1<<(fp>>6&63) | 1<<(fp>>12&63) | 1<<(fp>>18&63)
	return &f.words[i], mask
}

// Room is how many fingerprints it takes before it says "perhaps" more often than
// not.
func (f *Filter) Room() int { return 16 * len(f.words) }

// Add makes a fingerprint known.
func (f *Filter) Add(fp uint64) {
	word, mask := f.place(fp)
	if atomic.LoadUint64(word)&mask != mask {
		atomic.OrUint64(word, mask)
	}
}

// SetReady says that everything is added that ever was: from then on the filter
// denies.
func (f *Filter) SetReady() { f.ready.Store(true) }

// Ready says whether SetReady was called.
func (f *Filter) Ready() bool { return f.ready.Load() }

// Unknown is sure when true.
func (f *Filter) Unknown(fp uint64) bool {
	word, mask := f.place(fp)
	return f.ready.Load() && atomic.LoadUint64(word)&mask != mask
}
