package node

import (
	"time"

	"go.uber.org/zap"

	"tongka/cpuidle"
)

const (
	awakeEvery = time.Second
	calmLooks  = 5
)

// stayAwake has processors stay awake while requests come as fast as the config says,
// until the node stops.
func (n *Node) stayAwake(stop <-chan struct{}, ended chan<- struct{}) {
	defer close(ended)
	look := time.NewTicker(awakeEvery)
	defer look.Stop()
	var wish cpuidle.Wish
	defer func() { _ = wish.Drop() }() // the end of the process would do, too
	var b busy
	for refused := false; ; {
		select {
		case <-stop:
			return
		case <-look.C:
		}
		p := n.Snapshot()
		if p == nil { // no turn yet
			continue
		}
		if on := b.look(p.Counters.Received, p.At, n.config().Processors.AwakeAbove); on == wish.Made() || refused {
			continue
		}
		refused = !n.wake(&wish, b.on)
	}
}

// wake makes a wish or drops it, and says so; false when there can be none.
func (n *Node) wake(wish *cpuidle.Wish, on bool) bool {
	act := wish.Drop
	if on {
		act = wish.Make
	}
	if err := act(); err != nil {
		n.log.Info("processors sleep when they can: they cannot be kept awake", zap.Error(err))
		return false
	}
	n.log.Info("processors", zap.Bool("kept_awake", on))
	return true
}

// busy tells from a counter of requests whether there are many.
type busy struct {
	on    bool
	calm  int // looks in a row at which there were few
	count uint64
	at    int64 // Unix nanoseconds of the count; 0: none yet
}

// look takes the counter at a moment. It is on from more than above a second, until
// there was less than half of that some looks long; 0 is never.
func (b *busy) look(count uint64, at int64, above int) bool {
	since, came := at-b.at, count-b.count
	if b.at != 0 && since < int64(awakeEvery/2) { // the same picture: the loop was at something long
		return b.on
	}
	first := b.at == 0
	b.count, b.at = count, at
	switch rate := float64(came) * float64(time.Second) / float64(max(since, 1)); {
	case above == 0:
		b.on = false
	case first:
	case rate > float64(above):
		b.on, b.calm = true, 0
	case rate >= float64(above)/2:
		b.calm = 0
	default:
		if b.calm++; b.calm >= calmLooks {
			b.on = false
		}
	}
	return b.on
}
