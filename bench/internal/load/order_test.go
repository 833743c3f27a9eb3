package load

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"tongka/bench/internal/sale"
)

// perverse is a system under test that takes n requests from a connection
// before it answers them, in an order and in pieces of its own.
func perverse(t *testing.T, n int, answer func(frames [][]byte, c net.Conn) error) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		for {
			var frames [][]byte
			for range n {
				var head [2]byte
				if _, err := io.ReadFull(c, head[:]); err != nil {
					return
				}
				f := append(head[:], make([]byte, sale.FrameLen(head[:])-2)...)
				if _, err := io.ReadFull(c, f[2:]); err != nil {
					return
				}
				frames = append(frames, reply(f, "00"))
			}
			if err := answer(frames, c); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

func TestAnswersInAnyOrderAndInPieces(t *testing.T) {
	cases := map[string]struct {
		depth  int
		answer func([][]byte, net.Conn) error
	}{
		"last first": {8, func(f [][]byte, c net.Conn) error {
			for i := len(f) - 1; i >= 0; i-- {
				if _, err := c.Write(f[i]); err != nil {
					return err
				}
			}
			return nil
		}},
		"all at once": {8, func(f [][]byte, c net.Conn) error {
			_, err := c.Write(bytes.Join(f, nil))
			return err
		}},
		"byte by byte": {2, func(f [][]byte, c net.Conn) error {
			for _, b := range bytes.Join(f, nil) {
				if _, err := c.Write([]byte{b}); err != nil {
					return err
				}
			}
			return nil
		}},
		"in halves": {4, func(f [][]byte, c net.Conn) error {
			all := bytes.Join(f, nil)
			half := len(all)/2 + 3
			if _, err := c.Write(all[:half]); err != nil {
				return err
			}
			_, err := c.Write(all[half:])
			return err
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := short(perverse(t, c.depth, c.answer))
			// At the end of the window fewer than depth may be under way.
			s.Echo, s.Connections, s.Depth, s.Drain = false, 2, c.depth, 20*time.Millisecond
			r, err := Run(s, nil)
			if err != nil {
				t.Fatal(err)
			}
			for fault := range r.Faults {
				if fault != "no answer" {
					t.Errorf("faults %v", r.Faults)
				}
			}
			if r.Answers == 0 {
				t.Error("no answers")
			}
		})
	}
}

// A system that answers some requests and forgets one is found out: the
// forgotten one is named when its number comes round again, or counted.
func TestForgottenRequestIsAFault(t *testing.T) {
	first := true
	s := short(perverse(t, 4, func(f [][]byte, c net.Conn) error {
		if first {
			first, f = false, f[1:]
		}
		_, err := c.Write(bytes.Join(f, nil))
		return err
	}))
	s.Echo, s.Connections, s.Depth, s.Drain = false, 1, 7, 20*time.Millisecond
	r, err := Run(s, nil)
	if err == nil && r.Faults["no answer"] == 0 {
		t.Fatalf("%+v", r)
	}
}
