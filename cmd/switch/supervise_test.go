package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tongka/admin"
	"tongka/supervisor"
)

// supervise starts the ground's switch under its supervisor.
func (g *ground) supervise() {
	g.t.Helper()
	g.child = process(g.t, "run", "--supervise", "-c", g.file)
	g.child.Stderr = os.Stderr
	if err := g.child.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = g.child.Process.Kill() // first: it would start another worker
		g.killLast()
	})
}

// follower waits until another process than before runs the switch.
func (g *ground) follower(before int) (st admin.Status) {
	g.t.Helper()
	g.until("another worker runs", func() bool {
		var err error
		st, err = g.status()
		return err == nil && st.PID != before && st.State == "running"
	})
	return st
}

// TestSupervisedUnderLoad: the worker is killed, stopped in the middle of its work,
// handed over and killed again, while terminals sell: another goes on each time
// without anybody's help, and the books agree.
func TestSupervisedUnderLoad(t *testing.T) {
	g := newGround(t)
	g.edit("limits:", "supervisor: {heartbeat: 8s}\nlimits:")
	g.supervise()
	pid := g.up().PID
	if pid == g.child.Process.Pid {
		t.Fatal("the supervisor does the work itself")
	}
	if err := g.fleet.Start(); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func(){
		func() { _ = syscall.Kill(pid, syscall.SIGKILL) },
		func() { _ = syscall.Kill(pid, syscall.SIGSTOP) },
		func() { _ = g.child.Process.Signal(syscall.SIGUSR2) },
		func() { _ = syscall.Kill(pid, syscall.SIGKILL) },
		func() { g.mustCtl("restart") },
	} {
		g.selling()
		do()
		pid = g.follower(pid).PID
	}
	g.selling()
	trace, err := os.ReadFile(supervisor.Kept(filepath.Join(filepath.Dir(g.file), "data")))
	// The second kill may come before the one that handed over has ended.
	if err != nil || !strings.Contains(string(trace), "signal: killed") && !strings.Contains(string(trace), "ended before worker") {
		t.Errorf("%v: %s", err, trace)
	}
	// The next worker knows of the crashes: SIGSTOP is a hang.
	if r := g.mustCtl("faults"); !strings.Contains(r.out, "TK-6101") {
		t.Error(r)
	}
	if log, err := os.ReadFile(filepath.Join(filepath.Dir(g.file), "switch.log")); err != nil ||
		strings.Count(string(log), "TK-6102") != 1 || strings.Count(string(log), `"fault":"TK-6101"`) != 2 || !strings.Contains(string(log), "last.txt") {
		t.Errorf("%v: TK-6101 %d times, TK-6102 %d times", err, strings.Count(string(log), "TK-6101"), strings.Count(string(log), "TK-6102"))
	}
	g.agree()
	g.edit("log: {", "log: {level: debug, ") // a reload is a signal to the supervisor, too
	if err := g.child.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	g.until("the config is read again", func() bool {
		st, err := g.status()
		return err == nil && st.Level == "debug"
	})
	if err := g.child.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := g.child.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, g.log())
	}
	if r := g.ctl("status"); r.code != 1 {
		t.Error(r)
	}
}

// TestSupervisedStops: ctl stop ends worker and supervisor with code 0; and so does
// a signal in the pause between two crashes of a worker that cannot start.
func TestSupervisedStops(t *testing.T) {
	g := newGround(t)
	g.supervise()
	g.up()
	g.mustCtl("stop")
	if err := g.child.Wait(); err != nil {
		t.Errorf("it ended with %v\n%s", err, g.log())
	}
	g.edit("log: {", "supervisor: {backoff: 1h, max_backoff: 1h}\nlog: {")
	key := filepath.Join(filepath.Dir(g.file), "data", "journal.key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	g.supervise()
	g.until("it waits", func() bool { return strings.Contains(g.log(), "trace kept") })
	if err := g.child.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := g.child.Wait(); err != nil { // else it would take an hour
		t.Errorf("it ended with %v\n%s", err, g.log())
	}
	if trace, err := os.ReadFile(supervisor.Kept(filepath.Join(filepath.Dir(g.file), "data"))); err != nil || !strings.Contains(string(trace), "journal.key") {
		t.Errorf("%v: %s", err, trace)
	}
}
