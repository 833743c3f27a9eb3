package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tongka/admin"
	"tongka/clearing/day"
	"tongka/clearing/layouts"
	"tongka/clearing/row"
	"tongka/clearing/station"
	"tongka/offline"
	"tongka/offline/layout"
)

// filesCmd is the file station.
type filesCmd struct {
	Scan   filesScanCmd   `cmd:"" help:"查看各来源一次：登记、校验、续做 · look at all sources once: register, verify, go on"`
	List   filesListCmd   `cmd:"" help:"已登记、等待与出错的文件 · files that are registered, wait, or went wrong"`
	Show   filesShowCmd   `cmd:"" help:"一个文件的全部情况与经过 · all about one file, and its history"`
	Retry  filesRetryCmd  `cmd:"" help:"重新校验隔离或失败的文件，可改日期 · look again at a file that was set aside or failed; it may get another day"`
	Reject filesRejectCmd `cmd:"" help:"拒绝一个文件，名称与编号可重用 · turn a file down; its name and number are free"`
	Import filesImportCmd `cmd:"" help:"人工登记文件 · register files by hand"`
	Send   filesSendCmd   `cmd:"" help:"对账数据下发：按商户、按城市，及名单与参数；可按日重发 · send a day's files to merchants and cities, lists and parameters; also again"`
	Sent   filesSentCmd   `cmd:"" help:"已下发的文件与回执 · what was sent, and what is acknowledged"`
	Ack    filesAckCmd    `cmd:"" help:"人工登记回执 · write down that the other side has a file"`
	Lint   filesLintCmd   `cmd:"" help:"检查格式或文件站配置，或以格式检查数据文件；不给参数则列出格式 · check a form or the station's config, or a file by a form; without one, list forms"`
}

// stationFlags find the station.
type stationFlags struct {
	configFlag
	Station string `placeholder:"FILE" help:"文件站配置，缺省为配置旁的 station.yaml · the station's config; station.yaml beside the config when left out"`
	Dir     string `placeholder:"DIR" help:"清分目录，缺省为数据目录下 clearing · the clearing's folder; clearing in the data folder when left out"`
	Token   string `placeholder:"FILE" help:"本人令牌文件，记入审计 · file with your token, for the audit"`
}

// open makes the station of a config.
func (c *stationFlags) open(s *streams, heed func(*station.File)) (*station.Station, error) {
	k, err := (&clerkFlags{Config: c.Config, Dir: c.Dir, Token: c.Token}).someone()
	if err != nil {
		return nil, err
	}
	name := c.Station
	if name == "" {
		name = stationFile(c.Config)
	}
	return k.station(s, name, station.Options{Heed: heed, Offline: func(ctx context.Context, f *station.OfflineFile) (station.OfflineResult, error) {
		return takeOffline(ctx, s, c.Config, f)
	}})
}

// station opens the station for somebody: what he has it do is audited in his name.
func (c *clerk) station(s *streams, name string, o station.Options) (*station.Station, error) {
	o.By, o.Step = whoIs(&c.who), s.step
	o.Audit = func(a station.Act) error {
		return c.note(s.ctx, admin.Note{Action: a.Do, What: a.What, Before: a.Before, After: a.After, Why: a.Why})
	}
	return openStation(name, c.dir, o)
}

// stationFile is the station's config beside the switch's.
func stationFile(config string) string { return filepath.Join(filepath.Dir(config), "station.yaml") }

// openStation opens the one of a clearing's folder, by its config.
func openStation(name, dir string, o station.Options) (*station.Station, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("文件站配置 · config of the station: %w", err)
	}
	c, err := station.Parse(name, filepath.Dir(name), text)
	if err != nil {
		return nil, err
	}
	o.Dir, o.Config = filepath.Join(dir, "station"), c
	return station.Open(o)
}

