package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/config"
	"tongka/conn"
	"tongka/console"
	"tongka/engine"
	"tongka/fault"
	"tongka/registry"
)

// seats are the front's indexes of listeners and links by their names. The front
// gives each index out once, so after some reloads they are not those of the
// file any more.
type seats struct{ listeners, links map[string]int }

// seated gives the places that a front has at its start: the order of the file.
func seated(cc *conn.Config) seats {
	s := seats{map[string]int{}, map[string]int{}}
	for i := range cc.Listeners {
		s.listeners[cc.Listeners[i].Name] = i
	}
	for i := range cc.Links {
		s.links[cc.Links[i].Name] = i
	}
	return s
}

// after gives the places as a change leaves them.
func (s seats) after(c *conn.Change) seats {
	next := seats{maps.Clone(s.listeners), maps.Clone(s.links)}
	for _, of := range []struct {
		places map[string]int
		diff   *conn.Diff
	}{{next.listeners, &c.Listeners}, {next.links, &c.Links}} {
		for _, p := range slices.Concat(of.diff.Added, of.diff.Replaced) {
			of.places[p.Name] = p.Index
		}
		for _, p := range of.diff.Removed {
			delete(of.places, p.Name)
		}
		for _, p := range of.diff.Renamed {
			delete(of.places, p.Was)
		}
		for _, p := range of.diff.Renamed { // two may have changed their names about
			of.places[p.Name] = p.Index
		}
	}
	return next
}

// reseat makes an engine's configuration, whose numbers are the order of the
// front's configuration, speak of the places that the front gives. old is what
// the places of listeners that are gone still belong to.
func (s seats) reseat(ec *engine.Config, cc *conn.Config, old []engine.Listener) {
	place := func(at *int) { *at = s.links[cc.Links[*at].Name] }
	for i := range ec.Links {
		for j := range ec.Links[i].Lines {
			place(&ec.Links[i].Lines[j].Send)
			place(&ec.Links[i].Lines[j].Receive)
		}
	}
	for i := range ec.HSMs {
		place(&ec.HSMs[i].Socket)
	}
	all := slices.Clone(old)
	for i := range ec.Listeners {
		at := s.listeners[cc.Listeners[i].Name]
		for at >= len(all) {
			all = append(all, ec.Listeners[i])
		}
		all[at] = ec.Listeners[i]
	}
	ec.Listeners = all
}

// revision is a new configuration on its way: all that can be wrong is found
// before anything is changed.
type revision struct {
	cfg     *config.Config
	changes []config.Change
	parts   engine.Config
	front   conn.Config
	plan    conn.Change
	seats   seats
}

