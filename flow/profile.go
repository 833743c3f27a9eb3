package flow

import (
	"slices"

	"tongka/txn"
)

// Step is one securing step: a command to the security module, or a look-up.
type Step uint8

// Securing steps.
const (
	VerifyMAC Step = iota
	SeekRepeat
	SeekOriginal
	PickRoute // decided at once, by the routing table
	TranslatePIN
	FindNamed // find the transaction that F61 or F37 names
	HoldChain // lock what became of it, and read that
	MakePIK   // a new PIN key, under the LMK and under the TMK
	CheckPIK  // its check value
	MakeMAK
	CheckMAK
	CheckCard // decided at once: what the switch takes, and the blacklist
	VerifyMAC1
	HoldCard // lock what is kept of the card and its orders, and read that
	VerifyTAC
	MakeMAC2
	MakeTDK // a key for track data, where the terminal asks for one
	CheckTDK
	AddUp     // compare a terminal's totals of a batch with ours
	MatchItem // compare the items of an upload with the journal
	Fetch     // find what a terminal wants to load

	FindPermit // may a terminal have a new master key; or was it given one that it did not take
	MakeTMK
	CheckTMK
	FindTMK // find the one that a terminal says it has taken
)

var stepNames = [...]string{"verify-mac", "seek-repeat", "seek-original", "pick-route", "translate-pin",
	"find-named", "hold-chain", "make-pik", "check-pik", "make-mak", "check-mak",
	"check-card", "verify-mac1", "hold-card", "verify-tac", "make-mac2",
	"make-tdk", "check-tdk", "add-up", "match-item", "fetch",
	"find-permit", "make-tmk", "check-tmk", "find-tmk"}

// String is the step's name in scripts and logs.
func (s Step) String() string { return stepNames[s] }

// looksUp says that a step is answered from our own books.
func (s Step) looksUp() bool {
	switch s {
	case SeekRepeat, SeekOriginal, FindNamed, HoldChain, HoldCard, AddUp, MatchItem, Fetch, FindPermit, FindTMK:
		return true
	}
	return false
}

type machine uint8

const (
	none     machine = iota
	forward          // asks a bank
	local            // answered by the switch alone
	reversal         // answered from the switch's own books
	advice           // answered by the switch, and a bank is told
	carded           // answered by the switch, about a card
)

// profile is what a kind of transaction needs. How its messages look is
// translate's.
type profile struct {
	machine machine
	session bool  // needs a terminal that has signed in, a MAC, and seals its answer
	money   bool  // moves money: an intent is on disk before it leaves, and unanswered it is taken back
	class   Class // whose limits it counts against
	steps   []Step
	of      []txn.Kind // what it may name, the likeliest first
	takes   rule       // what it does to that
	sameDay bool       // and only on the same terminal, in the same batch, on the same day
	settles bool       // is about a batch as a whole, which may have ended
}

// Class says whose flow control a kind of request counts against.
type Class uint8

// Classes.
const (
	Payment Class = iota // all that is no other
	Enquiry              // changes nothing, and may come in storms
	Exempt               // makes good what went wrong, and is never held up
)

