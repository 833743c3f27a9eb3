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
	Purge   cleanPurgeCmd   `cmd:"" help:"清理保留期以外的流水与来文 · take away the journal and their files of days that are older than is kept"`
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

// cuts are those of the book.
func (c *clerk) cuts() (day.Cuts, error) { return day.ReadBook(filepath.Join(c.cfg.Data, "cuts")) }

// summarize writes the summaries that are missing, of closed days whose window the
// book has. A day that was cleared by the rules' schedule, before the book, has none.
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
	for _, date := range all {
		name := c.summaryFile(date)
		if _, err := os.Stat(name); err == nil {
			continue
		}
		if _, _, ok := cuts.Window(date); !ok {
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
		sum, err := clean.Summarize(src, cuts, date)
		if err != nil {
			return err
		}
		if sum.Sums, _, err = digestOf(filepath.Join(c.dir, "days", date.String(), clearrun.SumsFile)); err != nil {
			return err
		}
		b, err := json.MarshalIndent(sum, "", "  ")
		if err = errors.Join(err, replaceFile(name, append(b, '\n'))); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s: %d 条记录 · records → %s\n", date, sum.Records, name)
	}
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

// backup copies the journal as of one moment, and beside it the book of cuts, the
// audit file and what the desks have published. Keys are never in it.
func (c *clerk) backup(s *streams, to string) error {
	extra := map[string]string{"cuts": filepath.Join(c.cfg.Data, "cuts"), "audit.jsonl": c.cfg.AuditFile()}
	for _, name := range []string{"days", "summaries", "statements", "decisions"} {
		extra["clearing/"+name] = filepath.Join(c.dir, name)
	}
	m, err := clean.Backup(to, func(dir string) error { return c.checkpoint(s.ctx, dir) }, extra,
		func(trial string) (int, error) { return c.prove(s.ctx, filepath.Join(trial, "journal")) }, time.Now())
	if err != nil {
		return err
	}
	if err := c.note(s.ctx, admin.Note{Action: "backup", What: to, After: fmt.Sprintf("%d files, %d records", len(m.Files), m.Records)}); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "备份 %s：%d 个文件，%d 条记录，恢复已证明 · backup: %d files, %d records, restored and verified\n", to, len(m.Files), m.Records, len(m.Files), m.Records)
	return nil
}

// checkpoint has the running switch copy its journal, or copies that of one at rest.
func (c *clerk) checkpoint(ctx context.Context, dir string) (err error) {
	a, err := admin.NewClient(c.cfg.Admin.Socket).Act(ctx, admin.Action{Verb: admin.Checkpoint, What: dir})
	if err == nil && !a.OK {
		return fmt.Errorf("%s · %s %v", a.Zh, a.En, a.Lines)
	}
	if !errors.Is(err, admin.ErrNotRunning) {
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

// purge takes away what is older than keep days, up to the last day of which nobody
// needs anything any more.
func (c *clerk) purge(s *streams, keep int, now time.Time) error {
	if keep < clean.LeastKept {
		return fmt.Errorf("--keep 至少 %d · --keep is %d at least", clean.LeastKept, clean.LeastKept)
	}
	today, err := day.ParseDate(now.In(translate.Zone).Format("20060102"))
	if err != nil {
		return err
	}
	date, err := c.lastToPurge(today.Add(-keep - 1))
	if err != nil || date == 0 {
		fmt.Fprintln(s.out, "没有可清理的日子 · no day is old enough")
		return err
	}
	if err := c.casesEnded(s, date); err != nil {
		return err
	}
	if err := c.purgeJournal(s.ctx, date, now); err != nil {
		return err
	}
	if err := c.purgeFiles(date); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s 及以前的流水与来文已清理 · the journal and their files up to %s are gone\n", date, date)
	return c.note(s.ctx, admin.Note{Action: "purge", What: date.String()})
}

// lastToPurge is the last closed day up to one that has its summary; a day without
// one ends it, so nothing goes of which nothing would stay.
func (c *clerk) lastToPurge(upTo day.Date) (last day.Date, err error) {
	all, err := c.closedDays()
	for _, date := range all {
		if date > upTo {
			break
		}
		if _, err := os.Stat(c.summaryFile(date)); err != nil {
			return last, fmt.Errorf("%s 尚无日汇总：switch clean summary · it has no summary yet: %w", date, err)
		}
		last = date
	}
	return last, err
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
	a, err := admin.NewClient(c.cfg.Admin.Socket).Act(ctx, admin.Action{Verb: admin.Purge, What: date.String()})
	if err == nil && !a.OK {
		return fmt.Errorf("%s · %s %v", a.Zh, a.En, a.Lines)
	}
	if !errors.Is(err, admin.ErrNotRunning) {
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
func (c *clerk) purgeFiles(upTo day.Date) error {
	in := filepath.Join(c.dir, "in")
	list, err := os.ReadDir(in)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		if date, err := day.ParseDate(e.Name()); err == nil && date <= upTo && e.Name() == date.String() {
			if err := os.RemoveAll(filepath.Join(in, e.Name())); err != nil {
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
	if err := k.summarize(s); err != nil {
		return err
	}
	all, err := k.closedDays()
	if err != nil || len(all) == 0 {
		return errors.Join(err, errors.New("尚无已清算之日 · no day is cleared yet"))
	}
	if err := os.MkdirAll(c.Backups, 0o700); err != nil {
		return err
	}
	to := filepath.Join(c.Backups, all[len(all)-1].String())
	if _, err := os.Stat(to); err == nil {
		if _, err := clean.Check(to); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "备份 %s 已有，相符 · the backup is there, as listed\n", to)
	} else if err := k.backup(s, to); err != nil {
		return err
	}
	return k.purge(s, c.Keep, time.Now())
}
