package wal

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var runs = flag.Int("wal.runs", 40, "histories of TestCrashes")

const dir = "log"

func options(fs vfs.FS) Options { return Options{FS: fs, Dir: dir, Segment: 8 * grain} }

// table stands for what a database made of the frames: those in it need no log.
type table struct {
	kept    int             // frames from the first that survive without the log
	flushes []chan struct{} // not yet ended, the oldest first
	upTo    []int           // what each of them brings
	written int
}

func (tb *table) release() (<-chan struct{}, error) {
	done := make(chan struct{})
	tb.flushes = append(tb.flushes, done)
	tb.upTo = append(tb.upTo, tb.written)
	return done, nil
}

// end ends the oldest flush.
func (tb *table) end() {
	tb.kept = tb.upTo[0]
	close(tb.flushes[0])
	tb.flushes, tb.upTo = tb.flushes[1:], tb.upTo[1:]
}

// payload of the n-th frame of a history, told by itself from any other.
func payload(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	size := rng.IntN(3 * grain)
	if rng.IntN(20) == 0 {
		size = 10 * grain // more than a segment
	}
	b := fmt.Appendf(nil, "frame %d of %d ", n, seed)
	for len(b) < size {
		b = append(b, byte(rng.Uint32()))
	}
	return b
}

func recovered(t *testing.T, o Options, since uint64) (*Found, [][]byte) {
	t.Helper()
	var got [][]byte
	f, err := Recover(o, since, func(p []byte) error {
		got = append(got, bytes.Clone(p))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, got
}

func begun(t *testing.T, o Options, first []byte, release Release) *Log {
	t.Helper()
	f, _ := recovered(t, o, 0)
	l, err := Begin(o, f, first, release)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// history is one seed: a log that lives, crashes anywhere and lives on. What is in
// the table or was synced is there afterwards, in its order and without a gap.
type history struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand
	fs    *vfs.MemFS
	l     *Log
	tb    table
	safe  int // frames that Sync has called so
	since uint64
	torn  int // crashes that lost a frame
}

// start recovers: what the log has goes into the table, then a new segment begins.
func (h *history) start() {
	f, got := recovered(h.t, options(h.fs), h.since)
	first := -1 // the number of the first frame that was given
	for i, p := range got {
		if len(p) == 0 {
			continue
		}
		var n int
		if _, err := fmt.Sscanf(string(p), "frame %d of", &n); err != nil || !bytes.Equal(p, payload(h.seed, n)) {
			h.t.Fatalf("seed %d: frame %d is another: %.40q", h.seed, i, p)
		}
		if first < 0 {
			first = n - i
		}
		if n != first+i {
			h.t.Fatalf("seed %d: frame %d stands in the place of %d", h.seed, n, first+i)
		}
	}
	if first > h.tb.kept {
		h.t.Fatalf("seed %d: the log begins with frame %d and the table has %d", h.seed, first, h.tb.kept)
	}
	have := max(h.tb.kept, first+len(got))
	if have < h.safe || have > h.tb.written {
		h.t.Fatalf("seed %d: %d frames are there, %d were safe, %d written", h.seed, have, h.safe, h.tb.written)
	}
	if have < h.tb.written {
		h.torn++
	}
	h.tb = table{kept: have, written: have}
	h.write(func(p []byte) (err error) {
		h.l, err = Begin(options(h.fs), f, p, h.tb.release)
		return err
	})
	h.safe = h.tb.written
	h.since, _ = h.l.Segment()
}

func (h *history) write(write func([]byte) error) {
	p := payload(h.seed, h.tb.written)
	if err := write(p); err != nil {
		h.t.Fatal(err)
	}
	h.tb.written++
}

func (h *history) step() {
	switch h.rng.IntN(8) {
	case 0, 1, 2, 3, 4:
		h.safe = h.tb.written // the frame before is synced first
		h.write(h.l.Write)
	case 5, 6:
		if err := h.l.Sync(); err != nil {
			h.t.Fatal(err)
		}
		h.safe = h.tb.written
	case 7:
		if len(h.tb.flushes) > 0 {
			h.tb.end()
		}
	}
}

func (h *history) crash() {
	left := h.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: h.rng.IntN(101), RNG: h.rng})
	if err := h.l.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.fs = left
}

func TestCrashes(t *testing.T) {
	torn := 0
	for seed := range uint64(*runs) {
		h := &history{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), fs: vfs.NewCrashableMem()}
		for range 8 {
			h.start()
			for range h.rng.IntN(60) {
				h.step()
			}
			if h.rng.IntN(6) == 0 {
				h.finish()
			} else {
				h.crash()
			}
		}
		torn += h.torn
	}
	if t.Logf("%d crashes lost a frame that nobody had called safe", torn); torn == 0 {
		t.Error("no crash met a frame in the air")
	}
}

