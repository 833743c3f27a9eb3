package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tongka/admin"
	"tongka/card"
	"tongka/clearing/clean"
	"tongka/clearing/day"
	"tongka/clearing/dispute"
	clearrun "tongka/clearing/run"
	"tongka/clearing/station"
	"tongka/engine"
	"tongka/journal"
	"tongka/journal/query"
	"tongka/node"
	"tongka/translate"
	"tongka/txn"
)

// cleanCmd keeps the data of a house from growing without end, beside a switch that
// runs or on a folder at rest.
type cleanCmd struct {
	Summary cleanSummaryCmd `cmd:"" help:"日汇总：每个已清算之日一份，永久保留 · a summary of each cleared day, kept for good"`
	Backup  cleanBackupCmd  `cmd:"" help:"备份，并以恢复证明 · a backup, proved by restoring it"`
	Check   cleanCheckCmd   `cmd:"" help:"以清单核对备份 · hold a backup against its manifest"`
	Purge   cleanPurgeCmd   `cmd:"" help:"清理保留期以外者：流水与来文（--keep），文件站的归档、隔离、拒绝与下发（station.yaml 的 keep） · take away what is older than is kept: the journal and their files (--keep), what the station has archived, set aside, rejected and sent (keep in station.yaml)"`
	Run     cleanRunCmd     `cmd:"" help:"汇总、备份、清理，依次；可随时中断再做 · all three in turn; may be stopped anywhere and done again"`
}

type cleanSummaryCmd struct{ clerkFlags }

// Run summarizes what is not.
func (c *cleanSummaryCmd) Run(s *streams) error {
	k, err := c.clerk()
	if err != nil {
		return err
	}
	return k.summarize(s)
}

func (c *clerk) summaryFile(d day.Date) string {
	return filepath.Join(c.dir, "summaries", d.String()+".json")
}

