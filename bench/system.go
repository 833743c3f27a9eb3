package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"tongka/sim/port"
)

// readyLimit is how long a switch may take to open its doors: on a slow disk
// the journal's files are written before.
const readyLimit = 60 * time.Second

// system is the switch under test.
type system struct {
	place
	cmd   *exec.Cmd
	ended chan error
}

// startSwitch runs "PROGRAM run -c FILE", with --profile when its time or memory is to be looked at, and returns when /healthz says that
// the doors are open and the bank has signed it on.
func startSwitch(ctx context.Context, program string, p place, profile bool) (*system, error) {
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{"run", "-c", p.config}
	if profile {
		args = append(args, "--profile")
	}
	s := &system{place: p, cmd: exec.CommandContext(ctx, program, args...), ended: make(chan error, 1)}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = dieWithUs()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: switch: %w", err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.untilReady(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// untilReady asks again and again, because a switch that starts has no other
// way to say when it is done; one that ends meanwhile is heard at once.
func (s *system) untilReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	every := time.NewTicker(20 * time.Millisecond)
	defer every.Stop()
	for {
		if healthy(ctx, s.console) {
			return nil
		}
		select {
		case err := <-s.ended:
			s.ended <- err
			if ctx.Err() != nil { // and so it was killed
				return fmt.Errorf("bench: the switch is not ready (%w); its log:\n%s", ctx.Err(), tail(s.log, 2000))
			}
			return fmt.Errorf("bench: the switch ended at start (%v); its log:\n%s", err, tail(s.log, 2000))
		case <-ctx.Done():
			return fmt.Errorf("bench: the switch is not ready (%w); its log:\n%s", ctx.Err(), tail(s.log, 2000))
		case <-every.C:
		}
	}
}

func healthy(ctx context.Context, console netip.AddrPort) bool {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/healthz", console), nil)
	if err != nil {
		return false
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// stop asks the switch to end and kills it when it does not. How it ends is an
// error, since a load must not leave it unable to stop.
func (s *system) stop() error {
	_ = s.cmd.Process.Signal(unix.SIGTERM)
	kill := time.AfterFunc(stopLimit, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	if err := <-s.ended; err != nil {
		return fmt.Errorf("bench: switch: %w; its log:\n%s", err, tail(s.log, 2000))
	}
	return nil
}

// freePorts finds two ports of the loopback interface for a switch that is yet to
// start, and perhaps again. They are held until this process ends: thousands of
// lines are dialled meanwhile, and one of them could have such a port.
func freePorts() (a, b netip.AddrPort, err error) {
	_, both, err := port.Hold(2)
	if err != nil {
		return a, b, fmt.Errorf("bench: %w", err)
	}
	return both[0], both[1], nil
}
