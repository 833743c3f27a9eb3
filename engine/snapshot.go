package engine

import "tongka/txn"

// Snapshot is what a shard shows of itself: plain values, made anew each time
// and never changed after, so the console and the metrics read it without a
// lock. Counters only grow while the process lives.
type Snapshot struct {
	At       int64 // Unix nanoseconds
	Started  int64
	Ready    bool // recovery is done and the doors are open
	Recovery Recovery
	Slots    int // transactions that fit in flight
	InFlight int
	Owed     int  // reversals that a bank has not confirmed yet
	NoSpace  bool // the disk of the journal is nearly full: new requests are refused
	Parked   int  // owed items that used up their attempts
	Cards    int  // e-purse cards that a person has to decide about
	Counters Counters
	Latency  Latency
	// Disk is a histogram of the turns' commits: from handing records to the store
	// until they are durable. Nothing of a turn leaves before.
	Disk    Latency
	Kinds   [txn.Kinds]KindCount
	Links   []LinkView
	HSMs    []HSMView    // security modules behind sockets; none when one answers in the process
	Last    []View       // newest first
	Changes []LineChange // of bank lines, newest first
	// Malformed are the last frames that could not be read, one for each place that
	// sent some.
	Malformed []Malformed
}

// KindCount is how the transactions of one kind ended, since the start.
type KindCount struct{ Approved, Other uint64 }

// Counters count events since the start of the process.
type Counters struct {
	Received       uint64 // requests with a known kind from a known terminal
	Approved       uint64
	Declined       uint64
	TimedOut       uint64 // told 98, reversal owed; enquiries are not among them
	Reversed       uint64 // terminal reversals accepted
	Delivered      uint64 // owed reversals that a bank confirmed
	Repeats        uint64 // answered from the journal
	LateAnswers    uint64 // a bank answered after the deadline
	Unmatched      uint64 // a bank answered what was never asked, or answered twice
	BadFormat      uint64 // frames that no dialect could read
	BadMAC         uint64
	Unregistered   uint64 // requests from unknown terminals
	Refused        uint64 // at the door: no slot, not signed in, kind not supported or not allowed
	CardAlarms     uint64 // what smelt about cards, or is for a person
	HSMFaults      uint64
	SignIns        uint64
	SignOffs       uint64
	BatchesSettled uint64 // batches
	BatchesUnequal uint64 // of these, did not balance
	BatchItems     uint64 // items of batch uploads
	BatchFaults    uint64 // of these, the journal does not bear out
	OfflineRecords uint64 // of offline transactions, taken in messages
	Echoes         uint64
	NoSpace        uint64 // requests refused because the disk of the journal is nearly full
	Enquiries      uint64 // asked of a bank without moving money, however they ended
	Commits        uint64 // ticks made durable
	Records        uint64
	LineChanges    uint64 // changes of state of bank lines
	KeyChanges     uint64 // PIN and MAC keys that banks brought
	BadBankMAC     uint64 // messages of banks with a wrong MAC, or without one: not believed
	// Refused by lists and limits: cards on the list, outside of opening hours, over
	// a limit of the day. Greylisted are cards that were let pass.
	Blacklisted, Greylisted, WhenClosed, OverDaily uint64
	// Requests refused by flow control, by the limit that they were over.
	OverAddress, OverTerminal, OverMerchant, OverPayments, OverEnquiries, OverLink uint64
}

// Latency is a histogram of durations in microseconds: of terminal request to terminal
// answer, say, of transactions that went to a bank. Bucket i counts durations
// below LatencyBound(i).
type Latency struct {
	Count   uint64
	Sum     uint64 // microseconds
	Buckets [LatencyBuckets]uint64
}

// LinkView is one bank.
type LinkView struct {
	Name     string
	State    string // the best of its lines; up: it takes requests
	Since    int64  // Unix nanoseconds of the last change
	InFlight int
	Owed     int
	Held     int    // of these, stopped by an operator
	Stopped  bool   // an operator stopped all deliveries to it
	Over     uint64 // requests that were refused because the links of their route were full, this one wanted
	Sent     uint64
	Answered uint64
	TimedOut uint64
	Lines    []LineView
}

// LineView is one line of a bank.
type LineView struct {
	Number   int    // from 1
	State    string // down, dialing, signing-on, up, probing, draining
	Since    int64  // Unix nanoseconds of the last change
	Trial    bool   // it was taken out and has answered no request since
	Serving  bool   // requests may take it now: it is up, and its priority's turn
	Priority int
	Window   int // 0 is no limit of its own
	InFlight int
	Sent     uint64
	Answered uint64
	TimedOut uint64
}

// HSMView is one security module behind a socket.
type HSMView struct {
	Name      string
	Connected bool   // and not in quarantine
	State     string // testing, ready, quarantined: of the machine, whatever its lines
	Since     int64  // Unix nanoseconds of the last change
	InFlight  int    // commands without an answer, the late ones included
	Late      int    // of these, the ones whose deadline has passed: the module may be at them still
	Missed    uint64 // commands not answered in time, since the start
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
