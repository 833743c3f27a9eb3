package bank

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// Limits of a bank's connection.
const (
	bankBuffer   = 64 << 10         // holds any frame: four digits say at most 9999
	writeTimeout = 10 * time.Second // a switch that does not read loses its line
	maxLate      = 100_000          // answers that wait for their delay, over all connections
)

var (
	errLength  = errors.New("frame length is not four decimal digits")
	errDropped = errors.New("dropped on purpose")
	errEnough  = errors.New("closed after its last message")
)

// bankConn is what one connection's reader works with: scratch, used again for
// each batch, and the cells that batch refers to.
type bankConn struct {
	bank *Bank
	net  net.Conn
	line int
	how  Behaviour // as it was when the batch began
	now  time.Time // of the batch
	out  []byte    // answers to send at once
	late []lateAnswer
	read int // messages so far
	view iso8583.View
	env  iso8583.Envelope
	wire iso8583.View // a message of 1993, as it came
	// Of a message that gets its MAC.
	sealView iso8583.View
	sealEnv  iso8583.Envelope
	text     [40]byte // a track has up to 37
}

type lateAnswer struct {
	after time.Duration
	frame []byte
	last  bool
}

// serve reads frames until the connection ends. All whole frames that one read
// brought are decided under one lock, go into the book with one write and are
// answered with one write, in this order: what is answered is in the book.
func (b *Bank) serve(nc net.Conn) {
	defer nc.Close()
	line, ok := b.enter(nc)
	if !ok {
		return
	}
	defer b.leave(nc)
	c := &bankConn{bank: b, net: nc, line: line}
	buf := make([]byte, 0, bankBuffer)
	for {
		n, err := nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if n > 0 {
			var used int
			var bad error
			used, bad = c.batch(buf)
			buf = buf[:copy(buf, buf[used:])]
			err = errors.Join(bad, err)
		}
		if err != nil {
			if b.ctx.Err() == nil {
				b.log.Info("connection closed", zap.String("peer", nc.RemoteAddr().String()), zap.Error(err))
			}
			return
		}
	}
}

func (b *Bank) enter(c net.Conn) (line int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	line = b.freeLine()
	b.conns[c] = line
	// Close may have looked for connections before this one was in the table.
	return line, b.ctx.Err() == nil
}

func (b *Bank) leave(c net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, c)
}

// batch handles the whole frames in p and gives the bytes they took. An error
// ends the connection, after the answers that were ready have left.
func (c *bankConn) batch(p []byte) (used int, err error) {
	c.out, c.late = c.out[:0], c.late[:0]
	c.now = time.Now()
	c.bank.mu.Lock()
	c.how = c.bank.behaviourOf(c.line)
	for err == nil {
		frame, n, bad := nextFrame(p[used:])
		if n == 0 {
			err = bad
			break
		}
		used += n
		if len(frame) > 0 {
			err = c.handle(frame)
			c.read++
		}
		if n := c.how.CloseAfter; n > 0 && c.read >= n && err == nil {
			err = errEnough
		}
	}
	// Nothing may be answered that is not in the book.
	if bad := c.bank.ledger.book.Flush(); bad != nil {
		c.bank.mu.Unlock()
		return used, bad
	}
	c.bank.late += len(c.late)
	c.bank.mu.Unlock()
	bad := c.send(c.out)
	if errors.Is(err, errEnough) && len(c.late) > 0 {
		c.late[len(c.late)-1].last, err = true, nil // it closes when it has been sent
	}
	c.schedule()
	return used, errors.Join(err, bad)
}

// nextFrame finds the first whole frame of p: four ASCII digits, then so many
// bytes. n is 0 when more must be read; a frame of length 0 is a keep-alive.
func nextFrame(p []byte) (frame []byte, n int, err error) {
	if len(p) < 4 {
		return nil, 0, nil
	}
	size := 0
	for _, c := range p[:4] {
		if c < '0' || c > '9' {
			return nil, 0, fmt.Errorf("%w: %q", errLength, p[:4])
		}
		size = size*10 + int(c-'0')
	}
	if len(p) < 4+size {
		return nil, 0, nil
	}
	return p[4 : 4+size], 4 + size, nil
}

func (c *bankConn) send(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := c.net.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.net.Write(p)
	return err
}

// schedule starts a timer for each held-back answer. A timer that fires after
// the connection has gone finds it closed and does nothing.
func (c *bankConn) schedule() {
	for _, l := range c.late {
		time.AfterFunc(l.after, func() {
			c.bank.mu.Lock()
			c.bank.late--
			c.bank.mu.Unlock()
			if err := c.send(l.frame); err != nil {
				c.bank.log.Debug("late answer not sent", zap.Error(err))
			}
			if l.last {
				c.net.Close() // ends its reader
			}
		})
	}
}

// emit puts the financial answer that stands at c.out[from:] where the
// behaviour wants it: out at once, later, twice, or nowhere.
func (c *bankConn) emit(from int) {
	if c.how.Twice {
		c.out = append(c.out, c.out[from:]...)
	}
	if c.how.Delay+c.how.DelayJitter == 0 {
		return
	}
	after := c.how.Delay
	if c.how.DelayJitter > 0 {
		after += rand.N(c.how.DelayJitter)
	}
	if c.bank.late+len(c.late) < maxLate {
		c.late = append(c.late, lateAnswer{after: after, frame: append([]byte(nil), c.out[from:]...)})
	} else {
		c.bank.ledger.stats.Unanswered++
	}
	c.out = c.out[:from]
}

// fate draws the code with which a sale is to be declined, zero for none.
func (c *bankConn) fate() txn.Code {
	if c.how.DeclineRate > 0 && rand.Float64() < c.how.DeclineRate {
		return c.how.declineCode()
	}
	return txn.Code{}
}
