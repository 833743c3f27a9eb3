package conn

import "sync/atomic"

// Stats counts since Start, over all loops.
type Stats struct {
	Open       uint64 // connections now, links included
	Accepted   uint64 // sockets that a listener took
	Refused    uint64 // closed at once, over MaxConns
	AcceptErrs uint64 // accept failed (no file descriptors, …); the listener goes on
	EnrollErrs uint64 // accepted or dialled, but no loop could take it
	Dialled    uint64 // links that came up
	DialErrs   uint64 // tries to dial that failed
	Denied     uint64 // closed at once: the address may not come in here
	TooMany    uint64 // closed at once: its address has all the connections it may
	TooFast    uint64 // closed at once: its address connects too often
	ShutOut    uint64 // closed at once: its address is shut out for a while
	ShutOuts   uint64 // times that an address was shut out, for rubbish

	LinesRefused uint64 // of peers that dial us: one more than there may be, while none is silent

	Handshakes        uint64 // TLS sessions that were begun by those who came in
	HandshakesBad     uint64 // not TLS, no certificate or a wrong one, no version in common
	HandshakesLate    uint64 // not done in time
	HandshakesRefused uint64 // too many were under way already

	FramesIn   uint64
	BytesIn    uint64
	Sends      uint64 // each can hold many frames
	BytesOut   uint64
	KeepAlives uint64 // received

	KeepAlivesSent uint64 // among Sends

	ClosedByPeer      uint64
	ClosedByUs        uint64 // Loop.Close, Stop
	ClosedDrained     uint64 // let go by Drain or Update, with nothing owed
	ClosedReset       uint64 // the connection broke
	ClosedOversize    uint64
	ClosedEmpty       uint64
	ClosedMalformed   uint64
	ClosedHalfFrame   uint64
	ClosedIdle        uint64
	ClosedTLS         uint64 // what came was no record of the session
	ClosedOutboundCap uint64
	ClosedRejected    uint64 // by Loop.Reject
	ClosedReplaced    uint64 // a silent line made way for a new one
}

// counter is one number that a loop counts.
type counter int

const (
	framesIn counter = iota
	bytesIn
	sends
	bytesOut
	keepAlives
	keepAlivesSent
	closedByPeer
	closedByUs
	closedDrained
	closedReset
	closedOversize
	closedEmpty
	closedMalformed
	closedHalfFrame
	closedIdle
	closedTLS
	closedOutboundCap
	closedReplaced
	closedRejected
	linesRefused
	shutOuts
	counters
)

// reasons are the errors that have a counter of their own.
var reasons = [counters]error{
	closedByUs:        ErrStopped,
	closedDrained:     ErrDrained,
	closedOversize:    ErrOversize,
	closedEmpty:       ErrEmpty,
	closedMalformed:   ErrMalformed,
	closedHalfFrame:   ErrHalfFrame,
	closedIdle:        ErrIdle,
	closedTLS:         ErrTLS,
	closedOutboundCap: ErrOutbound,
	closedReplaced:    ErrReplaced,
	closedRejected:    ErrRejected,
}

// counts are plain numbers of one goroutine: the hot path counts without a
// locked instruction.
type counts [counters]uint64

// sharedCounts are the counts as of the last tick, for everybody.
type sharedCounts struct {
	last counts
	v    [counters]atomic.Uint64
}

// publish stores what has changed.
func (s *sharedCounts) publish(c *counts) {
	for i := range c {
		if s.last[i] != c[i] {
			s.last[i] = c[i]
			s.v[i].Store(c[i])
		}
	}
}

func (s *sharedCounts) addTo(c *counts) {
	for i := range c {
		c[i] += s.v[i].Load()
	}
}

// fill puts the loops' sums into their fields.
func (s *Stats) fill(c *counts) {
	s.FramesIn, s.BytesIn = c[framesIn], c[bytesIn]
	s.Sends, s.BytesOut = c[sends], c[bytesOut]
	s.KeepAlives, s.KeepAlivesSent = c[keepAlives], c[keepAlivesSent]
	s.ClosedByPeer, s.ClosedByUs, s.ClosedReset = c[closedByPeer], c[closedByUs], c[closedReset]
	s.ClosedDrained, s.ClosedTLS, s.ClosedRejected = c[closedDrained], c[closedTLS], c[closedRejected]
	s.ClosedOversize, s.ClosedEmpty, s.ClosedMalformed = c[closedOversize], c[closedEmpty], c[closedMalformed]
	s.ClosedReplaced, s.LinesRefused, s.ShutOuts = c[closedReplaced], c[linesRefused], c[shutOuts]
	s.ClosedHalfFrame, s.ClosedIdle, s.ClosedOutboundCap = c[closedHalfFrame], c[closedIdle], c[closedOutboundCap]
}
