package node

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"tongka/config"
	"tongka/conn"
	"tongka/engine"
)

const (
	// perConnection spreads the ends of connections, so that those who come back
	// do not all come in one moment; half of the time is the most it may take.
	perConnection = 2 * time.Millisecond
	// lastWords is what answers, sign-offs and closing take at most once the time
	// is over.
	lastWords = 2 * time.Second
	// lastCommit is what a disk may take then for what is open: a few milliseconds,
	// unless it stalls.
	lastCommit = 20 * time.Second
)

// Stop ends the switch in order: nothing is accepted any more, what is in flight
// gets the time until ctx ends, connections are closed spread out when nothing
// is owed to them, bank lines sign off, then the doors and the stores close. What
// is not finished by then is timed out with its reversal owed, on disk, and
// answered. The error says what could not be done in order; the stores are
// closed in any case.
func (n *Node) Stop(ctx context.Context) error {
	n.acting.Lock()
	n.opened = false
	n.acting.Unlock()
	close(n.stop)
	<-n.tidied
	<-n.followed
	<-n.cuts.ended
	<-n.measured
	<-n.rested
	<-n.watched
	began := time.Now()
	timedOut, err := n.drainAll(ctx)
	close(n.hush)
	<-n.hushed
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	err = errors.Join(err, n.front.Stop(last), n.closeAdmin(last), n.closeConsole(last), n.closeStores())
	n.log.Info("stopped", zap.Duration("within", time.Since(began)), zap.Int("timed_out", timedOut), zap.Error(err))
	return err
}

// drainAll empties the switch, and gives how many transactions were out of time.
func (n *Node) drainAll(ctx context.Context) (timedOut int, err error) {
	// A loop that waits for its disk may not hear of it before the time is over. It
	// hears it before Finish all the same: commands keep their order.
	if err := n.shard.Do(ctx, engine.Leave{}); err != nil && ctx.Err() == nil {
		return 0, notDead(err)
	}
	spread := time.Duration(n.front.Stats().Open) * perConnection
	if end, ok := ctx.Deadline(); ok {
		spread = max(0, min(spread, time.Until(end)/2))
	}
	if n.front.Drain(ctx, spread) == nil {
		return 0, nil
	}
	disk, done := context.WithTimeout(context.WithoutCancel(ctx), lastCommit)
	defer done()
	var f engine.Finish
	if err := n.shard.Do(disk, &f); err != nil {
		return 0, notDead(err)
	}
	timedOut = f.TimedOut
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	// What is left now is a module's MAC for the last answers, and sign-offs. Who
	// has not taken his answer by the end is not waited for.
	_ = n.front.Drain(last, 0)
	return timedOut, nil
}

// notDead passes over that the journal has failed: then nothing can be drained,
// and the process ends for that reason.
func notDead(err error) error {
	if errors.Is(err, engine.ErrFailed) {
		return nil
	}
	return err
}

// Sockets gives the front whose listening sockets another process is to have.
func (n *Node) Sockets() *conn.Front { return n.front }

// Running is the configuration that runs now; it is not to be changed.
func (n *Node) Running() *config.Config { return n.config() }
