package card

import "tongka/txn"

// Meaning is what a card's appearance says of its last load.
type Meaning uint8

// Meanings.
const (
	Free    Meaning = iota // nothing is open: go on
	Proves                 // the last load was written: close it, then go on
	Rewrite                // it was not, and the same is asked for: a new MAC2, no second debit
	Replay                 // what was sent before, sent again: somebody plays with us
	Odd                    // for a person; the reason says why
	Waits                  // a person has it already
)

var meaningNames = [...]string{"free", "proves", "rewrite", "replay", "odd", "waits"}

// String is the meaning's name in scripts.
func (m Meaning) String() string { return name(meaningNames[:], uint8(m)) }

// Wish is what a request wants of the card.
type Wish struct {
	Amount uint32
	PAN    txn.PAN
	Order  Number
}

// See decides what the card that d describes, with a MAC1 that was right, says of
// the last load. spent allows for purchases since, which lower the balance and
// leave the counter alone; without it any other balance is for a person.
//
// Source: the rule of a city's front system (repeated request, 补写); its equality
// of balances is spent = false.
func (p *Purse) See(d *Data, w *Wish, spent bool) (Meaning, Reason) {
	switch p.State {
	case Parked:
		return Waits, p.Reason
	case Closed:
		if int(d.Seq) <= int(p.Seq) {
			return Replay, NoReason
		}
		return Free, NoReason
	case Left:
		return p.seeLeft(d, w, spent)
	}
	switch { // never loaded, or undone while it showed this counter
	case p.State == Undone && d.Seq < p.Seq:
		return Replay, NoReason
	case p.State == Undone && d.Seq > p.Seq:
		return Odd, WrittenAfterAll
	}
	return Free, NoReason
}

func (p *Purse) seeLeft(d *Data, w *Wish, spent bool) (Meaning, Reason) {
	fits := func(after uint64) bool { return uint64(d.Balance) == after || spent && uint64(d.Balance) < after }
	switch seq := int(p.Seq); {
	case int(d.Seq) < seq:
		return Odd, CounterBehind
	case int(d.Seq) > seq+1:
		return Odd, CounterAhead
	case int(d.Seq) == seq+1:
		if !fits(uint64(p.Balance) + uint64(p.Amount)) {
			return Odd, BalanceOdd
		}
		return Proves, NoReason
	case d.Random == p.Random:
		return Replay, NoReason
	case !fits(uint64(p.Balance)):
		return Odd, BalanceOdd
	case w.Amount != p.Amount || w.PAN != p.PAN || w.Order != p.Order:
		return Odd, OtherAmount
	}
	return Rewrite, NoReason
}

// Close notes that the card was written.
func (p *Purse) Close() { p.State, p.Reason = Closed, NoReason }

// Park gives the card to a person.
func (p *Purse) Park(why Reason) { p.State, p.Reason = Parked, why }

// Write notes that a MAC2 leaves for the card that d describes. What a 补写 keeps
// of the first is whose money it was.
func (p *Purse) Write(d *Data, w *Wish, f *txn.Facts, time [7]byte, rewrite bool) {
	first := *p
	*p = Purse{State: Left, Family: d.Family, Kind: f.Kind, Load: f.ID, Last: f.ID, At: f.At, Serial: d.Serial,
		PAN: w.PAN, Order: w.Order, Balance: d.Balance, Amount: w.Amount, Seq: d.Seq, Random: d.Random, Terminal: d.Terminal,
		Time: time, KeyIndex: d.KeyIndex, KeyVer: d.KeyVer, Alg: d.Alg, Issuer: d.Issuer, Link: f.Link}
	if rewrite {
		p.Load, p.Kind, p.Link = first.Load, first.Kind, first.Link
	}
}
