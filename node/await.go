package node

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"tongka/engine"
	"tongka/fault"
)

const (
	// awaitAtMost is how long callers wait at a hot restart for banks and modules
	// that do not come: one that is down for days must not keep the others waiting.
	awaitAtMost = 2 * time.Second
	awaitStep   = 5 * time.Millisecond
)

// await opens the doors. At a hot restart callers wait in the backlog since the
// process before this one shut them: they would all be refused, with 91, until
// the first banks are signed on, and so wait that little longer.
func (n *Node) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), awaitAtMost)
	defer cancel()
	defer n.front.Admit()
	if n.opts.Inherited == nil {
		return nil
	}
	step := time.NewTicker(awaitStep)
	defer step.Stop()
	for {
		var c engine.Count
		switch err := n.shard.Do(ctx, &c); {
		case errors.Is(err, context.DeadlineExceeded):
			return nil // a shard that is at work for so long has begun
		case err != nil:
			return err
		case c.Banks+c.Modules == 0:
			return nil
		}
		select {
		case <-step.C:
		case <-ctx.Done():
			n.log.Warn("doors open, not everybody is there", fault.Field(fault.LateDoors), zap.Int("banks", c.Banks), zap.Int("modules", c.Modules))
			return nil
		}
	}
}
