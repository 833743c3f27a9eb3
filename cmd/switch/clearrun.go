package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tongka/admin"
	"tongka/clearing/day"
	"tongka/clearing/rules"
	clearrun "tongka/clearing/run"
	"tongka/clearing/station"
	"tongka/config"
	"tongka/journal"
	"tongka/journal/query"
	"tongka/node"
	"tongka/txn"
)

// clearRunCmd clears one business day.
type clearRunCmd struct {
	Config     string   `short:"c" required:"" placeholder:"FILE" help:"交换的配置文件 · config file of the switch"`
	Date       string   `required:"" placeholder:"YYYYMMDD" help:"清算日 · the business day"`
	Rules      string   `placeholder:"FILE" help:"清分规则，缺省为配置旁的 clearing.yaml · rules; clearing.yaml beside the config when left out"`
	Files      string   `placeholder:"DIR" help:"对方文件：目录/日期/文件；缺省为文件站（station.yaml），无则数据目录下 clearing/in · their files: DIR/DATE/FILE; the station's when there is a station.yaml, else clearing/in in the data folder"`
	Dir        string   `placeholder:"DIR" help:"清分目录，缺省为数据目录下 clearing · the clearing's folder; clearing in the data folder when left out"`
	Checkpoint string   `placeholder:"DIR" help:"读此流水快照，例如在另一台机器上 · read this checkpoint of the journal, on another machine for example"`
	Cuts       string   `placeholder:"FILE" help:"日切簿，缺省为数据目录下 cuts；没有则按规则的时刻 · book of cuts; cuts in the data folder. Without one the rules' time of day counts"`
	Steps      string   `placeholder:"LIST" help:"只做这些步骤 · only these steps: register,intake,journal,totals,reconcile,clear,settle,reserve,report,close"`
	Redo       string   `placeholder:"STEP" help:"自此步骤重做（未关闭的一日） · do this step and those behind it again, of a day that is not closed"`
	Without    []string `placeholder:"NAME" help:"缺此应到文件，或不用此文件，照常清算 · go on without this required file, or leave this file out"`
	Traces     int      `help:"报表中前若干差错可展开其交易的经过；每条须读其后两日流水 · the first so many cases of the report open to what happened; each reads two days of the journal"`
	Memory     int      `default:"64" help:"每方排序内存 MB · megabytes to sort each side in"`
	JSON       bool     `help:"输出 JSON · write JSON"`
}

// Run does the steps and says how the day is.
func (c *clearRunCmd) Run(s *streams) (err error) {
	if c.Memory < 1 || c.Memory > 1<<16 {
		return errors.New("--memory 须为 1 至 65536 · --memory is 1 to 65,536")
	}
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	o, err := c.options(cfg)
	if err != nil {
		return err
	}
	src := &clearSource{cfg: cfg, dir: o.Dir, checkpoint: c.Checkpoint}
	defer func() { err = errors.Join(err, src.close()) }()
	if o.AsOf, err = src.asOf(s.ctx); err != nil {
		return err
	}
	o.Purses = pursesOf(s.ctx, cfg, o.Rules.Schedule.Zone)
	o.Journal = func() (clearrun.Journal, error) { return src.open(s.ctx) }
	o.Traces = c.Traces
	o.Trace = func(id uint64, to journal.LSN) ([]string, error) { return src.trace(s.ctx, id, to) }
	if err := c.station(s, o); err != nil {
		return err
	}
	bar := &stepBar{out: s.err, live: isTerminal(s.err)}
	o.Heed = bar.heed
	if src.live != nil {
		if err := gentle(); err != nil { // a sandbox may forbid it; the rests are left
			fmt.Fprintf(s.err, "优先级未能降低 · the priority stays: %v\n", err)
		}
		rest := &rests{ctx: s.ctx, share: besideShare}
		o.Heed = func(p clearrun.Progress) { bar.heed(p); rest.now() }
	}
	desks := clerkFlags{Config: c.Config, Rules: c.Rules, Dir: c.Dir}
	clerk, err := desks.clerk()
	if err != nil {
		return err
	}
	o.Decide = func(d day.Date) error { return clerk.decide(s, d) }
	o.Caps = func(d day.Date) (map[string]int64, error) { return clerk.caps(s, d) }
	sum, err := clearrun.Run(s.ctx, *o)
	bar.end()
	if err != nil {
		return err
	}
	if err := clerk.after(s, sum); err != nil {
		return err
	}
	// What a run that was killed left; only now, since another run may be at work.
	if err := os.RemoveAll(src.snapshotDir()); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, sum)
	}
	printSummary(s.out, sum)
	return nil
}

