package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"go.uber.org/zap"

	"tongka/conn/cert"
	"tongka/conn/gate"
)

// TLS on a loop: the handshake is done in a goroutine over the socket, then the
// socket goes to the loop as every other, and crypto/tls reads from the bytes that
// the loop brings. So there is one way of frames, and an idle connection holds no
// goroutine.
//
// A handshake takes a thousand times the processor of a frame. While it has bytes
// to work on it holds one of the tokens, and gives it back to wait for the peer:
// neither a flood of handshakes nor silent peers slow the loop down.

const (
	// maxHandshakes of one listener may be under way at once.
	maxHandshakes = 512
	// plainRoom is what one record can hold.
	plainRoom = 16 << 10
	// maxSealed is what a loop keeps of its buffer for records on their way out.
	maxSealed = 256 << 10
	// endTime is how long replies may still be owed to a peer that has said its
	// end of the stream.
	endTime = time.Minute
	// tlsIdle and tlsWorst are what a session adds to a connection's memory, in
	// bytes: at rest, measured by BenchmarkIdleTLS, and with a record half here.
	tlsIdle  = 7 << 10
	tlsWorst = tlsIdle + 2*(plainRoom+2048)
)

// ErrTLS is why a connection was closed whose records were wrong.
var ErrTLS = errors.New("TLS: what came is no record of this session")

// errDry tells crypto/tls that there is no more for now: being temporary, it
// leaves the session as it is.
var errDry net.Error = dry{}

type dry struct{}

func (dry) Error() string   { return "nothing more has come" }
func (dry) Timeout() bool   { return true }
func (dry) Temporary() bool { return true }

// sides are the TLS settings of a configuration with their files read, by the
// indexes of listeners and links; nil where TLS is not spoken.
type sides struct{ listeners, links []*cert.Side }

// loadSides reports every file that cannot be used.
func loadSides(cfg *Config, now time.Time) (s sides, err error) {
	var all faults
	s.listeners, s.links = make([]*cert.Side, len(cfg.Listeners)), make([]*cert.Side, len(cfg.Links))
	for i := range cfg.Listeners {
		if c := &cfg.Listeners[i]; c.TLS != nil {
			if s.listeners[i], err = cert.Server(c.TLS, now); err != nil {
				all.add("listeners[%d] %q: %w", i, c.Name, err)
			}
		}
	}
	for i := range cfg.Links {
		c := &cfg.Links[i]
		if c.TLS == nil {
			continue
		}
		host, _, err := net.SplitHostPort(c.Addr)
		switch {
		case err != nil:
		case c.Listen:
			s.links[i], err = cert.Server(c.TLS, now)
		default:
			s.links[i], err = cert.Client(c.TLS, host, now)
		}
		if err != nil {
			all.add("links[%d] %q: %w", i, c.Name, err)
		}
	}
	return s, errors.Join(all...)
}

// newer is side, unless it says the same as before: a session of before can be
// resumed then.
func newer(before, side *cert.Side) *cert.Side {
	if before != nil && side != nil && before.Same(side) {
		return before
	}
	return side
}

// newTokens makes as many as handshakes may work at once: one on two cores, so
// that the loop keeps the other.
func newTokens() chan struct{} { return make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)) }

// wire is what crypto/tls takes for its connection: the socket during the
// handshake, the loop's bytes and the loop's buffer after it.
type wire struct {
	net.Conn // nil on the loop
	session  *tls.Conn
	ctx      context.Context // of the handshake
	tokens   chan struct{}
	holds    bool // a token
	l        *loop
	in       []byte
	record   record
	clocked  uint32 // the record whose deadline runs
}

// Read gives the token back while it waits for the peer.
func (w *wire) Read(b []byte) (n int, err error) {
	if w.Conn == nil {
		if len(w.in) == 0 {
			return 0, errDry
		}
		n = copy(b, w.in)
		w.in = w.in[n:]
	} else {
		w.release()
		if n, err = w.Conn.Read(b); err == nil {
			err = w.acquire()
		}
	}
	w.record.passed(b[:n])
	return n, err
}

func (w *wire) Write(b []byte) (int, error) {
	if w.Conn != nil {
		return w.Conn.Write(b)
	}
	w.l.sealed = append(w.l.sealed, b...)
	return len(b), nil
}

func (w *wire) SetDeadline(time.Time) error      { return nil } // the loop never waits
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) acquire() error {
	select {
	case w.tokens <- struct{}{}:
		w.holds = true
		return nil
	case <-w.ctx.Done():
		return os.ErrDeadlineExceeded
	}
}

func (w *wire) release() {
	if w.holds {
		w.holds = false
		<-w.tokens
	}
}

// record follows the boundaries of TLS records, which crypto/tls keeps to itself:
// half a record is half a frame, and has a deadline.
type record struct {
	head [recordHead]byte
	has  int    // of the head
	need int    // of what follows it
	n    uint32 // heads that were whole: which record this is
}

const recordHead = 5 // type (1), version (2), length (2)

func (r *record) passed(b []byte) {
	for len(b) > 0 {
		if r.need > 0 {
			n := min(r.need, len(b))
			r.need -= n
			b = b[n:]
			continue
		}
		n := copy(r.head[r.has:], b)
		r.has += n
		b = b[n:]
		if r.has == recordHead {
			r.has, r.need = 0, int(r.head[3])<<8|int(r.head[4])
			r.n++
		}
	}
}

func (r *record) half() bool { return r.has > 0 || r.need > 0 }

// number tells half a record from the ones before it: its place among all, from 1.
func (r *record) number() uint32 {
	if r.has > 0 {
		return r.n + 1
	}
	return r.n
}

