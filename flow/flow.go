// Package flow decides. Step takes a transaction, an event and the time, and
// returns effects; it opens nothing, reads no clock and keeps nothing. The
// shard performs the effects in their order, and everything behind a Record
// leaves the machine only when that record is on disk.
//
// A transaction's way:
//
//	Arrived ─▶ securing, one step after the other (the profile lists them)
//	        ─▶ forward kinds: Record intent, Arm, Forward ─▶ waiting
//	             Answered ─▶ Record outcome, Reply            ─▶ done
//	             Expired  ─▶ Record outcome 98, Owe, Reply    ─▶ done
//	           (those that move no money have no intent and owe nothing)
//	        ─▶ local kinds: Record, Reply ─▶ done
//
// A refusal on the way is an outcome like any other, recorded once the terminal
// has proved itself (its MAC was right).
package flow

import (
	"fmt"

	"tongka/router"
	"tongka/txn"
)

// State is where a transaction stands between two events.
type State uint8

// States.
const (
	New State = iota
	Securing
	Waiting
	Writing // a card's MAC2 is being made
	Done
)

var stateNames = [...]string{"new", "securing", "waiting", "writing", "done"}

// String is the state's name in scripts and panics.
func (s State) String() string { return stateNames[s] }

// Txn is a transaction in flight. It belongs to one shard.
type Txn struct {
	txn.Facts
	State  State
	Step   uint8 // which securing step is being done
	HasPIN bool
	HasTDK bool // a sign-in that wants a key for track data, too
	Key    KeyStage
	Proved bool   // the request's MAC was right
	Over   bool   // refused because its links were at their limit
	Group  uint16 // of its terminal
	Ref    *Ref   // the transaction that this one names; nil for all others
	Load   *Load  // the card that this one is about; nil for all others
}

// Health tells of the links what a decision must know.
type Health interface {
	router.Health
	// FullCode is the answer to a request that wanted this link and found it, and
	// all that could stand in for it, at their limits.
	FullCode(txn.LinkID) txn.Code
}

// Env is what a decision may look at besides the transaction.
type Env struct {
	Routes *router.Table
	Health Health
	// Cards says which cards are taken; nil takes none.
	Cards Cards
	// Zone is the time of day of a business day against UTC, nanoseconds.
	Zone  int64
	Rules Rules
	// AnswerTimeout is how long to wait for a link's answer, nanoseconds, by LinkID.
	AnswerTimeout []int64
}

// Rules are the limits of a house, in hundredths: what a completion may add to its
// pre-authorisation, and all tips to a sale.
type Rules struct{ Completion, Tip int64 }

// EventKind names what happened.
type EventKind uint8

// Events.
const (
	Arrived   EventKind = iota // Deny holds what the shard already found wrong, or zero
	Secured                    // the security module has done the step, or Deny says why not
	Found                      // the look-up asked for by Seek is done
	Answered                   // the bank answered: Code, Auth, Settle
	Expired                    // the deadline passed
	Cancelled                  // the terminal reverses this transaction while it is in flight
)

var eventNames = [...]string{"arrived", "secured", "found", "answered", "expired", "cancelled"}

// String is the event's name in scripts and panics.
func (k EventKind) String() string { return eventNames[k] }

// Fate is what Seek found.
type Fate uint8

// Fates.
const (
	Fresh  Fate = iota // nothing with this identity
	Repeat             // the same request, answered before
	Live               // the same request or the original, still in flight
	Clash              // the same identity with another amount or card, or reversed before it came
	Known              // the original of a reversal; Event.Orig says how it ended
)

// Event is something that happened to a transaction.
type Event struct {
	Kind   EventKind
	Fate   Fate
	Orig   txn.Result
	Deny   txn.Code
	Refuse txn.Code // Found: a fresh request that lists and limits do not let pass
	Code   txn.Code
	Auth   [6]byte
	Settle uint16
	Now    int64
}

// Do is what an effect asks of the shard.
type Do uint8

