package conn

import (
	"net"
	"net/netip"
	"reflect"
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

// What is accepted has its options from the listening socket: also from one that
// another process has opened, and knew none of them.
func TestAcceptedSocketsAreTuned(t *testing.T) {
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inherited := map[string]*net.TCPListener{"other": bare.(*net.TCPListener)}
	cfg := Config{Inherited: inherited, Listeners: []ListenerConfig{
		{Name: "pos", Addr: "127.0.0.1:0", Framing: Binary2},
		{Name: "other", Addr: bare.Addr().String(), Framing: Binary2},
	}}
	f, _ := run(t, cfg)
	for i := range cfg.Listeners {
		c, err := net.Dial("tcp", f.Addr(i).String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ask(t, c, "in")
	}
	seen := make(chan map[string]int, 2)
	if err := f.loops[0].run(t.Context(), func() {
		for _, s := range f.loops[0].slots {
			if s.p == nil {
				continue
			}
			got := map[string]int{}
			for name, o := range map[string][2]int{
				"no delay": {unix.IPPROTO_TCP, unix.TCP_NODELAY}, "keep-alive": {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
				"idle": {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, "interval": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
				"count": {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			} {
				got[name], _ = unix.GetsockoptInt(s.p.c.Fd(), o[0], o[1])
			}
			seen <- got
		}
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"no delay": 1, "keep-alive": 1, "idle": 30, "interval": 10, "count": 3}
	for range cfg.Listeners {
		if got := <-seen; !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// A terminal that comes for one sale costs one system call to take in, and no memory
// before anybody knows whether it may come. Who it is, is the same for IPv4 on a
// listener for both.
func TestTakingACallerInAllocatesNothing(t *testing.T) {
	const callers = 50
	for listen, host := range map[string]string{"127.0.0.1:0": "127.0.0.1", "[::1]:0": "::1", "[::]:0": "127.0.0.1"} {
		ln, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		_, port, err := net.SplitHostPort(ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		e, err := (&Front{}).newEntrance(ln.(*net.TCPListener))
		if err != nil {
			t.Fatal(err)
		}
		var come []string
		for range callers + 2 { // one to see that it works, and one that AllocsPerRun runs before
			c, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			come = append(come, c.LocalAddr().String())
		}
		k := &e.come
		seen := make([]netip.AddrPort, 0, len(come))
		next := func() {
			if !k.accept(e.fd) || k.err != nil {
				t.Fatal(k.err)
			}
			seen = append(seen, k.remote())
			_ = unix.Close(k.fd)
		}
		next()
		if n := testing.AllocsPerRun(callers, next); n != 0 {
			t.Errorf("%s: %v allocations", listen, n)
		}
		for i, at := range seen {
			if at.String() != come[i] {
				t.Errorf("%s: caller %d is %v, want %s", listen, i, at, come[i])
			}
		}
		e.close()
		if _, ok := e.next(); ok {
			t.Errorf("%s: somebody came in by a closed entrance", listen)
		}
	}
}
