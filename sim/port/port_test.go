package port

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A held port refuses callers until somebody listens there, and again between two
// who do; while one listens no other can.
func TestHold(t *testing.T) {
	h, all, err := Hold(3)
	if err != nil || len(all) != 3 || all[0] == all[1] || all[1] == all[2] {
		t.Fatal(all, err)
	}
	for _, at := range all {
		for range 3 {
			if c, err := net.Dial("tcp", at.String()); !errors.Is(err, unix.ECONNREFUSED) {
				t.Fatal(c, err)
			}
			l := listen(t, at.String())
			if other, err := net.Listen("tcp", at.String()); !errors.Is(err, unix.EADDRINUSE) {
				t.Fatal(other, err)
			}
			ask(t, l)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := listen(t, all[0].String())
	defer l.Close()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	ask(t, l)
	if err := h.Close(); err != nil {
		t.Error("closed again:", err)
	}
}

// Nobody who asks for any port gets one that is held, nor does who dials.
func TestHeldPortsAreNobodys(t *testing.T) {
	h, all, err := Hold(2000)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	held := map[string]bool{}
	for _, at := range all {
		held[at.String()] = true
	}
	door := listen(t, "127.0.0.1:0")
	defer door.Close()
	for range 1000 {
		l := listen(t, "127.0.0.1:0")
		c, err := net.Dial("tcp", door.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if held[l.Addr().String()] || held[c.LocalAddr().String()] {
			t.Fatal(l.Addr(), c.LocalAddr(), "was held")
		}
		s, err := door.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// The server's end closes last, so that no port stays behind.
		if err := errors.Join(l.Close(), c.(*net.TCPConn).SetLinger(0), c.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func listen(t *testing.T, at string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ask sends a byte through l.
func ask(t *testing.T, l net.Listener) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(make([]byte, 1)); n != 1 {
		t.Fatal(err)
	}
}
