package flow

import (
	"tongka/card"
	"tongka/txn"
)

// Load is the card that a transaction is about: what the terminal says of it, and
// what we keep of it. The order of a recharge:
//
//	verify-mac ─▶ repeat? ─▶ check-card ─▶ verify-mac1 ─▶ hold-card: the next-contact rule
//	   ─▶ free:    route, PIN ─▶ Record intent, Forward ─▶ waiting ─▶ approved ─▶ writing: make-mac2
//	   ─▶ rewrite: writing: make-mac2, no debit                                 (补写)
//	writing ─▶ MAC2: SaveCard and the outcome in one batch, then it leaves       ─▶ done
//	        ─▶ none: what the bank gave is owed back, the terminal is told       ─▶ done
//
// So before MAC2 is durable everything that goes wrong is taken back, and from
// then on nothing is: the card decides.
//
// An unload (圈提) goes the other way, and no bank is asked before the card has
// paid:
//
//	verify-mac … hold-card ─▶ route ─▶ writing: make-mac2 ─▶ SaveCard and the outcome in one batch
//	confirmation, or the card's next contact ─▶ it was debited: Credit, a notice that the bank is owed
//	                                         ─▶ it was not: nothing has moved
type Load struct {
	card.Data
	Purse card.Purse // as held, and then as it will be kept
	// Order is the one that the request names, Past that of the card's last load;
	// without a number there is none.
	Order, Past card.Order
	Orders      []card.Order // an answer to a query
	Rewrite     bool         // of a load that was not written: no second debit
	Writes      bool         // MAC2 is made
	Time        [7]byte      // in MAC2: when it was asked for
	MAC2        [4]byte
	Unload      txn.Facts // of the unload that the purse, as it was held, is about
	Bank        []byte    // the shard's: the bank's answer, while the MAC2 is made

	paid                        bool // the bank has said yes, and there is no MAC2 yet
	purseNew, orderNew, pastNew bool // to be kept
	credits                     bool // the card has paid for an unload: its account gets it
	alarm                       Alarm
	code                        txn.Code // of a decision that wants no more steps, or zero
}

// Alarm is something about a card that is written where people look.
type Alarm uint8

// Alarms.
const (
	NoAlarm      Alarm = iota
	WrongMAC1          // a card that is none of ours, or a forged one
	ReplayedMAC1       // what a card said before, said again
	Blacklisted
	CardParked // a person decides about this card; its reason says why
)

var alarmNames = [...]string{"none", "wrong-mac1", "replayed-mac1", "blacklisted", "card-parked"}

// String is the alarm's name in scripts, logs and the audit file.
func (a Alarm) String() string { return alarmNames[a] }

// Cards is what a switch knows of the cards that it takes.
type Cards interface {
	// Refuse gives the code that refuses a card or an amount for what it is, by
	// family, city, key version, ceiling, limit and blacklist; zero otherwise. listed
	// says that the card is on the blacklist.
	Refuse(t *Txn) (code txn.Code, listed bool)
	// Spent says whether purchases since a load may have lowered its balance.
	Spent() bool
	// AnswersOrders reads what is open for the card of t into t.Load.Orders; false
	// when it cannot be read.
	Orders(t *Txn) bool
}

// Steps of requests about cards.
var (
	loading    = []Step{VerifyMAC, SeekRepeat, CheckCard, VerifyMAC1, HoldCard, PickRoute, TranslatePIN}
	voiding    = []Step{VerifyMAC, SeekRepeat, CheckCard, VerifyMAC1, FindNamed, HoldChain, HoldCard, TranslatePIN}
	unloading  = []Step{VerifyMAC, SeekRepeat, CheckCard, VerifyMAC1, HoldCard, PickRoute}
	ordering   = []Step{VerifyMAC, SeekRepeat, CheckCard, VerifyMAC1, HoldCard}
	confirming = []Step{VerifyMAC, SeekRepeat, HoldCard, VerifyTAC}
	asking     = []Step{VerifyMAC, SeekRepeat, CheckCard}
)

// stepsOf gives the steps of a transaction: of an air top-up each round has its own.
func stepsOf(t *Txn) []Step {
	if t.Kind == txn.AirLoad && t.Load != nil {
		return [...][]Step{asking, asking, ordering, confirming}[t.Load.Round&3]
	}
	switch t.Key {
	case AskKey:
		return keyAsked
	case KeyTaken:
		return keyTaken
	}
	return profiles[t.Kind].steps
}

// OfCards says whether a kind moves money to or from a card, or confirms that: its requests
// carry F58, and what it did is not reversed.
func OfCards(k txn.Kind) bool {
	switch k {
	case txn.LoadAccount, txn.LoadOther, txn.LoadCash, txn.LoadVoid, txn.LoadConfirm, txn.Unload, txn.OrderQuery, txn.OrderLoad, txn.AirLoad:
		return true
	}
	return false
}

// Confirms says whether a transaction tells how the writing went.
func (t *Txn) Confirms() bool {
	return t.Kind == txn.LoadConfirm || t.Kind == txn.AirLoad && t.Load.Round == 3
}

