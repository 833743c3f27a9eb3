package poll

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// pair gives both ends of one connection, watched by p under tags 1 and 2.
func pair(t *testing.T, p *Poller) (a, b *Stream) {
	t.Helper()
	ln, at, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ln)
	if err := p.Add(ln, 0, Read); err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddr("127.0.0.9")
	fd, err := Dial(at, from)
	if err != nil {
		t.Fatal(err)
	}
	until(t, p, func(ev unix.EpollEvent) bool { return ev.Fd == 0 })
	other, err := Accept(ln)
	if err != nil {
		t.Fatal(err)
	}
	if err := SocketError(fd); err != nil {
		t.Fatalf("connect: %v", err)
	}
	if me, err := Bound(fd); err != nil || me.Addr() != from {
		t.Fatalf("dialled from %v (%v), want %v", me, err, from)
	}
	t.Cleanup(func() { unix.Close(fd); unix.Close(other) })
	a, b = &Stream{FD: fd, Tag: 1}, &Stream{FD: other, Tag: 2}
	for _, s := range []*Stream{a, b} {
		if err := p.Add(s.FD, s.Tag, Read); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// until waits for an event that f accepts, at most a minute.
func until(t *testing.T, p *Poller, f func(unix.EpollEvent) bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		events, err := p.Wait(100)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if f(ev) {
				return
			}
		}
	}
	t.Fatal("the event did not come within a minute")
}

func newPoller(t *testing.T) *Poller {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestKeptBytesComeBackFirst(t *testing.T) {
	p := newPoller(t)
	a, b := pair(t, p)
	scratch := make([]byte, 64)
	for i, part := range []string{"hel", "lo ", "world"} {
		if err := a.Write(p, []byte(part)); err != nil {
			t.Fatal(err)
		}
		until(t, p, func(ev unix.EpollEvent) bool { return ev.Fd == 2 })
		got, err := b.Read(scratch)
		if err != nil {
			t.Fatal(err)
		}
		if want := "hello world"[:[]int{3, 6, 11}[i]]; string(got) != want {
			t.Fatalf("after part %d: %q, want %q", i, got, want)
		}
		b.Keep(got)
	}
}

func TestNothingThereAndEnd(t *testing.T) {
	p := newPoller(t)
	a, b := pair(t, p)
	if got, err := b.Read(make([]byte, 8)); got != nil || err != nil {
		t.Fatalf("an idle socket gave %q, %v", got, err)
	}
	if err := unix.Shutdown(a.FD, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	until(t, p, func(ev unix.EpollEvent) bool { return ev.Fd == 2 })
	if _, err := b.Read(make([]byte, 8)); err != io.EOF {
		t.Fatalf("the peer's end gave %v, want EOF", err)
	}
	b.Keep(make([]byte, 8))
	if _, err := b.Read(make([]byte, 8)); !errors.Is(err, io.ErrShortBuffer) {
		t.Fatalf("a full scratch gave %v, want short buffer", err)
	}
}

// A peer that does not read must not lose or mix bytes: what the kernel does not
// take waits, and later writes queue behind it.
func TestWritesThatDoNotFitWait(t *testing.T) {
	p := newPoller(t)
	a, b := pair(t, p)
	var want bytes.Buffer
	for i := 0; a.Waiting() == 0 || i < 20; i++ {
		part := bytes.Repeat([]byte{byte(i)}, 300_000)
		want.Write(part)
		if err := a.Write(p, part); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	scratch := make([]byte, 1<<20)
	until(t, p, func(ev unix.EpollEvent) bool {
		if ev.Fd == 1 && ev.Events&Write != 0 {
			if err := a.Flush(p); err != nil {
				t.Fatal(err)
			}
		}
		if ev.Fd == 2 {
			part, err := b.Read(scratch)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
		}
		return len(got) >= want.Len()
	})
	if !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%d bytes came, not the %d that were sent", len(got), want.Len())
	}
	if a.wait || a.Waiting() != 0 {
		t.Fatal("the stream still waits for room")
	}
}

func TestDialRefused(t *testing.T) {
	ln, at, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(ln)
	p := newPoller(t)
	fd, err := Dial(at, netip.Addr{})
	if err != nil {
		return // the kernel may say so at once
	}
	defer unix.Close(fd)
	if err := p.Add(fd, 7, Write); err != nil {
		t.Fatal(err)
	}
	until(t, p, func(ev unix.EpollEvent) bool { return ev.Fd == 7 })
	if err := SocketError(fd); err != unix.ECONNREFUSED {
		t.Fatalf("got %v, want connection refused", err)
	}
}

func TestListenTwice(t *testing.T) {
	ln, at, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ln)
	if fd, _, err := Listen(at); err == nil {
		unix.Close(fd)
		t.Fatal("two listeners at one port")
	}
}

func TestNobodyWaits(t *testing.T) {
	ln, _, err := Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ln)
	if _, err := Accept(ln); err != unix.EAGAIN {
		t.Errorf("accept: %v, want EAGAIN", err)
	}
	p := newPoller(t)
	if events, err := p.Wait(0); err != nil || len(events) != 0 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// A wait ends by what comes or by its time, whichever is first, and the time may be short.
func TestWaitFor(t *testing.T) {
	p := newPoller(t)
	a, _ := pair(t, p)
	if events, err := p.WaitFor(200 * time.Microsecond); err != nil || len(events) != 0 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	if events, err := p.WaitFor(-time.Second); err != nil || len(events) != 0 {
		t.Fatalf("a time that has passed: %d events, %v", len(events), err)
	}
	if err := a.Write(p, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if events, err := p.WaitFor(time.Minute); err != nil || len(events) != 1 || events[0].Fd != 2 {
		t.Fatalf("%v, %v", events, err)
	}
	if _, err := (&Poller{fd: -1}).WaitFor(time.Minute); err == nil || !strings.Contains(err.Error(), "epoll_pwait2") {
		t.Errorf("error %v", err)
	}
}

// Errors name the call and the place, since nobody sees a stack.
func TestBadSocketsAndAddresses(t *testing.T) {
	p := newPoller(t)
	cases := map[string]func() error{
		"epoll_ctl socket 9999": func() error { return p.Add(9999, 0, Read) },
		"getsockname":           func() error { _, err := Bound(9999); return err },
		"listen at 192.0.2.1":   func() error { _, _, err := Listen(netip.MustParseAddrPort("192.0.2.1:1")); return err },
		"connect to 127.0.0.1:1": func() error {
			_, err := Dial(netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddr("192.0.2.1"))
			return err
		},
	}
	for want, f := range cases {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if n, err := write(9999, nil); n != 0 || err != unix.EINVAL {
		t.Errorf("a write of nothing: %d, %v", n, err)
	}
	s := Stream{FD: 9999}
	if _, err := s.Read(make([]byte, 8)); err != unix.EBADF {
		t.Errorf("read: %v", err)
	}
	if err := s.Write(p, []byte{1}); err != unix.EBADF {
		t.Errorf("write: %v", err)
	}
}

func TestStreamsDoNotAllocate(t *testing.T) {
	p := newPoller(t)
	a, b := pair(t, p)
	part, scratch := make([]byte, 180), make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() {
		if err := a.Write(p, part); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(1000); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Read(scratch); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations a turn", n)
	}
}
