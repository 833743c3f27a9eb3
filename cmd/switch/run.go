package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/fault"
	"tongka/journal"
	"tongka/keyfile"
	"tongka/node"
	"tongka/sdnotify"
	"tongka/successor"
)

// runCmd runs a switch until it is told to stop.
type runCmd struct {
	configFlag
	Profile   bool `hidden:"" help:"控制台开放 /debug/pprof · let profiles be taken at the console"`
	Supervise bool `help:"由守护进程看护：崩溃、停顿、超内存即重启 · under a supervisor, which starts it again when it crashes, hangs or grows too large"`
}

// runner is one process that runs one switch at a time.
type runner struct {
	s       *streams
	file    string
	profile bool // a successor is started by the same words, and so has it too
	faults  *fault.Book
	log     *zap.Logger
	level   zap.AtomicLevel
	notify  *sdnotify.Socket
	node    *node.Node
	heir    *successor.Heir // whom this process follows; nil: nobody

	fatal    chan error
	stop     chan struct{}
	handOver chan struct{}

	mu     sync.Mutex           // guards what follows: actions and questions come by other goroutines
	next   *successor.Successor // from the action that prepared it to the end of its handing over
	failed *admin.HandOver      // the last that came to nothing
}

// Run starts the switch and waits for a signal, or for the store to fail: then
// the process ends, and the next start reads the truth from disk.
func (c *runCmd) Run(s *streams) error {
	if c.Supervise {
		return c.supervise(s)
	}
	widen()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
	defer signal.Stop(signals)
	r := &runner{s: s, file: c.Config, profile: c.Profile, faults: new(fault.Book), fatal: make(chan error, 1), stop: make(chan struct{}, 1), handOver: make(chan struct{}, 1)}
	var err error
	if r.heir, err = successor.FromEnv(); err != nil {
		return err
	}
	err = r.begin()
	if r.log != nil {
		defer func() { _ = r.log.Sync() }() // standard error cannot be synced
	}
	if err != nil {
		if r.heir != nil {
			r.heir.Fail(err)
		}
		return err
	}
	return r.serve(signals)
}

// begin does all up to the open doors.
func (r *runner) begin() error {
	cfg, err := config.Load(r.file)
	if err != nil {
		return err
	}
	if r.log, r.level, err = logger(&cfg.Log); err != nil {
		return err
	}
	r.log = r.faults.Watch(r.log)
	if err := supervised(r.faults); err != nil {
		return err
	}
	if r.notify, err = sdnotify.FromEnv(); err != nil {
		return err
	}
	sockets, err := r.inherit(cfg)
	if err != nil {
		return err
	}
	return r.start(cfg, sockets)
}

// widen gives the Go runtime two places to run for each processor, unless the
// environment says how many. A loop that comes back from a system call (it sleeps in
// one, and the store's goroutine waits for the disk in one) then finds a place at once;
// with one for each, it often had to wait for a thread to hand its over, and
// was carried on by another thread on another processor.
func widen() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
}

// inheritWithin is how long the process before this one may take to drain.
const inheritWithin = 11 * time.Minute

// inherit waits for the sockets of the process that this one follows. By then
// all is known to be right that can be known without the stores.
func (r *runner) inherit(cfg *config.Config) (map[string]*net.TCPListener, error) {
	if r.heir == nil {
		return nil, nil
	}
	if _, err := tryImport(cfg); err != nil {
		return nil, err
	}
	if err := errors.Join(usable(cfg, mayUse), node.Check(cfg)); err != nil {
		return nil, err
	}
	// A security module that does not open them, or a key that is missing, must stop this
	// process, not the other.
	ring, err := journal.LoadRing(cfg.Journal.KeyFile, cfg.Journal.OldKeys, cfg.JournalDir(), node.OpenKey(cfg))
	if err == nil {
		err = opens(&ring, r.heir.Note())
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.s.ctx, inheritWithin)
	defer cancel()
	return r.heir.Take(ctx)
}

