package conn

import (
	"errors"
	"io"
	"net"
	"testing"

	"tongka/conn/framing"
)

func named(t *testing.T, name string) Framing {
	t.Helper()
	f, ok := framing.Named(name)
	if !ok {
		t.Fatalf("no framing %q", name)
	}
	return f
}

// calls connects to the door of a bank; nil when it is refused at the very start.
func (h *attack) calls(link int, b []byte) net.Conn {
	c, err := net.Dial("tcp", h.f.LinkAddr(link).String())
	if err != nil {
		return nil
	}
	h.held = append(h.held, c)
	_, _ = c.Write(b)
	return c
}

var (
	malformed = func(s Stats) uint64 { return s.ClosedMalformed }
	empty     = func(s Stats) uint64 { return s.ClosedEmpty }
)

// framePatterns are what only some framings can be told wrongly.
var framePatterns = []pattern{
	{"a trailer that is another", func(h *attack) { h.says(etxDoor, []byte("\x00\x04abc\x04")) }, ErrMalformed, malformed, 1},
	{"a trailer and nothing before it", func(h *attack) { h.says(etxDoor, []byte("\x00\x01\x03")) }, ErrEmpty, empty, 1},
	{"a trailer that does not come", func(h *attack) { h.says(etxDoor, []byte("\x00\x04abc")) }, ErrHalfFrame, halves, 1},
	{"a length less than itself", func(h *attack) { h.says(selfDoor, []byte("\x00\x01")) }, ErrEmpty, empty, 1},
	{"a length of itself alone", func(h *attack) { h.says(selfDoor, []byte("\x00\x02")) }, ErrEmpty, empty, 1},
	{"letters in packed digits", func(h *attack) { h.says(bcdDoor, []byte("\x0A\x10")) }, ErrMalformed, malformed, 1},
	{"9999 in packed digits", func(h *attack) { h.says(bcdDoor, []byte("\x99\x99")) }, ErrOversize, oversize, 1},
	{"a keep-alive that nobody agreed upon", func(h *attack) { h.says(bcdDoor, []byte("\x00\x00")) }, ErrEmpty, empty, 1},
	{"keep-alives between halves of a frame", func(h *attack) {
		h.says(textDoor, []byte("0000000000030000")) // the payload is 000, the last 0 begins a length
	}, ErrHalfFrame, halves, 1},
}

// linePatterns are at the doors of banks.
var linePatterns = []pattern{
	{"a stranger at a bank's door", func(h *attack) {
		for range 20 {
			h.calls(otherBank, framed("I am your bank"))
		}
	}, nil, func(s Stats) uint64 { return s.Denied }, 20},
	{"a second line while the first lives", func(h *attack) {
		first := h.calls(ourBank, framed("first"))
		if got := read(h.T, first); got != "first" {
			h.Errorf("answered %q", got)
		}
		for range 5 {
			if c := h.calls(ourBank, nil); c != nil {
				_, _ = io.Copy(io.Discard, c) // refused ones that come too fast are a crowd
			}
		}
		ask(h.T, first, "still here")
	}, io.EOF, func(s Stats) uint64 { return s.LinesRefused }, 5},
	{"a crowd at a bank's door", func(h *attack) {
		for range 60 {
			h.calls(ourBank, nil)
		}
	}, io.EOF, func(s Stats) uint64 { return s.LinesRefused + s.Refused }, 59},
	{"a bank's half frame", func(h *attack) { h.calls(ourBank, framed("hello")[:4]) }, ErrHalfFrame, halves, 1},
	{"a bank's huge length", func(h *attack) { h.calls(ourBank, []byte{0xFF, 0xFF}) }, ErrOversize, oversize, 1},
	{"a bank's reset in the middle", func(h *attack) {
		before := h.f.Stats().BytesIn
		c := h.calls(ourBank, framed("hello")[:4])
		within(h.T, "the half is read", func() bool { return h.f.Stats().BytesIn == before+4 })
		reset(c.(*net.TCPConn))
	}, errors.New("reset"), resets, 1},
}

// Who talks on after we hung up is neither heard nor kept: reads on a connection
// cannot be paused, and gnet's own buffer has no bound.
func TestTalkingOnAfterTheEndIsNotKept(t *testing.T) {
	kept := 0
	f, probes := run(t, door1(), func(p *probe) {
		p.on = func(id ID, _ []byte) bool {
			p.loop.Close(id)
			return true
		}
		p.onTick = func(int64) int64 {
			for id := range p.peers {
				if q := p.loop.(*loop).peer(id); q != nil {
					kept = max(kept, q.c.InboundBuffered()+len(q.part))
				}
			}
			return 0
		}
	})
	c := dial(t, f)
	write(t, c, framed("hang up, please"))
	readEnd(t, c)
	const talk = 8 << 20
	chunk := framed(string(make([]byte, 60_000)))
	for n := 0; n < talk; n += len(chunk) {
		if _, err := c.Write(chunk); err != nil {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
	within(t, "all is read", func() bool { return f.Stats().BytesIn >= talk })
	probes[0].see(func() {
		if kept > 0 {
			t.Errorf("%d bytes were kept", kept)
		}
		if len(probes[0].frames) > 0 {
			t.Errorf("%d frames were told", len(probes[0].frames))
		}
	})
	_ = c.Close()
	if errs := probes[0].ends(1); errs[0] != nil {
		t.Errorf("closed for %v, want nil", errs[0])
	}
}
