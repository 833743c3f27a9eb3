package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/engine"
	"tongka/fault"
	"tongka/keyfile"
	"tongka/registry"
	"tongka/registry/blacklist"
	"tongka/registry/desk"
)

// OpenDesk opens the blacklist of a data folder beside its registry. The key of
// the fingerprints is made with the first list, and never anew for one that is
// there.
func OpenDesk(cfg *config.Config, reg *registry.Registry) (*desk.Desk, error) {
	_, err := os.Stat(cfg.BlacklistDir())
	key, err := keyfile.Load(filepath.Join(cfg.Data, "blacklist.key"), os.IsNotExist(err))
	if err != nil {
		return nil, fmt.Errorf("黑名单密钥 · key of the blacklist: %w", err)
	}
	b, err := blacklist.Open(blacklist.Options{Dir: cfg.BlacklistDir(), Key: key, Max: cfg.Registry.MaxBlacklist})
	if err != nil {
		return nil, err
	}
	return &desk.Desk{Registry: reg, Blacklist: b}, nil
}

// Entry is what the audit file is told of an order.
func Entry(who audit.Who, o desk.Order, r *desk.Result, err error) audit.Entry {
	e := audit.Entry{Who: who, Action: "registry " + o.Verb, What: r.What, Before: r.Before, After: r.After, Result: "ok"}
	if e.What == "" {
		e.What = desk.Subject(o)
	}
	if err != nil {
		e.Result, e.Why, e.After = "refused", err.Error(), ""
	}
	return e
}

// Registry implements admin.Switch: what people do to the tables of a switch that
// runs.
func (n *Node) Registry(ctx context.Context, who audit.Who, e admin.Edit, in io.Reader) admin.Answer {
	n.acting.Lock()
	defer n.acting.Unlock()
	if !n.opened {
		return admin.Refused("交换正在启动或停止", "the switch is being started or stopped")
	}
	o := desk.Order(e)
	r, err := n.desk.Do(o, in)
	answer := admin.Done("完成", "done")
	answer.Text = r.Text
	if err != nil {
		answer = admin.Failed("未更改", "nothing has changed", err)
	}
	if r.Changed || err != nil {
		// Who hangs up keeps nothing out of the audit file.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
		defer cancel()
		n.enter(ctx, Entry(who, o, &r, err), &answer)
	}
	return answer
}

// maxSuspicions wait to be written down; more are counted by the metrics alone.
const maxSuspicions = 256

// suspicion hands over what the shard saw, without waiting.
func suspicion(to chan<- engine.Suspicion) func(engine.Suspicion) {
	return func(s engine.Suspicion) {
		select {
		case to <- s:
		default:
		}
	}
}

// perSuspicion is the least time between two lines about suspicious cards, so that
// who tries many cannot fill the disk.
const perSuspicion = 100 * time.Millisecond

// watch writes suspicions into the audit file until stop.
func (n *Node) watch(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	pace := time.NewTicker(perSuspicion)
	defer pace.Stop()
	for {
		select {
		case e := <-n.keyEvents:
			if n.noteKey(e); e.What != "refused" {
				continue // there are no more of these than operators permitted
			}
		case s := <-n.suspect:
			_, err := n.audit.Append(audit.Entry{Who: audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "switch"}, Action: "blacklist",
				What:  fmt.Sprintf("card %v at %s/%s", s.Card, strings.TrimSpace(string(s.Terminal.Merchant[:])), strings.TrimSpace(string(s.Terminal.Number[:]))),
				After: fmt.Sprintf("%v, transaction %d", s.Kind, s.ID), Result: "refused", Why: s.Mark.Cause().String()})
			if err != nil && !errors.Is(err, os.ErrClosed) {
				n.log.Error("not audited", fault.Field(fault.NotAudited), zap.String("action", "blacklist"), zap.Error(err))
			}
		case <-stop:
			n.noteKeys()
			return
		}
		select {
		case <-pace.C:
		case <-stop:
			n.noteKeys()
			return
		}
	}
}
