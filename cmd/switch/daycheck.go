package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tongka/clearing/day"
	clearrun "tongka/clearing/run"
	"tongka/config"
	"tongka/engine"
	"tongka/journal"
	"tongka/node"
	"tongka/offline"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// dayCheckCmd says what is missing before a day can be closed.
type dayCheckCmd struct {
	Config  string   `short:"c" required:"" placeholder:"FILE" help:"交换的配置文件 · config file of the switch"`
	Date    string   `required:"" placeholder:"YYYYMMDD" help:"营业日 · the business day"`
	Rules   string   `placeholder:"FILE" help:"清分规则，缺省为配置旁的 clearing.yaml · rules; clearing.yaml beside the config when left out"`
	Files   string   `placeholder:"DIR" help:"对方文件目录 · their files"`
	Without []string `placeholder:"ITEM" help:"不要求此项 · do not ask for this: cut, files, offline, messages, batches, owed"`
	JSON    bool     `help:"输出 JSON · write JSON"`
}

// dayItem is one line of the checklist.
type dayItem struct {
	Item    string   `json:"item"`
	ZH      string   `json:"zh"`
	EN      string   `json:"en"`
	OK      bool     `json:"ok"`
	Waived  bool     `json:"waived,omitempty"`
	Count   int      `json:"count"` // of what is missing
	Missing []string `json:"missing"`
}

// mostMissing is how many lines an item shows.
const mostMissing = 20

func (i *dayItem) miss(format string, args ...any) {
	if i.Count++; i.Count <= mostMissing {
		i.Missing = append(i.Missing, fmt.Sprintf(format, args...))
	}
}

// dayCheck is what the items look at.
type dayCheck struct {
	cfg  *config.Config
	run  *clearrun.Options
	date day.Date
	end  int64 // of the day, Unix nanoseconds
	read *journal.Kept
}

// dayItems are the checklist, in its order. One that cannot be looked at is missing.
var dayItems = []struct {
	item, zh, en string
	look         func(*dayCheck, *dayItem) error
}{
	{"cut", "已日切", "the day has been cut", (*dayCheck).cut},
	{"files", "应到文件齐", "required files are there", (*dayCheck).files},
	{"offline", "脱机文件已验证入库", "files of offline transactions are verified", (*dayCheck).offline},
	{"messages", "报文上送的脱机交易已入库", "offline transactions in messages are in their store", (*dayCheck).messages},
	{"batches", "终端批次已结算", "batches of terminals are settled", (*dayCheck).batches},
	{"owed", "该日应冲正与通知已送达", "what was owed by the end of the day is delivered", (*dayCheck).owed},
}

// Run looks at everything, prints it, and fails when something is missing.
func (c *dayCheckCmd) Run(s *streams) (err error) {
	for _, w := range c.Without {
		if !slices.ContainsFunc(dayItems, func(i struct {
			item, zh, en string
			look         func(*dayCheck, *dayItem) error
		}) bool {
			return i.item == w
		}) {
			return fmt.Errorf("--without: 没有 %q 这一项 · there is no item %q (cut, files, offline, messages, batches, owed)", w, w)
		}
	}
	look, end, err := c.prepare(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	all, missing := []dayItem{}, false
	for _, i := range dayItems {
		item := dayItem{Item: i.item, ZH: i.zh, EN: i.en, Missing: []string{}}
		if err := i.look(look, &item); err != nil {
			item.miss("%v", err)
		}
		item.OK, item.Waived = item.Count == 0, slices.Contains(c.Without, i.item)
		missing = missing || !item.OK && !item.Waived
		all = append(all, item)
	}
	if err := c.print(s, all, missing); err != nil {
		return err
	}
	if missing {
		return errShown
	}
	return nil
}

func (c *dayCheckCmd) prepare(s *streams) (look *dayCheck, end func() error, err error) {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return nil, nil, err
	}
	run := clearRunCmd{Config: c.Config, Date: c.Date, Rules: c.Rules, Files: c.Files, Memory: 1}
	o, err := run.options(cfg)
	if err != nil {
		return nil, nil, err
	}
	if err := run.station(s, o); err != nil {
		return nil, nil, err
	}
	// A folder of its own: a run may have its snapshot at the same time.
	src := &clearSource{cfg: cfg, dir: filepath.Join(o.Dir, "check")}
	if _, err := src.asOf(s.ctx); err != nil {
		return nil, nil, err
	}
	look = &dayCheck{cfg: cfg, run: o, date: o.Date, end: o.Rules.Schedule.End(o.Date)}
	for _, cut := range o.Cuts {
		if cut.Date == o.Date {
			look.end = cut.At
		}
	}
	if look.read, err = src.open(s.ctx); err != nil {
		return nil, nil, errors.Join(err, src.close())
	}
	return look, func() error { return errors.Join(look.read.Close(), src.close()) }, nil
}