func (c *clearRunCmd) options(cfg *config.Config) (*clearrun.Options, error) {
	o := &clearrun.Options{Dir: c.Dir, GoWithout: c.Without, Memory: c.Memory << 20}
	var err error
	if o.Date, err = day.ParseDate(c.Date); err != nil {
		return nil, fmt.Errorf("--date: %w", err)
	}
	if o.Steps, err = clearrun.ParseSteps(c.Steps); err != nil {
		return nil, fmt.Errorf("--steps: %w", err)
	}
	if c.Redo != "" {
		steps, err := clearrun.ParseSteps(c.Redo)
		if err != nil || len(steps) != 1 {
			return nil, errors.Join(errors.New("--redo 须为一个步骤 · --redo takes one step"), err)
		}
		o.Redo = &steps[0]
	}
	for i := range cfg.Links {
		o.Links = append(o.Links, cfg.Links[i].Name)
	}
	name := c.Rules
	if name == "" {
		name = filepath.Join(filepath.Dir(c.Config), "clearing.yaml")
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("清分规则 · rules: %w", err)
	}
	if o.Rules, err = rules.Parse(name, text, o.Links); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(cfg.Data, "clearing")
	}
	in := c.Files
	if in == "" {
		in = filepath.Join(o.Dir, "in")
	}
	// The station's, when there is one and no folder is named: see station.
	o.Inbox = clearrun.Folder{Dir: in, Zone: o.Rules.Schedule.Zone}
	o.Cuts, err = c.cuts(cfg)
	return o, err
}

// station has the run take the files of the station, when its config is beside the
// switch's and no folder is named. Files of the day that are not right are named:
// the day may be run without them, and people should know.
func (c *clearRunCmd) station(s *streams, o *clearrun.Options) error {
	name := stationFile(c.Config)
	if _, err := os.Stat(name); c.Files != "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	st, err := openStation(name, o.Dir, station.Options{By: fmt.Sprintf("uid %d", os.Getuid())})
	if err != nil {
		return err
	}
	unready, err := st.Unready(o.Date)
	if err != nil {
		return err
	}
	for _, f := range unready {
		fmt.Fprintf(s.err, "未用 · not used: ")
		printStationFile(s.err, f)
	}
	o.Inbox, o.Took, o.Details = st, st.Took, st.Sends()
	return shareCities(o.Rules, st.Cities())
}

// cuts reads the book, if there is one: nobody's folder gets one by being read.
func (c *clearRunCmd) cuts(cfg *config.Config) (day.Cuts, error) {
	name := c.Cuts
	if name == "" {
		name = filepath.Join(cfg.Data, "cuts")
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	return day.ReadBook(name)
}

// clearSource opens the journal that a day is cleared from: a checkpoint that was
// named, one that the running switch makes for it, or the folder at rest.
type clearSource struct {
	cfg        *config.Config
	dir        string
	checkpoint string
	live       *admin.Client
	made       string // by the running switch, for this run only
}

// asOf is the moment that the journal to be read is as of, Unix nanoseconds.
func (c *clearSource) asOf(ctx context.Context) (int64, error) {
	if c.checkpoint != "" {
		info, err := os.Stat(c.checkpoint)
		if err != nil {
			return 0, fmt.Errorf("--checkpoint: %w", err)
		}
		return info.ModTime().UnixNano(), nil
	}
	live := admin.NewClient(c.cfg.Admin.Socket)
	runs, err := running(ctx, live)
	if err != nil {
		return 0, err
	}
	if runs {
		c.live = live
	}
	return time.Now().UnixNano(), nil
}

func (c *clearSource) open(ctx context.Context) (*journal.Kept, error) {
	dir := c.cfg.JournalDir()
	switch {
	case c.checkpoint != "":
		dir = c.checkpoint
	case c.live != nil:
		if err := c.snapshot(ctx); err != nil {
			return nil, err
		}
		dir = c.made
	}
	if _, err := os.Stat(c.cfg.Journal.KeyFile); err != nil {
		return nil, fmt.Errorf("流水密钥 · key of the journal: %w", err)
	}
	ring, err := journal.LoadRing(c.cfg.Journal.KeyFile, c.cfg.Journal.OldKeys, dir, node.OpenKey(c.cfg))
	if err != nil {
		return nil, err
	}
	return journal.OpenReadOnly(journal.Options{Dir: dir, Key: ring.Key, Old: ring.Old})
}

// trace tells what happened to a transaction, up to a place.
func (c *clearSource) trace(ctx context.Context, id uint64, to journal.LSN) (lines []string, err error) {
	log, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	d, err := query.NewDesk(log.Reader, 1)
	if err != nil {
		return nil, err
	}
	story, err := d.Show(ctx, txn.ID(id), "", false)
	if err != nil {
		return nil, err
	}
	return story.Lines(to), nil
}

// snapshot has the switch make a checkpoint, once for a run. What a run that was
// killed has left is thrown away first: it may be of another moment.
func (c *clearSource) snapshot(ctx context.Context) error {
	if c.made != "" {
		return nil
	}
	dir, err := filepath.Abs(c.snapshotDir())
	if err == nil {
		err = errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Dir(dir), 0o700))
	}
	if err != nil {
		return err
	}
	answer, err := c.live.Act(ctx, admin.Action{Verb: admin.Checkpoint, What: dir})
	if err == nil && !answer.OK {
		err = fmt.Errorf("%s · %s: %s", answer.Zh, answer.En, strings.Join(answer.Lines, "; "))
	}
	if err == nil {
		c.made = dir
	}
	return err
}