var profiles = [txn.Kinds]profile{
	txn.Unknown:  {},
	txn.SignIn:   {machine: local, steps: []Step{MakePIK, CheckPIK, MakeMAK, CheckMAK, MakeTDK, CheckTDK}},
	txn.SignOff:  {machine: local},
	txn.Echo:     {machine: local, class: Enquiry},
	txn.Sale:     {machine: forward, session: true, money: true, steps: forwarded},
	txn.Reversal: {machine: reversal, session: true, class: Exempt, steps: []Step{VerifyMAC, SeekOriginal, HoldChain}},
	txn.Balance:  {machine: forward, session: true, class: Enquiry, steps: forwarded},

	txn.Void:             {machine: forward, session: true, money: true, steps: naming, of: []txn.Kind{txn.Sale}, takes: takesAll, sameDay: true},
	txn.Refund:           {machine: forward, session: true, money: true, steps: naming, of: []txn.Kind{txn.Sale, txn.Completion}, takes: takesPart},
	txn.PreAuth:          {machine: forward, session: true, money: true, steps: forwarded},
	txn.PreAuthVoid:      {machine: forward, session: true, money: true, steps: naming, of: []txn.Kind{txn.PreAuth}, takes: takesAll},
	txn.Completion:       {machine: forward, session: true, money: true, steps: naming, of: []txn.Kind{txn.PreAuth}, takes: takesForGood},
	txn.CompletionVoid:   {machine: forward, session: true, money: true, steps: naming, of: []txn.Kind{txn.Completion}, takes: takesAll, sameDay: true},
	txn.CompletionAdvice: {machine: advice, session: true, money: true, steps: told, of: []txn.Kind{txn.PreAuth}, takes: takesForGood},
	txn.Tip:              {machine: advice, session: true, money: true, steps: told, of: []txn.Kind{txn.Sale, txn.Completion}, takes: addsTip, sameDay: true},
	txn.ScriptNotice:     {machine: advice, session: true, class: Exempt, steps: noted, of: []txn.Kind{txn.Sale, txn.Balance, txn.PreAuth, txn.Completion}, takes: onlyNames},
	txn.OfflineSettle:    {machine: advice, session: true, money: true, steps: accepted},
	txn.OfflineSale:      {machine: advice, session: true, money: true, steps: accepted},
	txn.OfflineRefund:    {machine: advice, session: true, money: true, steps: accepted},
	txn.LoadAccount:      {machine: forward, session: true, money: true, steps: loading},
	txn.LoadOther:        {machine: forward, session: true, money: true, steps: loading},
	txn.LoadCash:         {machine: forward, session: true, money: true, steps: loading},
	txn.LoadVoid:         {machine: forward, session: true, money: true, steps: voiding, of: []txn.Kind{txn.LoadCash}, takes: takesAll, sameDay: true},
	txn.Unload:           {machine: carded, session: true, money: true, steps: unloading},
	txn.LoadConfirm:      {machine: carded, session: true, class: Exempt, steps: confirming},
	txn.OrderQuery:       {machine: carded, session: true, class: Enquiry, steps: asking},
	txn.OrderLoad:        {machine: carded, session: true, steps: ordering},
	txn.AirLoad:          {machine: carded, session: true},
	txn.Adjust:           {machine: advice, session: true, steps: noted, of: []txn.Kind{txn.OfflineSettle, txn.Sale}, takes: onlyNames},
	txn.Settle:           {machine: local, session: true, settles: true, steps: []Step{VerifyMAC, SeekRepeat, AddUp}},
	txn.Download:         {machine: local, class: Enquiry, steps: []Step{Fetch}},
	txn.BatchUpload:      {machine: local, session: true, settles: true, steps: []Step{VerifyMAC, SeekRepeat, MatchItem}},
}

// naming is what is done with a request that names another transaction. The
// others are of requests that a bank is only told of: told takes something of the
// transaction that it names, noted names it and no more, accepted names none.
var (
	naming   = []Step{VerifyMAC, SeekRepeat, FindNamed, HoldChain, TranslatePIN}
	told     = []Step{VerifyMAC, SeekRepeat, FindNamed, HoldChain}
	noted    = []Step{VerifyMAC, SeekRepeat, FindNamed}
	accepted = []Step{VerifyMAC, SeekRepeat, PickRoute}
)

// MayName lists the kinds that one of kind k may name, the likeliest first.
func MayName(k txn.Kind) []txn.Kind { return profiles[k].of }

// forwarded is what is done with a request before a bank sees it.
var forwarded = []Step{VerifyMAC, SeekRepeat, PickRoute, TranslatePIN}

// NeedsSession says whether a kind is refused to a terminal that has not signed
// in: its MAC could not be verified.
func NeedsSession(k txn.Kind) bool { return profiles[k].session }

// OldBatch says whether a kind may name a batch that is not the session's: it
// makes good, or counts, what happened there.
func OldBatch(k txn.Kind) bool { return k == txn.Reversal || profiles[k].settles }

// Supported says whether the switch handles a kind.
func Supported(k txn.Kind) bool { return profiles[k].machine != none }

// toldLater says that a kind's bank hears of it when it can.
func toldLater(k txn.Kind) bool { return profiles[k].machine == advice || k == txn.Unload }

// Forwarded says whether a bank is asked, and so whether a kind is routed.
func Forwarded(k txn.Kind) bool { return profiles[k].machine == forward }

// MovesMoney says whether a bank books something, so that what is not known to
// have come to an end must be taken back.
func MovesMoney(k txn.Kind) bool { return profiles[k].money }

// ClassOf gives the flow control that a kind counts against.
func ClassOf(k txn.Kind) Class { return profiles[k].class }

// Routed are the kinds that a routing table is asked for.
func Routed() (kinds []txn.Kind) {
	for k := range profiles {
		if slices.Contains(profiles[k].steps, PickRoute) {
			kinds = append(kinds, txn.Kind(k))
		}
	}
	return kinds
}
