package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/journal"
	"tongka/journal/query"
	"tongka/keyfile"
	"tongka/node"
	"tongka/translate"
	"tongka/txn"
)

// journalCmd asks the journal of a running switch, or of a data folder at rest.
type journalCmd struct {
	Find   journalFindCmd   `cmd:"" help:"查找交易 · find transactions"`
	Show   journalShowCmd   `cmd:"" help:"一笔交易的全过程 · the whole story of one"`
	Export journalExportCmd `cmd:"" help:"按日导出 CSV 或 JSON 行，附摘要 · export days as CSV or JSON lines, with a digest"`
	Keys   journalKeysCmd   `cmd:"" help:"各密钥文件封存了什么，哪些可以销毁 · what lies under which key file, and which may be destroyed"`
	NewKey journalNewKeyCmd `cmd:"" name:"newkey" help:"新建密钥文件，供更换 key_file · make a key file, to change key_file to"`
	Verify journalVerifyCmd `cmd:"" help:"逐条解密并核对 · unseal every record and hold the journal against itself"`
}

// journalFlags say which journal, and how to answer.
type journalFlags struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"配置文件 · config file"`
	JSON   bool   `help:"输出 JSON 行 · write JSON lines"`
	Unmask bool   `help:"显示完整卡号：须可读流水密钥，记入审计 · whole card numbers: wants the key file, is audited"`
}

// source is where the questions go: a running switch, or the folder.
type source struct {
	cfg  *config.Config
	ring keyfile.Ring
	live *admin.Client
	kept *journal.Kept
}

// open asks whether the switch runs; if not, the folder is read, and nothing in it
// is changed.
func (f *journalFlags) open(ctx context.Context) (*source, error) {
	cfg, err := config.Load(f.Config)
	if err != nil {
		return nil, err
	}
	s := &source{cfg: cfg, live: admin.NewClient(cfg.Admin.Socket)}
	live, err := running(ctx, s.live)
	if err != nil {
		return nil, err
	}
	if !live || f.Unmask {
		if _, err := os.Stat(cfg.Journal.KeyFile); err != nil {
			return nil, fmt.Errorf("流水密钥 · key of the journal: %w", err)
		}
		if s.ring, err = journal.LoadRing(cfg.Journal.KeyFile, cfg.Journal.OldKeys, cfg.JournalDir(), node.OpenKey(cfg)); err != nil {
			return nil, err
		}
	}
	if live {
		return s, nil
	}
	s.live = nil
	s.kept, err = journal.OpenReadOnly(journal.Options{Dir: cfg.JournalDir(), Key: s.ring.Key, Old: s.ring.Old})
	return s, err
}

func (s *source) close() error {
	if s.kept == nil {
		return nil
	}
	return s.kept.Close()
}

// desk is for a folder at rest.
func (s *source) desk(unmask bool, what string) (*query.Desk, error) {
	if unmask {
		e := audit.Entry{Who: audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "command"}, Action: "unmask", What: what, Result: "ok"}
		if err := noteAtRest(s.cfg.AuditFile(), e); err != nil {
			return nil, err
		}
	}
	return query.NewDesk(s.kept.Reader, 1)
}

// ask puts a question to the running switch, with the proof that it may be told
// card numbers where it wants them.
func (s *source) ask(ctx context.Context, topic string, q any, unmask bool, f func([]byte) error) error {
	b, err := json.Marshal(q)
	if err != nil {
		return err
	}
	sealed := admin.Sealed{Query: b}
	if unmask {
		sealed.Proof = journal.Proof(&s.ring.Key, b)
	}
	return s.live.Ask(ctx, topic, sealed, f)
}

func (s *source) find(ctx context.Context, q *query.Query, what string, f func(*query.Row) error) error {
	if s.live != nil {
		return s.ask(ctx, admin.JournalFind, q, q.Unmask, func(line []byte) error {
			var r query.Row
			return errors.Join(json.Unmarshal(line, &r), f(&r))
		})
	}
	d, err := s.desk(q.Unmask, what)
	if err != nil {
		return err
	}
	return d.Find(ctx, q, f)
}

// journalFindCmd finds transactions.
type journalFindCmd struct {
	journalFlags
	From     string  `placeholder:"TIME" help:"自（含），2026-11-01 或 2026-11-01T09:30:00，缺省今日零时 · from; midnight of today when left out"`
	To       string  `placeholder:"TIME" help:"至（不含） · up to, without it"`
	Terminal string  `help:"终端号 · terminal (F41)"`
	Merchant string  `help:"商户号 · merchant (F42)"`
	Card     string  `placeholder:"TOKEN|-" help:"卡标记 card-…；- 则从标准输入读卡号，不留在命令行 · card token; - reads the card number from standard input"`
	RRN      string  `name:"rrn" help:"检索参考号 · retrieval reference number (F37)"`
	Trace    *uint32 `help:"终端流水号 · trace number of the terminal (F11)"`
	Batch    *uint32 `help:"批次号 · batch number"`
	Kind     string  `help:"交易种类 · kind"`
	Result   string  `help:"open, approved, declined, timed-out"`
	Code     string  `help:"应答码 · response code (F39)"`
	Limit    int     `default:"100" help:"至多多少笔，0 不限 · rows at most, 0: all"`
}

// Run finds and prints.
func (c *journalFindCmd) Run(s *streams) (err error) {
	q := query.Query{Terminal: c.Terminal, Merchant: c.Merchant, Card: c.Card, RRN: c.RRN, Trace: c.Trace, Batch: c.Batch,
		Kind: c.Kind, Result: c.Result, Code: c.Code, Limit: c.Limit, Unmask: c.Unmask}
	now := time.Now().In(translate.Zone)
	q.From = time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, translate.Zone)
	if c.From != "" {
		if q.From, err = moment(c.From); err != nil {
			return err
		}
	}
	if c.To != "" {
		if q.To, err = moment(c.To); err != nil {
			return err
		}
	}
	switch {
	case c.Card == "-":
		line, err := bufio.NewReader(io.LimitReader(s.in, 64)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		q.Card = strings.TrimSpace(line)
	case c.Card != "" && !strings.HasPrefix(c.Card, "card-"):
		return errors.New("卡号不可写在命令行（他人可见）：用 --card - 由标准输入给出 · a card number must not stand on a command line, others can see it: give it to --card - on standard input")
	}
	src, err := c.open(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	n := 0
	err = src.find(s.ctx, &q, "journal find", func(r *query.Row) error {
		n++
		if c.JSON {
			return writeLine(s.out, r)
		}
		printRow(s.out, r)
		return nil
	})
	if err == nil && !c.JSON {
		fmt.Fprintf(s.out, "%d 笔 · transactions\n", n)
	}
	return err
}

// moment reads a day, or a second, of China's time.
func moment(s string) (time.Time, error) {
	for _, form := range []string{time.DateOnly, "2006-01-02T15:04:05", time.RFC3339Nano} {
		if t, err := time.ParseInLocation(form, s, translate.Zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("时间 %q 须如 2026-11-01 或 2026-11-01T09:30:00 · time %q: wanted such as 2026-11-01 or 2026-11-01T09:30:00", s, s)
}

// dayOf reads a day of China's time.
func dayOf(s string) (time.Time, error) {
	t, err := time.ParseInLocation(time.DateOnly, s, translate.Zone)
	if err != nil {
		err = fmt.Errorf("日期 %q 须如 2026-11-01 · day %[1]q: wanted such as 2026-11-01", s)
	}
	return t, err
}

func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func printRow(w io.Writer, r *query.Row) {
	fmt.Fprintf(w, "%s  %d  RRN %s  %s/%s  %-12s %s  %d.%02d  %s %-9s %s  %s  %s\n", r.At, r.ID, r.RRN, r.Merchant, r.Terminal, r.Kind, r.Card,
		r.Amount/100, r.Amount%100, r.Code, r.Result, r.Link, r.Token, took(r.Micros))
}

func took(micros int64) string {
	if micros == 0 {
		return ""
	}
	return fmt.Sprintf("%d µs", micros)
}

// journalShowCmd tells the story of one transaction.
type journalShowCmd struct {
	journalFlags
	Number string `arg:"" help:"流水号，或 12 位检索参考号 · number of the transaction, or its RRN of 12 digits"`
}

// Run asks and prints.
func (c *journalShowCmd) Run(s *streams) (err error) {
	q := admin.StoryQuery{Unmask: c.Unmask}
	if len(c.Number) == 12 {
		q.RRN = c.Number
	} else if q.ID, err = strconv.ParseUint(c.Number, 10, 64); err != nil || q.ID == 0 {
		return fmt.Errorf("%q 不是流水号，也不是 12 位检索参考号 · %q is neither a number nor an RRN of 12 digits", c.Number, c.Number)
	}
	story, err := c.story(s.ctx, &q, "journal show "+c.Number)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, story)
	}
	printStory(s.out, story)
	return nil
}

// story asks for what happened to one transaction.
func (f *journalFlags) story(ctx context.Context, q *admin.StoryQuery, what string) (story *query.Story, err error) {
	src, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	if src.live != nil {
		story = &query.Story{}
		return story, src.ask(ctx, admin.JournalShow, q, q.Unmask, func(line []byte) error { return json.Unmarshal(line, story) })
	}
	d, err := src.desk(q.Unmask, what)
	if err != nil {
		return nil, err
	}
	return d.Show(ctx, txn.ID(q.ID), q.RRN, q.Unmask)
}

func printStory(w io.Writer, st *query.Story) {
	printRow(w, &st.Row)
	fmt.Fprintf(w, "状态 · state: %s\n", st.State)
	for _, x := range st.Steps {
		by := ""
		if x.By != 0 {
			by = fmt.Sprintf("≤ %d", x.By)
		}
		fmt.Fprintf(w, "  %-32s %+12d µs %-12s  %-10s %s · %s\n", x.At, x.After, by, x.What, x.Zh, x.En)
	}
	fmt.Fprintln(w, "  时刻为循环一轮的开始（+）与其后一轮的开始（≤）：落盘与发送在两者之间；加密机、网络各占多少未单独测量\n"+
		"  times are the beginning of a turn of the loop (+) and of the next that wrote (≤): disk and sends lie between; module and network are not measured apart")
	for _, o := range st.Owed {
		fmt.Fprintf(w, "仍欠 · still owed: %s → %s\n", o.Form, o.Link)
	}
	for i := range st.Later {
		fmt.Fprintf(w, "其后 · later: ")
		printRow(w, &st.Later[i])
	}
	fmt.Fprintf(w, "查至 · looked up to %s\n", st.Upto)
}

// journalVerifyCmd verifies all.
type journalVerifyCmd struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"配置文件 · config file"`
	JSON   bool   `help:"输出 JSON · write JSON"`
}

