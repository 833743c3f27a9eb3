package flow

import (
	"encoding/binary"
	"fmt"
	"slices"

	"tongka/txn"
)

// Chain is what has become of an approved transaction since: it was voided or
// completed, or parts were given back. It is kept by the transaction's number,
// read under a lock, and written in the batch of the outcome that changed it.
//
//	version:1 = 1 by:1 closed:8 refunded:8 tip:8    little endian
type Chain struct {
	Closed   txn.ID   // the void or completion that took all of it, or 0
	By       txn.Kind // what that was
	Refunded int64    // fen given back so far
	Tip      int64    // fen added so far
}

const (
	chainVersion = 1
	chainSize    = 26
)

// AppendChain appends the stored form.
func AppendChain(dst []byte, c *Chain) []byte {
	le := binary.LittleEndian
	dst = append(dst, chainVersion, byte(c.By))
	dst = le.AppendUint64(dst, uint64(c.Closed))
	dst = le.AppendUint64(dst, uint64(c.Refunded))
	return le.AppendUint64(dst, uint64(c.Tip))
}

// ReadChain is the inverse; nothing stored is a Chain that nothing has happened
// to. The error names the byte.
func ReadChain(b []byte) (c Chain, err error) {
	le := binary.LittleEndian
	switch {
	case len(b) == 0:
		return c, nil
	case len(b) != chainSize:
		return c, fmt.Errorf("chain: byte %d: %d bytes, want %d", len(b), len(b), chainSize)
	case b[0] != chainVersion:
		return c, fmt.Errorf("chain: byte 0: version %d, want %d", b[0], chainVersion)
	}
	c = Chain{By: txn.Kind(b[1]), Closed: txn.ID(le.Uint64(b[2:])), Refunded: int64(le.Uint64(b[10:])), Tip: int64(le.Uint64(b[18:]))}
	return c, nil
}

// Ref is the transaction that a request names, and what is kept of it. Only kinds
// that name one have it.
type Ref struct {
	txn.Facts
	// Own is the chain of the transaction itself, Parent that of the one which it
	// named in its turn, when a reversal has to undo what it did there.
	Own, Parent Chain
}

// rule says how much of its original a kind takes.
type rule uint8

const (
	takesNothing rule = iota
	takesAll          // a void: the same amount, once
	takesPart         // a refund: any part, until nothing is left
	takesForGood      // a completion: up to a share above, once
	addsTip           // a tip: up to a share of the original
	onlyNames         // a notice about it
)

// Day is the business day of a moment, in days since 1970 at the switch's time
// of day.
func (e *Env) day(at int64) int64 {
	const day = 24 * 3600 * 1_000_000_000
	return (at + e.Zone) / day
}

// mayTake says whether the original of t allows t, and otherwise why not.
func (e *Env) mayTake(t *Txn, now int64) txn.Code {
	p, o := &profiles[t.Kind], t.Ref
	switch {
	case o.Terminal.Merchant != t.Terminal.Merchant:
		return txn.NoOriginal
	case o.PAN.Len() > 0 && t.PAN.Len() > 0 && o.PAN != t.PAN:
		return txn.BadCard
	case o.Own.Closed != 0:
		return txn.BadTransaction
	case p.sameDay && (o.Terminal != t.Terminal || o.Batch != t.Batch || e.day(o.At) != e.day(now)):
		return txn.BadTransaction
	}
	limit := o.Amount
	switch p.takes {
	case takesAll:
		if t.Amount != o.Amount {
			return txn.BadAmount
		}
		// A tip that stays behind would be of a sale that is none any more.
		if o.Own.Refunded != 0 || o.Own.Tip != 0 {
			return txn.BadTransaction
		}
	case takesPart:
		limit = o.Amount + o.Own.Tip - o.Own.Refunded
	case takesForGood:
		limit = o.Amount + o.Amount*e.Rules.Completion/100
	case addsTip:
		limit = o.Amount*e.Rules.Tip/100 - o.Own.Tip
	}
	if t.Amount > limit {
		return txn.BadAmount
	}
	return txn.Code{}
}

// take writes into the original's chain that t was approved.
func take(t *Txn) {
	c := &t.Ref.Own
	switch profiles[t.Kind].takes {
	case takesAll, takesForGood:
		c.Closed, c.By = t.ID, t.Kind
	case takesPart:
		c.Refunded += t.Amount
	case addsTip:
		c.Tip += t.Amount
	}
}

// save writes what an approved transaction took of the one that it names.
func save(t *Txn, out *Effects) {
	if p := &profiles[t.Kind]; p.takes != takesNothing && p.takes != onlyNames {
		take(t)
		out.add(Effect{Do: Save})
	}
}

// mayUndo says whether what the original of a reversal did may be undone. A tip
// may have been given back with its sale: it stays as soon as anything was.
func mayUndo(o *Ref) bool {
	return profiles[o.Kind].takes != addsTip || o.Parent.Refunded == 0 && o.Parent.Closed == 0
}

// undo takes out of the parent's chain what the original of a reversal wrote
// there; false when it wrote nothing.
func undo(o *Ref) bool {
	c := &o.Parent
	switch profiles[o.Kind].takes {
	case takesAll, takesForGood:
		if c.Closed != o.ID {
			return false
		}
		c.Closed, c.By = 0, 0
	case takesPart:
		c.Refunded -= o.Amount
	case addsTip:
		c.Tip -= o.Amount
	default:
		return false
	}
	return true
}

// takeBack ends a reversal. What was done to the original since it was approved
// would be left hanging, so then it is refused; and what the original did to
// another transaction is undone. The refusal is none that a terminal takes for
// "nothing to reverse", as it does 12 and 25: the money stays where it is.
func takeBack(t *Txn, out *Effects) {
	t.Code, t.Result = txn.OK, txn.Approved
	if o := t.Ref; o != nil && o.Result == txn.Approved {
		// What a card may have taken is not taken back either: the card decides.
		if o.Own != (Chain{}) || !mayUndo(o) || OfCards(o.Kind) {
			deny(t, txn.Conflict, out)
			return
		}
		if MovesMoney(o.Kind) {
			out.add(Effect{Do: Owe, Orig: true, Link: t.Link})
		}
		if undo(o) {
			out.add(Effect{Do: Save, Orig: true})
		}
	}
	finish(t, out, true)
}

// named takes what was found under the name that a request gives.
func named(t *Txn, ev *Event, out *Effects) bool {
	switch {
	case ev.Fate == Known && !slices.Contains(profiles[t.Kind].of, t.Ref.Kind):
		deny(t, txn.BadTransaction, out)
	case ev.Fate == Known && (ev.Orig == txn.Approved || profiles[t.Kind].takes == onlyNames && t.Ref.Sent != 0):
		t.Orig, t.Link = t.Ref.ID, t.Ref.Link
		return true
	case ev.Fate == Live:
		t.Proved = false // nothing is decided yet: it may ask again
		deny(t, txn.InProgress, out)
	default:
		deny(t, txn.NoOriginal, out)
	}
	return false
}

// held goes on when the original allows it, at the bank that has the original.
func held(env *Env, t *Txn, ev *Event, out *Effects) bool {
	if t.Kind == txn.Reversal {
		return true
	}
	if why := env.mayTake(t, ev.Now); why != (txn.Code{}) {
		deny(t, why, out)
		return false
	}
	return true
}
