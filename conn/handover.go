package conn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Listening sockets go from one process to the next over a Unix stream:
//
//	| sockets (2) | bytes of names (2) | names, each with a zero byte behind |
//
// big-endian; the descriptors travel with the first four bytes (SCM_RIGHTS), in
// the order of the names.
const (
	handOverHead = 4
	maxHandOver  = 253 // SCM_MAX_FD of Linux: descriptors in one message
)

// HandOver sends a copy of every listening socket to the process at the other
// end of to. Nothing changes here: StopAccepting closes our own, and what waits
// in their backlog is the other's then.
//
// The copies share their file description with ours, so they must stay
// non-blocking: os/exec would change that and our accept could hang.
func (f *Front) HandOver(to *net.UnixConn) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var fds []int
	defer func() { closeFDs(fds) }()
	var names []byte
	for _, s := range f.sockets() {
		fd, err := s.in.give()
		if err != nil {
			return fmt.Errorf("hand over %q: %w", s.name, err)
		}
		fds = append(fds, fd)
		names = append(append(names, s.name...), 0)
	}
	if len(fds) > maxHandOver || len(names) > 1<<16-1 {
		return fmt.Errorf("hand over: %d sockets are over the %d that one message takes", len(fds), maxHandOver)
	}
	head := binary.BigEndian.AppendUint16(nil, uint16(len(fds)))
	head = binary.BigEndian.AppendUint16(head, uint16(len(names)))
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if n, _, err := to.WriteMsgUnix(head, rights, nil); err != nil || n != len(head) {
		return fmt.Errorf("hand over: %w", or(err, io.ErrShortWrite))
	}
	if _, err := to.Write(names); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return nil
}

// socket is one that listens, and the name that it has on its way.
type socket struct {
	name string
	in   *entrance
}

// sockets are all that listen; f.mu is held.
func (f *Front) sockets() (all []socket) {
	for _, l := range f.listeners {
		all = append(all, socket{l.cfg.Name, l.in})
	}
	for _, k := range f.links {
		if k.in != nil {
			all = append(all, socket{linkMark + k.cfg.Name, k.in})
		}
	}
	return all
}

// TakeOver receives what HandOver sent, for Config.Inherited. On an error
// nothing is left open. A deadline is from's owner's to set.
func TakeOver(from *net.UnixConn) (map[string]*net.TCPListener, error) {
	got, err := takeOver(from)
	if err != nil {
		closeSpare(got)
		return nil, fmt.Errorf("take over: %w", err)
	}
	return got, nil
}

var errHandOver = errors.New("the message is not one of sockets")

func takeOver(from *net.UnixConn) (map[string]*net.TCPListener, error) {
	head, fds, err := readHead(from)
	defer func() { closeFDs(fds) }() // a listener has a descriptor of its own
	if err != nil {
		return nil, err
	}
	names := make([]byte, binary.BigEndian.Uint16(head[2:]))
	if _, err := io.ReadFull(from, names); err != nil {
		return nil, err
	}
	each := strings.SplitAfter(string(names), "\x00")
	if n := len(each) - 1; n != int(binary.BigEndian.Uint16(head[:])) || n != len(fds) || each[n] != "" {
		return nil, errHandOver
	}
	got := map[string]*net.TCPListener{}
	for i, fd := range fds {
		name := strings.TrimSuffix(each[i], "\x00")
		ln, err := asListener(fd)
		if err != nil {
			return got, fmt.Errorf("%q: %w", name, err)
		}
		if got[name] != nil {
			_ = ln.Close()
			return got, fmt.Errorf("%q came twice", name)
		}
		got[name] = ln
	}
	return got, nil
}

// readHead reads the first four bytes and the descriptors that came with them.
func readHead(from *net.UnixConn) (head [handOverHead]byte, fds []int, err error) {
	rights := make([]byte, unix.CmsgSpace(4*maxHandOver))
	n, nr, flags, _, err := from.ReadMsgUnix(head[:], rights)
	if err != nil {
		return head, nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(rights[:nr])
	if err != nil {
		return head, nil, err
	}
	for i := range msgs {
		some, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			return head, fds, err
		}
		fds = append(fds, some...)
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return head, fds, errHandOver
	}
	_, err = io.ReadFull(from, head[n:])
	return head, fds, err
}

// asListener leaves fd open: the listener has a copy.
func asListener(fd int) (*net.TCPListener, error) {
	if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || on == 0 {
		return nil, errors.New("this is no listening socket")
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(dup), "listener")
	defer file.Close()
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	t, ok := ln.(*net.TCPListener)
	if !ok {
		_ = ln.Close()
		return nil, errors.New("this socket is not TCP")
	}
	return t, nil
}

// listensAt says that the socket is where the address of a configuration says.
// Port 0 wants any; no host is every address.
func listensAt(ln *net.TCPListener, addr string) bool {
	want, err := net.ResolveTCPAddr("tcp", addr)
	is, ok := ln.Addr().(*net.TCPAddr)
	if err != nil || !ok || want.Port != 0 && want.Port != is.Port {
		return false
	}
	if len(want.IP) == 0 || want.IP.IsUnspecified() {
		return is.IP.IsUnspecified()
	}
	return want.IP.Equal(is.IP)
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

func closeSpare(some map[string]*net.TCPListener) {
	for _, ln := range some {
		_ = ln.Close()
	}
}
