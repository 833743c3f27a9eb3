package card

import "errors"

// Decision is what a person makes of a parked card.
type Decision uint8

// Decisions. Only what the card shows was known when it was parked; a person has
// looked at the card itself, or at its records.
const (
	Complete Decision = iota + 1 // the card did it: the money stays where the books have it
	TakeBack                     // the card did not: the money goes back to where it came from
	WriteOff                     // neither can be said or done: nothing moves here, the difference is booked elsewhere
)

var decisionNames = [...]string{"invalid", "complete", "take-back", "write-off"}

// String is the decision's name in orders and the audit file.
func (d Decision) String() string { return name(decisionNames[:], uint8(d)) }

// ParseDecision finds one by its name.
func ParseDecision(s string) (Decision, bool) {
	for i, n := range decisionNames[1:] {
		if n == s {
			return Decision(i + 1), true
		}
	}
	return 0, false
}

// Why a decision is refused.
var (
	ErrNotParked = errors.New("card: nobody has to decide about this card")
	ErrGoneBack  = errors.New("card: the money of this load went back already: it can only be written off")
)

// May says whether a decision is possible.
func (p *Purse) May(d Decision) error {
	switch {
	case p.State != Parked:
		return ErrNotParked
	case p.Reason == WrittenAfterAll && d != WriteOff && !p.Unloads():
		return ErrGoneBack
	}
	return nil
}

// Decide takes a decision that May allows. The card goes on from the counter that
// it showed; without one, from where the decision says that it stands. A card
// that was written after all, behind a take-back, is parked again.
func (p *Purse) Decide(d Decision) {
	switch {
	case p.Shown:
		p.Seq = p.ShownSeq
	case d == Complete:
		p.Seq++
	}
	p.Reason, p.Shown = NoReason, false
	if p.State = Decided; d == TakeBack {
		p.State = Undone
	}
}
