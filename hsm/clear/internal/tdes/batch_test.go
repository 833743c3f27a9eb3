package tdes

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// keysOf makes keys of all lengths, each with its own, and their bytes.
func keysOf(r *rand.Rand, n int, lengths ...int) (keys []*Key, bytes [][]byte) {
	for range n {
		b := make([]byte, lengths[r.IntN(len(lengths))])
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		keys, bytes = append(keys, expanded(b)), append(bytes, b)
	}
	return keys, bytes
}

// twoByLibrary is EncryptTwo by crypto/des.
func twoByLibrary(t testing.TB, key []byte, a, b uint64) uint64 {
	ref := reference(t, key)
	var block [8]byte
	binary.BigEndian.PutUint64(block[:], a)
	ref.Encrypt(block[:], block[:])
	binary.BigEndian.PutUint64(block[:], binary.BigEndian.Uint64(block[:])^b)
	ref.Encrypt(block[:], block[:])
	return binary.BigEndian.Uint64(block[:])
}

// Groups of every size, with keys of one length and of all, give by both ways what
// crypto/des gives, in a Batch that has done other work before.
func TestBatchIsTheStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var b Batch
	for n := range 131 {
		for _, lengths := range [][]int{{16}, {8, 16, 24}} {
			keys, bytes := keysOf(r, n, lengths...)
			one, two, pairs, want := make([]uint64, n), make([]uint64, n), make([]uint64, n), make([]uint64, n)
			for i := range n {
				one[i], two[i] = r.Uint64(), r.Uint64()
				pairs[i], want[i] = one[i], twoByLibrary(t, bytes[i], one[i], two[i])
			}
			twosByPairs(keys, pairs, two)
			b.EncryptTwos(keys, one, two)
			for i := range n {
				if one[i] != want[i] || pairs[i] != want[i] {
					t.Fatalf("%d of %d, keys of %v bytes: key %x: batch %016x, pairs %016x, want %016x", i, n, lengths, bytes[i], one[i], pairs[i], want[i])
				}
			}
		}
	}
}

// Every bit of key and block alone: none of the tables has a hole.
func TestBatchOfSingleBits(t *testing.T) {
	var (
		b    Batch
		keys []*Key
		one  []uint64
		two  []uint64
		want []uint64
	)
	for bit := range 192 {
		var key [24]byte
		key[bit/8] = 1 << (bit % 8)
		keys, one, two = append(keys, expanded(key[:])), append(one, 1<<(bit%64)), append(two, 1<<(63-bit%64))
		want = append(want, twoByLibrary(t, key[:], one[bit], two[bit]))
	}
	b.EncryptTwos(keys, one, two)
	for i := range want {
		if one[i] != want[i] {
			t.Errorf("bit %d: %016x, want %016x", i, one[i], want[i])
		}
	}
}

func FuzzBatch(f *testing.F) {
	f.Add(uint64(1), uint8(16))
	f.Add(uint64(2), uint8(33))
	f.Fuzz(func(t *testing.T, seed uint64, n uint8) {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		var b Batch
		keys, bytes := keysOf(r, int(n), 8, 16, 24)
		one, two, want := make([]uint64, n), make([]uint64, n), make([]uint64, n)
		for i := range want {
			one[i], two[i] = r.Uint64(), r.Uint64()
			want[i] = twoByLibrary(t, bytes[i], one[i], two[i])
		}
		b.EncryptTwos(keys, one, two)
		for i := range want {
			if one[i] != want[i] {
				t.Fatalf("%d of %d under %x: %016x, want %016x", i, n, bytes[i], one[i], want[i])
			}
		}
	})
}

func TestBatchAllocatesNothing(t *testing.T) {
	keys, _ := keysOf(rand.New(rand.NewPCG(7, 8)), 40, 8, 16, 24)
	one, two, b := make([]uint64, 40), make([]uint64, 40), new(Batch)
	if n := testing.AllocsPerRun(100, func() { b.EncryptTwos(keys, one, two) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The best of many short turns of both ways, one after the other, per MAC: two blocks
// that hang on each other.
func BenchmarkEncryptTwos(b *testing.B) {
	for _, n := range []int{2, 3, 4, 8, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			keys, _ := keysOf(rand.New(rand.NewPCG(9, 10)), n, 16)
			one, two, batch := make([]uint64, n), make([]uint64, n), new(Batch)
			best := [2]time.Duration{time.Hour, time.Hour}
			for b.Loop() {
				for way, f := range []func([]*Key, []uint64, []uint64){twosByPairs, batch.EncryptTwos} {
					from := time.Now()
					for range 10 {
						f(keys, one, two)
					}
					best[way] = min(best[way], time.Since(from)/10)
				}
			}
			b.ReportMetric(float64(best[0].Nanoseconds())/float64(n), "pairs-ns/MAC")
			b.ReportMetric(float64(best[1].Nanoseconds())/float64(n), "batch-ns/MAC")
			b.ReportMetric(float64(best[0])/float64(best[1]), "pairs/batch")
		})
	}
}
