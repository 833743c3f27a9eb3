// Package successor hands a running switch over to a new process on the same
// ports. Stores belong to one process at a time, so the two take turns:
//
//	old                                     new
//	starts the new one ──────────────────▶  reads its config and all that can be read
//	                    ◀────── prepared ─  (or says why not and ends, and the old one goes on)
//	listening sockets  ──────────────────▶  holds them; newcomers wait in their backlog
//	drains, closes its stores
//	go                 ──────────────────▶  opens the stores, recovers, accepts
//	                    ◀───────── ready ─  (or says why not and ends, and the old one opens again)
//	ends
//
// They speak over a Unix stream that the new one inherits: one byte for each
// word, the sockets as conn.HandOver sends them, behind the word of a failure two
// bytes of length and a text. What the new one must know beforehand is a variable of
// its environment. When the old one dies in the
// middle, the stores are free, and the new one goes on without being told.
package successor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tongka/conn"
)

// env tells a process that it is a successor, and on which descriptor it speaks
// with the one before it.
const env = "TONGKA_SUCCESSOR_FD"

// noteEnv is what the process before this one has to say to it.
const noteEnv = "TONGKA_SUCCESSOR_NOTE"

// The words.
const (
	wordPrepared byte = 'P'
	wordGo       byte = 'G'
	wordReady    byte = 'R'
	wordFailed   byte = 'F'
)

// maxReason is the most of a failure's text that is told, in bytes.
const maxReason = 4 << 10

// ReadyWithin is how long a successor may take to recover and open its doors.
const ReadyWithin = 5 * time.Minute

// Successor is the new process, as the old one sees it.
type Successor struct {
	cmd   *exec.Cmd
	line  *net.UnixConn
	ended chan error // gets the process's end
}

// Spawn starts this program again, with the same command line, and waits until
// it is prepared. It is the file of now: an update of the program takes effect. The
// note is for the new process, see Heir.Note; it is no secret.
func Spawn(ctx context.Context, program string, args []string, note string) (*Successor, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	s := &Successor{cmd: exec.Command(program, args...), line: ours, ended: make(chan error, 1)}
	// The watchdog watches whoever follows, not the number of the one before.
	s.cmd.Env = append(without(os.Environ(), env, noteEnv, "WATCHDOG_PID"), env+"=3", noteEnv+"="+note) // 3 is the first of ExtraFiles
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
	case b[0] == wordFailed:
		return s.reason()
	case b[0] != word:
		return fmt.Errorf("successor: heard %q, want %q", b[0], word)
	}
	return nil
}

// reason reads what a new process says of its failure.
func (s *Successor) reason() error {
	var n [2]byte
	if _, err := io.ReadFull(s.line, n[:]); err != nil {
		return fmt.Errorf("successor: a failure without its reason: %w", err)
	}
	text := make([]byte, min(int(binary.BigEndian.Uint16(n[:])), maxReason))
	if _, err := io.ReadFull(s.line, text); err != nil {
		return fmt.Errorf("successor: a failure without its reason: %w", err)
	}
	return errors.New(strings.ToValidUTF8(string(text), ""))
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
type Heir struct {
	line *net.UnixConn
	note string
}

// Note is what the old process had to say when it started this one.
func (h *Heir) Note() string { return h.note }

// FromEnv gives the process that is to be followed; nil when there is none. What
// this process starts is no successor.
func FromEnv() (*Heir, error) {
	text, note := os.Getenv(env), os.Getenv(noteEnv)
	if text == "" {
		return nil, nil
	}
	if err := errors.Join(os.Unsetenv(env), os.Unsetenv(noteEnv)); err != nil {
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
	return &Heir{line, note}, nil
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

// Fail says why this process ends and does not follow. The old one goes on, or opens
// again, and passes it on to whoever asked for the change.
func (h *Heir) Fail(why error) {
	text := why.Error()
	text = text[:min(len(text), maxReason)]
	_, _ = h.line.Write(append(binary.BigEndian.AppendUint16([]byte{wordFailed}, uint16(len(text))), text...)) // the old one may be gone
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

// without drops variables of an environment.
func without(vars []string, names ...string) (kept []string) {
	for _, v := range vars {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(names, name) {
			kept = append(kept, v)
		}
	}
	return kept
}
