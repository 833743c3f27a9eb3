package crowd

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tongka/bench/internal/poll"
)

// house takes callers in, counts what they say and shows every third the door
// after two bytes.
type house struct {
	ln            net.Listener
	came, heard   atomic.Int64
	shown, broken atomic.Int64
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{ln: ln}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go h.listen(c, h.came.Add(1)%3 == 0)
		}
	}()
	return h
}

func (h *house) listen(c net.Conn, short bool) {
	defer c.Close()
	b := make([]byte, 1)
	for n := 0; ; n++ {
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		if want := byte(0); n == 1 {
			want = 0xFF
			if b[0] != want {
				h.broken.Add(1)
			}
		} else if b[0] != want {
			h.broken.Add(1)
		}
		h.heard.Add(1)
		if short && n == 1 {
			h.shown.Add(1)
			return
		}
	}
}

func (h *house) at() netip.AddrPort { return netip.MustParseAddrPort(h.ln.Addr().String()) }

func TestCrowdTalksAndComesBack(t *testing.T) {
	h := newHouse(t)
	const n = 30
	stop := make(chan struct{})
	go func() { // until enough was said, or the test's patience is over
		for end := time.Now().Add(time.Minute); h.heard.Load() < 8*n && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		close(stop)
	}()
	gathered := int64(0)
	r, err := Run(Spec{Address: h.at(), Connections: n, Every: 20 * time.Millisecond, Gather: 30 * time.Millisecond}, func() error { gathered = h.came.Load(); return nil }, stop)
	if err != nil {
		t.Fatal(err)
	}
	if h.broken.Load() != 0 || h.heard.Load() < 8*n || r.Bytes < h.heard.Load() {
		t.Errorf("%d bytes heard of %+v, %d wrong", h.heard.Load(), r, h.broken.Load())
	}
	if h.shown.Load() == 0 || r.Cut == 0 || r.Cut > h.shown.Load() || r.Dialled <= n || gathered == 0 {
		t.Errorf("%d were shown the door, %+v, %d came before ready", h.shown.Load(), r, gathered)
	}
}

func TestCrowdFaults(t *testing.T) {
	h := newHouse(t)
	for _, s := range []Spec{{}, {Address: h.at(), Connections: 1}, {Address: h.at(), Every: time.Second}, {Connections: 1, Every: time.Second},
		{Address: h.at(), Connections: 1, Every: time.Second, Gather: -1}} {
		if _, err := Run(s, nil, nil); err == nil {
			t.Errorf("%+v runs", s)
		}
	}
	late := errors.New("late")
	if _, err := Run(Spec{Address: h.at(), Connections: 1, Every: time.Second}, func() error { return late }, nil); err == nil {
		t.Error("runs though nobody waits")
	}
}

// First bytes come evenly while the crowd gathers, and what follows each by a fixed
// time does so, too.
func TestCrowdBeginsEvenly(t *testing.T) {
	for _, s := range []Spec{
		{Connections: 10_000, Every: time.Second, Gather: 10 * time.Second},
		{Connections: 999, Every: time.Second, Gather: 2500 * time.Millisecond},
	} {
		order := s.order()
		slot := make([]time.Duration, s.Connections) // in the interval
		for at, i := range order {
			slot[i] = s.Every * time.Duration(at) / time.Duration(s.Connections)
		}
		if got := slices.Sorted(slices.Values(order)); got[0] != 0 || got[len(got)-1] != s.Connections-1 || len(slices.Compact(got)) != s.Connections {
			t.Fatalf("%+v: somebody has no turn", s)
		}
		tenths := map[time.Duration]int{}
		for i := range order {
			came := s.comes(i)
			wait := (slot[i] - came%s.Every + s.Every) % s.Every
			tenths[(came+wait)/(s.Every/10)]++
		}
		even := float64(s.Connections) / float64(s.Gather) * float64(s.Every/10)
		for tenth, n := range tenths {
			if float64(n) > 2.5*even+2 {
				t.Errorf("%+v: %d begin in tenth %d of a second, evenly %.0f", s, n, tenth, even)
			}
		}
	}
}

// A crowd that was held up catches up little by little.
func TestCrowdBurst(t *testing.T) {
	if n := (&Spec{Connections: 10_000, Every: time.Second}).burst(); n != 44 {
		t.Errorf("%d bytes a millisecond", n)
	}
	h := newHouse(t)
	s := Spec{Address: h.at(), Connections: 2, Every: time.Second}
	p, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{spec: s, p: p, fds: []int{-1, -1}, said: make([]int, 2), due: time.Now().Add(-time.Minute), began: time.Now(), order: s.order(), burst: 3}
	defer c.close()
	late := time.Since(c.due)
	if err := c.step(); err != nil {
		t.Fatal(err)
	}
	if caught := late - time.Since(c.due); caught > 1500*time.Millisecond {
		t.Errorf("%v were made good at once", caught)
	}
}
