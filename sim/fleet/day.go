package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// Day is one terminal that does what it is told, a step at a time, as somebody at
// its keys would: what the demo shows of a terminal's day. What it sells stands in
// the fleet's books like any other terminal's. One goroutine at a time.
//
// A step that the switch refuses gives a Refusal. One without an answer is sent again,
// as a terminal does, four times in all; then, or when an answer cannot be believed, it
// gives another error.
type Day struct {
	t     *terminal
	named map[int]*original // what later requests have named, by place in the book
	began int               // place in the book where the batch begins
	// The batch that was settled last.
	settled uint32
	items   []book.Sale
}

// Refusal is the error of a step that was answered with another code than 00.
type Refusal struct{ Code txn.Code }

// Error is the code and its words.
func (r Refusal) Error() string {
	w := r.Code.Words()
	return fmt.Sprintf("F39 %s %s %s", r.Code, w.ZH, w.EN)
}

// Day gives terminal i of a fleet that was not started and will not be: its other
// terminals are for other days.
func (f *Fleet) Day(i int) (*Day, error) {
	if i < 0 || i >= len(f.terminals) {
		return nil, fmt.Errorf("fleet: no terminal %d among %d", i, len(f.terminals))
	}
	if !f.stepped.Load() && f.started.Swap(true) {
		return nil, errors.New("fleet: started before")
	}
	if !f.stepped.Swap(true) {
		close(f.done) // nobody sells of himself, so there is nobody to wait for
	}
	return &Day{t: f.terminals[i], named: map[int]*original{}, began: len(f.terminals[i].sales)}, nil
}

// Close ends the terminal's connection.
func (d *Day) Close() { d.t.disconnect() }

// Batch is the number of the batch that the terminal is in.
func (d *Day) Batch() uint32 { return d.t.batch }

// SignIn fetches working keys and a new batch number.
func (d *Day) SignIn(ctx context.Context) error { return d.SignInFor(ctx, d.t.cfg.SignIn) }

// SignInFor is a SignIn that asks for the keys of a code, as Terminal.SignIn has them;
// later ones ask for the same.
func (d *Day) SignInFor(ctx context.Context, keys string) error {
	d.t.cfg.SignIn = keys
	err := d.step(ctx, d.t.signIn)
	var code refused
	if errors.As(err, &code) {
		return Refusal{txn.Code(code)}
	}
	if err == nil {
		d.began = len(d.t.sales)
	}
	return err
}

// step does f over the terminal's connection, and not longer than ctx lasts, until it
// is answered or has been tried often enough.
func (d *Day) step(ctx context.Context, f func() error) (err error) {
	for range maxTries {
		if err = d.once(ctx, f); !errors.Is(err, errNoAnswer) || !aid.Pause(ctx, aid.FirstPause) {
			break
		}
	}
	return err
}

// once does f a single time. The connection stays for the next step.
func (d *Day) once(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := d.t.connect(d.t.fleet.ctx); err != nil {
		return err
	}
	c := d.t.conn
	stop := context.AfterFunc(ctx, func() { c.Close() })
	err := f()
	if !stop() {
		d.t.disconnect()
	}
	return err
}

// SignOff ends the session; until the next sign-in the terminal sells nothing.
func (d *Day) SignOff(ctx context.Context) error {
	err := d.manage(ctx, 0x0820, func(m *message) { m.Put(60, d.t.f60("00", d.t.batch, "002")) })
	if err == nil {
		d.t.setSigned(false)
	}
	return err
}

// Echo asks whether anybody is there.
func (d *Day) Echo(ctx context.Context) error {
	return d.manage(ctx, 0x0820, func(m *message) { m.Put(60, d.t.f60("00", d.t.batch, "301")) })
}

// Load loads what stands under a code (360 parameters, 370 CA keys, 380 parameters
// of chip cards, 390 blacklist) block by block, and says that it has all. data is
// empty when the switch has nothing.
func (d *Day) Load(ctx context.Context, code int) (data []byte, blocks int, err error) {
	for n := 1; ; n++ {
		part, more, err := d.Block(ctx, code, n)
		if err != nil {
			return data, blocks, err
		}
		if part == nil {
			return nil, 0, nil
		}
		data, blocks = append(data, part...), n
		if !more {
			break
		}
	}
	return data, blocks, d.manage(ctx, 0x0800, func(m *message) { m.Put(60, d.t.f60("00", d.t.batch, strconv.Itoa(code+1))) })
}

// Block loads one block, from 1; nil when there is nothing under the code. Who was
// broken off goes on with the block that is missing.
func (d *Day) Block(ctx context.Context, code, n int) (data []byte, more bool, err error) {
	err = d.manage(ctx, 0x0800, func(m *message) {
		m.Put(60, d.t.f60("00", d.t.batch, strconv.Itoa(code)))
		m.Put(62, strconv.AppendInt(nil, int64(n), 10))
	})
	f62 := d.t.view.Field(62)
	switch {
	case err != nil:
		return nil, false, err
	case len(f62) == 0:
		return nil, false, fmt.Errorf("%w: no F62 in the answer to a download", errNoAnswer)
	case f62[0] == '0':
		return nil, false, nil
	}
	return slices.Clone(f62[1:]), f62[0] == '2', nil
}

// Newer asks whether there is another version under a code than the one that the
// terminal holds, and which.
func (d *Day) Newer(ctx context.Context, code int, holds string) (version string, newer bool, err error) {
	err = d.manage(ctx, 0x0820, func(m *message) {
		m.Put(60, d.t.f60("00", d.t.batch, strconv.Itoa(code+2)))
		m.Put(62, []byte(holds))
	})
	if f62 := d.t.view.Field(62); err == nil && len(f62) > 0 && f62[0] != '0' {
		return string(f62[1:]), true, nil
	}
	return "", false, err
}

