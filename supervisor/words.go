package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// What is kept of a worker's words: the last ones, and from where it began to die
// the first ones, for there stands the reason and behind it every goroutine.
const (
	keepHead = 256 << 10
	keepTail = 256 << 10
	maxLine  = 4 << 10 // of a line, to see how it begins
)

const (
	lastFile     = "last.txt"
	previousFile = "previous.txt"
)

// marks begin the last words of a Go program.
var marks = [][]byte{[]byte("panic: "), []byte("fatal error: "), []byte("SIGQUIT: "), []byte("SIGABRT: "), []byte("unexpected fault address "), []byte("runtime: ")}

// words are a worker's standard error: passed on as they come, and the end kept.
type words struct {
	to   io.Writer
	done chan struct{} // closed when nobody can write any more

	mu    sync.Mutex
	line  []byte // the beginning of the line under way
	head  []byte // from the mark on
	dying bool
	tail  ring
}

// listenTo reads until all ends of the pipe are closed.
func listenTo(r *os.File, to io.Writer) *words {
	w := &words{to: to, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		_, _ = io.Copy(w, r) // its end is the pipe's
		_ = r.Close()
	}()
	return w
}

// Write keeps and passes on. It never fails: a worker must not be stopped by who
// does not read us.
func (w *words) Write(b []byte) (int, error) {
	w.mu.Lock()
	w.take(b)
	w.mu.Unlock()
	_, _ = w.to.Write(b)
	return len(b), nil
}

func (w *words) take(b []byte) {
	w.tail.write(b)
	for len(b) > 0 && !w.dying {
		rest := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			rest, b = b[:i+1], b[i+1:]
		} else {
			b = nil
		}
		if room := maxLine - len(w.line); room > 0 {
			w.line = append(w.line, rest[:min(room, len(rest))]...)
		}
		for _, m := range marks {
			if bytes.HasPrefix(w.line, m) {
				w.dying = true
				w.head = append(w.head, w.line...)
				break
			}
		}
		if rest[len(rest)-1] == '\n' {
			w.line = w.line[:0]
		}
	}
	if w.dying && len(w.head) < keepHead {
		w.head = append(w.head, b[:min(len(b), keepHead-len(w.head))]...)
	}
}

// wait waits for the end of all words, but not for long.
func (w *words) wait(within time.Duration) {
	if w == nil {
		return
	}
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-w.done:
	case <-t.C:
	}
}

// text is what is kept.
func (w *words) text() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	tail, lost := w.tail.bytes()
	if !w.dying || bytes.Contains(tail, w.head) {
		if lost > 0 {
			return append(fmt.Appendf(nil, "… %d bytes before are not kept\n", lost), tail...)
		}
		return tail
	}
	return append(append(bytes.Clone(w.head), "\n… and at the end\n"...), tail...)
}

// ring keeps the last bytes.
type ring struct {
	b     []byte
	at    int
	total int64
}

func (r *ring) write(b []byte) {
	r.total += int64(len(b))
	if r.b == nil {
		r.b = make([]byte, 0, keepTail)
	}
	if len(b) > keepTail {
		b = b[len(b)-keepTail:]
	}
	if n := min(len(b), keepTail-len(r.b)); n > 0 {
		r.b, b = append(r.b, b[:n]...), b[n:]
	}
	for len(b) > 0 {
		n := copy(r.b[r.at:], b)
		r.at, b = (r.at+n)%keepTail, b[n:]
	}
}

func (r *ring) bytes() (all []byte, lost int64) {
	return append(bytes.Clone(r.b[r.at:]), r.b[:r.at]...), r.total - int64(len(r.b))
}

// keep writes the words of a crash down; those of the crash before stay beside.
func keep(dir, head string, w *words) (path string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, lastFile)
	if err := os.Rename(path, filepath.Join(dir, previousFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(append([]byte(head), w.text()...))
	return path, errors.Join(err, f.Sync(), f.Close())
}