// finish ends a log that needs nothing any more.
func (h *history) finish() {
	h.tb.kept = h.tb.written
	h.safe = h.tb.written
	if err := h.l.Finish(); err != nil {
		h.t.Fatal(err)
	}
	h.fs = h.fs.CrashClone(vfs.CrashCloneCfg{})
	if f, got := recovered(h.t, options(h.fs), h.since); len(got) != 0 || f.Frames != 0 {
		h.t.Fatalf("seed %d: %d frames after the end", h.seed, len(got))
	}
}

// A crash at any step of Begin leaves the log before it or after it.
func TestCrashInBegin(t *testing.T) {
	base := vfs.NewCrashableMem()
	var tb table
	l := begun(t, options(base), []byte("first"), tb.release)
	for n := range 30 {
		if err := l.Write(payload(1, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Sync(), l.Close()); err != nil {
		t.Fatal(err)
	}
	_, all := recovered(t, options(base), 0)
	second := bytes.Repeat([]byte("second"), grain)
	var before, after int
	rng := rand.New(rand.NewPCG(4, 4))
	for step, ended := 0, false; !ended; step++ {
		mem := base.CrashClone(vfs.CrashCloneCfg{})
		var crashed *vfs.MemFS
		n := 0
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if n++; n > step && crashed == nil {
					crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
				}
			}
			return nil
		}))
		o := options(fs)
		o.Warm = true
		if err := begun(t, o, second, tb.release).Close(); err != nil {
			t.Fatal(err)
		}
		if ended = crashed == nil; ended {
			crashed = mem.CrashClone(vfs.CrashCloneCfg{})
		}
		switch _, got := recovered(t, options(crashed), 0); {
		case len(got) == len(all):
			before++
		case len(got) == 1 && bytes.Equal(got[0], second):
			after++
		default:
			t.Fatalf("step %d: %d frames of %d", step, len(got), len(all))
		}
	}
	if t.Logf("%d before, %d after", before, after); before == 0 || after == 0 {
		t.Error("the crashes do not reach both sides")
	}
}

// ready is a log of three segments that are needed, closed as by a crash.
func ready(t *testing.T, fs vfs.FS) (frames int) {
	t.Helper()
	var tb table
	l := begun(t, options(fs), []byte("first"), tb.release)
	for n := 1; ; n++ {
		if segment, _ := l.Segment(); segment == 3 && l.at > 2*grain {
			if err := errors.Join(l.Sync(), l.Close()); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if err := l.Write(bytes.Repeat([]byte{byte(n)}, grain/2)); err != nil {
			t.Fatal(err)
		}
	}
}

func change(t *testing.T, fs vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, category)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A changed byte anywhere in a frame that was safe is told with file and byte, but in
// the last frame, which a crash may have torn.
func TestDamageIsTold(t *testing.T) {
	base := vfs.NewCrashableMem()
	frames := ready(t, base)
	seen := 0
	for file := 1; file <= 3; file++ {
		name := fmt.Sprintf("%s/%06d.wal", dir, file)
		info, err := base.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		for frame := int64(0); frame < info.Size(); frame += grain {
			seen++
			for _, at := range []int64{0, 5, 9, 17, 25, 33, grain/2 + 20} {
				if seen == 1 && at > 36 {
					continue // zeros behind the first frame, which is short
				}
				fs := base.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
				change(t, fs, name, frame+at)
				n := 0
				_, err := Recover(options(fs), 0, func([]byte) error { n++; return nil })
				if seen == frames {
					if err != nil || n != frames-1 {
						t.Errorf("the last frame is torn: %v, %d frames of %d", err, n, frames-1)
					}
					continue
				}
				if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), dir) {
					t.Errorf("%s, byte %d: %v", name, frame+at, err)
				}
			}
		}
	}
	if seen != frames {
		t.Errorf("%d frames seen of %d", seen, frames)
	}
}

func TestAMissingFileIsTold(t *testing.T) {
	for file := 1; file <= 3; file++ {
		fs := vfs.NewMem()
		ready(t, fs)
		if err := fs.Remove(fmt.Sprintf("%s/%06d.wal", dir, file)); err != nil {
			t.Fatal(err)
		}
		if _, err := Recover(options(fs), 3, func([]byte) error { return nil }); !errors.Is(err, ErrDamaged) {
			t.Errorf("without file %d: %v", file, err)
		}
	}
	if _, err := Recover(options(vfs.NewMem()), 1, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("without a folder: %v", err)
	}
}

