package conn

import (
	"context"
	"math"
	"time"

	"github.com/panjf2000/gnet/v2"
)

const (
	// leaveStep is how often a connection that cannot leave yet is looked at again.
	leaveStep = 20 * time.Millisecond
	// leaveLooks is how often one who has come lately and not said anything is looked
	// at before it must go: its first request is likely on its way. Looks are counted
	// and not time, for on a machine that stands still for a second nobody's request
	// has come nearer.
	leaveLooks = 50
	// leaveLately is how long ago one may have come to be waited for.
	leaveLately = 10 * time.Second
	// drainStep is how often Drain looks whether all have left.
	drainStep = 5 * time.Millisecond
)

// leaving says how the connections of a door shall go.
type leaving struct {
	spread time.Duration // the last of them begins to go at this time
	until  int64         // unix ns; what has not left by then is cut
}

const never = math.MaxInt64

// Drain stops accepting and closes every terminal connection when no frame of it
// is half here and nothing is owed to it: the first at once, the last after
// spread, so that not all come back in one moment. Then the links are told, and
// closed in the same way. It returns when all are closed, or with ctx's error;
// what is open then goes on, and is Stop's.
func (f *Front) Drain(ctx context.Context, spread time.Duration) error {
	f.StopAccepting()
	for _, listener := range []bool{true, false} {
		var doors []*door
		f.mu.Lock()
		for _, d := range f.doors {
			if d.listener == listener {
				doors = append(doors, d)
			}
		}
		f.mu.Unlock()
		f.letGo(doors, &leaving{spread: spread, until: never})
		spread = 0
		if err := f.empty(ctx, doors); err != nil {
			return err
		}
	}
	return nil
}

// letGo lets nothing new come by the doors and their connections leave.
func (f *Front) letGo(doors []*door, how *leaving) {
	for _, d := range doors {
		d.cancel()
		d.leaving.Store(how)
	}
	for _, l := range f.loops {
		// It fails only when gnet has stopped, and then nothing is open.
		_ = l.run(context.Background(), func() { l.drain(how) })
	}
}

// empty waits until no connection of the doors is open.
func (f *Front) empty(ctx context.Context, doors []*door) error {
	for _, d := range doors {
		for d.open.Load()+d.pending.Load() > 0 {
			if !f.pause(ctx, drainStep) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// run calls what on the loop's goroutine, between its turns.
func (l *loop) run(ctx context.Context, what func()) error {
	return l.el.Execute(ctx, gnet.RunnableFunc(func(context.Context) error {
		what()
		return nil
	}))
}

// drain begins to let the connections leave whose doors say so, spread over the
// time given.
func (l *loop) drain(how *leaving) {
	l.reported()
	var some []*peer
	for _, s := range l.slots {
		if s.p != nil && s.p.state == open && s.p.door.leaving.Load() == how {
			some = append(some, s.p)
		}
	}
	for i, p := range some {
		l.letLeave(p, how, l.now+int64(how.spread)*int64(i)/int64(len(some)))
	}
}

// letLeave tells the handler and sets the time of the first look.
func (l *loop) letLeave(p *peer, how *leaving, at int64) {
	if p.state != open || p.ended {
		return
	}
	p.until = how.until
	l.wheel.Disarm(p.out)
	p.out = l.wheel.Arm(at, p.timerID(leaveTimer))
	if l.drainer != nil {
		l.telling = true
		l.drainer.Draining(p.id)
		l.told()
	}
}

// leave closes a connection that has nothing under way; the others are looked at
// again until their time is over.
func (l *loop) leave(p *peer) {
	p.out = 0
	p.looks = min(p.looks+1, leaveLooks)
	switch {
	case p.state != open:
	case p.part == nil && !l.owes(p) && !l.fresh(p):
		l.finish(p, or(p.why, ErrDrained))
	case l.now >= p.until:
		_ = l.cut(p, or(p.why, ErrDrained))
	default:
		p.out = l.wheel.Arm(min(l.now+int64(leaveStep), p.until), p.timerID(leaveTimer))
	}
}

// fresh says that a frame of the peer's is too new to have been answered, or that
// it has come to bring one.
func (l *loop) fresh(p *peer) bool {
	if p.seen == 0 && p.door.listener {
		return !p.ended && p.looks < leaveLooks && l.now-p.born < int64(leaveLately)
	}
	return p.seen >= l.began
}

func (l *loop) owes(p *peer) bool { return l.drainer != nil && l.drainer.Owes(p.id) }
