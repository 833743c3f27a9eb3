package flow

import "tongka/txn"

// Step is one securing step: a command to the security module, or a look-up.
type Step uint8

// Securing steps.
const (
	VerifyMAC Step = iota
	SeekRepeat
	SeekOriginal
	PickRoute // decided at once, by the routing table
	TranslatePIN
	MakePIK  // a new PIN key, under the LMK and under the TMK
	CheckPIK // its check value
	MakeMAK
	CheckMAK
)

var stepNames = [...]string{"verify-mac", "seek-repeat", "seek-original", "pick-route", "translate-pin",
	"make-pik", "check-pik", "make-mak", "check-mak"}

// String is the step's name in scripts and logs.
func (s Step) String() string { return stepNames[s] }

type machine uint8

const (
	none     machine = iota
	forward          // asks a bank
	local            // answered by the switch alone
	reversal         // answered from the switch's own books
)

// profile is what a kind of transaction needs.
type profile struct {
	machine machine
	money   bool // moves money: has an amount, needs a session
	steps   []Step
}

var profiles = [...]profile{
	txn.Unknown:  {},
	txn.SignIn:   {machine: local, steps: []Step{MakePIK, CheckPIK, MakeMAK, CheckMAK}},
	txn.Echo:     {machine: local},
	txn.Sale:     {machine: forward, money: true, steps: []Step{VerifyMAC, SeekRepeat, PickRoute, TranslatePIN}},
	txn.Reversal: {machine: reversal, money: true, steps: []Step{VerifyMAC, SeekOriginal}},
}

// NeedsSession says whether a kind is refused to a terminal that has not signed
// in: its MAC could not be verified.
func NeedsSession(k txn.Kind) bool { return profiles[k].money }

// Supported says whether the switch handles a kind.
func Supported(k txn.Kind) bool { return profiles[k].machine != none }
