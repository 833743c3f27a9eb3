package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/node"
	"tongka/offline"
	"tongka/offline/layout"
)

// offlineCmd works on a store of its own, also beside a switch that runs.
type offlineCmd struct {
	Import  offlineImportCmd  `cmd:"" help:"导入文件；不给文件则续做未完成的 · take files in; without one, go on with what is not finished"`
	Status  offlineStatusCmd  `cmd:"" help:"文件及其进度 · files and how far they are"`
	Results offlineResultsCmd `cmd:"" help:"给送交方的结果文件与摘要 · the answer to the sender, with its digest"`
	List    offlineListCmd    `cmd:"" help:"列出一个文件的记录 · records of a file"`
	Layouts offlineLayoutsCmd `cmd:"" help:"记录格式：列出、显示、检查 · layouts of records: list, show, lint"`
}

type offlineImportCmd struct {
	configFlag
	Files    []string `arg:"" optional:"" help:"文件；旁边的 .md5、.pkg、.al 一并读取 · files; .md5, .pkg and .al beside them are read as well"`
	Layout   string   `default:"dongguan" help:"格式名或 YAML 文件 · name of a layout, or a YAML file"`
	Company  string   `help:"送交公司，每条记录须与之相符 · the company that sent it; every record has to be its own"`
	NoDigest bool     `help:"接受没有 .md5 的 zip · take a zip without its .md5"`
	JSON     bool     `help:"输出 JSON · write JSON"`
}

type offlineStatusCmd struct {
	configFlag
	JSON bool `help:"输出 JSON · write JSON"`
}

type offlineResultsCmd struct {
	configFlag
	Name string `arg:"" help:"登记的文件名 · name of a registered file"`
	Out  string `default:"." type:"path" help:"输出目录 · folder to write to"`
}

type offlineListCmd struct {
	configFlag
	Name  string `arg:"" help:"登记的文件名 · name of a registered file"`
	State string `help:"只列此状态 I T U E S · only this state"`
	Limit int    `default:"100" help:"最多条数，0 不限 · records at most, 0 for all"`
	JSON  bool   `help:"每条一行 JSON · a line of JSON for each"`
}

type offlineLayoutsCmd struct {
	Show string `placeholder:"NAME" help:"显示一个格式的 YAML · show the YAML of one"`
	Lint string `placeholder:"FILE" help:"检查格式文件 · look for faults of a file, and what is seldom meant"`
}

// openOffline opens the store that a config names. The caller ends it by end.
func openOffline(path string, work bool) (s *offline.Store, end func() error, err error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, nil, err
	}
	return node.OpenOffline(cfg, work)
}

// Run imports one file after the other. A file that is refused does not keep the
// others out; the exit code says that there was one.
func (c *offlineImportCmd) Run(s *streams) (err error) {
	l, err := layout.Open(c.Layout)
	if err != nil {
		return err
	}
	format, err := offline.NewFormat(l)
	if err != nil {
		return err
	}
	store, end, err := openOffline(c.Config, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	done, failed := []*offline.File{}, false
	note := func(name string, f *offline.File, err error) {
		if f != nil {
			done = append(done, f)
		}
		err = errors.Join(err, c.audit(s, name, f, err))
		if err != nil {
			fmt.Fprintf(s.err, "switch: %v\n", err)
		}
		failed = failed || err != nil || f.Stage == offline.Quarantined
	}
	if len(c.Files) == 0 {
		if err := c.resume(s, store, note); err != nil {
			return err
		}
	}
	for _, path := range c.Files {
		src, err := c.source(path, format)
		if err != nil {
			note(filepath.Base(path), nil, err)
			continue
		}
		f, err := store.Import(s.ctx, src, progress(s, src.Name, c.JSON))
		note(src.Name, f, err)
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
	}
	if err := c.report(s, done); err != nil {
		return err
	}
	if failed {
		return errShown
	}
	return nil
}

// audit writes down who offered what and what became of it: by the switch when it
// runs, for the end of its chain is kept in its journal, else into the file.
func (c *offlineImportCmd) audit(s *streams, name string, f *offline.File, why error) error {
	o := admin.OfflineImport{File: name, Layout: c.Layout, Company: c.Company}
	if f != nil {
		o.SHA256, o.Layout, o.Stage, o.Records, o.Sum = f.SHA256, f.Layout, string(f.Stage), f.Records, f.Sum
		o.States, o.Faults, o.Duplicate = f.States, f.NumFault, f.Duplicate
	}
	if why != nil {
		o.Refused = why.Error()
	}
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), ctlWithin) // what has happened is written down
	defer cancel()
	err = admin.NewClient(cfg.Admin.Socket).Ask(ctx, admin.OfflineNote, &o, func([]byte) error { return nil })
	if errors.Is(err, admin.ErrNotRunning) {
		err = noteAtRest(cfg.AuditFile(), o.Entry(audit.Who{UID: os.Getuid(), PID: os.Getpid(), Via: "command"}))
	}
	if err != nil {
		return fmt.Errorf("未能写入审计 · not audited: %w", err)
	}
	return nil
}

