package conn

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

func TestFramesHoweverTheyComeApart(t *testing.T) {
	f, probes := run(t, door1())
	r := rand.New(rand.NewPCG(7, 7))
	var stream []byte
	var want []string
	for i := range 200 {
		p := fmt.Sprintf("%d:%s", i, strings.Repeat("z", r.IntN(700)))
		want = append(want, p)
		stream = append(stream, framed(p)...)
	}
	cuts := map[string]func(left int) int{
		"byte by byte":  func(int) int { return 1 },
		"one segment":   func(left int) int { return left },
		"random pieces": func(left int) int { return min(left, 1+r.IntN(900)) },
	}
	for name, cut := range cuts {
		c := dial(t, f)
		go func(b []byte) {
			for len(b) > 0 {
				n := cut(len(b))
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
				b = b[n:]
			}
		}(stream[:len(stream):len(stream)])
		for i, p := range want {
			if got := read(t, c); got != p {
				t.Fatalf("%s: frame %d came back as %.20q, want %.20q", name, i, got, p)
			}
		}
	}
	if _, _, n := probes[0].count(); n != len(cuts)*len(want) {
		t.Errorf("%d frames, want %d", n, len(cuts)*len(want))
	}
	within(t, "counters", func() bool {
		s := f.Stats()
		return s.FramesIn == uint64(len(cuts)*len(want)) && s.BytesIn == uint64(len(cuts)*len(stream)) && s.BytesOut == s.BytesIn
	})
}

const hostileMax = 1000

var bigFrame = framed(strings.Repeat("x", hostileMax+1))

// hostile are the ways to misbehave, the reason that each must be closed for,
// and the counter that must say so.
var hostile = []struct {
	name    string
	framing Framing
	send    []byte
	then    func(c *net.TCPConn) // after sending; nil waits for our end
	want    error
	counted func(s Stats) uint64
}{
	{"length zero", Binary2, []byte{0, 0}, nil, ErrEmpty, func(s Stats) uint64 { return s.ClosedEmpty }},
	{"length zero after a frame", Binary2, append(framed("a"), 0, 0), nil, ErrEmpty, func(s Stats) uint64 { return s.ClosedEmpty }},
	{"only the length of a giant", Binary2, []byte{0xFF, 0xFF}, nil, ErrOversize, func(s Stats) uint64 { return s.ClosedOversize }},
	{"one byte over", Binary2, bigFrame, nil, ErrOversize, func(s Stats) uint64 { return s.ClosedOversize }},
	{"one byte over after a part", Binary2, append(framed("a"), bigFrame[:2]...), nil, ErrOversize, func(s Stats) uint64 { return s.ClosedOversize }},
	{"HTTP at the door", Binary2, []byte("GET / HTTP/1.1\r\n\r\n"), nil, ErrOversize, func(s Stats) uint64 { return s.ClosedOversize }},
	{"TLS at the door", Binary2, []byte{0x16, 3, 1, 2, 0}, nil, ErrOversize, func(s Stats) uint64 { return s.ClosedOversize }},
	{"half a length", Binary2, []byte{1}, nil, ErrHalfFrame, func(s Stats) uint64 { return s.ClosedHalfFrame }},
	{"half a frame", Binary2, framed("hello")[:4], nil, ErrHalfFrame, func(s Stats) uint64 { return s.ClosedHalfFrame }},
	{"a frame and a half", Binary2, append(framed("a"), 0, 5, 'h'), nil, ErrHalfFrame, func(s Stats) uint64 { return s.ClosedHalfFrame }},
	{"half a frame and the end", Binary2, framed("hello")[:4], func(c *net.TCPConn) { _ = c.Close() }, io.EOF, func(s Stats) uint64 { return s.ClosedByPeer }},
	{"nothing and the end", Binary2, nil, func(c *net.TCPConn) { _ = c.Close() }, io.EOF, func(s Stats) uint64 { return s.ClosedByPeer }},
	{"reset in the middle", Binary2, framed("hello")[:4], reset, nil, func(s Stats) uint64 { return s.ClosedReset }},
	{"silence", Binary2, nil, nil, ErrIdle, func(s Stats) uint64 { return s.ClosedIdle }},
	{"letters as length", ASCII4, []byte("GET /"), nil, ErrMalformed, func(s Stats) uint64 { return s.ClosedMalformed }},
	{"a sign as length", ASCII4, []byte("+001x"), nil, ErrMalformed, func(s Stats) uint64 { return s.ClosedMalformed }},
	{"9999 as length", ASCII4, []byte("9999"), nil, ErrOversize, func(s Stats) uint64 { return s.ClosedOversize }},
}

