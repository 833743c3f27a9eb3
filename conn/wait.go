package conn

import (
	"errors"
	"os"
	"time"
	"unsafe"

	gneterr "github.com/panjf2000/gnet/v2/pkg/errors"
	"golang.org/x/sys/unix"
)

const (
	reportsAtOnce = 512 // more come in the next look of the same turn
	readRoom      = 64 << 10
	// glances are how often a turn looks for more before it ends: what came while the
	// first were read costs it no commit of its own.
	glances = 1
	// The runtime takes a goroutine that it has not scheduled for 10 ms for one that keeps
	// others out. Its monitor then looks every 20 µs, takes the loop's place away in each of
	// its system calls and sends it signals: 5 % of a sale's cost with 50 terminals.
	yieldEvery = int64(5 * time.Millisecond)
)

// sight is what a loop sees its sockets with.
type sight struct {
	berth
	events [reportsAtOnce]unix.EpollEvent
	room   []byte  // what one socket had
	peers  []*peer // by descriptor, those whose bytes we read ourselves
}

// attend is a loop's life. gnet would wait for sockets itself, and not tell when it has
// told of all that are ready: to be called then one asks it by a descriptor, which it
// hears of in its next wait, and when that brings nothing it lets the scheduler wake
// another thread before it sleeps. That is a wait, a write and a futex more in each turn.
// So one task of gnet's never returns until gnet ends, and waits in its place.
//
// A turn is a wait, what it brings, a glance at what came meanwhile, and the tick.
func (l *loop) attend() error {
	if err := l.sight.chores(); err != nil { // those behind us
		return err
	}
	for {
		patience, ticks := -1, l.again
		if l.again {
			l.again, patience = false, 0
		}
		for range 1 + glances {
			n, err := l.look(patience)
			if err != nil {
				return err
			}
			if patience = 0; n == 0 {
				break
			}
		}
		if ticks || l.heard {
			l.tick()
		}
		if l.now-l.yielded >= yieldEvery {
			l.yielded = l.now
			l.yield()
		}
	}
}

// look waits so many milliseconds at most (-1: as long as it takes) and hears what the
// ready sockets have.
func (l *loop) look(patience int) (n int, err error) {
	s := &l.sight
	if n, err = unix.EpollWait(s.epoll, s.events[:], patience); err != nil {
		if err == unix.EINTR {
			return 0, nil
		}
		panic(os.NewSyscallError("epoll_wait", err)) // of a descriptor that is ours: a fault of the program, and a deaf loop serves nobody
	}
	chores := false
	for i := range n {
		ev := &s.events[i]
		switch {
		case int(ev.Fd) == s.wake:
			chores = true
		case ev.Events == unix.EPOLLIN && l.read(ev.Fd):
		default:
			if err := s.report(ev); ends(err) {
				return n, err
			}
		}
	}
	if chores {
		err = s.chores()
	}
	return n, err
}

// ends tells what gnet ends its loop for from what it passes over.
func ends(err error) bool {
	return errors.Is(err, gneterr.ErrEngineShutdown) || errors.Is(err, gneterr.ErrAcceptSocket)
}

// read hears what a socket has. It is false when that is for gnet to do: the socket is
// not a peer's, or at its end. By recvfrom, which is a quarter shorter than read: that
// looks after a file's position and whoever watches it first. It does not block, so the
// scheduler need not be told.
func (l *loop) read(fd int32) bool {
	s := &l.sight
	if int(fd) >= len(s.peers) || s.peers[fd] == nil {
		return false
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(s.room))), uintptr(len(s.room)), 0, 0, 0)
	p := s.peers[fd]
	switch {
	case errno == 0 && n > 0:
		l.received(p, s.room[:n])
	case errno == unix.EAGAIN, errno == unix.EINTR: // epoll tells of it again
	default:
		if errno != 0 && p.state == open { // a second read would not say so again
			p.why = os.NewSyscallError("recvfrom", errno)
		}
		return false
	}
	return true
}

// see and lose follow who has a descriptor.
func (s *sight) see(p *peer) {
	fd := p.c.Fd()
	for fd >= len(s.peers) {
		s.peers = append(s.peers, nil)
	}
	s.peers[fd] = p
}

func (s *sight) lose(p *peer) {
	if fd := p.c.Fd(); fd < len(s.peers) && s.peers[fd] == p {
		s.peers[fd] = nil
	}
}
