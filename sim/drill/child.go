package drill

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is one process of the drill. It dies with us.
type child struct {
	name string
	cmd  *exec.Cmd
	out  bytes.Buffer  // its standard output, to be read when it has ended
	last tail          // of its standard error
	done chan struct{} // closed when it has ended
	err  error         // why, then
}

// start starts this program with a command line.
func (d *drill) start(args ...string) (*child, error) {
	words := append(append([]string(nil), d.o.Self[1:]...), args...)
	c := &child{name: strings.Join(args[:min(2, len(args))], " "), done: make(chan struct{}), cmd: exec.Command(d.o.Self[0], words...)}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.last
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// kill ends the process at once, wherever it is.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.done
}

// stop asks the process to end and waits; one that does not is killed.
func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	select {
	case <-c.done:
		return c.fault()
	case <-time.After(patience):
		c.kill()
		return fmt.Errorf("%s: 未在 %v 内结束 · did not end within %v", c.name, patience, patience)
	}
}

func (c *child) gone() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// fault is how an ended process ended, with its last words; nil for a good end.
func (c *child) fault() error {
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", c.name, c.err, c.said())
}

func (c *child) said() string { return c.last.String() }

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 8 << 10

// Write keeps the last tailSize bytes, or some more.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b = append(t.b, p...); len(t.b) > 2*tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

// follower counts the approvals in a book of terminals while it grows.
type follower struct {
	path  string
	at    int64
	rest  []byte // of a line that is not whole yet
	count int
}

var approval = []byte(`"state":"approved"`)

// look reads what has come and gives the count.
func (f *follower) look() (int, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return f.count, nil // the terminals have not begun
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Seek(f.at, io.SeekStart); err != nil {
		return 0, err
	}
	b, err := io.ReadAll(file)
	if err != nil {
		return 0, err
	}
	f.at += int64(len(b))
	b = append(f.rest, b...)
	end := bytes.LastIndexByte(b, '\n') + 1
	f.count += bytes.Count(b[:end], approval)
	f.rest = append([]byte(nil), b[end:]...)
	return f.count, nil
}
