package offline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"tongka/hsm"
	"tongka/hsm/payshield"
)

// Check is one TAC to be looked at, and whether it is right.
type Check struct {
	Key  hsm.Key // TAC master key of cards under the LMK
	Card *hsm.Card
	TAC  [4]byte
	Good bool
}

// Verifier looks at many TACs at once. An error says that nothing is known of any
// of them: a module that fails must not make a good record a bad one.
type Verifier interface {
	Verify(ctx context.Context, checks []Check) error
}

func (c *Check) request(q *hsm.Request, more *hsm.More) {
	more.Card = *c.Card
	*q = hsm.Request{Verb: hsm.VerifyTAC, Key: c.Key, More: more}
	copy(q.MAC[:], c.TAC[:])
}

// take reads a module's answer: the record's fault is 01 alone.
func (c *Check) take(code hsm.Code) error {
	if c.Good = code.OK(); !c.Good && code != hsm.Mismatch {
		return fmt.Errorf("TAC 验证 · TAC verification: %w", code)
	}
	return nil
}

// Local verifies by modules in this process, one for each goroutine.
type Local struct{ Modules []hsm.Module }

// Verify shares the checks out evenly.
func (l *Local) Verify(ctx context.Context, checks []Check) error {
	var wg sync.WaitGroup
	errs := make([]error, len(l.Modules))
	share := (len(checks) + len(l.Modules) - 1) / len(l.Modules)
	for i, m := range l.Modules {
		part := checks[min(i*share, len(checks)):min((i+1)*share, len(checks))]
		wg.Go(func() {
			var q hsm.Request
			var more hsm.More
			for j := range part {
				if errs[i] = ctx.Err(); errs[i] != nil {
					return
				}
				var r hsm.Reply
				part[j].request(&q, &more)
				m.Do(&q, &r)
				if errs[i] = part[j].take(r.Code); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Remote verifies by modules behind sockets (host command UB). Each address has one
// connection, made when it is first wanted; a batch is shared out, and what a module
// that fails did not answer goes to the next.
type Remote struct {
	Addresses []string
	Dialect   payshield.Dialect // with UB defined
	Timeout   time.Duration     // of one window of commands
	conns     []net.Conn
}

// window is how many commands are out on a connection. A multiple of it is a round
// trip each, so it is large; the module's own queue bounds it.
const window = 64

// Close ends the connections.
func (r *Remote) Close() error {
	var errs []error
	for i, c := range r.conns {
		if c != nil {
			errs = append(errs, c.Close())
			r.conns[i] = nil
		}
	}
	return errors.Join(errs...)
}

// Verify gives each module its share; what remains is tried on the others.
func (r *Remote) Verify(ctx context.Context, checks []Check) error {
	n := len(r.Addresses)
	if r.conns == nil {
		r.conns = make([]net.Conn, n)
	}
	share := (len(checks) + n - 1) / n
	left, errs := make([][]Check, n), make([]error, n)
	for i := range n {
		left[i] = checks[min(i*share, len(checks)):min((i+1)*share, len(checks))]
	}
	for round := range n {
		var wg sync.WaitGroup
		for i := range n {
			// In round k module i has what module i+k could not do.
			part := &left[(i+round)%n]
			if len(*part) > 0 {
				wg.Go(func() { *part, errs[i] = r.some(ctx, i, *part) })
			}
		}
		wg.Wait()
		open := 0
		for _, part := range left {
			open += len(part)
		}
		if open == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(errs...)
}

// some asks one module window by window and gives what is not answered.
func (r *Remote) some(ctx context.Context, i int, checks []Check) (left []Check, err error) {
	if r.conns[i] == nil {
		d := net.Dialer{Timeout: r.Timeout}
		if r.conns[i], err = d.DialContext(ctx, "tcp", r.Addresses[i]); err != nil {
			r.conns[i] = nil
			return checks, err
		}
	}
	c := r.conns[i]
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for len(checks) > 0 {
		now := checks[:min(window, len(checks))]
		if err := r.round(c, now); err != nil {
			// What comes later on this connection would answer nobody's question.
			_ = c.Close()
			r.conns[i] = nil
			return checks, fmt.Errorf("加密机 %s · module %s: %w", r.Addresses[i], r.Addresses[i], err)
		}
		checks = checks[len(now):]
	}
	return nil, nil
}

// round asks and hears one window. Answers come in any order.
func (r *Remote) round(c net.Conn, checks []Check) error {
	if err := c.SetDeadline(time.Now().Add(r.Timeout)); err != nil {
		return err
	}
	var out []byte
	var more hsm.More
	for i := range checks {
		var q hsm.Request
		checks[i].request(&q, &more)
		at := len(out)
		body, err := r.Dialect.Append(append(out, 0, 0), uint32(i), &q)
		if err != nil {
			return err
		}
		out = body
		binary.BigEndian.PutUint16(out[at:], uint16(len(out)-at-2))
	}
	if _, err := c.Write(out); err != nil {
		return err
	}
	heard := make([]bool, len(checks))
	var size [2]byte
	var frame []byte
	for range checks {
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return err
		}
		frame = append(frame[:0], make([]byte, binary.BigEndian.Uint16(size[:]))...)
		if _, err := io.ReadFull(c, frame); err != nil {
			return err
		}
		var reply hsm.Reply
		h, err := r.Dialect.Parse(frame, hsm.VerifyTAC, &reply)
		if err != nil {
			return err
		}
		if int(h) >= len(checks) || heard[h] {
			return fmt.Errorf("应答头 %d 无人等待 · an answer with header %d, which nobody waits for", h, h)
		}
		heard[h] = true
		if err := checks[h].take(reply.Code); err != nil {
			return err
		}
	}
	return nil
}