// Each pattern must end its own connection for the right reason, and must not
// disturb an honest one.
func TestHostilePeers(t *testing.T) {
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			// Both have the same loop, and only who shall lose it a time limit.
			cfg := Config{Listeners: []ListenerConfig{
				listenerNamed("honest", func(l *ListenerConfig) { l.Framing = h.framing }),
				listenerNamed("hostile", func(l *ListenerConfig) { l.Framing, l.MaxFrame = h.framing, hostileMax }),
			}}
			switch h.want {
			case ErrHalfFrame:
				cfg.Listeners[1].FrameTimeout = 100 * time.Millisecond
			case ErrIdle:
				cfg.Listeners[1].Idle = 400 * time.Millisecond
			}
			f, probes := run(t, cfg)
			honest := dial(t, f)
			quiet := h.framing == ASCII4
			greet := func() {
				if quiet { // the probe answers in binary
					write(t, honest, []byte("0000"))
				} else {
					ask(t, honest, "still here")
				}
			}
			greet()
			c := dialAt(t, f, 1)
			write(t, c, h.send)
			if h.then != nil {
				within(t, "the bytes were read", func() bool { return f.Stats().BytesIn >= uint64(len(h.send)) })
				h.then(c)
			}
			var errs []error
			within(t, "the hostile connection closed", func() bool {
				greet()
				probes[0].see(func() {
					for _, err := range probes[0].closed {
						errs = append(errs, err)
					}
				})
				return len(errs) > 0
			})
			if h.want != nil && !errors.Is(errs[0], h.want) || errs[0] == nil {
				t.Errorf("closed for %v, want %v", errs[0], h.want)
			}
			within(t, "the reason is counted", func() bool { return h.counted(f.Stats()) == 1 })
			// Who is not answered may have been seen by his acceptor after the other has gone.
			within(t, "only the honest one is open", func() bool { return f.Stats().Open == 1 })
		})
	}
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// The deadline of a frame runs from its first byte; more bytes do not move it.
func TestHalfFrameDeadlineIsNotRenewed(t *testing.T) {
	f, probes := run(t, door1(func(l *ListenerConfig) { l.FrameTimeout = 200 * time.Millisecond }))
	c := dial(t, f)
	slow := framed(strings.Repeat("s", 8000))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var sent int
	for end := time.Now().Add(patience); sent < len(slow); sent++ {
		if _, err := c.Write(slow[sent : sent+1]); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a byte at a time goes on for ever")
		}
		<-tick.C
	}
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrHalfFrame) {
		t.Errorf("closed for %v after %d bytes", errs[0], sent)
	}
}

// A slow frame in time, then another, each with a deadline of its own.
func TestSlowFramesInTime(t *testing.T) {
	const limit, pause = 400 * time.Millisecond, 60 * time.Millisecond
	f, _ := run(t, door1(func(l *ListenerConfig) { l.FrameTimeout = limit }))
	var parts [][]byte
	for i := range 4 { // together longer than one deadline
		msg := framed(fmt.Sprint("slow", i))
		parts = append(parts, msg[:1], msg[1:4], msg[4:])
	}
	inTime(t, f, parts, pause, limit/4, func(c net.Conn) error {
		for i := range 4 {
			b := make([]byte, 7)
			if _, err := io.ReadFull(c, b); err != nil || string(b) != string(framed(fmt.Sprint("slow", i))) {
				return fmt.Errorf("%q, %w", b, err)
			}
		}
		return nil
	})
}

