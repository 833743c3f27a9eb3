package main

import (
	"errors"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"tongka/config"
	"tongka/fault"
	"tongka/sdnotify"
	"tongka/supervisor"
)

const (
	// stopSlack is what a worker may take to end beyond its deadline of a stop: last
	// words and stores.
	stopSlack = 20 * time.Second
	// steadyAfter is how long a worker must have served before its crash begins a new
	// row.
	steadyAfter = time.Minute
	// softMemory is the share of the memory limit, in percent, at which the worker's
	// collector begins to work for its living.
	softMemory = 90
)

// supervise runs the switch as a worker of its own and watches it.
func (c *runCmd) supervise(s *streams) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	log, _, err := logger(&cfg.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // standard error cannot be synced
	notify, err := sdnotify.FromEnv()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	p := &cfg.Supervisor
	memory := int64(p.Memory) << 20
	log.Info("supervising", zap.Duration("heartbeat", p.Heartbeat), zap.Int("memory_mib", p.Memory), zap.String("crashes", supervisor.Folder(cfg.Data)))
	return supervisor.Run(supervisor.Options{Program: program, Args: c.workerArgs(), Env: memoryEnv(memory),
		Crashes: supervisor.Folder(cfg.Data), Heartbeat: p.Heartbeat, Start: p.StartTimeout, Stop: cfg.Stop.Deadline + stopSlack, Memory: memory,
		Backoff: p.Backoff, MaxBackoff: p.MaxBackoff, Steady: steadyAfter,
		Out: s.out, Err: s.err, Logger: log, Notify: notify, Signals: signals})
}

// workerArgs are the words of the command that the worker runs.
func (c *runCmd) workerArgs() []string {
	args := []string{"run", "-c", c.Config}
	if c.Profile {
		args = append(args, "--profile")
	}
	return args
}

// memoryEnv has the worker collect its garbage before a limit, not after; who set
// the variable himself knows better.
func memoryEnv(limit int64) []string {
	if limit == 0 || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return []string{"GOMEMLIMIT=" + strconv.FormatInt(limit/100*softMemory, 10)}
}

// supervised counts the crashes of the workers before this one, and makes that the
// end of a supervisor is not the end of its worker: what it logs then goes nowhere,
// and the signal for that would kill it.
func supervised(faults *fault.Book) error {
	signal.Ignore(syscall.SIGPIPE)
	text, ok := os.LookupEnv(supervisor.CrashesEnv)
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return errors.New(supervisor.CrashesEnv + ": " + err.Error())
	}
	faults.Add(fault.WorkerCrashed, n)
	return nil
}
