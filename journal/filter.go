package journal

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
)

// filter is a Bloom filter of fingerprints with all four bits of one in the same
// word. Nearly every request is new, and to learn that from Pebble costs some
// 25 µs; from here, one cache line. Full, it only sends more questions on to
// Pebble. The shard and the goroutine that fills it from disk both write.
type filter struct {
	words []uint64
	ready atomic.Bool // everything on disk is in
}

func newFilter(bytes int) *filter { return &filter{words: make([]uint64, bytes/8)} }

func (f *filter) place(fp uint64) (word *uint64, mask uint64) {
	i, _ := bits.Mul64(fp, uint64(len(f.words)))
	mask = 1<<(fp&63) | 1<<(fp>>6&63) | 1<<(fp>>12&63) | 1<<(fp>>18&63)
	return &f.words[i], mask
}

func (f *filter) add(fp uint64) {
	word, mask := f.place(fp)
	if atomic.LoadUint64(word)&mask != mask {
		atomic.OrUint64(word, mask)
	}
}

// unknown is sure when true.
func (f *filter) unknown(fp uint64) bool {
	word, mask := f.place(fp)
	return f.ready.Load() && atomic.LoadUint64(word)&mask != mask
}

// fillFilter adds what the index on disk holds. Until it is through, each miss
// is asked of Pebble.
func (ix *index) fillFilter() error {
	it, err := ix.db.NewIter(span('F', ix.shard))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && !ix.leaving.Load(); ok = it.Next() {
		if key := it.Key(); len(key) == 10 {
			ix.filter.add(binary.BigEndian.Uint64(key[2:]))
		}
	}
	if err = it.Close(); err == nil && !ix.leaving.Load() {
		ix.filter.ready.Store(true)
	}
	return err
}