// Run verifies the journal, and the audit chain against what the journal keeps of
// it.
func (c *journalVerifyCmd) Run(s *streams) (err error) {
	f := journalFlags{Config: c.Config}
	src, err := f.open(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	var rep query.Report
	var head audit.Head
	if src.live != nil {
		if err = verifyLive(s, src, &rep); err == nil {
			head, err = src.live.AuditHead(s.ctx)
		}
	} else if rep, err = verifyFolder(s, src); err == nil {
		var b []byte
		var ok bool
		if b, ok, err = src.kept.Lookup([]byte("kept/audit"), nil); err == nil && ok {
			err = json.Unmarshal(b, &head)
		}
	}
	if err != nil {
		return err
	}
	if err := audit.Check(src.cfg.AuditFile(), head); err != nil && !(head.N == 0 && errors.Is(err, os.ErrNotExist)) {
		rep.OK = false
		rep.Total++
		rep.Faults = append(rep.Faults, query.Fault{Place: "audit", Zh: "审计链不成立：" + err.Error(), En: "the audit chain does not hold: " + err.Error()})
	}
	return c.print(s, &rep)
}

// verifyLive has the running switch verify, which takes a share of a processor only.
func verifyLive(s *streams, src *source, rep *query.Report) error {
	err := src.ask(s.ctx, admin.JournalVerify, struct{}{}, false, func(line []byte) error {
		*rep = query.Report{}
		if err := json.Unmarshal(line, rep); err != nil || rep.Done {
			return err
		}
		printProgress(s.err, rep)
		return nil
	})
	if err == nil && !rep.Done {
		err = errors.New("核对中断，交换未报告结果 · it was broken off: the switch did not say what came of it")
	}
	return err
}

// printProgress says on standard error how far it is, so that what goes to standard
// output stays the report alone.
func printProgress(w io.Writer, rep *query.Report) {
	fmt.Fprintf(w, "… 页 · pages %d, 记录 · records %d, 欠款 · debts %d, 关联 · chains %d, 错误 · faults %d\n", rep.Pages, rep.Records, rep.Debts, rep.Chains, rep.Total)
}

func verifyFolder(s *streams, src *source) (query.Report, error) {
	d, err := src.desk(false, "")
	if err != nil {
		return query.Report{}, err
	}
	rep, err := d.Verify(s.ctx, func(r *query.Report) { printProgress(s.err, r) })
	if err != nil {
		return query.Report{}, err
	}
	return *rep, nil
}

func (c *journalVerifyCmd) print(s *streams, rep *query.Report) error {
	var failed error
	if !rep.OK {
		failed = errShown
	}
	if c.JSON {
		return errors.Join(writeJSON(s.out, rep), failed)
	}
	fmt.Fprintf(s.out, "页 · pages %d, 记录 · records %d, 意向 · intents %d, 结果 · outcomes %d, 未了 · open %d, 欠款 · debts %d, 关联 · chains %d, 索引 · indexed %d\n",
		rep.Pages, rep.Records, rep.Intents, rep.Ended, rep.Open, rep.Debts, rep.Chains, rep.Indexed)
	for _, x := range rep.Faults {
		fmt.Fprintf(s.out, "  %s: %s · %s\n", x.Place, x.Zh, x.En)
	}
	if rep.OK {
		fmt.Fprintln(s.out, "流水完整 · the journal holds")
	} else {
		fmt.Fprintf(s.err, "共 %d 处错误 · %d faults\n", rep.Total, rep.Total)
	}
	return failed
}

// journalExportCmd writes days to a file.
type journalExportCmd struct {
	journalFlags
	Day    string `required:"" placeholder:"DAY" help:"日期，如 2026-11-01 · first day"`
	Last   string `placeholder:"DAY" help:"末日（含），缺省同 --day · last day, the same when left out"`
	Format string `default:"csv" enum:"csv,jsonl" help:"csv, jsonl"`
	Out    string `short:"o" required:"" placeholder:"FILE" help:"目标文件，须不存在；摘要写入 FILE.sha256 · file to write, must not be there; the digest goes to FILE.sha256"`
}

// Run exports. A file that is not whole does not stay.
func (c *journalExportCmd) Run(s *streams) (err error) {
	from, err := dayOf(c.Day)
	if err != nil {
		return err
	}
	to := from
	if c.Last != "" {
		if to, err = dayOf(c.Last); err != nil {
			return err
		}
	}
	if to.Before(from) {
		return fmt.Errorf("末日 %s 早于首日 · the last day %s is before the first", c.Last, c.Last)
	}
	q := query.Query{From: from, To: to.AddDate(0, 0, 1), Unmask: c.Unmask}
	src, err := c.open(s.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	n, sum, err := c.write(s.ctx, src, &q)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%s  %s\n", sum, filepath.Base(c.Out))
	if err := os.WriteFile(c.Out+".sha256", []byte(line), 0o600); err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, map[string]any{"file": c.Out, "rows": n, "sha256": sum})
	}
	fmt.Fprintf(s.out, "已导出 %d 笔至 %s · %d transactions exported\nSHA-256 %s\n", n, c.Out, n, sum)
	return nil
}