// Opens says whether a transaction only begins an air top-up, or asks.
func (t *Txn) Opens() bool {
	return t.Kind == txn.OrderQuery || t.Kind == txn.AirLoad && t.Load.Round == 1
}

func (s Step) ofCards() bool { return s == CheckCard || s == VerifyTAC }

// settled does a step about a card that needs nobody, or need not be done; false
// asks for it.
func settled(env *Env, t *Txn, s Step, out *Effects) bool {
	if s == VerifyTAC {
		return t.Load.code != (txn.Code{})
	}
	if env.Cards == nil {
		deny(t, txn.NotSupported, out)
		return true
	}
	why, listed := env.Cards.Refuse(t)
	switch {
	case listed:
		out.add(Effect{Do: Alert, Alarm: Blacklisted})
		deny(t, why, out)
	case why != (txn.Code{}):
		deny(t, why, out)
	case t.Opens() && !env.Cards.Orders(t):
		deny(t, txn.SystemFault, out)
	}
	return true
}

// suspicion raises the alarm that a refused step of a card is worth; a TAC that
// is wrong also gives the card to a person.
func suspicion(t *Txn, ev *Event, out *Effects) {
	if t.Load == nil || ev.Deny != txn.BadCardMAC {
		return
	}
	if t.Confirms() {
		t.Load.park(card.WrongTAC, nil)
		return
	}
	out.add(Effect{Do: Alert, Alarm: WrongMAC1})
}

func (l *Load) park(why card.Reason, shows *card.Data) {
	l.Purse.Park(why, shows)
	l.purseNew, l.alarm = true, CardParked
}

// seen is the next-contact rule, and for a confirmation its own.
func seen(env *Env, t *Txn, ev *Event, out *Effects) bool {
	l := t.Load
	if t.Confirms() {
		l.code = l.outcome()
		return true
	}
	wish := t.wish()
	meaning, why := l.Purse.See(&l.Data, &wish, env.Cards != nil && env.Cards.Spent())
	switch meaning {
	case card.Waits:
		deny(t, txn.SeePerson, out)
		return false
	case card.Replay:
		out.add(Effect{Do: Alert, Alarm: ReplayedMAC1})
		deny(t, txn.Suspect, out)
		return false
	case card.Odd:
		if t.Kind == txn.LoadVoid && why == card.OtherAmount {
			break // it wants the account of nobody
		}
		l.park(why, &l.Data)
		deny(t, txn.SeePerson, out)
		return false
	}
	if t.Kind == txn.LoadVoid {
		return voids(t, meaning, out)
	}
	switch meaning {
	case card.Proves:
		l.written()
	case card.Lapsed:
		l.Purse.Lapse()
		l.purseNew = true
	case card.Rewrite:
		l.Rewrite = true
		t.Step = uint8(len(stepsOf(t)) - 1) // no bank is asked
		return true
	}
	if l.Has(card.TagOrder) {
		if code := l.Order.Open(&l.Data, t.Amount, ev.Now); code != (txn.Code{}) {
			deny(t, code, out)
			return false
		}
	}
	return true
}

func (t *Txn) wish() card.Wish {
	return card.Wish{Amount: uint32(t.Amount), PAN: t.PAN, Order: t.Load.Data.Order, Unload: t.Kind == txn.Unload}
}

// written notes that the card did what it was told: the last load is on it, and
// its order done, or it has paid for an unload.
func (l *Load) written() {
	l.credits = l.Purse.Unloads()
	l.Purse.Close()
	l.purseNew = true
	if l.Past.Number != (card.Number{}) {
		l.Past.State, l.pastNew = card.Loaded, true
	}
}

// voids says whether a cash load may be cancelled: the card shows that it was not
// written, and by an answer that it can only have given after MAC2 had left. Without
// the latter a terminal could keep an answer from before, have the card written, and
// cancel the load with what it kept.
func voids(t *Txn, meaning card.Meaning, out *Effects) bool {
	l := t.Load
	p := &l.Purse
	if meaning == card.Proves {
		l.written()
	}
	if p.State != card.Left || p.Load != t.Ref.ID || l.Seq != p.Seq || l.Balance != p.Balance {
		deny(t, txn.BadTransaction, out)
		return false
	}
	switch want, ok := p.Challenge(); {
	case !ok:
		deny(t, txn.BadTransaction, out)
		return false
	case l.Terminal != want:
		out.add(Effect{Do: Alert, Alarm: ReplayedMAC1})
		deny(t, txn.Suspect, out)
		return false
	}
	return true
}

