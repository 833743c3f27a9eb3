package bank

import (
	"fmt"
	"time"

	"tongka/txn"
)

// Behaviour is how a bank treats what it is asked. The zero value is a bank that
// approves everything at once. It is set as a whole (Bank.Behave), so a change
// is never seen by halves.
type Behaviour struct {
	Delay       time.Duration `json:"delay"`        // before every financial answer
	DelayJitter time.Duration `json:"delay_jitter"` // added to Delay, uniform in [0, DelayJitter)
	Decline     txn.Code      `json:"-"`            // F39 of a sale that is declined; zero means 05
	DeclineRate float64       `json:"decline_rate"` // share of sales that are declined, 0..1
	Silent      bool          `json:"silent"`       // sales are booked and never answered; the rest is answered
	Deaf        bool          `json:"deaf"`         // reads, and neither books nor answers anything, echo tests included
	CloseEvery  int           `json:"close_every"`  // each n-th sale is booked, then the connection is dropped; 0 = never
	Twice       bool          `json:"twice"`        // every financial answer is sent twice
}

// maxDelay bounds how long an answer may be held back, and with it the timers
// that a bank can have running.
const maxDelay = 10 * time.Minute

func (b *Behaviour) validate() error {
	switch {
	case b.Delay < 0 || b.DelayJitter < 0 || b.Delay+b.DelayJitter > maxDelay:
		return fmt.Errorf("behaviour: delay %v + jitter %v: wanted 0 to %v", b.Delay, b.DelayJitter, maxDelay)
	case !(b.DeclineRate >= 0 && b.DeclineRate <= 1): // written so that NaN fails
		return fmt.Errorf("behaviour: decline rate %v: wanted 0 to 1", b.DeclineRate)
	case b.CloseEvery < 0:
		return fmt.Errorf("behaviour: close every %d: wanted 0 or more", b.CloseEvery)
	case b.Decline == txn.OK:
		return fmt.Errorf("behaviour: decline code 00 is an approval")
	}
	return nil
}

// declineCode is the code that a declined sale gets.
func (b *Behaviour) declineCode() txn.Code {
	if b.Decline == (txn.Code{}) {
		return txn.Code{'0', '5'}
	}
	return b.Decline
}
