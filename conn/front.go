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

	"tongka/conn/cert"
	"tongka/fault"
)

// keepAlive finds dead peers that never say good-bye: about a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}

// Front is a running set of loops with their listeners and links.
//
// We accept and dial ourselves and hand the connected sockets to gnet. Where
// gnet accepts, running out of file descriptors ends its engine and with it
// every connection; here it costs a pause in one goroutine.
type Front struct {
	log    *zap.Logger
	client *gnet.Client // loops without a listener of their own
	loops  []*loop

	mu        sync.Mutex // Update, Drain and whoever looks at what follows
	listeners []*listening
	links     []*linking
	doors     []*door // also those that were taken away and still have connections
	places    [2]int  // of links and of listeners: the next index
	drainTime time.Duration
	dials     stagger
	shut      bool // nothing is accepted any more

	ctx      context.Context // done when Stop begins
	cancel   context.CancelFunc
	entering sync.WaitGroup // dialers, handshakes, listeners that are not yet admitted
	watching sync.WaitGroup // of lines that peers dialled
	tokens   chan struct{}  // of TLS handshakes
	admits   sync.Once
	admitted chan struct{} // closed by Admit

	accepted, refused, acceptErrs, enrollErrs, dialled, dialErrs, denied atomic.Uint64
	handshakes, handshakesBad, handshakesLate, handshakesRefused         atomic.Uint64
	tooMany, tooFast, shutOut, shutOuts                                  atomic.Uint64

	stopOnce sync.Once
	stopErr  error
}

// listening is a listener as it is now.
type listening struct {
	cfg  ListenerConfig
	door *door
	in   *entrance
}

// linking is a link as it is now.
type linking struct {
	cfg  LinkConfig
	door *door
	in   *entrance // nil when we dial
}

