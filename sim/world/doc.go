// Package world plays days of terminals, banks, lines and crashes against the
// production engine, its flows, journal, debts, deadlines and routes, all of them
// as they are: only the clock, the network and the disk are simulated. One seed
// is one history, the same in every process; its hash says so. After a history
// the books of terminals and banks are compared, and while it runs every byte
// that leaves is held against what is on disk.
//
// What happens to a thing is a hash of the seed, the thing and the attempt, and
// never the next number of a shared source: so a history from which something is
// left out stays the same elsewhere, and a failure can be cut down to the few
// things that make it.
package world

import "math/bits"

// Options say which history is played, and on what.
type Options struct {
	Seed         uint64
	Transactions int
	// Pebble keeps the journal on the real store, over a file system that loses at
	// a crash what was not synced. Otherwise it is kept in memory, with the same
	// promises, which is faster.
	Pebble bool
	// Cards is how many e-purse cards there are; a few when it is 0. OnlyLoads has
	// every operation be a load, of one card after the other.
	Cards     int
	OnlyLoads bool

	cheats uint64 // the operation that a bank approves and does not book, for tests
}

// Violation is a promise that was broken.
type Violation struct {
	Checker string `json:"checker"` // which promise
	What    string `json:"what"`
	At      int64  `json:"at_ns"` // simulated time since the start
}

// Result is what a history came to.
type Result struct {
	Seed         uint64      `json:"seed"`
	Transactions int         `json:"transactions"`
	Crashes      int         `json:"crashes"`
	Loads        int         `json:"loads"`        // that e-purse cards wrote or were to write
	Parked       int         `json:"parked_cards"` // of which a person decides
	Hash         uint64      `json:"hash"`
	Violations   []Violation `json:"violations,omitempty"`
	// Shortest is the smallest part of the history that breaks the same promise,
	// one line for each thing that is left; only after Shrink.
	Shortest []string `json:"shortest,omitempty"`
	Trail    []string `json:"-"` // what happened, when asked for
}

// fate draws a number for one thing: the same for the same seed and names.
func fate(seed uint64, names ...uint64) uint64 {
	h := seed ^ 0x9E3779B97F4A7C15
	for _, n := range names {
		hi, lo := bits.Mul64(h^n^0xD1B54A32D192ED03, 0x8CB92BA72F3D8DD7)
		h = hi ^ lo ^ n<<32
	}
	hi, lo := bits.Mul64(h^h>>29, 0xABC98388FB8FAC03)
	return hi ^ lo
}

// What a fate is about.
const (
	aboutOp uint64 = iota
	aboutKind
	aboutCard
	aboutAmount
	aboutThink
	aboutDelay
	aboutDecline
	aboutBankMood
	aboutLoss
	aboutCrash
	aboutPhase
	aboutCut
	aboutSpell
	aboutDoubt
	aboutJitter
	aboutRepeat
	aboutGhost
	aboutForgery
	aboutLie
	aboutShape
	aboutModule
	aboutGrey
	aboutStall
	aboutPurse
)
