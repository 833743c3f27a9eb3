package engine

import (
	"testing"
	"time"

	"tongka/journal"
)

// TestStampIsNotBeforeTheArrival: the loop reads its clock before frames come in and
// we read ours. What is looked for by its arrival must be in a turn of that time.
func TestStampIsNotBeforeTheArrival(t *testing.T) {
	w := newWorld(t)
	w.bankUp(0)
	p := w.terminal()
	w.pass(time.Second)
	early := w.now - int64(time.Millisecond)
	p.send(0x0200, p.mak, p.money(5, 1000, false, ""))
	w.shard.Tick(early)
	seen := 0
	err := w.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if r.Kind == journal.Intent {
			if seen++; r.Turn < r.Facts.At {
				t.Errorf("arrived at %d, stamped %d", r.Facts.At, r.Turn)
			}
		}
		return nil
	})
	if err != nil || seen != 1 {
		t.Errorf("%v, %d intents", err, seen)
	}
	// The clock may be set back between turns.
	w.now -= int64(time.Hour)
	w.pass(0)
	if w.shard.now != w.now {
		t.Errorf("the shard is at %d, its clock at %d", w.shard.now, w.now)
	}
}
