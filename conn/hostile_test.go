package conn

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tongka/conn/cert/certtest"
)

// The doors that the hostile ones knock at, by index.
const (
	plainDoor = iota
	tlsOnly   // with all the patience for a handshake
	hastyTLS  // with none, and for eight at a time
	textDoor  // ASCII4
	smallDoor // three connections
	cappedDoor
	deniedDoor
	ratedDoor
	strictDoor // shuts out after three pieces of rubbish
	idleDoor
	etxDoor
	selfDoor
	bcdDoor
)

// The doors for banks, by index of their links.
const (
	ourBank = iota
	otherBank
)

func hostileConfig(t *testing.T, ca *certtest.CA) Config {
	own := ca.Issue(t, certtest.Leaf{Name: "switch"})
	door := func(name string, change func(*ListenerConfig)) ListenerConfig {
		l := listenerNamed(name, func(l *ListenerConfig) {
			l.MaxFrame, l.FrameTimeout, l.MaxOutbound = 1000, 200*time.Millisecond, 64<<10
		})
		change(&l)
		return l
	}
	bank := LinkConfig{Name: "ours", Addr: "127.0.0.1:0", Framing: Binary2, MaxFrame: 1000, FrameTimeout: 200 * time.Millisecond,
		Listen: true, Allow: loopbacks}
	other := bank
	other.Name, other.Allow = "other", []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32")}
	return Config{Links: []LinkConfig{ourBank: bank, otherBank: other}, Listeners: []ListenerConfig{
		plainDoor: door("plain", func(*ListenerConfig) {}),
		tlsOnly: door("tls", func(l *ListenerConfig) {
			l.TLS = &TLS{Cert: own.Cert, Key: own.Key, Timeout: patience}
		}),
		hastyTLS: door("hasty", func(l *ListenerConfig) {
			l.TLS = &TLS{Cert: own.Cert, Key: own.Key, Timeout: 300 * time.Millisecond}
			l.Guard.MaxHandshakes = 8
		}),
		textDoor:   door("text", func(l *ListenerConfig) { l.Framing = ASCII4 }),
		smallDoor:  door("small", func(l *ListenerConfig) { l.MaxConns = 3 }),
		cappedDoor: door("capped", func(l *ListenerConfig) { l.Guard.MaxConns = 3 }),
		deniedDoor: door("denied", func(l *ListenerConfig) {
			l.Guard.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}),
		ratedDoor:  door("rated", func(l *ListenerConfig) { l.Guard.Connects, l.Guard.Burst = 1, 3 }),
		strictDoor: door("strict", func(l *ListenerConfig) { l.Guard.Strikes, l.Guard.ShutOut = 3, time.Hour }),
		etxDoor:    door("etx", func(l *ListenerConfig) { l.Framing = named(t, "binary2-etx") }),
		selfDoor:   door("self", func(l *ListenerConfig) { l.Framing = named(t, "binary2-self") }),
		bcdDoor:    door("bcd", func(l *ListenerConfig) { l.Framing = named(t, "bcd2") }),
		idleDoor:   door("idle", func(l *ListenerConfig) { l.Idle = 150 * time.Millisecond }),
	}}
}

// pattern is one of them: what is done, how each of its connections ends as the
// handler is told (none was told of when nil), and how far which counter moves.
type pattern struct {
	name    string
	do      func(h *attack)
	end     error
	counter func(Stats) uint64
	moves   uint64
}

// attack is one pattern being carried out.
type attack struct {
	*testing.T
	f      *Front
	client *tls.Config
	held   []net.Conn
}

// caller connects to a door. One that is refused at the very start is nil.
func (h *attack) caller(door int) *net.TCPConn {
	c, err := net.Dial("tcp", h.f.Addr(door).String())
	if err != nil {
		return nil
	}
	h.held = append(h.held, c)
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// says connects and writes, whether or not it is heard.
func (h *attack) says(door int, b []byte) *net.TCPConn {
	c := h.caller(door)
	if c != nil {
		_, _ = c.Write(b)
	}
	return c
}

// session is a TLS session, and the socket under it.
func (h *attack) session() (*tls.Conn, *net.TCPConn) {
	raw := h.caller(tlsOnly)
	c := tls.Client(raw, h.client)
	if err := c.Handshake(); err != nil {
		h.Fatal(err)
	}
	return c, raw
}

// hello is the beginning of a handshake.
func hello(t *testing.T) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	got := make(chan []byte, 1)
	go func() {
		record := make([]byte, 5, 1<<14)
		_, _ = io.ReadFull(b, record)
		record = record[:5+int(record[3])<<8+int(record[4])]
		_, _ = io.ReadFull(b, record[5:])
		_ = b.Close()
		got <- record
	}()
	_ = tls.Client(a, &tls.Config{ServerName: "127.0.0.1"}).Handshake() // nobody answers
	return <-got
}

