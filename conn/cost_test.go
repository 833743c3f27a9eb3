package conn

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"golang.org/x/sys/unix"
)

// deafConn takes every write.
type deafConn struct{ gnet.Conn }

func (deafConn) Write(b []byte) (int, error) { return len(b), nil }
func (deafConn) OutboundBuffered() int       { return 0 }
func (deafConn) RemoteAddr() net.Addr        { return nil }
func (deafConn) Fd() int                     { return unread() }

// unread is a socket whose other end nobody reads: soon it takes nothing more.
var unread = sync.OnceValue(func() int {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return pair[0]
})

// relay answers from a buffer per connection, as lean as an engine could be.
type relay struct {
	loop Loop
	out  [][]byte
	ids  []ID
	n    atomic.Int64
}

func (r *relay) Opened(id ID, _ Peer) {
	for int(id.Index()) >= len(r.out) {
		r.out = append(r.out, nil)
	}
}

func (r *relay) Frame(id ID, b []byte) {
	out := r.out[id.Index()]
	if len(out) == 0 {
		r.ids = append(r.ids, id)
	}
	start := len(out)
	out, _ = Binary2.End(append(Binary2.Begin(out), b...), start)
	r.out[id.Index()] = out
	r.n.Add(1)
}

func (r *relay) Closed(ID, error) {}

func (r *relay) Tick(now int64) int64 {
	for _, id := range r.ids {
		out := &r.out[id.Index()]
		_ = r.loop.Send(id, *out)
		*out = (*out)[:0]
	}
	r.ids = r.ids[:0]
	return now + int64(30*time.Second)
}

// bare is a loop on which gnet's part is played by the caller.
func bare() (*loop, *relay, *peer) {
	l := newLoop(0)
	l.bell.rung.Store(true) // nobody would hear it
	r := &relay{loop: l}
	l.h = r
	p := &peer{door: newDoor(context.Background(), true, 0, listenerTerms(&ListenerConfig{Framing: Binary2, Idle: time.Minute}, nil)), loop: l}
	l.opened(deafConn{}, p)
	return l, r, p
}

// Frames that come whole, in pieces and many at once, their answers and their
// ticks cost no allocation of ours.
func TestHotPathDoesNotAllocate(t *testing.T) {
	l, r, p := bare()
	defer l.timer.Stop()
	one := framed(strings.Repeat("x", 180))
	stream := bytes.Repeat(one, 20)
	spare := make([]byte, len(stream)) // mangled frames must not be parsed again
	turn := func(pieces int) {
		copy(spare, stream)
		for b := spare; len(b) > 0; {
			n := min(len(b), len(stream)/pieces)
			l.received(p, b[:n])
			b = b[n:]
		}
		l.tick()
	}
	for _, pieces := range []int{1, 7, 1000} {
		r.n.Store(0)
		if n := testing.AllocsPerRun(100, func() { turn(pieces) }); n != 0 {
			t.Errorf("in %d pieces: %v allocations", pieces, n)
		}
		if n := r.n.Load(); n != 101*20 {
			t.Errorf("in %d pieces: %d frames, want %d", pieces, n, 101*20)
		}
	}
}

// lean runs a benchmark as a build without -race would.
func lean(b *testing.B) {
	mangle = false
	b.Cleanup(func() { mangle = true })
}

func BenchmarkReceive(b *testing.B) {
	for _, pieces := range []int{1, 3} {
		b.Run(strconv.Itoa(pieces)+"-pieces", func(b *testing.B) {
			lean(b)
			l, _, p := bare()
			defer l.timer.Stop()
			stream := bytes.Repeat(framed(strings.Repeat("x", 180)), 16)
			cut := len(stream)/pieces + 1
			for b.Loop() {
				for i := 0; i < len(stream); i += cut {
					l.received(p, stream[i:min(i+cut, len(stream))])
				}
				l.tick()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(16*b.N), "ns/frame")
		})
	}
}

func startRelay(b *testing.B, maxConns int, change ...func(*ListenerConfig)) (*Front, *relay) {
	b.Helper()
	lean(b)
	var r *relay
	l := ListenerConfig{Name: "pos", Addr: "127.0.0.1:0", Framing: Binary2, MaxConns: maxConns, Idle: time.Hour}
	for _, c := range change {
		c(&l)
	}
	f, err := Start(Config{Listeners: []ListenerConfig{l}}, func(l Loop) Handler { r = &relay{loop: l}; return r })
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := f.Stop(ctx); err != nil {
			b.Error(err)
		}
	})
	return f, r
}

// BenchmarkEcho sends bursts over real sockets and waits for their echo. The
// allocations are of the whole process, gnet's two a turn among them.
func BenchmarkEcho(b *testing.B) {
	for _, burst := range []int{1, 64} {
		b.Run(strconv.Itoa(burst)+"-a-burst", func(b *testing.B) {
			f, _ := startRelay(b, 10)
			c, err := net.Dial("tcp", f.Addr(0).String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			request := bytes.Repeat(framed(strings.Repeat("x", 180)), burst)
			answer := make([]byte, len(request))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(request); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*burst)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}

// BenchmarkIdle reports what an idle connection costs the process, heap, stacks
// and all, and what CPU 5,000 of them take in a second. The clients are bare
// descriptors, which cost the kernel and not this process.
func BenchmarkIdle(b *testing.B) {
	const conns = 5000
	f, r := startRelay(b, conns)
	addr := f.Addr(0).(*net.TCPAddr)
	before, running := memory(), runtime.NumGoroutine()
	fds := make([]int, 0, conns)
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	one := framed("hello")
	for range conns {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			fds = append(fds, fd)
			err = unix.Connect(fd, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte{127, 0, 0, 1}})
		}
		if err == nil { // each has said something once, in two pieces
			_, err = unix.Write(fd, one[:3])
		}
		if err == nil {
			_, err = unix.Write(fd, one[3:])
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for end := time.Now().Add(patience); r.n.Load() < conns; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("%d of %d frames", r.n.Load(), conns)
		}
	}
	for b.Loop() {
	}
	// gnet lends each newcomer a worker, and keeps it, with its stack, until it had
	// nothing to do for ten seconds: who came is idle only then.
	for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > running && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
	}
	after := memory()
	start := cpu()
	time.Sleep(time.Second)
	b.ReportMetric(float64(after.live-before.live)/conns, "heap+stack-B/conn")
	b.ReportMetric(float64(after.rss-before.rss)/conns, "rss-B/conn")
	b.ReportMetric(float64(cpu()-start)/1e7, "idle-cpu-%")
}

type footprint struct{ live, rss int64 }

func memory() footprint {
	runtime.GC()
	runtime.GC() // the second empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var rss int64
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		pages, _ := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
		rss = pages * int64(os.Getpagesize())
	}
	return footprint{int64(m.HeapAlloc + m.StackInuse), rss}
}

// cpu is what this process has used, in ns.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}
