// Package port keeps addresses of this machine for those who will listen there
// later: a process that starts again and again at one address, or one whose
// address stands in a file before it runs.
package port

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Held are addresses that nobody gets by chance: neither who asks for any free
// port nor who dials out. Who names the port can listen there, once at a time.
type Held struct {
	fds []int
}

// Hold keeps n free ports of 127.0.0.1. A port that is only taken, looked at and
// closed is anybody's until it is opened again, and with the thousands of
// connections of a test that happens.
//
// It is kept by a socket that is bound and never listens: Linux lets another
// listen there when both have SO_REUSEADDR, as Go's listeners do (see socket(7)).
func Hold(n int) (*Held, []netip.AddrPort, error) {
	h := &Held{}
	var all []netip.AddrPort
	for range n {
		at, err := h.add()
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("hold a port: %w", err), h.Close())
		}
		all = append(all, at)
	}
	return h, all, nil
}

func (h *Held) add() (at netip.AddrPort, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return at, err
	}
	h.fds = append(h.fds, fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return at, err
	}
	local := [4]byte{127, 0, 0, 1}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: local}); err != nil {
		return at, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return at, err
	}
	return netip.AddrPortFrom(netip.AddrFrom4(local), uint16(name.(*unix.SockaddrInet4).Port)), nil
}

// Close lets go of the addresses; who listens at one goes on.
func (h *Held) Close() (err error) {
	for _, fd := range h.fds {
		err = errors.Join(err, unix.Close(fd))
	}
	h.fds = nil
	return err
}
