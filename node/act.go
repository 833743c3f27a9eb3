package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tongka/admin"
	"tongka/audit"
	"tongka/console"
	"tongka/engine"
)

// actWithin bounds one action that the shard takes part in.
const actWithin = 10 * time.Second

// Act implements admin.Switch. One action is done at a time.
func (n *Node) Act(ctx context.Context, who audit.Who, a admin.Action) admin.Answer {
	n.acting.Lock()
	defer n.acting.Unlock()
	if !n.opened {
		return admin.Refused("交换正在启动或停止", "the switch is being started or stopped")
	}
	// Who hangs up does not undo what has begun, nor keep it out of the audit file.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
	defer cancel()
	answer := n.act(ctx, a)
	if a.Dry {
		return answer
	}
	n.record(ctx, who, a, &answer)
	n.log.Info("admin", zap.String("action", string(a.Verb)), zap.String("what", a.What), zap.Int("uid", who.UID), zap.Int("pid", who.PID),
		zap.String("token", who.Token), zap.String("via", who.Via), zap.Bool("done", answer.OK), zap.String("result", answer.En))
	switch { // only now: it is written down before the process ends
	case answer.OK && a.Verb == admin.Stop:
		n.opts.Stop()
	case answer.OK && a.Verb == admin.Restart:
		n.opts.HandOver()
	}
	return answer
}

func (n *Node) act(ctx context.Context, a admin.Action) admin.Answer {
	switch a.Verb {
	case admin.Reload:
		return n.reload(ctx, a.Dry)
	case admin.Drain, admin.Undrain:
		return n.drain(ctx, a)
	case admin.Keys:
		return n.askKeys(ctx, a.What, a.Kind)
	case admin.LogLevel:
		return n.logLevel(a.What)
	case admin.Stop:
		if n.opts.Stop == nil {
			return admin.Refused("此进程不能由管理接口停止", "this process cannot be stopped from here")
		}
		return admin.Done("开始停机，在途交易至多等待 "+n.config().Stop.Deadline.String(), "stopping; what is in flight gets "+n.config().Stop.Deadline.String())
	case admin.Restart:
		return n.restart(ctx)
	case admin.OrdersImport:
		return n.importOrders(ctx, a.What)
	case admin.OrdersList:
		return n.listOrders(a.What)
	case admin.OrderCancel:
		return n.cancelOrder(ctx, a.What)
	case admin.Checkpoint:
		return n.checkpoint(a.What)
	case admin.Purge:
		return n.purge(a.What)
	case admin.DayCut:
		return n.cutByOrder(ctx, a.What)
	}
	return admin.Refused("没有这个操作", "there is no such action")
}

// drain takes a bank, or with #2 behind its name its second line, out of service
// or gives it back.
func (n *Node) drain(ctx context.Context, a admin.Action) admin.Answer {
	back := a.Verb == admin.Undrain
	link, number, one := strings.Cut(a.What, "#")
	line := 0
	if one {
		if line, _ = strconv.Atoi(number); line < 1 {
			return admin.Refused(fmt.Sprintf("没有第 %q 条线路", number), fmt.Sprintf("no line %q", number), "bank#1")
		}
	}
	before := n.linkState(link)
	err := n.shard.Do(ctx, engine.Drain{Link: link, Line: line, Back: back})
	switch {
	case errors.Is(err, engine.ErrNoLine):
		return admin.Refused(fmt.Sprintf("%s 没有第 %d 条线路", link, line), fmt.Sprintf("%s has no line %d", link, line))
	case errors.Is(err, engine.ErrNoLink):
		return admin.Refused(fmt.Sprintf("没有线路 %q", a.What), fmt.Sprintf("no link %q", a.What))
	case err != nil:
		return admin.Failed("未能执行", "not done", err)
	}
	answer := admin.Done("线路 "+a.What+" 停用：不再发送新交易，在途结束后签退", "link "+a.What+" drains: nothing new goes there, it signs off when nothing is in flight")
	answer.After = "out of service"
	if back {
		answer = admin.Done("线路 "+a.What+" 恢复", "link "+a.What+" is given back to service")
		answer.After = "in service"
	}
	answer.Before = before
	return answer
}

// linkState is a link's state in the newest picture.
func (n *Node) linkState(name string) string {
	if p := n.Snapshot(); p != nil {
		for i := range p.Links {
			if p.Links[i].Name == name {
				return p.Links[i].State
			}
		}
	}
	return ""
}

func (n *Node) logLevel(word string) admin.Answer {
	var level zapcore.Level
	if err := level.UnmarshalText([]byte(word)); err != nil || level > zapcore.ErrorLevel {
		return admin.Refused(fmt.Sprintf("没有日志级别 %q", word), fmt.Sprintf("no log level %q", word), "debug, info, warn, error")
	}
	if n.opts.Level == nil {
		return admin.Refused("此进程的日志级别不能更改", "the log level of this process cannot change")
	}
	before := n.opts.Level.Level()
	n.opts.Level.SetLevel(level)
	answer := admin.Done(fmt.Sprintf("日志级别 %v → %v，直至重新加载或重启", before, level), fmt.Sprintf("log level %v → %v, until the next reload or start", before, level))
	answer.Before, answer.After = before.String(), level.String()
	return answer
}

// restart prepares a successor; the process hands over once that is audited.
func (n *Node) restart(ctx context.Context) admin.Answer {
	if n.opts.Prepare == nil {
		return admin.Refused("此进程不支持热重启", "this process cannot restart by itself")
	}
	pid, err := n.opts.Prepare(ctx)
	if err != nil {
		return admin.Failed("新进程未就绪，旧进程继续运行", "the new process is not fit, the old one goes on", err)
	}
	answer := admin.Done(fmt.Sprintf("进程 %d 已就绪，开始交接", pid), fmt.Sprintf("process %d is prepared, handing over", pid))
	answer.PID = pid
	answer.Before, answer.After = fmt.Sprintf("pid %d", os.Getpid()), fmt.Sprintf("pid %d", pid)
	return answer
}

// Status implements admin.Switch.
func (n *Node) Status() admin.Status {
	cfg, p := n.config(), n.Snapshot()
	state, words := console.Judge(p, time.Now())
	st := admin.Status{Node: cfg.Node.Name, Version: n.opts.Version, PID: os.Getpid(), State: string(state), Zh: words.ZH, En: words.EN,
		Config: n.opts.File, Open: n.front.Stats().Open, Doors: []admin.Door{}, Links: []admin.Link{}}
	if n.opts.Level != nil {
		st.Level = n.opts.Level.Level().String()
	}
	if n.opts.Unfollowed != nil {
		st.HandOver = n.opts.Unfollowed()
	}
	n.view.RLock()
	st.Loaded, st.Reloaded = n.loaded, n.reloaded
	n.view.RUnlock()
	for i := range cfg.Listeners {
		if a := n.Addr(i); a != nil {
			st.Doors = append(st.Doors, admin.Door{Name: cfg.Listeners[i].Name, Address: a.String()})
		}
	}
	if p == nil {
		return st
	}
	st.Started = time.Unix(0, p.Started)
	st.Slots, st.InFlight, st.Owed, st.Parked, st.Cards = p.Slots, p.InFlight, p.Owed, p.Parked, p.Cards
	for i := range p.Links {
		l := &p.Links[i]
		st.Links = append(st.Links, admin.Link{Name: l.Name, State: l.State, InFlight: l.InFlight, Owed: l.Owed})
	}
	return st
}
