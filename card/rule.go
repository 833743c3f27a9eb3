package card

import "tongka/txn"

// Meaning is what a card's appearance says of its last load.
type Meaning uint8

// Meanings.
const (
	Free    Meaning = iota // nothing is open: go on
	Proves                 // the last load was written: close it, then go on
	Rewrite                // it was not, and the same is asked for: a new MAC2, no second debit
	Lapsed                 // an unload that the card did not do: no money has moved, go on
	Replay                 // what was sent before, sent again: somebody plays with us
	Odd                    // for a person; the reason says why
	Waits                  // a person has it already
)

var meaningNames = [...]string{"free", "proves", "rewrite", "lapsed", "replay", "odd", "waits"}

// String is the meaning's name in scripts.
func (m Meaning) String() string { return name(meaningNames[:], uint8(m)) }

// Wish is what a request wants of the card.
type Wish struct {
	Amount uint32
	PAN    txn.PAN
	Order  Number
	Unload bool
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
	switch { // never loaded, or undone or decided while it showed this counter
	case (p.State == Undone || p.State == Decided) && (d.Seq < p.Seq || d.Seq == p.Seq && d.Random == p.Random):
		return Replay, NoReason
	case p.State == Undone && d.Seq > p.Seq:
		return Odd, WrittenAfterAll
	}
	return Free, NoReason
}

func (p *Purse) seeLeft(d *Data, w *Wish, spent bool) (Meaning, Reason) {
	fits := func(after int64) bool { return int64(d.Balance) == after || spent && int64(d.Balance) < after }
	switch seq := int(p.Seq); {
	case int(d.Seq) < seq:
		return Odd, CounterBehind
	case int(d.Seq) > seq+1:
		return Odd, CounterAhead
	case int(d.Seq) == seq+1:
		if !fits(p.After()) {
			return Odd, BalanceOdd
		}
		return Proves, NoReason
	case d.Random == p.Random:
		return Replay, NoReason
	case !fits(int64(p.Balance)):
		return Odd, BalanceOdd
	case p.Unloads():
		return Lapsed, NoReason
	case w.Unload || w.Amount != p.Amount || w.PAN != p.PAN || w.Order != p.Order:
		return Odd, OtherAmount
	}
	return Rewrite, NoReason
}

// Close notes that the card was written.
func (p *Purse) Close() { p.State, p.Reason = Closed, NoReason }

// Lapse notes that the card was not written, and that no money is to go anywhere.
func (p *Purse) Lapse() { p.State, p.Reason = Undone, NoReason }

// Park gives the card to a person. d is what the card showed, nil when it is not
// its showing that is in doubt.
func (p *Purse) Park(why Reason, d *Data) {
	p.State, p.Reason = Parked, why
	if p.Shown = d != nil; p.Shown {
		p.ShownSeq, p.ShownBalance = d.Seq, d.Balance
	}
}

// Challenge is the terminal number that INITIALIZE must have been given, so that its
// MAC1 proves that the card was not written by the MAC2 that left last: nobody knew that
// before it left, and INITIALIZE ends the session in which the card would still take
// it. false when it was not kept.
func (p *Purse) Challenge() (terminal [6]byte, ok bool) {
	copy(terminal[:], p.MAC2[:])
	return terminal, p.MAC2 != [4]byte{}
}

// Write notes that a MAC2 leaves for the card that d describes, with the time in it.
// What a 补写 keeps of the first is whose money it was.
func (p *Purse) Write(d *Data, w *Wish, f *txn.Facts, time [7]byte, mac2 [4]byte, rewrite bool) {
	first := *p
	*p = Purse{State: Left, Family: d.Family, Kind: f.Kind, Load: f.ID, Last: f.ID, At: f.At, Serial: d.Serial,
		PAN: w.PAN, Order: w.Order, Balance: d.Balance, Amount: w.Amount, Seq: d.Seq, Random: d.Random, Terminal: d.Terminal,
		Time: time, KeyIndex: d.KeyIndex, KeyVer: d.KeyVer, Alg: d.Alg, Issuer: d.Issuer, Link: f.Link, MAC2: mac2}
	if rewrite {
		p.Load, p.Kind, p.Link = first.Load, first.Kind, first.Link
	}
}