// takeOffline has the store of offline transactions take a file, as `switch offline
// import` does.
func takeOffline(ctx context.Context, s *streams, config string, f *station.OfflineFile) (r station.OfflineResult, err error) {
	name := f.Layout
	if strings.ContainsAny(name, "./") && !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(config), name)
	}
	l, err := layout.Open(name)
	if err != nil {
		return r, err
	}
	format, err := offline.NewFormat(l)
	if err != nil {
		return r, err
	}
	store, end, err := openOffline(config, true)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, end()) }()
	got, bad := store.Import(ctx, &offline.Source{Name: f.Name, MD5: f.MD5, List: f.List, Totals: f.Totals, Format: format,
		Open: func() (io.ReadCloser, error) { return os.Open(f.Path) }}, nil)
	note := offlineImportCmd{configFlag: configFlag{config}, Layout: l.Name}
	if err := note.audit(s, f.Name, got, bad); err != nil {
		return r, err
	}
	if got == nil {
		if ctx.Err() != nil {
			return r, bad
		}
		return station.OfflineResult{Faults: strings.Split(bad.Error(), "\n")}, nil // the offer itself is refused
	}
	r = station.OfflineResult{Records: int64(got.Records), Sum: int64(got.Sum), Done: got.Stage == offline.Done}
	if got.Stage == offline.Quarantined {
		r.Faults = append([]string{}, got.Faults...)
		if len(r.Faults) == 0 {
			r.Faults = []string{f.Name + ": 隔离 · quarantined"}
		}
	}
	return r, bad
}

type filesScanCmd struct {
	stationFlags
	Every time.Duration `help:"每隔多久再看，直到停止；缺省只看一次 · look again after so long, until stopped; once when left out"`
}

// Run makes passes.
func (c *filesScanCmd) Run(s *streams) error {
	if c.Every != 0 && c.Every < time.Second {
		return errors.New("--every 至少 1s · --every is 1s at least")
	}
	st, err := c.open(s, func(f *station.File) { printStationFile(s.out, f) })
	if err != nil {
		return err
	}
	for {
		err := st.Pass(s.ctx)
		if s.ctx.Err() != nil {
			return nil // stopped by a person
		}
		if c.Every == 0 {
			return errors.Join(err, scanned(s, st))
		}
		if err != nil {
			fmt.Fprintf(s.err, "switch: %v\n", err)
		}
		t := time.NewTimer(c.Every)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// scanned says what waits and what cannot be reached.
func scanned(s *streams, st *station.Station) error {
	l, err := st.List()
	if err != nil {
		return err
	}
	printWaiting(s.out, l)
	return nil
}

type filesListCmd struct {
	stationFlags
	Date   string `placeholder:"YYYYMMDD" help:"只列此日 · of this day only"`
	State  string `help:"只列此状态 · in this state only: received verified stored cleared archived failed quarantined rejected refused"`
	Errors bool   `help:"只列须人处理的 · only what people should look at"`
	JSON   bool   `help:"输出 JSON · write JSON"`
}

// Run lists.
func (c *filesListCmd) Run(s *streams) error {
	var date day.Date
	var err error
	if c.Date != "" {
		if date, err = day.ParseDate(c.Date); err != nil {
			return fmt.Errorf("--date: %w", err)
		}
	}
	if c.State != "" && station.State(c.State).Words().EN == "" {
		return fmt.Errorf("--state: 没有状态 %q · no state %q", c.State, c.State)
	}
	st, err := c.open(s, nil)
	if err != nil {
		return err
	}
	l, err := st.List()
	if err != nil {
		return err
	}
	files := []*station.File{}
	for _, f := range l.Files {
		if (date == 0 || f.Date == date) && (c.State == "" || f.State == station.State(c.State)) && (!c.Errors || f.State.Bad()) {
			files = append(files, f)
		}
	}
	l.Files = files
	if c.Errors {
		waiting := []*station.Waiting{}
		for _, w := range l.Waiting {
			if w.Bad {
				waiting = append(waiting, w)
			}
		}
		l.Waiting = waiting
	}
	if c.JSON {
		return writeJSON(s.out, l)
	}
	for _, f := range l.Files {
		printStationFile(s.out, f)
	}
	printWaiting(s.out, l)
	fmt.Fprintf(s.out, "共 · total %d\n", len(l.Files))
	return nil
}

func printStationFile(w io.Writer, f *station.File) {
	words := f.State.Words()
	number := ""
	if f.Number != "" {
		number = " #" + f.Number
	}
	fmt.Fprintf(w, "%4d  %s  %s%s  %s/%s  %s · %s  %d 字节 · bytes  记录 records %d  金额 sum %d.%02d  %.16s\n", f.ID, f.Date, f.Name, number, f.Sender, f.Kind,
		words.ZH, words.EN, f.Size, f.Records, f.Sum/100, f.Sum%100, f.SHA256)
	const shown = 3
	for i, fault := range f.Faults {
		if i == shown {
			fmt.Fprintf(w, "      另有 %d 处 · %d more (switch files show %d)\n", len(f.Faults)-i, len(f.Faults)-i, f.ID)
			break
		}
		fmt.Fprintf(w, "      %s\n", fault)
	}
}

func printWaiting(w io.Writer, l *station.List) {
	for _, x := range l.Waiting {
		mark := "等待 · waits"
		if x.Bad {
			mark = "须处理 · look at it"
		}
		fmt.Fprintf(w, "   -  %s/%s  %s: %s  %d 字节 · bytes\n", x.Source, x.Name, mark, x.Why, x.Size)
	}
	for _, t := range l.Trouble {
		fmt.Fprintf(w, "   !  %s: 失败 %d 次，%s 后再试 · failed %d times, tried again after %s: %s\n", t.Place, t.Times, time.Unix(t.Next, 0).Format(time.TimeOnly), t.Times,
			time.Unix(t.Next, 0).Format(time.TimeOnly), t.Why)
	}
}

type filesShowCmd struct {
	stationFlags
	File string `arg:"" help:"编号或名称 · number or name"`
	JSON bool   `help:"输出 JSON · write JSON"`
}

// Run shows one.
func (c *filesShowCmd) Run(s *streams) error {
	st, err := c.open(s, nil)
	if err != nil {
		return err
	}
	f, err := st.Find(c.File)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, f)
	}
	showStationFile(s.out, f)
	return nil
}

