// Package sdnotify tells systemd how the process is: READY=1, RELOADING=1,
// STOPPING=1, WATCHDOG=1, MAINPID=n, STATUS=…, as datagrams to the socket that
// NOTIFY_SOCKET names (source: sd_notify(3)). Without that variable nobody
// listens and every call does nothing.
package sdnotify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is where systemd listens; nil tells nobody.
type Socket struct {
	addr net.UnixAddr
}

// FromEnv gives the socket of NOTIFY_SOCKET: an absolute path, or an abstract
// name after an @. nil, with no error, when the variable is empty.
func FromEnv() (*Socket, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	switch {
	case name == "":
		return nil, nil
	case name[0] != '/' && name[0] != '@':
		return nil, fmt.Errorf("NOTIFY_SOCKET=%q: neither a path nor an abstract name", name)
	}
	return &Socket{net.UnixAddr{Name: name, Net: "unixgram"}}, nil
}

// Ready says that the doors are open, in words for systemctl status.
func (s *Socket) Ready(status string) error { return s.send("READY=1", "STATUS="+oneLine(status)) }

// Reloading says that a reload has begun; Ready ends it. systemd wants the
// monotonic time with it, in microseconds.
func (s *Socket) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("monotonic clock: %w", err)
	}
	return s.send("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping says that the process is about to end.
func (s *Socket) Stopping(status string) error {
	return s.send("STOPPING=1", "STATUS="+oneLine(status))
}

// Watchdog says that the process still moves.
func (s *Socket) Watchdog() error { return s.send("WATCHDOG=1") }

// WatchdogWithin changes how long the process may be silent from now on, until it
// is changed again: for work during which nothing can move.
func (s *Socket) WatchdogWithin(d time.Duration) error {
	return s.send(fmt.Sprintf("WATCHDOG_USEC=%d", d.Microseconds()))
}

// Status says in words what the process does.
func (s *Socket) Status(text string) error { return s.send("STATUS=" + oneLine(text)) }

// MainPID hands the service over to another process.
func (s *Socket) MainPID(pid int) error { return s.send(fmt.Sprintf("MAINPID=%d", pid)) }

// ExtendTimeout asks for so much longer, from now, for the start or the stop
// that is under way.
func (s *Socket) ExtendTimeout(d time.Duration) error {
	return s.send(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds()))
}

// oneLine keeps a text from being taken for more assignments.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

func (s *Socket) send(lines ...string) error {
	if s == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &s.addr)
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	_, err = c.Write([]byte(strings.Join(lines, "\n")))
	return errors.Join(err, c.Close())
}

// PerWindow is how often WatchdogEvery fits into what is allowed.
const PerWindow = 3

// WatchdogEvery is how often Watchdog must be called: a third of what systemd
// allows (WATCHDOG_USEC). 0 when it does not watch this process (WATCHDOG_PID).
func WatchdogEvery() (time.Duration, error) {
	text := os.Getenv("WATCHDOG_USEC")
	if text == "" {
		return 0, nil
	}
	usec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || usec <= 0 || usec > int64(24*time.Hour/time.Microsecond) {
		return 0, fmt.Errorf("WATCHDOG_USEC=%q: wanted microseconds, at most a day", text)
	}
	if pid := os.Getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	return time.Duration(usec) * time.Microsecond / PerWindow, nil
}