// Make makes one request of a kind: a sale or another of mixKinds. of is the
// approved request that it names, of this Day; nil for a kind that names none. The
// result says by State and Code how it ended; what was not answered is owed a
// reversal, which TakeBack sends.
func (d *Day) Make(ctx context.Context, kind txn.Kind, of *book.Sale) (book.Sale, error) {
	f := forms[kind]
	if f == nil || (f.of == txn.Unknown) != (of == nil) {
		return book.Sale{}, fmt.Errorf("fleet: a day has no %v that names %v", kind, of)
	}
	var o *original
	if of != nil {
		i := d.t.place(of)
		if i < 0 || kindOf(of) != f.of && !slices.Contains(alsoNames[kind], kindOf(of)) {
			return book.Sale{}, fmt.Errorf("fleet: %v cannot name %v of %d fen", kind, kindOf(of), of.Amount)
		}
		if o = d.named[i]; o == nil {
			o = &original{sale: i, kind: kindOf(of), named: map[txn.Kind]int{}}
			d.named[i] = o
		}
	}
	d.t.due = time.Now()
	var s book.Sale
	err := d.step(ctx, func() error {
		if !d.t.signed {
			return Refusal{txn.SignInAgain} // it has no key to say it with
		}
		s = d.t.sales[d.t.request(ctx, kind, o)]
		return context.Cause(d.t.fleet.ctx)
	})
	if o != nil && s.State != book.Approved && s.Number != 0 {
		o.named[kind]-- // the original may be named again, for the same amount
	}
	return s, err
}

// alsoNames are the kinds that may be named besides the usual one.
var alsoNames = map[txn.Kind][]txn.Kind{txn.Refund: {txn.Completion}, txn.Tip: {txn.Completion}}

// TakeBack reverses an approved request, or one without an answer: the terminal's
// own 0400, as after a fault of its printer.
func (d *Day) TakeBack(ctx context.Context, s *book.Sale) (book.Sale, error) {
	t := d.t
	i := t.place(s)
	if i < 0 || formOf(s).leavesNoReversal {
		return book.Sale{}, fmt.Errorf("fleet: %v of %d fen is none that can be taken back", kindOf(s), s.Amount)
	}
	at := slices.IndexFunc(t.owed, func(o owed) bool { return o.sale == i })
	if at < 0 {
		if t.sales[i].Reason == "" {
			t.sales[i].Reason = "06"
		}
		t.owe(owed{sale: i})
		at = len(t.owed) - 1
	}
	err := d.step(ctx, func() error {
		if !t.signed {
			return Refusal{txn.SignInAgain}
		}
		t.reverse(ctx, at)
		switch {
		case t.sales[i].State == book.Reversed:
			return nil
		case slices.ContainsFunc(t.owed, func(o owed) bool { return o.sale == i }):
			return fmt.Errorf("%w to a reversal of %v", errNoAnswer, kindOf(s))
		}
		return Refusal{txn.Conflict}
	})
	return t.sales[i], err
}

// Balance asks for what is on a card and gives F54 of the answer.
func (d *Day) Balance(ctx context.Context) (string, error) {
	t := d.t
	err := d.step(ctx, func() error {
		if !t.signed {
			return Refusal{txn.SignInAgain}
		}
		n := t.next
		t.next++
		s := book.Sale{Merchant: t.cfg.Merchant, Terminal: t.cfg.Number, Trace: traceOf(n), Batch: t.batch, Number: n, Card: t.cardFor(n)}
		req, err := t.appendEnquiry(t.out, &s)
		if err == nil {
			t.out = req
			err = t.exchange(req, 0x0210, s.Trace)
		}
		if err == nil {
			err = t.verify(&s)
		}
		return t.judged(err)
	})
	if err != nil {
		return "", err
	}
	return string(t.view.AppendText(nil, 54)), nil
}

// manage sends one management message and wants 00.
func (d *Day) manage(ctx context.Context, mti iso8583.MTI, fill func(*message)) error {
	trace := d.t.take()
	return d.step(ctx, func() error { return d.t.manage(mti, trace, fill) })
}

func (t *terminal) manage(mti iso8583.MTI, trace uint32, fill func(*message)) error {
	m := begin(t.out, mti)
	m.PutUint(11, uint64(trace))
	m.Put(41, []byte(t.cfg.Number))
	m.Put(42, []byte(t.cfg.Merchant))
	fill(&m)
	req, err := m.end(t.cfg.MAC, nil)
	if err == nil {
		t.out = req
		err = t.exchange(req, mti.Reply(), trace)
	}
	return t.judged(err)
}

// take gives the next trace number.
func (t *terminal) take() uint32 {
	t.next++
	return traceOf(t.next - 1)
}

// judged is err, or a Refusal when the answer in t.view is one. After a fault the
// connection is closed, so that a late answer is nobody's.
func (t *terminal) judged(err error) error {
	if err != nil {
		t.disconnect()
		return err
	}
	if c := t.code(); c != txn.OK {
		if c == txn.SignInAgain || c == txn.BadMAC || c == txn.NoKey {
			t.setSigned(false)
		}
		return Refusal{c}
	}
	return nil
}

// place is where a request stands in the book; -1 when it does not.
func (t *terminal) place(s *book.Sale) int {
	return slices.IndexFunc(t.sales, func(o book.Sale) bool { return o.Number == s.Number && o.Key() == s.Key() })
}
