package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/fault"
)

// worker is the process that does the work.
type worker struct {
	pid     int
	process *os.Process
	started time.Time
	ready   time.Time     // zero: it is not yet
	beat    time.Time     // its last sign of life
	window  time.Duration // of which there must be one in each; 0: it need not
	until   time.Time     // when it must be ready; zero: any time
	over    int           // looks in a row at which it was too large
	why     string        // we told it to end, for this reason
	die     time.Time     // when it is killed if it has not ended; zero: it may live
	stuck   bool          // of that the log was told
}

// ended is the end of a process.
type ended struct {
	pid, code int // code is -1 after a signal
	what      string
}

// CrashesEnv tells a worker how often those before it have crashed, for its
// counters.
const CrashesEnv = "TONGKA_CRASHES"

// spawn starts a worker. Its standard error comes to us by a pipe, so that the end
// of it can be kept.
func (s *supervisor) spawn() (*worker, *words, error) {
	r, theirs, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(s.o.Program, s.o.Args...)
	cmd.Stdout, cmd.Stderr = s.o.Out, theirs
	// A terminal's Ctrl-C goes to us alone: two signals would end the worker at once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(bare(os.Environ()), s.o.Env...)
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+s.notices.name, fmt.Sprintf("%s=%d", CrashesEnv, s.total))
	if s.o.Heartbeat > 0 {
		cmd.Env = append(cmd.Env, "WATCHDOG_USEC="+strconv.FormatInt(s.o.Heartbeat.Microseconds(), 10))
	}
	err = cmd.Start()
	err = errors.Join(err, theirs.Close()) // the worker's end alone keeps the pipe open
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	now := time.Now()
	w := &worker{pid: cmd.Process.Pid, process: cmd.Process, started: now, window: s.o.Heartbeat}
	if s.o.Start > 0 {
		w.until = now.Add(s.o.Start)
	}
	go func() { s.ended <- end(w.pid, cmd.Process, cmd.Wait) }()
	return w, listenTo(r, s.o.Err), nil
}

// bare drops what the supervisor above has told us for ourselves.
func bare(vars []string) (kept []string) {
	for _, v := range vars {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", CrashesEnv:
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// end waits for a process and puts its end into words.
func end(pid int, p *os.Process, wait func() error) ended {
	err := wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return ended{pid, 0, "exit status 0"}
	case errors.As(err, &exit):
		return ended{pid, exit.ExitCode(), exit.Error()}
	}
	return ended{pid, -1, err.Error()}
}

// findHeir is a process that a worker has left behind: the one that it named, or
// any that came to us.
func (s *supervisor) findHeir() int {
	heir := 0
	for _, c := range children(os.Getpid()) {
		switch {
		case c.dead: // of a hand-over that failed; nobody else waits for it
			_, _ = unix.Wait4(c.pid, nil, unix.WNOHANG, nil)
		case heir == 0 || c.pid == s.heir:
			heir = c.pid
		}
	}
	return heir
}

// adopt makes a successor the worker. Nobody has to wait for anything.
func (s *supervisor) adopt(pid int, before *worker, e ended) {
	now := time.Now()
	if e.code != 0 {
		s.total++
		s.log.Error("worker crashed while it handed over: its successor goes on", fault.Field(fault.WorkerCrashed),
			zap.Int("worker", e.pid), zap.Int("successor", pid), zap.String("end", e.what))
		s.keepWords(before, e.what)
	}
	p, err := os.FindProcess(pid)
	if err != nil { // on Linux it does not fail; a process that is gone is told by Wait
		s.crashed(err.Error(), nil)
		return
	}
	w := &worker{pid: pid, process: p, started: now, window: s.o.Heartbeat, beat: now, ready: s.notices.ready(pid)}
	if w.ready.IsZero() && s.o.Start > 0 {
		w.until = now.Add(s.o.Start)
	}
	s.w, s.heir = w, 0
	s.log.Info("worker handed over", zap.Int("worker", e.pid), zap.Int("successor", pid))
	go func() { s.ended <- end(pid, p, func() error { return waitFor(p) }) }()
	if s.leaving {
		w.signal(syscall.SIGTERM)
		w.mustEnd(now, s.o.Stop, "")
	}
}

// waitFor waits for a child that somebody else has started.
func waitFor(p *os.Process) error {
	st, err := p.Wait()
	switch {
	case err != nil:
		return err
	case st.Success():
		return nil
	}
	return &exec.ExitError{ProcessState: st}
}

func (w *worker) signal(s syscall.Signal) { _ = w.process.Signal(s) } // it may have ended

// mustEnd gives a worker a time by which it must have ended; 0 is any.
func (w *worker) mustEnd(now time.Time, within time.Duration, why string) {
	if within > 0 && w.die.IsZero() {
		w.die = now.Add(within)
	}
	if why != "" {
		w.why = why
	}
}

// look looks after the worker.
func (s *supervisor) look(now time.Time) {
	w := s.w
	if w == nil {
		return
	}
	switch {
	case !w.die.IsZero() && now.After(w.die):
		if !w.stuck && w.why == "" {
			w.stuck = true
			s.log.Error("worker did not stop in time: killed", fault.Field(fault.WorkerStuck), zap.Int("worker", w.pid))
		}
		w.signal(syscall.SIGKILL)
	case !w.die.IsZero():
	case w.ready.IsZero() && !w.until.IsZero() && now.After(w.until):
		s.log.Error("worker not ready in time", fault.Field(fault.WorkerLate), zap.Int("worker", w.pid), zap.Duration("after", now.Sub(w.started)))
		s.dump(now, "not ready in time")
	case !w.ready.IsZero() && w.window > 0 && now.Sub(w.beat) > w.window:
		s.log.Error("worker missed its heartbeat", fault.Field(fault.WorkerHung), zap.Int("worker", w.pid), zap.Duration("silent", now.Sub(w.beat)))
		s.dump(now, "missed heartbeat")
	}
	s.weigh(now, w)
}

// dump has a worker write down where all its goroutines are, and end.
func (s *supervisor) dump(now time.Time, why string) {
	s.w.mustEnd(now, quitWithin, why)
	s.w.signal(syscall.SIGQUIT)
}

// weigh ends a worker that is too large: in order, so that what is in flight gets
// its time; at once when it grows on to twice the limit.
func (s *supervisor) weigh(now time.Time, w *worker) {
	if s.o.Memory == 0 {
		return
	}
	size, err := resident(w.pid)
	if err != nil || size <= s.o.Memory {
		w.over = 0
		return
	}
	if w.over++; size > 2*s.o.Memory {
		w.mustEnd(now, quitWithin, "memory limit")
		w.signal(syscall.SIGKILL)
		return
	}
	if w.over == overLooks && w.die.IsZero() {
		s.log.Error("worker over its memory limit", fault.Field(fault.WorkerTooLarge), zap.Int("worker", w.pid), zap.Int64("bytes", size), zap.Int64("limit", s.o.Memory))
		w.mustEnd(now, s.o.Stop, "memory limit")
		w.signal(syscall.SIGTERM)
	}
}
