// Package supervisor runs a worker as a process of its own and watches it from
// outside: it starts it again when it crashes, hangs or grows too large, waits
// longer each time while it does so in a loop, and keeps what it said last.
//
// To the worker it is what systemd is: a socket in NOTIFY_SOCKET on which READY,
// STATUS, WATCHDOG, STOPPING, MAINPID … arrive, so that one program runs under
// either. What it hears it passes on to the systemd above, if there is one.
//
//	supervisor ──starts──▶ worker ──hot restart──▶ successor
//	    ▲  ▲                  │                        │
//	    │  └──── READY, WATCHDOG, MAINPID ─────────────┘
//	    └─────── standard error, kept for a crash
//
// A worker that hands over to a successor ends; the successor, an orphan then,
// becomes the supervisor's own child (it is a subreaper) and is watched on. That
// holds when the worker dies in the middle of it, too: whoever is left goes on.
//
// All is one goroutine's, see Run; what waits for something sends events to it.
package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tongka/fault"
	"tongka/sdnotify"
)

// Options say what is run, and how it is watched. A time or size of zero turns off
// what it bounds, but for the back-off.
type Options struct {
	Program string
	Args    []string
	Env     []string // more than this process has

	Crashes string // folder for what a worker said before it died
	// Heartbeat is how long a worker that was ready may be silent.
	Heartbeat time.Duration
	Start     time.Duration // for it to become ready; it may ask for more
	Stop      time.Duration // for it to end once it was told to
	Memory    int64         // bytes that it may hold resident
	// Backoff is the pause before it is started again, doubled with each crash in a
	// row up to MaxBackoff. One that was ready for Steady begins a new row.
	Backoff, MaxBackoff, Steady time.Duration

	Out, Err io.Writer // the worker's streams go there
	Logger   *zap.Logger
	Notify   *sdnotify.Socket // who watches us; nil: nobody
	// Signals are passed on, SIGINT as SIGTERM; SIGTERM ends the supervisor with its
	// worker.
	Signals <-chan os.Signal

	look time.Duration // between two looks at the worker; tests are less patient
}

const (
	lookEvery = time.Second
	// quitWithin is how long a worker may take to write down where it hangs.
	quitWithin = 3 * time.Second
	// drainWithin is how long the end of a dead worker's words is waited for; a
	// successor that lives holds the other end, too.
	drainWithin = time.Second
	// overLooks in a row above the limit are no peak any more.
	overLooks = 3
)

type supervisor struct {
	o       Options
	log     *zap.Logger
	notices *notices
	ended   chan ended
	words   *words

	w        *worker // nil during a pause
	heir     int     // number of the process that the worker names as its successor
	crashes  int     // in a row
	total    uint64
	again    *time.Timer // ends the pause
	leaving  bool        // we were told to end
	leaveErr error       // of a worker that did not end well then
}

// Run supervises until it is told to end, or until the worker ends of itself with
// code 0. The error says that there could be no worker at all, or that the last
// one did not end in order.
func Run(o Options) error {
	if o.look == 0 {
		o.look = lookEvery
	}
	// Whoever a dead worker leaves behind comes to us and not to init.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("supervisor: %w", err)
	}
	s := &supervisor{o: o, log: o.Logger, ended: make(chan ended, 16), again: time.NewTimer(time.Hour)}
	s.again.Stop()
	var err error
	if s.notices, err = listen(); err != nil {
		return err
	}
	defer s.notices.close()
	if err := s.start(); err != nil {
		return err
	}
	return s.serve()
}

