package crowd

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
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
