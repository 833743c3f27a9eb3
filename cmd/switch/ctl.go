package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/console"
)

// ctlCmd talks to a running switch over its Unix socket.
type ctlCmd struct {
	Status     ctlStatusCmd     `cmd:"" help:"运行状态 · how it is"`
	Reload     ctlReloadCmd     `cmd:"" help:"重新读取配置，不中断会话 · read the config again, no session is cut"`
	Drain      ctlDrainCmd      `cmd:"" help:"停用线路：在途结束后签退 · take a bank link out of service"`
	Undrain    ctlUndrainCmd    `cmd:"" help:"恢复线路 · give it back to service"`
	Keys       ctlKeysCmd       `cmd:"" help:"向银行申请新密钥 · ask a bank for a new key"`
	LogLevel   ctlLogLevelCmd   `cmd:"" help:"日志级别，直至重新加载或重启 · log level, until the next reload or start"`
	Stop       ctlStopCmd       `cmd:"" help:"停机：在途交易先完成 · stop, what is in flight first"`
	Restart    ctlRestartCmd    `cmd:"" help:"热重启：端口不关闭 · hot restart, the ports stay open"`
	Checkpoint ctlCheckpointCmd `cmd:"" help:"流水快照：清分与备份在其上进行，不扰交易 · a checkpoint of the journal, for clearing and backups beside the traffic"`
	Day        ctlDayCmd        `cmd:"" help:"营业日：日切、时钟 · the business day: end it, see how it is"`
	Batches    ctlBatchesCmd    `cmd:"" help:"批结算不平与批上送差错，CSV · batches that did not balance, and faults of their uploads, as CSV"`
	Faults     ctlFaultsCmd     `cmd:"" help:"启动以来的内部故障与告警 · internal faults and alarms since the start"`
	Frames     ctlFramesCmd     `cmd:"" help:"各接入、线路、加密机最后一个无法解析的帧 · the last malformed frame of each listener, line and module"`
	Cards      ctlCardsCmd      `cmd:"" help:"挂人工的卡：列出、查看、双人裁定 · cards that a person has to decide about: list, show, decide by two"`
	Audit      ctlAuditCmd      `cmd:"" help:"操作审计 · what was done, and by whom"`
}

// ctlFlags say which switch is meant, and how to answer.
type ctlFlags struct {
	Config string `short:"c" placeholder:"FILE" help:"配置文件，由其得知套接字 · config file, which names the socket"`
	Socket string `placeholder:"PATH" help:"管理套接字，配置有误时用 · admin socket, when the config is not right"`
	JSON   bool   `help:"输出 JSON · write JSON"`
}

// client is for the socket that was named, or that the config names.
func (f *ctlFlags) client() (*admin.Client, error) {
	if f.Socket != "" {
		return admin.NewClient(f.Socket), nil
	}
	cfg, err := f.load()
	if err != nil {
		return nil, err
	}
	return admin.NewClient(cfg.Admin.Socket), nil
}

func (f *ctlFlags) load() (*config.Config, error) {
	if f.Config == "" {
		return nil, errors.New("须指明哪一个交换：-c 配置文件，或 --socket 套接字 · say which switch: -c FILE, or --socket PATH")
	}
	return config.Load(f.Config)
}

// ctlWithin bounds what one question may take; a reload may import terminals. Tests
// have less patience.
var ctlWithin = time.Minute

// running asks whether a switch listens at the socket. One that does not answer
// within ctlWithin is neither running nor at rest: an error.
func running(ctx context.Context, c *admin.Client) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ctlWithin)
	defer cancel()
	_, err := c.Status(ctx)
	if errors.Is(err, admin.ErrNotRunning) {
		return false, nil
	}
	return err == nil, err
}

// act asks for an action and prints what became of it.
func (f *ctlFlags) act(s *streams, a admin.Action) error {
	c, err := f.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	answer, err := c.Act(ctx, a)
	if err != nil {
		return err
	}
	return f.print(s, &answer)
}

// print writes an answer; one that is no goes to standard error and to the exit
// code.
func (f *ctlFlags) print(s *streams, a *admin.Answer) error {
	var failed error
	to := s.out
	if !a.OK {
		failed, to = errShown, s.err
	}
	if f.JSON {
		return errors.Join(writeJSON(s.out, a), failed)
	}
	fmt.Fprintf(to, "%s · %s\n", a.Zh, a.En)
	for _, line := range a.Lines {
		fmt.Fprintf(to, "  %s\n", line)
	}
	fmt.Fprint(to, a.Text)
	return failed
}

// ctlStatusCmd prints how the switch is.
type ctlStatusCmd struct{ ctlFlags }

// Run asks and prints.
func (c *ctlStatusCmd) Run(s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	st, err := client.Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, st)
	}
	printStatus(s.out, &st)
	return nil
}

