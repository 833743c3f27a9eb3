package journal

import (
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A checkpoint holds what was committed before it and nothing later, is read
// while the journal goes on, and is not made twice in one place.
func TestCheckpoint(t *testing.T) {
	mem := vfs.NewMem()
	o := testOptions(mem)
	l := mustOpen(t, o)
	defer l.Close()
	put := func(n uint32) {
		r := request(n)
		l.Append(&r)
		mustCommit(t, l)
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint32(50) {
		put(n + 1)
	}
	if err := l.Checkpoint("copy"); err != nil {
		t.Fatal(err)
	}
	for n := range uint32(50) {
		put(n + 100)
	}
	o.Dir = "copy"
	kept, err := OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	var last LSN
	seen := 0
	if err := kept.Replay(1, func(n LSN, _ *Record) error { last = n; seen++; return nil }); err != nil || seen != 50 {
		t.Errorf("%d records, %v", seen, err)
	}
	if tick, err := kept.TickAt(1 << 62); err != nil || FirstOf(tick) <= last || FirstOf(tick) > last+1<<indexBits {
		t.Errorf("the place behind the last %s is %s, %v", last, FirstOf(tick), err)
	}
	if err := l.Checkpoint("copy"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one in its place: %v", err)
	}
}

// The shard commits while another goroutine makes checkpoints.
func TestCheckpointBesideCommits(t *testing.T) {
	o := testOptions(vfs.NewMem())
	l := mustOpen(t, o)
	defer l.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		for _, dir := range []string{"c1", "c2", "c3"} {
			if err := l.Checkpoint(dir); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range uint32(500) {
		r := request(n + 1)
		l.Append(&r)
		mustCommit(t, l)
	}
	wg.Wait()
	for _, dir := range []string{"c1", "c2", "c3"} {
		c := o
		c.Dir = dir
		kept, err := OpenReadOnly(c)
		if err != nil {
			t.Fatal(err)
		}
		want := LSN(0)
		if err := kept.Replay(1, func(n LSN, _ *Record) error {
			if n <= want {
				t.Errorf("%s comes after %s", n, want)
			}
			want = n
			return nil
		}); err != nil {
			t.Error(err)
		}
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	}
}
