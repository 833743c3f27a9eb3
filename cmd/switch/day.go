package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"tongka/admin"
	"tongka/clearing/day"
	"tongka/config"
	"tongka/journal"
	"tongka/translate"
)

// dayCmd is about the business day, of a switch that runs and of a folder at rest.
type dayCmd struct {
	Clock dayClockCmd `cmd:"" help:"当前营业日、上次日切、距下次日切 · the open day, the last cut, the time to the next"`
	Check dayCheckCmd `cmd:"" help:"关闭前核对：日切、应到文件、脱机文件、批次、所欠冲正与通知；有缺则退出码 1 · what must have arrived before the day can be closed; exit code 1 when something is missing"`
}

// ctlDayCmd is what a running switch is told.
type ctlDayCmd struct {
	Cut   ctlDayCutCmd `cmd:"" help:"结束该营业日 · end this business day"`
	Clock dayClockCmd  `cmd:"" help:"当前营业日 · the open day"`
}

type ctlDayCutCmd struct {
	safFlags
	Date string `arg:"" help:"要结束的营业日 YYYYMMDD，须为当前营业日 · the day to end, which has to be the open one"`
}

// Run asks for it.
func (c *ctlDayCutCmd) Run(s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	a, err := client.Act(ctx, admin.Action{Verb: admin.DayCut, What: c.Date})
	if errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf("日切在运行中的交换上进行；停机期间到时的日切由下次启动补做 · a running switch ends its day; what was due while it was stopped is done by the next start: %w", err)
	}
	if err != nil {
		return err
	}
	return c.print(s, &a)
}

type dayClockCmd struct{ ctlFlags }

// Run asks the switch, or reads the book of one that does not run.
func (c *dayClockCmd) Run(s *streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, ctlWithin)
	defer cancel()
	var clock admin.Clock
	err = client.Ask(ctx, admin.DayClock, struct{}{}, func(b []byte) error { return json.Unmarshal(b, &clock) })
	running := err == nil
	if errors.Is(err, admin.ErrNotRunning) && c.Config != "" {
		clock, err = c.atRest(time.Now())
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, clock)
	}
	printClock(s.out, &clock, running)
	return nil
}

func (c *dayClockCmd) atRest(now time.Time) (out admin.Clock, err error) {
	cfg, err := c.load()
	if err != nil {
		return out, err
	}
	cuts, err := day.ReadBook(filepath.Join(cfg.Data, "cuts"))
	if err != nil {
		return out, err
	}
	if len(cuts) == 0 {
		return out, errors.New("日切簿为空 · the book of cuts is empty")
	}
	stamp := func(ns int64) string {
		return time.Unix(0, ns).In(translate.Zone).Format("2006-01-02T15:04:05.000Z07:00")
	}
	last := cuts[len(cuts)-1]
	next := scheduleOf(cfg).End(cuts.Open())
	return admin.Clock{Open: cuts.Open().String(), Last: last.Date.String(), LastAt: stamp(last.At), LastBy: last.By.String(), Place: last.End,
		Next: stamp(next), Left: (next - now.UnixNano()) / int64(time.Second), Follow: cfg.BusinessDay.Follow,
		Notices: []admin.DayNotice{}, Theirs: []admin.DayWord{}}, nil
}

func scheduleOf(cfg *config.Config) day.Schedule {
	return day.Schedule{Zone: translate.Zone, At: cfg.BusinessDay.Cut}
}

func printClock(w io.Writer, c *admin.Clock, running bool) {
	fmt.Fprintf(w, "当前营业日 · open day: %s\n", c.Open)
	fmt.Fprintf(w, "上次日切 · last cut: %s, %s, %s, %s\n", c.Last, c.LastAt, c.LastBy, journal.LSN(c.Place))
	left := time.Duration(c.Left) * time.Second
	switch {
	case left >= 0:
		fmt.Fprintf(w, "下次日切 · next cut: %s（%v 后 · to go）\n", c.Next, left)
	default:
		fmt.Fprintf(w, "下次日切 · next cut: %s（已过 · overdue %v）\n", c.Next, -left)
	}
	if c.Follow != "" {
		fmt.Fprintf(w, "随线路 · follows the bank of link %s\n", c.Follow)
	}
	if !running {
		fmt.Fprintln(w, "交换未运行 · the switch does not run")
	}
	for _, n := range c.Notices {
		state := "告知中 · being told"
		switch {
		case n.Answered == translate.NetDayCutEnds:
			state = "已告知 · told"
		case n.GivenUp:
			state = "放弃 · given up"
		}
		fmt.Fprintf(w, "  %s: %s（0820/201, 202）已应答 · answered %d %s, 次数 · tries %d\n", n.Link, state, n.Answered, n.Code, n.Tries)
	}
	for _, t := range c.Theirs {
		fmt.Fprintf(w, "  %s: 对方日切 · its own %d, %s\n", t.Link, t.Net, t.At)
	}
}
