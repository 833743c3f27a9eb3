package bloom

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// The filter never denies what is there, and denies most of what is not.
func TestFilter(t *testing.T) {
	f := New(64 << 10)
	const n = 30_000 // 17 bits each
	if f.Unknown(1) || f.Ready() {
		t.Error("denies before it knows everything")
	}
	rng := rand.New(rand.NewPCG(1, 1))
	known, others := make([]uint64, n), make([]uint64, n)
	for i := range n {
		known[i], others[i] = rng.Uint64(), rng.Uint64()
		f.Add(known[i])
	}
	f.SetReady()
	wrong := 0
	for i := range n {
		if f.Unknown(known[i]) {
			t.Fatalf("denies %x", known[i])
		}
		if !f.Unknown(others[i]) {
			wrong++
		}
	}
	if wrong > n/50 {
		t.Errorf("wrong about %d of %d", wrong, n)
	}
}

func TestTwoWriters(t *testing.T) {
	f := New(4 << 10) // crowded, so that they meet in one word
	f.SetReady()
	var both sync.WaitGroup
	for g := range uint64(2) {
		both.Go(func() {
			rng := rand.New(rand.NewPCG(g, 2))
			for range 5000 {
				f.Add(rng.Uint64())
			}
		})
	}
	both.Wait()
	for g := range uint64(2) {
		rng := rand.New(rand.NewPCG(g, 2))
		for range 5000 {
			if fp := rng.Uint64(); f.Unknown(fp) {
				t.Fatalf("%x is lost", fp)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	f := New(4 << 10)
	var fp uint64
	if n := testing.AllocsPerRun(100, func() { fp += 1 << 50; f.Add(fp); f.Unknown(fp) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
