package conn

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func congestionOf(t *testing.T, c net.Conn) (name string) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSocketsAreNotPaced(t *testing.T) {
	lc := net.ListenConfig{Control: unpaced}
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	d := net.Dialer{Control: unpaced}
	out, err := d.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for side, c := range map[string]net.Conn{"dialled": out, "accepted": in} {
		if got := congestionOf(t, c); got != congestion {
			t.Errorf("%s: %s", side, got)
		}
	}
}
