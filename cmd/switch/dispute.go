package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	history "tongka/clearing/chain"
	"tongka/clearing/day"
	"tongka/clearing/dispute"
	"tongka/translate"
)

// disputeCmd is the desk for cases.
type disputeCmd struct {
	List      disputeListCmd      `cmd:"" help:"列出差错：状态、严重程度、期限 · list cases: state, severity, time limit"`
	Show      disputeShowCmd      `cmd:"" help:"显示一个差错与其历史 · one case with its history"`
	Raise     disputeRaiseCmd     `cmd:"" help:"人工登记差错 · raise a case by hand"`
	Evidence  disputeEvidenceCmd  `cmd:"" help:"附证据：交易追踪、文件摘要、说明 · lay evidence to a case: its transaction's trace, a file's digest, a note"`
	Decide    disputeDecideCmd    `cmd:"" help:"提议处理，须另一人确认；或以 CSV 批量 · propose a decision, another person confirms; many at once from a CSV"`
	Proposals disputeProposalsCmd `cmd:"" help:"等待确认的提议 · proposals that wait"`
	Confirm   disputeConfirmCmd   `cmd:"" help:"确认他人的提议 · confirm another person's proposal"`
	Withdraw  disputeWithdrawCmd  `cmd:"" help:"撤回或驳回提议 · take a proposal back, or turn it down"`
	Export    disputeExportCmd    `cmd:"" help:"导出 CSV 或 JSON 行 · export as CSV or JSON lines"`
	Verify    disputeVerifyCmd    `cmd:"" help:"校验历史链与各差错 · verify the history and the cases that follow from it"`
}