// The log stays at three files when what it holds is released in time, and is read in
// full when it never is.
func TestFilesAreWrittenOver(t *testing.T) {
	for _, released := range []bool{true, false} {
		fs := vfs.NewMem()
		var tb table
		l := begun(t, options(fs), []byte("first"), tb.release)
		const frames = 200
		for n := range frames {
			if err := l.Write(payload(2, n)); err != nil {
				t.Fatal(err)
			}
			if released && len(tb.flushes) > 0 {
				tb.end()
			}
		}
		if err := errors.Join(l.Sync(), l.Close()); err != nil {
			t.Fatal(err)
		}
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		f, got := recovered(t, options(fs), 0)
		if released && (len(names) > kept || len(got) >= frames) {
			t.Errorf("%d files, %d frames are left", len(names), len(got))
		}
		if !released && (len(got) != frames+1 || f.Frames != len(got)) {
			t.Errorf("%d frames of %d", len(got), frames+1)
		}
		again := begun(t, options(fs), []byte("again"), tb.release)
		if names, err = fs.List(dir); err != nil || len(names) > kept+1 {
			t.Errorf("%d files after the next start: %v", len(names), err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An error of the disk comes to the caller, with the file.
func TestErrors(t *testing.T) {
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWriteAt, errorfs.OpFileSyncData, errorfs.OpCreate} {
		broken := false
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if broken && op.Kind == kind {
				return syscall.EIO
			}
			return nil
		}))
		var tb table
		l := begun(t, options(fs), []byte("first"), tb.release)
		broken = true
		var err error
		for n := 0; n < 20 && err == nil; n++ {
			if err = l.Write(payload(3, n)); err == nil {
				err = l.Sync()
			}
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("operation %d: %v", kind, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cannot := errors.New("no")
	l := begun(t, options(vfs.NewMem()), []byte("first"), func() (<-chan struct{}, error) { return nil, cannot })
	var err error
	for n := 0; n < 20 && err == nil; n++ {
		err = l.Write(payload(3, n))
	}
	if !errors.Is(err, cannot) {
		t.Errorf("a release that fails: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// The log of a copy ends where it is told, needs nothing and goes on.
func TestStub(t *testing.T) {
	fs := vfs.NewCrashableMem()
	if err := Stub(options(fs), 7, 70); err != nil {
		t.Fatal(err)
	}
	fs = fs.CrashClone(vfs.CrashCloneCfg{})
	f, got := recovered(t, options(fs), 7)
	if len(got) != 0 || f.Next() != 8 {
		t.Fatalf("%d frames, next %d", len(got), f.Next())
	}
	var tb table
	l, err := Begin(options(fs), f, []byte("first"), tb.release)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got := recovered(t, options(fs), 8); len(got) != 1 {
		t.Fatalf("%d frames", len(got))
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	done := make(chan struct{})
	close(done)
	o := options(vfs.Default)
	o.Dir = t.TempDir()
	o.Segment, o.Warm = 1<<20, true
	l := begun(t, o, nil, func() (<-chan struct{}, error) { return done, nil })
	b := make([]byte, 3*grain)
	tick := func() {
		if err := l.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	for range 300 {
		tick() // all files were in use
	}
	if n := testing.AllocsPerRun(300, tick); n != 0 {
		t.Errorf("%v objects a frame", n)
	}
	if err := l.Finish(); err != nil {
		t.Fatal(err)
	}
}

// Whatever stands in a file is read as frames, passed over or told; nothing panics.
func FuzzRecover(f *testing.F) {
	good := appendFrame(nil, head{segment: 3, number: 9, oldest: 3}, []byte("payload"))
	f.Add(good)
	f.Add(append(bytes.Clone(good), appendFrame(nil, head{segment: 3, number: 10, oldest: 3}, nil)...))
	f.Add(appendFrame(nil, head{segment: 3, number: 9, oldest: 1}, nil))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		w, err := fs.Create(dir+"/000001.wal", category)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		size := 0
		found, err := Recover(options(fs), 0, func(p []byte) error { size += len(p); return nil })
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if size > len(b) {
			t.Fatalf("%d bytes out of %d", size, len(b))
		}
		l, err := Begin(options(fs), found, []byte("next"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if _, got := recovered(t, options(fs), found.Next()); len(got) != 1 || string(got[0]) != "next" {
			t.Fatalf("%q after a new beginning", got)
		}
	})
}

// On a real disk a frame is written by another call, as long as the system knows it.
// Both ways give the same log.
func TestBothWaysToWrite(t *testing.T) {
	o := options(vfs.Default)
	o.Dir = filepath.Join(t.TempDir(), dir)
	l := begun(t, o, payload(9, 0), new(table).release)
	const frames = 12
	var ways [2]int
	for n := 1; n < frames; n++ {
		if n == frames/2 {
			l.begin.off = true
		}
		if l.begin.off {
			ways[1]++
		} else {
			ways[0]++
		}
		if err := l.Write(payload(9, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Sync(), l.Close()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d frames begun by the call that writes, %d by another", ways[0], ways[1])
	_, got := recovered(t, o, 1)
	if len(got) != frames {
		t.Fatalf("%d frames, want %d", len(got), frames)
	}
	for n, p := range got {
		if !bytes.Equal(p, payload(9, n)) {
			t.Errorf("frame %d is another: %.40q", n, p)
		}
	}
}

// Where something stands between log and disk, it sees every write.
func TestNothingIsPassedBy(t *testing.T) {
	o := options(between{vfs.Default})
	o.Dir = filepath.Join(t.TempDir(), dir)
	l := begun(t, o, payload(9, 0), new(table).release)
	defer l.Close()
	if !l.begin.off {
		t.Error("a file system that stands between is passed by")
	}
}

type between struct{ vfs.FS }
