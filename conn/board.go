package conn

import (
	"errors"
	"net"
	"sync"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/fault"
)

// boarding are sockets on their way to a loop from elsewhere: dialled lines, callers
// who have shaken hands, those of another loop's listener. Whoever has one adds to it
// and rings the bell; the loop takes some in a turn. So nobody waits for a loop, and
// many newcomers are one report among others: what is ready of those who are in is
// read between any two parts of it.
type boarding struct {
	mu    sync.Mutex
	list  []boarder // never more than the doors allow
	taken []boarder // the loop's; when all of it are in, its array is the next list
	next  int       // of taken: those before it are in
}

type boarder struct {
	p       *peer
	fd      int
	arrived chan struct{} // closed when it is settled; nil when nobody waits

	in, gone *entrance // in place of a peer: to be watched from now on, or no more
}

var errNotOpened = errors.New("the event loop did not take the socket")

// board gives a socket to the peer's loop, which has taken the peer on.
func (l *loop) board(b boarder) {
	l.boarding.mu.Lock()
	l.boarding.list = append(l.boarding.list, b)
	l.boarding.mu.Unlock()
	l.bell.ring()
}

// boardConn does it with a connection of the net package's, which is taken over in
// any case. With wait it returns when the peer was opened or was not.
func (f *Front) boardConn(p *peer, c net.Conn, wait bool) error {
	p.loop.takeOn(p)
	fd, err := detach(c)
	if err != nil {
		f.notBoarded(p, err)
		return err
	}
	b := boarder{p: p, fd: fd}
	if !wait {
		p.loop.board(b)
		return nil
	}
	b.arrived = make(chan struct{})
	p.loop.board(b)
	<-b.arrived
	if !p.opened {
		return errNotOpened
	}
	return nil
}

// letAboard takes at most so many in, on the loop, and says whether others wait.
func (l *loop) letAboard(most int) (more bool) {
	b := &l.boarding
	b.mu.Lock()
	if b.next == len(b.taken) {
		b.taken, b.list, b.next = b.list, b.taken[:0], 0
	}
	more = len(b.list) > 0
	b.mu.Unlock()
	for n := min(most, len(b.taken)-b.next); n > 0; n-- {
		who := b.taken[b.next]
		b.taken[b.next] = boarder{}
		b.next++
		l.takeIn(who)
	}
	return more || b.next < len(b.taken)
}

func (l *loop) takeIn(b boarder) {
	switch {
	case b.in != nil:
		if err := l.watch(b.in); err != nil {
			l.front.enrollErrs.Add(1)
			l.front.log.Error("listener not watched", fault.Field(fault.NotEnrolled), zap.String("at", b.in.door.Load().name()), zap.Error(err))
		}
		return
	case b.gone != nil:
		l.forget(b.gone)
		return
	}
	err := l.sight.take(b.p, b.fd)
	switch {
	case !b.p.opened: // gnet has closed the descriptor
		l.front.notBoarded(b.p, err)
	case b.arrived == nil && !b.p.door.listener:
		l.front.watching.Go(func() { l.front.watch(b.p) })
	}
	if b.arrived != nil {
		close(b.arrived)
	}
}

func (f *Front) notBoarded(p *peer, err error) {
	p.loop.letGo(p)
	f.enrollErrs.Add(1)
	f.log.Warn("connection not enrolled", fault.Field(fault.NotEnrolled), zap.String("at", p.door.name()), zap.Error(or(err, errNotOpened)))
}

// detach gives a descriptor of the connection's socket, and closes the connection.
func detach(c net.Conn) (fd int, err error) {
	defer c.Close()
	s, ok := c.(syscall.Conn)
	if !ok {
		return -1, errors.New("no socket")
	}
	return dup(s)
}

// dup is one more descriptor of a socket; it stays non-blocking, which both share.
func dup(s syscall.Conn) (fd int, err error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	ctl := raw.Control(func(own uintptr) {
		fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err = or(ctl, err); err != nil {
		return -1, err
	}
	return fd, nil
}
