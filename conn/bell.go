package conn

import (
	"errors"
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// bell wakes a loop from outside through a socket pair whose other end is one
// more connection of the loop. gnet's own Execute would do as well for one
// call, but it runs what is queued until nothing is left, so callers who keep
// calling would keep the loop from its sockets; a byte on a socket waits its
// turn like any other.
type bell struct {
	rung atomic.Bool
	tx   *net.UnixConn // safe to write at any time, also after it is closed
}

var bellByte = []byte{1}

// ring leaves at most one byte unread.
func (b *bell) ring() {
	if b.rung.CompareAndSwap(false, true) {
		// It fails only when the loop has ended, and then nobody waits for it.
		_, _ = b.tx.Write(bellByte)
	}
}

// heard must be called after the byte was read and before acting upon it: who
// rings meanwhile relies on that act.
func (b *bell) heard() { b.rung.Store(false) }

// socketPair is two ends of one local stream.
func socketPair() (a, b *net.UnixConn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	a, errA := unixConn(fds[0])
	b, errB := unixConn(fds[1])
	if err := errors.Join(errA, errB); err != nil {
		closeConn(a)
		closeConn(b)
		return nil, nil, err
	}
	return a, b, nil
}

// unixConn takes over the descriptor.
func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "bell")
	defer f.Close()
	c, err := net.FileConn(f) // with a descriptor of its own
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

func closeConn(c *net.UnixConn) {
	if c != nil {
		_ = c.Close()
	}
}