func printStatus(w io.Writer, st *admin.Status) {
	fmt.Fprintf(w, "%s: %s · %s\n", st.Node, st.Zh, st.En)
	fmt.Fprintf(w, "版本 · version %s, 进程 · pid %d, 启动 · started %s\n", st.Version, st.PID, st.Started.Format(time.DateTime))
	fmt.Fprintf(w, "配置 · config %s, 加载 · loaded %s, 日志 · log %s\n", st.Config, st.Loaded.Format(time.DateTime), st.Level)
	fmt.Fprintf(w, "连接 · connections %d, 在途 · in flight %d/%d, 欠冲正 · owed %d, 挂起 · parked %d, 挂人工的卡 · cards for a person %d\n", st.Open, st.InFlight, st.Slots, st.Owed, st.Parked, st.Cards)
	for _, d := range st.Doors {
		fmt.Fprintf(w, "终端接入 · listener %s: %s\n", d.Name, d.Address)
	}
	for _, l := range st.Links {
		state := console.WordsOfLink(l.State)
		fmt.Fprintf(w, "银行线路 · link %s: %s（%s · %s）, 在途 · in flight %d, 欠冲正 · owed %d\n", l.Name, l.State, state.ZH, state.EN, l.InFlight, l.Owed)
	}
	if h := st.HandOver; h != nil {
		fmt.Fprintf(w, "上次热重启未成 · last hot restart failed %s: %s · %s\n", h.At.Format(time.DateTime), h.Zh, h.En)
		for _, line := range h.Lines {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	if r := st.Reloaded; r != nil {
		fmt.Fprintf(w, "上次重新加载 · last reload %s: %s · %s\n", r.At.Format(time.DateTime), r.Zh, r.En)
		for _, line := range r.Lines {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
}

// ctlReloadCmd asks for a reload, or for what one would do.
type ctlReloadCmd struct {
	ctlFlags
	Dry bool `help:"只说明将有何变化 · only say what would change"`
}

// Run asks for it.
func (c *ctlReloadCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.Reload, Dry: c.Dry})
}

// ctlDrainCmd takes a bank out of service.
type ctlDrainCmd struct {
	ctlFlags
	Link string `arg:"" help:"线路名 · name of the link"`
}

// Run asks for it.
func (c *ctlDrainCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.Drain, What: c.Link})
}

// ctlUndrainCmd gives it back.
type ctlUndrainCmd struct {
	ctlFlags
	Link string `arg:"" help:"线路名 · name of the link"`
}

// Run asks for it.
func (c *ctlUndrainCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.Undrain, What: c.Link})
}

// ctlKeysCmd asks a bank for a new key.
type ctlKeysCmd struct {
	ctlFlags
	Link string `arg:"" help:"线路名 · name of the link"`
	Kind string `default:"pin" enum:"pin,mac" help:"哪把密钥：pin 或 mac · which key: pin or mac"`
}

// Run asks for it.
func (c *ctlKeysCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.Keys, What: c.Link, Kind: c.Kind})
}

// ctlLogLevelCmd changes what is logged.
type ctlLogLevelCmd struct {
	ctlFlags
	Level string `arg:"" enum:"debug,info,warn,error" help:"debug, info, warn, error"`
}

// Run asks for it.
func (c *ctlLogLevelCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.LogLevel, What: c.Level})
}

// ctlCheckpointCmd has the switch make a copy of its journal.
type ctlCheckpointCmd struct {
	ctlFlags
	To string `arg:"" type:"path" help:"新目录，须尚不存在 · a new folder, must not be there yet"`
}

// Run asks for it.
func (c *ctlCheckpointCmd) Run(s *streams) error {
	return c.act(s, admin.Action{Verb: admin.Checkpoint, What: c.To})
}

// ctlStopCmd stops the switch.
type ctlStopCmd struct {
	ctlFlags
	Wait time.Duration `default:"5m" help:"至多等待多久，0 不等待 · how long to wait for its end, 0 does not"`
}

