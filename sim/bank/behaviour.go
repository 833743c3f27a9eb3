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
	CloseAfter  int           `json:"close_after"`  // the connection is closed after so many messages, answered first; 0 = never
	Twice       bool          `json:"twice"`        // every financial answer is sent twice
	WrongMAC    bool          `json:"wrong_mac"`    // what it says has a wrong MAC, where it has one
	NoMAC       bool          `json:"no_mac"`       // its answers have none
	Refuse      txn.Code      `json:"-"`            // F39 of the answer to sign-on, sign-off and echo; zero means 00
}

// maxDelay bounds how long an answer may be held back, and with it the timers
// that a bank can have running.
const maxDelay = 10 * time.Minute

func (b *Behaviour) validate() error {
	switch {
	case b.Delay < 0 || b.DelayJitter < 0 || b.Delay+b.DelayJitter > maxDelay:
		return fmt.Errorf("延时 %v 加 %v：须在 0 至 %v 之间 · delay %[1]v + jitter %[2]v: wanted 0 to %[3]v", b.Delay, b.DelayJitter, maxDelay)
	case !(b.DeclineRate >= 0 && b.DeclineRate <= 1): // written so that NaN fails
		return fmt.Errorf("拒绝比例 %v：须在 0 至 1 之间 · decline rate %[1]v: wanted 0 to 1", b.DeclineRate)
	case b.CloseAfter < 0:
		return fmt.Errorf("close after %d：须不小于 0 · wanted 0 or more", b.CloseAfter)
	case b.CloseEvery < 0:
		return fmt.Errorf("close every %d：须不小于 0 · wanted 0 or more", b.CloseEvery)
	case b.Decline == txn.OK:
		return fmt.Errorf("拒绝应答码 00 是批准 · decline code 00 is an approval")
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

// netCode is the code that a network message gets.
func (b *Behaviour) netCode() txn.Code {
	if b.Refuse == (txn.Code{}) {
		return txn.OK
	}
	return b.Refuse
}

// BehaveLine changes the behaviour of one line at once, and leaves the others as
// they are. Lines are the connections, counted from 1; a new one takes the lowest
// number that is free, so that a line that is dialled again is as bad as before.
func (b *Bank) BehaveLine(line int, v Behaviour) error {
	if line < 1 || line > maxLines {
		return fmt.Errorf("bank: line %d: wanted 1 to %d", line, maxLines)
	}
	if err := v.validate(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.apart[line] = v
	return nil
}

const maxLines = 1000

// behaviourOf is how the bank treats what comes by a line. The lock is held.
func (b *Bank) behaviourOf(line int) Behaviour {
	if v, ok := b.apart[line]; ok {
		return v
	}
	return b.Behaviour()
}

// freeLine is the lowest number that no connection has. The lock is held.
func (b *Bank) freeLine() int {
	taken := make(map[int]bool, len(b.conns))
	for _, line := range b.conns {
		taken[line] = true
	}
	line := 1
	for taken[line] {
		line++
	}
	return line
}
