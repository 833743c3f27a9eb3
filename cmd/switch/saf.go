package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"tongka/admin"
	"tongka/audit"
)

// safCmd is about what is owed to banks. The queue belongs to the running switch,
// so all of it goes by its socket.
type safCmd struct {
	List      safListCmd      `cmd:"" help:"列出所欠 · list what is owed"`
	Show      safShowCmd      `cmd:"" help:"显示一笔所欠 · show one"`
	Export    safExportCmd    `cmd:"" help:"导出所欠，JSON 行 · export as JSON lines"`
	Hold      safHoldCmd      `cmd:"" help:"暂停一笔，或整条线路的投递 · stop one, or all deliveries to a bank"`
	Release   safReleaseCmd   `cmd:"" help:"提议恢复投递，须另一人确认 · propose to offer it again; another person confirms"`
	Settle    safSettleCmd    `cmd:"" help:"提议了结（已由他途告知银行），须另一人确认 · propose to give it up; another person confirms"`
	Proposals safProposalsCmd `cmd:"" help:"等待确认的提议 · proposals that wait"`
	Confirm   safConfirmCmd   `cmd:"" help:"确认他人的提议 · confirm another person's proposal"`
}

// safFlags say which switch, and who asks.
type safFlags struct {
	ctlFlags
	Token string `placeholder:"FILE" help:"本人令牌文件，用以区分同一系统用户的两人 · file with your token, where two people share one user of the machine"`
}

func (f *safFlags) client() (*admin.Client, error) {
	c, err := f.ctlFlags.client()
	if err != nil || f.Token == "" {
		return c, err
	}
	b, err := os.ReadFile(f.Token)
	if err != nil {
		return nil, fmt.Errorf("令牌文件 · token file: %w", err)
	}
	c.As(strings.TrimSpace(string(b)))
	return c, nil
}

// ask asks; a switch that does not run cannot be asked, and nobody else may touch
// its queue.
func (f *safFlags) ask(s *streams, topic string, question any, each func([]byte) error) error {
	c, err := f.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	err = c.Ask(ctx, topic, question, each)
	if errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf("所欠队列只由运行中的交换持有，停机时不可更改；先启动 · the queue belongs to the running switch, and nobody may change it while it is stopped: start it first: %w", err)
	}
	return err
}

// safListCmd lists debts.
type safListCmd struct {
	safFlags
	Link  string `help:"线路 · link"`
	State string `enum:",blocked,waiting,flying,parked,held" default:"" help:"blocked, waiting, flying, parked, held"`
	Limit int    `default:"100" help:"至多多少笔 · at most"`
}

// Run asks and prints.
func (c *safListCmd) Run(s *streams) error {
	return c.debts(s, admin.DebtList, admin.DebtQuery{Link: c.Link, State: c.State, Limit: c.Limit})
}

func (f *safFlags) debts(s *streams, topic string, q admin.DebtQuery) error {
	n := 0
	err := f.ask(s, topic, q, func(line []byte) error {
		n++
		var d admin.Debt
		switch err := json.Unmarshal(line, &d); {
		case err != nil:
			return err
		case f.JSON:
			return writeLine(s.out, d)
		}
		printDebt(s, &d)
		return nil
	})
	if err == nil && n == 0 && q.ID != 0 {
		return fmt.Errorf("没有这笔欠款 %d · there is no such debt: %d", q.ID, q.ID)
	}
	if err == nil && !f.JSON {
		fmt.Fprintf(s.out, "%d 笔 · debts\n", n)
	}
	return err
}

func printDebt(s *streams, d *admin.Debt) {
	fmt.Fprintf(s.out, "%d  %-8s → %-12s %-8s 已发 · offers %d, 失败 · failed %d  %s", d.ID, d.Form, d.Link, d.State, d.Offers, d.Attempts, d.At)
	if d.Kind != "" {
		fmt.Fprintf(s.out, "  %s %s %d.%02d %s/%s %s", d.Kind, d.Card, d.Amount/100, d.Amount%100, d.Merchant, d.Terminal, d.Arrived)
	}
	fmt.Fprintln(s.out)
}

// safShowCmd shows one.
type safShowCmd struct {
	safFlags
	ID uint64 `arg:"" help:"流水号 · number of the transaction"`
}

// Run asks and prints.
func (c *safShowCmd) Run(s *streams) error {
	return c.debts(s, admin.DebtShow, admin.DebtQuery{ID: c.ID})
}

// safExportCmd writes all of it.
type safExportCmd struct {
	safFlags
	Link string `help:"线路 · link"`
}

// Run asks and writes.
func (c *safExportCmd) Run(s *streams) error {
	c.JSON = true
	return c.debts(s, admin.DebtShow, admin.DebtQuery{Link: c.Link, Limit: 1 << 30})
}

// safOrder is what hold, release and settle have in common.
type safOrder struct {
	safFlags
	Link string `arg:"" help:"线路 · link"`
	ID   uint64 `arg:"" optional:"" help:"流水号；缺省为整条线路 · number of the transaction; the whole link when left out"`
	Form string `enum:"reversal,advice" default:"reversal" help:"reversal, advice"`
	Why  string `required:"" help:"原因，记入审计 · why, for the audit file"`
}

func (c *safOrder) order(s *streams, do string) error {
	return c.act(s, admin.DebtOrdered, admin.DebtOrder{Do: do, Link: c.Link, ID: c.ID, Form: c.Form, Why: c.Why})
}

func (f *safFlags) act(s *streams, topic string, o any) error {
	return f.ask(s, topic, o, func(line []byte) error {
		var a admin.Answer
		if err := json.Unmarshal(line, &a); err != nil {
			return err
		}
		return f.print(s, &a)
	})
}

// The three orders.
type (
	safHoldCmd    struct{ safOrder }
	safReleaseCmd struct{ safOrder }
	safSettleCmd  struct{ safOrder }
)

// Run holds.
func (c *safHoldCmd) Run(s *streams) error { return c.order(s, "hold") }

// Run proposes.
func (c *safReleaseCmd) Run(s *streams) error { return c.order(s, "release") }

// Run proposes.
func (c *safSettleCmd) Run(s *streams) error { return c.order(s, "settle") }

// safConfirmCmd confirms.
type safConfirmCmd struct {
	safFlags
	Number int `arg:"" help:"提议号 · number of the proposal"`
}

// Run confirms.
func (c *safConfirmCmd) Run(s *streams) error {
	return c.act(s, admin.DebtConfirm, admin.DebtOrder{Proposal: c.Number})
}

// safProposalsCmd lists proposals.
type safProposalsCmd struct{ safFlags }

// Run asks and prints.
func (c *safProposalsCmd) Run(s *streams) error {
	return c.ask(s, admin.DebtProposals, struct{}{}, func(line []byte) error {
		var p admin.Proposal[admin.DebtOrder]
		switch err := json.Unmarshal(line, &p); {
		case err != nil:
			return err
		case c.JSON:
			return writeLine(s.out, p)
		}
		fmt.Fprintf(s.out, "%d  %s %s %d %s  %s  %s  至 · until %s\n", p.Number, p.Order.Do, p.Order.Link, p.Order.ID, p.Order.Form, whoIs(&p.By), p.Order.Why, p.Expires)
		return nil
	})
}

func whoIs(w *audit.Who) string {
	if w.Token != "" {
		return "token " + w.Token
	}
	return fmt.Sprintf("uid %d", w.UID)
}
