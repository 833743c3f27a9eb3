package conn

import (
	"context"
	"sync/atomic"
	"time"

	"tongka/conn/cert"
	"tongka/conn/framing"
	"tongka/conn/gate"
)

// door is what the connections of one listener or link have in common. It keeps
// its index and its framing for life; what else may be set stands in its terms.
type door struct {
	listener bool
	index    int

	terms   atomic.Pointer[terms]
	gate    *gate.Gate              // by address
	leaving atomic.Pointer[leaving] // set once, when its connections shall go
	open    atomic.Int64            // connections handed to a loop and not closed since
	pending atomic.Int64            // TLS handshakes under way

	ctx    context.Context // done when nothing more shall come by it
	cancel context.CancelFunc
	lines  chan struct{} // of a link: closed when its lines have ended
}

// terms are the settings of a door with defaults filled in. They are replaced as
// a whole when the front is updated, and hold for connections that are open, too.
type terms struct {
	name         string  // a listener's may change
	framing      Framing // never longer than room
	room         int     // bytes kept of a frame that is not whole yet
	maxConns     int64
	maxOutbound  int
	idle         int64 // ns, 0 is never
	frameTimeout int64 // ns
	tls          *cert.Side
	guard        Guard
	alive        []byte // what is sent on an idle line, nil for nothing; the framing's
	aliveAfter   int64  // ns without a Send

	// Of a link that its peer dials:
	places  int   // lines at once
	silence int64 // ns without a frame, after which a line makes way for a new one
}

func newDoor(ctx context.Context, listener bool, index int, t *terms) *door {
	d := &door{listener: listener, index: index, gate: gate.New(t.guard)}
	d.ctx, d.cancel = context.WithCancel(ctx)
	d.terms.Store(t)
	return d
}

func (d *door) name() string { return d.terms.Load().name }

// change replaces the terms, for those who are in, too.
func (d *door) change(t *terms) {
	d.terms.Store(t)
	d.gate.Set(t.guard)
}

func listenerTerms(c *ListenerConfig, side *cert.Side) *terms {
	t := newTerms(c.Framing, c.MaxFrame, c.MaxOutbound, c.FrameTimeout)
	t.name = c.Name
	t.maxConns = int64(or(c.MaxConns, defaultMaxConns))
	t.idle = int64(c.Idle)
	t.tls, t.guard = side, c.Guard
	return t
}

// knocking is how many may be on their way to the loop that decides whether a
// line makes way for them.
const knocking = 8

func linkTerms(c *LinkConfig, side *cert.Side) *terms {
	t := newTerms(c.Framing, c.MaxFrame, c.MaxOutbound, c.FrameTimeout)
	t.name, t.tls = c.Name, side
	if c.Listen {
		t.guard.Allow = c.Allow
		t.places = or(c.MaxLines, defaultLines)
		t.silence = int64(or(c.Silence, defaultSilence))
		t.maxConns = int64(t.places) + knocking
	}
	return t
}

func newTerms(f Framing, maxFrame, maxOutbound int, frameTimeout time.Duration) *terms {
	maxFrame = or(maxFrame, min(f.Max(), defaultMaxFrame))
	alive, after := framing.KeepAlive(f)
	return &terms{
		alive: alive, aliveAfter: int64(after),
		framing:      framing.Limited(f, maxFrame),
		room:         maxFrame + framing.Overhead,
		maxOutbound:  or(maxOutbound, defaultMaxOutbound),
		frameTimeout: int64(or(frameTimeout, defaultFrameTimeout)),
	}
}
