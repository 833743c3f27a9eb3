package journal

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
)

var (
	faultStep = flag.Int("journal.fault-step", 29, "TestDiskErrors fails every n-th operation of the disk; 1: each")
	faultFrom = flag.Int("journal.fault-from", -1, "first operation that it fails; below zero: drawn")
)

// brokenFS fails one operation that changes the disk, the n-th since it was
// armed, in one of three ways. All kinds of operation are in it.
type brokenFS struct {
	vfs.FS
	mu     sync.Mutex
	left   int // operations before the one that fails; below zero: none fails
	how    diskFault
	hit    string // what failed
	seen   int
	frozen bool // nothing changes any more: the process is dead
}

type diskFault int

const (
	ioError    diskFault = iota
	noSpace              // ENOSPC
	shortWrite           // half of a write, then EIO; other operations as ioError
	diskFaults
)

var faultNames = [...]string{"EIO", "ENOSPC", "short write"}

var errFrozen = errors.New("a dead process writes nothing")

// fault counts an operation and gives its error; half says that a write does half
// of its work first.
func (b *brokenFS) fault(what, name string) (half bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.frozen {
		return false, errFrozen
	}
	b.seen++
	b.left--
	if b.left != -1 {
		return false, nil
	}
	b.hit = fmt.Sprintf("%s of %s", what, name)
	err = &os.PathError{Op: what, Path: name, Err: syscall.EIO}
	if b.how == noSpace {
		err = &os.PathError{Op: what, Path: name, Err: syscall.ENOSPC}
	}
	return b.how == shortWrite, err
}

// arm fails the n-th operation from now on; below zero: none.
func (b *brokenFS) arm(n int, how diskFault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.how, b.seen = n, how, 0
}

func (b *brokenFS) freeze() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frozen = true
}

func (b *brokenFS) opened(f vfs.File, err error, name string) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &brokenFile{f, b, name}, nil
}

func (b *brokenFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if _, err := b.fault("create", name); err != nil {
		return nil, err
	}
	f, err := b.FS.Create(name, c)
	return b.opened(f, err, name)
}

func (b *brokenFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if _, err := b.fault("reuse", name); err != nil {
		return nil, err
	}
	f, err := b.FS.ReuseForWrite(old, name, c)
	return b.opened(f, err, name)
}

func (b *brokenFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if _, err := b.fault("open", name); err != nil {
		return nil, err
	}
	f, err := b.FS.OpenReadWrite(name, c, o...)
	return b.opened(f, err, name)
}

func (b *brokenFS) OpenDir(name string) (vfs.File, error) {
	f, err := b.FS.OpenDir(name)
	return b.opened(f, err, name)
}

func (b *brokenFS) Link(old, name string) error {
	if _, err := b.fault("link", name); err != nil {
		return err
	}
	return b.FS.Link(old, name)
}

func (b *brokenFS) Remove(name string) error {
	if _, err := b.fault("remove", name); err != nil {
		return err
	}
	return b.FS.Remove(name)
}

func (b *brokenFS) Rename(old, name string) error {
	if _, err := b.fault("rename", name); err != nil {
		return err
	}
	return b.FS.Rename(old, name)
}

func (b *brokenFS) MkdirAll(dir string, perm os.FileMode) error {
	if _, err := b.fault("mkdir", dir); err != nil {
		return err
	}
	return b.FS.MkdirAll(dir, perm)
}

type brokenFile struct {
	vfs.File
	b    *brokenFS
	name string
}

func (f *brokenFile) Write(p []byte) (int, error) {
	half, err := f.b.fault("write", f.name)
	if err == nil {
		return f.File.Write(p)
	}
	if !half {
		return 0, err
	}
	n, _ := f.File.Write(p[:len(p)/2])
	return n, err
}

func (f *brokenFile) WriteAt(p []byte, at int64) (int, error) {
	half, err := f.b.fault("write", f.name)
	if err == nil {
		return f.File.WriteAt(p, at)
	}
	if !half {
		return 0, err
	}
	n, _ := f.File.WriteAt(p[:len(p)/2], at)
	return n, err
}

