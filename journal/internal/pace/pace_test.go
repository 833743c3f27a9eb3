package pace

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// world is a clock that only sleeping moves, and a log that fills meanwhile.
type world struct {
	now   time.Time
	slept time.Duration
	rate  float64 // of the log, bytes a second
	log   float64
	late  [Compaction + 1]bool
}

func (w *world) pace() *Pace {
	p := New(func() uint64 { return uint64(w.log) })
	p.clock = clock{func() time.Time { return w.now }, w.pass}
	return p
}

func (w *world) hold(p *Pace) {
	p.Hold(func(k Kind) bool { return w.late[k] })
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.slept += d
	w.log += w.rate * d.Seconds()
}

// write gives a table of n bytes, by blocks, and what it slept for.
func (w *world) write(t *testing.T, p *Pace, category vfs.DiskWriteCategory, n int) time.Duration {
	t.Helper()
	mem := vfs.NewMem()
	f, err := p.FS(mem).Create("t", category)
	if err != nil {
		t.Fatal(err)
	}
	before := w.slept
	var want []byte
	for i := 0; len(want) < n; i++ {
		block := bytes.Repeat([]byte{byte(i)}, min(50_000, n-len(want)))
		want = append(want, block...)
		if k, err := f.Write(block); k != len(block) || err != nil {
			t.Fatal(k, err)
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	r, err := mem.Open("t")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, n)
	if k, err := r.ReadAt(got, 0); k != n || err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the file has %d bytes, %v", k, err)
	}
	return w.slept - before
}

// wants holds a duration against bytes at a speed: a bite more or less, and what passes
// until the speed of the log is known.
func wants(t *testing.T, what string, got time.Duration, n int, rate float64, learn time.Duration) {
	t.Helper()
	want := time.Duration(float64(n) / rate * float64(time.Second))
	slack := time.Duration(2 * mostBite / rate * float64(time.Second))
	if got < want-slack-learn || got > want+slack+learn {
		t.Errorf("%s: %d bytes took %v, want %v", what, n, got, want)
	}
}

func TestTablesAreWrittenAtAPace(t *testing.T) {
	for _, c := range []struct {
		name     string
		category vfs.DiskWriteCategory
		log      float64
		want     float64 // bytes a second; 0: not held back
	}{
		{"a flush beside a still log", flushes, 0, least},
		{"a flush beside a slow log", flushes, 1 << 20, least},
		{"a flush beside a fast log", flushes, 20 << 20, ahead * 20 << 20},
		{"a compaction beside a fast log", compactions, 20 << 20, ahead * 20 << 20},
		{"a manifest", "pebble-manifest", 0, 0},
	} {
		w := &world{now: time.Unix(1, 0), rate: c.log}
		p := w.pace()
		w.hold(p)
		const n = 8 << 20
		got := w.write(t, p, c.category, n)
		if c.want == 0 {
			if got != 0 {
				t.Errorf("%s: slept %v", c.name, got)
			}
			continue
		}
		// Until the first look a table is written at the least speed.
		wants(t, c.name, got, n, c.want, 2*look)
	}
}

func TestNobodyWhoWaitsIsHeldBack(t *testing.T) {
	w := &world{now: time.Unix(1, 0)}
	p := w.pace()
	if got := w.write(t, p, flushes, 8<<20); got != 0 {
		t.Errorf("before Hold: slept %v", got)
	}
	w.hold(p)
	if got := w.write(t, p, flushes, 8<<20); got == 0 {
		t.Error("held: did not sleep")
	}
	p.Hurry()
	if got := w.write(t, p, flushes, 8<<20); got != 0 {
		t.Errorf("in a hurry: slept %v", got)
	}
}

func TestWhatIsLateIsLetGo(t *testing.T) {
	for late, category := range map[Kind]vfs.DiskWriteCategory{Flush: flushes, Compaction: compactions} {
		w := &world{now: time.Unix(1, 0)}
		w.late[late] = true
		p := w.pace()
		w.hold(p)
		for _, c := range []vfs.DiskWriteCategory{flushes, compactions} {
			switch got := w.write(t, p, c, 16<<20); {
			case c == category && got != 0:
				t.Errorf("%s, which are late: slept %v", c, got)
			case c != category && got < time.Second/2:
				t.Errorf("%s beside late %s: slept %v", c, category, got)
			}
		}
	}
}

// A table that becomes late on its way is let go at the next look.
func TestLateOnItsWay(t *testing.T) {
	w, f := flushed(t)
	for range 16 {
		if _, err := f.Write(make([]byte, leastBite)); err != nil {
			t.Fatal(err)
		}
	}
	w.late[Flush] = true
	before := w.slept
	for range 256 {
		if _, err := f.Write(make([]byte, leastBite)); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.slept - before; got == 0 || got > look {
		t.Errorf("slept %v, want less than %v", got, look)
	}
}

// A table begins at the pace that those before it had.
func TestThePaceIsKnown(t *testing.T) {
	w := &world{now: time.Unix(1, 0), rate: 100 << 20}
	p := w.pace()
	w.hold(p)
	w.write(t, p, flushes, 12<<20)
	const n = 12 << 20
	wants(t, "the second table", w.write(t, p, flushes, n), n, ahead*100<<20, 0)
	w.pass(time.Second)
	wants(t, "a second later", w.write(t, p, flushes, n), n, ahead*100<<20, 0)
	w.rate = 0
	w.pass(time.Minute)
	wants(t, "a minute later", w.write(t, p, flushes, n), n, least, 0)
}

// flushed is a table on its way that is held back.
func flushed(t *testing.T) (*world, vfs.File) {
	t.Helper()
	w := &world{now: time.Unix(1, 0)}
	p := w.pace()
	w.hold(p)
	f, err := p.FS(vfs.NewMem()).Create("t", flushes)
	if err != nil {
		t.Fatal(err)
	}
	return w, f
}

// A log that fills faster from one moment to the next is followed at once, one
// that stands still is believed slowly.
func TestThePaceFollowsTheLog(t *testing.T) {
	w, f := flushed(t)
	took := func(n int) time.Duration {
		before := w.slept
		for range n / leastBite {
			if _, err := f.Write(make([]byte, leastBite)); err != nil {
				t.Fatal(err)
			}
		}
		return w.slept - before
	}
	wants(t, "still", took(8<<20), 8<<20, least, 0)
	w.rate = 100 << 20
	took(8 << 20)
	wants(t, "fast", took(32<<20), 32<<20, ahead*100<<20, 0)
	w.rate = 0
	early, late, n := took(1<<20), time.Duration(0), 0
	for ; late < time.Second/(least>>20) && n < 10000; n++ {
		late = took(1 << 20)
	}
	if early > late/10 || n < 20 || n == 10000 {
		t.Errorf("behind a still log: 1 MiB took %v, and %v after %d more", early, late, n)
	}
}

// What a disk took longer for is not made up by a burst.
func TestNothingIsCaughtUpWith(t *testing.T) {
	w, f := flushed(t)
	w.now = w.now.Add(time.Minute)
	before := w.slept
	for range 64 {
		if _, err := f.Write(make([]byte, leastBite)); err != nil {
			t.Fatal(err)
		}
	}
	wants(t, "behind a minute's standstill", w.slept-before, 64*leastBite, least, 0)
}