// secure does the handshake. The socket is the caller's to close.
func (f *Front) secure(ctx context.Context, c net.Conn, start func(net.Conn, *tls.Config) *tls.Conn, side *cert.Side) (*wire, error) {
	ctx, cancel := context.WithTimeout(ctx, side.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	w := &wire{Conn: c, ctx: ctx, tokens: f.tokens}
	w.session = start(w, side.Config)
	err := w.session.Handshake()
	w.release()
	w.Conn, w.ctx, w.tokens = nil, nil, nil
	return w, err
}

// greet begins a handshake unless too many are under way.
func (f *Front) greet(d *door, guest *gate.Guest, side *cert.Side, fd int, from netip.AddrPort) {
	if d.pending.Load() >= maxHandshakes || !d.gate.Greet(guest) {
		f.handshakesRefused.Add(1)
		d.gate.Leave(guest, time.Now().UnixNano())
		refuse(fd)
		return
	}
	d.pending.Add(1)
	f.entering.Go(func() { f.welcome(d, guest, side, fd, from) })
}

// welcome is the way of an accepted socket whose listener speaks TLS.
func (f *Front) welcome(d *door, guest *gate.Guest, side *cert.Side, fd int, from netip.AddrPort) {
	defer d.pending.Add(-1)
	defer d.gate.Greeted(guest)
	p := f.newcomer(d, guest, from)
	c, err := asConn(fd)
	if err != nil { // out of descriptors
		p.loop.takeOn(p)
		f.notBoarded(p, err)
		return
	}
	w, err := f.secure(f.ctx, c, tls.Server, side)
	if err != nil {
		f.handshakeFailed(d, guest, c, err)
		return
	}
	f.handshakes.Add(1)
	p.tls = w
	_ = f.boardConn(p, c, false) // it has counted what failed
}

func (f *Front) handshakeFailed(d *door, guest *gate.Guest, c net.Conn, err error) {
	now := time.Now().UnixNano()
	defer d.gate.Leave(guest, now)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		f.handshakesLate.Add(1)
	} else {
		f.handshakesBad.Add(1)
		if d.gate.Strike(guest, now) {
			f.shutOuts.Add(1)
		}
	}
	if f.log.Core().Enabled(zap.DebugLevel) {
		f.log.Debug("TLS handshake failed", zap.String("listener", d.name()), zap.Stringer("peer", c.RemoteAddr()), zap.Error(err))
	}
	_ = c.Close() // crypto/tls has said why
}

// pump takes what came for a session through crypto/tls and cuts it into frames.
func (l *loop) pump(p *peer, b []byte) {
	w := p.tls
	w.in = b
	defer func() { w.in = nil }() // b is gnet's
	for p.state == open && !p.ended {
		n, err := w.session.Read(l.plainBuffer())
		if l.flushSealed(p) != nil {
			return
		}
		l.cutUp(p, l.plain[:n])
		switch {
		case p.state != open:
			return
		case err == nil:
			continue
		case err == error(errDry):
			l.watchRecord(p)
			return
		case err == io.EOF:
			l.ended(p)
			return
		}
		_ = l.cut(p, ErrTLS)
	}
}

// plainBuffer is the loop's own: no session holds one.
func (l *loop) plainBuffer() []byte {
	if l.plain == nil {
		l.plain = make([]byte, plainRoom)
	}
	return l.plain
}

// watchRecord keeps the deadline of half a record as that of half a frame. One
// that runs is not set anew by more bytes, but by the end of what it was set
// for: in a stream without a pause every look finds half of some record.
func (l *loop) watchRecord(p *peer) {
	r := &p.tls.record
	half := r.half()
	if p.half != 0 && p.part == nil && !(half && r.number() == p.tls.clocked) {
		l.wheel.Disarm(p.half)
		p.half = 0
	}
	if half && p.half == 0 {
		p.half = l.wheel.Arm(l.now+p.door.terms.Load().frameTimeout, p.timerID(halfTimer))
		p.tls.clocked = r.number()
	}
}

// seal makes records of what is sent. They are the loop's until unseal.
func (l *loop) seal(p *peer, b []byte) ([]byte, error) {
	_, err := p.tls.session.Write(b)
	return l.sealed, err
}

// unseal empties the buffer of records, and lets one go that one large answer
// has made large.
func (l *loop) unseal() {
	if l.sealed = l.sealed[:0]; cap(l.sealed) > maxSealed {
		l.sealed = nil
	}
}

// flushSealed sends what crypto/tls said by itself: alerts, and answers to new
// keys.
func (l *loop) flushSealed(p *peer) error {
	if len(l.sealed) == 0 {
		return nil
	}
	defer l.unseal()
	if p.c.OutboundBuffered()+len(l.sealed) > p.door.terms.Load().maxOutbound {
		return l.cut(p, ErrOutbound)
	}
	if _, err := p.c.Write(l.sealed); err != nil {
		return l.cut(p, err)
	}
	return nil
}

// ended is called when the peer said by close_notify that it sends no more. What
// is owed to it is still sent; then we say the same and hang up.
func (l *loop) ended(p *peer) {
	p.ended, p.why = true, io.EOF
	l.dropPart(p)
	l.wheel.Disarm(p.half)
	p.half = 0
	p.until = l.now + int64(endTime)
	l.wheel.Disarm(p.out)
	p.out = l.wheel.Arm(l.now+int64(leaveStep), p.timerID(leaveTimer))
}

// sayGoodbye ends our direction of a session.
func (l *loop) sayGoodbye(p *peer) {
	defer l.unseal()
	_ = p.tls.session.CloseWrite()
	if len(l.sealed) > 0 {
		_, _ = p.c.Write(l.sealed) // when it fails gnet has closed the connection
	}
}
