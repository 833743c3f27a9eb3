// Package relay is the yardstick of the bench: the least that any switch on gnet
// can do. It frames, replaces the trace number by a slot number of its own,
// forwards, and restores the trace number in the answer. It looks at nothing
// else and writes nothing down, so no switch can be faster; how near one comes
// is the figure that the bench gives.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"tongka/bench/internal/poll"
	"tongka/bench/internal/sale"
)

// slots is how many requests can be under way; a slot's number must fit the
// three bytes of F11.
const slots = 1 << 16

// readCap is how much one read takes: a busy upstream has many frames ready.
const readCap = 256 << 10

// Relay is one gnet engine with one loop. Terminals and the one upstream
// connection live on that loop, so its fields need no lock.
type Relay struct {
	gnet.BuiltinEventEngine
	engine gnet.Engine
	booted chan error
	ended  chan error

	bank   gnet.Conn
	out    []byte // towards the bank, since the last flush
	armed  bool   // a flush is scheduled
	flush  gnet.RunnableFunc
	next   uint32
	table  [slots]slot
	failed error
}

type slot struct {
	from  *terminal // nil when free
	trace [3]byte
}

type terminal struct {
	c gnet.Conn // nil when closed: gnet reuses socket numbers
}

// Start listens at a port of the loopback interface, connects to the bank, and
// returns when both are done.
func Start(bank netip.AddrPort) (*Relay, netip.AddrPort, error) {
	r := &Relay{booted: make(chan error, 1), ended: make(chan error, 1), out: make([]byte, 0, readCap)}
	r.flush = r.flushNow
	go func() {
		err := gnet.Run(r, "tcp://127.0.0.1:0", gnet.WithNumEventLoop(1), gnet.WithReusePort(true), gnet.WithTicker(true),
			gnet.WithReadBufferCap(readCap), gnet.WithLogger(complaints()))
		r.ended <- err
		r.booted <- fmt.Errorf("relay: gnet ended at start: %w", err)
	}()
	if err := <-r.booted; err != nil {
		return nil, netip.AddrPort{}, err
	}
	at, err := r.bound()
	if err == nil {
		err = r.connect(bank)
	}
	if err != nil {
		return nil, at, errors.Join(err, r.Stop())
	}
	return r, at, nil
}

// complaints logs what is wrong to standard error: gnet's own logger greets on
// standard output, where the bench listens.
func complaints() *zap.SugaredLogger {
	to := zapcore.Lock(os.Stderr)
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewProductionEncoderConfig()), to, zapcore.ErrorLevel)).Sugar()
}

// Stop closes all connections and returns what ended the relay.
func (r *Relay) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(r.engine.Stop(ctx), <-r.ended, r.failed)
}

// OnBoot comes before there is a loop to register a connection with.
func (r *Relay) OnBoot(e gnet.Engine) gnet.Action {
	r.engine = e
	return gnet.None
}

// OnTick comes first when the loops run; the relay needs no second one.
func (r *Relay) OnTick() (time.Duration, gnet.Action) {
	select {
	case r.booted <- nil:
	default:
	}
	return 24 * time.Hour, gnet.None
}

func (r *Relay) bound() (netip.AddrPort, error) {
	fd, err := r.engine.Dup()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("relay: listener: %w", err)
	}
	defer unix.Close(fd)
	return poll.Bound(fd)
}

// connect puts the bank's connection on the loop; OnOpen knows it by its
// context.
func (r *Relay) connect(bank netip.AddrPort) error {
	c, err := net.DialTimeout("tcp", bank.String(), 5*time.Second)
	if err != nil {
		return fmt.Errorf("relay: bank: %w", err)
	}
	registered, err := r.engine.Register(gnet.NewNetConnContext(gnet.NewContext(context.Background(), r), c))
	if err != nil {
		return fmt.Errorf("relay: register the bank: %w", err)
	}
	return (<-registered).Err
}

// OnOpen tells the bank from terminals.
func (r *Relay) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	poll.Unpaced(c.Fd())
	if c.Context() != nil {
		r.bank = c
	} else {
		c.SetContext(&terminal{c: c})
	}
	return nil, gnet.None
}

// OnClose forgets a terminal; without the bank the relay ends.
func (r *Relay) OnClose(c gnet.Conn, err error) gnet.Action {
	if t, ok := c.Context().(*terminal); ok {
		t.c = nil
		return gnet.None
	}
	r.bank, r.failed = nil, err
	return gnet.Shutdown
}

// OnTraffic takes whole frames and leaves the rest.
func (r *Relay) OnTraffic(c gnet.Conn) gnet.Action {
	b, _ := c.Peek(-1)
	used := 0
	if t, ok := c.Context().(*terminal); ok {
		used = r.forward(t, b)
	} else {
		used = r.reply(b)
	}
	// gnet's Discard(0) would discard everything.
	if used > 0 {
		_, _ = c.Discard(used)
	}
	return gnet.None
}

// forward appends whole frames to what the next flush sends to the bank.
func (r *Relay) forward(t *terminal, b []byte) (used int) {
	for {
		frame := whole(b[used:])
		if frame == nil {
			break
		}
		used += len(frame)
		r.next++
		i := r.next % slots
		if len(frame) < sale.TraceAt+3 || r.table[i].from != nil {
			continue // not a request, or too much under way: the sender counts what is missing
		}
		r.table[i] = slot{from: t, trace: [3]byte(frame[sale.TraceAt:])}
		at := len(r.out) + sale.TraceAt
		r.out = append(r.out, frame...)
		r.out[at], r.out[at+1], r.out[at+2] = 0, byte(i>>8), byte(i)
	}
	// One write for all terminals of this turn of the loop.
	if !r.armed && len(r.out) > 0 && t.c.EventLoop().Execute(context.Background(), r.flush) == nil {
		r.armed = true
	}
	return used
}

func (r *Relay) flushNow(context.Context) error {
	r.armed = false
	if r.bank != nil {
		_, _ = r.bank.Write(r.out)
	}
	r.out = r.out[:0]
	return nil
}

// reply restores trace numbers in place. Answers to one terminal that follow
// one another leave in one write.
func (r *Relay) reply(b []byte) (used int) {
	var to *terminal
	from := 0
	for {
		frame := whole(b[used:])
		if frame == nil {
			break
		}
		var t *terminal
		if len(frame) >= sale.TraceAt+3 {
			f11 := frame[sale.TraceAt : sale.TraceAt+3]
			s := &r.table[uint32(f11[1])<<8|uint32(f11[2])]
			copy(f11, s.trace[:])
			t, s.from = s.from, nil
		}
		if t != to {
			send(to, b[from:used])
			to, from = t, used
		}
		used += len(frame)
	}
	send(to, b[from:used])
	return used
}

func send(t *terminal, b []byte) {
	if t != nil && t.c != nil && len(b) > 0 {
		_, _ = t.c.Write(b)
	}
}

// whole is the frame that b begins with, nil when it has not come whole.
func whole(b []byte) []byte {
	n := sale.FrameLen(b)
	if n == 0 || n > len(b) {
		return nil
	}
	return b[:n]
}
