package conn

import (
	"sync/atomic"
	"time"

	"tongka/conn/framing"
)

// door is what the connections of one listener or link have in common: its
// settings with defaults filled in. Only open changes after Start.
type door struct {
	name         string
	listener     bool
	index        int
	framing      Framing
	room         int // bytes kept of a frame that is not whole yet
	maxConns     int64
	maxOutbound  int
	idle         int64  // ns, 0 is never
	frameTimeout int64  // ns
	alive        []byte // what is sent on an idle line, nil for nothing
	aliveAfter   int64  // ns without a Send

	open atomic.Int64 // connections handed to a loop and not closed since
}

func listenerDoor(i int, c *ListenerConfig) *door {
	d := newDoor(c.Framing, c.MaxFrame, c.MaxOutbound, c.FrameTimeout)
	d.name, d.listener, d.index = c.Name, true, i
	d.maxConns = int64(or(c.MaxConns, defaultMaxConns))
	d.idle = int64(c.Idle)
	return d
}

func linkDoor(i int, c *LinkConfig) *door {
	d := newDoor(c.Framing, c.MaxFrame, c.MaxOutbound, c.FrameTimeout)
	d.name, d.index = c.Name, i
	return d
}

func newDoor(f Framing, maxFrame, maxOutbound int, frameTimeout time.Duration) *door {
	maxFrame = or(maxFrame, min(f.Max(), defaultMaxFrame))
	alive, after := framing.KeepAlive(f)
	return &door{
		alive: alive, aliveAfter: int64(after),
		framing:      framing.Limited(f, maxFrame),
		room:         maxFrame + framing.Overhead,
		maxOutbound:  or(maxOutbound, defaultMaxOutbound),
		frameTimeout: int64(or(frameTimeout, defaultFrameTimeout)),
	}
}
