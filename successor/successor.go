// Package successor hands a running switch over to a new process on the same
// ports. Stores belong to one process at a time, so the two take turns:
//
//	old                                     new
//	starts the new one ──────────────────▶  reads its config and all that can be read
//	                    ◀────── prepared ─  (or ends, and the old one goes on)
//	listening sockets  ──────────────────▶  holds them; newcomers wait in their backlog
//	drains, closes its stores
//	go                 ──────────────────▶  opens the stores, recovers, accepts
//	                    ◀───────── ready ─  (or ends, and the old one opens again)
//	ends
//
// They speak over a Unix stream that the new one inherits: one byte for each
// word, the sockets as conn.HandOver sends them. When the old one dies in the
// middle, the stores are free, and the new one goes on without being told.
package successor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tongka/conn"
)

// env tells a process that it is a successor, and on which descriptor it speaks
// with the one before it.
const env = "TONGKA_SUCCESSOR_FD"

// The words.
const (
	wordPrepared byte = 'P'
	wordGo       byte = 'G'
	wordReady    byte = 'R'
)

// ReadyWithin is how long a successor may take to recover and open its doors.
const ReadyWithin = 5 * time.Minute

// Successor is the new process, as the old one sees it.
type Successor struct {
	cmd   *exec.Cmd
	line  *net.UnixConn
	ended chan error // gets the process's end
}

// Spawn starts this program again, with the same command line, and waits until
// it is prepared. It is the file of now: an update of the program takes effect.
func Spawn(ctx context.Context, program string, args []string) (*Successor, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	s := &Successor{cmd: exec.Command(program, args...), line: ours, ended: make(chan error, 1)}
	// The watchdog watches whoever follows, not the number of the one before.
	s.cmd.Env = append(without(without(os.Environ(), env), "WATCHDOG_PID"), env+"=3") // the first of ExtraFiles
	s.cmd.Stdout, s.cmd.Stderr = os.Stdout, os.Stderr
	s.cmd.ExtraFiles = []*os.File{theirs}
	err = s.cmd.Start()
	// Only the new process may hold its end: its death must end the line.
	err = errors.Join(err, theirs.Close())
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.hear(ctx, wordPrepared); err != nil {
		return nil, errors.Join(err, s.Kill())
	}
	return s, nil
}

// PID is the number of the new process.
func (s *Successor) PID() int { return s.cmd.Process.Pid }

// Give gives the new process the sockets.
func (s *Successor) Give(f *conn.Front) error { return f.HandOver(s.line) }

// Go says that the stores are closed, and waits until the doors of the new
// process are open.
func (s *Successor) Go(ctx context.Context) error {
	if _, err := s.line.Write([]byte{wordGo}); err != nil {
		return errors.Join(fmt.Errorf("successor: %w", err), s.Kill())
	}
	ctx, cancel := context.WithTimeout(ctx, ReadyWithin)
	defer cancel()
	if err := s.hear(ctx, wordReady); err != nil {
		return errors.Join(err, s.Kill())
	}
	return s.line.Close()
}

// hear waits for a word. It ends without it when the process has: its end of the
// line is closed then.
func (s *Successor) hear(ctx context.Context, word byte) error {
	stop := context.AfterFunc(ctx, func() { _ = s.line.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var b [1]byte
	switch _, err := io.ReadFull(s.line, b[:]); {
	case ctx.Err() != nil:
		return fmt.Errorf("新进程未按时就绪 · the new process took too long: %w", ctx.Err())
	case err != nil:
		return errors.New("新进程未就绪即退出，原因见其日志 · the new process ended, its log says why")
	case b[0] != word:
		return fmt.Errorf("successor: heard %q, want %q", b[0], word)
	}
	return nil
}

// Kill ends the new process and waits for its end.
func (s *Successor) Kill() error {
	_ = s.cmd.Process.Kill() // fails when it has ended already
	err := <-s.ended
	s.ended <- err
	return s.line.Close()
}

// Keep gives the old process sockets of its own that outlive its front, for the
// case that it must open again.
func Keep(f *conn.Front) (map[string]*net.TCPListener, error) {
	a, b, err := pair()
	if err != nil {
		return nil, err
	}
	defer a.Close()
	to, err := asConn(b)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	sent := make(chan error, 1)
	go func() { sent <- f.HandOver(to) }() // many names may not fit the socket's buffer
	got, err := conn.TakeOver(a)
	return got, errors.Join(err, <-sent)
}

// Heir is the old process, as the new one sees it.
type Heir struct{ line *net.UnixConn }

// FromEnv gives the process that is to be followed; nil when there is none. What
// this process starts is no successor.
func FromEnv() (*Heir, error) {
	text := os.Getenv(env)
	if text == "" {
		return nil, nil
	}
	if err := os.Unsetenv(env); err != nil {
		return nil, err
	}
	if text != "3" {
		return nil, fmt.Errorf("%s=%q: wanted 3", env, text)
	}
	unix.CloseOnExec(3)
	line, err := asConn(os.NewFile(3, "successor"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", env, err)
	}
	return &Heir{line}, nil
}

// Take says that this process is prepared, receives the sockets, and waits until
// the stores are free.
func (h *Heir) Take(ctx context.Context) (map[string]*net.TCPListener, error) {
	stop := context.AfterFunc(ctx, func() { _ = h.line.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := h.line.Write([]byte{wordPrepared}); err != nil {
		return nil, fmt.Errorf("successor: %w", err)
	}
	got, err := conn.TakeOver(h.line)
	if err != nil {
		return nil, err
	}
	var b [1]byte
	// The end of the line is the end of the old process: its stores are free.
	if _, err := io.ReadFull(h.line, b[:]); err != nil && !errors.Is(err, io.EOF) || err == nil && b[0] != wordGo {
		for _, ln := range got {
			_ = ln.Close()
		}
		return nil, fmt.Errorf("successor: not told to go: %w", errors.Join(err, ctx.Err()))
	}
	return got, nil
}

// Ready says that the doors are open. That nobody hears it is no fault.
func (h *Heir) Ready() {
	_, _ = h.line.Write([]byte{wordReady})
	_ = h.line.Close()
}

// pair is two ends of a stream: one for us, one to give away.
func pair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "successor"), os.NewFile(uintptr(fds[1]), "successor")
	c, err := asConn(ours)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return c, theirs, nil
}

// asConn closes the file: the connection has a descriptor of its own.
func asConn(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("this is no Unix socket"), c.Close())
	}
	return u, nil
}

// without drops one variable of an environment.
func without(vars []string, name string) (kept []string) {
	for _, v := range vars {
		if !strings.HasPrefix(v, name+"=") {
			kept = append(kept, v)
		}
	}
	return kept
}
