package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tongka/admin"
	"tongka/config"
	"tongka/sim"
	"tongka/sim/drill"
)

// ctl runs `switch ctl …` on the ground's switch.
func (g *ground) ctl(args ...string) result {
	return call("", append(append([]string{"ctl"}, args...), "-c", g.file)...)
}

func (g *ground) mustCtl(args ...string) result {
	g.t.Helper()
	r := g.ctl(args...)
	if r.code != 0 {
		g.t.Fatalf("ctl %v: %v\n%s", args, r, g.log())
	}
	return r
}

// log is the end of the switch's log, for failures.
func (g *ground) log() string {
	b, _ := os.ReadFile(filepath.Join(filepath.Dir(g.file), "switch.log"))
	return string(b[max(0, len(b)-4000):])
}

func (g *ground) client() *admin.Client {
	g.t.Helper()
	cfg, err := config.Load(g.file)
	if err != nil {
		g.t.Fatal(err)
	}
	return admin.NewClient(cfg.Admin.Socket)
}

// status asks the switch, which has five seconds.
func (g *ground) status() (admin.Status, error) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // its tests end by killing it, when their own context is over
	defer cancel()
	return g.client().Status(ctx)
}

// up waits until the switch answers and its bank is up.
func (g *ground) up() (st admin.Status) {
	g.t.Helper()
	g.until("the switch runs", func() bool {
		var err error
		st, err = g.status()
		return err == nil && st.State == "running"
	})
	return st
}

// killLast ends whatever process runs the switch at the end of a test.
func (g *ground) killLast() {
	st, err := g.status()
	if err == nil && st.PID != 0 && st.PID != os.Getpid() {
		_ = syscall.Kill(st.PID, syscall.SIGKILL)
	}
	_ = g.child.Process.Kill()
}

// agree lets the fleet finish and compares both sides' books.
func (g *ground) agree() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := g.fleet.Settle(ctx); err != nil {
		g.t.Fatal(err)
	}
	g.nothingOwed()
	verdict := sim.Compare(g.fleet.Sales(), g.bank.Bookings())
	g.t.Logf("%s", verdict.String())
	if !verdict.OK() || verdict.Unresolved != 0 {
		g.t.Error("the books differ")
	}
}

func (g *ground) selling() {
	g.t.Helper()
	before := g.fleet.Stats().Approved
	g.until("sales go on", func() bool { return g.fleet.Stats().Approved > before+100 })
}

