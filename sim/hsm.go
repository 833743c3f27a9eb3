package sim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"tongka/hsm/payshield"
	"tongka/hsm/soft"
	"tongka/sim/internal/aid"
)

// HSMConfig describes a security module that answers host commands, under the
// public test LMK unless it is given another one. It knows the commands of city
// card modules (UB, N0), too.
type HSMConfig struct {
	LMK       *soft.LMK     // nil: the public test LMK
	SM4Cards  bool          // cards may work with SM4, as it is usually read; S then begins an SM4 key and no key block
	Listen    string        // for RunHSM; port 0 takes a free one
	HeaderLen int           // characters of the message header, 8 when 0
	Delay     time.Duration // before each answer; commands of a connection stay pipelined
	Log       *zap.Logger   // nil = silent
}

const (
	hsmFrame    = 2 + 0xFFFF // two bytes of length say at most this
	hsmPipeline = 1024       // commands of a connection that wait for Delay; more are read later
	hsmWrite    = 10 * time.Second
)

// testLMKWarning is said wherever a module starts: keys under a public LMK are
// as good as printed.
const testLMKWarning = "HSM simulator runs under the PUBLIC TEST LMK: its keys protect nothing. Never use it for cardholders' data."

func (c *HSMConfig) validate() error {
	var errs []error
	if c.Delay < 0 || c.Delay > time.Minute {
		errs = append(errs, fmt.Errorf("sim: hsm: delay %v: wanted 0 to 1m", c.Delay))
	}
	d := c.dialect()
	return errors.Join(append(errs, d.Validate())...)
}

func (c *HSMConfig) dialect() payshield.Dialect {
	d := payshield.Dialect{HeaderLen: c.HeaderLen, SM4Keys: c.SM4Cards}
	for _, code := range []string{"UB", "N0"} {
		if err := d.Define(code, payshield.Layout{}); err != nil {
			panic(err) // the table of commands has no such line
		}
	}
	return d
}

func (c *HSMConfig) lmk() soft.LMK {
	if c.LMK != nil {
		return *c.LMK
	}
	return soft.TestLMK()
}

func (c *HSMConfig) module() *soft.Module {
	m, _ := soft.NewWith(c.lmk(), soft.Options{SM4Cards: c.SM4Cards}) // its limits are the default ones
	return m
}

// ServeHSM answers host commands on every connection of ln until ctx ends, then
// closes ln and waits for its goroutines. Every connection has a module of its
// own; they share the LMK, so a key from one is good on all.
func ServeHSM(ctx context.Context, ln net.Listener, cfg HSMConfig) error {
	if err := cfg.validate(); err != nil {
		return errors.Join(err, ln.Close())
	}
	log := aid.Logger(cfg.Log)
	if lmk := cfg.lmk(); lmk.Test() {
		log.Warn(testLMKWarning, zap.String("address", ln.Addr().String()))
	}
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	conns, cancel := context.WithCancel(ctx) // ends also when the listener fails
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				c.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("加密机 · hsm: %w", err)
		}
		wg.Go(func() {
			if err := serveHSM(conns, c, &cfg); err != nil && conns.Err() == nil {
				log.Info("connection closed", zap.String("peer", c.RemoteAddr().String()), zap.Error(err))
			}
		})
	}
}

// delayed is one answer that waits for its time.
type delayed struct {
	due   time.Time
	frame []byte
}

// serveHSM reads commands and answers all that one read brought with one write.
// With a delay, a second goroutine holds the answers back: they keep their
// order, so a queue is enough.
func serveHSM(ctx context.Context, c net.Conn, cfg *HSMConfig) error {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	defer c.Close()
	server := payshield.NewServer(cfg.module(), cfg.dialect())
	queue := make(chan delayed, hsmPipeline)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(queue)
	wg.Go(func() { drain(ctx, c, queue) })

	buf := make([]byte, 0, hsmFrame)
	var out []byte
	for {
		n, err := c.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		used := 0
		out = out[:0]
		for len(buf)-used >= 2 {
			end := used + 2 + int(binary.BigEndian.Uint16(buf[used:]))
			if len(buf) < end {
				break
			}
			out = answerHSM(out, server, buf[used+2:end])
			if cfg.Delay > 0 && len(out) > 0 {
				queue <- delayed{time.Now().Add(cfg.Delay), append([]byte(nil), out...)}
				out = out[:0]
			}
			used = end
		}
		buf = buf[:copy(buf, buf[used:])]
		if err == nil {
			err = writeHSM(c, out)
		}
		if err != nil {
			return err
		}
	}
}

// answerHSM appends the answer to one command, with its length.
func answerHSM(dst []byte, s *payshield.Server, command []byte) []byte {
	at := len(dst)
	dst = s.Answer(append(dst, 0, 0), command)
	n := len(dst) - at - 2
	if n == 0 || n > 0xFFFF {
		return dst[:at] // no answer, or one that the length cannot say
	}
	binary.BigEndian.PutUint16(dst[at:], uint16(n))
	return dst
}

func writeHSM(c net.Conn, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if err := c.SetWriteDeadline(time.Now().Add(hsmWrite)); err != nil {
		return err
	}
	_, err := c.Write(p)
	return err
}

// drain sends answers at their time. After a fault it only empties the queue;
// the reader finds the closed connection by itself.
func drain(ctx context.Context, c net.Conn, queue <-chan delayed) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	dead := false
	for d := range queue {
		if dead {
			continue
		}
		timer.Reset(time.Until(d.due))
		select {
		case <-timer.C:
			dead = writeHSM(c, d.frame) != nil
		case <-ctx.Done():
			dead = true
		}
		if dead {
			c.Close()
		}
	}
}
