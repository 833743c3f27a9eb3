package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stopLimit is how long a process may take to end by itself.
const stopLimit = 15 * time.Second

// child is one process of the bench. The end of its standard input tells it to
// end, so it does not outlive the bench however that dies.
type child struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
}

// role starts this program again as one of the parts (role.go) and hands it
// what it needs to know.
func (b *bench) role(ctx context.Context, name string, spec any) (*child, error) {
	words := append(append([]string(nil), b.self[1:]...), roleFlag, name)
	c := &child{name: name, cmd: exec.CommandContext(ctx, b.self[0], words...)}
	c.cmd.Stderr = b.errors
	c.cmd.SysProcAttr = dieWithUs()
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, c.wrap(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, c.wrap(err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, c.wrap(err)
	}
	c.in, c.out = in, json.NewDecoder(out)
	if err := json.NewEncoder(in).Encode(spec); err != nil {
		return nil, errors.Join(c.wrap(err), c.stop())
	}
	return c, nil
}

// hear reads one message from the process.
func (c *child) hear(v any) error {
	if err := c.out.Decode(v); err != nil {
		return errors.Join(c.wrap(err), c.stop())
	}
	return nil
}

// stop lets the process end and reaps it; one that does not is killed.
func (c *child) stop() error {
	if c.cmd.ProcessState != nil {
		return nil
	}
	_ = c.in.Close()
	return c.wrap(reap(c.cmd, stopLimit))
}

func (c *child) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("bench: %s: %w", c.name, err)
}

// reap waits for a process that was told to end, and kills it if it has not
// after limit. A process that had to be killed is an error.
func reap(cmd *exec.Cmd, limit time.Duration) error {
	kill := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	return cmd.Wait()
}

// dieWithUs has the kernel kill a child when the thread that started it ends,
// for what does not watch its standard input. The bench holds that thread.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL} }

// tail is the end of a file, for error messages.
func tail(path string, n int64) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		_, _ = f.Seek(-n, io.SeekEnd)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