// Effects. Seek and Ask are answered by an event (Found, Secured), at once or
// later.
const (
	Ask       Do = iota // Step says which securing step
	Seek                // look for an earlier request with the same identity
	Record              // Rec says which record; a barrier for all that follows
	Arm                 // wake me at At
	Disarm              // the deadline is off
	Forward             // send to Link
	Reply               // answer the terminal with the transaction's code
	Resend              // answer the terminal with the stored answer
	Attach              // the transaction in flight answers to this connection from now on
	Owe                 // a reversal of this transaction (or of Orig) is owed to Link
	Advise              // a notice of this transaction is owed to Link
	Save                // write the named transaction's chain (Orig: that of its parent)
	Cancel              // Orig, in flight, gets the event Cancelled
	Install             // the new session keys are the terminal's from now on
	SaveCard            // write what is kept of the card
	SaveOrder           // write the order (Orig: that of the card's last load)
	Credit              // the card has paid: the bank of its unload is owed a notice of it
	Alert               // Alarm says what smells, or is for a person
	SignOut             // the terminal's session has ended
	Close               // the batch is closed, with what was compared
	Note                // keep what an upload's items were found to be
	Adopt               // the master key that the terminal took is its own from now on
)

// Rec is the kind of a record.
type Rec uint8

// Records.
const (
	Intent Rec = iota
	Outcome
	SignedIn
	SignedOut
	TMKMade  // a master key, under the LMK and under the transport key
	TMKTaken // the terminal holds it
)

// Effect is one thing to do.
type Effect struct {
	Do    Do
	Rec   Rec
	Step  Step
	Orig  bool // Owe: the reversal of the original, not of this transaction
	Link  txn.LinkID
	Alarm Alarm
	At    int64
}

// Effects is the bounded list that a step returns; more is a bug.
type Effects struct {
	N int
	A [8]Effect
}

func (o *Effects) add(e Effect) {
	o.A[o.N] = e
	o.N++
}

// Decide moves a transaction by one event. An event that its state cannot take
// is a bug of the shard and panics; an answer or a deadline after the end is
// not: it changes nothing.
func Decide(env *Env, t *Txn, ev *Event, out *Effects) {
	out.N = 0
	switch {
	case t.State == New && ev.Kind == Arrived:
		arrive(env, t, ev, out)
	case t.State == Securing && (ev.Kind == Secured || ev.Kind == Found):
		secured(env, t, ev, out)
	case t.State == Waiting && ev.Kind == Answered && t.Load != nil && ev.Code.Approved():
		paid(t, ev, out)
	case t.State == Waiting && ev.Kind == Answered:
		answered(t, ev, out)
	case t.State == Writing:
		wrote(t, ev, out)
	case t.State == Waiting && (ev.Kind == Expired || ev.Kind == Cancelled):
		expired(t, ev, out)
	case t.State == Securing && ev.Kind == Cancelled:
		t.Code, t.Result = txn.NoAnswer, txn.Declined
		finish(t, out, false)
	case t.State == Done:
	default:
		panic(fmt.Sprintf("flow: %v in state %v of %v %d", ev.Kind, t.State, t.Kind, t.ID))
	}
}

func arrive(env *Env, t *Txn, ev *Event, out *Effects) {
	if ev.Deny != (txn.Code{}) {
		deny(t, ev.Deny, out)
		return
	}
	t.State, t.Step = Securing, 0
	advance(env, t, ev, out)
}

