package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"tongka/clearing/day"
	"tongka/clearing/station"
	"tongka/config"
)

type filesSendCmd struct {
	stationFlags
	Date  string   `required:"" placeholder:"YYYYMMDD" help:"已关闭的一日 · a day that is closed"`
	Only  []string `placeholder:"SEND" help:"只做这些分发 · only these distributions"`
	Name  string   `placeholder:"FILE" help:"只此文件 · this file only"`
	Again bool     `help:"重发已发送的 · also what was sent before"`
	JSON  bool     `help:"输出 JSON · write JSON"`
}

// Run makes and sends what a day has for others.
func (c *filesSendCmd) Run(s *streams) error {
	d, err := day.ParseDate(c.Date)
	if err != nil {
		return fmt.Errorf("--date: %w", err)
	}
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	st, err := c.open(s, nil)
	if err != nil {
		return err
	}
	dir := c.Dir
	if dir == "" {
		dir = filepath.Join(cfg.Data, "clearing")
	}
	all, err := st.Send(s.ctx, station.SendOrder{Date: d, Run: dir, Only: c.Only, Name: c.Name, Again: c.Again})
	failed := err != nil
	for _, x := range all {
		failed = failed || x.Times == 0 || x.Owed || x.Why != ""
	}
	if c.JSON {
		err = errors.Join(err, writeJSON(s.out, append([]*station.Sent{}, all...)))
	} else {
		printSent(s.out, all)
	}
	if err == nil && failed {
		return errShown
	}
	return err
}

type filesSentCmd struct {
	stationFlags
	Date   string `placeholder:"YYYYMMDD" help:"只列此日 · of this day only"`
	Errors bool   `help:"只列未送达或未回执的 · only what did not arrive or is not acknowledged"`
	JSON   bool   `help:"输出 JSON · write JSON"`
}

// Run lists what was sent.
func (c *filesSentCmd) Run(s *streams) error {
	var d day.Date
	var err error
	if c.Date != "" {
		if d, err = day.ParseDate(c.Date); err != nil {
			return fmt.Errorf("--date: %w", err)
		}
	}
	st, err := c.open(s, nil)
	if err != nil {
		return err
	}
	all, err := st.SentOf(d)
	if err != nil {
		return err
	}
	list := []*station.Sent{}
	for _, x := range all {
		if !c.Errors || st.Open(x) {
			list = append(list, x)
		}
	}
	if c.JSON {
		return writeJSON(s.out, list)
	}
	printSent(s.out, list)
	return nil
}

func printSent(w io.Writer, all []*station.Sent) {
	for _, x := range all {
		state := fmt.Sprintf("已发 %d 次 · sent %d time(s)", x.Times, x.Times)
		switch {
		case x.Times == 0:
			state = "未送达 · not there"
		case x.Owed:
			state += "，重发未送达 · not there again"
		}
		if x.Acked != "" {
			state += "  已回执 · acknowledged " + x.Acked
		}
		if x.Why != "" {
			state += "  " + x.Why
		}
		fmt.Fprintf(w, "%s  %s/%s  记录 records %d  金额 sum %d.%02d  %.16s  %s\n", x.Date, x.Send, x.Name, x.Records, x.Sum/100, x.Sum%100, x.SHA256, state)
	}
	fmt.Fprintf(w, "共 · total %d\n", len(all))
}

type filesAckCmd struct {
	stationFlags
	Name string `arg:"" help:"文件名 · name of the file"`
	Date string `required:"" placeholder:"YYYYMMDD" help:"所属日 · its day"`
}

// Run writes down by hand that the other side has a file.
func (c *filesAckCmd) Run(s *streams) error {
	d, err := day.ParseDate(c.Date)
	if err != nil {
		return fmt.Errorf("--date: %w", err)
	}
	st, err := c.open(s, nil)
	if err != nil {
		return err
	}
	x, err := st.Ack(d, c.Name)
	if err != nil {
		return err
	}
	printSent(s.out, []*station.Sent{x})
	return nil
}