// outcome takes a confirmation as far as it can be told without the TAC; zero when
// that is to be verified.
func (l *Load) outcome() txn.Code {
	p := &l.Purse
	if l.Round == 3 { // the app names the order, not the counter
		if l.Seq = p.Seq; p.Order != l.Data.Order {
			return txn.NoOriginal
		}
	}
	switch {
	case p.State == card.Unseen || l.Seq > p.Seq:
		return txn.NoOriginal
	case l.Seq < p.Seq || p.State == card.Closed:
		return txn.OK // decided before, by a confirmation or by the card itself
	case p.State == card.Parked:
		return txn.SeePerson
	case p.State == card.Undone && l.Status == card.Written:
		l.park(card.WrittenAfterAll, nil)
		return txn.SeePerson
	case p.State == card.Undone || l.Status == card.NotKnown:
		return txn.OK
	case l.Status == card.NotWritten:
		p.Failed, l.purseNew = true, true
		return txn.OK
	case l.Has(card.TagAfter) && int64(l.After) != p.After():
		l.park(card.BalanceOdd, nil)
		return txn.SeePerson
	}
	return txn.Code{}
}

// confirmed closes the load whose TAC was right.
func confirmed(t *Txn) {
	t.Load.written()
	t.Load.code = txn.OK
}

// act ends the securing of a request about a card; false when a bank is asked.
func act(t *Txn, ev *Event, out *Effects) bool {
	l := t.Load
	switch {
	case t.Confirms():
		if l.code == txn.OK {
			conclude(t, out)
		} else {
			deny(t, l.code, out)
		}
	case t.Opens():
		if code := l.opening(t, ev.Now); code != (txn.Code{}) {
			deny(t, code, out)
		} else {
			conclude(t, out)
		}
	case l.Rewrite || profiles[t.Kind].machine == carded:
		write(t, out)
	default:
		return false
	}
	return true
}

// opening refuses a query that finds nothing, and an air top-up whose order cannot
// be loaded. One that was begun may go on: the card decides.
func (l *Load) opening(t *Txn, now int64) txn.Code {
	if t.Kind == txn.OrderQuery {
		if len(l.Orders) == 0 {
			return txn.NoOriginal
		}
		return txn.Code{}
	}
	code := l.Order.Open(&l.Data, t.Amount, now)
	if code == txn.Duplicate && l.Order.State == card.Loading {
		return txn.Code{}
	}
	return code
}

func conclude(t *Txn, out *Effects) {
	t.Code, t.Result = txn.OK, txn.Approved
	finish(t, out, true)
}

// write asks for the MAC2 that lets the card take the amount.
func write(t *Txn, out *Effects) {
	t.State = Writing
	out.add(Effect{Do: Ask, Step: MakeMAC2})
}

// paid takes a bank's yes. From here to the MAC2 a crash leaves an intent without
// an outcome, whose reversal is owed like any other's.
func paid(t *Txn, ev *Event, out *Effects) {
	if t.Kind == txn.LoadVoid {
		t.Load.Purse.State = card.Undone
		t.Load.purseNew = true
		answered(t, ev, out)
		return
	}
	t.Code, t.Auth, t.Settle = ev.Code, ev.Auth, ev.Settle
	t.Load.paid = true
	out.add(Effect{Do: Disarm})
	write(t, out)
}

// wrote takes the MAC2, or that there is none, or that the terminal reverses the
// load before it left.
func wrote(t *Txn, ev *Event, out *Effects) {
	l := t.Load
	switch {
	case ev.Kind == Secured && ev.Deny == txn.Code{}:
		wish := t.wish()
		l.Purse.Write(&l.Data, &wish, &t.Facts, l.Time, l.MAC2, l.Rewrite)
		l.purseNew, l.Writes = true, true
		if l.Rewrite {
			t.Orig = l.Purse.Load // whose money it is
		}
		if l.Has(card.TagOrder) {
			l.Order.State, l.orderNew = card.Loading, true
			if !l.Rewrite {
				l.Order.Load = t.ID
			}
		}
		if !l.paid {
			t.Code = txn.OK
		}
		t.Result = txn.Approved
		finish(t, out, true)
	case l.paid:
		why := ev.Deny
		if ev.Kind == Cancelled {
			why = txn.NoAnswer
		}
		t.Code, t.Result, t.Auth = why, txn.TimedOut, [6]byte{}
		out.add(Effect{Do: Owe, Link: t.Link})
		finish(t, out, ev.Kind != Cancelled)
	case ev.Kind == Cancelled:
		t.Code, t.Result = txn.NoAnswer, txn.Declined
		finish(t, out, false)
	default:
		deny(t, ev.Deny, out)
	}
}

// keep writes what a transaction changed of its card and orders. What the card
// proved holds whatever became of the transaction itself. The credit comes first:
// it is about the purse as it was held.
func keep(t *Txn, out *Effects) {
	l := t.Load
	if l.credits {
		out.add(Effect{Do: Credit})
	}
	if l.purseNew {
		out.add(Effect{Do: SaveCard})
	}
	if l.pastNew {
		out.add(Effect{Do: SaveOrder, Orig: true})
	}
	if l.orderNew {
		out.add(Effect{Do: SaveOrder})
	}
	if l.alarm != NoAlarm {
		out.add(Effect{Do: Alert, Alarm: l.alarm})
	}
}
