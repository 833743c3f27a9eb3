package conn

import (
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// unixPair is two ends, closed after the test.
func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	a, b, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(a); closeConn(b) })
	for _, c := range []*net.UnixConn{a, b} {
		_ = c.SetDeadline(time.Now().Add(patience))
	}
	return a, b
}

func handOver(t *testing.T, f *Front) map[string]*net.TCPListener {
	t.Helper()
	a, b := unixPair(t)
	if err := f.HandOver(a); err != nil {
		t.Fatal(err)
	}
	got, err := TakeOver(b)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Fronts follow each other on one socket while callers keep coming: none is
// refused, each is answered.
func TestHandOverRefusesNobody(t *testing.T) {
	f, _ := run(t, door1())
	addr := f.Addr(0).String()
	var stopping atomic.Bool
	const crowd = 4
	var calls, waiting, failures atomic.Int64
	var callers sync.WaitGroup
	for range crowd {
		callers.Go(func() {
			for !stopping.Load() {
				calls.Add(1)
				waiting.Add(1)
				err := callOnce(addr)
				waiting.Add(-1)
				if err != nil {
					failures.Add(1)
					t.Errorf("call %d: %v", calls.Load(), err)
					return
				}
			}
		})
	}
	for range 5 {
		before := calls.Load()
		within(t, "calls", func() bool { return calls.Load() > before+50 || failures.Load() > 0 })
		cfg := door1(func(l *ListenerConfig) { l.Addr = addr })
		cfg.Inherited = handOver(t, f)
		f.StopAccepting()
		// Nobody accepts: all of them come to wait in the backlog.
		within(t, "calls to nobody", func() bool { return waiting.Load() == crowd || failures.Load() > 0 })
		next, _ := run(t, cfg)
		if err := f.Drain(t.Context(), 0); err != nil {
			t.Error(err)
		}
		f = next
	}
	before := calls.Load()
	within(t, "calls", func() bool { return calls.Load() > before+50 || failures.Load() > 0 })
	stopping.Store(true)
	callers.Wait()
	t.Logf("%d calls", calls.Load())
}

// callOnce is a short-lived terminal.
func callOnce(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(framed("hello")); err != nil {
		return err
	}
	b := make([]byte, 7)
	for n := 0; n < len(b); {
		m, err := c.Read(b[n:])
		if err != nil {
			return err
		}
		n += m
	}
	return nil
}

// A socket that is not wanted, or not at this address, is closed and a new one
// opened; one at port 0 takes what there is.
func TestInheritedSocketsAreMatched(t *testing.T) {
	cfg := Config{Listeners: []ListenerConfig{
		{Name: "same", Addr: "127.0.0.1:0", Framing: Binary2}, {Name: "moves", Addr: "127.0.0.1:0", Framing: Binary2},
		{Name: "goes", Addr: "127.0.0.1:0", Framing: Binary2}}}
	f, probes := run(t, cfg)
	same, moves, goes := f.Addr(0).String(), f.Addr(1).String(), f.Addr(2).String()
	next := Config{Inherited: handOver(t, f), Listeners: []ListenerConfig{
		{Name: "same", Addr: same, Framing: Binary2}, {Name: "moves", Addr: "127.0.0.2:0", Framing: Binary2}}}
	stop(t, f, probes)
	g, _ := run(t, next)
	if g.Addr(0).String() != same {
		t.Errorf("%v, want %s", g.Addr(0), same)
	}
	if err := callOnce(same); err != nil {
		t.Error(err)
	}
	if err := callOnce(g.Addr(1).String()); err != nil {
		t.Error(err)
	}
	for _, closed := range []string{moves, goes} {
		if c, err := net.Dial("tcp", closed); err == nil {
			_ = c.Close()
			t.Errorf("%s still listens", closed)
		}
	}
	if g.Addr(5) != nil {
		t.Error("an address of no listener")
	}
}

func TestListensAt(t *testing.T) {
	for _, c := range []struct {
		is, want string
		yes      bool
	}{
		{"127.0.0.1:0", "127.0.0.1:0", true},
		{"127.0.0.1:0", "127.0.0.2:0", false},
		{"127.0.0.1:0", "127.0.0.1:1", false},
		{"127.0.0.1:0", ":0", false},
		{":0", ":0", true},
		{":0", "0.0.0.0:0", true},
		{":0", "127.0.0.1:0", false},
		{":0", "no such host.invalid:x", false},
	} {
		ln, err := net.Listen("tcp", c.is)
		if err != nil {
			t.Fatal(err)
		}
		if got := listensAt(ln.(*net.TCPListener), c.want); got != c.yes {
			t.Errorf("%s for %s: %v", c.is, c.want, got)
		}
		_ = ln.Close()
	}
}

// The other end sends what is not sockets: an error, and no descriptor is left.
func TestTakeOverOfRubbish(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fd, err := dup(ln.(*net.TCPListener))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	plain, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(plain)
	for name, c := range map[string]struct {
		bytes string
		fds   []int
		want  string
	}{
		"nothing":              {"", nil, "EOF"},
		"half a head":          {"\x00\x01\x00", []int{fd}, "EOF"},
		"half a name":          {"\x00\x01\x00\x04po", []int{fd}, "EOF"},
		"a name without end":   {"\x00\x01\x00\x03pos", []int{fd}, "not one of sockets"},
		"more names":           {"\x00\x01\x00\x04a\x00b\x00", []int{fd}, "not one of sockets"},
		"fewer sockets":        {"\x00\x01\x00\x02a\x00", nil, "not one of sockets"},
		"more sockets":         {"\x00\x01\x00\x02a\x00", []int{fd, fd}, "not one of sockets"},
		"a name twice":         {"\x00\x02\x00\x04a\x00a\x00", []int{fd, fd}, "twice"},
		"no socket":            {"\x00\x01\x00\x02a\x00", []int{plain}, `"a": this is no listening socket`},
		"too many descriptors": {"\x00\x01\x00\x02a\x00", manyOf(fd, 200), "not one of sockets"},
	} {
		t.Run(name, func(t *testing.T) {
			before := openFiles(t)
			a, b, err := socketPair()
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if len(c.bytes) > 0 {
				var rights []byte
				if c.fds != nil {
					rights = unix.UnixRights(c.fds...)
				}
				if _, _, err := a.WriteMsgUnix([]byte(c.bytes), rights, nil); err != nil {
					t.Fatal(err)
				}
			}
			_ = a.Close()
			got, err := TakeOver(b)
			if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v", got, err)
			}
			_ = b.Close()
			if after := openFiles(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

func manyOf(fd, n int) (fds []int) {
	for range n {
		fds = append(fds, fd)
	}
	return fds
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// HandOver to somebody who is gone is an error and leaves the front as it was.
func TestHandOverToNobody(t *testing.T) {
	f, _ := run(t, door1())
	a, b := unixPair(t)
	_ = b.Close()
	if err := f.HandOver(a); err == nil {
		t.Error("no error")
	}
	ask(t, dial(t, f), "still here")
}