// noteAtRest appends to the audit file of a switch that does not run.
func noteAtRest(path string, e audit.Entry) error {
	log, _, err := audit.Open(path)
	if err != nil {
		return err
	}
	_, err = log.Append(e)
	return errors.Join(err, log.Close())
}

// resume goes on with every file that has not come to its end.
func (c *offlineImportCmd) resume(s *streams, store *offline.Store, note func(string, *offline.File, error)) error {
	files, err := store.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Stage != offline.Done && f.Stage != offline.Quarantined {
			note(f.Name, f, store.Resume(s.ctx, f, progress(s, f.Name, c.JSON)))
		}
	}
	return nil
}

func (c *offlineImportCmd) report(s *streams, done []*offline.File) error {
	if c.JSON {
		return writeJSON(s.out, done)
	}
	printFiles(s.out, done)
	for _, f := range done {
		if f.Duplicate {
			fmt.Fprintf(s.out, "%s: 重复文件，此前已处理，本次未收取 · duplicate: taken in before, nothing was taken now\n", f.Name)
		}
		for _, fault := range f.Faults {
			fmt.Fprintf(s.err, "%s\n", fault)
		}
		if more := f.NumFault - len(f.Faults); more > 0 {
			fmt.Fprintf(s.err, "%s: 另有 %d 处 · %d more\n", f.Name, more, more)
		}
	}
	return nil
}

// maxBeside is the size in bytes that a file beside another may have.
const maxBeside = 1 << 20

// beside reads the first of some files that is there, nil when none is.
func beside(paths ...string) ([]byte, error) {
	for _, p := range paths {
		f, err := os.Open(p)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(f, maxBeside+1))
		if err = errors.Join(err, f.Close()); err == nil && len(b) > maxBeside {
			err = fmt.Errorf("%s: 超过 %d 字节 · larger than %d bytes", p, maxBeside, maxBeside)
		}
		return b, err
	}
	return nil, nil
}