// Start opens the listeners, starts the loops and begins to dial the links.
// newHandler is called once per loop, in their order, before anything happens
// there; each loop begins with a Tick.
func Start(cfg Config, newHandler func(Loop) Handler) (*Front, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	sides, err := loadSides(&cfg, time.Now())
	if err != nil {
		return nil, err
	}
	f := &Front{log: or(cfg.Logger, zap.NewNop()),
		drainTime: or(cfg.DrainTime, defaultDrainTime), tokens: newTokens(), admitted: make(chan struct{})}
	if !cfg.Held {
		f.Admit()
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	if err := f.listen(&cfg, sides); err != nil {
		f.closeListeners()
		return nil, err
	}
	if err := f.startLoops(or(cfg.Loops, 1), newHandler); err != nil {
		f.closeListeners()
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.listeners {
		f.entering.Go(func() {
			select {
			case <-f.admitted:
				l.in.open()
			case <-f.ctx.Done():
			}
		})
	}
	for _, k := range f.links {
		f.connect(k, nil)
	}
	return f, nil
}

// Admit lets the listeners of a front that was started Held take callers in.
func (f *Front) Admit() { f.admits.Do(func() { close(f.admitted) }) }

func (f *Front) listen(cfg *Config, s sides) error {
	defer closeSpare(cfg.Inherited) // what was used is gone from it
	for i := range cfg.Listeners {
		c := &cfg.Listeners[i]
		in, err := f.open(c.Name, c.Addr, cfg.Inherited)
		if err != nil {
			return fmt.Errorf("listeners[%d] %q: %w", i, c.Name, err)
		}
		f.enter(c, in, f.place(true), s.listeners[i])
	}
	for i := range cfg.Links {
		c := &cfg.Links[i]
		in, err := f.openLink(c, cfg.Inherited)
		if err != nil {
			return fmt.Errorf("links[%d] %q: %w", i, c.Name, err)
		}
		f.join(c, in, f.place(false), s.links[i])
	}
	return nil
}

// openLink gives the socket of a link that its peer dials, nil of another.
func (f *Front) openLink(c *LinkConfig, inherited map[string]*net.TCPListener) (*entrance, error) {
	if !c.Listen {
		return nil, nil
	}
	return f.open(linkMark+c.Name, c.Addr, inherited)
}

// linkMark stands before the name of a link where sockets of listeners and links
// are handed over together.
const linkMark = "link:"

// open gives a listening socket, a new one unless one was inherited.
func (f *Front) open(name, addr string, inherited map[string]*net.TCPListener) (*entrance, error) {
	if ln := inherited[name]; ln != nil && listensAt(ln, addr) {
		delete(inherited, name)
		return f.newEntrance(ln)
	}
	lc := net.ListenConfig{Control: unpaced}
	ln, err := lc.Listen(f.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return f.newEntrance(ln.(*net.TCPListener))
}

// enter notes a listener; open must follow for an entrance that is new.
func (f *Front) enter(c *ListenerConfig, in *entrance, index int, side *cert.Side) *listening {
	l := &listening{cfg: *c, in: in, door: f.newDoor(true, index, listenerTerms(c, side))}
	l.in.door.Store(l.door)
	f.listeners = append(f.listeners, l)
	return l
}

// join notes a link; connect must follow. in is nil for one that we dial.
func (f *Front) join(c *LinkConfig, in *entrance, index int, side *cert.Side) *linking {
	k := &linking{cfg: *c, in: in, door: f.newDoor(false, index, linkTerms(c, side))}
	if in != nil {
		in.door.Store(k.door)
	}
	f.links = append(f.links, k)
	return k
}

func (f *Front) newDoor(listener bool, index int, t *terms) *door {
	d := newDoor(f.ctx, listener, index, t)
	f.doors = append(f.doors, d)
	return d
}

// place is the next index, which nothing had before.
func (f *Front) place(listener bool) int {
	n := &f.places[0]
	if listener {
		n = &f.places[1]
	}
	*n++
	return *n - 1
}

// connect starts the lines of a link, when those that were there before have
// ended: the engine knows one connection of each. Where the peer dials, makeWay
// sees to that.
func (f *Front) connect(k *linking, before *door) {
	if k.in != nil {
		k.in.open()
		return
	}
	d := k.door
	d.lines = make(chan struct{})
	var lines sync.WaitGroup
	lines.Add(len(f.loops))
	for _, l := range f.loops {
		line := newLine(f, l, d, &k.cfg)
		run := line.run
		if k.cfg.OnDemand { // asked here and not there: Update may change the settings meanwhile
			run = line.runOnDemand
		}
		f.entering.Go(func() {
			defer lines.Done()
			if before != nil {
				<-before.lines
			}
			run()
		})
	}
	f.entering.Go(func() {
		lines.Wait()
		close(d.lines)
	})
}

func (f *Front) closeListeners() {
	f.cancel()
	f.StopAccepting()
}

// StopAccepting closes the listening sockets; what came in stays. A socket that
// HandOver gave away goes on listening there, with all that waits in it.
func (f *Front) StopAccepting() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shut = true
	for _, l := range f.listeners {
		l.in.close()
	}
	for _, k := range f.links {
		k.in.close()
	}
}

// startLoops makes the handlers, starts gnet, and enrolls each loop's bell. gnet
// gives a newcomer to the loop with the fewest connections, so that as many
// bells as loops reach them all, and each loop learns which of gnet's it is.
func (f *Front) startLoops(n int, newHandler func(Loop) Handler) error {
	quiet := f.log.Named("gnet")
	if quiet.Core().Enabled(zapcore.InfoLevel) { // zap complains when it would change nothing
		quiet = quiet.WithOptions(zap.IncreaseLevel(zapcore.WarnLevel))
	}
	client, err := gnet.NewClient(&events{}, gnet.WithNumEventLoop(n), gnet.WithLogger(quiet.Sugar()))
	if err != nil {
		return fmt.Errorf("event loops: %w", err)
	}
	if err := client.Start(); err != nil {
		return fmt.Errorf("event loops: %w", err)
	}
	f.client = client
	for i := range n {
		l := newLoop(i)
		l.front = f
		tx, rx, err := socketPair()
		if err == nil {
			l.bell.tx = tx
			l.h = newHandler(l)
			l.drainer, _ = l.h.(Drainer)
			l.caller, _ = l.h.(Caller)
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

// Addr is where a listener listens, by its Peer.Index; nil when it is no more.
func (f *Front) Addr(listener int) net.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.listeners {
		if l.door.index == listener {
			return l.in.addr
		}
	}
	return nil
}

// LinkAddr is where a link listens that its peer dials, by its Peer.Index; nil
// when there is none.
func (f *Front) LinkAddr(link int) net.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.links {
		if k.door.index == link && k.in != nil {
			return k.in.addr
		}
	}
	return nil
}

// Stop accepts and dials no more, gives each handler a last Tick, sends what
// waits, closes every connection and ends the loops. When ctx is done first,
// what is left is cut and ctx's error returned. Handlers are not called after.
func (f *Front) Stop(ctx context.Context) error {
	f.stopOnce.Do(func() { f.stopErr = f.stop(ctx) })
	return f.stopErr
}

func (f *Front) stop(ctx context.Context) error {
	f.closeListeners()
	f.entering.Wait() // from here on nobody boards a loop
	for _, l := range f.loops {
		if err := l.run(ctx, l.stop); err != nil {
			f.log.Warn("loop cannot be stopped in order", fault.Field(fault.StopUnorderly), zap.Int("loop", l.number), zap.Error(err))
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
	f.watching.Wait()
	return err
}

// Stats may be called from any goroutine. What the loops count is as of their
// last tick.
func (f *Front) Stats() Stats {
	var sum counts
	s := Stats{
		Accepted: f.accepted.Load(), Refused: f.refused.Load(), AcceptErrs: f.acceptErrs.Load(),
		Handshakes: f.handshakes.Load(), HandshakesBad: f.handshakesBad.Load(),
		HandshakesLate: f.handshakesLate.Load(), HandshakesRefused: f.handshakesRefused.Load(),
		EnrollErrs: f.enrollErrs.Load(), Dialled: f.dialled.Load(), DialErrs: f.dialErrs.Load(),
		Denied: f.denied.Load(), TooMany: f.tooMany.Load(), TooFast: f.tooFast.Load(), ShutOut: f.shutOut.Load(),
	}
	for _, l := range f.loops {
		l.shared.addTo(&sum)
		s.Open += uint64(l.open.Load())
	}
	s.fill(&sum)
	s.ShutOuts += f.shutOuts.Load()
	return s
}
