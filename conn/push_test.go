package conn

import (
	"errors"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// bareConn is a socket without a loop, some of whose bytes may wait already.
type bareConn struct {
	gnet.Conn
	fd, waits int
}

func (c *bareConn) Fd() int               { return c.fd }
func (c *bareConn) OutboundBuffered() int { return c.waits }

func socketpair(t testing.TB) (near *bareConn, far int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[0]) })
	return &bareConn{fd: pair[0]}, pair[1]
}

// TestPush gives what a socket takes, and leaves to gnet what it does not.
func TestPush(t *testing.T) {
	c, far := socketpair(t)
	if left, err := push(c, []byte("0810")); err != nil || len(left) != 0 {
		t.Fatalf("left %q, %v", left, err)
	}
	buf := make([]byte, 16)
	if n, err := unix.Read(far, buf); err != nil || string(buf[:n]) != "0810" {
		t.Fatalf("%q came, %v", buf[:max(n, 0)], err)
	}
	c.waits = 1 // what comes later must not overtake
	if left, err := push(c, []byte("0210")); err != nil || string(left) != "0210" {
		t.Fatalf("left %q, %v", left, err)
	}
	c.waits = 0
	huge := make([]byte, 16<<20)
	left, err := push(c, huge)
	if err != nil || len(left) == 0 || len(left) == len(huge) {
		t.Fatalf("of %d bytes %d are left, %v", len(huge), len(left), err)
	}
	if again, err := push(c, left); err != nil || len(again) != len(left) {
		t.Fatalf("a full socket left %d of %d, %v", len(again), len(left), err)
	}
	unix.Close(far)
	if left, err := push(c, []byte("0210")); !errors.Is(err, unix.EPIPE) || string(left) != "0210" {
		t.Errorf("without a reader: left %q, %v", left, err)
	}
}

// BenchmarkPush compares sendto with write, in turns, over 500 sockets whose state is
// not in the cache; the figure is push's time as a part of write's.
func BenchmarkPush(b *testing.B) {
	const sockets = 500
	var near [sockets]*bareConn
	var far [sockets]int
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(l)
	if err := errors.Join(unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(l, 128)); err != nil {
		b.Fatal(err)
	}
	at, err := unix.Getsockname(l)
	if err != nil {
		b.Fatal(err)
	}
	for i := range near {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, at); err != nil {
			b.Fatal(err)
		}
		if far[i], _, err = unix.Accept4(l, unix.SOCK_CLOEXEC); err != nil {
			b.Fatal(err)
		}
		defer unix.Close(far[i])
		near[i] = &bareConn{fd: fd}
	}
	msg, buf, others := make([]byte, 180), make([]byte, 4096), make([]byte, 2<<20)
	round := func(send func(*bareConn) error) time.Duration {
		for i := 0; i < len(others); i += 64 {
			others[i]++
		}
		began := time.Now()
		for _, c := range near {
			if err := send(c); err != nil {
				b.Fatal(err)
			}
		}
		took := time.Since(began)
		for _, fd := range far {
			if _, err := unix.Read(fd, buf); err != nil {
				b.Fatal(err)
			}
		}
		return took
	}
	var pushed, written time.Duration
	for b.Loop() {
		pushed += round(func(c *bareConn) error { _, err := push(c, msg); return err })
		written += round(func(c *bareConn) error { _, err := unix.Write(c.fd, msg); return err })
	}
	b.ReportMetric(float64(pushed)/float64(written), "of-write")
}