// revise reads the file again and works out what it would change.
func (n *Node) revise() (*revision, error) {
	if n.opts.File == "" {
		return nil, errors.New("此进程没有配置文件 · this process has no config file")
	}
	cfg, err := config.Load(n.opts.File)
	if err != nil {
		return nil, err
	}
	r := &revision{cfg: cfg, changes: config.Compare(n.cfg, cfg)}
	var faults []error
	for _, c := range r.changes {
		if !c.Live {
			faults = append(faults, fmt.Errorf("须重启 · wants a restart: %v", c))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	next := &Node{cfg: cfg, log: n.log}
	if r.parts, r.front, err = next.parts(n.opts); err != nil {
		return nil, err
	}
	if r.plan, err = n.front.Plan(r.front); err != nil {
		return nil, err
	}
	r.seats = n.seats.after(&r.plan)
	r.seats.reseat(&r.parts, &r.front, n.parts0.Listeners)
	return r, tryTerminals(cfg)
}

// tryTerminals reads the terminals' file into a registry that is thrown away.
func tryTerminals(cfg *config.Config) error {
	if cfg.Registry.Import == "" {
		return nil
	}
	r, err := registry.Open(registry.Options{InMemory: true, Max: cfg.Registry.MaxTerminals})
	if err != nil {
		return err
	}
	f, err := os.Open(cfg.Registry.Import)
	if err != nil {
		return errors.Join(fmt.Errorf("终端文件 · terminals: %w", err), r.Close())
	}
	_, _, err = r.Import(f, cfg.Registry.Import)
	return errors.Join(err, f.Close(), r.Close())
}

// reload makes the running switch as its file says, or leaves it as it is and
// says why.
func (n *Node) reload(ctx context.Context, dry bool) admin.Answer {
	r, err := n.revise()
	if err == nil && !dry {
		n.tell(n.opts.Notify.Reloading())
		err = n.apply(ctx, r)
		n.tell(n.opts.Notify.Ready(n.cfg.Node.Name))
	}
	if err != nil {
		answer := admin.Failed("未加载，原配置继续生效", "not loaded, the old config stays", err)
		if !dry {
			n.log.Error("config not reloaded: the old one stays", fault.Field(fault.NotReloaded), zap.Error(err))
			n.note(answer)
		}
		return answer
	}
	answer := r.words(dry)
	if !dry {
		n.log.Info("config reloaded", zap.Strings("changes", answer.Lines))
		n.note(answer)
	}
	return answer
}

// apply does what a revision says. First the engine looks at it, then the front
// takes it, which can fail when a port is not free, and then nothing of the
// engine has to be undone. Terminals come last: what they need is there, and what
// was tried before fails only with the disk.
func (n *Node) apply(ctx context.Context, r *revision) error {
	c := retune(&r.parts)
	c.Prepare = true
	if err := n.shard.Do(ctx, c); err != nil {
		return err
	}
	if _, err := n.front.Update(r.front); err != nil {
		return err
	}
	// The front has changed, so the shard must follow, however long that takes.
	if err := n.shard.Do(context.WithoutCancel(ctx), retune(&r.parts)); err != nil {
		return err
	}
	n.view.Lock()
	n.cfg, n.seats, n.parts0, n.loaded = r.cfg, r.seats, r.parts, time.Now()
	n.view.Unlock()
	if n.opts.Level != nil {
		if err := n.opts.Level.UnmarshalText([]byte(r.cfg.Log.Level)); err != nil {
			return err
		}
	}
	if path := r.cfg.Registry.Import; path != "" {
		return n.importTerminals(path)
	}
	return nil
}

// retune is what the shard is told of its configuration. It gets copies: the
// front keeps to the lists that it was given, and so does the shard.
func retune(ec *engine.Config) *engine.Retune {
	return &engine.Retune{Listeners: slices.Clone(ec.Listeners), Links: slices.Clone(ec.Links), HSMs: slices.Clone(ec.HSMs),
		HSMTimeout: ec.HSMTimeout, Routes: ec.Routes, FlowControl: ec.FlowControl, Rules: ec.Rules, Day: ec.Day}
}

// words says what a reload does: what drains, and what every key becomes.
func (r *revision) words(dry bool) admin.Answer {
	if len(r.changes) == 0 {
		answer := admin.Done("配置无变化", "the config has not changed")
		answer.Lines = []string{"终端、BIN 表与证书已重读 · terminals, BIN table and certificates were read again"}
		if dry {
			answer.Lines = []string{"终端、BIN 表与证书将重读 · terminals, BIN table and certificates would be read again"}
		}
		return answer
	}
	doors, lines := &r.plan.Listeners, &r.plan.Links
	drained := len(lines.Removed) + len(lines.Moved) + len(lines.Replaced)
	zh := fmt.Sprintf("%d 项变化：接入新增 %d、移除 %d、迁移 %d、改名 %d，线路排空 %d，空闲后断开 %d 个连接，中断 0 个会话", len(r.changes),
		len(doors.Added), len(doors.Removed), len(doors.Moved)+len(doors.Replaced), len(doors.Renamed), drained, r.plan.Draining)
	en := fmt.Sprintf("%s: listeners %d added, %d removed, %d moved, %d renamed; %s, %s, 0 sessions cut", some(len(r.changes), "change", "changes"),
		len(doors.Added), len(doors.Removed), len(doors.Moved)+len(doors.Replaced), len(doors.Renamed),
		some(drained, "link drains", "links drain"), some(r.plan.Draining, "connection leaves when idle", "connections leave when idle"))
	if dry {
		zh, en = "将有 "+zh, "would be "+en
	}
	answer := admin.Done(zh, en)
	for _, c := range r.changes {
		answer.Lines = append(answer.Lines, c.String())
	}
	for _, c := range r.changes {
		answer.Before += c.Path + ": " + c.Before + "\n"
		answer.After += c.Path + ": " + c.After + "\n"
	}
	return answer
}

func some(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// note keeps what became of the last try, for the console and the status.
func (n *Node) note(a admin.Answer) {
	n.view.Lock()
	n.reloaded = &admin.Reloading{At: time.Now(), Answer: a}
	n.view.Unlock()
}

// lastReload is the same in the console's words.
func (n *Node) lastReload() *console.Reload {
	n.view.RLock()
	r := n.reloaded
	n.view.RUnlock()
	if r == nil {
		return nil
	}
	lines := r.Lines
	if lines == nil {
		lines = []string{} // never null in JSON
	}
	return &console.Reload{At: r.At.Format(time.RFC3339), OK: r.OK, Words: console.Words{ZH: r.Zh, EN: r.En}, Lines: lines}
}

// config is what runs now.
func (n *Node) config() *config.Config {
	n.view.RLock()
	defer n.view.RUnlock()
	return n.cfg
}

// tell logs what systemd could not be told; it is nobody's failure.
func (n *Node) tell(err error) {
	if err != nil {
		n.log.Warn("systemd not told", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
}
