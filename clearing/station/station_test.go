package station

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/row"
	"tongka/clearing/run"
)

const first = day.Date(20261001)

const testConfig = `
patience: 1h
pause: 1m
retries: 2
keep: 30
sources:
  - {name: bank, folder: in, wait: 10s}
kinds:
  - {name: own, sender: bank, files: "bank-{yyyymmdd}-{number}.csv"}
  - {name: bare, files: "bare*.csv"}
  - {name: signed, files: "signed-{mmdd}.csv", needs: [md5, ok]}
  - {name: city, files: "XF*.zip", to: offline, layout: dongguan}
`

// ground is a station with a clock that tests turn.
type ground struct {
	t   *testing.T
	dir string
	now time.Time
	*Station
	o Options
}

func newGround(t *testing.T, config string) *ground {
	t.Helper()
	return groundIn(t, t.TempDir(), config)
}

func groundIn(t *testing.T, dir, config string) *ground {
	t.Helper()
	g := &ground{t: t, dir: dir, now: time.Date(2026, 10, 1, 15, 0, 0, 0, time.UTC)}
	c, err := Parse("station.yaml", g.dir, []byte(config))
	g.must(err)
	g.must(os.MkdirAll(filepath.Join(g.dir, "in"), 0o700))
	g.o = Options{Dir: filepath.Join(g.dir, "station"), Config: c, Now: func() time.Time { return g.now }, By: "tester"}
	g.open()
	return g
}

func (g *ground) open() {
	g.t.Helper()
	s, err := Open(g.o)
	g.must(err)
	g.Station = s
}

func (g *ground) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// file puts one into the watched folder, as of now.
func (g *ground) file(name, text string) {
	g.t.Helper()
	p := filepath.Join(g.dir, "in", name)
	g.must(os.WriteFile(p, []byte(text), 0o600))
	g.must(os.Chtimes(p, g.now, g.now))
}

// pass looks twice, with the wait between.
func (g *ground) pass() {
	g.t.Helper()
	for range 2 {
		g.must(g.Pass(g.t.Context()))
		g.now = g.now.Add(11 * time.Second)
	}
}

// ownCSV is a file of ours with n records of 100 fen.
func ownCSV(n int) string {
	var b strings.Builder
	b.WriteString("rrn,amount\n")
	for i := range n {
		fmt.Fprintf(&b, "%012d,100\n", i+1)
	}
	fmt.Fprintf(&b, "end,%d,%d\n", n, 100*n)
	return b.String()
}

// states are those of all files, by number, with the first fault of each.
func (g *ground) states() (all []string) {
	g.t.Helper()
	l, err := g.List()
	g.must(err)
	for _, f := range l.Files {
		s := fmt.Sprintf("%s %s", f.Name, f.State)
		if len(f.Faults) > 0 {
			s += " " + f.Faults[0]
		}
		all = append(all, s)
	}
	for _, w := range l.Waiting {
		all = append(all, fmt.Sprintf("%s waits %v: %s", w.Name, w.Bad, w.Why))
	}
	for _, t := range l.Trouble {
		all = append(all, fmt.Sprintf("%s fails %d: %s", t.Place, t.Times, t.Why))
	}
	return all
}