// opens says whether a ring has the key under which the journal of the process before
// this one lies; it is known by its check value. One that said nothing is not asked.
func opens(ring *keyfile.Ring, note string) error {
	var check [keyfile.CheckSize]byte
	if n, err := hex.Decode(check[:], []byte(note)); note == "" || err == nil && n == len(check) && ring.Holds(check) {
		return nil
	}
	return fmt.Errorf("%w: 运行中的流水以校验值 %s 的密钥封存，须为 journal.key_file 或列入 journal.old_keys · the running journal lies under the key of check value %[2]s: it must be journal.key_file or one of journal.old_keys",
		journal.ErrKey, note)
}

func (r *runner) start(cfg *config.Config, sockets map[string]*net.TCPListener) (err error) {
	r.node, err = node.Start(cfg, node.Options{Version: version(), Logger: r.log, Faults: r.faults, Level: &r.level, Notify: r.notify, File: r.file,
		Inherited: sockets,
		Profile:   r.profile,
		Fatal:     func(err error) { r.fatal <- err },
		Stop:      func() { ring(r.stop) },
		Prepare:   r.prepare,
		HandOver:  func() { ring(r.handOver) }, Unfollowed: r.unfollowed})
	if err != nil {
		return err
	}
	for i := range cfg.Listeners {
		fmt.Fprintf(r.s.out, "终端接入 listening: %s %s\n", cfg.Listeners[i].Name, r.node.Addr(i))
	}
	if a := r.node.ConsoleAddr(); a != "" {
		fmt.Fprintf(r.s.out, "控制台 console: http://%s\n", a)
	}
	if err := r.notify.Ready(cfg.Node.Name); err != nil {
		r.log.Warn("systemd not told", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
	r.watchWithin(0) // one that handed over, or tried to, had asked for more
	if r.heir != nil {
		r.heir.Ready()
		r.heir = nil
	}
	return nil
}

// ring asks once; who has been asked already needs no second time.
func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// serve waits for what ends the process, and does meanwhile what signals ask.
func (r *runner) serve(signals <-chan os.Signal) error {
	every, err := sdnotify.WatchdogEvery()
	if err != nil {
		r.log.Warn("no watchdog", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
	watch := time.NewTicker(max(every, time.Millisecond))
	defer watch.Stop()
	if every == 0 {
		watch.Stop()
	}
	for {
		select {
		case <-r.s.ctx.Done():
			return r.end()
		case <-r.stop:
			return r.end()
		case err := <-r.fatal:
			return fault.Because(fault.JournalFailed, fmt.Errorf("存储失败，重启后从磁盘恢复 · the store failed, the next start recovers from disk: %w", err))
		case sig := <-signals:
			verb := admin.Reload
			if sig == syscall.SIGUSR2 {
				verb = admin.Restart
			}
			who := audit.Who{UID: -1, Via: "signal"} // the kernel does not say whose
			r.node.Act(r.s.ctx, who, admin.Action{Verb: verb})
		case <-r.handOver:
			if done, err := r.succeed(); done || err != nil {
				return err
			}
		case <-watch.C:
			r.alive()
		}
	}
}

// watchWithin asks the watchdog for more time than usual, or with 0 for the usual
// one; without a watchdog it does nothing.
func (r *runner) watchWithin(d time.Duration) {
	every, err := sdnotify.WatchdogEvery()
	if err != nil || every == 0 {
		return
	}
	if err := r.notify.WatchdogWithin(max(d, sdnotify.PerWindow*every)); err != nil {
		r.log.Warn("systemd not told", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
}

// freshWithin is how old the newest picture of a shard that moves can be.
const freshWithin = 5 * time.Second

// alive tells systemd's watchdog, as long as the shard moves.
func (r *runner) alive() {
	if p := r.node.Snapshot(); p != nil && time.Since(time.Unix(0, p.At)) > freshWithin {
		return
	}
	if err := r.notify.Watchdog(); err != nil {
		r.log.Warn("systemd not told", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
}

// end stops in order.
func (r *runner) end() error {
	cfg := r.node.Running()
	if err := r.notify.Stopping(cfg.Node.Name); err != nil {
		r.log.Warn("systemd not told", fault.Field(fault.SystemdUntold), zap.Error(err))
	}
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Stop.Deadline)
	defer cancel()
	return r.node.Stop(ctx)
}

// prepare starts the successor; it is called by an action of the node.
func (r *runner) prepare(ctx context.Context) (pid int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		return 0, errors.New("已在交接 · it is being handed over already")
	}
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	check := r.node.KeyCheck()
	next, err := successor.Spawn(ctx, program, os.Args[1:], fmt.Sprintf("%X", check))
	if err != nil {
		return 0, err
	}
	r.next = next
	return next.PID(), nil
}

// succeed hands over. done says that the new process runs and this one can end;
// otherwise this one has opened again, or the error says why it could not.
func (r *runner) succeed() (done bool, err error) {
	r.mu.Lock()
	next := r.next
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.next = nil
		r.mu.Unlock()
	}()
	// What is kept serves us if the new one fails.
	kept, err := successor.Keep(r.node.Sockets())
	if err == nil {
		err = next.Give(r.node.Sockets())
	}
	if err != nil {
		err = errors.Join(err, next.Kill())
		r.log.Error("sockets not handed over: this process goes on", fault.Field(fault.HandOverFailed), zap.Error(err))
		r.notFollowed(next.PID(), err)
		closeAll(kept)
		return false, nil
	}
	cfg := r.node.Running()
	// Between the end of this shard's loop and the other's first turn none moves.
	r.watchWithin(cfg.Stop.RestartDeadline + stopSlack + successor.ReadyWithin)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Stop.RestartDeadline)
	defer cancel()
	if err := r.node.Stop(ctx); err != nil {
		r.log.Warn("not stopped in order", fault.Field(fault.StopUnorderly), zap.Error(err))
	}
	if err = next.Go(r.s.ctx); err == nil {
		r.log.Info("handed over", zap.Int("pid", next.PID()))
		closeAll(kept)
		if err := r.notify.MainPID(next.PID()); err != nil {
			r.log.Warn("systemd not told", fault.Field(fault.SystemdUntold), zap.Error(err))
		}
		return true, nil
	}
	if r.s.ctx.Err() != nil { // told to stop meanwhile
		closeAll(kept)
		return true, nil
	}
	r.log.Error("the new process failed: this one opens again", fault.Field(fault.HandOverFailed), zap.Error(err))
	r.notFollowed(next.PID(), err)
	return false, r.start(reopening(cfg, r.file), kept)
}

// notFollowed keeps why a hand-over failed, for who asked for it.
func (r *runner) notFollowed(pid int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = &admin.HandOver{At: time.Now(), PID: pid,
		Answer: admin.Failed(fmt.Sprintf("进程 %d 未能接替，旧进程继续运行", pid), fmt.Sprintf("process %d could not follow, the old one goes on", pid), err)}
}

func (r *runner) unfollowed() *admin.HandOver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func closeAll(sockets map[string]*net.TCPListener) {
	for _, ln := range sockets {
		_ = ln.Close()
	}
}

// logger logs JSON lines to the file, or to standard error.
func logger(c *config.Log) (*zap.Logger, zap.AtomicLevel, error) {
	z := zap.NewProductionConfig()
	if err := z.Level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, z.Level, err
	}
	if c.File != "" {
		z.OutputPaths, z.ErrorOutputPaths = []string{c.File}, []string{c.File}
	}
	log, err := z.Build()
	if err != nil {
		err = fmt.Errorf("日志文件 · log file: %w", err)
	}
	return log, z.Level, err
}

// version is what the console shows.
func version() string {
	info, _ := debug.ReadBuildInfo()
	return readBuild(info).Version
}
