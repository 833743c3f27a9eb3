package conn

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/conn/gate"
	"tongka/fault"
)

// How long an acceptor pauses when accept fails, each time twice as long.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = 160 * time.Millisecond
)

// entrance is a listening socket and the door that those who come in belong to.
type entrance struct {
	addr net.Addr
	file *os.File
	raw  syscall.RawConn      // of file
	door atomic.Pointer[door] // Update changes it when the socket stays and the framing does not
}

// newEntrance takes the listener over. What it accepts has the options that it has
// itself, for the net package would spend five system calls on those of each.
func newEntrance(ln *net.TCPListener) (*entrance, error) {
	defer ln.Close()
	fd, err := dup(ln)
	if err != nil {
		return nil, err
	}
	if err := tune(fd); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	e := &entrance{addr: ln.Addr(), file: os.NewFile(uintptr(fd), "listener")}
	if err = e.file.SetReadDeadline(time.Time{}); err == nil { // fails when the runtime cannot wait for it
		e.raw, err = e.file.SyscallConn()
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// close is harmless for a link that we dial, and when done again.
func (e *entrance) close() {
	if e != nil {
		_ = e.file.Close()
	}
}

// comer is what one try to accept gives. It belongs to the goroutine that accepts.
type comer struct {
	fd   int
	from unix.RawSockaddrAny
	err  error
	try  func(uintptr) bool // method value made once
}

func newComer() *comer {
	c := &comer{}
	c.try = c.accept
	return c
}

// next waits for a caller. closed says that the entrance is.
func (e *entrance) next(c *comer) (closed bool) {
	return e.raw.Read(c.try) != nil
}

// accept is false when nobody waits. x/sys has an Accept4 as well; it asks the socket
// for its protocol each time and puts the address on the heap.
func (c *comer) accept(listening uintptr) bool {
	for {
		room := uint32(unsafe.Sizeof(c.from))
		fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, listening, uintptr(unsafe.Pointer(&c.from)), uintptr(unsafe.Pointer(&room)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case unix.EAGAIN:
			return false
		case unix.EINTR, unix.ECONNABORTED: // the latter has gone again
			continue
		case 0:
			c.fd, c.err = int(fd), nil
		default:
			c.err = errno
		}
		return true
	}
}

// remote has no zone: who may come in is told by prefixes, which have none.
func (c *comer) remote() netip.AddrPort {
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch c.from.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&c.from))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(&a.Port))
	case unix.AF_INET6: // on a listener for both, IPv4 comes inside IPv6
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(&c.from))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), port(&a.Port))
	}
	return netip.AddrPort{}
}

// accept takes sockets in until the entrance is closed. It never waits for a
// loop: a loop that is in the middle of a long turn must not slow the door.
func (f *Front) accept(e *entrance) {
	pause := acceptPauseMin
	c := newComer()
	for {
		if e.next(c) {
			return
		}
		d := e.door.Load()
		if c.err != nil {
			f.acceptErrs.Add(1)
			if pause == acceptPauseMin { // once for each bad time
				f.log.Warn("accept failed", fault.Field(fault.AcceptFailed), zap.String("listener", d.name()), zap.Error(os.NewSyscallError("accept4", c.err)))
			}
			f.pause(f.ctx, pause)
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = acceptPauseMin
		fd, from, t := c.fd, c.remote(), d.terms.Load()
		guest := f.admit(d, t, from.Addr())
		if guest == nil {
			refuse(fd)
			continue
		}
		f.accepted.Add(1)
		if t.tls != nil {
			f.greet(d, guest, t.tls, fd, from)
			continue
		}
		p := f.newcomer(d, guest, from)
		p.loop.takeOn(p)
		p.loop.board(boarder{p: p, fd: fd})
	}
}

// admit is nil for a caller who is refused, and counts why. Nothing has been
// spent on him but an accept.
func (f *Front) admit(d *door, t *terms, from netip.Addr) *gate.Guest {
	now := time.Now().UnixNano()
	guest, verdict := d.gate.Enter(from, now)
	switch verdict {
	case gate.Denied:
		f.denied.Add(1)
	case gate.TooMany:
		f.tooMany.Add(1)
	case gate.TooFast:
		f.tooFast.Add(1)
	case gate.ShutOut:
		f.shutOut.Add(1)
	case gate.In:
		if d.open.Load()+d.pending.Load() < t.maxConns {
			return guest
		}
		d.gate.Leave(guest, now)
		f.refused.Add(1)
	}
	return nil
}

// newcomer is a connection that came in by the door. All lines of one link
// belong to one loop, which tells how many there are.
func (f *Front) newcomer(d *door, guest *gate.Guest, from netip.AddrPort) *peer {
	if d.listener {
		return &peer{door: d, guest: guest, remote: from, loop: f.idlest()}
	}
	return &peer{door: d, guest: guest, remote: from, loop: f.loops[d.index%len(f.loops)], down: make(chan struct{})}
}

// refuse resets: a flood of refused callers must not leave a flood of sockets
// in TIME_WAIT.
func refuse(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}

// idlest is the loop with the fewest connections.
func (f *Front) idlest() *loop {
	best := f.loops[0]
	for _, l := range f.loops[1:] {
		if l.open.Load() < best.open.Load() {
			best = l
		}
	}
	return best
}

func (l *loop) takeOn(p *peer) {
	l.open.Add(1)
	p.door.open.Add(1)
}

func (l *loop) letGo(p *peer) {
	l.open.Add(-1)
	p.door.open.Add(-1)
	if p.guest != nil {
		p.door.gate.Leave(p.guest, time.Now().UnixNano())
	}
}

// pause is false when ctx ended meanwhile.
func (f *Front) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
