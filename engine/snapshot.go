package engine

import "tongka/txn"

// Snapshot is what a shard shows of itself: plain values, made anew each time
// and never changed after, so the console and the metrics read it without a
// lock. Counters only grow while the process lives.
type Snapshot struct {
	At       int64 // Unix nanoseconds
	Started  int64
	Ready    bool // recovery is done and the doors are open
	Slots    int  // transactions that fit in flight
	InFlight int
	Owed     int // reversals that a bank has not confirmed yet
	Parked   int // owed items that used up their attempts
	Counters Counters
	Latency  Latency
	Links    []LinkView
	Last     []View // newest first
}

// Counters count events since the start of the process.
type Counters struct {
	Received     uint64 // requests with a known kind from a known terminal
	Approved     uint64
	Declined     uint64
	TimedOut     uint64 // told 98, reversal owed
	Reversed     uint64 // terminal reversals accepted
	Delivered    uint64 // owed reversals that a bank confirmed
	Repeats      uint64 // answered from the journal
	LateAnswers  uint64 // a bank answered after the deadline
	Unmatched    uint64 // a bank answered what was never asked, or answered twice
	BadFormat    uint64 // frames that no dialect could read
	BadMAC       uint64
	Unregistered uint64 // requests from unknown terminals
	Refused      uint64 // no slot, kind not allowed, no route
	HSMFaults    uint64
	SignIns      uint64
	Echoes       uint64
	Commits      uint64 // ticks made durable
	Records      uint64
}

// Latency is a histogram of terminal request to terminal answer, in
// microseconds, of transactions that went to a bank. Bucket i counts
// durations below LatencyBound(i).
type Latency struct {
	Count   uint64
	Sum     uint64 // microseconds
	Buckets [LatencyBuckets]uint64
}

// LinkView is one bank link.
type LinkView struct {
	Name     string
	State    string // down, signing-on, up
	Since    int64  // Unix nanoseconds of the last change
	InFlight int
	Owed     int
	Sent     uint64
	Answered uint64
	TimedOut uint64
}

// View is one finished transaction, for people: the card number is masked.
type View struct {
	ID       txn.ID
	At       int64
	Micros   int64
	Terminal string
	Merchant string
	PAN      string // masked
	Kind     txn.Kind
	Amount   int64 // fen
	Code     txn.Code
	Result   txn.Result
	Link     string
}
