package journal

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/journal/internal/bloom"
	"tongka/txn"
)

// One tick as the engine makes it: half Intents, half Outcomes with an answer.
func stageTick(l *Log, r *Record, records int, body []byte) {
	for i := range records {
		r.Facts.ID++
		r.Facts.Trace = uint32(r.Facts.ID)
		r.Kind, r.Body = Intent, nil
		if i%2 == 1 {
			r.Kind, r.Body = Outcome, body
		}
		l.Append(r)
	}
}

// Ticks come in the order of their keys, so what was flushed need not be written
// again, recovery marks notwithstanding.
func TestTicksAreWrittenOnce(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.MemTable = minMemTable
	l := mustOpen(t, o)
	defer l.Close()
	r, body := speedRecord(), make([]byte, 100)
	before := l.db.Metrics().Total()
	var kept uint64 // bytes of other keys, which may be written again
	for i := range 1500 {
		stageTick(l, r, 128, body)
		// Cards, debts, batches: from both ends of the alphabet in each table.
		for _, end := range []byte{0, 255} {
			key := []byte{end, byte(i), byte(i >> 8)}
			l.Put(key, body)
			kept += uint64(len(key) + len(body))
		}
		if i%10 == 0 {
			l.Mark(LSN(i), 2)
		}
		mustCommit(t, l)
	}
	if err := l.db.Flush(); err != nil {
		t.Fatal(err)
	}
	m := l.db.Metrics().Total()
	flushed, again := m.TableBytesFlushed-before.TableBytesFlushed, m.TableBytesCompacted-before.TableBytesCompacted
	if flushed < 20<<20 || again > 10*kept || again*5 > flushed {
		t.Errorf("%d bytes flushed, %d of them not ticks, %d written again", flushed, kept, again)
	}
}

func speedRecord() *Record {
	return &Record{Facts: txn.Facts{MTI: 0x0200, Amount: 100, Terminal: txn.Terminal{Number: [8]byte([]byte("10000001"))}}}
}

// Nothing is allocated for a record, and for a tick only what Pebble itself
// allocates: so the number does not depend on the records in it.
func TestAllocations(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.MemTable = 64 << 20 // flushes allocate as they like, beside the shard
	l := mustOpen(t, o)
	defer l.Close()
	r := speedRecord()
	body := make([]byte, 100)
	key, value := []byte("O\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"), make([]byte, maxFacts)
	tick := func(records int) func() {
		return func() {
			stageTick(l, r, records, body)
			if records > 0 {
				l.Put(key, value)
				l.Mark(1, 2)
			}
			if l.Commit() != nil || l.Sync() != nil {
				t.Error(l.err())
			}
		}
	}
	for range 20 {
		tick(256)() // the buffers grow
	}
	var perTick [2]float64
	for i, n := range []int{1, 257} {
		perTick[i] = testing.AllocsPerRun(100, tick(n))
	}
	t.Logf("allocations of a tick: %v with 1 record, %v with 257", perTick[0], perTick[1])
	if perTick[1] > perTick[0]+2 || perTick[0] > 8 {
		t.Errorf("allocations grow with the records of a tick: %v", perTick)
	}
	if n := testing.AllocsPerRun(100, func() { stageTick(l, r, 10, body) }); n != 0 {
		t.Errorf("staging allocates %v", n)
	}
	whenReady(t, l)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = l.Find(Fingerprint(&r.Facts.Terminal, 0x0200, 1, 2), 0) }); n != 0 {
		t.Errorf("a new request in the index allocates %v", n)
	}
	mustCommit(t, l)
}

func BenchmarkTick(b *testing.B) {
	for _, disk := range []bool{true, false} {
		for _, records := range []int{1, 16, 256} {
			name := fmt.Sprintf("mem/%d", records)
			if disk {
				name = fmt.Sprintf("disk/%d", records)
			}
			b.Run(name, func(b *testing.B) { benchTick(b, disk, records) })
		}
	}
}

func benchTick(b *testing.B, disk bool, records int) {
	o := Options{Dir: b.TempDir(), Key: testKey, NoWarm: !disk}
	if !disk {
		o.FS = vfs.NewMem()
	}
	l := mustOpen(b, o)
	r := speedRecord()
	body := make([]byte, 100)
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		stageTick(l, r, records, body)
		if l.Commit() != nil || l.Sync() != nil {
			b.Fatal(l.err())
		}
	}
	perTick := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(perTick/1e3, "µs/commit")
	b.ReportMetric(perTick/float64(records), "ns/record")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkStage(b *testing.B) {
	l := mustOpen(b, testOptions(vfs.NewMem()))
	r := speedRecord()
	body := make([]byte, 100)
	b.ReportAllocs()
	for b.Loop() {
		stageTick(l, r, 64, body)
		l.plain, l.pages, l.open.fresh = l.plain[:0], l.pages[:0], l.open.fresh[:0]
		if len(l.index.cur.entries) > generation {
			l.index.cur.clear()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/record")
}

func BenchmarkSeal(b *testing.B) {
	l := mustOpen(b, testOptions(vfs.NewMem()))
	plain, key := make([]byte, 64*160), tickKey(nil, 0, 1)
	dst := make([]byte, len(plain)+sealHead+sealTail)
	b.SetBytes(int64(len(plain)))
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		l.epoch.seal(dst, n, key, plain)
	}
}

func BenchmarkFindMiss(b *testing.B) {
	o := Options{Dir: b.TempDir(), Key: testKey, NoWarm: true}
	l := mustOpen(b, o)
	r := speedRecord()
	body := make([]byte, 100)
	for range 1000 {
		stageTick(l, r, 400, body)
		mustCommit(b, l)
	}
	whenReady(b, l)
	b.Run("filtered", func(b *testing.B) { benchMiss(b, l) })
	l.index.filter = bloom.New(minFilter) // not ready
	b.Run("asked of Pebble", func(b *testing.B) { benchMiss(b, l) })
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// whenReady waits until the filter is filled from disk.
func whenReady(t testing.TB, l *Log) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !l.index.filter.Ready(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the filter is never filled")
		}
	}
}

func benchMiss(b *testing.B, l *Log) {
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		if _, ok, err := l.Find(mix(i, 0x9E3779B97F4A7C15), 0); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, warm := range []bool{true, false} {
		b.Run(fmt.Sprintf("warm=%v", warm), func(b *testing.B) {
			dir := b.TempDir()
			for b.Loop() {
				l := mustOpen(b, Options{Dir: dir, Key: testKey, NoWarm: !warm})
				if err := l.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFacts writes the facts of a sale and reads them.
func BenchmarkFacts(b *testing.B) {
	r := speedRecord()
	var buf []byte
	var back txn.Facts
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendFacts(buf[:0], &r.Facts)
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadFacts(buf, &back); err != nil {
				b.Fatal(err)
			}
		}
	})
}