var (
	oversize = func(s Stats) uint64 { return s.ClosedOversize }
	byPeer   = func(s Stats) uint64 { return s.ClosedByPeer }
	halves   = func(s Stats) uint64 { return s.ClosedHalfFrame }
	resets   = func(s Stats) uint64 { return s.ClosedReset }
	frames   = func(s Stats) uint64 { return s.FramesIn }
	badTLS   = func(s Stats) uint64 { return s.HandshakesBad }
	lateTLS  = func(s Stats) uint64 { return s.HandshakesLate }
	wrongTLS = func(s Stats) uint64 { return s.ClosedTLS }
)

var plainPatterns = []pattern{
	{"half a frame", func(h *attack) { h.says(plainDoor, framed("hello")[:4]) }, ErrHalfFrame, halves, 1},
	{"half a length", func(h *attack) { h.says(plainDoor, []byte{0}) }, ErrHalfFrame, halves, 1},
	{"two hundred half frames", func(h *attack) {
		for range 200 {
			h.says(plainDoor, framed("hello")[:4])
		}
	}, ErrHalfFrame, halves, 200},
	{"length zero", func(h *attack) { h.says(plainDoor, []byte{0, 0}) }, ErrEmpty, func(s Stats) uint64 { return s.ClosedEmpty }, 1},
	{"huge length", func(h *attack) { h.says(plainDoor, []byte{0xFF, 0xFF, 1, 2}) }, ErrOversize, oversize, 1},
	{"HTTP", func(h *attack) { h.says(plainDoor, []byte("GET / HTTP/1.1\r\nHost: pos\r\n\r\n")) }, ErrOversize, oversize, 1},
	{"TLS at a plain door", func(h *attack) { h.says(plainDoor, hello(h.T)) }, ErrOversize, oversize, 1},
	{"letters for a length", func(h *attack) { h.says(textDoor, []byte("12x4")) }, ErrMalformed, func(s Stats) uint64 { return s.ClosedMalformed }, 1},
	{"rubbish behind a good frame", func(h *attack) {
		h.says(plainDoor, append(framed("good"), 0xFF, 0xFF, 0xFF, 0xFF))
	}, ErrOversize, oversize, 1},
	{"byte by byte", func(h *attack) {
		c := h.caller(plainDoor)
		for _, b := range framed("slowly") {
			write(h.T, c, []byte{b})
		}
		if got := read(h.T, c); got != "slowly" {
			h.Errorf("answered %q", got)
		}
		_ = c.Close()
	}, io.EOF, frames, 1},
	{"a thousand keep-alives in a row", func(h *attack) {
		c := h.says(textDoor, bytes.Repeat([]byte("0000"), 1000))
		within(h.T, "all are read", func() bool { return h.f.Stats().BytesIn >= 4000 })
		_ = c.CloseWrite()
	}, io.EOF, func(s Stats) uint64 { return s.KeepAlives }, 1000},
	{"reset in the middle of a frame", func(h *attack) {
		before := h.f.Stats().BytesIn
		c := h.says(plainDoor, framed("hello")[:4])
		within(h.T, "the half is read", func() bool { return h.f.Stats().BytesIn == before+4 })
		reset(c)
	}, errors.New("reset"), resets, 1},
	{"reset at once", func(h *attack) {
		for range 50 {
			if c := h.caller(plainDoor); c != nil {
				reset(c)
			}
		}
	}, errors.New("reset"), func(s Stats) uint64 { return s.Accepted + s.EnrollErrs }, 50},
	{"FIN at once", func(h *attack) { _ = h.caller(plainDoor).CloseWrite() }, io.EOF, byPeer, 1},
	{"a frame, then FIN", func(h *attack) { _ = h.says(plainDoor, framed("bye")).CloseWrite() }, io.EOF, frames, 1},
	{"half a frame, then FIN", func(h *attack) { _ = h.says(plainDoor, framed("bye")[:3]).CloseWrite() }, io.EOF, byPeer, 1},
	{"asks and never reads", func(h *attack) {
		c := h.caller(plainDoor)
		_ = c.SetReadBuffer(4096)
		request := bytes.Repeat(framed(strings.Repeat("q", 900)), 20)
		for range 2000 { // 36 MB, unless it is cut
			if _, err := c.Write(request); err != nil {
				return
			}
		}
	}, ErrOutbound, func(s Stats) uint64 { return s.ClosedOutboundCap }, 1},
	{"silence where it is not liked", func(h *attack) { h.caller(idleDoor) }, ErrIdle, func(s Stats) uint64 { return s.ClosedIdle }, 1},
	{"a thousand connects", func(h *attack) {
		for range 1000 {
			if c := h.caller(plainDoor); c != nil {
				_ = c.Close()
			}
			h.held = h.held[:0]
		}
	}, io.EOF, func(s Stats) uint64 { return s.Accepted }, 1000},
}

