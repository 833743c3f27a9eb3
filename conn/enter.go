package conn

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/conn/gate"
	"tongka/fault"
)

// backlog is what may wait in a listening socket, as Linux has it; more come while we
// look, and a crowd without end must not keep the entrance open.
const backlog = 4096

// How long an entrance rests when accept fails, each time twice as long.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = 160 * time.Millisecond
)

// entrance is a listening socket and the door that those who come in belong to. The
// loop that watches it takes them in, some in a turn; who closes it, does so from
// anywhere.
type entrance struct {
	front *Front
	addr  net.Addr
	door  atomic.Pointer[door] // Update changes it when the socket stays and the framing does not

	mu    sync.Mutex // of what follows
	fd    int        // -1: closed
	loop  *loop      // that watches it; nil before
	knock int        // the descriptor under which the loop is told, see watch
	conn  gnet.Conn  // of knock; the loop's
	given bool       // what waits in it is another process's
	come  comer
	pause time.Duration
}

// newEntrance takes the listener over. What it accepts has the options that it has
// itself, for the net package would spend five system calls on those of each.
func (f *Front) newEntrance(ln *net.TCPListener) (*entrance, error) {
	defer ln.Close()
	fd, err := dup(ln)
	if err != nil {
		return nil, err
	}
	if err := tune(fd); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &entrance{front: f, addr: ln.Addr(), fd: fd, pause: acceptPauseMin}, nil
}

// close is harmless for a link that we dial, and when done again. Who waits in the
// socket is let in first, to be told the end like all others, unless the socket goes
// on elsewhere.
func (e *entrance) close() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fd < 0 {
		return
	}
	if e.loop != nil {
		for n := 0; n < backlog && !e.given && e.come.accept(e.fd) && e.come.err == nil; n++ {
			if b := e.letIn(); b.p != nil {
				b.p.loop.board(b)
			}
		}
		e.unwatched()
		e.loop.board(boarder{gone: e})
	}
	_ = unix.Close(e.fd)
	e.fd = -1
}

// comer is what one try to accept gives.
type comer struct {
	fd   int
	from unix.RawSockaddrAny
	err  error
}

// accept is false when nobody waits. x/sys has an Accept4 as well; it asks the socket
// for its protocol each time and puts the address on the heap.
func (c *comer) accept(listening int) bool {
	for {
		room := uint32(unsafe.Sizeof(c.from))
		fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(listening), uintptr(unsafe.Pointer(&c.from)), uintptr(unsafe.Pointer(&room)),
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

// give makes one more descriptor of the socket, for another process.
func (e *entrance) give() (fd int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.given = true
	fd, err = unix.FcntlInt(uintptr(e.fd), unix.F_DUPFD_CLOEXEC, 3)
	return fd, os.NewSyscallError("fcntl", err)
}

// open has a loop watch the entrance.
func (e *entrance) open() {
	l := e.front.loops[e.door.Load().index%len(e.front.loops)]
	l.board(boarder{in: e})
}

// watch begins to tell the loop when somebody waits, on the loop. gnet knows
// connections only, and finds them by the number that epoll gives back; so the
// listening socket is registered under the number of a connection that always has a
// byte to read, an eventfd that is never used up and of which epoll tells nothing. A
// goroutine that waits for the socket would cost two changes of threads a caller.
func (l *loop) watch(e *entrance) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fd < 0 {
		return nil // closed meanwhile
	}
	fd, err := unix.Eventfd(0, unix.EFD_SEMAPHORE|unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if _, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1<<62)); err != nil {
		_ = unix.Close(fd)
		return os.NewSyscallError("eventfd", err)
	}
	if err := l.sight.take(e, fd); err != nil { // it has closed the descriptor
		return err
	}
	e.loop, e.knock = l, fd
	silent := unix.EpollCtl(l.sight.epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Fd: int32(fd)})
	return errors.Join(os.NewSyscallError("epoll_ctl", silent), e.watched())
}

// watched registers the socket, unwatched ends that. With e.mu held.
func (e *entrance) watched() error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(e.loop.sight.epoll, unix.EPOLL_CTL_ADD, e.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(e.knock)}))
}

func (e *entrance) unwatched() {
	// It fails when the entrance rests, and then there is nothing to end. The socket may
	// live on in another process, so closing it would not do.
	_ = unix.EpollCtl(e.loop.sight.epoll, unix.EPOLL_CTL_DEL, e.fd, nil)
}

// forget lets go of what stood for a closed entrance, on the loop.
func (l *loop) forget(e *entrance) { _ = l.el.Close(e.conn) }

// knocked lets in those who wait, on the loop, so many in a turn: epoll tells of the
// rest again.
func (l *loop) knocked(e *entrance) {
	l.reported()
	for ; l.welcomed < newcomersPerTurn; l.welcomed++ {
		b, ok := e.next()
		switch {
		case !ok:
			return
		case b.p == nil:
		case b.p.loop == l:
			l.takeIn(b)
		default:
			b.p.loop.board(b)
		}
	}
}

// next accepts one caller. ok is false when nobody waits, or the entrance rests or is
// closed; the peer is nil when he was sent away.
func (e *entrance) next() (b boarder, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fd < 0 || !e.come.accept(e.fd) {
		return b, false
	}
	if e.come.err != nil {
		e.rest()
		return b, false
	}
	e.pause = acceptPauseMin
	return e.letIn(), true
}

// rest looks away from the socket for a while, with e.mu held: there is no descriptor
// for who waits, and epoll would tell of him again and again.
func (e *entrance) rest() {
	f := e.front
	f.acceptErrs.Add(1)
	if e.pause == acceptPauseMin { // once for each bad time
		f.log.Warn("accept failed", fault.Field(fault.AcceptFailed), zap.String("listener", e.door.Load().name()), zap.Error(os.NewSyscallError("accept4", e.come.err)))
	}
	e.unwatched()
	time.AfterFunc(e.pause, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.fd < 0 {
			return
		}
		if err := e.watched(); err != nil {
			e.come.err = err
			e.rest()
		}
	})
	e.pause = min(2*e.pause, acceptPauseMax)
}

// letIn makes a peer of who was accepted, or sends him away or to the handshake. With
// e.mu held, so that nobody is on his way to a loop once the entrance is closed.
func (e *entrance) letIn() (b boarder) {
	f, d, fd, from := e.front, e.door.Load(), e.come.fd, e.come.remote()
	t := d.terms.Load()
	guest := f.admit(d, t, from.Addr())
	if guest == nil {
		refuse(fd)
		return b
	}
	f.accepted.Add(1)
	if t.tls != nil {
		f.greet(d, guest, t.tls, fd, from)
		return b
	}
	p := f.newcomer(d, guest, from)
	p.loop.takeOn(p)
	return boarder{p: p, fd: fd}
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
