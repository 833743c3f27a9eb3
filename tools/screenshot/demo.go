package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// demoFills is how long the demo plays before the picture, unless -after says
// otherwise: the charts are to show more than a corner.
const demoFills = 75 * time.Second

var consoleURL = regexp.MustCompile(`http://(127\.0\.0\.1|localhost|\[::1\]):\d+/?`)

// startDemo plays the switch's own demo and gives the address of its console,
// which is the first loopback one that the demo prints. stop ends it.
func startDemo(ctx context.Context, last time.Duration) (url string, stop func(), err error) {
	cmd := exec.CommandContext(ctx, "go", "run", "./cmd/switch", "demo", "--for", last.String())
	// go run starts the switch as a child of its own, so the whole group has to
	// be told: the demo ends its simulators when it is interrupted.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("the demo: %w", err)
	}
	said := bufio.NewReader(out)
	url, heard, err := findURL(said)
	drained := make(chan struct{})
	go func() { // a full pipe would stop the demo
		defer close(drained)
		_, _ = io.Copy(io.Discard, said) // it ends with the demo
	}()
	stop = func() {
		_ = cmd.Cancel() // it may have ended by itself
		<-drained
		_ = cmd.Wait() // interrupted, so it is no success
	}
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the demo ended without printing the address of its console: %w\n%s", err, heard)
	}
	return url, stop, nil
}

// findURL reads lines up to the one with the console's address; said is what
// came before, for the message when there is none.
func findURL(r *bufio.Reader) (url, said string, err error) {
	for {
		line, err := r.ReadString('\n')
		if u := consoleURL.FindString(line); u != "" {
			return u, said, nil
		}
		if len(said) < 4096 {
			said += line
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", said, err
		}
	}
}
