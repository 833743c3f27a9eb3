package moov

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/moov-io/iso8583"
)

// framing is how a side's messages stand in the stream: what is before each.
type framing struct {
	read  func(io.Reader) (length int, err error)
	write func(w io.Writer, length int) error
}

// line is one connection in the shape that the documentation of moov's connection
// package gives it: a goroutine that reads, one that writes, a goroutine for each
// message that came, and callers that wait on a channel for the answer with
// their trace number. It is written here anew, without that package's timers, so
// it costs rather less than the package.
type line struct {
	c     net.Conn
	spec  *iso8583.MessageSpec
	frame framing
	out   chan []byte
	gone  chan struct{}
	once  sync.Once
	err   error // why it has ended, after gone

	mu      sync.Mutex
	waiting map[string]chan *iso8583.Message
}

var errGone = errors.New("moov: the connection has ended")

// newLine takes over c. inbound gets what nobody waits for, each in a goroutine.
func newLine(c net.Conn, spec *iso8583.MessageSpec, f framing, inbound func(*line, *iso8583.Message)) *line {
	l := &line{c: c, spec: spec, frame: f, out: make(chan []byte), gone: make(chan struct{}), waiting: map[string]chan *iso8583.Message{}}
	go l.write()
	go l.read(inbound)
	return l
}

// end closes the line; the first reason counts.
func (l *line) end(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.gone)
		_ = l.c.Close()
	})
}

func (l *line) write() {
	w := bufio.NewWriter(l.c)
	for {
		select {
		case b := <-l.out:
			err := l.frame.write(w, len(b))
			if err == nil {
				_, err = w.Write(b)
			}
			if err == nil {
				err = w.Flush()
			}
			if err != nil {
				l.end(err)
				return
			}
		case <-l.gone:
			return
		}
	}
}

func (l *line) read(inbound func(*line, *iso8583.Message)) {
	r := bufio.NewReader(l.c)
	for {
		n, err := l.frame.read(r)
		if err != nil {
			l.end(err)
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			l.end(err)
			return
		}
		go l.handle(b, inbound)
	}
}

func (l *line) handle(b []byte, inbound func(*line, *iso8583.Message)) {
	m := iso8583.NewMessage(l.spec)
	if err := m.Unpack(b); err != nil {
		l.end(fmt.Errorf("moov: unpack: %w", err))
		return
	}
	trace, err := m.GetString(11)
	if err != nil {
		l.end(fmt.Errorf("moov: F11: %w", err))
		return
	}
	l.mu.Lock()
	to := l.waiting[trace]
	delete(l.waiting, trace)
	l.mu.Unlock()
	switch {
	case to != nil:
		to <- m
	case inbound != nil:
		inbound(l, m)
	}
}

// send packs a request and waits for the answer with the same trace number.
func (l *line) send(m *iso8583.Message) (*iso8583.Message, error) {
	trace, err := m.GetString(11)
	if err != nil {
		return nil, fmt.Errorf("moov: F11: %w", err)
	}
	answer := make(chan *iso8583.Message, 1)
	l.mu.Lock()
	l.waiting[trace] = answer
	l.mu.Unlock()
	if err := l.reply(m); err != nil {
		return nil, err
	}
	select {
	case a := <-answer:
		return a, nil
	case <-l.gone:
		return nil, errGone
	}
}

// reply packs a message and sends it, and waits for nothing.
func (l *line) reply(m *iso8583.Message) error {
	b, err := m.Pack()
	if err != nil {
		return fmt.Errorf("moov: pack: %w", err)
	}
	select {
	case l.out <- b:
		return nil
	case <-l.gone:
		return errGone
	}
}