// withDesk opens the desk, takes in the days that were closed since, and closes it.
func (f *clerkFlags) withDesk(s *streams, do func(*clerk, *dispute.Desk) error) (err error) {
	c, err := f.clerk()
	if err != nil {
		return err
	}
	d, err := c.desk(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := c.takeIn(d); err != nil {
		return err
	}
	return do(c, d)
}

// deskDir is where cases are.
func (c *clerk) deskDir() string { return filepath.Join(c.dir, "disputes") }

func (c *clerk) desk(ctx context.Context) (*dispute.Desk, error) {
	o := dispute.Options{Dir: c.deskDir()}
	if c.rules != nil {
		o.Fees = c.rules.Fees
		for _, l := range c.rules.Disputes {
			o.Levels = append(o.Levels, dispute.Level(l))
		}
	}
	return waiting(ctx, func() (*dispute.Desk, error) { return dispute.OpenDesk(o) })
}

// today is the date by the clock; time limits are in days of the calendar.
func today() day.Date {
	d, err := day.ParseDate(time.Now().In(translate.Zone).Format("20060102"))
	if err != nil {
		panic(err) // the format is ours
	}
	return d
}

// disputeListCmd lists cases.
type disputeListCmd struct {
	clerkFlags
	State    string `help:"open, held, proposed, decided, bound, booked, resolved；缺省为未结 · those not ended when left out" enum:",all,open,held,proposed,decided,bound,booked,resolved" default:""`
	Severity string `help:"严重程度 · severity"`
	Class    string `help:"差异类别 · class"`
	Date     string `placeholder:"YYYYMMDD" help:"清算日 · the day that was cleared"`
	Overdue  bool   `help:"只列逾期；有则退出码 1 · only those past their time limit; exit code 1 when there are any"`
	Limit    int    `default:"100" help:"至多多少个，0 不限 · at most, 0: all"`
}

// shownCase is a case with what a reader would have to work out.
type shownCase struct {
	*dispute.Case
	Age     int  `json:"age_days"`
	Overdue bool `json:"overdue"`
}

// Run lists.
func (c *disputeListCmd) Run(s *streams) error {
	return c.withDesk(s, func(_ *clerk, d *dispute.Desk) error {
		n, late, now := 0, 0, today()
		err := d.Each(func(k *dispute.Case) error {
			overdue := k.Overdue(now)
			if !c.wants(k, overdue) {
				return nil
			}
			if overdue {
				late++
			}
			if n++; c.Limit > 0 && n > c.Limit {
				return nil
			}
			x := shownCase{k, ageOf(k, now), overdue}
			if c.JSON {
				return writeLine(s.out, x)
			}
			printCase(s.out, &x)
			return nil
		})
		if err != nil {
			return err
		}
		if !c.JSON {
			fmt.Fprintf(s.out, "%d 个差错 · cases, 逾期 · overdue %d\n", n, late)
		}
		if c.Overdue && late > 0 {
			return errShown
		}
		return nil
	})
}

func (c *disputeListCmd) wants(k *dispute.Case, overdue bool) bool {
	switch {
	case c.State == "" && k.State.Ended(), c.State != "" && c.State != "all" && string(k.State) != c.State:
		return false
	case c.Severity != "" && k.Severity != c.Severity, c.Class != "" && k.Class != c.Class, c.Date != "" && k.Date != strings.ReplaceAll(c.Date, "-", ""):
		return false
	}
	return !c.Overdue || overdue
}

// ageOf is how many days old a case is.
func ageOf(k *dispute.Case, now day.Date) int {
	a, err1 := time.Parse("20060102", k.Date)
	b, err2 := time.Parse("20060102", now.String())
	if err1 != nil || err2 != nil {
		return 0
	}
	return int(b.Sub(a) / (24 * time.Hour))
}

func printCase(w io.Writer, x *shownCase) {
	due := "期限 · due " + x.Due.String()
	if x.State == dispute.Held {
		due = "挂至 · held until " + x.Until.String()
	}
	if x.Overdue {
		due += " 逾期 · OVERDUE"
	}
	fmt.Fprintf(w, "%-22s %-9s %-8s %-15s %10d 分 · fen  %s %s  %d 天 · days  %s  %s · %s\n", x.Event.Case, x.State, x.Severity, x.Class, x.Fen, x.RRN, x.Merchant, x.Age, due,
		x.ReasonZH, x.ReasonEN)
}

// disputeShowCmd shows one.
type disputeShowCmd struct {
	clerkFlags
	Case string `arg:"" help:"差错号 · the case"`
}

// Run shows it.
func (c *disputeShowCmd) Run(s *streams) error {
	return c.withDesk(s, func(_ *clerk, d *dispute.Desk) error {
		k, err := d.Get(c.Case)
		if err != nil {
			return err
		}
		events := []*history.Event{}
		if err := d.History(c.Case, func(e *history.Event) error { events = append(events, e); return nil }); err != nil {
			return err
		}
		now := today()
		x := shownCase{k, ageOf(k, now), k.Overdue(now)}
		if c.JSON {
			return writeJSON(s.out, map[string]any{"case": x, "history": events})
		}
		printCase(s.out, &x)
		printSides(s.out, k)
		for _, e := range events {
			fmt.Fprintf(s.out, "  %s  %-10s %-16s %s\n", e.At.In(translate.Zone).Format("2006-01-02 15:04:05"), e.What, whoIs(&e.Who), brief(e))
		}
		return nil
	})
}

func printSides(w io.Writer, k *dispute.Case) {
	if k.Ours != nil {
		fmt.Fprintf(w, "  本方 · ours: %d 分 · fen %s %s", k.Ours.Amount, k.Ours.Kind, k.Ours.Status)
		if k.Ours.Txn != 0 { // one that was raised by hand need not be in our journal
			fmt.Fprintf(w, "；追踪 · trace: switch journal show %d", k.Ours.Txn)
		}
		fmt.Fprintln(w)
	}
	if k.Theirs != nil {
		fmt.Fprintf(w, "  对方 · theirs: %d 分 · fen %s %s，文件 · file %d:%d\n", k.Theirs.Amount, k.Theirs.Kind, k.Theirs.Status, k.Theirs.File, k.Theirs.Line)
	}
	for _, p := range []*dispute.Proposal{k.Proposal, k.Decision} {
		if p != nil {
			printProposal(w, p)
		}
	}
	if k.For != 0 {
		fmt.Fprintf(w, "  计入 · counts with: %s\n", k.For)
	}
}

func printProposal(w io.Writer, p *dispute.Proposal) {
	fmt.Fprintf(w, "  处理 · decision %d: %s，%s，%s\n", p.Number, p.Is.Act, whoIs(&p.By), p.Why)
	for _, m := range p.Is.Moves {
		fmt.Fprintf(w, "    %s → %s %d 分 · fen\n", m.From, m.To, m.Fen)
	}
	if p.Until != 0 {
		fmt.Fprintf(w, "    至 · until %s\n", p.Until)
	}
}

// brief is an event's data in one line.
func brief(e *history.Event) string {
	const most = 120
	text := string(e.Data)
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

// disputeExportCmd writes cases to a file.
type disputeExportCmd struct {
	clerkFlags
	Format string `default:"csv" enum:"csv,jsonl" help:"csv, jsonl"`
	Out    string `short:"o" required:"" placeholder:"FILE" help:"目标文件，须不存在 · file to write, must not be there"`
}

var exportColumns = []string{"case", "state", "severity", "due", "class", "date", "of", "fen", "rrn", "stan", "link", "merchant", "terminal", "card", "reason", "ours_fen", "txn", "theirs_fen", "file", "line", "act", "why", "by", "second", "for"}

// Run exports. The file is there whole or not at all.
func (c *disputeExportCmd) Run(s *streams) error {
	return c.withDesk(s, func(_ *clerk, d *dispute.Desk) (err error) {
		if _, err := os.Stat(c.Out); err == nil {
			return fmt.Errorf("%s 已存在 · is there already", c.Out)
		}
		f, err := os.CreateTemp(filepath.Dir(c.Out), ".export-*")
		if err != nil {
			return err
		}
		n := 0
		w := csv.NewWriter(f)
		if c.Format == "csv" {
			err = w.Write(exportColumns)
		}
		if err == nil {
			err = d.Each(func(k *dispute.Case) error {
				n++
				if c.Format == "jsonl" {
					return writeLine(f, k)
				}
				return w.Write(exported(k))
			})
		}
		w.Flush()
		if err = errors.Join(err, w.Error(), f.Sync(), f.Close()); err == nil {
			err = os.Rename(f.Name(), c.Out)
		}
		if err != nil {
			return errors.Join(err, os.Remove(f.Name()))
		}
		fmt.Fprintf(s.out, "%d 个差错 · cases → %s\n", n, c.Out)
		return nil
	})
}

func exported(k *dispute.Case) []string {
	row := []string{k.Event.Case, string(k.State), k.Severity, k.Due.String(), k.Class, k.Date, k.Of, fmt.Sprint(k.Fen), k.RRN, fmt.Sprint(k.STAN), fmt.Sprint(k.Link),
		k.Merchant, k.Terminal, k.Card, k.ReasonZH + " · " + k.ReasonEN}
	if k.Ours != nil {
		row = append(row, fmt.Sprint(k.Ours.Net), fmt.Sprint(k.Ours.Txn))
	} else {
		row = append(row, "", "")
	}
	if k.Theirs != nil {
		row = append(row, fmt.Sprint(k.Theirs.Net), fmt.Sprint(k.Theirs.File), fmt.Sprint(k.Theirs.Line))
	} else {
		row = append(row, "", "", "")
	}
	if p := k.Decision; p != nil {
		row = append(row, p.Is.Act, p.Why, whoIs(&p.By), whoIs(k.Second))
	} else {
		row = append(row, "", "", "", "")
	}
	if k.For != 0 {
		return append(row, k.For.String())
	}
	return append(row, "")
}

// disputeVerifyCmd verifies the history.
type disputeVerifyCmd struct{ clerkFlags }

// Run verifies.
func (c *disputeVerifyCmd) Run(s *streams) error {
	return c.withDesk(s, func(_ *clerk, d *dispute.Desk) error {
		rep, err := d.Verify()
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(s.out, rep)
		}
		fmt.Fprintf(s.out, "历史完整：%d 个差错，%d 个事件，末尾 %s · the history holds: %d cases, %d events\n", rep.Cases, rep.Events, headOf(rep.Head), rep.Cases, rep.Events)
		return nil
	})
}

// takeIn takes in the cases of every closed day that the desk does not have yet.
func (c *clerk) takeIn(d *dispute.Desk) error {
	all, err := c.closedDays()
	if err != nil {
		return err
	}
	for _, date := range all {
		name := filepath.Join(c.dir, "days", date.String(), "cases.jsonl")
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = d.TakeIn(date, name, f, c.who)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// closedDays lists the days that are published, in order.
func (c *clerk) closedDays() (all []day.Date, err error) {
	list, err := os.ReadDir(filepath.Join(c.dir, "days"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range list {
		if date, err := day.ParseDate(e.Name()); err == nil && e.IsDir() && date.String() == e.Name() {
			all = append(all, date)
		}
	}
	slices.Sort(all)
	return all, nil
}
