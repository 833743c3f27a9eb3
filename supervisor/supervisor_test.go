package supervisor

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"tongka/fault"
	"tongka/sdnotify"
)

// TestMain lets the test binary be the worker.
func TestMain(m *testing.M) {
	if mode := os.Getenv("TONGKA_TEST_WORKER"); mode != "" {
		play(mode)
	}
	os.Exit(m.Run())
}

const beatEvery = 50 * time.Millisecond

// play is a worker that behaves as its mode says. What it does it writes into its
// diary, the file that it is given.
func play(mode string) {
	diary, err := os.OpenFile(os.Getenv("TONGKA_TEST_DIARY"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	note := func(what string) { fmt.Fprintf(diary, "%d %s\n", os.Getpid(), what) }
	note("starts " + os.Getenv(CrashesEnv))
	if mode == "crash" {
		fmt.Fprintln(os.Stderr, "the line before")
		panic("boom " + strings.Repeat("x", 10))
	}
	systemd, err := sdnotify.FromEnv()
	if err != nil {
		panic(err)
	}
	tell := func(err error) {
		if err != nil {
			note(err.Error())
		}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	if mode != "late" {
		tell(systemd.Ready("here"))
	}
	note("ready")
	beat := time.NewTicker(beatEvery)
	for beats := 0; ; {
		select {
		case sig := <-signals:
			note(sig.String())
			switch {
			case sig == syscall.SIGTERM && mode != "stuck":
				os.Exit(0)
			case sig == syscall.SIGUSR2:
				handOver(mode, systemd, note)
			}
		case <-beat.C:
			if beats++; mode == "hang" && beats > 4 {
				continue
			}
			tell(systemd.Watchdog())
			if mode == "balloon" {
				if _, err := syscall.Mmap(-1, 0, 8<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE); err != nil {
					note(err.Error())
				}
			}
		}
	}
}

// goNow behind the name of the diary is a file that lets a slow one end.
const goNow = ".go"

// handOver starts a successor and leaves; in mode torn it dies in the middle, and in
// mode orphan its successor does.
func handOver(mode string, systemd *sdnotify.Socket, note func(string)) {
	c := exec.Command(os.Args[0])
	c.Env, c.Stdout, c.Stderr = append(os.Environ(), "TONGKA_TEST_WORKER=steady"), os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		panic(err)
	}
	note("hands over")
	if mode == "torn" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if err := systemd.MainPID(c.Process.Pid); err != nil {
		panic(err)
	}
	for mode == "slow" { // gone as the worker, but not ended
		if _, err := os.Stat(os.Getenv("TONGKA_TEST_DIARY") + goNow); err == nil {
			break
		}
		time.Sleep(5 * time.Millisecond) // between two looks at what another process does
	}
	if mode == "orphan" {
		_ = c.Process.Kill()
		_ = c.Wait()
		note("orphaned")
	}
	os.Exit(0)
}

// house is a supervisor under test.
type house struct {
	t       *testing.T
	o       Options
	diary   string
	signals chan os.Signal
	book    *fault.Book
	said    lockedBuffer
	result  chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// heartbeat is for tests of a worker that is silent; others have all the time that
// a busy machine takes.
const heartbeat = 1500 * time.Millisecond

func newHouse(t *testing.T, mode string) *house {
	dir := t.TempDir()
	h := &house{t: t, diary: filepath.Join(dir, "diary"), signals: make(chan os.Signal, 8), book: new(fault.Book), result: make(chan error, 1)}
	h.o = Options{Program: os.Args[0], Env: []string{"TONGKA_TEST_WORKER=" + mode, "TONGKA_TEST_DIARY=" + h.diary},
		Crashes: filepath.Join(dir, "crash"), Heartbeat: time.Minute, Start: time.Minute, Stop: time.Minute,
		Backoff: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond, Steady: time.Hour,
		Out: os.Stdout, Err: &h.said, Logger: h.book.Watch(zap.NewNop()), Signals: h.signals, look: 30 * time.Millisecond}
	return h
}

func (h *house) run() {
	go func() { h.result <- Run(h.o) }()
	h.t.Cleanup(func() { // whatever the test left
		for _, c := range children(os.Getpid()) {
			_ = syscall.Kill(c.pid, syscall.SIGKILL)
		}
	})
}

func (h *house) read() string {
	b, _ := os.ReadFile(h.diary)
	return string(b)
}

func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			h.t.Fatalf("%s: not within a minute\n%s", what, h.read())
		}
		time.Sleep(5 * time.Millisecond) // between two looks at another process
	}
}