func (c *dayCheckCmd) print(s *streams, all []dayItem, missing bool) error {
	if c.JSON {
		return writeJSON(s.out, map[string]any{"date": c.Date, "ready": !missing, "items": all})
	}
	for i := range all {
		mark := "✓"
		switch {
		case all[i].Waived && !all[i].OK:
			mark = "–"
		case !all[i].OK:
			mark = "✗"
		}
		fmt.Fprintf(s.out, "%s %-8s %s · %s", mark, all[i].Item, all[i].ZH, all[i].EN)
		if all[i].Count > 0 {
			fmt.Fprintf(s.out, "：缺 · missing %d", all[i].Count)
		}
		fmt.Fprintln(s.out)
		for _, line := range all[i].Missing {
			fmt.Fprintf(s.out, "    %s\n", line)
		}
	}
	if missing {
		fmt.Fprintf(s.err, "%s 尚不能关闭 · cannot be closed yet\n", c.Date)
	} else {
		fmt.Fprintf(s.out, "%s 可以关闭 · can be closed\n", c.Date)
	}
	return nil
}

func (d *dayCheck) cut(i *dayItem) error {
	if _, _, ok := d.run.Cuts.Window(d.date); !ok {
		i.miss("日切簿 %s 中没有 %s · the book of cuts does not have %s", filepath.Join(d.cfg.Data, "cuts"), d.date, d.date)
	}
	return nil
}

func (d *dayCheck) files(i *dayItem) error {
	files, err := d.run.Inbox.Files(d.date)
	if err != nil {
		return err
	}
	for _, want := range d.run.Rules.Files {
		there := slices.ContainsFunc(files, func(f clearrun.FileInfo) bool {
			ok, err := filepath.Match(want.Name, f.Name)
			return err == nil && ok
		})
		if want.Required && !there {
			i.miss("%s", want.Name)
		}
	}
	return nil
}

func (d *dayCheck) offline(i *dayItem) (err error) {
	if _, err := os.Stat(d.cfg.OfflineDir()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, end, err := node.OpenOffline(d.cfg, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	files, err := store.Files()
	for _, f := range files {
		if f.Stage != offline.Done && f.Stage != offline.Quarantined {
			i.miss("%s %s", f.Name, f.Stage)
		}
	}
	return err
}

func (d *dayCheck) messages(i *dayItem) error {
	return engine.EachOffline(d.read, func(m *engine.OfflineMessage) error {
		i.miss("%s", strings.TrimSpace(string(m.Terminal.Number[:])))
		return nil
	})
}

func (d *dayCheck) batches(i *dayItem) error {
	return engine.EachBatch(d.read.Reader, func(b *engine.Batch) error {
		moved := b.Sums != [2]translate.Sums{}
		if moved && b.Verdict[0] == 0 {
			i.miss("%s/%s %06d", strings.TrimSpace(string(b.Terminal.Merchant[:])), strings.TrimSpace(string(b.Terminal.Number[:])), b.Number)
		}
		return nil
	})
}

func (d *dayCheck) owed(i *dayItem) error {
	return storefwd.EachOnDisk(d.read.Each, func(to txn.LinkID, debt *storefwd.Debt) error {
		if debt.Facts.At >= d.end {
			return nil // of the next day
		}
		name := fmt.Sprint(to)
		if int(to) < len(d.run.Links) {
			name = d.run.Links[to]
		}
		i.miss("%d %s → %s %d 分 · fen", debt.ID, debt.Form, name, debt.Facts.Amount)
		return nil
	})
}