func (f *brokenFile) Sync() error {
	if _, err := f.b.fault("sync", f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *brokenFile) SyncData() error {
	if _, err := f.b.fault("sync", f.name); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *brokenFile) SyncTo(n int64) (bool, error) {
	if _, err := f.b.fault("sync", f.name); err != nil {
		return false, err
	}
	return f.File.SyncTo(n)
}

func (f *brokenFile) Preallocate(at, n int64) error {
	if _, err := f.b.fault("preallocate", f.name); err != nil {
		return err
	}
	return f.File.Preallocate(at, n)
}

// mortal is a life of a journal that may end anywhere, as seen from outside: what
// it said is durable, and what it was at when it ended.
type mortal struct {
	fs    *brokenFS
	mu    sync.Mutex
	told  []tickTruth // Sync was nil: the effects have left
	doubt *tickTruth
	err   error
	dead  chan struct{} // Pebble cannot go on: the process ends at once
	once  sync.Once
}

// fatal ends the process: nothing is written and nobody is told any more. It does
// not come back, like exit.
func (m *mortal) fatal(string) {
	m.once.Do(func() {
		m.fs.freeze()
		close(m.dead)
	})
	select {}
}

// live opens the journal and plays ticks, with enough in them that segments and
// memtables change and the manifest is written. The n-th operation after the
// opening fails.
func (m *mortal) live(rng *rand.Rand, first, ticks, at int, how diskFault) {
	o := testOptions(m.fs)
	o.Fatal = m.fatal
	l, err := Open(o)
	m.fs.arm(at, how)
	for n := first; err == nil && n < first+ticks; n++ {
		tr := tickTruth{key: fmt.Sprintf("tick %d", n)}
		if n > 0 {
			tr.gone = fmt.Sprintf("tick %d", n-1)
			l.Delete([]byte(tr.gone))
		}
		for range 1 + rng.IntN(8) {
			r := randomRecord(rng)
			tr.recs = append(tr.recs, copyOf(r))
			tr.at = append(tr.at, l.Append(r))
		}
		l.Put([]byte(tr.key), []byte(tr.key))
		l.Put([]byte("fill"), make([]byte, 120<<10))
		m.mu.Lock()
		m.doubt = &tr
		m.mu.Unlock()
		if err = l.Commit(); err == nil {
			err = l.Sync()
		}
		if err != nil {
			if again := errors.Join(l.Commit(), l.Sync()); !errors.Is(again, err) {
				err = fmt.Errorf("%w, and then the handle was used again: %v", errUsedAgain, again)
			}
			break
		}
		m.mu.Lock()
		m.told, m.doubt = append(m.told, tr), nil
		m.mu.Unlock()
	}
	if err == nil {
		err = l.Close()
	}
	m.mu.Lock()
	m.err = err
	m.mu.Unlock()
}

var errUsedAgain = errors.New("no")

// die lives until an error, Pebble's last words or the end.
func (m *mortal) die(t *testing.T, rng *rand.Rand, first, ticks, at int, how diskFault) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.live(rng, first, ticks, at, how)
	}()
	select {
	case <-done:
	case <-m.dead:
	case <-time.After(time.Minute):
		t.Fatalf("%s: the journal hangs", m.fs.hit)
	}
	m.fs.freeze()
	m.mu.Lock() // kept: a goroutine that still runs tells nobody anything
}

// TestDiskErrors fails one operation after the other, each in a life of its own:
// writes, syncs, creates, renames, removes and the like, from the first tick to the
// close, of the log, tables, manifests and markers. Whatever the journal had called
// durable before is there afterwards, the tick in the air as a whole or not at
// all, and nothing else; after the first error the handle does nothing any more.
// It must hold if the process ends there, and if the power does.
func TestDiskErrors(t *testing.T) {
	// In a process of its own: what a broken journal leaves running would disturb
	// the tests that count goroutines and allocations.
	if os.Getenv(faultyLives) == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestDiskErrors$", "-test.v", fmt.Sprintf("-journal.fault-step=%d", *faultStep), fmt.Sprintf("-journal.fault-from=%d", *faultFrom))
		c.Env = append(os.Environ(), faultyLives+"=1")
		out, err := c.CombinedOutput()
		if t.Logf("%s", out); err != nil {
			t.Fatal(err)
		}
		return
	}
	failEach(t)
}

const faultyLives = "TONGKA_FAULTY_LIVES"

