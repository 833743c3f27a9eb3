package sim

import (
	"errors"
	"time"

	"go.uber.org/zap"
)

// BankConfig describes one bank. Exactly one of Listen and Connect is set.
type BankConfig struct {
	Name      string      // in its books and logs; "bank" when empty
	Listen    string      // address to wait for the switch at; port 0 takes a free one
	Connect   string      // address of the switch, dialled again whenever the line drops
	ZPK       []byte      // clear zone PIN key, 16 bytes; nil = PIN blocks are not opened
	Books     string      // file of the ledger; "" keeps it in memory only
	Limit     int         // bookings held, 5,000,000 when 0; a sale beyond is answered 96
	Behaviour Behaviour   // at the start; Behave changes it
	Log       *zap.Logger // nil = silent
}

// BankStats counts events since NewBank, except Booked and Reversed, which
// describe the ledger and so include what an older process wrote.
type BankStats struct {
	Sales           uint64 `json:"sales"`            // 0200 read
	Booked          int64  `json:"booked"`           // bookings that hold money now
	Reversed        int64  `json:"reversed"`         // bookings that were taken back
	Declined        uint64 `json:"declined"`         // by Behaviour.DeclineRate
	Refused         uint64 `json:"refused"`          // came after their own reversal
	Repeated        uint64 `json:"repeated"`         // 0200 that came again, answered 94
	Reversals       uint64 `json:"reversals"`        // 0420 and 0421 read
	ReversalRepeats uint64 `json:"reversal_repeats"` // of something already reversed, answered 00
	ReversalUnknown uint64 `json:"reversal_unknown"` // of something never seen, answered 25
	SignOns         uint64 `json:"sign_ons"`
	Echoes          uint64 `json:"echoes"`
	Rejected        uint64 `json:"rejected"`    // sent back with a reject code, or not readable at all
	Dropped         uint64 `json:"dropped"`     // connections closed by Behaviour.CloseEvery
	Unanswered      uint64 `json:"unanswered"`  // by Silent or Deaf
	PINs            uint64 `json:"pins"`        // PIN blocks opened
	PINFaults       uint64 `json:"pin_faults"`  // of these, not a PIN block under the ZPK
	Connections     int    `json:"connections"` // open now
}

// Bank plays a bank (or the card centre) behind a CUPS link.
type Bank struct{}

// NewBank reads the books and is ready to Start.
func NewBank(cfg BankConfig) (*Bank, error) { return nil, errors.ErrUnsupported }

// Start opens the door (Listen) or begins to dial (Connect).
func (b *Bank) Start() error { return errors.ErrUnsupported }

// Addr is the address that the bank listens at, or "".
func (b *Bank) Addr() string { return "" }

// Behave changes the behaviour at once, for all connections.
func (b *Bank) Behave(v Behaviour) error { return errors.ErrUnsupported }

// Behaviour gives what Behave set last.
func (b *Bank) Behaviour() Behaviour { return Behaviour{Delay: time.Second} }

// Stats gives the counters.
func (b *Bank) Stats() BankStats { return BankStats{} }

// Bookings gives a copy of the ledger in the order of arrival.
func (b *Bank) Bookings() []Booking { return nil }

// Close drops all connections, waits for its goroutines and closes the books.
func (b *Bank) Close() error { return nil }

type bookingKey struct{}

func (b *Booking) key() bookingKey { return bookingKey{} }
