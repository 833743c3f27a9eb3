// Package poll is the least that a single-threaded peer needs of epoll: sockets
// without blocking, one wait, and streams that keep what did not fit. The bench
// uses it for its load generator and its bank, which must cost far less than
// what they measure; net's goroutine per connection costs more than a relay.
package poll

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits for many sockets. Thread-unsafe: one goroutine owns it.
type Poller struct {
	// Alone says that this process does nothing else worth a processor, so the scheduler is
	// not told of waits. Told of them, its watchdog wakes every 20 µs to take the processor of a
	// thread that sleeps: a fifteenth of what load generator and bank cost, and nobody wants
	// it. Whoever must run all the same (the collector, who reads the standard input) gets
	// the thread by a signal after 10 ms at most, which ends the wait with no events.
	Alone bool

	fd     int
	events [512]unix.EpollEvent
	most   unix.Timespec // of the wait under way
}

// New opens a poller.
func New() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &Poller{fd: fd}, nil
}

// Close closes the poller, not its sockets.
func (p *Poller) Close() error { return unix.Close(p.fd) }

// Interests of a socket.
const (
	Read  = unix.EPOLLIN
	Write = unix.EPOLLOUT
)

// Add starts to watch a socket; its events carry tag.
func (p *Poller) Add(fd int, tag int32, interest uint32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, tag, interest)
}

// Change replaces the interest of a watched socket.
func (p *Poller) Change(fd int, tag int32, interest uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, tag, interest)
}

func (p *Poller) control(op, fd int, tag int32, interest uint32) error {
	ev := unix.EpollEvent{Events: interest, Fd: tag}
	if err := unix.EpollCtl(p.fd, op, fd, &ev); err != nil {
		return fmt.Errorf("epoll_ctl socket %d: %w", fd, err)
	}
	return nil
}

// Wait gives what is ready after at most millis milliseconds (-1: no limit). The
// tag of an event is its Fd. The slice is valid until the next Wait.
func (p *Poller) Wait(millis int) ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(p.fd, p.events[:], millis)
	if err == unix.EINTR {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("epoll_wait: %w", err)
	}
	return p.events[:n], nil
}

// WaitFor is Wait with a finer clock: what comes at a rate of many thousands a second
// would come in lumps of a millisecond otherwise. Kernels before 5.11 have no such
// call and wait for whole milliseconds.
func (p *Poller) WaitFor(most time.Duration) ([]unix.EpollEvent, error) {
	p.most = unix.NsecToTimespec(int64(max(most, 0)))
	call := unix.Syscall6
	if p.Alone {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)),
		uintptr(unsafe.Pointer(&p.most)), 0, 0)
	switch errno {
	case 0:
		return p.events[:n], nil
	case unix.EINTR:
		return nil, nil
	case unix.ENOSYS:
		return p.Wait(int((most + time.Millisecond - 1) / time.Millisecond))
	}
	return nil, fmt.Errorf("epoll_pwait2: %w", errno)
}

// Listen opens a listening socket; port 0 lets the system choose. It gives the
// address that peers dial.
func Listen(at netip.AddrPort) (fd int, bound netip.AddrPort, err error) {
	if fd, err = socket(); err != nil {
		return -1, bound, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}),
		unix.Listen(fd, 1024))
	if err == nil {
		bound, err = Bound(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, bound, fmt.Errorf("listen at %s: %w", at, err)
	}
	return fd, bound, nil
}

// Bound is a socket's own address (IPv4).
func Bound(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %w", err)
	}
	in, ok := sa.(*unix.SockaddrInet4)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %T is not an IPv4 address", sa)
	}
	return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)), nil
}

// Accept takes one waiting connection; unix.EAGAIN when there is none.
func Accept(listener int) (fd int, err error) {
	fd, _, err = unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return -1, err
	}
	return fd, noDelay(fd)
}

// Dial starts to connect from the address from (the zero Addr: any); the socket
// becomes writable when it is connected, and SocketError then says whether.
func Dial(to netip.AddrPort, from netip.Addr) (fd int, err error) {
	if fd, err = socket(); err != nil {
		return -1, err
	}
	if err = noDelay(fd); err == nil && from.IsValid() {
		// The port is chosen at connect, so that the limit of 28,000 ports holds per
		// pair of addresses and not for all of them together.
		err = errors.Join(
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
			unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}))
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}
	if err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("connect to %s: %w", to, err)
	}
	return fd, nil
}

// SocketError is the outcome of a connect.
func SocketError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = unix.Errno(n)
	}
	return err
}

func socket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	Unpaced(fd)
	return fd, nil
}

// Unpaced takes a socket out of the kernel's pacing, if it may: with BBR each
// write of a small message arms a timer, on whichever side it is.
func Unpaced(fd int) { _ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno") }

func noDelay(fd int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

// read and write never block here, so the scheduler need not be told about
// them: that saves a hand-over of the processor when the kernel delivers to the
// peer inside the call. What is read comes by recvfrom, which is a quarter shorter than
// read: that looks after a file's position and whoever watches it first.
func read(fd int, b []byte) (int, error)  { return raw(unix.SYS_RECVFROM, fd, b) }
func write(fd int, b []byte) (int, error) { return raw(unix.SYS_WRITE, fd, b) }

func raw(call uintptr, fd int, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, unix.EINVAL
	}
	for {
		n, _, errno := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		if errno == 0 {
			return int(n), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}
