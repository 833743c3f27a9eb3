package conn

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// congestion is the congestion control of our sockets; what a listener has, the
// connections that it accepts have, too.
const congestion = "reno"

// unpaced keeps the kernel from pacing what we send. Messages are small and wait
// for each other's answers, so there is nothing to pace; but where BBR is the
// system's default every write arms a timer, a tenth of a transaction's cost. A
// kernel that does not allow the choice is none the worse for it.
func unpaced(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, congestion)
	})
}

// tune sets what the connections that a listening socket accepts have from it.
func tune(fd int) error {
	set := func(level, option, value int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
	}
	return errors.Join(
		set(unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
		set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive.Idle/time.Second)),
		set(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAlive.Interval/time.Second)),
		set(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAlive.Count),
	)
}

// asConn makes a connection of the net package's of a descriptor, which it takes
// over in any case.
func asConn(fd int) (*net.TCPConn, error) {
	file := os.NewFile(uintptr(fd), "accepted")
	defer file.Close()
	c, err := net.FileConn(file) // with a descriptor of its own
	if err != nil {
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok {
		_ = c.Close()
		return nil, errNotOpened
	}
	_ = t.SetKeepAliveConfig(keepAlive) // FileConn has set its own; these serve as well
	return t, nil
}

// push gives b to the socket and returns what it does not take: all, when bytes wait
// already or there is no room. It is sendto and not gnet's write, for a write to a
// socket goes the way of files: it asks for locks on them and tells who watches the
// inode, which of five hundred terminals is never in the cache.
func push(c gnet.Conn, b []byte) (left []byte, err error) {
	if len(b) == 0 || c.OutboundBuffered() > 0 {
		return b, nil
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(c.Fd()), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	switch errno {
	case 0:
		return b[n:], nil
	case unix.EAGAIN, unix.EINTR:
		return b, nil
	}
	return b, os.NewSyscallError("sendto", errno)
}