func showStationFile(w io.Writer, f *station.File) {
	source := f.Source
	if source == "" {
		source = "人工 · by hand"
	}
	for _, p := range [][3]string{{"编号", "number", strconv.Itoa(int(f.ID))}, {"名称", "name", f.Name}, {"来源", "source", source}, {"发送方", "sender", f.Sender},
		{"种类", "kind", f.Kind}, {"去向", "to", f.To.String()}, {"日期", "date", f.Date.String()}, {"文件编号", "its number", f.Number}, {"字节", "bytes", fmt.Sprint(f.Size)}, {"摘要", "SHA-256", f.SHA256}, {"摘要", "MD5", f.MD5},
		{"记录", "records", fmt.Sprint(f.Records)}, {"金额", "sum", fmt.Sprintf("%d.%02d", f.Sum/100, f.Sum%100)}, {"状态", "state", f.State.Words().ZH + " · " + string(f.State)}} {
		if p[2] != "" {
			fmt.Fprintf(w, "%s %s: %s\n", p[0], p[1], p[2])
		}
	}
	for _, fault := range f.Faults {
		fmt.Fprintf(w, "错误 fault: %s\n", fault)
	}
	for _, e := range f.History {
		fmt.Fprintf(w, "%s  %s · %s  %s  %s\n", e.At, e.State.Words().ZH, e.State, e.By, e.Why)
	}
}

type filesRetryCmd struct {
	stationFlags
	File string `arg:"" help:"编号或名称 · number or name"`
	Date string `placeholder:"YYYYMMDD" help:"归入此日 · it is of this day"`
	Why  string `help:"原因，记入经过 · why, for its history"`
}

// Run has a file looked at again.
func (c *filesRetryCmd) Run(s *streams) error {
	o := station.Order{What: c.File, Why: c.Why}
	var err error
	if c.Date != "" {
		if o.Date, err = day.ParseDate(c.Date); err != nil {
			return fmt.Errorf("--date: %w", err)
		}
	}
	st, err := c.open(s, nil)
	if err != nil {
		return err
	}
	f, err := st.Retry(s.ctx, o)
	if err != nil {
		return err
	}
	return tell(s, f)
}