// Run asks for it and waits until nobody answers any more.
func (c *ctlStopCmd) Run(s *streams) error {
	if err := c.act(s, admin.Action{Verb: admin.Stop}); err != nil || c.Wait == 0 {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	return poll(s.ctx, c.Wait, "交换仍在停机 · it is still stopping", func(ctx context.Context) bool {
		_, err := client.Status(ctx)
		return errors.Is(err, admin.ErrNotRunning)
	})
}

// ctlRestartCmd hands the switch over to a new process.
type ctlRestartCmd struct {
	ctlFlags
	Wait time.Duration `default:"5m" help:"至多等待多久，0 不等待 · how long to wait for the new process, 0 does not"`
}

// Run asks for it and waits until the new process answers, or the old one says that
// nobody follows it.
func (c *ctlRestartCmd) Run(s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	answer, err := client.Act(ctx, admin.Action{Verb: admin.Restart})
	if err != nil {
		return err
	}
	if err := c.print(s, &answer); err != nil || c.Wait == 0 {
		return err
	}
	var failed *admin.HandOver
	err = poll(s.ctx, c.Wait, "新进程尚未就绪 · the new process is not there yet", func(ctx context.Context) bool {
		st, err := client.Status(ctx)
		if err != nil {
			return false
		}
		if h := st.HandOver; h != nil && h.PID == answer.PID {
			failed = h
		}
		return st.PID == answer.PID || failed != nil
	})
	if err == nil && failed != nil {
		return c.print(s, &failed.Answer)
	}
	return err
}

// pollEvery is the pause between two looks at another process.
const pollEvery = 100 * time.Millisecond

// poll looks until ok or until the time is over.
func poll(ctx context.Context, within time.Duration, late string, ok func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	again := time.NewTicker(pollEvery)
	defer again.Stop()
	for !ok(ctx) {
		select {
		case <-again.C:
		case <-ctx.Done():
			return errors.New(late)
		}
	}
	return nil
}

// ctlAuditCmd is about the file of what people did.
type ctlAuditCmd struct {
	Show   auditShowCmd   `cmd:"" help:"列出审计记录 · list what was done"`
	Verify auditVerifyCmd `cmd:"" help:"校验哈希链，交换运行时并与存证比对 · check the chain, and its end against what the running switch keeps"`
}

// auditShowCmd lists the entries of the file.
type auditShowCmd struct{ ctlFlags }

// Run prints one line for each.
func (c *auditShowCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	entries := []audit.Entry{}
	_, err = audit.Verify(cfg.AuditFile(), func(e *audit.Entry) { entries = append(entries, *e) })
	if c.JSON {
		return errors.Join(writeJSON(s.out, entries), err)
	}
	for i := range entries {
		e := &entries[i]
		who := fmt.Sprintf("uid %d pid %d", e.Who.UID, e.Who.PID)
		if e.Who.Token != "" {
			who = "token " + e.Who.Token
		}
		change := ""
		switch {
		case e.Before != "" && e.After != "":
			change = fmt.Sprintf(" (%s → %s)", e.Before, e.After)
		case e.Before+e.After != "":
			change = fmt.Sprintf(" (%s)", e.Before+e.After)
		}
		fmt.Fprintf(s.out, "%4d  %s  %-7s %-20s %-9s %s %s%s %s\n", e.N, e.At.Format(time.DateTime), e.Who.Via, who, e.Action, e.What, e.Result, change, e.Why)
	}
	return err
}

// auditVerifyCmd checks the chain.
type auditVerifyCmd struct{ ctlFlags }

// chain is what verify says as JSON.
type chain struct {
	OK      bool       `json:"ok"`
	Lines   uint64     `json:"lines"`
	Kept    audit.Head `json:"kept"`
	Against bool       `json:"compared"` // with what the running switch keeps
	Why     string     `json:"why,omitempty"`
}

// Run checks the file, and its end against the journal's word when the switch
// runs; otherwise the next start does that.
func (c *auditVerifyCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	v := chain{}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	v.Kept, err = admin.NewClient(cfg.Admin.Socket).AuditHead(ctx)
	switch v.Against = err == nil; {
	case err != nil && !errors.Is(err, admin.ErrNotRunning):
		return err
	case v.Against:
		err = audit.Check(cfg.AuditFile(), v.Kept)
	default:
		err = nil
	}
	head, verr := audit.Verify(cfg.AuditFile(), nil)
	v.Lines = head.N
	if err == nil {
		err = verr
	}
	if v.OK = err == nil || errors.Is(err, os.ErrNotExist) && v.Kept.N == 0; !v.OK {
		v.Why = err.Error()
	}
	return v.print(s, c.JSON)
}

func (v *chain) print(s *streams, asJSON bool) error {
	var failed error
	if !v.OK {
		failed = errShown
	}
	switch {
	case asJSON:
		return errors.Join(writeJSON(s.out, v), failed)
	case !v.OK:
		fmt.Fprintf(s.err, "审计文件不可信 · the audit file cannot be trusted\n  %s\n", v.Why)
	case v.Against:
		fmt.Fprintf(s.out, "审计链完整，共 %d 行，与存证一致 · the chain holds, %d lines, as the running switch keeps it\n", v.Lines, v.Lines)
	default:
		fmt.Fprintf(s.out, "审计链完整，共 %d 行；交换未运行，末尾未比对 · the chain holds, %d lines; the switch does not run, so its end was not compared\n", v.Lines, v.Lines)
	}
	return failed
}
