// Package audit keeps what people did to a switch: one line of JSON for each
// action in a file that is only appended to, chained by hashes, so that a line
// that was changed, taken out or put in is found.
//
//	{"n":1,"at":…,"who":{…},"action":"reload",…,"result":"ok","prev":"<hash of line 0>","hash":"…"}
//
// hash is SHA-256 over prev and the line without its hash, so each line vouches
// for all before it. What a chain alone cannot show is that its end was cut off;
// therefore the newest Head is kept elsewhere as well, and Check compares.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Who asked for something: a process of this machine as the kernel names it, or
// the holder of a token.
type Who struct {
	UID   int    `json:"uid"`             // -1 when not known
	PID   int    `json:"pid,omitempty"`   // of the process that asked
	Token string `json:"token,omitempty"` // its name, never the token itself
	Via   string `json:"via"`             // socket, console, signal, switch
}

// Same is true unless two names tell otherwise: two tokens, or two users of the
// machine. A token beside the same user without one proves nothing.
func (a Who) Same(b Who) bool {
	if a.Token != "" && b.Token != "" {
		return a.Token == b.Token
	}
	return a.UID < 0 || b.UID < 0 || a.UID == b.UID
}

// Entry is one action. Before and After are short texts and never hold keys or
// card data; who records one sees to that.
type Entry struct {
	N      uint64    `json:"n"` // from 1
	At     time.Time `json:"at"`
	Who    Who       `json:"who"`
	Action string    `json:"action"`
	What   string    `json:"what,omitempty"` // what it was done to
	Before string    `json:"before,omitempty"`
	After  string    `json:"after,omitempty"`
	Result string    `json:"result"` // ok or refused
	Why    string    `json:"why,omitempty"`
	Prev   string    `json:"prev"`
	Hash   string    `json:"hash,omitempty"`
}

// Head is the end of a chain. The zero Head is that of an empty file.
type Head struct {
	N    uint64 `json:"n"`
	Hash string `json:"hash"`
}

// maxLine bounds a line in bytes: four texts of maxText, of which JSON may write
// each byte as six.
const (
	maxLine = 64 << 10
	maxText = 2 << 10
)

// Fault is a place where a chain does not hold.
type Fault struct {
	File string
	Line int // from 1
	Why  string
}

// Error is file:line: why.
func (f *Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Why) }

// Log is an audit file that is open for appending. Its methods may be called
// from any goroutine.
type Log struct {
	mu   sync.Mutex
	f    *os.File
	head Head
	err  error // a write failed: what the file ends with is not known any more
}

// Open opens or makes the file and checks its chain. A last line without an end
// is what a power cut leaves of a write that nobody was told of: it is cut off,
// and torn says so. A chain that does not hold is a *Fault.
func Open(path string) (l *Log, torn bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("审计文件 · audit file: %w", err)
	}
	head, size, tail, err := read(f, path, nil)
	if err == nil && tail > 0 {
		err = f.Truncate(size)
	}
	if err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return &Log{f: f, head: head}, tail > 0, nil
}

// Append writes one entry durably and gives the new end of the chain. N, At (when
// it is zero), Prev and Hash are filled in.
func (l *Log) Append(e Entry) (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.head, l.err
	}
	e.N, e.Prev = l.head.N+1, l.head.Hash
	if e.At.IsZero() {
		e.At = time.Now()
	}
	for _, s := range []*string{&e.What, &e.Before, &e.After, &e.Why} {
		*s = cut(*s)
	}
	line, hash, err := seal(e)
	if err != nil {
		return l.head, err
	}
	if _, err = l.f.Write(line); err == nil {
		err = l.f.Sync()
	}
	if err != nil {
		l.err = fmt.Errorf("审计文件 · audit file: %w", err)
		return l.head, l.err
	}
	l.head = Head{e.N, hash}
	return l.head, nil
}

// Head is the end of the chain.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Close closes the file.
func (l *Log) Close() error { return l.f.Close() }

// cut makes a text one that JSON gives back as it was, and not too long.
func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// seal gives the line of an entry with its end, and its hash.
func seal(e Entry) (line []byte, hash string, err error) {
	e.Hash = ""
	plain, err := json.Marshal(e)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(append([]byte(e.Prev), plain...))
	e.Hash = hex.EncodeToString(sum[:])
	line, err = json.Marshal(e)
	return append(line, '\n'), e.Hash, err
}

// Verify reads a whole file and gives the end of its chain. each, if not nil,
// gets every entry. The error is a *Fault where the chain does not hold.
func Verify(path string, each func(*Entry)) (Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, fmt.Errorf("审计文件 · audit file: %w", err)
	}
	defer f.Close()
	head, _, tail, err := read(f, path, each)
	if err == nil && tail > 0 {
		err = &Fault{path, int(head.N) + 1, "末行不完整 · the last line has no end"}
	}
	return head, err
}

// Check holds a chain's end against the one that was kept elsewhere. A file that
// is longer is fine: the process may have died between the two.
func Check(path string, kept Head) error {
	found := kept.N == 0
	var other string
	head, err := Verify(path, func(e *Entry) {
		if e.N == kept.N {
			found, other = e.Hash == kept.Hash, e.Hash
		}
	})
	switch {
	case err != nil:
		return err
	case head.N < kept.N:
		return &Fault{path, int(head.N) + 1, fmt.Sprintf("末尾缺少 %d 行 · %d lines are missing at the end", kept.N-head.N, kept.N-head.N)}
	case !found:
		return &Fault{path, int(kept.N), fmt.Sprintf("该行已被替换：存证为 %s · the line was replaced: %s was kept, %s is here", kept.Hash, kept.Hash, other)}
	}
	return nil
}

// read follows the chain. size is where its last whole line ends and tail the
// number of bytes after that.
func read(f io.Reader, path string, each func(*Entry)) (head Head, size int64, tail int, err error) {
	r := bufio.NewReaderSize(f, maxLine)
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			return head, size, len(line), nil
		case errors.Is(err, bufio.ErrBufferFull):
			return head, size, 0, &Fault{path, n, fmt.Sprintf("行超过 %d 字节 · the line is longer than %d bytes", maxLine, maxLine)}
		case err != nil:
			return head, size, 0, fmt.Errorf("审计文件 · audit file: %w", err)
		}
		e, err := follow(line, head)
		if err != nil {
			return head, size, 0, &Fault{path, n, err.Error()}
		}
		head, size = Head{e.N, e.Hash}, size+int64(len(line))
		if each != nil {
			each(e)
		}
	}
}

// follow reads one line and checks that it is the next of the chain. The line is
// made again from what it says, so no byte of it can have changed unseen.
func follow(line []byte, head Head) (*Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("不是审计行 · not an audit line: %w", err)
	}
	switch {
	case e.N != head.N+1:
		return nil, fmt.Errorf("序号 %d，应为 %d，有行被删除或插入 · number %d, want %d: lines were removed or put in", e.N, head.N+1, e.N, head.N+1)
	case e.Prev != head.Hash:
		return nil, errors.New("与上一行不相连 · does not follow from the line before")
	}
	again, hash, err := seal(e)
	if err != nil {
		return nil, err
	}
	if hash != e.Hash || !bytes.Equal(again, line) {
		return nil, errors.New("内容已被更改 · the line was changed")
	}
	return &e, nil
}