// snapshotDir is where the running switch puts a checkpoint for a run.
func (c *clearSource) snapshotDir() string { return filepath.Join(c.dir, "snapshot") }

func (c *clearSource) close() error {
	if c.made == "" {
		return nil
	}
	return os.RemoveAll(c.made)
}

// stepBar shows the steps on standard error: a line for each, and while one is at
// work its rows, their rate and the time left, where somebody looks.
type stepBar struct {
	out   io.Writer
	live  bool
	from  time.Time // of the step
	shown time.Time
}

// barEvery is the pause between two pictures of the bar.
const barEvery = 250 * time.Millisecond

const barWidth = 24

func (b *stepBar) heed(p clearrun.Progress) {
	now := time.Now()
	words := p.Step.Words()
	name := fmt.Sprintf("%2d/%d %s · %s", p.Step+1, clearrun.Steps, words.ZH, words.EN)
	switch p.Phase {
	case clearrun.Begins:
		b.from, b.shown = now, now
	case clearrun.Works:
		if !b.live || now.Sub(b.shown) < barEvery {
			return
		}
		b.shown = now
		took := now.Sub(b.from)
		full := int(p.Part * barWidth)
		fmt.Fprintf(b.out, "\r\x1b[K%s [%s%s] %3.0f%% %d 行 · rows, %.0f/s, 剩余 · left %s", name, strings.Repeat("█", full), strings.Repeat("·", barWidth-full),
			100*p.Part, p.Rows, float64(p.Rows)/took.Seconds(), p.Left(took).Round(time.Second))
	case clearrun.Done:
		took := now.Sub(b.from)
		rate := ""
		if p.Rows > 0 {
			rate = fmt.Sprintf(", %d 行 · rows, %.0f/s", p.Rows, float64(p.Rows)/took.Seconds())
		}
		b.line("%s ✓ %.2f s%s", name, took.Seconds(), rate)
	case clearrun.DoneSince:
		b.line("%s ✓ 先前已完成 · done before", name)
	}
}

func (b *stepBar) line(format string, args ...any) {
	b.end()
	fmt.Fprintf(b.out, format+"\n", args...)
}

// end takes the bar away.
func (b *stepBar) end() {
	if b.live {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

// isTerminal says whether somebody may look at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func printSummary(w io.Writer, s *clearrun.Summary) {
	state := "未关闭 · open"
	if s.Closed {
		state = "已关闭 · closed"
	}
	fmt.Fprintf(w, "%s: %s, %s\n", s.Date, state, s.Folder)
	r := s.Report
	if r == nil {
		return
	}
	balanced := "平衡 · balanced"
	if !r.Balanced {
		balanced = "不平 · not balanced"
	}
	fmt.Fprintf(w, "%s；本方 · ours %d, 对方 · theirs %d, 差异 · differences %d, 未平 · unbalanced %d\n", balanced, r.Counts.Ours, r.Counts.Theirs, r.Counts.Differences, r.Counts.Unbalanced)
	for _, c := range r.Classes[1:] {
		if c.Count > 0 {
			fmt.Fprintf(w, "  %s · %s: %d\n", c.ZH, c.EN, c.Count)
		}
	}
	fmt.Fprintf(w, "新增差错 · cases raised %d, 迟到匹配 · resolved %d, 暂挂 · held %d\n", r.Counts.Raised, r.Counts.Resolved, r.Counts.Held)
	fmt.Fprintf(w, "冲正 · reversals: 应冲 · owed %d, 确认 · confirmed %d, 未了 · open %d\n", r.Proof.Owed, r.Proof.Confirmed, len(r.Proof.Open))
	for _, f := range r.Refused {
		fmt.Fprintf(w, "备付金不足，未结算 · not settled, the reserve is too small: %s 应付 · owes %s, 可用 · free %s\n", f.Party, yuan(f.Owes), yuan(f.Free))
	}
	for _, o := range r.Proof.Open {
		fmt.Fprintf(w, "  未了 · open: %d %s %s %d 分 · fen, %s, %s\n", o.Txn, o.Kind, o.Link, o.Fen, o.Since, o.Last)
	}
}
