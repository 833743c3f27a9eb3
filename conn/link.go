package conn

import (
	"math/rand/v2"
	"net"
	"time"

	"go.uber.org/zap"
)

// line keeps one loop's connection to one link up.
type line struct {
	f        *Front
	loop     *loop
	door     *door
	addr     string
	dialer   net.Dialer
	min, max time.Duration // backoff
	log      *zap.Logger
}

func newLine(f *Front, l *loop, d *door, c *LinkConfig) *line {
	shortest := or(c.BackoffMin, defaultBackoffMin)
	return &line{
		f: f, loop: l, door: d, addr: c.Addr,
		dialer: net.Dialer{Timeout: or(c.DialTimeout, defaultDialTimeout), KeepAliveConfig: keepAlive, Control: unpaced},
		min:    shortest, max: max(or(c.BackoffMax, defaultBackoffMax), shortest),
		log: f.log.With(zap.String("link", c.Name), zap.Int("line", l.number), zap.String("addr", c.Addr)),
	}
}

// run dials until its door is shut, and then waits for its connection's end. A
// line that was up for a while is dialled again at once when it is lost; one that
// cannot be reached, or is lost at once, after a pause that grows.
func (n *line) run() {
	for failures := 0; n.door.ctx.Err() == nil; {
		start := time.Now()
		p, err := n.connect()
		if err == nil {
			n.f.dialled.Add(1)
			n.log.Info("link up")
			select {
			case <-p.down:
			case <-n.door.ctx.Done():
				n.outlive(p)
				return
			}
			n.log.Warn("link lost", zap.NamedError("reason", p.why), zap.Duration("after", time.Since(start)))
			if time.Since(start) >= n.min {
				failures = 0
				continue
			}
		} else if n.door.ctx.Err() == nil {
			n.f.dialErrs.Add(1)
			if failures&(failures+1) == 0 { // the 1st, 2nd, 4th, 8th … in a row
				n.log.Warn("link cannot be reached", zap.Int("failures", failures+1), zap.Error(err))
			}
		}
		n.f.pause(n.door.ctx, n.backoff(failures))
		failures++
	}
}

// outlive waits for the end of a connection that is let go, or of the front.
func (n *line) outlive(p *peer) {
	select {
	case <-p.down:
	case <-n.f.ctx.Done():
	}
}

func (n *line) connect() (*peer, error) {
	c, err := n.dialer.DialContext(n.door.ctx, "tcp", n.addr)
	if err != nil {
		return nil, err
	}
	p := &peer{door: n.door, loop: n.loop, down: make(chan struct{})}
	result, ok := n.f.enroll(p, c)
	if !ok || !n.f.outcome(enrolment{p, result}) {
		return nil, errNotOpened
	}
	return p, nil
}

// backoff doubles with each failure and is cut to between a half and the whole
// at random, so that lines lost together do not come back together.
func (n *line) backoff(failures int) time.Duration {
	d := n.max
	if failures < 32 && n.min<<failures < n.max && n.min<<failures > 0 {
		d = n.min << failures
	}
	return d/2 + rand.N(d/2+1)
}
