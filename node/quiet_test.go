package node

import "testing"

func TestQuietComesOnceForEachPause(t *testing.T) {
	var q quiet
	var got []int
	for i, count := range []uint64{0, 0, 0, 5, 5, 9, 9, 9, 9, 9, 12, 12, 12} {
		if q.look(count) {
			got = append(got, i)
		}
	}
	if len(got) != 2 || got[0] != 7 || got[1] != 12 {
		t.Errorf("quiet at looks %v, want 7 and 12: after two still looks, once, and never before there was work", got)
	}
}
