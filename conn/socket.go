package conn

import (
	"syscall"

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
