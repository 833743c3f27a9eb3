package conn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"tongka/conn/cert"
	"tongka/conn/gate"
)

// What the zero value of a setting stands for.
const (
	defaultMaxConns     = 10_000
	defaultMaxFrame     = 8 << 10
	defaultMaxOutbound  = 256 << 10
	defaultFrameTimeout = 15 * time.Second
	defaultDialTimeout  = 5 * time.Second
	defaultBackoffMin   = 200 * time.Millisecond
	defaultBackoffMax   = 15 * time.Second
	defaultLines        = 1
	defaultSilence      = 90 * time.Second // a bank echoes or keeps alive each minute
	defaultDrainTime    = time.Minute
)

// maxLoops and maxPayload keep a slip of the pen from costing all the memory.
const (
	maxLoops   = 64
	maxPayload = 1 << 20
)

// Config is all that a Front can be told. Sizes are bytes.
type Config struct {
	Loops     int // event loops, each with its own Handler; default 1
	Listeners []ListenerConfig
	Links     []LinkConfig
	Logger    *zap.Logger // nil logs nothing

	// Inherited are sockets that listen already, by the listener's name (a link's
	// with a mark in front), as TakeOver gives them. One is used when it listens where its listener wants
	// to; the others are closed. Only Start reads it.
	Inherited map[string]*net.TCPListener
	// Held lets listeners take nobody in before Admit is called; who calls waits in
	// their backlog. Only Start reads it.
	Held bool
	// DrainTime is how long the connections of a listener or link that Update took
	// away may go on with what they have begun; default 60 s. Then they are cut.
	DrainTime time.Duration
}

// ListenerConfig is one door for terminals.
type ListenerConfig struct {
	Name string
	// Speaks is what its connections speak. One that gets another name at its old
	// address keeps them when it still speaks that.
	Speaks       string
	Addr         string // host:port for net.Listen; port 0 picks a free one
	Framing      Framing
	MaxConns     int           // connections at once, over all loops; more are refused
	MaxFrame     int           // longest payload; default 8 KiB or what the framing can say
	Idle         time.Duration // close after this long without a frame; 0 is never
	FrameTimeout time.Duration // from the first byte of a frame to its last; default 15 s
	MaxOutbound  int           // bytes that may wait for a peer that reads slowly; default 256 KiB
	TLS          *TLS          // nil speaks plain
	Guard        Guard         // what an address may do; the zero value lets everybody in
}

// LinkConfig is one peer: we dial it, at once or on demand, and each loop gets a line of its own; or,
// with Listen, it dials us, and its lines belong to one loop.
type LinkConfig struct {
	Name         string
	Addr         string   // host:port to dial, or to listen on
	Backups      []string // dialled in turn when Addr cannot be reached
	Framing      Framing
	MaxFrame     int           // as for a listener
	FrameTimeout time.Duration // as for a listener
	DialTimeout  time.Duration // default 5 s, for each address
	BackoffMin   time.Duration // first pause between tries that fail; default 200 ms
	BackoffMax   time.Duration // longest pause; default 15 s
	MaxOutbound  int           // as for a listener
	TLS          *TLS          // nil speaks plain
	OnDemand     bool          // dialled when Loop.Dial asks, once each time

	Listen   bool           // the peer dials us
	Allow    []netip.Prefix // who may, with Listen; nobody else
	MaxLines int            // with Listen: connections at once; default 1
	// Silence is for how long a line must have brought no frame, with Listen, to
	// make way for a new one; default 90 s.
	Silence time.Duration
}

// TLS says which files a listener or link takes its certificates from, and whom
// it lets in. Update reads the files again.
type TLS = cert.Options

// Guard says which addresses may come in, and what each may do.
type Guard = gate.Config

