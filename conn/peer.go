package conn

import (
	"net/netip"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"tongka/conn/gate"
	"tongka/timeout"
)

type peerState uint8

const (
	enrolling peerState = iota // on its way to the loop
	open
	closing // nothing more is read from it; what was sent is leaving
	gone
)

// peer is one connection. It belongs to its loop; only opened is read outside,
// after the loop has taken it.
type peer struct {
	door   *door
	guest  *gate.Guest // of the door's gate; nil when we dialled
	remote netip.AddrPort
	loop   *loop
	c      gnet.Conn
	down   chan struct{} // of a link: closed when the line is lost, after why and seen were set
	id     ID
	part   []byte // the beginning of a frame that is not whole yet
	why    error  // set before we close it ourselves
	until  int64  // when closing: unix ns of our patience's end
	born   int64  // unix ns of Opened
	seen   int64  // unix ns of the last whole frame, as exact as the loop's turn; 0 before the first
	sent   int64  // unix ns of the last Send, where keep-alives are sent
	idle   timeout.Token
	alive  timeout.Token
	half   timeout.Token // also the steps of closing, which has no half frames
	out    timeout.Token // the next look at whether it can leave
	state  peerState
	looks  uint8 // whether it can leave
	shut   bool  // when closing: our direction is shut down
	opened bool
	tls    *wire // nil without TLS
	ended  bool  // it said by TLS that it sends no more
}

// What a timer in the loop's wheel is for: the low bits of its id, under the
// connection's index.
const (
	idleTimer = iota
	halfTimer
	closeTimer
	aliveTimer
	leaveTimer
	timerKinds = 8 // room for the kinds, in whole bits
)

// heard is when the peer gave the last sign of life, unix ns.
func (p *peer) heard() int64 { return max(p.seen, p.born) }

// idleEnd is when the peer will have been silent for too long, unix ns, if there is
// such a time.
func (p *peer) idleEnd() (at int64, limited bool) {
	limit := p.door.terms.Load().idle
	return p.heard() + limit, limit > 0
}

func (p *peer) timerID(kind uint64) uint64 { return uint64(p.id.Index())*timerKinds | kind }

// hangUp shuts our direction down, so that the peer sees the end of the stream
// after the last byte. A plain close would reset the connection when something
// of the peer's lies unread, and take our last answer with it.
func (p *peer) hangUp() error {
	p.shut = true
	return unix.Shutdown(p.c.Fd(), unix.SHUT_WR)
}
