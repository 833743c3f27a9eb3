package conn

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/fault"
)

// dialStagger is the least time between two dials of one Front: banks' lines
// that are lost together, or dialled at a start, do not meet the same firewall
// in the same instant.
const dialStagger = 5 * time.Millisecond

// stagger gives each who asks a moment of its own. Safe for all goroutines.
type stagger struct {
	mu   sync.Mutex
	next time.Time
}

// turn is how long the caller must wait for its moment, from now.
func (s *stagger) turn(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.next
	if at.Before(now) {
		at = now
	}
	s.next = at.Add(dialStagger)
	return at.Sub(now)
}

// line keeps one loop's connection to one link up.
type line struct {
	f        *Front
	loop     *loop
	door     *door
	addrs    []string // the first is where it belongs
	dialer   net.Dialer
	min, max time.Duration // backoff
	log      *zap.Logger
}

func newLine(f *Front, l *loop, d *door, c *LinkConfig) *line {
	shortest := or(c.BackoffMin, defaultBackoffMin)
	return &line{
		f: f, loop: l, door: d, addrs: append([]string{c.Addr}, c.Backups...),
		dialer: net.Dialer{Timeout: or(c.DialTimeout, defaultDialTimeout), KeepAliveConfig: keepAlive, Control: unpaced},
		min:    shortest, max: max(or(c.BackoffMax, defaultBackoffMax), shortest),
		log: f.log.With(zap.String("link", c.Name), zap.Int("line", l.number)),
	}
}

// What became of a line.
type fate uint8

const (
	failed fate = iota // nobody answered, or hung up at once
	served             // short, but it brought a frame: some banks close after each answer
	lived              // was up for a while
)

// run dials until its door is shut, and then waits for its connection's end. A
// line that lived is dialled again at once when it is lost, at its first address,
// and one that served after the shortest pause. When one failed the next address
// is tried, and after the last there is a pause, longer each time.
func (n *line) run() {
	for tries := 0; n.f.pause(n.door.ctx, n.f.dials.turn(time.Now())); {
		switch n.once(n.addrs[tries%len(n.addrs)], tries) {
		case lived:
			tries = 0
		case served:
			tries = 0
			n.f.pause(n.door.ctx, n.backoff(0))
		case failed:
			if tries++; tries%len(n.addrs) == 0 {
				n.f.pause(n.door.ctx, n.backoff(tries/len(n.addrs)-1))
			}
		}
	}
}

// once dials an address and waits for the line's end.
func (n *line) once(addr string, tries int) fate {
	start := time.Now()
	p, err := n.connect(addr)
	if err != nil {
		if n.door.ctx.Err() != nil {
			return failed
		}
		n.f.dialErrs.Add(1)
		if tries&(tries+1) == 0 { // the 1st, 2nd, 4th, 8th … in a row
			n.log.Warn("link cannot be reached", fault.Field(fault.LinkUnreachable), zap.String("addr", addr), zap.Int("failures", tries+1), zap.Error(err))
		}
		return failed
	}
	n.f.dialled.Add(1)
	n.log.Info("link up", zap.String("addr", addr))
	select {
	case <-p.down:
	case <-n.door.ctx.Done():
		n.f.outlive(p)
		return lived
	}
	level := zap.WarnLevel
	if p.why == nil { // we hung up
		level = zap.InfoLevel
	}
	n.log.Log(level, "link lost", zap.String("addr", addr), zap.NamedError("reason", p.why), zap.Duration("after", time.Since(start)))
	switch {
	case time.Since(start) >= n.min:
		return lived
	case p.seen != 0:
		return served
	}
	return failed
}

// outlive waits for the end of a connection that is let go, or of the front, and
// says which.
func (f *Front) outlive(p *peer) (ended bool) {
	select {
	case <-p.down:
		return true
	case <-f.ctx.Done():
		return false
	}
}

func (n *line) connect(addr string) (*peer, error) {
	c, err := n.dialer.DialContext(n.door.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	p := &peer{door: n.door, remote: addrPort(c.RemoteAddr()), loop: n.loop, down: make(chan struct{})}
	if side := n.door.terms.Load().tls; side != nil {
		if p.tls, err = n.f.secure(n.door.ctx, c, tls.Client, side); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	n.served()
	if err := n.f.boardConn(p, c, true); err != nil {
		return nil, err
	}
	return p, nil
}

// backoff doubles with each round of addresses that failed and is cut to between
// a half and the whole at random, so that lines lost together do not come back
// together.
func (n *line) backoff(rounds int) time.Duration {
	d := n.max
	if rounds < 32 && n.min<<rounds < n.max && n.min<<rounds > 0 {
		d = n.min << rounds
	}
	return d/2 + rand.N(d/2+1)
}

// watch says in the log what becomes of a line that its peer has dialled.
func (f *Front) watch(p *peer) {
	log := f.log.With(zap.String("link", p.door.name()), zap.Int("line", p.loop.number))
	if p.id == 0 {
		log.Warn("link dialled once more while its line is alive: refused", fault.Field(fault.LineRefusedTwice))
		return
	}
	log.Info("link up, dialled by its peer")
	if f.outlive(p) {
		log.Warn("link lost", zap.NamedError("reason", p.why))
	}
}

// makeWay finds a place for a new line of a link that its peer dials: a free
// one, or that of the line that has been silent for longest, if it is silent for
// too long. A line that speaks is never given up for a newcomer, or whoever can
// connect could cut a bank off; but the kernel is told to look after it more
// often, so that one whose host is gone ends in seconds and the next try of its
// peer finds the place free.
func (l *loop) makeWay(d *door) bool {
	t := d.terms.Load()
	if t.places == 0 { // we dialled it
		return true
	}
	var oldest *peer
	lines := 0
	for _, s := range l.slots {
		// By its index: lines of before an Update moved the link count, too.
		if p := s.p; p == nil || p.door.listener || p.door.index != d.index || p.state != open {
			continue
		}
		if lines++; oldest == nil || s.p.heard() < oldest.heard() {
			oldest = s.p
		}
	}
	if lines < t.places {
		return true
	}
	if l.now-oldest.heard() >= t.silence {
		_ = l.cut(oldest, ErrReplaced)
		return true
	}
	fd := oldest.c.Fd() // an option that cannot be set leaves the minute of keepAlive
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1)
	return false
}