func (h *house) count(what string) int { return strings.Count(h.read(), what) }

// last is the number of the worker that wrote last.
func (h *house) last() int {
	lines := strings.Split(strings.TrimSpace(h.read()), "\n")
	word, _, _ := strings.Cut(lines[len(lines)-1], " ")
	n, err := strconv.Atoi(word)
	if err != nil {
		h.t.Fatalf("%q: %v", lines, err)
	}
	return n
}

// stop has the supervisor end, and gives its error.
func (h *house) stop() error {
	h.t.Helper()
	h.signals <- syscall.SIGTERM
	return h.wait()
}

func (h *house) wait() error {
	h.t.Helper()
	select {
	case err := <-h.result:
		return err
	case <-time.After(time.Minute):
		h.t.Fatalf("it does not end\n%s", h.read())
	}
	return nil
}

func (h *house) trace() string {
	b, _ := os.ReadFile(filepath.Join(h.o.Crashes, lastFile))
	return string(b)
}

// TestSignalsArePassedOn: and the worker's end in order is the supervisor's.
func TestSignalsArePassedOn(t *testing.T) {
	h := newHouse(t, "steady")
	h.run()
	h.until("it is ready", func() bool { return h.count("ready") == 1 })
	h.signals <- syscall.SIGHUP
	h.until("SIGHUP has come", func() bool { return h.count("hangup") == 1 })
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if h.count("terminated") != 1 || h.count("starts") != 1 || h.trace() != "" {
		t.Error(h.read())
	}
}

// TestKilledWorkerIsStartedAgain: at once, and the next one knows of it.
func TestKilledWorkerIsStartedAgain(t *testing.T) {
	h := newHouse(t, "steady")
	h.run()
	for n := 1; n <= 3; n++ {
		h.until("a worker is ready", func() bool { return h.count("ready") == n })
		_ = syscall.Kill(h.last(), syscall.SIGKILL)
	}
	h.until("the last is ready", func() bool { return h.count("ready") == 4 && h.count("starts 3") == 1 })
	if err := h.stop(); err != nil || h.book.Of(fault.WorkerCrashed) != 3 || !strings.Contains(h.trace(), "signal: killed") {
		t.Errorf("%v, %d crashes, %s", err, h.book.Of(fault.WorkerCrashed), h.trace())
	}
}

// TestCrashLoopBacksOff: the pauses grow, the panic is kept with what came before,
// and a stop in a pause ends at once.
func TestCrashLoopBacksOff(t *testing.T) {
	h := newHouse(t, "crash")
	h.o.Backoff, h.o.MaxBackoff = 20*time.Millisecond, time.Hour
	h.run()
	h.until("five crashes", func() bool { return h.book.Of(fault.WorkerCrashed) >= 5 })
	h.until("the trace is kept", func() bool { return strings.Contains(h.trace(), "panic: boom") })
	if s := h.trace(); !strings.Contains(s, "the line before") || !strings.Contains(s, "goroutine 1") || !strings.Contains(s, "exit status 2") {
		t.Error(s)
	}
	if _, err := os.Stat(filepath.Join(h.o.Crashes, previousFile)); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(h.o.Crashes, lastFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if h.book.Of(fault.CrashLoop) == 0 {
		t.Error("no word of the loop")
	}
	h.until("it is said on our own stream, too", func() bool {
		h.said.mu.Lock()
		defer h.said.mu.Unlock()
		return strings.Contains(h.said.b.String(), "panic: boom")
	})
	if err := h.stop(); err != nil {
		t.Error(err)
	}
}

func TestBackoff(t *testing.T) {
	for before, want := range []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond, 2 * time.Second, 2 * time.Second} {
		if got := backoff(200*time.Millisecond, 2*time.Second, before); got != want {
			t.Errorf("after %d: %v, want %v", before, got, want)
		}
	}
	if got := backoff(time.Second, time.Minute, 1<<30); got != time.Minute {
		t.Error(got)
	}
	if got := backoff(time.Minute, time.Second, 0); got != time.Second {
		t.Error(got)
	}
}