func (c *journalExportCmd) write(ctx context.Context, src *source, q *query.Query) (n int, sum string, err error) {
	file, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, "", fmt.Errorf("目标文件 · file to write: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(c.Out))
		}
	}()
	hash := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(file, hash))
	give := func(r *query.Row) error { return writeLine(out, r) }
	if c.Format == "csv" {
		give = csvRows(out)
	}
	err = src.find(ctx, q, "journal export "+c.Day, func(r *query.Row) error { n++; return give(r) })
	return n, hex.EncodeToString(hash.Sum(nil)), errors.Join(err, out.Flush(), file.Sync())
}

// csvRows writes a head and then rows; the columns are those of the JSON, in its
// order.
func csvRows(w io.Writer) func(*query.Row) error {
	names := []string{"id", "rrn", "at", "merchant", "terminal", "card", "card_token", "kind", "of", "orig", "trace", "batch", "stan",
		"amount_fen", "currency", "code", "result", "auth", "link", "line", "micros"}
	cw := csv.NewWriter(w)
	first := true
	return func(r *query.Row) error {
		if first {
			first = false
			if err := cw.Write(names); err != nil {
				return err
			}
		}
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		var m map[string]any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			return err
		}
		row := make([]string, len(names))
		for i, name := range names {
			if v, ok := m[name]; ok {
				row[i] = fmt.Sprint(v)
			}
		}
		if err := cw.Write(row); err != nil {
			return err
		}
		cw.Flush()
		return cw.Error()
	}
}