// want holds what the station knows against beginnings of lines.
func (g *ground) want(lines ...string) {
	g.t.Helper()
	got := g.states()
	ok := len(got) == len(lines)
	for i := 0; ok && i < len(got); i++ {
		ok = strings.HasPrefix(got[i], lines[i])
	}
	if !ok {
		g.t.Fatalf("is\n  %s\nwanted\n  %s", strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

// A file goes its way, and each step is told once.
func TestWayOfAFile(t *testing.T) {
	g := newGround(t, testConfig)
	g.file("bank-20261001-01.csv", ownCSV(3))
	g.must(g.Pass(t.Context()))
	g.want("bank-20261001-01.csv waits false: 可能仍在写入")
	g.pass()
	f, err := g.Find("bank-20261001-01.csv")
	g.must(err)
	if f.State != Verified || f.Records != 3 || f.Sum != 300 || f.Date != first || f.Number != "01" || f.Sender != "bank" || len(f.SHA256) != 64 || f.Size != int64(len(ownCSV(3))) {
		t.Fatalf("%+v", f)
	}
	files, err := g.Files(first)
	g.must(err)
	if len(files) != 1 || files[0].SHA256 != f.SHA256 {
		t.Fatalf("%+v", files)
	}
	rows := 0
	sum, err := g.Rows(first, f.Name, func(*row.Row, int64) error { rows++; return nil })
	if err != nil || sum != f.SHA256 || rows != 3 {
		t.Fatalf("%d rows, %s, %v", rows, sum, err)
	}
	for _, s := range []struct {
		at   run.Step
		want State
	}{{run.Register, Verified}, {run.Intake, Stored}, {run.Intake, Stored}, {run.Clear, Stored}, {run.Close, Archived}, {run.Close, Archived}} {
		g.must(g.Took(first, s.at, files))
		if f, err = g.Find("1"); err != nil || f.State != s.want {
			t.Fatalf("after %s: %+v, %v", s.at, f, err)
		}
	}
	if len(f.History) != 5 {
		t.Errorf("%+v", f.History)
	}
	if _, err := os.Stat(filepath.Join(g.dir, "station/archive/20261001/bank-20261001-01.csv")); err != nil {
		t.Error(err)
	}
	g.pass() // it still lies in the source
	g.want("bank-20261001-01.csv archived")
	g.file("bank-20261001-02.csv", ownCSV(4))
	g.pass()
	g.want("bank-20261001-01.csv archived", "bank-20261001-02.csv quarantined bank-20261001-02.csv: 20261001 已关闭")
	f, err = g.Retry(t.Context(), Order{What: "2", Date: 20261002, Why: "late"})
	if err != nil || f.State != Verified || f.Date != 20261002 {
		t.Fatalf("%+v, %v", f, err)
	}
}

// The run begins a day again without a file: it is verified as before.
func TestTookWithout(t *testing.T) {
	g := newGround(t, testConfig)
	g.file("bank-20261001-01.csv", ownCSV(3))
	g.pass()
	files, err := g.Files(first)
	g.must(err)
	g.must(g.Took(first, run.Intake, files))
	g.want("bank-20261001-01.csv stored")
	g.must(g.Took(first, run.Intake, nil))
	g.want("bank-20261001-01.csv verified")
}

func TestDuplicates(t *testing.T) {
	g := newGround(t, testConfig)
	g.file("bank-20261001-01.csv", ownCSV(3))
	g.pass()
	g.file("bank-20261001-01.csv", ownCSV(4)) // the same name, other bytes
	g.file("bare.csv", ownCSV(3))             // the same bytes, another name
	g.file("bank-20261001-1.csv", ownCSV(5))  // another way to write the number: another name
	g.pass()
	g.want("bank-20261001-01.csv verified",
		"bank-20261001-01.csv refused bank-20261001-01.csv: 同名文件已登记为 1 号，内容不同 · file 1 has this name",
		"bank-20261001-1.csv quarantined bank-20261001-1.csv: 20261001 的编号 1 已被 1 号文件",
		"bare.csv refused bare.csv: 内容与 1 号文件 bank-20261001-01.csv 相同")
	g.pass()
	g.pass()
	if l, err := g.List(); err != nil || len(l.Files) != 4 {
		t.Errorf("refused once and again: %d files, %v", len(l.Files), err)
	}
	g.file("bank-20261001-01.csv", ownCSV(3)) // what it was
	g.pass()
	if l, err := g.List(); err != nil || len(l.Files) != 4 {
		t.Errorf("%d files, %v", len(l.Files), err)
	}
}

// A record of a merchant that nobody knows sets its file aside, with its line.
func TestUnknownMerchant(t *testing.T) {
	g := newGround(t, testConfig)
	g.must(os.WriteFile(filepath.Join(g.dir, "terminals.csv"), []byte("terminal,merchant\n1,104\n2,105\n"), 0o600))
	c, err := Parse("station.yaml", g.dir, []byte(strings.Replace(testConfig, `{name: bare,`, `{name: bare, merchants: terminals.csv,`, 1)))
	g.must(err)
	g.o.Config = c
	g.open()
	g.file("bare1.csv", "rrn,amount,merchant\n1,5,104\n2,5,\nend,2,10\n")
	g.file("bare2.csv", "rrn,amount,merchant\n1,5,104\n2,5,106\nend,2,10\n")
	g.pass()
	g.want("bare1.csv verified", "bare2.csv quarantined bare2.csv:3:1: 未知商户 106")
	for text, want := range map[string]string{"terminal\n1\n": "没有 merchant 列", "merchant\n\"x": "station.yaml:"} {
		g.must(os.WriteFile(filepath.Join(g.dir, "terminals.csv"), []byte(text), 0o600))
		if _, err := Parse("station.yaml", g.dir, []byte("kinds: [{name: a, files: x, merchants: terminals.csv}]")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Days without business look alike: they are no duplicates.
func TestEmptyDays(t *testing.T) {
	g := newGround(t, testConfig)
	for _, name := range []string{"bank-20260929-1.csv", "bank-20260930-1.csv", "bank-20261001-1.csv"} {
		g.file(name, ownCSV(0))
	}
	g.pass()
	g.want("bank-20260929-1.csv verified", "bank-20260930-1.csv verified", "bank-20261001-1.csv verified")
	for _, d := range []day.Date{20260929, 20260930, first} {
		files, err := g.Files(d)
		g.must(err)
		if len(files) != 1 || !files[0].Empty {
			t.Fatalf("%+v", files)
		}
		g.must(g.Took(d, run.Intake, files))
		g.must(g.Took(d, run.Close, files))
	}
	g.pass()
	g.want("bank-20260929-1.csv archived", "bank-20260930-1.csv archived", "bank-20261001-1.csv archived")
}

// What grows, has no end, or lacks what has to lie beside it, waits; not for ever.
func TestPartialFilesWait(t *testing.T) {
	g := newGround(t, testConfig)
	whole := ownCSV(3)
	g.file("bank-20261001-01.csv", whole[:20])
	g.file("signed-1001.csv", ownCSV(2))
	g.file("bank-20261001-02.csv.part", ownCSV(2))
	g.pass()
	g.want("bank-20261001-01.csv waits false: 没有结束", "signed-1001.csv waits false: 缺少旁边的 .md5")
	g.pass()
	g.file("bank-20261001-01.csv", whole)
	g.file("signed-1001.csv.md5", "0123 signed-1001.csv\n")
	g.file("signed-1001.ok", "")
	g.pass()
	g.want("signed-1001.csv quarantined signed-1001.csv.md5:1:1: 摘要不符", "bank-20261001-01.csv verified")

	g.file("bank-20261001-03.csv", ownCSV(7)[:30])
	g.file("stranger.txt", "x")
	g.pass()
	g.want("signed-1001.csv quarantined", "bank-20261001-01.csv verified", "bank-20261001-03.csv waits false", "stranger.txt waits true: kinds 中没有此文件名")
	g.now = g.now.Add(2 * time.Hour)
	g.pass()
	g.want("signed-1001.csv quarantined", "bank-20261001-01.csv verified", "bank-20261001-03.csv quarantined bank-20261001-03.csv:3:1: 最后一行没有换行", "stranger.txt waits true")
	g.must(os.Remove(filepath.Join(g.dir, "in/stranger.txt")))
	g.file("bank-20261001-03.csv", ownCSV(7)) // the name of what was set aside is free
	g.pass()
	g.want("signed-1001.csv quarantined", "bank-20261001-01.csv verified", "bank-20261001-03.csv quarantined", "bank-20261001-03.csv verified")
}

// Each bad file is named with its place; none keeps the others out.
func TestBadFiles(t *testing.T) {
	g := newGround(t, testConfig)
	for name, text := range map[string]string{
		"bank-20261001-01.csv": strings.Replace(ownCSV(3), "end,3", "end,4", 1),
		"bank-20261001-02.csv": strings.Replace(ownCSV(3), ",300", ",301", 1),
		"bank-20261001-03.csv": "rrn,amount\n1,x\n2,y\nend,2,0\n",
		"bank-20261001-04.csv": "rrn,amount\n" + strings.Repeat("9", 1<<20) + "\nend,0,0\n",
		"bank-20261001-05.csv": ownCSV(5),
		"bank-20261301-01.csv": ownCSV(6),
		"bank-20271001-01.csv": ownCSV(7),
	} {
		g.file(name, text)
	}
	g.pass()
	g.want("bank-20261001-01.csv quarantined bank-20261001-01.csv:5:5: 笔数 4", "bank-20261001-02.csv quarantined bank-20261001-02.csv:5:7: 金额 301",
		"bank-20261001-03.csv quarantined bank-20261001-03.csv:2:3: amount", "bank-20261001-04.csv quarantined bank-20261001-04.csv:2:1: 一行超过",
		"bank-20261001-05.csv verified", "bank-20261301-01.csv quarantined bank-20261301-01.csv: 文件名中的日期有误", "bank-20271001-01.csv quarantined bank-20271001-01.csv: 日期 20271001 在未来")
	unready, err := g.Unready(first)
	if err != nil || len(unready) != 5 { // one without a date is of the day on which it came
		t.Errorf("%+v, %v", unready, err)
	}
	if f, err := g.Reject(Order{What: "3", Why: "rubbish"}); err != nil || f.State != Rejected || f.History[len(f.History)-1].By != "tester" {
		t.Errorf("%+v, %v", f, err)
	}
	for _, o := range []Order{{What: "3"}, {What: "99"}, {What: "nobody.csv"}} {
		if _, err := g.Retry(t.Context(), o); err == nil {
			t.Errorf("%+v is tried again", o)
		}
	}
	if _, err := g.Reject(Order{What: "3"}); err == nil {
		t.Error("rejected twice")
	}
}

func TestImport(t *testing.T) {
	g := newGround(t, testConfig)
	g.file("bare.csv", ownCSV(2))
	g.file("half.csv", "rrn,amount\n")
	in := filepath.Join(g.dir, "in")
	f, err := g.Import(t.Context(), in, "bare.csv", "", 20260930)
	if err != nil || f.State != Verified || f.Date != 20260930 || f.Source != "" {
		t.Fatalf("%+v, %v", f, err)
	}
	if f, err = g.Import(t.Context(), in, "bare.csv", "bare", 0); err != nil || f.ID != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	for name, kind := range map[string]string{"half.csv": "", "bare.csv": "own", "none.csv": "bare", "signed-1001.csv": "signed"} {
		if f, err := g.Import(t.Context(), in, name, kind, 0); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// Files for the other store go there, as often as it takes.
func TestOfflineDesk(t *testing.T) {
	g := newGround(t, testConfig)
	answers := []struct {
		OfflineResult
		error
	}{{error: errors.New("no module answers")}, {OfflineResult: OfflineResult{Records: 5, Sum: 7}}, {OfflineResult: OfflineResult{Records: 5, Sum: 7, Done: true}},
		{OfflineResult: OfflineResult{Faults: []string{"XF2.zip:1:1: bad"}}}}
	asked := 0
	g.o.Offline = func(_ context.Context, f *OfflineFile) (OfflineResult, error) {
		if _, err := os.Stat(f.Path); err != nil || f.Layout != "dongguan" || string(f.List) != "1,1\n" && f.Name == "XF1.zip" {
			t.Errorf("%+v, %v", f, err)
		}
		a := answers[asked]
		asked++
		return a.OfflineResult, a.error
	}
	g.open()
	g.file("XF1.zip", "zip")
	g.file("XF1.pkg", "1,1\n")
	g.pass()
	g.want("XF1.zip verified no module answers")
	g.now = g.now.Add(2 * time.Minute)
	g.must(g.Pass(t.Context()))
	g.want("XF1.zip stored")
	g.must(g.Pass(t.Context()))
	g.want("XF1.zip cleared")
	g.must(g.Pass(t.Context()))
	g.want("XF1.zip archived")
	g.file("XF2.zip", "other")
	g.pass()
	g.want("XF1.zip archived", "XF2.zip quarantined XF2.zip:1:1: bad")
}

// A source that cannot be reached is told, left alone for a while, and comes back.
func TestTrouble(t *testing.T) {
	g := newGround(t, testConfig)
	in := filepath.Join(g.dir, "in")
	g.must(os.Rename(in, in+"2"))
	g.must(g.Pass(t.Context()))
	g.want("bank fails 1: ")
	g.must(g.Pass(t.Context()))
	g.want("bank fails 1: ")
	g.now = g.now.Add(61 * time.Second)
	g.must(g.Pass(t.Context()))
	g.want("bank fails 2: ")
	g.must(os.Rename(in+"2", in))
	g.now = g.now.Add(3 * time.Minute)
	g.must(g.Pass(t.Context()))
	g.want()
}

// What could not be read is tried again, a few times.
func TestRetries(t *testing.T) {
	g := newGround(t, testConfig)
	g.file("bank-20261001-01.csv", ownCSV(3))
	g.o.Step = func(name string) error {
		if name == "received" {
			return errors.New("killed")
		}
		return nil
	}
	g.open()
	for range 2 {
		_ = g.Pass(t.Context())
		g.now = g.now.Add(time.Minute)
	}
	g.o.Step = nil
	g.open()
	f, err := g.Find("1")
	g.must(err)
	g.must(os.Rename(g.path("spool", f.stem()), g.path("spool", "away")))
	for i := range 4 {
		g.must(g.Pass(t.Context()))
		if f, err = g.Find("1"); err != nil || f.State != Failed || f.Tries != min(i+1, 3) {
			t.Fatalf("%d: %+v, %v", i, f, err)
		}
		g.now = g.now.Add(time.Hour)
	}
	g.must(os.Rename(g.path("spool", "away"), g.path("spool", f.stem())))
	if f, err = g.Retry(t.Context(), Order{What: "1"}); err != nil || f.State != Verified {
		t.Errorf("%+v, %v", f, err)
	}
}
