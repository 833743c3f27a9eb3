package conn

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// wants is where the loop asks for a connection of a link. It stays when Update
// moves the link, so that nothing that is asked for is lost.
func (l *loop) wants(link int) chan struct{} {
	ch, _ := l.demand.LoadOrStore(link, make(chan struct{}, 1))
	return ch.(chan struct{})
}

// Dial implements Loop.
func (l *loop) Dial(link int) {
	select {
	case l.wants(link) <- struct{}{}:
	default: // asked already
	}
}

// served takes back what was asked for before a connection that is about to be
// told: whoever asks after that asks for the next one.
func (n *line) served() {
	if ch, ok := n.loop.demand.Load(n.door.index); ok {
		select {
		case <-ch.(chan struct{}):
		default:
		}
	}
}

// runOnDemand dials each time that it is asked to, one connection at a time, and
// waits for its end, until the door is shut. Calls are not staggered: somebody
// waits for each.
func (n *line) runOnDemand() {
	want := n.loop.wants(n.door.index)
	for tries := 0; ; {
		select {
		case <-want:
		case <-n.door.ctx.Done():
			return
		}
		p, err := n.call()
		switch {
		case err != nil && n.door.ctx.Err() != nil:
			n.loop.Dial(n.door.index) // for the line that comes in this one's place
			return
		case err != nil:
			n.f.dialErrs.Add(1)
			if tries++; tries&(tries-1) == 0 { // the 1st, 2nd, 4th, 8th … in a row
				n.log.Warn("link cannot be reached", zap.Strings("addrs", n.addrs), zap.Int("failures", tries), zap.Error(err))
			}
			n.loop.tellNotDialled(n.door.index)
			continue
		}
		tries = 0
		n.f.dialled.Add(1)
		if !n.f.outlive(p) {
			return
		}
	}
}

// call tries each address once; all of them share the time that a dial has.
func (n *line) call() (p *peer, err error) {
	end := time.Now().Add(n.dialer.Timeout)
	for _, addr := range n.addrs {
		n.dialer.Deadline = end
		if p, err = n.connect(addr); err == nil || n.door.ctx.Err() != nil || time.Now().After(end) {
			return p, err
		}
	}
	return p, err
}

// tellNotDialled tells the handler on its loop.
func (l *loop) tellNotDialled(link int) {
	if l.caller == nil {
		return
	}
	_ = l.run(context.Background(), func() { // fails only when gnet has stopped
		if l.stopping {
			return
		}
		l.reported()
		l.telling = true
		l.caller.NotDialled(link)
		l.told()
	})
}
