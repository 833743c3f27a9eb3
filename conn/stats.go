package conn

// Stats counts since Start, over all loops.
type Stats struct {
	Open       uint64 // connections now, links included
	Accepted   uint64 // sockets that a listener took
	Refused    uint64 // closed at once, over MaxConns
	AcceptErrs uint64 // accept failed (no file descriptors, …); the listener goes on
	EnrollErrs uint64 // accepted or dialled, but no loop could take it
	Dialled    uint64 // links that came up
	DialErrs   uint64 // tries to dial that failed

	FramesIn, FramesOut uint64 // FramesOut counts Sends: one can hold many frames
	BytesIn, BytesOut   uint64
	KeepAlives          uint64 // received

	ClosedByPeer      uint64
	ClosedByUs        uint64 // Loop.Close, Stop
	ClosedReset       uint64 // the connection broke
	ClosedOversize    uint64
	ClosedEmpty       uint64
	ClosedBadLength   uint64
	ClosedHalfFrame   uint64
	ClosedIdle        uint64
	ClosedOutboundCap uint64
}
