package run

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/rules"
	"tongka/journal"
	"tongka/txn"
)

// TestMain lets the test binary be a run that kills itself, as a power cut would,
// at the place that its environment names.
func TestMain(m *testing.M) {
	if os.Getenv("CLEARING_DIE") != "" {
		os.Exit(runAndDie())
	}
	os.Exit(m.Run())
}

// runAndDie runs a date of a ground and dies at the nth progress of a step and
// phase: "step phase n".
func runAndDie() int {
	var step, phase, n int
	if _, err := fmt.Sscan(os.Getenv("CLEARING_DIE"), &step, &phase, &n); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	d, _ := strconv.Atoi(os.Getenv("CLEARING_DATE"))
	o, err := optionsOf(os.Getenv("CLEARING_DIR"), day.Date(d))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	o.Heed = func(p Progress) {
		if int(p.Step) == step && int(p.Phase) == phase {
			if n--; n < 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}
	if _, err := Run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

const testRules = `match: [{by: [rrn]}, {by: [stan, sent, amount]}]
cut: "23:00"
offline: [{company: "C*", merchant: "10411004511{terminal}"}]
files: [{name: "bank-*.csv", link: 0, required: true}]
fees:
  - {name: all, payer: merchant, tiers: [{rate: 0.38%, max: 2000}], shares: [{to: issuer, part: 70%}], remainder: acquirer, returned: true}
settle:
  - {of: merchant, days: 1, least: 100}
  - {of: issuer, days: 1, collect: true}
`

// first is the first of the days that the ground plays.
const first = day.Date(20261001)

var zone = time.FixedZone("UTC+8", 8*3600)

// ground is a folder with a journal of days and their files.
type ground struct {
	t   *testing.T
	dir string
	log *journal.Log
	id  txn.ID
	at  int64
	csv map[day.Date][]string // records of their files
}

func newGround(t *testing.T) *ground {
	t.Helper()
	g := &ground{t: t, dir: t.TempDir(), id: 1000, csv: map[day.Date][]string{}}
	log, err := journal.Open(journal.Options{Dir: filepath.Join(g.dir, "journal"), Key: [32]byte{1}, NoWarm: true})
	if err != nil {
		t.Fatal(err)
	}
	g.log = log
	g.write("rules.yaml", testRules)
	return g
}

func (g *ground) write(name, text string) {
	g.t.Helper()
	p := filepath.Join(g.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *ground) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// record puts one into the journal at a moment.
func (g *ground) record(at time.Time, r *journal.Record) {
	if moment := at.Truncate(time.Second).UnixNano(); moment != g.at { // a turn of the shard
		g.must(g.log.Commit())
		g.at = moment
		g.log.Stamp(g.at)
	}
	g.log.Append(r)
}

// sale is one of ours at a moment; result and amount as given.
func (g *ground) sale(at time.Time, kind txn.Kind, fen int64, result txn.Result) *txn.Facts {
	g.id++
	f := txn.Facts{ID: g.id, Kind: kind, Amount: fen, Result: result, At: at.UnixNano(), Sent: at.UnixNano()}
	copy(f.Terminal.Merchant[:], fmt.Sprintf("10411004511%04d", g.id%3))
	copy(f.Terminal.Number[:], "00000001")
	g.record(at, &journal.Record{Kind: journal.Outcome, Facts: f})
	return &f
}

// theirs is a line of their file for a transaction of ours.
func (g *ground) theirs(d day.Date, f *txn.Facts, fen int64) {
	at := time.Unix(0, f.At).In(zone)
	g.csv[d] = append(g.csv[d], fmt.Sprintf("%03d%09d,%06d,%s,%d,%s", at.YearDay(), f.ID%1_000_000_000, f.ID.STAN(), at.Format("0102150405"), fen, f.Kind))
}

// both is a sale on which both sides agree.
func (g *ground) both(at time.Time, d day.Date, kind txn.Kind, fen int64) {
	g.theirs(d, g.sale(at, kind, fen, txn.Approved), fen)
}

// file writes their file of a day.
func (g *ground) file(d day.Date) {
	var sum int64
	for _, l := range g.csv[d] {
		n, _ := strconv.ParseInt(strings.Split(l, ",")[3], 10, 64)
		sum += n
	}
	g.write(fmt.Sprintf("in/%s/bank-%s.csv", d, d), fmt.Sprintf("rrn,stan,sent,amount,kind\n%s\nend,%d,%d\n", strings.Join(g.csv[d], "\n"), len(g.csv[d]), sum))
}

// tills is a folder with files of what was paid offline: a line has company, terminal,
// SAM, fen, and load or pay. What is settled has another name beside it.
type tills string

// Files implements Purses.
func (t tills) Files() (all []PurseFile, err error) {
	names, err := filepath.Glob(filepath.Join(string(t), "*.csv"))
	for _, n := range names {
		if _, err := os.Stat(n + ".settled"); err == nil {
			continue
		}
		size, sum, err := digest(n)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(n)
		if err != nil {
			return nil, err
		}
		all = append(all, PurseFile{FileInfo{Name: filepath.Base(n), Size: size, SHA256: sum}, uint32(strings.Count(string(text), "\n"))})
	}
	return all, err
}

// Records implements Purses.
func (t tills) Records(name string, add func(*PurseRecord) error) error {
	text, err := os.ReadFile(filepath.Join(string(t), name))
	if err != nil {
		return err
	}
	for i, l := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		f := strings.Split(l, ",")
		p := PurseRecord{Company: f[0], Terminal: f[1], SAM: f[2], Place: fmt.Sprint(i + 1)}
		p.Row.ID, p.Row.Kind = uint64(i+1), txn.OfflineSale
		if f[4] == "load" {
			p.Row.Kind = txn.LoadCash
		}
		if p.Row.Amount, err = strconv.ParseInt(f[3], 10, 64); err == nil {
			err = add(&p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Settled implements Purses.
func (t tills) Settled(names []string) error {
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(string(t), n+".settled"), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the writing of the journal.
func (g *ground) stop() { g.must(errors.Join(g.log.Commit(), g.log.Close())) }

// optionsOf are for a ground's folder.
func optionsOf(dir string, d day.Date) (Options, error) {
	text, err := os.ReadFile(filepath.Join(dir, "rules.yaml"))
	if err != nil {
		return Options{}, err
	}
	r, err := rules.Parse("rules.yaml", text, []string{"bank"})
	if err != nil {
		return Options{}, err
	}
	all, err := ParseSteps("")
	return Options{Dir: filepath.Join(dir, "clearing"), Date: d, Rules: r, Inbox: Folder{filepath.Join(dir, "in"), zone}, Links: []string{"bank"}, Steps: all,
		Memory: 1, AsOf: 1 << 62, Purses: tills(filepath.Join(dir, "tills")),
		Journal: func() (Journal, error) {
			return journal.OpenReadOnly(journal.Options{Dir: filepath.Join(dir, "journal"), Key: [32]byte{1}})
		}}, err
}

func (g *ground) run(d day.Date, change func(*Options)) (*Summary, error) {
	g.t.Helper()
	o, err := optionsOf(g.dir, d)
	g.must(err)
	if change != nil {
		change(&o)
	}
	return Run(context.Background(), o)
}

// clear runs a day that has to go well.
func (g *ground) clear(d day.Date) *Report {
	g.t.Helper()
	s, err := g.run(d, nil)
	if err != nil || !s.Closed || !s.Report.Balanced || s.Report.Counts.Unbalanced != 0 || s.Report.sumNet() != 0 {
		g.t.Fatalf("%s: %+v, %v", d, s, err)
	}
	return s.Report
}

// die runs a day in a process that kills itself at a place; false when it got past.
func (g *ground) die(d day.Date, s Step, p Phase, n int) bool {
	g.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), fmt.Sprintf("CLEARING_DIE=%d %d %d", s, p, n), "CLEARING_DIR="+g.dir, fmt.Sprintf("CLEARING_DATE=%d", d))
	out, err := c.CombinedOutput()
	if err == nil {
		return false
	}
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		g.t.Fatalf("%s %s %d: %v\n%s", s, d, p, err, out)
	}
	return true
}

// digests are of every file below a folder.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		sum := sha256.Sum256(b)
		name, _ := filepath.Rel(dir, p)
		all[name] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