// source finds a file and what lies beside it.
func (c *offlineImportCmd) source(path string, format *offline.Format) (*offline.Source, error) {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	digest, err := beside(path+".md5", base+".md5")
	if err != nil {
		return nil, err
	}
	src := &offline.Source{Name: filepath.Base(path), Company: c.Company, Format: format, Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	if fields := strings.Fields(string(digest)); len(fields) > 0 {
		src.MD5 = fields[0]
	} else if digest != nil || strings.EqualFold(filepath.Ext(path), ".zip") && !c.NoDigest {
		return nil, fmt.Errorf("%s: 缺少摘要 %s.md5 · its digest %s.md5 is missing", src.Name, src.Name, src.Name)
	}
	if src.List, err = beside(path+".pkg", base+".pkg"); err != nil {
		return nil, err
	}
	src.Totals, err = beside(path+".al", base+".al", base+".AL")
	return src, err
}

// progress tells of a long file once a second, with the records a second since the
// stage began.
func progress(s *streams, name string, quiet bool) offline.Progress {
	var stage offline.Stage
	var since, last time.Time
	return func(now offline.Stage, done, total uint32) {
		if now != stage {
			stage, since, last = now, time.Now(), time.Now()
		}
		if quiet || time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintf(s.err, "%s: %s · %s %d/%d, %.0f 条每秒 · records/s\n", name, now.Chinese(), now, done, total, float64(done)/time.Since(since).Seconds())
	}
}

// Run lists the files.
func (c *offlineStatusCmd) Run(s *streams) (err error) {
	store, end, err := openOffline(c.Config, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	files, err := store.Files()
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(s.out, append([]*offline.File{}, files...))
	}
	printFiles(s.out, files)
	return nil
}

func printFiles(w io.Writer, files []*offline.File) {
	for _, f := range files {
		fmt.Fprintf(w, "%4d  %s  %s  %s · %s  记录 records %d  金额 sum %d.%02d", f.ID, f.At, f.Name, f.Stage.Chinese(), f.Stage, f.Records, f.Sum/100, f.Sum%100)
		for _, state := range []offline.State{offline.Verified, offline.BadTAC, offline.Refused, offline.Settled} {
			if n := f.States[string(state)]; n > 0 {
				fmt.Fprintf(w, "  %c %d", state, n)
			}
		}
		if f.NumFault > 0 {
			fmt.Fprintf(w, "  错误 faults %d", f.NumFault)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "共 · total %d\n", len(files))
}

// registered finds a file.
func registered(store *offline.Store, name string) (*offline.File, error) {
	f, err := store.Named(name)
	if err == nil && f == nil {
		err = fmt.Errorf("没有登记文件 %q · no file %q is registered", name, name)
	}
	return f, err
}

// Run writes the results and their digest. Both appear whole or not at all.
func (c *offlineResultsCmd) Run(s *streams) (err error) {
	store, end, err := openOffline(c.Config, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	f, err := registered(store, c.Name)
	if err != nil {
		return err
	}
	path := filepath.Join(c.Out, c.Name+".result.csv")
	out, err := os.CreateTemp(c.Out, ".result-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // gone already when all went well
	digest, err := store.Results(f, out)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), path); err != nil {
		return err
	}
	if err := os.WriteFile(path+".md5", []byte(digest+"  "+filepath.Base(path)+"\n"), 0o600); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s\n%s.md5\n", path, path)
	return nil
}

// offlineRecord is a record as list shows it. The card is masked.
type offlineRecord struct {
	Number  uint32 `json:"number"`
	Member  string `json:"member"`
	Line    int    `json:"line"`
	State   string `json:"state"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Card    string `json:"card"`
	CardSeq uint64 `json:"card_seq"`
	SAM     string `json:"sam"`
	SAMSeq  uint64 `json:"sam_seq"`
	Amount  uint64 `json:"amount"`
}

// masked shows the last four characters alone: where a city's numbers have their
// issuer is not the same everywhere.
func masked(card []byte) string {
	keep := min(4, len(card)/2)
	return strings.Repeat("*", len(card)-keep) + string(card[len(card)-keep:])
}

// Run lists records.
func (c *offlineListCmd) Run(s *streams) (err error) {
	if c.State != "" && !slices.Contains(strings.Split("I T U E S", " "), c.State) {
		return fmt.Errorf("状态须为 I T U E S 之一 · state %q, wanted one of I T U E S", c.State)
	}
	store, end, err := openOffline(c.Config, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	f, err := registered(store, c.Name)
	if err != nil {
		return err
	}
	shown := 0
	err = store.Each(f, func(e *offline.Entry) error {
		if c.State != "" && c.State != string(e.State) {
			return nil
		}
		if shown == c.Limit && c.Limit > 0 {
			return io.EOF
		}
		shown++
		r := offlineRecord{e.Number, e.Member, e.Line, string(e.State), string(e.Reason.Code()), e.Reason.String(), masked(e.Card), e.CardSeq, string(e.SAM), e.SAMSeq, e.Amount}
		if c.JSON {
			return json.NewEncoder(s.out).Encode(&r)
		}
		_, err := fmt.Fprintf(s.out, "%7d  %s:%d  %s %s  卡 card %s/%d  SAM %s/%d  %d.%02d  %s\n",
			r.Number, r.Member, r.Line, r.State, r.Code, r.Card, r.CardSeq, r.SAM, r.SAMSeq, r.Amount/100, r.Amount%100, r.Reason)
		return err
	})
	if err == io.EOF {
		return nil
	}
	return err
}

// Run shows what layouts there are.
func (c *offlineLayoutsCmd) Run(s *streams) error {
	switch {
	case c.Show != "":
		l, err := layout.Open(c.Show)
		if err != nil {
			return err
		}
		_, err = s.out.Write(l.Source)
		return err
	case c.Lint != "":
		l, err := layout.Open(c.Lint)
		if err != nil {
			return err
		}
		if _, err := offline.NewFormat(l); err != nil {
			return err
		}
		for _, f := range l.Lint() {
			fmt.Fprintln(s.out, f)
		}
		return nil
	}
	for _, l := range layout.Builtin() {
		fmt.Fprintf(s.out, "%-14s %s\n", l.Name, l.Title)
	}
	return nil
}