// TestHangIsSeen: a worker that is silent is killed with all its goroutines written
// down; a stopped one, which can write nothing, as well.
func TestHangIsSeen(t *testing.T) {
	h := newHouse(t, "hang")
	h.o.Heartbeat = heartbeat
	h.run()
	h.until("it is killed and started again", func() bool { return h.count("starts") >= 2 })
	h.until("it was written down", func() bool { return strings.Contains(h.trace(), "missed heartbeat") })
	if s := h.trace(); !strings.Contains(s, "SIGQUIT") || !strings.Contains(s, "play(") || h.book.Of(fault.WorkerHung) == 0 || h.book.Of(fault.WorkerCrashed) != 0 {
		t.Error(s)
	}
	if err := h.stop(); err != nil && !strings.Contains(err.Error(), "exit status 2") { // it may be the hung one
		t.Error(err)
	}
}

func TestStoppedProcessIsKilled(t *testing.T) {
	h := newHouse(t, "steady")
	h.o.Heartbeat = heartbeat
	h.run()
	h.until("it is ready", func() bool { return h.count("ready") == 1 })
	pid := h.last()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.until("another runs", func() bool { return h.count("ready") == 2 })
	if syscall.Kill(pid, 0) == nil {
		t.Errorf("process %d is still there", pid)
	}
	if err := h.stop(); err != nil || h.book.Of(fault.WorkerHung) != 1 || !strings.Contains(h.trace(), "missed heartbeat") {
		t.Error(err, h.trace())
	}
}

