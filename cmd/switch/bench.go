package main

import (
	"fmt"

	"tongka/bench"
)

// benchCmd measures this program against a raw relay. Its flags are the bench's
// own, and its exit code is passed on.
type benchCmd struct {
	Args []string `arg:"" optional:"" help:"压测选项，见 bench --help · the bench's own flags: bench --help"`
}

// exitCode is an exit code that a command gives by itself.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Run runs the bench.
func (c *benchCmd) Run(s *streams) error {
	if code := bench.Main(c.Args, s.out, s.err); code != exitDone {
		return exitCode(code)
	}
	return nil
}