var gatePatterns = []pattern{
	{"more than the listener takes", func(h *attack) {
		for range 3 + 20 {
			h.caller(smallDoor)
		}
	}, io.EOF, func(s Stats) uint64 { return s.Refused }, 20},
	{"more than an address may have", func(h *attack) {
		for range 3 + 20 {
			h.caller(cappedDoor)
		}
	}, io.EOF, func(s Stats) uint64 { return s.TooMany }, 20},
	{"an address that is denied", func(h *attack) {
		for range 20 {
			if c := h.caller(deniedDoor); c != nil {
				_, _ = c.Write(framed("hello"))
			}
		}
	}, nil, func(s Stats) uint64 { return s.Denied }, 20},
	{"faster than an address may", func(h *attack) {
		for range 3 + 20 {
			h.caller(ratedDoor)
		}
	}, io.EOF, func(s Stats) uint64 { return s.TooFast }, 15}, // the bucket fills a little meanwhile
	{"rubbish again and again", func(h *attack) {
		for range 3 {
			before := h.f.Stats().ClosedOversize
			h.says(strictDoor, []byte{0xFF, 0xFF})
			within(h.T, "it is closed", func() bool { return h.f.Stats().ClosedOversize > before })
		}
		for range 10 {
			h.caller(strictDoor)
		}
	}, ErrOversize, func(s Stats) uint64 { return s.ShutOut }, 10},
}

var tlsPatterns = []pattern{
	{"a frame at a TLS door", func(h *attack) { h.says(tlsOnly, framed("hello")) }, nil, badTLS, 1},
	{"silence at a TLS door", func(h *attack) { h.caller(hastyTLS) }, nil, lateTLS, 1},
	{"a ClientHello, then silence", func(h *attack) { h.says(hastyTLS, hello(h.T)) }, nil, lateTLS, 1},
	{"half a ClientHello", func(h *attack) { h.says(hastyTLS, hello(h.T)[:60]) }, nil, lateTLS, 1},
	{"a ClientHello of 16 MiB", func(h *attack) {
		h.says(tlsOnly, []byte{0x16, 3, 1, 0, 6, 1, 0xFF, 0xFF, 0xFF, 3, 3})
	}, nil, badTLS, 1},
	{"a ClientHello, then FIN", func(h *attack) { _ = h.says(tlsOnly, hello(h.T)).CloseWrite() }, nil, badTLS, 1},
	{"a version that is too old", func(h *attack) {
		old := h.client.Clone()
		old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		if err := tls.Client(h.caller(tlsOnly), old).Handshake(); err == nil {
			h.Error("TLS 1.1 was taken")
		}
	}, nil, badTLS, 1},
	{"a caller who does not trust us", func(h *attack) {
		_ = tls.Client(h.caller(tlsOnly), &tls.Config{RootCAs: h.client.RootCAs, ServerName: "elsewhere"}).Handshake()
	}, nil, badTLS, 1},
	{"a hundred half handshakes at once", func(h *attack) {
		start := hello(h.T)
		for range 100 {
			h.says(hastyTLS, start)
		}
	}, nil, func(s Stats) uint64 { return s.HandshakesRefused }, 50}, // some of the eight places become free meanwhile
	{"a renegotiation, or what looks like one", func(h *attack) {
		_, raw := h.session()
		_, _ = raw.Write([]byte{0x16, 3, 3, 0, 4, 0, 0, 0, 0})
	}, ErrTLS, wrongTLS, 1},
	{"an oversized record", func(h *attack) {
		_, raw := h.session()
		_, _ = raw.Write(append([]byte{0x17, 3, 3, 0x48, 0x01}, make([]byte, 0x4801)...))
	}, ErrTLS, wrongTLS, 1},
	{"half a record", func(h *attack) {
		_, raw := h.session()
		_, _ = raw.Write([]byte{0x17, 3, 3, 0x10, 0, 1, 2, 3})
	}, ErrHalfFrame, halves, 1},
	{"half a frame in a whole record", func(h *attack) {
		c, _ := h.session()
		write(h.T, c, framed("hello")[:4])
	}, ErrHalfFrame, halves, 1},
	{"FIN without close_notify", func(h *attack) {
		_, raw := h.session()
		_ = raw.CloseWrite()
	}, io.EOF, byPeer, 1},
	{"a huge frame in a record", func(h *attack) {
		c, _ := h.session()
		write(h.T, c, []byte{0xFF, 0xFF, 1})
	}, ErrOversize, oversize, 1},
}

