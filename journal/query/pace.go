package query

import (
	"context"
	"maps"
	"slices"
	"time"

	"tongka/txn"
)

// pace keeps reading to a share of a processor's time.
type pace struct {
	share float64
	since time.Time
	steps int
}

// stepsAtOnce pages are read between two looks at the clock.
const stepsAtOnce = 64

func newPace(share float64) *pace { return &pace{share: share, since: time.Now()} }

// step is called for every page. It says whether it looked at the clock; its error is
// the context's.
func (p *pace) step(ctx context.Context) (looked bool, err error) {
	if p.steps++; p.steps%stepsAtOnce != 0 {
		return false, nil
	}
	if p.share < 1 {
		busy := time.Since(p.since)
		rest := time.NewTimer(time.Duration(float64(busy) * (1/p.share - 1)))
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
		p.since = time.Now()
	}
	return true, ctx.Err()
}

func sorted[V any](m map[txn.ID]V) []txn.ID { return slices.Sorted(maps.Keys(m)) }