// TestMemoryLimit: a worker that grows is ended in order, and at twice the limit at
// once.
func TestMemoryLimit(t *testing.T) {
	h := newHouse(t, "balloon")
	h.o.Memory = 96 << 20
	h.run()
	h.until("it is started again", func() bool { return h.count("starts") >= 2 })
	if h.count("terminated") == 0 || h.book.Of(fault.WorkerTooLarge) == 0 || !strings.Contains(h.trace(), "memory limit") {
		t.Errorf("%s\n%s", h.read(), h.trace())
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
}

func TestLateWorkerIsKilled(t *testing.T) {
	h := newHouse(t, "late")
	h.o.Start = 300 * time.Millisecond
	h.run()
	h.until("it is started again", func() bool { return h.count("starts") >= 2 && h.book.Of(fault.WorkerLate) >= 1 })
	if err := h.stop(); err != nil && !strings.Contains(err.Error(), "exit status 2") {
		t.Error(err)
	}
}

// TestStuckWorkerIsKilled: one that does not heed SIGTERM has its time, and no more;
// the error says so.
func TestStuckWorkerIsKilled(t *testing.T) {
	h := newHouse(t, "stuck")
	h.o.Stop = 300 * time.Millisecond
	h.run()
	h.until("it is ready", func() bool { return h.count("ready") == 1 })
	if err := h.stop(); err == nil || h.book.Of(fault.WorkerStuck) != 1 || h.count("starts") != 1 {
		t.Errorf("%v\n%s", err, h.read())
	}
}

// TestSuccessorIsWatched: a hot restart is no crash, and who follows is watched,
// signalled and started again like the first.
func TestSuccessorIsWatched(t *testing.T) {
	for _, mode := range []string{"steady", "torn"} {
		h := newHouse(t, mode)
		h.o.Heartbeat = heartbeat
		h.run()
		h.until("it is ready", func() bool { return h.count("ready") == 1 })
		first := h.last()
		h.signals <- syscall.SIGUSR2
		h.until("its successor is ready", func() bool { return h.count("ready") == 2 && syscall.Kill(first, 0) != nil })
		second := h.last()
		if second == first || h.book.Of(fault.WorkerHung) != 0 {
			t.Errorf("%s: %s", mode, h.read())
		}
		if crashes := h.book.Of(fault.WorkerCrashed); crashes != 0 && mode == "steady" || crashes != 1 && mode == "torn" {
			t.Errorf("%s: %d crashes", mode, crashes)
		}
		_ = syscall.Kill(second, syscall.SIGSTOP) // it is watched
		h.until("a third is ready", func() bool { return h.count("ready") == 3 })
		if err := h.stop(); err != nil || h.count("starts") != 3 || h.book.Of(fault.WorkerHung) != 1 {
			t.Errorf("%s: %v, hung %d, crashed %d, late %d\n%s\n%s", mode, err, h.book.Of(fault.WorkerHung), h.book.Of(fault.WorkerCrashed), h.book.Of(fault.WorkerLate), h.read(), h.trace())
		}
	}
}

// TestSuccessorDiesFirst: a successor that ends before the worker that handed over
// to it has ended leaves nobody; that is a crash, and no end in order.
func TestSuccessorDiesFirst(t *testing.T) {
	h := newHouse(t, "orphan")
	h.run()
	h.until("it is ready", func() bool { return h.count("ready") == 1 })
	first := h.last()
	h.signals <- syscall.SIGUSR2
	h.until("another works", func() bool {
		return h.count("orphaned") == 1 && h.last() != first && syscall.Kill(h.last(), 0) == nil && h.count("ready") >= 2
	})
	if crashes := h.book.Of(fault.WorkerCrashed); crashes != 1 {
		t.Errorf("%d crashes\n%s", crashes, h.read())
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
}

// TestSignalGoesToTheSuccessor: while the worker that has handed over is still
// there, a signal is for who follows.
func TestSignalGoesToTheSuccessor(t *testing.T) {
	h := newHouse(t, "slow")
	h.run()
	h.until("it is ready", func() bool { return h.count("ready") == 1 })
	first := h.last()
	h.signals <- syscall.SIGUSR2
	h.until("its successor is ready", func() bool { return h.count("ready") == 2 })
	second := h.last()
	h.signals <- syscall.SIGHUP
	h.until("it hears the signal", func() bool { return h.count(syscall.SIGHUP.String()) == 1 })
	if syscall.Kill(first, 0) != nil {
		t.Fatal("the first had ended by then")
	}
	if !strings.Contains(h.read(), fmt.Sprintf("%d %s", second, syscall.SIGHUP)) {
		t.Errorf("%s", h.read())
	}
	if err := os.WriteFile(h.diary+goNow, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
}

// TestStrangersAreNotHeard: who is not the worker can neither keep a dead one alive
// nor name its successor, and rubbish does no harm.
func TestStrangersAreNotHeard(t *testing.T) {
	n, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, b := range []string{"", "\n=\n", "READY", strings.Repeat("x", maxNotice+1), "WATCHDOG=1\nMAINPID=7\x00\nWATCHDOG_USEC=-1"} {
		if _, err := c.Write([]byte(b)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write([]byte("MAINPID=7\nWATCHDOG=1")); err != nil {
		t.Fatal(err)
	}
	s := &supervisor{log: zap.NewNop(), w: &worker{pid: os.Getpid() + 1}}
	for {
		got := <-n.heard
		if got.pid != os.Getpid() {
			t.Errorf("from %d", got.pid)
		}
		s.heard(&got)
		if got.values["MAINPID"] == "7" {
			break
		}
	}
	if !s.w.beat.IsZero() || s.heir != 0 {
		t.Errorf("%+v", s.w)
	}
}

func TestMicros(t *testing.T) {
	if d, ok := micros("1500000"); !ok || d != 1500*time.Millisecond {
		t.Error(d, ok)
	}
	for _, bad := range []string{"", "0", "-5", "x", "99999999999999999999", "18446744073709551615", "86400000001"} {
		if d, ok := micros(bad); ok {
			t.Errorf("%q is %v", bad, d)
		}
	}
}

// TestSystemdAboveIsTold: what the worker says goes up, but not who the worker is.
func TestSystemdAboveIsTold(t *testing.T) {
	name := "@tongka-test-above-" + strconv.Itoa(os.Getpid())
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "300000")
	h := newHouse(t, "steady")
	if h.o.Notify, err = sdnotify.FromEnv(); err != nil {
		t.Fatal(err)
	}
	h.run()
	heard := ""
	read := func(until string) {
		t.Helper()
		b := make([]byte, 4096)
		for !strings.Contains(heard, until) {
			if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, err := c.Read(b)
			if err != nil {
				t.Fatalf("%v, heard %q", err, heard)
			}
			heard += string(b[:n]) + "\n"
		}
	}
	read("READY=1\nSTATUS=here")
	read("WATCHDOG=1")
	_ = syscall.Kill(h.last(), syscall.SIGKILL)
	read("STATUS=worker ended (signal: killed)")
	h.signals <- syscall.SIGTERM
	read("STOPPING=1")
	if err := h.wait(); err != nil || strings.Contains(heard, "MAINPID") {
		t.Error(err, heard)
	}
}
