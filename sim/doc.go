// Package sim plays the world around the switch: banks, terminals and security
// modules that speak over TCP, each with a book of its own, and a comparison of
// those books that finds lost and duplicated money. No product package imports
// it. It uses the plain net package with a goroutine per connection, so a fault
// in the switch's own connections cannot hide in its counterpart.
//
//	sim/bank   the bank side          sim/book   what both write down, compared
//	sim/fleet  the terminal side      sim        the rest, and the way in to all
//	sim/kiosk  kiosks, and the cards that people carry to them
//
// A sale is known on both sides by terminal number, merchant number and amount
// (F41, F42, F4): every sale of one terminal has an amount of its own, and the
// switch passes these three through unchanged. Trace numbers would not do, for
// towards the bank they belong to the switch. What names an earlier request is
// known by its kind and by the amount of that, besides. Of a load onto a card the
// card itself says what became of it: see book.CompareCards.
//
// What is in the books is written before the other side can act on it:
//
//	terminal: the sale  → book → request      answer → book → next sale
//	bank:     request   → decide → book → answer
//
// A line that reached the kernel survives the death of the process, which is
// what the books are for; they are not synced against a power cut.
package sim

import (
	"tongka/sim/bank"
	"tongka/sim/book"
	"tongka/sim/fleet"
)

// Names of the parts, so that who plays needs one import. Each is described
// where it is defined.
type (
	Bank           = bank.Bank
	BankConfig     = bank.Config
	BankMAC        = bank.MAC
	BankStats      = bank.Stats
	Behaviour      = bank.Behaviour
	Fleet          = fleet.Fleet
	FleetConfig    = fleet.Config
	FleetStats     = fleet.Stats
	TerminalConfig = fleet.Terminal
	Day            = fleet.Day
	Refusal        = fleet.Refusal
	Sale           = book.Sale
	Booking        = book.Booking
	Verdict        = book.Verdict
	Sum            = book.Sum
	CardVerdict    = book.CardVerdict
	Mix            = fleet.Mix
)

// UsualMix is fleet.UsualMix.
func UsualMix() Mix { return fleet.UsualMix() }

// ParseMix is fleet.ParseMix.
func ParseMix(text string) (Mix, error) { return fleet.ParseMix(text) }

// NewBank is bank.New.
func NewBank(cfg BankConfig) (*Bank, error) { return bank.New(cfg) }

// NewFleet is fleet.New.
func NewFleet(cfg FleetConfig) (*Fleet, error) { return fleet.New(cfg) }

// Compare is book.Compare.
func Compare(terminals []Sale, banks []Booking) Verdict { return book.Compare(terminals, banks) }
