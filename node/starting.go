package node

import (
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/console"
	"tongka/engine"
)

// progressEvery is how often a recovery says how far it is.
const progressEvery = time.Second

// recoveryMayTake is how much longer a recovery asks systemd, or the supervisor, to
// wait with each word of progress: one that stands still is given up after that.
const recoveryMayTake = 2 * time.Minute

// startConsole opens the console before the stores, so that it can be seen what a
// start is at. Nothing can be done by it until the doors are open.
func (n *Node) startConsole() error {
	a := n.cfg.Console.Address
	if a == "" {
		return nil
	}
	n.console = console.New(n, console.Options{Version: n.opts.Version, Address: a, Logger: n.log, Reload: n.lastReload, Front: n.doors, Faults: n.opts.Faults, Profile: n.opts.Profile,
		Admin: n.whenOpened(admin.Handler(n, admin.ByToken(func() string { return n.config().Admin.Tokens })))})
	if err := n.console.Start(); err != nil {
		n.console = nil
		return err
	}
	return nil
}

// whenOpened keeps people's orders from what is not there yet.
func (n *Node) whenOpened(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.acting.Lock()
		opened := n.opened
		n.acting.Unlock()
		if !opened {
			http.Error(w, errStopped.Error(), http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// recovering tells of a recovery: the log, systemd and the console.
func (n *Node) recovering() func(engine.Recovery) {
	began := time.Now()
	var told time.Time
	n.recovery.Store(&engine.Snapshot{At: began.UnixNano(), Started: began.UnixNano()})
	n.tell(n.opts.Notify.Status("recovering"))
	return func(r engine.Recovery) {
		now := time.Now()
		if now.Sub(told) < progressEvery {
			return
		}
		told = now
		n.recovery.Store(&engine.Snapshot{At: now.UnixNano(), Started: began.UnixNano(), Recovery: r})
		n.log.Info("recovering", zap.Int("records", r.Records), zap.Int("open", r.Open), zap.Int("closed", r.Closed), zap.Duration("for", now.Sub(began)))
		n.tell(n.opts.Notify.Status(fmt.Sprintf("recovering: %d records read, %d open, %d closed", r.Records, r.Open, r.Closed)))
		n.tell(n.opts.Notify.ExtendTimeout(recoveryMayTake))
	}
}

// Snapshot is the newest picture of the switch: nil while the stores are opened, one
// that is not ready during recovery, nil again until the shard's first turn.
func (n *Node) Snapshot() *engine.Snapshot {
	if s := n.running.Load(); s != nil {
		return s.Snapshot()
	}
	return n.recovery.Load()
}
