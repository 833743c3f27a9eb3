package registry

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"tongka/txn"
)

const many = 100_000

// manyCSV is an import of n terminals, with sessions.
func manyCSV(n int) []byte {
	var b bytes.Buffer
	b.WriteString("merchant,terminal,tmk,pik,mak,batch\n")
	for i := range n {
		fmt.Fprintf(&b, "%015d,%08d,U%032X,U%032X,%016X,%d\n", 100_000_000_000_000+i/4, i, i, i+1, i, i%1_000_000)
	}
	return b.Bytes()
}

func manyID(i int) txn.Terminal {
	return ident(fmt.Sprintf("%015d", 100_000_000_000_000+i/4), fmt.Sprintf("%08d", i))
}

func TestTerminalIsOneCacheLine(t *testing.T) {
	if n := unsafe.Sizeof(Terminal{}); n != 64 {
		t.Errorf("a terminal takes %d bytes", n)
	}
}

func TestHundredThousand(t *testing.T) {
	dir := t.TempDir()
	text := manyCSV(many)
	r := open(t, Options{Dir: dir, Now: time.Now})
	began := time.Now()
	added, changed, err := r.Import(bytes.NewReader(text), "many.csv")
	if err != nil || added != many || changed != 0 {
		t.Fatalf("added %d, changed %d, %v", added, changed, err)
	}
	t.Logf("import: %v", time.Since(began))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	r = open(t, Options{Dir: dir})
	t.Logf("open: %v", time.Since(began))
	snap := r.Snapshot()
	if snap.Len() != many {
		t.Fatalf("%d terminals", snap.Len())
	}
	for i := range many {
		id := manyID(i)
		term := snap.Terminal(&id)
		if term == nil || term.ID != id || term.TMK != key(t, i) {
			t.Fatalf("terminal %d: %+v", i, term)
		}
		if s := term.Session(time.Now().UnixNano()); s == nil || s.PIK != key(t, i+1) {
			t.Fatalf("session %d: %+v", i, s)
		}
	}
}

// The figure in the package's comment: what a terminal takes in memory, with
// its session, beside Badger.
func TestMemoryPerTerminal(t *testing.T) {
	profiles := make([]Profile, many)
	for i := range profiles {
		profiles[i].ID = manyID(i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	snap := newSnapshot(profiles, new(extras))
	for i := range snap.Len() {
		snap.terminals[i].session.Store(new(Session))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int(after.HeapAlloc-before.HeapAlloc) / many
	t.Logf("%d bytes a terminal", each)
	if each > 200 {
		t.Errorf("%d bytes a terminal, want 200 at most", each)
	}
	runtime.KeepAlive(profiles)
	runtime.KeepAlive(snap)
}

func TestLookUpAllocatesNothing(t *testing.T) {
	r := open(t, Options{})
	importText(t, r, two)
	id, stranger := ident("M1", "T1"), ident("M1", "T9")
	found := 0
	n := testing.AllocsPerRun(100, func() {
		snap := r.Snapshot()
		if term := snap.Terminal(&id); term != nil && term.Session(1) == nil {
			found++
		}
		if snap.Terminal(&stranger) != nil {
			found = -1 << 20
		}
	})
	if n != 0 || found < 100 {
		t.Errorf("%v allocations, found %d times", n, found)
	}
}

// Identities that count up are the usual case; the table must spread them.
func TestTableSpreads(t *testing.T) {
	profiles := make([]Profile, many)
	for i := range profiles {
		profiles[i].ID = manyID(i)
	}
	snap := newSnapshot(profiles, new(extras))
	longest, run := 0, 0
	for _, slot := range snap.slots {
		if run++; slot == 0 {
			run = 0
		}
		longest = max(longest, run)
	}
	if longest > 64 {
		t.Errorf("%d slots in a row are taken", longest)
	}
}

func BenchmarkTerminal(b *testing.B) {
	profiles := make([]Profile, many)
	for i := range profiles {
		profiles[i].ID = manyID(i)
	}
	snap := newSnapshot(profiles, new(extras))
	// In an order that no prefetcher guesses.
	ids := make([]txn.Terminal, many)
	for i := range ids {
		ids[i] = profiles[i*7919%many].ID
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if snap.Terminal(&ids[i]) == nil {
			b.Fatal("not found")
		}
		if i++; i == many {
			i = 0
		}
	}
}

func BenchmarkInstall(b *testing.B) {
	r := open(b, Options{})
	if _, _, err := r.Import(bytes.NewReader(manyCSV(1000)), "b.csv"); err != nil {
		b.Fatal(err)
	}
	s := &Session{Until: time.Now().Add(time.Hour).UnixNano()}
	snap := r.Snapshot()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r.Install(snap.At(i), s)
		if i++; i == 1000 {
			i = 0
		}
	}
}
