package conn

import (
	"context"
	"sync/atomic"
	"time"

	"tongka/conn/framing"
)

// door is what the connections of one listener or link have in common. It keeps
// its index and its framing for life; what else may be set stands in its terms.
type door struct {
	name     string
	listener bool
	index    int

	terms   atomic.Pointer[terms]
	leaving atomic.Pointer[leaving] // set once, when its connections shall go
	open    atomic.Int64            // connections handed to a loop and not closed since

	ctx    context.Context // done when nothing more shall come by it
	cancel context.CancelFunc
	lines  chan struct{} // of a link: closed when its lines have ended
}

// terms are the settings of a door with defaults filled in. They are replaced as
// a whole when the front is updated, and hold for connections that are open, too.
type terms struct {
	framing      Framing // never longer than room
	room         int     // bytes kept of a frame that is not whole yet
	maxConns     int64
	maxOutbound  int
	idle         int64  // ns, 0 is never
	frameTimeout int64  // ns
	alive        []byte // what is sent on an idle line, nil for nothing; the framing's
	aliveAfter   int64  // ns without a Send
}

func newDoor(ctx context.Context, name string, listener bool, index int, t *terms) *door {
	d := &door{name: name, listener: listener, index: index}
	d.ctx, d.cancel = context.WithCancel(ctx)
	d.terms.Store(t)
	return d
}

func listenerTerms(c *ListenerConfig) *terms {
	t := newTerms(c.Framing, c.MaxFrame, c.MaxOutbound, c.FrameTimeout)
	t.maxConns = int64(or(c.MaxConns, defaultMaxConns))
	t.idle = int64(c.Idle)
	return t
}

func linkTerms(c *LinkConfig) *terms {
	return newTerms(c.Framing, c.MaxFrame, c.MaxOutbound, c.FrameTimeout)
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