func (g *ground) edit(old, new string) {
	g.t.Helper()
	b, err := os.ReadFile(g.file)
	if err != nil {
		g.t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		g.t.Fatalf("the config does not hold %q", old)
	}
	if err := os.WriteFile(g.file, []byte(strings.Replace(string(b), old, new, 1)), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// TestStopUnderLoad stops the process in order, again and again, while terminals
// sell and the bank takes its time: nothing is lost or doubled, and it
// ends within its deadline with code 0.
func TestStopUnderLoad(t *testing.T) {
	g := newGround(t)
	g.edit("limits:", "stop: {deadline: 700ms}\nlimits:")
	// Some answers would come after the deadline of the stop.
	if err := g.bank.Behave(sim.Behaviour{DelayJitter: 950 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		g.selling()
		switch i {
		case 0:
			g.mustCtl("stop")
		default:
			if err := g.child.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.child.Wait(); err != nil {
			t.Fatalf("it ended with %v\n%s", err, g.log())
		}
		g.start()
		g.up()
	}
	if err := g.bank.Behave(sim.Behaviour{}); err != nil {
		t.Fatal(err)
	}
	g.selling()
	g.agree()
	if strings.Contains(g.log(), `"open":`) && !strings.Contains(g.log(), `"open":0`) {
		t.Errorf("a stop left something open:\n%s", g.log())
	}
}

// TestSecondSignalEndsAtOnce: who is in a hurry need not wait for the deadline.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	g := newGround(t)
	g.edit("limits:", "stop: {deadline: 10m}\nlimits:")
	if err := g.bank.Behave(sim.Behaviour{Silent: true}); err != nil {
		t.Fatal(err)
	}
	g.edit("answer_timeout: 1s,", "answer_timeout: 10m,")
	g.start()
	t.Cleanup(g.killLast)
	g.up()
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.until("something is in flight", func() bool {
		n, ok := drill.Owed(g.console, time.Time{})
		return ok && n > 0
	})
	for range 2 {
		if err := g.child.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		c := g.client() // the first has been heard when it says that it stops
		g.until("the signal is heard", func() bool {
			a, err := c.Act(context.Background(), admin.Action{Verb: admin.LogLevel, What: "info"})
			return err != nil || !a.OK
		})
	}
	var exit *exec.ExitError
	if err := g.child.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended with %v, want the signal", err)
	}
}

// TestReloadOfARunningSwitch changes the file under load, rightly and wrongly.
func TestReloadOfARunningSwitch(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	first := g.up()
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.selling()
	if r := g.mustCtl("reload"); !strings.Contains(r.out, "has not changed") {
		t.Error(r)
	}
	g.edit("answer_timeout: 1s,", "answer_timeout: 2s,")
	g.edit("log: {", "log: {level: debug, ")
	if r := g.mustCtl("reload", "--dry"); !strings.Contains(r.out, "would be 2 changes") || !strings.Contains(r.out, "links[bank].answer_timeout: 1s → 2s") {
		t.Error(r)
	}
	if g.up().Level != "info" {
		t.Error("a dry run has changed something")
	}
	if err := g.child.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	g.until("the signal is heard", func() bool { return g.up().Level == "debug" })
	if log := g.log(); strings.Contains(log, "awake") {
		t.Error("so few sales keep processors awake")
	}
	g.edit("limits:", "processors: {awake_above: 1}\nlimits:")
	g.mustCtl("reload")
	g.until("processors are kept awake, where the machine lets us", func() bool {
		return strings.Contains(g.log(), `"kept_awake":true`) || strings.Contains(g.log(), "cannot be kept awake")
	})
	door := heldPort(t)
	g.edit("listeners: [", `listeners: [{name: second, address: "`+door+`"}, `)
	if r := g.mustCtl("reload"); !strings.Contains(r.out, "listeners 1 added") || !strings.Contains(r.out, "0 sessions cut") {
		t.Error(r)
	}
	c, err := net.Dial("tcp", door)
	if err != nil {
		t.Error("the new door:", err)
	} else {
		c.Close()
	}
	for what, faults := range map[string][2]string{
		"max_terminals": {"registry: {", "registry: {max_terminals: 5, "},
		"unknown key":   {"registry: {", "registry: {imprt: x, "},
		"in_flight":     {"in_flight: 1024", "in_flight: 2048"},
		"no link":       {"routes: [{link: bank}]", "routes: [{link: bink}]"},
		"second":        {door, g.fleetDoor()}, // the address of the other door
	} {
		g.edit(faults[0], faults[1])
		r := g.ctl("reload")
		if r.code != 1 || !strings.Contains(r.err, faults[1][:4]) && !strings.Contains(r.err, what) {
			t.Errorf("%s: %v", what, r)
		}
		g.edit(faults[1], faults[0])
	}
	g.selling()
	if st := g.up(); st.PID != first.PID || st.Reloaded == nil {
		t.Errorf("%+v", st)
	}
	if r := g.mustCtl("drain", "bank"); !strings.Contains(r.out, "drains") {
		t.Error(r)
	}
	g.until("the bank is out of service", func() bool {
		s, err := g.status()
		return err == nil && s.Links[0].State == "down"
	})
	if r := g.mustCtl("status"); !strings.Contains(r.out, "link bank: down（停用 · out of service）") {
		t.Error(r)
	}
	g.mustCtl("undrain", "bank")
	g.up()
	g.selling()
	if r := g.ctl("drain", "bonk"); r.code != 1 || !strings.Contains(r.err, "bonk") {
		t.Error(r)
	}
	if r := g.mustCtl("batches"); r.out != strings.Join(batchColumns, ",")+"\n" {
		t.Errorf("no batch was settled, and yet: %s", r.out)
	}
	g.mustCtl("log-level", "warn")
	if r := g.mustCtl("status"); !strings.Contains(r.out, "log warn") || !strings.Contains(r.out, "second") {
		t.Error(r)
	}
	g.auditHolds(8, "reload")
	g.agree()
}

func (g *ground) fleetDoor() string {
	b, _ := os.ReadFile(g.file)
	_, rest, _ := strings.Cut(string(b), `{name: pos, address: "`)
	addr, _, _ := strings.Cut(rest, `"`)
	return addr
}

// auditHolds checks the chain of the running switch, and that a line that is
// taken out is found.
func (g *ground) auditHolds(least int, verb string) {
	g.t.Helper()
	var v chain
	r := g.mustCtl("audit", "verify", "--json")
	if err := json.Unmarshal([]byte(r.out), &v); err != nil || !v.OK || !v.Against || v.Lines < uint64(least) {
		g.t.Errorf("%v: %+v", err, v)
	}
	cfg, err := config.Load(g.file)
	if err != nil {
		g.t.Fatal(err)
	}
	b, err := os.ReadFile(cfg.AuditFile())
	if err != nil {
		g.t.Fatal(err)
	}
	at := strings.LastIndex(strings.TrimSuffix(string(b), "\n"), "\n") + 1
	if err := os.WriteFile(cfg.AuditFile(), b[:at], 0o600); err != nil {
		g.t.Fatal(err)
	}
	if r := g.ctl("audit", "verify"); r.code != 1 || !strings.Contains(r.err, "1 lines are missing") {
		g.t.Errorf("a cut file: %v", r)
	}
	if err := os.WriteFile(cfg.AuditFile(), b, 0o600); err != nil {
		g.t.Fatal(err)
	}
	if r := g.mustCtl("audit", "show"); strings.Count(r.out, "\n") < least || !strings.Contains(r.out, verb) {
		g.t.Error(r)
	}
}

// TestHotRestart hands the ports over again and again while a thousand callers a
// second connect and terminals sell: nobody is refused, nothing is lost.
func TestHotRestart(t *testing.T) {
	const restarts, perSecond = 5, 1000
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	pid := g.up().PID
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.selling()
	callers := startCallers(g.fleetDoor(), perSecond)
	for i := range restarts {
		switch i {
		case 0:
			if err := g.child.Process.Signal(syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			if err := g.child.Wait(); err != nil {
				t.Fatalf("it ended with %v\n%s", err, g.log())
			}
		default:
			g.mustCtl("restart")
		}
		st := g.up()
		if st.PID == pid {
			t.Fatalf("process %d still runs\n%s", pid, g.log())
		}
		pid = st.PID
		g.selling()
	}
	calls, slowest, err := callers.stop()
	t.Logf("%d restarts, %d connects, the slowest waited %v", restarts, calls, slowest)
	if err != nil {
		t.Errorf("a caller was refused: %v", err)
	}
	if calls < perSecond {
		t.Errorf("only %d connects", calls)
	}
	g.auditHolds(restarts, "restart")
	g.agree()
}

// callers connect and hang up, at a steady pace.
type callers struct {
	quit    chan struct{}
	all     sync.WaitGroup
	calls   atomic.Int64
	slowest atomic.Int64
	refused atomic.Pointer[error]
}

func startCallers(addr string, perSecond int) *callers {
	c := &callers{quit: make(chan struct{})}
	c.all.Go(func() {
		pace := time.NewTicker(time.Second / time.Duration(perSecond))
		defer pace.Stop()
		for {
			select {
			case <-c.quit:
				return
			case <-pace.C:
				c.all.Go(func() { c.call(addr) })
			}
		}
	})
	return c
}

func (c *callers) call(addr string) {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		c.refused.CompareAndSwap(nil, &err)
		return
	}
	c.calls.Add(1)
	if d := int64(time.Since(began)); d > c.slowest.Load() {
		c.slowest.Store(d)
	}
	_ = conn.(*net.TCPConn).SetLinger(0) // no port stays in TIME_WAIT
	_ = conn.Close()
}

func (c *callers) stop() (calls int64, slowest time.Duration, err error) {
	close(c.quit)
	c.all.Wait()
	if e := c.refused.Load(); e != nil {
		err = *e
	}
	return c.calls.Load(), time.Duration(c.slowest.Load()), err
}

// TestRestartWithABadConfig: the new process does not come up, the old one goes
// on as if nothing had been.
func TestRestartWithABadConfig(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	pid := g.up().PID
	good, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(g.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.file, []byte("nonsense: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := call("", "ctl", "restart", "--socket", cfg.Admin.Socket)
	if r.code != 1 || !strings.Contains(r.err, "the old one goes on") || !strings.Contains(r.err, "nonsense") {
		t.Error(r)
	}
	if err := os.WriteFile(g.file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if st := g.up(); st.PID != pid {
		t.Errorf("process %d runs, want %d", st.PID, pid)
	}
	g.mustCtl("stop")
	if r := g.ctl("status"); r.code != 1 || !strings.Contains(r.err, "not running") {
		t.Error(r)
	}
	if r := g.mustCtl("audit", "verify"); !strings.Contains(r.out, "2 lines") || !strings.Contains(r.out, "not compared") {
		t.Error(r)
	}
}

// TestRestartWithoutTheOldKey: the new process finds before anything stops that it could
// not open the journal, and whoever asked is told why.
func TestRestartWithoutTheOldKey(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	pid := g.up().PID
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.selling()
	if r := call("", "journal", "newkey", filepath.Join(filepath.Dir(g.file), "journal-2.key")); r.code != exitDone {
		t.Fatal(r)
	}
	g.edit("log:", "journal: {key_file: journal-2.key}\nlog:")
	g.until("it is told why", func() bool { // a machine at its limit may need a second try to start a process in time
		r := g.ctl("restart")
		if r.code != exitFailed || !strings.Contains(r.err, "the old one goes on") {
			t.Fatalf("%v\n%s", r, g.log())
		}
		return strings.Contains(r.err, "one of journal.old_keys")
	})
	if st := g.up(); st.PID != pid || st.HandOver != nil || strings.Contains(g.log(), "opens again") {
		t.Errorf("the old process stopped for it: %+v\n%s", st, g.log())
	}
	g.selling()
	g.edit("{key_file: journal-2.key}", "{key_file: journal-2.key, old_keys: [data/journal.key]}")
	g.mustCtl("restart")
	if st := g.up(); st.PID == pid {
		t.Error("no restart is possible with it")
	}
	g.selling()
	g.agree()
}

// TestOldProcessOpensAgain: the new process fails when it has the stores already.
// The old one takes them back, with the config that it had, on the same ports.
func TestOldProcessOpensAgain(t *testing.T) {
	g := newGround(t)
	g.start()
	t.Cleanup(g.killLast)
	pid := g.up().PID
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	g.selling()
	good, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	g.edit("links: [{name: bank,", "links: [{name: other,") // not this folder's first link
	g.edit("routes: [{link: bank}]", "routes: [{link: other}]")
	if r := g.ctl("restart"); r.code != exitFailed || !strings.Contains(r.err, "could not follow, the old one goes on") || !strings.Contains(r.err, "other") {
		t.Errorf("%v\n%s", r, g.log())
	}
	if st := g.up(); st.PID != pid || st.Links[0].Name != "bank" || st.HandOver == nil {
		t.Errorf("%+v", st)
	}
	if r := g.mustCtl("status"); !strings.Contains(r.out, "last hot restart failed") {
		t.Error(r)
	}
	g.selling()
	if err := os.WriteFile(g.file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	g.mustCtl("restart")
	if st := g.up(); st.PID == pid {
		t.Error("no second restart is possible")
	}
	g.selling()
	g.agree()
}

// TestHangingSwitchIsNamed: a switch whose socket is there and says nothing is an
// error to who asks, and no command of the night waits for it, or reads its folder.
func TestHangingSwitchIsNamed(t *testing.T) {
	file := clearGround(t)
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	hangs, err := net.Listen("unix", cfg.Admin.Socket) // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	defer func(d time.Duration) { ctlWithin = d }(ctlWithin)
	ctlWithin = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a command that waits is interrupted, which it says
	defer cancel()
	for _, args := range [][]string{
		{"ctl", "status"},
		{"journal", "find"},
		{"clear", "run", "--date", "20261001"},
		{"clean", "backup", "--to", filepath.Join(t.TempDir(), "b")},
		{"registry", "blacklist", "versions"},
	} {
		var out, errs bytes.Buffer
		code := runIn(append(args, "-c", file), streams{ctx: ctx, in: strings.NewReader(""), out: &out, err: &errs})
		if code != exitFailed || !strings.Contains(errs.String(), "the switch does not answer") || !strings.Contains(errs.String(), context.DeadlineExceeded.Error()) {
			t.Errorf("%v: %d %s %s", args, code, &out, &errs)
		}
	}
	if ctx.Err() != nil {
		t.Error("one of them waited")
	}
}