// inTime writes parts with a pause before each, on a connection of its own, and
// has the answers read. Where that fails and a pause was of late or longer, the
// machine stood still: it is done again.
func inTime(t *testing.T, f *Front, parts [][]byte, pause, late time.Duration, answers func(net.Conn) error) {
	t.Helper()
	for range 100 {
		c := dial(t, f)
		longest, last := time.Duration(0), time.Now()
		var err error
		for _, p := range parts {
			<-time.After(pause)
			if _, err = c.Write(p); err != nil {
				break
			}
			longest, last = max(longest, time.Since(last)), time.Now()
		}
		longest = max(longest, time.Since(last)) // the write that failed, too
		if err = errors.Join(err, answers(c)); err == nil {
			return
		}
		_ = c.Close()
		if longest < late {
			t.Fatalf("%v, with pauses of at most %v", err, longest)
		}
	}
	t.Fatal("the machine stands still again and again")
}

func TestIdleIsRenewedByFramesAndKeepAlives(t *testing.T) {
	const limit = 150 * time.Millisecond
	f, probes := run(t, door1(func(l *ListenerConfig) {
		l.Framing, l.Idle = ASCII4, limit
	}), func(p *probe) { p.on = func(ID, []byte) bool { return true } })
	var parts [][]byte
	for range 6 { // together more than three times the limit
		parts = append(parts, []byte("0000"), []byte("0001x"))
	}
	before := f.Stats()
	inTime(t, f, parts, limit/4, limit/2, func(c net.Conn) error {
		// Idle in the end, and not before all of it was read.
		_, err := io.Copy(io.Discard, c)
		s := f.Stats()
		k, n := s.KeepAlives-before.KeepAlives, s.FramesIn-before.FramesIn
		if before = s; k != 6 || n != 6 {
			return fmt.Errorf("closed after %d keep-alives and %d frames: %w", k, n, err)
		}
		return err
	})
	for _, err := range probes[0].ends(1) {
		if !errors.Is(err, ErrIdle) {
			t.Errorf("closed for %v", err)
		}
	}
}

// What the handler keeps of a lent frame is overwritten, alone or in a row.
func TestLentFramesAreMangled(t *testing.T) {
	var kept [][]byte
	f, probes := run(t, door1(), func(p *probe) {
		p.on = func(_ ID, b []byte) bool {
			if string(b) != "lent" {
				t.Errorf("frame %q was overwritten before it was lent", b)
			}
			kept = append(kept, b)
			return false
		}
	})
	c := dial(t, f)
	write(t, c, append(framed("lent"), framed("lent")...))
	read(t, c)
	read(t, c)
	write(t, c, framed("lent")[:3])
	within(t, "half of it read", func() bool { return f.Stats().BytesIn == 15 })
	write(t, c, framed("lent")[3:])
	read(t, c)
	probes[0].see(func() {
		for i, b := range kept {
			if string(b) == "lent" {
				t.Errorf("frame %d can be kept", i)
			}
		}
	})
}

// A framing of another kind, without a limit of its own, is still bounded.
type endless struct{ Framing }

func (endless) Next(b []byte) ([]byte, int, error) { return nil, 0, nil }

func TestForeignFramingIsBounded(t *testing.T) {
	for _, pieces := range [][]int{{6000}, {3000, 3000}, {1, 5015, 1}} {
		f, probes := run(t, door1(func(l *ListenerConfig) { l.Framing, l.MaxFrame = endless{Binary2}, 5000 }))
		c := dial(t, f)
		sent := 0
		for _, n := range pieces {
			within(t, "what came before was read", func() bool { return f.Stats().BytesIn == uint64(sent) })
			write(t, c, make([]byte, n))
			sent += n
		}
		if errs := probes[0].ends(1); !errors.Is(errs[0], ErrOversize) {
			t.Errorf("%d: closed for %v", pieces, errs[0])
		}
	}
}

// contrary finds in "aab" a frame that it should have found in "aa" already.
type contrary struct{ Framing }

func (contrary) Next(b []byte) ([]byte, int, error) {
	if len(b) > 2 {
		return b[:1], 1, nil
	}
	return nil, 0, nil
}

func TestContraryFramingIsCut(t *testing.T) {
	f, probes := run(t, door1(func(l *ListenerConfig) { l.Framing = contrary{Binary2} }))
	c := dial(t, f)
	write(t, c, []byte("aa"))
	within(t, "two bytes kept", func() bool { return f.Stats().BytesIn == 2 })
	write(t, c, []byte("b"))
	if errs := probes[0].ends(1); !errors.Is(errs[0], ErrMalformed) {
		t.Errorf("closed for %v", errs[0])
	}
}
