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

// boarding are sockets on their way to a loop. Whoever accepts or dials adds to it
// and rings the bell; the loop takes all that are there in one turn. So an acceptor
// never waits for a loop, and a flood of newcomers is one report among others: what
// is ready of those who are in is read between two floods.
type boarding struct {
	mu    sync.Mutex
	list  []boarder // never more than the doors allow
	spare []boarder // the loop's, empty: its array is the next list
}

type boarder struct {
	p       *peer
	fd      int
	arrived chan struct{} // closed when it is settled; nil when nobody waits
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

// letAboard runs on the loop.
func (l *loop) letAboard() {
	l.boarding.mu.Lock()
	list := l.boarding.list
	l.boarding.list = l.boarding.spare
	l.boarding.mu.Unlock()
	for _, b := range list {
		err := l.berth.take(b.p, b.fd)
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
	clear(list)
	l.boarding.spare = list[:0]
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
