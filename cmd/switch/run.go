package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"tongka/config"
	"tongka/node"
)

// stopWithin is how long a stop may take before what is left is cut off.
const stopWithin = 10 * time.Second

// runCmd runs a switch until it is told to stop.
type runCmd struct {
	configFlag
}

// Run starts the switch and waits for a signal, or for the store to fail: then
// the process ends, and the next start reads the truth from disk.
func (c *runCmd) Run(s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	log, err := logger(&cfg.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Sync() }() // standard error cannot be synced
	fatal := make(chan error, 1)
	n, err := node.Start(cfg, node.Options{Version: version(), Logger: log, Fatal: func(err error) { fatal <- err }})
	if err != nil {
		return err
	}
	for i := range cfg.Listeners {
		fmt.Fprintf(s.out, "终端接入 listening: %s %s\n", cfg.Listeners[i].Name, n.Addr(i))
	}
	if a := n.ConsoleAddr(); a != "" {
		fmt.Fprintf(s.out, "控制台 console: http://%s\n", a)
	}
	select {
	case <-s.ctx.Done():
	case err := <-fatal:
		return fmt.Errorf("存储失败，重启后从磁盘恢复 · the store failed, the next start recovers from disk: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return n.Stop(ctx)
}

// logger logs JSON lines to the file, or to standard error.
func logger(c *config.Log) (*zap.Logger, error) {
	z := zap.NewProductionConfig()
	if err := z.Level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, err
	}
	if c.File != "" {
		z.OutputPaths, z.ErrorOutputPaths = []string{c.File}, []string{c.File}
	}
	log, err := z.Build()
	if err != nil {
		err = fmt.Errorf("日志文件 · log file: %w", err)
	}
	return log, err
}

// version is what the console shows.
func version() string {
	info, _ := debug.ReadBuildInfo()
	return readBuild(info).Version
}