// advance asks for the next securing step that this transaction needs, or goes
// on to the act when all are done.
func advance(env *Env, t *Txn, ev *Event, out *Effects) {
	steps := stepsOf(t)
	for ; int(t.Step) < len(steps); t.Step++ {
		switch s := steps[t.Step]; {
		case s == TranslatePIN && !t.HasPIN, (s == MakeTDK || s == CheckTDK) && !t.HasTDK:
		case s == PickRoute:
			if !route(env, t, out) {
				return
			}
		case s.ofCards() && settled(env, t, s, out):
			if t.State == Done {
				return
			}
		case s == HoldChain && t.Kind == txn.Reversal && (t.Ref == nil || t.Ref.Result != txn.Approved):
			// Nothing is taken back.
		case s.looksUp():
			out.add(Effect{Do: Seek, Step: s})
			return
		default:
			out.add(Effect{Do: Ask, Step: s})
			return
		}
	}
	if t.Load != nil && act(t, ev, out) {
		return
	}
	switch profiles[t.Kind].machine {
	case forward:
		send(env, t, ev, out)
	case local:
		alone(t, out)
	case reversal:
		takeBack(t, out)
	case advice:
		advise(t, ev, out)
	}
}

// alone ends a request that the switch alone answers. What is said of a batch is on
// disk with its answer, so that a repeat gets the same.
func alone(t *Txn, out *Effects) {
	t.Code, t.Result = txn.OK, txn.Approved
	switch t.Kind {
	case txn.SignIn:
		out.add(Effect{Do: Record, Rec: SignedIn})
		out.add(Effect{Do: Install})
	case txn.SignOff:
		out.add(Effect{Do: Record, Rec: SignedOut})
		out.add(Effect{Do: SignOut})
	case txn.Settle:
		out.add(Effect{Do: Close})
	case txn.BatchUpload:
		out.add(Effect{Do: Note})
	case txn.Download:
		if t.Key != NoKey {
			keyLoad(t, out)
		}
	}
	finish(t, out, true)
}

// secured takes the result of one step.
func secured(env *Env, t *Txn, ev *Event, out *Effects) {
	if ev.Deny != (txn.Code{}) {
		if ev.Kind == Found {
			t.Proved = false // what is known could not be read: leave it as it is
		}
		suspicion(t, ev, out)
		deny(t, ev.Deny, out)
		return
	}
	switch stepsOf(t)[t.Step] {
	case VerifyMAC:
		t.Proved = true
	case SeekRepeat:
		if !fresh(t, ev, out) {
			return
		}
	case SeekOriginal:
		if !original(t, ev, out) {
			return
		}
	case FindNamed:
		if !named(t, ev, out) {
			return
		}
	case HoldChain:
		if !held(env, t, ev, out) {
			return
		}
	case HoldCard:
		if !seen(env, t, ev, out) {
			return
		}
	case VerifyTAC:
		confirmed(t)
	case FindPermit, FindTMK:
		if sameKey(t, ev, out) {
			return
		}
	}
	t.Step++
	advance(env, t, ev, out)
}

// fresh handles what a look-up for the same request found; true means go on.
func fresh(t *Txn, ev *Event, out *Effects) bool {
	switch ev.Fate {
	case Fresh:
		if ev.Refuse != (txn.Code{}) {
			deny(t, ev.Refuse, out)
			return false
		}
		return true
	case Repeat:
		out.add(Effect{Do: Resend})
		t.State = Done
	case Live:
		out.add(Effect{Do: Attach})
		t.State = Done
	default:
		// No record: it would stand in the place of the one that it clashes with.
		t.Proved = false
		deny(t, txn.Duplicate, out)
	}
	return false
}

// original decides a terminal's reversal by what became of its original. It is
// answered from our own books at once; the bank hears of it by store and
// forward. Unknown gives 25; declined, timed out or already reversed gives 00.
func original(t *Txn, ev *Event, out *Effects) bool {
	switch ev.Fate {
	case Fresh:
		deny(t, txn.NoOriginal, out)
		return false
	case Clash:
		t.Proved = false // no record in the place of a reversal that fits
		deny(t, txn.BadAmount, out)
		return false
	case Live:
		out.add(Effect{Do: Cancel})
	case Known:
		if ev.Orig == txn.Open {
			// On disk and not in flight: nobody can tell. It is not cleared.
			t.Proved = false
			deny(t, txn.SystemFault, out)
			return false
		}
	}
	return true
}