// Validate reports every fault at once, each with the place it is in.
func (c *Config) Validate() error {
	var f faults
	if c.Loops < 0 || c.Loops > maxLoops {
		f.add("loops: %d is not within 1 to %d", c.Loops, maxLoops)
	}
	f.notNegative("drain time", "duration", int64(c.DrainTime))
	for i := range c.Listeners {
		l := &c.Listeners[i]
		at := fmt.Sprintf("listeners[%d] %q", i, l.Name)
		f.common(at, l.Addr, l.Framing, l.MaxFrame, l.MaxOutbound)
		f.notNegative(at, "maximum connections", int64(l.MaxConns))
		f.notNegative(at, "idle", int64(l.Idle))
		f.tls(at, l.TLS, true)
		if err := l.Guard.Validate(); err != nil {
			f.add("%s: %w", at, err)
		}
		f.notNegative(at, "frame timeout", int64(l.FrameTimeout))
	}
	for i := range c.Links {
		l := &c.Links[i]
		at := fmt.Sprintf("links[%d] %q", i, l.Name)
		f.common(at, l.Addr, l.Framing, l.MaxFrame, l.MaxOutbound)
		f.who(at, l)
		f.notNegative(at, "frame timeout", int64(l.FrameTimeout))
		f.notNegative(at, "dial timeout", int64(l.DialTimeout))
		f.tls(at, l.TLS, l.Listen)
		f.notNegative(at, "shortest backoff", int64(l.BackoffMin))
		f.notNegative(at, "longest backoff", int64(l.BackoffMax))
		if l.BackoffMax > 0 && l.BackoffMin > l.BackoffMax {
			f.add("%s: shortest backoff %v is over the longest %v", at, l.BackoffMin, l.BackoffMax)
		}
	}
	return errors.Join(f...)
}

// idleCost is what a connection that does nothing takes of the process, with
// gnet's part, in bytes. Measured by BenchmarkIdle.
const idleCost = 1200

// Memory is how many bytes the connections take when all that the limits allow
// are open: idle, and when each holds as much as it may in both directions.
func (c *Config) Memory() (idle, worst int64) {
	loops := int64(or(c.Loops, 1))
	add := func(conns int64, t *terms) {
		idle += conns * idleCost
		worst += conns * (idleCost + 1<<classOf(t.room) + int64(t.maxOutbound))
	}
	addTLS := func(conns int64, o *TLS) {
		if o != nil {
			idle += conns * tlsIdle
			worst += conns * tlsWorst
		}
	}
	for i := range c.Listeners {
		t := listenerTerms(&c.Listeners[i], nil)
		add(t.maxConns, t)
		addTLS(t.maxConns, c.Listeners[i].TLS)
	}
	for i := range c.Links {
		t := linkTerms(&c.Links[i], nil)
		add(or(int64(t.places), loops), t)
		addTLS(or(int64(t.places), loops), c.Links[i].TLS)
	}
	return idle, worst
}

type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

func (f *faults) notNegative(at, what string, v int64) {
	if v < 0 {
		f.add("%s: %s is negative", at, what)
	}
}

func (f *faults) tls(at string, o *TLS, server bool) {
	if o == nil {
		return
	}
	if err := o.Validate(server); err != nil {
		f.add("%s: %w", at, err)
	}
}

func (f *faults) common(at, addr string, fr Framing, maxFrame, maxOutbound int) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		f.add("%s: address %q: %v", at, addr, err)
	}
	if fr == nil {
		f.add("%s: no framing", at)
	} else if maxFrame > fr.Max() {
		f.add("%s: maximum frame %d is over the %d that the framing can say", at, maxFrame, fr.Max())
	} else if maxFrame > maxPayload {
		f.add("%s: maximum frame %d is over %d", at, maxFrame, maxPayload)
	}
	f.notNegative(at, "maximum frame", int64(maxFrame))
	f.notNegative(at, "maximum outbound", int64(maxOutbound))
}

// who checks who dials whom. A door for a bank that is open to everybody is a
// way to answer for the bank, so whom it is for must be said.
func (f *faults) who(at string, l *LinkConfig) {
	for _, a := range l.Backups {
		if _, _, err := net.SplitHostPort(a); err != nil {
			f.add("%s: backup address %q: %v", at, a, err)
		}
	}
	f.notNegative(at, "maximum lines", int64(l.MaxLines))
	f.notNegative(at, "silence", int64(l.Silence))
	switch {
	case l.Listen && len(l.Allow) == 0:
		f.add("%s: listens and allows nobody", at)
	case l.Listen && l.OnDemand:
		f.add("%s: listens, and is to be dialled on demand", at)
	case l.Listen && len(l.Backups) > 0:
		f.add("%s: listens and has addresses to dial", at)
	case !l.Listen && (len(l.Allow) > 0 || l.MaxLines > 0 || l.Silence > 0):
		f.add("%s: is dialled by us, and says who may dial", at)
	}
	for i, p := range l.Allow {
		if !p.IsValid() {
			f.add("%s: allow[%d] is no address range", at, i)
		}
	}
}

// or is v, or its default when v is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
