package conn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"tongka/sim/port"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(clientRole); role != "" {
		if err := playClient(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	mangle = true // as in builds with -race
	code := m.Run()
	if code == 0 {
		// gnet keeps a pool of workers for the life of the process.
		if err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
			goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
		); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// patience is for a machine that has other things to do: nothing takes long here.
const patience = 60 * time.Second

// within polls until ok, which may look at a Front's counters.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// probe is a handler that answers each frame with itself at the next tick, as
// an engine does, and remembers what it was told. Frames that begin with a verb
// of its own are obeyed instead.
type probe struct {
	t    *testing.T
	loop Loop

	mu     sync.Mutex
	peers  map[ID]Peer
	closed map[ID]error
	out    map[ID][]byte
	frames [][]byte
	missed int // calls that failed
	ticks  int
	inside bool
	onTick func(now int64) int64
	on     func(id ID, b []byte) bool // true: obeyed, not answered
}

func (p *probe) enter() {
	p.mu.Lock()
	if p.inside {
		p.t.Error("the handler was called inside one of its calls")
	}
	p.inside = true
}

func (p *probe) leave() { p.inside = false; p.mu.Unlock() }

func (p *probe) Opened(id ID, peer Peer) {
	p.enter()
	defer p.leave()
	if id == 0 || !isNew(p.peers, id) || !isNew(p.closed, id) {
		p.t.Errorf("opened %#x twice", id)
	}
	for other := range p.peers {
		if other.Index() == id.Index() && isNew(p.closed, other) {
			p.t.Errorf("index %d is taken", id.Index())
		}
	}
	p.peers[id] = peer
}

func isNew[V any](m map[ID]V, id ID) bool { _, had := m[id]; return !had }

func (p *probe) Frame(id ID, b []byte) {
	p.enter()
	defer p.leave()
	if isNew(p.peers, id) || !isNew(p.closed, id) {
		p.t.Errorf("a frame for %#x, which is not open", id)
	}
	if p.on != nil && p.on(id, b) {
		return
	}
	p.frames = append(p.frames, bytes.Clone(b))
	start := len(p.out[id])
	dst := append(Binary2.Begin(p.out[id]), b...)
	dst, err := Binary2.End(dst, start)
	if err != nil {
		p.t.Error(err)
	}
	p.out[id] = dst
}

func (p *probe) NotDialled(int) {
	p.enter()
	defer p.leave()
	p.missed++
}

func (p *probe) Closed(id ID, err error) {
	p.enter()
	defer p.leave()
	if isNew(p.peers, id) || !isNew(p.closed, id) {
		p.t.Errorf("closed %#x, which is not open", id)
	}
	p.closed[id] = err
	if p.loop.Send(id, []byte("\x00\x01x")) != ErrClosed {
		p.t.Error("Send after the end is not refused")
	}
}

func (p *probe) Tick(now int64) (next int64) {
	p.enter()
	defer p.leave()
	p.ticks++
	for id, b := range p.out {
		_ = p.loop.Send(id, b) // a failure is told by Closed
		delete(p.out, id)
	}
	if p.onTick != nil {
		return p.onTick(now)
	}
	return 0
}

// see runs f while nothing is being told.
func (p *probe) see(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *probe) count() (open, closed, frames int) {
	p.see(func() { open, closed, frames = len(p.peers), len(p.closed), len(p.frames) })
	return
}

// ends waits for the n-th connection's end and gives the ends' reasons.
func (p *probe) ends(n int) (errs []error) {
	p.t.Helper()
	within(p.t, fmt.Sprintf("%d connections closed", n), func() bool { _, c, _ := p.count(); return c >= n })
	p.see(func() {
		for _, err := range p.closed {
			errs = append(errs, err)
		}
	})
	return errs
}

// run starts a front whose loops have probes, and stops it after the test.
func run(t *testing.T, cfg Config, set ...func(*probe)) (*Front, []*probe) {
	t.Helper()
	var probes []*probe
	f, err := Start(cfg, func(l Loop) Handler {
		p := &probe{t: t, loop: l, peers: map[ID]Peer{}, closed: map[ID]error{}, out: map[ID][]byte{}}
		for _, s := range set {
			s(p)
		}
		probes = append(probes, p)
		return p
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, f, probes) })
	return f, probes
}

// stop also checks that each connection was closed once, and that the counters
// came back to nothing.
func stop(t *testing.T, f *Front, probes []*probe) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	for _, p := range probes {
		if open, closed, _ := p.count(); open != closed {
			t.Errorf("%d opened and %d closed", open, closed)
		}
	}
	if s := f.Stats(); s.Open != 0 {
		t.Errorf("%d still counted as open", s.Open)
	}
	for _, d := range f.doors {
		if n := d.open.Load(); n != 0 {
			t.Errorf("%d still counted at door %s", n, d.name())
		}
	}
}

// door1 is the usual configuration: one listener.
func door1(change ...func(*ListenerConfig)) Config {
	l := ListenerConfig{Name: "pos", Addr: "127.0.0.1:0", Framing: Binary2}
	for _, c := range change {
		c(&l)
	}
	return Config{Listeners: []ListenerConfig{l}}
}

// dial connects to the first listener.
func dial(t *testing.T, f *Front) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr(0).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// refused dials and expects to be reset, which can come before the dial has seen
// that it was taken. Whoever refuses has counted it before.
func refused(t *testing.T, addr string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if errors.Is(err, unix.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Fatalf("%d bytes and %v, want a reset", n, err)
	}
}

// held is an address that is the test's own while it lasts, whether or not
// somebody listens there.
func held(t *testing.T) string {
	t.Helper()
	h, all, err := port.Hold(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return all[0].String()
}

func framed(payload string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(payload))), payload...)
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// read expects one frame.
func read(t *testing.T, c net.Conn) string {
	t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		t.Fatalf("no frame: %v", err)
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("half a frame: %v", err)
	}
	return string(b)
}

func ask(t *testing.T, c net.Conn, payload string) {
	t.Helper()
	write(t, c, framed(payload))
	if got := read(t, c); got != payload {
		t.Fatalf("asked %q, answered %q", payload, got)
	}
}

// readEnd expects that the other side has closed without another byte.
func readEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); n > 0 || os.IsTimeout(err) {
		t.Fatalf("%d bytes and %v, want the end of the stream", n, err)
	}
}
