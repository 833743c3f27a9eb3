package supervisor

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// notice is one datagram of a worker.
type notice struct {
	pid    int
	values map[string]string
}

// notices are what workers say. Only processes of this user are heard, and of them
// only the worker and who was started by it: the kernel says who a sender is.
type notices struct {
	name  string // for NOTIFY_SOCKET
	c     *net.UnixConn
	heard chan notice
	quit  chan struct{}

	mu     sync.Mutex
	readys map[int]time.Time // of processes that are no workers yet
}

const (
	maxNotice = 4 << 10
	maxReadys = 64
)

// listen opens a socket with an abstract name, which nobody has to clean up.
func listen() (*notices, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, err
	}
	n := &notices{name: "@tongka-" + hex.EncodeToString(b[:]), heard: make(chan notice, 64), quit: make(chan struct{}), readys: map[int]time.Time{}}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.name, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("supervisor: %w", err)
	}
	raw, err := c.SyscallConn()
	if err == nil {
		var serr error
		err = raw.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		err = errors.Join(err, serr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("supervisor: %w", err), c.Close())
	}
	n.c = c
	go n.read()
	return n, nil
}

func (n *notices) close() {
	close(n.quit)
	_ = n.c.Close()
}

// read brings datagrams until the socket is closed.
func (n *notices) read() {
	b, oob := make([]byte, maxNotice), make([]byte, 256)
	for {
		size, osize, flags, _, err := n.c.ReadMsgUnix(b, oob)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
			continue
		}
		pid, ok := sender(oob[:osize])
		if !ok {
			continue
		}
		values := parse(string(b[:size]))
		if values["READY"] == "1" {
			n.note(pid)
		}
		select {
		case n.heard <- notice{pid, values}:
		case <-n.quit:
			return
		}
	}
}

// sender is who has sent, when that is a process of this user.
func sender(oob []byte) (pid int, ok bool) {
	all, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for i := range all {
		cred, err := syscall.ParseUnixCredentials(&all[i])
		if err == nil {
			return int(cred.Pid), int(cred.Uid) == os.Getuid()
		}
	}
	return 0, false
}

// parse takes a notice apart; lines that are no assignments are passed over.
func parse(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			values[name] = value
		}
	}
	return values
}

func (n *notices) note(pid int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.readys) >= maxReadys { // of processes that are long gone
		clear(n.readys)
	}
	n.readys[pid] = time.Now()
}

// ready is when a process said that it is; zero when it did not.
func (n *notices) ready(pid int) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.readys[pid]
}

// hearAll takes in what has been said by now.
func (s *supervisor) hearAll() {
	for {
		select {
		case n := <-s.notices.heard:
			s.heard(&n)
		default:
			return
		}
	}
}

// heard takes a notice in.
func (s *supervisor) heard(n *notice) {
	w := s.w
	if w == nil || n.pid != w.pid {
		return // of a successor: what counts of it is known when it is the worker
	}
	now := time.Now()
	w.beat = now
	v := n.values
	if usec, ok := micros(v["WATCHDOG_USEC"]); ok && s.o.Heartbeat > 0 {
		w.window = usec
	}
	if more, ok := micros(v["EXTEND_TIMEOUT_USEC"]); ok {
		w.extend(now, more)
		s.tell(s.o.Notify.ExtendTimeout(more))
	}
	if pid, err := strconv.Atoi(v["MAINPID"]); err == nil && pid != w.pid {
		s.heir = pid
		w.mustEnd(now, s.o.Stop, "") // it has nothing left to do, and no heartbeat
	}
	switch {
	case v["READY"] == "1":
		if w.ready.IsZero() {
			w.ready = now
		}
		s.tell(s.o.Notify.Ready(v["STATUS"]))
	case v["RELOADING"] == "1":
		s.tell(s.o.Notify.Reloading())
	case v["STOPPING"] == "1":
		w.mustEnd(now, s.o.Stop, "")
	case v["STATUS"] != "":
		s.tell(s.o.Notify.Status(v["STATUS"]))
	}
}

// extend gives a worker more time for the start or stop that it is at.
func (w *worker) extend(now time.Time, more time.Duration) {
	if !w.until.IsZero() && w.until.Before(now.Add(more)) {
		w.until = now.Add(more)
	}
	if !w.die.IsZero() && w.why == "" && w.die.Before(now.Add(more)) {
		w.die = now.Add(more)
	}
}

// maxWindow is the longest time that a worker may ask for.
const maxWindow = 24 * time.Hour

func micros(text string) (time.Duration, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > maxWindow.Microseconds() {
		return 0, false
	}
	return time.Duration(n) * time.Microsecond, true
}
