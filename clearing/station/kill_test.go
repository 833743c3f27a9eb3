package station

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
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

	"tongka/clearing/run"
)

var killStep = flag.Int("station.kill-step", 16, "TestKilledAnywhere dies at every n-th step; 1: at each")

// TestMain lets the test binary be a station that kills itself, as a power cut would,
// at the step that its environment names.
func TestMain(m *testing.M) {
	if dir := os.Getenv("STATION_DIR"); dir != "" {
		die, err := strconv.Atoi(os.Getenv("STATION_DIE"))
		if err == nil {
			_, err = (&life{dir: dir, die: die}).live()
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) // it should not have come here
	}
	os.Exit(m.Run())
}

// lifeConfig has every way that a file may go, and every way out.
const lifeConfig = testConfig + `
send:
  - {name: merchants, per: merchant, files: "M_{merchant}_{yyyymmdd}.csv", to: {folder: out}, acks: "yes"}
  - {name: black, per: file, from: black.csv, files: "BL_{yyyymmdd}.csv", to: {folder: out}}
`

// life is what people and clocks have a station do over two months. It can be taken up
// again where it ended: a person gives the order again that was cut short.
type life struct {
	dir   string
	die   int // at this step; 0: not
	steps int
	now   time.Time
	s     *Station
}

// live does what is not done. steps is how many places there were to die at.
func (l *life) live() (steps int, err error) {
	c, err := Parse("station.yaml", l.dir, []byte(lifeConfig))
	if err != nil {
		return 0, err
	}
	l.s, err = Open(Options{Dir: filepath.Join(l.dir, "station"), Config: c, By: "tester", Now: func() time.Time { return l.now }, Audit: l.audit, Step: l.step})
	if err != nil {
		return 0, err
	}
	done := filepath.Join(l.dir, "stage")
	from := 0
	if b, err := os.ReadFile(done); err == nil {
		from, _ = strconv.Atoi(string(b))
	}
	for i, stage := range l.stages() {
		l.now = time.Date(2026, 10, 1, 15, i, 0, 0, time.UTC)
		if i >= 12 {
			l.now = l.now.AddDate(0, 0, 60)
		}
		if i < from {
			continue
		}
		if err := stage(); err != nil {
			return l.steps, fmt.Errorf("stage %d: %w", i, err)
		}
		if err := os.WriteFile(done, []byte(strconv.Itoa(i+1)), 0o600); err != nil {
			return l.steps, err
		}
	}
	return l.steps, nil
}

func (l *life) step(string) error {
	if l.steps++; l.steps == l.die {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	return nil
}

// audit keeps lines; one may stand twice when the order was given twice.
func (l *life) audit(a Act) error {
	name := filepath.Join(l.dir, "audit")
	line := fmt.Sprintf("%s %s\n", a.Do, a.What)
	b, err := os.ReadFile(name)
	if err == nil && strings.Contains(string(b), line) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.WriteFile(name, append(b, line...), 0o600), l.step("audited"))
}

func (l *life) stages() []func() error {
	pass := func() error { return l.s.Pass(context.Background()) }
	// An order that was carried out before its giver heard of it is refused the second time.
	twice := func(err error) error {
		if err != nil && strings.Contains(err.Error(), "处于") {
			return nil
		}
		return err
	}
	took := func(at run.Step) func() error {
		return func() error {
			files, err := l.s.Files(first)
			return errors.Join(err, l.s.Took(first, at, files))
		}
	}
	send := func(again bool) func() error {
		return func() error {
			_, err := l.s.Send(context.Background(), SendOrder{Date: first, Run: filepath.Join(l.dir, "run"), Again: again})
			return err
		}
	}
	purge := func() error { _, err := l.s.Purge(); return err }
	return []func() error{
		pass, pass,
		func() error {
			_, err := l.s.Retry(context.Background(), Order{What: "bank-20261001-02.csv", Date: 20261002, Why: "again"})
			return twice(err)
		},
		func() error {
			_, err := l.s.Reject(Order{What: "bank-20261001-03.csv", Why: "rubbish"})
			return twice(err)
		},
		func() error {
			_, err := l.s.Import(context.Background(), filepath.Join(l.dir, "hand"), "bare1.csv", "", 0)
			return err
		},
		took(run.Intake), took(run.Close), send(false),
		func() error {
			_, err := l.s.Ack(first, "M_104110000000001_20261001.csv")
			return err
		},
		pass, pass, pass,
		purge, purge, send(true), purge, pass,
	}
}

// inMemory is a folder that no power cut is needed for: who kills a process need not
// wait for a disk.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "station")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// begin makes the ground that a life starts on.
func begin(t *testing.T) *life {
	t.Helper()
	g := groundIn(t, inMemory(t), lifeConfig)
	g.must(errors.Join(os.MkdirAll(filepath.Join(g.dir, "out"), 0o700), os.MkdirAll(filepath.Join(g.dir, "hand"), 0o700),
		os.WriteFile(filepath.Join(g.dir, "black.csv"), []byte("x\n"), 0o600), os.WriteFile(filepath.Join(g.dir, "hand/bare1.csv"), []byte(ownCSV(7)), 0o600)))
	g.closedDay("104110000000001")
	g.file("bank-20261001-01.csv", ownCSV(3))
	g.file("bank-20261001-02.csv", "rrn,amount\n1,x\nend,1,1\n")
	g.file("bank-20261001-03.csv", "rrn,amount\n1,y\nend,1,1\n")
	g.file("bare.csv", ownCSV(3))
	return &life{dir: g.dir}
}

// picture is all that a station and those around it have in the end.
func (l *life) picture(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	list, err := l.s.List()
	if err != nil {
		t.Fatal(err)
	}
	sent, err := l.s.SentOf(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list.Files {
		// An order given twice, and a pass that had to take a file up again, are told as they were.
		f.History = nil
	}
	for _, x := range sent {
		x.Times, x.At = min(x.Times, 1), "" // put twice is there once
	}
	if err := errors.Join(json.NewEncoder(&b).Encode(list), json.NewEncoder(&b).Encode(sent)); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(l.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(p, "station/state") {
			return err
		}
		text, err := os.ReadFile(p)
		fmt.Fprintf(&b, "%s %q\n", strings.TrimPrefix(p, l.dir), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Killed at any of its steps and set to work again, a station comes to the same: the
// same files in the same states, the same bytes in the same places, the same lines in
// the audit, and nothing left over.
func TestKilledAnywhere(t *testing.T) {
	whole := begin(t)
	steps, err := whole.live()
	if err != nil {
		t.Fatal(err)
	}
	want := whole.picture(t)
	for _, says := range []string{`"archived"`, `"purged":true`, "files-retry 2 bank", "files-reject 3 bank", "files-import 5 bare1.csv", "files-ack", "files-resend", "files-purge"} {
		if !strings.Contains(want, says) {
			t.Fatalf("the life has no %s:\n%s", says, want)
		}
	}
	for die := 1; die <= steps; die += *killStep {
		l := begin(t)
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "STATION_DIR="+l.dir, fmt.Sprintf("STATION_DIE=%d", die))
		out, err := c.CombinedOutput()
		if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v\n%s", die, err, out)
		}
		if _, err := l.live(); err != nil {
			t.Fatalf("killed at step %d: %v", die, err)
		}
		if got := l.picture(t); got != want {
			t.Errorf("killed at step %d:\n got %s\nwant %s", die, got, want)
		}
	}
}