// tell prints what became of a file, and fails when a person has to look at it.
func tell(s *streams, f *station.File) error {
	printStationFile(s.out, f)
	if f.State.Bad() {
		return errShown
	}
	return nil
}

type filesRejectCmd struct {
	stationFlags
	File string `arg:"" help:"编号或名称 · number or name"`
	Why  string `required:"" help:"原因，记入经过 · why, for its history"`
}

// Run turns a file down.
func (c *filesRejectCmd) Run(s *streams) error {
	st, err := c.open(s, nil)
	if err != nil {
		return err
	}
	f, err := st.Reject(station.Order{What: c.File, Why: c.Why})
	if err != nil {
		return err
	}
	return tell(s, f)
}

type filesImportCmd struct {
	stationFlags
	Files []string `arg:"" help:"文件；旁边的 .md5 .sha256 .ok .pkg .al 一并读取 · files; .md5 .sha256 .ok .pkg .al beside them are read as well"`
	Kind  string   `help:"种类，缺省按名称 · kind, found by the name when left out"`
	Date  string   `placeholder:"YYYYMMDD" help:"归入此日，缺省按名称或文件头 · of this day; by name or header when left out"`
}

// Run registers files. One that is refused does not keep the others out.
func (c *filesImportCmd) Run(s *streams) error {
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
	failed := false
	for _, p := range c.Files {
		f, err := st.Import(s.ctx, filepath.Dir(p), filepath.Base(p), c.Kind, d)
		if err != nil {
			fmt.Fprintf(s.err, "switch: %v\n", err)
		}
		failed = failed || err != nil || tell(s, f) != nil
	}
	if failed {
		return errShown
	}
	return nil
}

type filesLintCmd struct {
	Form  string   `arg:"" optional:"" help:"格式名、格式 YAML 或 station.yaml · name of a form, YAML of one, or station.yaml"`
	Files []string `arg:"" optional:"" help:"以该格式检查的数据文件 · files to check by the form"`
	Show  bool     `help:"显示格式的 YAML · show the form's YAML"`
}

// isForm tells a form from a config of the station.
var isForm = regexp.MustCompile(`(?m)^(record|header|form|rows|end):`)

// Run checks.
func (c *filesLintCmd) Run(s *streams) error {
	if c.Form == "" {
		for _, f := range layouts.Builtin() {
			fmt.Fprintf(s.out, "%-14s %s\n", f.Name, f.Title)
		}
		return nil
	}
	text, err := os.ReadFile(c.Form)
	if err == nil && !isForm.Match(text) {
		if _, err := station.Parse(c.Form, filepath.Dir(c.Form), text); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s: 正确 · fine\n", c.Form)
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := layouts.Open(c.Form)
	if err != nil {
		return err
	}
	if f.Layout != nil {
		for _, w := range f.Layout.Lint() {
			fmt.Fprintln(s.out, w)
		}
		if c.Show {
			if _, err := s.out.Write(f.Layout.Source); err != nil {
				return err
			}
		}
	}
	return c.check(s, f)
}

// check reads data files by the form.
func (c *filesLintCmd) check(s *streams, f *layouts.Form) error {
	failed := false
	for _, name := range c.Files {
		in, err := os.Open(name)
		if err != nil {
			return err
		}
		tot, err := f.Read(in, layouts.Reading{Name: name}, func(*row.Row, int64) error { return s.ctx.Err() })
		if err = errors.Join(err, in.Close()); err != nil {
			for _, line := range faultLines(err) {
				fmt.Fprintf(s.err, "%s\n", line)
			}
			failed = true
			continue
		}
		fmt.Fprintf(s.out, "%s: 记录 records %d  金额 sum %d.%02d\n", name, tot.Records, tot.Sum/100, tot.Sum%100)
	}
	if failed {
		return errShown
	}
	return nil
}
