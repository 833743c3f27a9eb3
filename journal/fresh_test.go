package journal

import (
	"math/rand/v2"
	"testing"
)

func TestFreshAgainstAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := new(fresh)
	for range 3 {
		want := map[uint64]LSN{}
		for i := range LSN(20_000) {
			fp := rng.Uint64()
			if i%10 == 0 { // again, and newer
				for fp = range want {
					break
				}
			}
			want[fp] = i
			f.add(fp, i)
		}
		for fp, lsn := range want {
			if got, ok := f.find(fp); !ok || got != lsn {
				t.Fatalf("%x: %v %v, want %v", fp, got, ok, lsn)
			}
		}
		perhaps := 0
		for range 100_000 {
			fp := rng.Uint64()
			if _, ok := f.find(fp); ok {
				t.Fatalf("%x was never added", fp)
			}
			if word, mask := f.place(fp); *word&mask == mask {
				perhaps++
			}
		}
		if perhaps > 1000 {
			t.Errorf("the bitmap says perhaps %d times of 100,000", perhaps)
		}
		f.clear()
		for fp := range want {
			if _, ok := f.find(fp); ok {
				t.Fatal("found after clear")
			}
		}
	}
}