// serve is the one loop.
func (s *supervisor) serve() error {
	every, err := sdnotify.WatchdogEvery()
	if err != nil {
		s.log.Warn("no watchdog", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
	alive := time.NewTicker(max(every, time.Millisecond))
	defer alive.Stop()
	if every == 0 {
		alive.Stop()
	}
	look := time.NewTicker(s.o.look)
	defer look.Stop()
	for {
		done := false
		select {
		case sig := <-s.o.Signals:
			done = s.signalled(sig)
		case n := <-s.notices.heard:
			s.heard(&n)
		case e := <-s.ended:
			done = s.workerEnded(e)
		case <-look.C:
			s.look(time.Now())
		case <-s.again.C:
			done = s.restart()
		case <-alive.C:
			s.tell(s.o.Notify.Watchdog())
		}
		if done {
			return s.leaveErr
		}
	}
}

// signalled passes a signal on. done: there is nobody to wait for.
func (s *supervisor) signalled(sig os.Signal) (done bool) {
	number, _ := sig.(syscall.Signal)
	if number == syscall.SIGINT {
		number = syscall.SIGTERM
	}
	if number == syscall.SIGTERM {
		s.leaving = true
		s.tell(s.o.Notify.Stopping("stopping"))
	}
	if s.w == nil {
		return s.leaving
	}
	pid := s.w.pid
	if s.heir != 0 && number != syscall.SIGTERM { // who has handed over only waits for its own end
		pid = s.heir
	}
	s.log.Info("signal passed on", zap.String("signal", number.String()), zap.Int("worker", pid))
	if pid == s.w.pid {
		s.w.signal(number)
	} else if err := syscall.Kill(pid, number); err != nil {
		s.log.Warn("signal not passed on", zap.Int("worker", pid), zap.Error(err))
	}
	if number == syscall.SIGTERM {
		s.w.mustEnd(time.Now(), s.o.Stop, "")
	}
	return false
}

// start starts a worker.
func (s *supervisor) start() error {
	w, words, err := s.spawn()
	if err != nil {
		return fmt.Errorf("工作进程无法启动 · the worker cannot be started: %w", err)
	}
	s.w, s.words, s.heir = w, words, 0
	s.log.Info("worker started", zap.Int("worker", w.pid))
	return nil
}

// restart starts it again after a pause; one that cannot even be started counts as
// a crash.
func (s *supervisor) restart() (done bool) {
	if err := s.start(); err != nil {
		s.crashed(err.Error(), nil)
	}
	return false
}

// workerEnded finds out why, and what is to be done about it.
func (s *supervisor) workerEnded(e ended) (done bool) {
	if s.w == nil || e.pid != s.w.pid {
		return false // one that had handed over before
	}
	s.hearAll() // what it said came before its end
	w := s.w
	s.w = nil
	if heir := s.findHeir(); heir != 0 {
		s.adopt(heir, w, e)
		return false
	}
	switch {
	case s.leaving:
		if e.code != 0 {
			s.leaveErr = fmt.Errorf("工作进程未有序结束 · the worker did not end in order: %s", e.what)
			s.keepWords(w, e.what)
		}
		return true
	case e.code == 0 && w.why == "" && s.heir != 0:
		what := fmt.Sprintf("successor %d ended before worker %d had", s.heir, e.pid)
		s.log.Error("worker crashed", fault.Field(fault.WorkerCrashed), zap.Int("worker", s.heir), zap.String("end", what))
		s.crashed(what, w)
		return false
	case e.code == 0 && w.why == "":
		s.log.Info("worker ended of itself: so does the supervisor", zap.Int("worker", w.pid))
		return true
	}
	what := e.what
	if w.why != "" {
		what = w.why + "; " + e.what
	} else {
		s.log.Error("worker crashed", fault.Field(fault.WorkerCrashed), zap.Int("worker", w.pid), zap.String("end", e.what))
	}
	s.crashed(what, w)
	return false
}

// crashed keeps the words of a worker, if there was one, and begins a pause.
func (s *supervisor) crashed(what string, w *worker) {
	s.total++
	if w != nil {
		s.keepWords(w, what)
		if !w.ready.IsZero() && time.Since(w.ready) >= s.o.Steady {
			s.crashes = 0
		}
	}
	pause := backoff(s.o.Backoff, s.o.MaxBackoff, s.crashes)
	s.crashes++
	if s.crashes >= loop {
		s.log.Error("worker crashes in a loop", fault.Field(fault.CrashLoop), zap.Int("crashes", s.crashes), zap.Duration("next", pause))
	}
	s.tell(s.o.Notify.Status(fmt.Sprintf("worker ended (%s), starts again in %v", what, pause)))
	s.again.Reset(pause)
}

// loop is how many crashes in a row make one.
const loop = 3

// backoff is the pause after so many crashes in a row before this one.
func backoff(first, most time.Duration, before int) time.Duration {
	pause := first
	for range before {
		if pause *= 2; pause >= most {
			return most
		}
	}
	return min(pause, most)
}

// keepWords writes a worker's last words down.
func (s *supervisor) keepWords(w *worker, what string) {
	s.words.wait(drainWithin)
	head := fmt.Sprintf("%s worker %d ended: %s\nstarted %s, ready %s, crashes in a row %d, since the start %d\n\n", time.Now().Format(time.RFC3339Nano), w.pid, what,
		clock(w.started), clock(w.ready), s.crashes+1, s.total)
	path, err := keep(s.o.Crashes, head, s.words)
	if err != nil {
		s.log.Error("trace not kept", fault.Field(fault.TraceUnsaved), zap.Error(err))
		return
	}
	s.log.Warn("trace kept", zap.String("file", path), zap.String("end", what))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.RFC3339Nano)
}

// Kept is where the words of the last worker that crashed are, in a data folder.
func Kept(data string) string { return filepath.Join(Folder(data), lastFile) }

// Folder is where the words of crashed workers are kept in a data folder.
func Folder(data string) string { return filepath.Join(data, "crash") }

func (s *supervisor) tell(err error) {
	if err != nil {
		s.log.Warn("systemd not told", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
}

var errGone = errors.New("the process is gone")