// advise ends a request that a bank is only told of: the switch answers, and owes
// the bank the notice, in one batch.
func advise(t *Txn, ev *Event, out *Effects) {
	t.Code, t.Result, t.Sent = txn.OK, txn.Approved, ev.Now
	save(t, out)
	out.add(Effect{Do: Advise, Link: t.Link})
	finish(t, out, true)
}

// route picks the link; the PIN is translated under its key afterwards.
func route(env *Env, t *Txn, out *Effects) bool {
	health := router.Health(env.Health)
	if toldLater(t.Kind) {
		health = allReady{} // it waits for its bank
	}
	link, why := env.Routes.Pick(&t.Facts, t.Group, health)
	switch why {
	case router.NoRule:
		deny(t, txn.NoRoute, out)
		return false
	case router.Down:
		deny(t, txn.LinkDown, out)
		return false
	case router.Full:
		t.Link, t.Over = link, true
		deny(t, env.Health.FullCode(link), out)
		return false
	}
	t.Link = link
	return true
}

type allReady struct{}

func (allReady) Ready(txn.LinkID) router.Readiness { return router.Ready }

// send writes the intent down and lets the request go. The line may have gone
// down, or filled up, while a security module was asked.
func send(env *Env, t *Txn, ev *Event, out *Effects) {
	switch env.Health.Ready(t.Link) {
	case router.Away:
		deny(t, txn.LinkDown, out)
		return
	case router.Busy:
		t.Over = true
		deny(t, env.Health.FullCode(t.Link), out)
		return
	}
	t.Sent, t.Result = ev.Now, txn.Open
	if profiles[t.Kind].money {
		out.add(Effect{Do: Record, Rec: Intent})
	}
	out.add(Effect{Do: Arm, At: ev.Now + env.AnswerTimeout[t.Link]})
	out.add(Effect{Do: Forward, Link: t.Link})
	t.State = Waiting
}

func answered(t *Txn, ev *Event, out *Effects) {
	t.Code, t.Auth, t.Settle, t.Result = ev.Code, ev.Auth, ev.Settle, txn.Declined
	if t.Code.Approved() {
		t.Result = txn.Approved
	}
	out.add(Effect{Do: Disarm})
	if t.Result == txn.Approved {
		save(t, out)
	}
	finish(t, out, true)
}

// expired closes a transaction whose answer did not come in time, or whose
// terminal gave up: told 98, and a reversal owed if money moves, in one record.
// One that never left, because its bank could not be dialled, is told why; the
// reversal is owed all the same, since a crash here could not tell the difference.
func expired(t *Txn, ev *Event, out *Effects) {
	t.Code, t.Result = txn.NoAnswer, txn.TimedOut
	if ev.Deny != (txn.Code{}) {
		t.Code = ev.Deny
	}
	if ev.Kind == Cancelled || ev.Deny != (txn.Code{}) {
		out.add(Effect{Do: Disarm})
	}
	if profiles[t.Kind].money {
		out.add(Effect{Do: Owe, Link: t.Link})
	}
	finish(t, out, ev.Kind == Expired)
}

func deny(t *Txn, c txn.Code, out *Effects) {
	t.Code, t.Result = c, txn.Declined
	finish(t, out, true)
}

// finish records how a transaction that proved itself ended, and answers. A
// request that never proved itself leaves no record: anybody could fill the
// disk with those.
func finish(t *Txn, out *Effects, reply bool) {
	if t.Load != nil {
		keep(t, out)
	}
	if t.Proved {
		out.add(Effect{Do: Record, Rec: Outcome})
	}
	if reply {
		out.add(Effect{Do: Reply})
	}
	t.State = Done
}

// Resume brings an Intent without an Outcome to its end after a crash: nobody
// can say whether the bank booked it, so its reversal is owed. There is no
// connection left to answer.
func Resume(t *Txn, out *Effects) {
	out.N = 0
	t.State, t.Proved = Waiting, true
	expired(t, &Event{Kind: Cancelled}, out)
}
