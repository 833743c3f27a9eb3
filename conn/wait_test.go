package conn

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socketOf gives a bare loop's peer a real socket, and its other end.
func socketOf(t *testing.T) (l *loop, r *relay, fd int32, far int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(pair[0])
		_ = unix.Close(pair[1])
	})
	l, r, p := bare()
	t.Cleanup(func() { l.timer.Stop() })
	l.sight.room = make([]byte, readRoom)
	for len(l.sight.peers) <= pair[0] {
		l.sight.peers = append(l.sight.peers, nil)
	}
	l.sight.peers[pair[0]] = p
	return l, r, int32(pair[0]), pair[1]
}

// What epoll tells twice, or of a descriptor that has another owner by now, does no
// harm, and the end of a connection is left to gnet.
func TestReadsWhatIsThere(t *testing.T) {
	l, r, fd, far := socketOf(t)
	p := l.sight.peers[fd]
	if !l.read(fd) || p.why != nil {
		t.Errorf("nothing to read: handed to gnet, %v", p.why)
	}
	if _, err := unix.Write(far, append(framed("one"), framed("two")...)); err != nil {
		t.Fatal(err)
	}
	if !l.read(fd) {
		t.Error("two frames: handed to gnet")
	}
	l.tick()
	if n := r.n.Load(); n != 2 {
		t.Errorf("%d frames, want 2", n)
	}
	if l.read(1 << 20) {
		t.Error("a descriptor beyond all was read")
	}
	l.sight.lose(p)
	if fd := p.c.Fd(); l.sight.peers[fd] != nil {
		t.Error("a peer that is gone is still seen")
	}
	l.sight.peers[fd] = p
	if err := unix.Shutdown(far, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if l.read(fd) || p.why != nil {
		t.Errorf("the end of the stream is gnet's to see: %v", p.why)
	}
	none, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	for len(l.sight.peers) <= int(none.Fd()) {
		l.sight.peers = append(l.sight.peers, nil)
	}
	l.sight.peers[none.Fd()] = p
	if l.read(int32(none.Fd())) || !errors.Is(p.why, unix.ENOTSOCK) {
		t.Errorf("the error of a read, which the kernel may say only once, is lost: %v", p.why)
	}
}

// A loop that is never scheduled would keep the runtime's monitor awake.
func TestLoopYields(t *testing.T) {
	var yields, turns []int64 // when, by the loop's own clock
	missed := 0
	f, probes := run(t, door1(), func(p *probe) {
		l := p.loop.(*loop)
		l.yield = func() { p.see(func() { yields = append(yields, l.now) }) }
		p.onTick = func(now int64) int64 {
			if n := len(turns); n > 0 && turns[n-1]-last(yields) >= yieldEvery {
				missed++
			}
			turns = append(turns, now)
			return 0
		}
	})
	c := dial(t, f)
	for began := time.Now(); time.Since(began) < 10*time.Duration(yieldEvery); {
		ask(t, c, "sale")
	}
	probes[0].see(func() { // a stop has ticks of its own
		if missed > 0 || len(yields) < 10 {
			t.Errorf("%d turns, %d yields, %d missed", len(turns), len(yields), missed)
		}
		for i := 1; i < len(yields); i++ {
			if d := yields[i] - yields[i-1]; d < yieldEvery {
				t.Errorf("yields are %v apart, want %v at least", time.Duration(d), time.Duration(yieldEvery))
			}
		}
	})
}

func last(of []int64) int64 {
	if len(of) == 0 {
		return 0
	}
	return of[len(of)-1]
}
