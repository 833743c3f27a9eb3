package blacklist

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"tongka/txn"
)

// cards writes n invented cards as a file of an import.
func cards(n int) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(w, 1<<16)
		fmt.Fprintln(out, "card,kind,level,cause")
		for i := range n {
			fmt.Fprintf(out, "6225%012d,black,1,lost\n", uint64(i)*7919)
		}
		_ = w.CloseWithError(out.Flush())
	}()
	return r
}

// BenchmarkTenMillion imports ten million cards, opens them again, changes one,
// and looks cards up: warm is a card whose memory is at hand, cold one of all at
// random, there and not there.
func BenchmarkTenMillion(b *testing.B) {
	const n = 10_000_000
	dir := b.TempDir()
	book := open(b, dir)
	at := time.Now()
	if _, err := book.Import(cards(n), "big.csv", How{Full: true}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(at).Seconds(), "import-s")
	if err := book.Close(); err != nil {
		b.Fatal(err)
	}
	book.list.Store(nil) // the cleanup holds the book
	runtime.GC()
	at = time.Now()
	book = open(b, dir)
	b.ReportMetric(time.Since(at).Seconds(), "open-s")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/n, "heap-B/card")
	b.ReportMetric(float64(book.List().Bytes())/n, "list-B/card")
	at = time.Now()
	put(b, book, How{}, "card\n6226000000000000\n")
	b.ReportMetric(time.Since(at).Seconds(), "change-s")
	lookups(b, book.List(), book.Hasher(), n)
}

func lookups(b *testing.B, l *List, h *Hasher, n int) {
	rng := rand.New(rand.NewPCG(1, 2))
	pans := make([]txn.PAN, 1<<20)
	for i := range pans {
		pans[i], _ = txn.ParsePAN(fmt.Appendf(nil, "%d%012d", 6225+i%2, rng.Uint64N(uint64(n))*7919))
	}
	run := func(name string, mask int) {
		hits, at := 0, time.Now()
		for i := range pans {
			if _, ok := l.Find(h.Card(&pans[i&mask])); ok {
				hits++
			}
		}
		b.ReportMetric(float64(time.Since(at).Nanoseconds())/float64(len(pans)), name)
		if hits < len(pans)*4/10 || hits > len(pans)*6/10 {
			b.Fatalf("%s: %d of %d found", name, hits, len(pans))
		}
	}
	run("cold-ns", len(pans)-1)
	run("warm-ns", 1)
}