// cuts are those of the book, none before there is one.
func (c *clerk) cuts() (day.Cuts, error) {
	cuts, err := day.ReadBook(filepath.Join(c.cfg.Data, "cuts"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return cuts, err
}

// window gives the places of a closed day: those of the book, or for a day that was
// cleared by the rules' schedule, before the book, those that its report names.
func (c *clerk) window(cuts day.Cuts, date day.Date) (from, to uint64, err error) {
	from, to, ok := cuts.Window(date)
	if ok {
		return from, to, nil
	}
	name := filepath.Join(clearrun.DayFolder(c.dir, date.String()), clearrun.ReportJSON)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, err
	}
	var r clearrun.Report
	err = json.Unmarshal(b, &r)
	first, err1 := journal.ParseLSN(r.Window[0])
	end, err2 := journal.ParseLSN(r.Window[1])
	if err = errors.Join(err, err1, err2); err != nil {
		return 0, 0, fmt.Errorf("%s: window: %w", name, err)
	}
	return uint64(first), uint64(end), nil
}

// summarize writes the summaries of closed days that are missing. A day of which one
// cannot be made is told and keeps no other from having its own.
func (c *clerk) summarize(s *streams) (err error) {
	all, err := c.closedDays()
	if err != nil {
		return err
	}
	cuts, err := c.cuts()
	if err != nil {
		return err
	}
	var src *journal.Kept
	from := &clearSource{cfg: c.cfg, dir: filepath.Join(c.dir, "clean")}
	defer func() {
		if src != nil {
			err = errors.Join(err, src.Close())
		}
		err = errors.Join(err, from.close())
	}()
	var faults []error
	for _, date := range all {
		if _, err := os.Stat(c.summaryFile(date)); err == nil {
			continue
		}
		if src == nil {
			if _, err := from.asOf(s.ctx); err != nil {
				return err
			}
			if src, err = from.open(s.ctx); err != nil {
				return err
			}
		}
		err := c.summarizeDay(s, src, cuts, date)
		if errors.Is(err, clean.ErrGone) {
			err = fmt.Errorf("%w；请自备份取回 · take it from a backup: clearing/summaries/%s.json → %s", err, date, c.summaryFile(date))
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// summarizeDay writes one, whole or not at all.
func (c *clerk) summarizeDay(s *streams, src clean.Source, cuts day.Cuts, date day.Date) error {
	from, to, err := c.window(cuts, date)
	if err != nil {
		return err
	}
	sum, err := clean.Summarize(src, date, from, to)
	if err != nil {
		return err
	}
	if sum.Sums, _, err = digestOf(filepath.Join(clearrun.DayFolder(c.dir, date.String()), clearrun.SumsFile)); err != nil {
		return err
	}
	b, err := json.MarshalIndent(sum, "", "  ")
	if err == nil {
		err = s.at("summarized")
	}
	if err == nil {
		err = replaceFile(c.summaryFile(date), append(b, '\n'))
	}
	if err == nil {
		err = s.at("summary written")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %d 条记录 · records → %s\n", date, sum.Records, c.summaryFile(date))
	return nil
}

type cleanBackupCmd struct {
	clerkFlags
	To string `required:"" type:"path" placeholder:"DIR" help:"新目录，须尚不存在 · a new folder, must not be there yet"`
}

// Run makes it.
func (c *cleanBackupCmd) Run(s *streams) error {
	k, err := c.clerk()
	if err != nil {
		return err
	}
	return k.backup(s, c.To)
}

// backup copies the journal as of one moment, and beside it the book of cuts, the audit
// file, the desks' databases and what they have published. Keys are never in it.
func (c *clerk) backup(s *streams, to string) error {
	extra := map[string]string{"cuts": filepath.Join(c.cfg.Data, "cuts"), "audit.jsonl": c.cfg.AuditFile()}
	for _, name := range []string{"days", "summaries", "statements", "decisions"} {
		extra["clearing/"+name] = filepath.Join(c.dir, name)
	}
	m, err := clean.Backup(&clean.Job{Dir: to, Extra: extra, Now: time.Now(), Step: s.step,
		Checkpoint: func(dir string) error {
			if err := c.checkpoint(s.ctx, dir); err != nil {
				return err
			}
			return c.copyStores(s, filepath.Dir(dir))
		},
		Prove: func(trial string) (int, error) {
			n, err := c.prove(s.ctx, filepath.Join(trial, "journal"))
			if err == nil {
				err = proveStores(trial)
			}
			if err == nil { // before it has its name: a backup that is there is in the audit
				err = c.note(s.ctx, admin.Note{Action: "backup", What: to, After: fmt.Sprintf("%d records", n)})
			}
			return n, err
		}})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "备份 %s：%d 个文件，%d 条记录，恢复已证明 · backup: %d files, %d records, restored and verified\n", to, len(m.Files), m.Records, len(m.Files), m.Records)
	return nil
}

// ask has the running switch do an action, which takes what it takes; asked is
// false when none runs.
func (c *clerk) ask(ctx context.Context, a admin.Action) (asked bool, err error) {
	client := admin.NewClient(c.cfg.Admin.Socket)
	live, err := running(ctx, client)
	if err != nil || !live {
		return err != nil, err
	}
	answer, err := client.Act(ctx, a)
	if err == nil && !answer.OK {
		err = fmt.Errorf("%s · %s %v", answer.Zh, answer.En, answer.Lines)
	}
	return true, err
}

// checkpoint has the running switch copy its journal, or copies that of one at rest.
func (c *clerk) checkpoint(ctx context.Context, dir string) (err error) {
	if asked, err := c.ask(ctx, admin.Action{Verb: admin.Checkpoint, What: dir}); asked {
		return err
	}
	log, err := c.journal(c.cfg.JournalDir())
	if err != nil {
		return err
	}
	return errors.Join(log.Checkpoint(dir), log.Close())
}

// journal opens one that no switch has.
func (c *clerk) journal(dir string) (*journal.Log, error) {
	if _, err := os.Stat(c.cfg.Journal.KeyFile); err != nil {
		return nil, fmt.Errorf("流水密钥 · key of the journal: %w", err)
	}
	ring, err := journal.LoadRing(c.cfg.Journal.KeyFile, c.cfg.Journal.OldKeys, dir, node.OpenKey(c.cfg))
	if err != nil {
		return nil, err
	}
	return journal.Open(journal.Options{Dir: dir, Key: ring.Key, Old: ring.Old, NoWarm: true})
}

// prove starts a copy as a switch would, and verifies every record of it.
func (c *clerk) prove(ctx context.Context, dir string) (records int, err error) {
	log, err := c.journal(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	desk, err := query.NewDesk(log.NewReader(), 1)
	if err != nil {
		return 0, err
	}
	rep, err := desk.Verify(ctx, nil)
	if err == nil && !rep.OK {
		err = fmt.Errorf("%d 处错误 · faults: %v", rep.Total, rep.Faults)
	}
	if err != nil {
		return 0, err
	}
	return rep.Records, nil
}

type cleanCheckCmd struct {
	Dir string `arg:"" type:"path" help:"备份 · the backup"`
}

// Run checks it.
func (c *cleanCheckCmd) Run(s *streams) error {
	m, err := clean.Check(c.Dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%d 个文件相符，%d 条记录 · %d files as listed, %d records\n", len(m.Files), m.Records, len(m.Files), m.Records)
	return nil
}

// keepFlag is how long days are kept.
type keepFlag struct {
	Keep int `default:"400" help:"保留天数，至少 30 · days that are kept, 30 at least"`
}

type cleanPurgeCmd struct {
	clerkFlags
	keepFlag
}

// Run purges.
func (c *cleanPurgeCmd) Run(s *streams) error {
	k, err := c.clerk()
	if err != nil {
		return err
	}
	return k.purge(s, c.Keep, time.Now())
}

// purge takes away what is older than is kept: bytes of the station's files by its own
// time, then the journal and their files, older than keep days and up to the last day of
// which nobody needs anything any more.
func (c *clerk) purge(s *streams, keep int, now time.Time) error {
	if keep < clean.LeastKept {
		return fmt.Errorf("--keep 至少 %d · --keep is %d at least", clean.LeastKept, clean.LeastKept)
	}
	if err := c.purgeStation(s, now); err != nil {
		return err
	}
	today, err := day.ParseDate(now.In(translate.Zone).Format("20060102"))
	if err != nil {
		return err
	}
	cuts, err := c.cuts()
	if err != nil {
		return err
	}
	date, err := c.lastToPurge(s, cuts, today.Add(-keep-1), keep)
	if err != nil || date == 0 {
		return err
	}
	if err := c.casesEnded(s, date); err != nil {
		return err
	}
	if err := c.note(s.ctx, admin.Note{Action: "purge", What: date.String()}); err != nil {
		return err
	}
	for _, do := range []func() error{func() error { return c.purgeJournal(s.ctx, date, now) }, func() error { return c.purgeFiles(s, date) }} {
		if err := do(); err != nil {
			return err
		}
		if err := s.at("purged"); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.out, "%s 及以前的流水与来文已清理 · the journal and their files up to %s are gone\n", date, date)
	return nil
}

// purgeStation has the station delete what it has kept long enough, when there is one.
func (c *clerk) purgeStation(s *streams, now time.Time) error {
	name := stationFile(c.file)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	st, err := c.station(s, name, station.Options{Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	did, err := st.Purge()
	if err != nil {
		return err
	}
	if did.Any() {
		fmt.Fprintf(s.out, "文件站已清理 · cleaned at the station: %s\n", did)
	}
	for _, x := range did.Owed {
		fmt.Fprintf(s.out, "未送达或未回执，保留 · not there or not acknowledged, kept: %s\n", x)
	}
	return nil
}

// lastToPurge is the last closed day up to one that the book of cuts has; a day without
// a summary ends it, so nothing goes of which nothing would stay. What was cleared before
// the book goes with the first day of the book, whose beginning is known for good.
func (c *clerk) lastToPurge(s *streams, cuts day.Cuts, upTo day.Date, keep int) (last day.Date, err error) {
	all, err := c.closedDays()
	if err != nil {
		return 0, err
	}
	var before day.Date
	for _, date := range all {
		if date > upTo {
			break
		}
		if _, err := os.Stat(c.summaryFile(date)); err != nil {
			return 0, fmt.Errorf("%s 尚无日汇总：switch clean summary -c %s · it has no summary yet: %w", date, c.file, err)
		}
		if _, _, ok := cuts.Window(date); ok {
			last = date
		} else {
			before = date
		}
	}
	switch {
	case last != 0:
	case before != 0 && len(cuts) == 0:
		fmt.Fprintf(s.out, "%s 及以前清算于日切簿之前：日切簿由交换启动时建立，其首日满保留期后一同清理 · days up to %s were cleared before the book of cuts; the switch makes it when it starts, and they go with its first day\n", before, before)
	case before != 0:
		first := cuts[0].Date.Add(1)
		fmt.Fprintf(s.out, "%s 及以前清算于日切簿之前：自 %s 起随簿中首日 %s 一同清理（--keep %d） · days up to %s were cleared before the book of cuts: they go with its first day %s, from %s on (--keep %d)\n",
			before, first.Add(keep+1), first, keep, before, first, first.Add(keep+1), keep)
	default:
		fmt.Fprintln(s.out, "没有可清理的日子 · no day is old enough")
	}
	return last, nil
}

// casesEnded refuses while somebody may still ask for a trace of these days.
func (c *clerk) casesEnded(s *streams, date day.Date) (err error) {
	d, err := c.desk(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := c.takeIn(d); err != nil {
		return err
	}
	var faults []error
	err = d.Each(func(k *dispute.Case) error {
		if !k.State.Ended() && (k.Of <= date.String() || k.Date <= date.String()) && len(faults) < 20 {
			faults = append(faults, fmt.Errorf("差错 %s 未结（%s）· the case is %s", k.Event.Case, k.State, k.State))
		}
		return nil
	})
	return errors.Join(append(faults, err)...)
}

func (c *clerk) purgeJournal(ctx context.Context, date day.Date, now time.Time) error {
	if asked, err := c.ask(ctx, admin.Action{Verb: admin.Purge, What: date.String()}); asked {
		return err
	}
	cuts, err := c.cuts()
	if err != nil {
		return err
	}
	log, err := c.journal(c.cfg.JournalDir())
	if err != nil {
		return err
	}
	read := log.NewReader()
	floor, err := clean.Plan(read, cuts, date, now.In(translate.Zone), func(f func(txn.ID)) error {
		return engine.EachParked(read, func(p *card.Purse) error { f(p.Load); return nil })
	})
	if err == nil {
		err = log.Purge(floor)
	}
	return errors.Join(err, log.Close())
}

// purgeFiles takes the other side's files of old days away; what was published stays.
func (c *clerk) purgeFiles(s *streams, upTo day.Date) error {
	in := filepath.Join(c.dir, "in")
	list, err := os.ReadDir(in)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		if date, err := day.ParseDate(e.Name()); err == nil && date <= upTo && e.Name() == date.String() {
			if err := errors.Join(os.RemoveAll(filepath.Join(in, e.Name())), s.at("folder removed")); err != nil {
				return err
			}
		}
	}
	return nil
}

type cleanRunCmd struct {
	clerkFlags
	keepFlag
	Backups string `required:"" type:"path" placeholder:"DIR" help:"备份目录，其下每个最近关闭之日一份 · folder for backups: one for each last closed day"`
}

// Run does all in turn. Nothing is purged that the backup of now does not have.
func (c *cleanRunCmd) Run(s *streams) error {
	k, err := c.clerk()
	if err != nil {
		return err
	}
	return k.clean(s, c.Backups, c.Keep, time.Now())
}

func (c *clerk) clean(s *streams, backups string, keep int, now time.Time) error {
	if err := c.summarize(s); err != nil {
		return err
	}
	all, err := c.closedDays()
	if err != nil || len(all) == 0 {
		return errors.Join(err, errors.New("尚无已清算之日 · no day is cleared yet"))
	}
	if err := os.MkdirAll(backups, 0o700); err != nil {
		return err
	}
	to := filepath.Join(backups, all[len(all)-1].String())
	if _, err := os.Stat(to); err == nil {
		if _, err := clean.Check(to); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "备份 %s 已有，相符 · the backup is there, as listed\n", to)
	} else if err := c.backup(s, to); err != nil {
		return err
	}
	return c.purge(s, keep, now)
}