func failEach(t *testing.T) {
	const base, ticks = 3, 24
	from := *faultFrom
	if from < 0 {
		from = rand.IntN(*faultStep)
	}
	kinds := map[string]int{}
	tried, fatal, failed := 0, 0, 0
	for n := from; ; n += *faultStep {
		for how := range diskFaults {
			rng := rand.New(rand.NewPCG(uint64(n), uint64(how)))
			under := vfs.NewCrashableMem()
			m := &mortal{fs: &brokenFS{FS: under, left: -1}, dead: make(chan struct{})}
			m.live(rng, 0, base, -1, 0)
			if m.err != nil {
				t.Fatal(m.err)
			}
			m.die(t, rng, base, ticks, n, how)
			if m.fs.hit == "" {
				if tried == 0 {
					t.Fatalf("a life has %d operations only", m.fs.seen)
				}
				t.Logf("%d faults in %d operations: %d ended the process at once, %d were returned, %d did no harm; by kind: %v",
					tried, m.fs.seen, fatal, failed, tried-fatal-failed, kinds)
				return
			}
			tried++
			kinds[verbOf(m.fs.hit)]++
			select {
			case <-m.dead:
				fatal++
			default:
				if m.err != nil {
					failed++
				}
			}
			if errors.Is(m.err, errUsedAgain) {
				t.Fatalf("%s of %s, the %d-th: %v", faultNames[how], m.fs.hit, n, m.err)
			}
			draw := rand.New(rand.NewPCG(uint64(n), uint64(how+diskFaults))) // a life that goes on has the other
			for _, kept := range []int{0, 50, 100} {
				crashed := under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: draw})
				if err := m.judge(t, crashed); err != nil {
					t.Fatalf("%s at the %s, the %d-th operation, %d %% of what was not synced kept: %v", faultNames[how], m.fs.hit, n, kept, err)
				}
			}
		}
	}
}

func verbOf(hit string) (verb string) {
	_, _ = fmt.Sscan(hit, &verb)
	return verb
}

// judge opens what is left and holds it against what was told.
func (m *mortal) judge(t *testing.T, left vfs.FS) (err error) {
	l, err := Open(testOptions(left))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	want := m.told
	if m.doubt != nil && present(t, l, m.doubt) {
		want = append(want[:len(want):len(want)], *m.doubt)
	} else if !present(t, l, &m.told[len(m.told)-1]) {
		return fmt.Errorf("the newest of %d ticks that were durable is gone", len(m.told))
	}
	var all []Record
	for i := range want {
		all = append(all, want[i].recs...)
	}
	if _, got := replayed(t, l, 0); cmp.Diff(all, got, byValue) != "" {
		return fmt.Errorf("replay: %s", cmp.Diff(all, got, byValue))
	}
	return nil
}

const faultyOpening = "TONGKA_FAULTY_OPENING"

// TestDiskErrorsWhileOpening fails the operations of an opening. Each is a process
// of its own, as Pebble's own goroutines may panic when its Open fails.
func TestDiskErrorsWhileOpening(t *testing.T) {
	if spec := os.Getenv(faultyOpening); spec != "" {
		openFaulty(t, spec)
		return
	}
	const base = 3
	step, tried, ended := min(*faultStep, 11), 0, 0 // an opening has some forty operations
	for n := rand.IntN(step); ; n += step {
		var hit string
		for how := range diskFaults {
			dir := t.TempDir()
			m := &mortal{fs: &brokenFS{FS: inDir(t, dir), left: -1}, dead: make(chan struct{})}
			m.live(rand.New(rand.NewPCG(uint64(n), 3)), 0, base, -1, 0)
			if m.err != nil {
				t.Fatal(m.err)
			}
			c := exec.Command(os.Args[0], "-test.run", "^TestDiskErrorsWhileOpening$")
			c.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", faultyOpening, n, how, dir))
			out, err := c.CombinedOutput()
			if hit = string(out); strings.Contains(hit, "opened without") {
				break
			}
			if tried++; strings.Contains(hit, "opened with") {
				continue // it did no harm
			}
			ended++
			if err == nil {
				t.Fatalf("%s at operation %d: %s", faultNames[how], n, out)
			}
			if err := m.judge(t, inDir(t, dir)); err != nil {
				t.Fatalf("%s at operation %d: %v\n%s", faultNames[how], n, err, out)
			}
		}
		if strings.Contains(hit, "opened without") {
			if t.Logf("%d faults, %d ended the opening", tried, ended); ended == 0 {
				t.Error("no fault ended an opening")
			}
			return
		}
	}
}

// openFaulty opens the journal in a folder with the n-th operation failing.
func openFaulty(t *testing.T, spec string) {
	b := &brokenFS{}
	var dir string
	if _, err := fmt.Sscanf(spec, "%d %d %s", &b.left, &b.how, &dir); err != nil {
		t.Fatal(err)
	}
	b.FS = inDir(t, dir)
	if _, err := Open(testOptions(b)); err != nil {
		t.Fatal(err)
	}
	fmt.Println("opened with or without a fault:", b.hit)
	if b.hit == "" {
		fmt.Println("opened without a fault")
	}
}

// inDir is the real disk, below a folder.
func inDir(t *testing.T, dir string) vfs.FS {
	t.Helper()
	t.Chdir(dir)
	return vfs.Default
}
