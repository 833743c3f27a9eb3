package conn

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// keepAlive finds dead peers that never say good-bye: about a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// Front is a running set of loops with their listeners and links.
//
// We accept and dial ourselves and hand the connected sockets to gnet. Where
// gnet accepts, running out of file descriptors ends its engine and with it
// every connection; here it costs a pause in one goroutine.
type Front struct {
	log       *zap.Logger
	client    *gnet.Client // loops without a listener of their own
	loops     []*loop
	doors     []*door
	listeners []net.Listener

	ctx      context.Context // done when Stop begins
	cancel   context.CancelFunc
	entering sync.WaitGroup // acceptors and dialers
	enrolled chan enrolment
	settled  chan struct{} // closed when the last enrolment was looked at

	accepted, refused, acceptErrs, enrollErrs, dialled, dialErrs atomic.Uint64

	stopOnce sync.Once
	stopErr  error
}

// Start opens the listeners, starts the loops and begins to dial the links.
// newHandler is called once per loop, in their order, before anything happens
// there; each loop begins with a Tick.
func Start(cfg Config, newHandler func(Loop) Handler) (*Front, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Front{log: or(cfg.Logger, zap.NewNop()), enrolled: make(chan enrolment, 256), settled: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	if err := f.listen(cfg.Listeners); err != nil {
		f.closeListeners()
		return nil, err
	}
	if err := f.startLoops(or(cfg.Loops, 1), newHandler); err != nil {
		f.closeListeners()
		return nil, err
	}
	go f.settle()
	for i, ln := range f.listeners {
		f.entering.Go(func() { f.accept(ln, f.doors[i]) })
	}
	for i := range cfg.Links {
		link := &cfg.Links[i]
		d := linkDoor(i, link)
		for _, l := range f.loops {
			line := newLine(f, l, d, link)
			f.entering.Go(line.run)
		}
	}
	return f, nil
}

func (f *Front) listen(configs []ListenerConfig) error {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive, Control: unpaced}
	for i := range configs {
		c := &configs[i]
		ln, err := lc.Listen(f.ctx, "tcp", c.Addr)
		if err != nil {
			return fmt.Errorf("listeners[%d] %q: %w", i, c.Name, err)
		}
		f.listeners = append(f.listeners, ln)
		f.doors = append(f.doors, listenerDoor(i, c))
	}
	return nil
}

func (f *Front) closeListeners() {
	f.cancel()
	for _, ln := range f.listeners {
		_ = ln.Close()
	}
}

// startLoops makes the handlers, starts gnet, and enrolls each loop's bell. gnet
// gives a newcomer to the loop with the fewest connections, so that as many
// bells as loops reach them all, and each loop learns which of gnet's it is.
func (f *Front) startLoops(n int, newHandler func(Loop) Handler) error {
	quiet := f.log.Named("gnet").WithOptions(zap.IncreaseLevel(zapcore.WarnLevel)).Sugar()
	client, err := gnet.NewClient(&events{}, gnet.WithNumEventLoop(n), gnet.WithLogger(quiet))
	if err != nil {
		return fmt.Errorf("event loops: %w", err)
	}
	if err := client.Start(); err != nil {
		return fmt.Errorf("event loops: %w", err)
	}
	f.client = client
	for i := range n {
		l := newLoop(i)
		tx, rx, err := socketPair()
		if err == nil {
			l.bell.tx = tx
			l.h = newHandler(l)
			f.loops = append(f.loops, l)
			_, err = client.EnrollContext(rx, l)
		}
		if err != nil {
			f.endLoops()
			return fmt.Errorf("event loop %d: %w", i, err)
		}
		l.bell.ring()
	}
	return nil
}

// endLoops ends gnet, which closes what is still open, on the loops.
func (f *Front) endLoops() {
	_ = f.client.Stop() // its error repeats a loop's, which gnet has logged
	for _, l := range f.loops {
		l.timer.Stop()
		closeConn(l.bell.tx)
	}
}

// Addr is where a listener listens, by its index in Config.Listeners.
func (f *Front) Addr(listener int) net.Addr { return f.listeners[listener].Addr() }

// Stop accepts and dials no more, gives each handler a last Tick, sends what
// waits, closes every connection and ends the loops. When ctx is done first,
// what is left is cut and ctx's error returned. Handlers are not called after.
func (f *Front) Stop(ctx context.Context) error {
	f.stopOnce.Do(func() { f.stopErr = f.stop(ctx) })
	return f.stopErr
}

func (f *Front) stop(ctx context.Context) error {
	f.closeListeners()
	f.entering.Wait()
	close(f.enrolled)
	<-f.settled // from here on no connection is on its way to a loop
	for _, l := range f.loops {
		run := func(context.Context) error { l.stop(); return nil }
		if err := l.el.Execute(ctx, gnet.RunnableFunc(run)); err != nil {
			f.log.Warn("loop cannot be stopped in order", zap.Int("loop", l.number), zap.Error(err))
			close(l.done)
		}
	}
	var err error
	for _, l := range f.loops {
		select {
		case <-l.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	f.endLoops()
	return err
}

// Stats may be called from any goroutine. What the loops count is as of their
// last tick.
func (f *Front) Stats() Stats {
	var sum counts
	s := Stats{
		Accepted: f.accepted.Load(), Refused: f.refused.Load(), AcceptErrs: f.acceptErrs.Load(),
		EnrollErrs: f.enrollErrs.Load(), Dialled: f.dialled.Load(), DialErrs: f.dialErrs.Load(),
	}
	for _, l := range f.loops {
		l.shared.addTo(&sum)
		s.Open += uint64(l.open.Load())
	}
	s.fill(&sum)
	return s
}
