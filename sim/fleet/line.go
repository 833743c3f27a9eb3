package fleet

import (
	"context"
	"fmt"
	"time"

	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/txn"
)

// Line is one terminal that somebody else leads, such as a kiosk: it connects,
// signs in, seals what it sends and verifies what it hears. It belongs to one
// goroutine.
type Line struct{ t *terminal }

// NewLine makes a terminal that waits to be led; its trace numbers begin at first.
func NewLine(cfg Terminal, addr string, answer time.Duration, first uint32) (*Line, error) {
	f, err := New(Config{Addr: addr, Terminals: []Terminal{cfg}, AnswerTimeout: answer, First: first})
	if err != nil {
		return nil, err
	}
	return &Line{f.terminals[0]}, nil
}

// Request is a message of a led terminal.
type Request struct {
	MTI    iso8583.MTI
	Proc   string // F3
	Amount int64  // F4, fen; 0 has none
	Trace  uint32
	Cond   string // F25
	Reason string // F39 of a reversal
	PAN    *txn.PAN
	PIN    bool
	Card   []byte // F58
	Data   []byte // F62
	Usage  string // F60.1
	Net    string // F60.3 and what follows
	Of     uint32 // trace of what F61 names, of this batch and day; 0 names nothing
}

// Ready connects and signs in as needed.
func (l *Line) Ready(ctx context.Context) error { return l.t.ready(ctx) }

// Drop tears the connection; the working keys stay good.
func (l *Line) Drop() { l.t.disconnect() }

// Connects counts connections that were made, SignIns sign-ins that were approved.
func (l *Line) Connects() uint64 { return l.t.fleet.n.connects.Load() }

// SignIns counts sign-ins that were approved.
func (l *Line) SignIns() uint64 { return l.t.fleet.n.signIns.Load() }

// Number draws a trace number that this terminal has not used.
func (l *Line) Number() uint32 {
	n := l.t.next
	l.t.next++
	return traceOf(n)
}

// Next is the number that the next draw is made from: what a book keeps.
func (l *Line) Next() uint32 { return l.t.next }

// Ask sends a request and waits for its answer: F39, and F58 and F54, which are
// good until the next call. On an error nothing is known of the request's end,
// and the connection is gone.
func (l *Line) Ask(q *Request) (code txn.Code, card, balance []byte, err error) {
	t := l.t
	if err = l.Send(q); err == nil {
		err = t.await(q.MTI|0x0010, q.Trace)
	}
	if err == nil {
		err = t.verify(&book.Sale{Merchant: t.cfg.Merchant, Terminal: t.cfg.Number, Amount: q.Amount})
	}
	if err != nil {
		t.disconnect()
		return code, nil, nil, err
	}
	switch code = t.code(); code {
	case txn.SignInAgain, txn.BadMAC, txn.NoKey:
		t.setSigned(false)
	}
	return code, t.view.Field(58), t.view.Field(54), nil
}

// Send sends a request and does not look at what comes, for who pulls the plug
// next.
func (l *Line) Send(q *Request) error {
	b, err := l.append(q)
	if err != nil {
		return err
	}
	return l.t.send(b)
}

// append makes the message of q.
func (l *Line) append(q *Request) ([]byte, error) {
	t := l.t
	m := begin(t.out, q.MTI)
	if q.PAN != nil {
		m.Put(2, q.PAN.AppendDigits(t.text[:0]))
	}
	m.Put(3, []byte(q.Proc))
	if q.Amount > 0 {
		m.PutUint(4, uint64(q.Amount))
	}
	m.PutUint(11, uint64(q.Trace))
	entry := "052"
	if q.PIN {
		entry = "051"
	}
	m.Put(22, []byte(entry))
	m.Put(25, []byte(q.Cond))
	if q.PIN {
		m.Put(26, []byte("12"))
	}
	if q.Reason != "" {
		m.Put(39, []byte(q.Reason))
	}
	t.parties(&m)
	if q.PIN {
		pan12 := q.PAN.Tail12()
		block, err := t.pik.pinBlock([]byte(testPIN), &pan12)
		if err != nil {
			return nil, fmt.Errorf("PIN block: %w", err)
		}
		m.Put(52, block)
		m.Put(53, []byte("2600000000000000"))
	}
	if q.Card != nil {
		m.Put(58, q.Card)
	}
	m.Put(60, t.f60(q.Usage, t.batch, q.Net))
	if q.Of != 0 {
		m.Put(61, fmt.Appendf(nil, "%06d%06d%s", t.batch, q.Of, time.Now().Format("0102")))
	}
	if q.Data != nil {
		m.Put(62, q.Data)
	}
	out, err := m.end(t.cfg.MAC, t.mak)
	if err == nil {
		t.out = out
	}
	return out, err
}
