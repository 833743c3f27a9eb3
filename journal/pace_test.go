package journal

import (
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/journal/internal/pace"
)

// gateFS lets no table begin while it is shut.
type gateFS struct {
	vfs.FS
	shut atomic.Bool
	gate chan struct{}
}

func (g *gateFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if c == "pebble-memtable-flush" && g.shut.Load() {
		<-g.gate
	}
	return g.FS.Create(name, c)
}

// Flushes are let go when memtables wait for them, before commits do.
func TestFlushesThatAreBehind(t *testing.T) {
	fs := &gateFS{FS: vfs.NewMem(), gate: make(chan struct{})}
	o := testOptions(fs)
	o.NoWarm = false
	l := mustOpen(t, o)
	defer l.Close()
	fill := func() {
		l.Put([]byte("fill"), make([]byte, o.MemTable/5)) // each file of the log is flushed when it is full
		mustCommit(t, l)
	}
	for range 5 {
		if !l.db.behind(pace.Flush) {
			t.Fatal("the first memtables, which are small, are not let go")
		}
		fill()
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	fs.shut.Store(true)
	most := 0
	for n := 0; !l.db.behind(pace.Flush); n++ {
		if n > 8*stopWrites {
			t.Fatal("never behind")
		}
		most = max(most, int(l.db.Metrics().MemTable.Count))
		fill()
	}
	if most != stopWrites-2 {
		t.Errorf("behind one above %d memtables, and Pebble stops at %d", most, stopWrites)
	}
	fs.shut.Store(false)
	close(fs.gate)
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	if l.db.behind(pace.Flush) {
		t.Error("behind when all is flushed")
	}
}
