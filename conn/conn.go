// Package conn moves frames between sockets and a Handler: listeners for
// terminals, links to banks, framings, limits and reconnection. It knows
// nothing of what a frame says.
package conn

import (
	"errors"
	"net/netip"

	"tongka/conn/framing"
	"tongka/conn/gate"
)

// ID names one connection of one loop: index<<32 | generation. It is never
// used again; 0 is never a connection.
type ID uint64

// Index is small and dense, and serves again after Closed: an engine can keep
// what it knows of a connection in a slice.
func (id ID) Index() uint32 { return uint32(id >> 32) }

func makeID(index, generation uint32) ID { return ID(index)<<32 | ID(generation) }

// Peer says who is at the other end.
type Peer struct {
	Listener bool           // a terminal's door; otherwise a link, whoever dialled
	Index    int            // which of Config.Listeners or Config.Links
	Line     int            // of a link: the number of the loop that the line is on
	Remote   netip.AddrPort // its address
	Holder   string         // whose TLS certificate it has shown: a verified one's common name
}

// Subscriber is the address by which limits know the peer: of IPv6, its /64.
func (p *Peer) Subscriber() netip.Addr { return gate.Subscriber(p.Remote.Addr()) }

// Handler is told what happens on one loop, always by that loop's goroutine,
// never by two calls at once and never by one call inside another.
type Handler interface {
	// Opened comes before anything else about id.
	Opened(id ID, p Peer)
	// Frame brings the payload of one whole frame, without its length. b is
	// lent until the return (and overwritten then, in builds with -race).
	Frame(id ID, b []byte)
	// Closed comes exactly once after each Opened; err is nil when Close asked
	// for it. What is sent to id from then on is refused and harms nothing. A
	// peer that ends only its own direction counts as gone: gnet knows no
	// half-closed connections.
	Closed(id ID, err error)
	// Tick comes once after all that was ready has been told, and at the latest
	// at the time (unix ns) that it returned the last time; 0 is no wish. It may
	// also come earlier.
	Tick(now int64) (next int64)
}

// Loop is what a Handler can do. All but Wake belong inside its calls.
type Loop interface {
	// Send writes bytes that are already framed, with one system call, and
	// keeps a copy of what the socket does not take. When that copy would
	// outgrow MaxOutbound the connection is cut and the error is ErrOutbound;
	// one that is gone or closing gives ErrClosed.
	Send(id ID, framed []byte) error
	// Close ends the connection after what was sent has left. Frames that come
	// meanwhile are dropped.
	Close(id ID)
	// Reject is Close for a peer whose frames are nothing to us: it counts as a strike
	// against its address.
	Reject(id ID)
	// Dial asks for one connection of a link that is dialled on demand. It is told
	// by Opened, or by NotDialled when none of the link's addresses can be reached;
	// asking again before that asks for nothing more.
	Dial(link int)
	// Wake asks for a Tick, from any goroutine.
	Wake()
}

// Caller is what a Handler is, too, when it dials on demand.
type Caller interface {
	// NotDialled says that the connection asked for by Dial will not come.
	NotDialled(link int)
}

// Drainer is what a Handler is, too, when its connections cannot be closed at any
// moment: then Drain and Update ask it. A Handler that is none owes nothing.
type Drainer interface {
	// Draining comes at most once: id will be closed as soon as nothing is owed.
	// Whoever has a choice begins nothing new on it.
	Draining(id ID)
	// Owes says that something is under way on id that has to end first: a request
	// that is not answered, in either direction. It is asked again and again, and
	// must not call Loop.
	Owes(id ID) bool
}

// Refuser is what a Handler is, too, when it wants to see what no frame could be
// made of. The connection is closed right after, and Closed tells why.
type Refuser interface {
	// Refused brings what had come: b is lent as a frame is, and err is ErrOversize,
	// ErrEmpty, ErrMalformed or ErrHalfFrame.
	Refused(id ID, b []byte, err error)
}

// Framing tells frames apart; see the package framing.
type Framing = framing.Framing

// The framings that every installation needs: of the UnionPay POS terminals (2
// bytes big-endian), and of a CUPS style line (4 ASCII digits; 0000 keeps an
// idle line alive). framing.Named knows more.
var (
	Binary2 = framing.Binary2
	ASCII4  = framing.ASCII4
)

// Why a connection was closed, as Closed tells it. Others are io.EOF when the
// peer closed and the system's error when the connection broke.
var (
	ErrOversize  = framing.ErrOversize
	ErrEmpty     = framing.ErrEmpty
	ErrMalformed = framing.ErrMalformed
	ErrHalfFrame = errors.New("frame not completed in time")
	ErrIdle      = errors.New("nothing received for too long")
	ErrReplaced  = errors.New("silent, and the peer has a newer line")
	ErrOutbound  = errors.New("peer does not read: too much waits to be sent")
	ErrStopped   = errors.New("the front is being stopped")
	ErrDrained   = errors.New("let go: nothing was under way")
	ErrRejected  = errors.New("what it sends is nothing to us")
	ErrClosed    = errors.New("connection is closed") // from Send only
)