// TestHostile carries out one pattern after the other against one front, while an
// honest terminal of each kind is served between them. Each ends as it is stated,
// moves its counter, and leaves neither goroutine, connection nor memory behind.
func TestHostile(t *testing.T) {
	ca := certtest.NewCA(t)
	f, probes := run(t, hostileConfig(t, ca))
	p := probes[0]
	client := &tls.Config{RootCAs: pool(t, ca), ServerName: "127.0.0.1"}
	honest := dialAt(t, f, plainDoor)
	honestTLS := tls.Client(dialAt(t, f, tlsOnly), client)
	serve := func() {
		t.Helper()
		for _, c := range []net.Conn{honest, honestTLS} {
			_ = c.SetDeadline(time.Now().Add(patience))
			ask(t, c, "honest")
		}
	}
	serve()
	rows := slices.Concat(plainPatterns, gatePatterns, tlsPatterns, framePatterns, linePatterns)
	if len(rows) < 20 {
		t.Fatalf("only %d patterns", len(rows))
	}
	before := memory()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { hostileRow(t, f, p, client, row) })
		serve()
	}
	p.see(func() { // forget what the probe remembers
		for id := range p.closed {
			delete(p.peers, id)
			delete(p.closed, id)
		}
		p.frames = nil
	})
	// Pools and finalizers let go in their own time; what leaks stays.
	grown := int64(0)
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if grown = memory().live - before.live; grown <= 2<<20 || time.Now().After(end) {
			break
		}
	}
	if grown > 2<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

// settle waits until what the loop has counted by now can be seen outside.
func (p *probe) settle() {
	for range 2 { // the counters are published at the end of a turn, after the handler's tick
		before, now := 0, 0
		p.see(func() { before = p.ticks })
		p.loop.Wake()
		within(p.t, "a tick", func() bool { p.see(func() { now = p.ticks }); return now > before })
	}
}

// goroutines counts those of the process but for gnet's pool of workers, which end
// by themselves after ten seconds without work.
func goroutines() (n int) {
	b := make([]byte, 1<<20)
	for one := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if !strings.Contains(one, "ants/v2.(*goWorker)") {
			n++
		}
	}
	return n
}

func hostileRow(t *testing.T, f *Front, p *probe, client *tls.Config, row pattern) {
	h := &attack{T: t, f: f, client: client}
	within(t, "quiet at the start", func() bool { return f.Stats().Open == 2 })
	p.settle()
	running, start := goroutines(), row.counter(f.Stats())
	var had map[ID]bool
	p.see(func() {
		had = map[ID]bool{}
		for id := range p.closed {
			had[id] = true
		}
	})
	row.do(h)
	within(t, fmt.Sprintf("the counter moves by %d", row.moves), func() bool { return row.counter(f.Stats())-start >= row.moves })
	if row.end == io.EOF || row.end == nil { // what is left of them leaves by itself
		for _, c := range h.held {
			_ = c.Close()
		}
	}
	within(t, "all are gone", func() bool {
		return f.Stats().Open == 2 && f.doors[tlsOnly].pending.Load()+f.doors[hastyTLS].pending.Load() == 0
	})
	for _, c := range h.held {
		_ = c.Close()
	}
	within(t, "no goroutine is left", func() bool { return goroutines() <= running })
	p.see(func() {
		for id, err := range p.closed {
			switch {
			case had[id]:
			case row.end == nil:
				t.Errorf("the handler was told of a connection: %v", err)
			case row.end.Error() == "reset": // FIN and reset can come in any order
			case !errors.Is(err, row.end):
				t.Errorf("closed for %v, want %v", err, row.end)
			}
		}
	})
}
