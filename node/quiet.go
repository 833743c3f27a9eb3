package node

import (
	"runtime/debug"
	"time"
)

// What a busy hour left in the heap goes back to the system when the switch has
// been quiet for a while: ten thousand silent terminals should cost what they
// hold and not what they once caused. It is done once for each quiet time, and
// never while there is work.
const (
	lookEvery  = time.Second
	quietLooks = 2
)

// tidy watches frames, and connections that come and go, until stop is closed.
func (n *Node) tidy(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var q quiet
	for {
		select {
		case <-stop:
			return
		case <-look.C:
			f := n.front.Stats()
			came := f.Accepted + f.Dialled
			if gone := came - f.Open; q.look(f.FramesIn + came + gone) {
				debug.FreeOSMemory()
			}
		}
	}
}

// quiet finds the moment at which a counter has stood still for long enough.
type quiet struct {
	last  uint64
	still int
}

// look is true once for each time that the counter stands still.
func (q *quiet) look(count uint64) bool {
	if count != q.last {
		q.last, q.still = count, 0
		return false
	}
	q.still++
	return q.still == quietLooks && count > 0
}
