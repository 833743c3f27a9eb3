package pace

import (
	"os"
	"testing"
	"time"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// What a fast flush has given to the disk does not stay in memory; what a slow one or a
// compaction has, does.
func TestFastFlushesLeaveMemory(t *testing.T) {
	dir, err := os.MkdirTemp(".", "tables") // the folder of temporary files may be memory
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const n = 8 << 20
	for _, c := range []struct {
		name     string
		category vfs.DiskWriteCategory
		log      float64
		kept     bool
	}{
		{"a slow flush", flushes, much - 1<<20, true},
		{"a fast flush", flushes, much + 1<<20, false},
		{"a fast compaction", compactions, much + 1<<20, true},
	} {
		w := &world{now: time.Unix(1, 0), rate: c.log}
		p := w.pace()
		w.hold(p)
		w.pass(look)
		name := vfs.Default.PathJoin(dir, c.name)
		f, err := p.FS(vfs.Default).Create(name, c.category)
		if err != nil {
			t.Fatal(err)
		}
		for range n / leastBite {
			if _, err := f.Write(make([]byte, leastBite)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		// A bite may have been written and not given yet.
		if got := resident(t, name); c.kept && got < n || !c.kept && got > mostBite {
			t.Errorf("%s: %d of %d bytes are in memory", c.name, got, n)
		}
	}
}

// resident is how many bytes of a file the system keeps in memory.
func resident(t *testing.T, name string) (bytes int) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(at.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mapped)
	pages := make([]byte, (len(mapped)+unix.Getpagesize()-1)/unix.Getpagesize())
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mapped[0])), uintptr(len(mapped)), uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, p := range pages {
		bytes += int(p&1) * unix.Getpagesize()
	}
	return bytes
}
