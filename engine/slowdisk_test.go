package engine

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"tongka/fault"
)

// A disk that stalls is measured and named: operators see transactions wait and must
// not have to guess what for.
func TestSlowDiskIsSaid(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	w := newWorld(t)
	w.logger = zap.New(core)
	w.again()
	bank, p := w.bankUp(0), w.terminal()
	w.pass(time.Duration(showEvery))
	before := w.shard.Snapshot().Disk
	if n := w.shard.stats.Commits; before.Count == 0 || before.Count > n {
		t.Errorf("%d commits measured of %d", before.Count, n)
	}

	stall := 300 * time.Millisecond
	w.log.onSync = func() { w.now += int64(stall) }
	p.sale(1, 1250, false)
	w.pass(0)
	w.bankGot(bank)
	w.log.onSync = nil
	w.pass(time.Duration(showEvery))
	d := w.shard.Snapshot().Disk.Since(&before)
	if d.Sum < uint64(stall/time.Microsecond) || d.Quantile(1) < uint64(stall/time.Microsecond) {
		t.Errorf("the stall is not in the figures: %d commits, %d µs", d.Count, d.Sum)
	}
	found := logs.FilterField(fault.Field(fault.DiskSlow)).All()
	if len(found) != 1 || found[0].ContextMap()["took"] != stall {
		t.Errorf("lines of a slow disk: %v", found)
	}
}
