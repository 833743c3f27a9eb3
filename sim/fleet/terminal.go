package fleet

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// maxTries is how often a reversal is sent before the next sale: once and three
// repeats. Source: UnionPay POS specification.
const maxTries = 4

// retryEvery is the pause between later attempts at an unresolved sale.
const retryEvery = time.Second

// terminal is one terminal. Everything but sales belongs to its goroutine.
//
//	run:  connect → sign in → reversals due → unresolved, now and then → sale → …
type terminal struct {
	fleet *Fleet
	cfg   Terminal
	id    int
	tmk   key
	pans  []txn.PAN
	log   *zap.Logger

	conn   net.Conn // nil = not connected
	unhook func() bool
	in     *bufio.Reader
	out    []byte
	view   iso8583.View
	wire   iso8583.View  // an answer of 1993, as it came
	sealed *iso8583.View // what the MAC of the answer covers, nil for view
	env    iso8583.Envelope
	text   [40]byte

	given    key  // a TMK that was downloaded and not confirmed
	loaded   bool // its TMK is one that was downloaded
	signed   bool
	pik, mak key
	batch    uint32
	next     uint32 // number of the next sale or sign-in; gives trace and amount
	made     int    // sales of this run
	due      time.Time
	owed     []owed // reversals, oldest first
	// What was approved in this session, oldest first.
	originals []original

	mu    sync.Mutex // guards sales, which Fleet.Sales reads
	sales []book.Sale
}

// owed is a reversal that was not confirmed yet.
type owed struct {
	sale  int // index in sales
	tries int
	next  time.Time // not before
}

// run is the terminal's life. It ends when ctx does, or when the terminal has
// sold what it should (or was told to stop) and nothing is owed.
func (t *terminal) run(ctx context.Context) {
	defer t.disconnect()
	wait := aid.FirstPause
	for ctx.Err() == nil {
		if t.finished() && len(t.owed) == 0 {
			return
		}
		if err := t.ready(ctx); err != nil {
			if ctx.Err() == nil {
				t.fleet.notReady(t, err)
			}
			aid.Pause(ctx, wait)
			wait = min(2*wait, aid.LastPause)
			continue
		}
		wait = aid.FirstPause
		switch i := t.nextOwed(time.Now()); {
		case i >= 0:
			t.reverse(ctx, i)
		case t.finished():
			aid.Pause(ctx, retryEvery/10)
		case !t.waitDue(ctx):
		case t.fleet.wantsEnquiry(t.id, t.next):
			t.enquire(ctx)
		default:
			t.sell(ctx)
		}
		if t.fleet.cfg.ShortLived {
			t.disconnect()
		}
	}
}

// finished says that no further sale is to be made.
func (t *terminal) finished() bool {
	select {
	case <-t.fleet.stopping:
		return true
	default:
		n := t.fleet.cfg.Sales
		return n > 0 && t.made >= n
	}
}

// ready connects and signs in as needed.
func (t *terminal) ready(ctx context.Context) error {
	if err := t.connect(ctx); err != nil || t.signed {
		return err
	}
	if t.fleet.cfg.LoadKeys && t.cfg.Transport != nil && !t.loaded {
		if err := t.loadKey(); err != nil {
			return err
		}
	}
	return t.signIn()
}

// connect sees to it that there is a connection.
func (t *terminal) connect(ctx context.Context) error {
	if t.conn != nil {
		return nil
	}
	d := net.Dialer{Timeout: aid.LastPause}
	c, err := d.DialContext(ctx, "tcp", t.fleet.cfg.Addr)
	if err != nil {
		return err
	}
	t.conn = c
	t.in.Reset(c)
	// The end of ctx must also end a read that waits.
	t.unhook = context.AfterFunc(ctx, func() { c.Close() })
	t.fleet.n.connects.Add(1)
	return nil
}

func (t *terminal) disconnect() {
	if t.conn != nil {
		t.unhook()
		t.conn.Close() // may be closed already; either way it is gone
		t.conn = nil
	}
}

// signIn fetches working keys. On any fault the connection is closed, so that an
// answer that comes late cannot be taken for the next one's.
func (t *terminal) signIn() error {
	trace := t.take()
	req, err := t.appendSignIn(t.out, trace)
	if err == nil {
		t.out = req
		err = t.exchange(req, 0x0810, trace)
	}
	if err == nil && t.code() != txn.OK {
		err = refused(t.code())
	}
	if err == nil {
		err = t.takeKeys()
	}
	if err != nil {
		t.disconnect()
		return err
	}
	t.originals = t.originals[:0] // another batch: nothing of the old one is voided
	t.setSigned(true)
	t.fleet.signedIn(t)
	return nil
}

func (t *terminal) setSigned(on bool) {
	if t.signed == on {
		return
	}
	t.signed = on
	if on {
		t.fleet.n.signed.Add(1)
	} else {
		t.fleet.n.signed.Add(-1)
	}
}

// nextOwed picks the reversal to send now: one that still has its first tries
// before it, else one whose pause is over; -1 when a sale may be made.
func (t *terminal) nextOwed(now time.Time) int {
	for i := range t.owed {
		if t.owed[i].tries < maxTries {
			return i
		}
	}
	for i := range t.owed {
		if !now.Before(t.owed[i].next) {
			return i
		}
	}
	return -1
}

// waitDue waits for the time of the next sale; false when there is to be none.
func (t *terminal) waitDue(ctx context.Context) bool {
	every := t.fleet.interval
	now := time.Now()
	if every == 0 {
		t.due = now
		return true
	}
	// What was missed by more than a second is given up: a switch that comes
	// back must not be met by the sales of a whole outage at once.
	if t.due = t.due.Add(every); now.Sub(t.due) > time.Second {
		t.due = now.Add(-time.Second)
	}
	timer := time.NewTimer(t.due.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-t.fleet.stopping:
	}
	return false
}

// exchange sends a request and waits for its answer, which is then in t.view.
func (t *terminal) exchange(req []byte, mti iso8583.MTI, trace uint32) error {
	if err := t.send(req); err != nil {
		return err
	}
	return t.await(mti, trace)
}

// send writes a request, and sets the time that its answer has.
func (t *terminal) send(req []byte) error {
	if t.conn == nil {
		return fmt.Errorf("%w: not connected", errNoAnswer)
	}
	if t.fleet.speaker != nil {
		var err error
		if req, err = t.newer(req); err != nil {
			return err
		}
	}
	if err := t.conn.SetDeadline(time.Now().Add(t.fleet.cfg.AnswerTimeout)); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if _, err := t.conn.Write(req); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return nil
}

// await reads the answer to a request that was sent. Frames that answer something
// else are passed over.
func (t *terminal) await(mti iso8583.MTI, trace uint32) error {
	for {
		frame, err := t.read()
		if err != nil {
			return fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		err = t.parse(frame)
		if err != nil {
			return fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		if got, _ := t.view.Uint(11); t.view.MTI() == mti && uint32(got) == trace {
			return nil
		}
		t.fleet.n.stray.Add(1)
	}
}

// read gives the next frame without its length; it is good until the next call.
func (t *terminal) read() ([]byte, error) {
	head, err := t.in.Peek(2)
	if err != nil {
		return nil, err
	}
	n := 2 + int(binary.BigEndian.Uint16(head))
	if n > posFrameLen {
		return nil, fmt.Errorf("frame of %d bytes, at most %d wanted", n, posFrameLen)
	}
	frame, err := t.in.Peek(n)
	if err != nil {
		return nil, err
	}
	_, err = t.in.Discard(n) // the bytes stay in the buffer until it is read again
	return frame[2:], err
}
