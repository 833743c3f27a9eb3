package kiosk

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/sim/book"
	"tongka/sim/fleet"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// mishap is what breaks in a visit.
type mishap int

// Mishaps, from the first moment of a load to its last.
const (
	noMishap      mishap = iota
	tornAsking           // the line, while the request is under way
	cutBefore            // the card's power before it wrote, and the kiosk says so
	cutSilent            // the same, and the line with it
	cutReversed          // the same, and the kiosk tries a reversal, which nobody may grant
	cutAfter             // the card's power after it wrote: no TAC, the end is not known
	writtenSilent        // the line, when the card has written
	tornConfirm          // the line, while the confirmation is under way
	twice                // the kiosk asks twice: the second answer is the first
	mishaps
)

// How kinds of loads look. Source: docs/card-load.md.
var loadForms = map[book.Kind]struct {
	kind        txn.Kind
	proc, usage string
	pin         bool
}{
	"load-account": {txn.LoadAccount, "600000", "45", true},
	"load-other":   {txn.LoadOther, "620000", "47", true},
	"load-cash":    {txn.LoadCash, "630000", "46", false},
	"order-load":   {txn.OrderLoad, "600000", "57", false},
	"unload":       {txn.Unload, "640000", "59", false},
}

const (
	cardCond = "91"
	net      = "000"
)

// mostPause is how long a torn line lives behind a request: a bank answers within.
const mostPause = 20 * time.Millisecond

// told is what an answer says of the card.
type told struct {
	code    txn.Code
	mac2    [4]byte
	time    [7]byte
	rewrite bool
	script  []byte
	orders  []string
}

// read takes F58 of an answer, which is lent.
func (a *told) read(b []byte) {
	for len(b) >= 2 && len(b) >= 2+int(b[1]) {
		v := b[2 : 2+b[1]]
		switch {
		case b[0] == card.TagMAC2 && len(v) == 4:
			a.mac2 = [4]byte(v)
		case b[0] == card.TagTime && len(v) == 7:
			a.time = [7]byte(v)
		case b[0] == card.TagRewrite:
			a.rewrite = true
		case b[0] == card.TagScript:
			a.script = append([]byte(nil), v...)
		case b[0] == card.TagOrder:
			a.orders = append(a.orders, string(v))
		}
		b = b[2+len(v):]
	}
}

// ask sends one request and counts how it ended.
func (k *kiosk) ask(kind txn.Kind, q *fleet.Request) (a told, err error) {
	code, about, _, err := k.line.Ask(q)
	k.park.count(kind, code, err)
	if a.code = code; err == nil {
		a.read(about)
	}
	return a, err
}

// load asks for a wish's MAC2 and has the card write it. What bad breaks is left to
// the card's next contact. It gives the last answer that was heard.
func (k *kiosk) load(ctx context.Context, h *holder, w *book.Wish, bad mishap) told {
	defer h.card.Cut()
	k.asks(w)
	if w.Kind == "air-load" {
		return k.air(ctx, h, w, bad)
	}
	q := k.request(h, w)
	if !k.keep(h, w) {
		return told{}
	}
	if bad == tornAsking {
		k.tear(ctx, loadForms[w.Kind].kind, q)
		return told{}
	}
	a, err := k.ask(loadForms[w.Kind].kind, q)
	if bad == twice && err == nil {
		k.repeat(q, &a)
	}
	if err == nil && k.heard(h, w, &a) {
		k.write(ctx, h, w, &a, q, bad)
	}
	return a
}

// only asks for a MAC2 and leaves the card as it is.
func (k *kiosk) only(ctx context.Context, h *holder, w *book.Wish) (a told, q *fleet.Request) {
	k.asks(w)
	q = k.request(h, w)
	if k.ready(ctx) == nil && k.keep(h, w) {
		if b, err := k.ask(loadForms[w.Kind].kind, q); err == nil {
			k.heard(h, w, &b)
			a = b
		}
	}
	return a, q
}

// asks notes that this kiosk asks now.
func (k *kiosk) asks(w *book.Wish) {
	t := k.park.cfg.Kiosks[k.id]
	w.Asked, w.Merchant, w.Terminal = w.Asked+1, t.Merchant, t.Number
}

// request makes the message of a load, with the card in the slot.
func (k *kiosk) request(h *holder, w *book.Wish) *fleet.Request {
	f := loadForms[w.Kind]
	begin := h.card.InitLoad
	if w.Kind == "unload" {
		begin = h.card.InitUnload
	}
	about := begin(uint32(w.Amount), k.number)
	q := &fleet.Request{MTI: 0x0200, Proc: f.proc, Amount: w.Amount, Trace: k.line.Number(), Cond: cardCond, Usage: f.usage, Net: net, Card: about, PIN: f.pin}
	k.last = about
	if w.Order != "" {
		q.Card = card.AppendTag(q.Card, card.TagOrder, []byte(w.Order)...)
	} else {
		// The same account pays at every kiosk, or the card would be parked.
		q.PAN = &k.park.accounts[w.Account]
	}
	return q
}

// keep writes what is about to be done, or was.
func (k *kiosk) keep(h *holder, w *book.Wish) bool {
	return k.park.write(h, w, func(c *book.Card) { c.Kiosk, c.Trace, c.Parked = k.id, k.line.Next(), w.State == book.Parked })
}

// repeat asks the same again: the answer must be the same, or two cards could be
// written for one debit. Only where the first said that the card's last matter is
// not decided yet, which is no answer to keep, the second is the one that counts.
func (k *kiosk) repeat(q *fleet.Request, first *told) {
	a, err := k.ask(loadKind(q), q)
	if err == nil && first.code == txn.InProgress {
		*first = a
		return
	}
	if err == nil && (a.code != first.code || a.mac2 != first.mac2) {
		k.park.fail(fmt.Errorf("kiosk %d: trace %d was answered %s and then %s", k.id, q.Trace, first.code, a.code))
	}
}

func loadKind(q *fleet.Request) txn.Kind {
	for _, f := range loadForms {
		if f.usage == q.Usage {
			return f.kind
		}
	}
	return txn.AirLoad
}

// tear sends a request, and pulls the plug at whatever moment.
func (k *kiosk) tear(ctx context.Context, kind txn.Kind, q *fleet.Request) {
	err := k.line.Send(q)
	if err == nil {
		aid.Pause(ctx, time.Duration(k.rng.Int64N(int64(mostPause))))
		err = errTorn
	}
	k.line.Drop()
	k.park.count(kind, txn.Code{}, err)
	k.park.note(func(s *Stats) { s.Torn++ })
}

var errTorn = fmt.Errorf("torn")

// heard takes the answer to a load; false when the card is not written now.
func (k *kiosk) heard(h *holder, w *book.Wish, a *told) bool {
	w.Code = a.code.String()
	switch a.code {
	case txn.OK:
		// A second debit where one stands would show at the bank.
		switch {
		case w.Order != "": // paid before, and once
			w.Debits = 1
		case w.Kind == "unload": // no bank is told before the card has paid
		case !a.rewrite && w.VoidOpen:
			w.Voids++
			w.Debits++
		case !a.rewrite || w.Debits == w.Voids:
			w.Debits++
		}
		w.VoidOpen = false
		if a.rewrite {
			k.park.note(func(s *Stats) { s.Rewrites++ })
		}
		return k.keep(h, w)
	case txn.SeePerson:
		w.State = book.Parked
	case txn.InProgress, txn.NoAnswer, txn.SystemFault, txn.LinkDown, txn.SignInAgain, txn.BadMAC, txn.NoKey:
		w.Refused++ // not now: the wish stays
	default:
		if w.Refused++; w.Debits == w.Voids {
			w.State = book.Declined
		}
	}
	k.keep(h, w)
	return false
}

// write has the card write what it was given, and tells how that went.
func (k *kiosk) write(ctx context.Context, h *holder, w *book.Wish, a *told, q *fleet.Request, bad mishap) {
	cut := bad == cutBefore || bad == cutSilent || bad == cutReversed
	if cut {
		k.cut(h)
		switch bad {
		case cutBefore:
			if w.Kind == "load-cash" && k.rng.IntN(2) == 0 {
				k.void(ctx, h, w, q.Trace, a.mac2, k.rng.IntN(4) == 0)
				return
			}
			k.confirm(ctx, h, h.card.Seq, card.NotWritten, [4]byte{}, false)
		case cutReversed:
			_ = k.reverse(q) // whatever it is answered, the card decides
		default:
			k.line.Drop()
		}
		return
	}
	seq := h.card.Seq
	write := h.card.Credit
	if w.Kind == "unload" {
		write = h.card.Debit
	}
	tac, ok := write(a.time, a.mac2)
	if !ok {
		k.park.fail(fmt.Errorf("kiosk %d: card %s does not take the MAC2 of trace %d", k.id, h.state.Name, q.Trace))
		return
	}
	if !k.written(h, w) {
		return
	}
	switch bad {
	case cutAfter:
		k.cut(h)
		k.confirm(ctx, h, seq, card.NotKnown, tac, false)
	case writtenSilent:
		k.line.Drop()
	default:
		k.confirm(ctx, h, seq, card.Written, tac, bad == tornConfirm)
	}
}

func (k *kiosk) cut(h *holder) {
	h.card.Cut()
	k.park.note(func(s *Stats) { s.Cut++ })
}

// written notes that the chip holds the wish. From here on it is done, whatever
// becomes of the confirmation.
func (k *kiosk) written(h *holder, w *book.Wish) bool {
	w.Written, w.State = true, book.Approved
	k.park.note(func(s *Stats) { s.Written++ })
	return k.park.write(h, w, func(c *book.Card) { c.Proven = false })
}

// confirm tells how the writing went, and with torn does not wait to be heard.
func (k *kiosk) confirm(ctx context.Context, h *holder, seq uint16, status card.Status, tac [4]byte, torn bool) {
	b := card.AppendTag(nil, card.TagFamily, byte(h.card.Family))
	b = card.AppendTag(b, card.TagSerial, h.card.Serial[:]...)
	b = card.AppendTag(b, card.TagSeq, binary.BigEndian.AppendUint16(nil, seq)...)
	b = card.AppendTag(b, card.TagStatus, byte(status))
	if status == card.Written {
		b = card.AppendTag(b, card.TagTAC, tac[:]...)
		b = card.AppendTag32(b, card.TagAfter, h.card.Balance)
	}
	q := &fleet.Request{MTI: 0x0220, Proc: "600000", Trace: k.line.Number(), Cond: cardCond, Usage: "55", Net: net, Card: b}
	if torn {
		k.tear(ctx, txn.LoadConfirm, q)
		return
	}
	k.proven(h, txn.LoadConfirm, q, status == card.Written)
}

// proven sends a confirmation; when it was taken the switch knows of the card what
// we know.
func (k *kiosk) proven(h *holder, kind txn.Kind, q *fleet.Request, written bool) {
	if a, err := k.ask(kind, q); err == nil && a.code == txn.OK && written {
		k.park.write(h, nil, func(c *book.Card) { c.Proven = true })
	}
}

// reverse tries to take a load back whose MAC2 has left: only the card may say
// what becomes of it.
func (k *kiosk) reverse(q *fleet.Request) txn.Code {
	back := *q
	back.MTI, back.Card, back.PIN, back.Reason = iso8583.MTI(0x0400), nil, false, txn.NoAnswer.String()
	a, err := k.ask(txn.Reversal, &back)
	if err == nil && a.code == txn.OK {
		k.park.fail(fmt.Errorf("kiosk %d: trace %d was reversed, when its MAC2 had left", k.id, q.Trace))
	}
	return a.code
}

// void takes a cash load back that the card shows it did not write: by an answer to
// the MAC2 that it was given, which proves that it is newer. With torn
// nobody hears how it ended: what is wished next shows it.
func (k *kiosk) void(ctx context.Context, h *holder, w *book.Wish, of uint32, mac2 [4]byte, torn bool) (a told) {
	q := &fleet.Request{MTI: 0x0200, Proc: "170000", Amount: w.Amount, Trace: k.line.Number(), Cond: cardCond, Usage: "51", Net: net,
		Card: h.card.InitLoad(uint32(w.Amount), [6]byte{mac2[0], mac2[1], mac2[2], mac2[3]}), PAN: &k.park.accounts[w.Account], Of: of}
	w.VoidsAsked++
	w.VoidOpen = true
	if !k.keep(h, w) {
		return told{}
	}
	if torn {
		k.tear(ctx, txn.LoadVoid, q)
		return told{}
	}
	a, err := k.ask(txn.LoadVoid, q)
	if err != nil {
		return told{}
	}
	w.Code, w.VoidOpen = a.code.String(), false
	if a.code == txn.OK {
		w.Voids++
		w.State = book.Reversed
		k.park.note(func(s *Stats) { s.Voided++ })
	}
	k.keep(h, w)
	return a
}

// query asks what is open for the card, as a kiosk does before it loads an order.
func (k *kiosk) query(h *holder) told {
	q := &fleet.Request{MTI: 0x0200, Proc: "310000", Trace: k.line.Number(), Cond: cardCond, Usage: "56", Net: net, Card: h.card.Identity()}
	a, _ := k.ask(txn.OrderQuery, q) // counted; whoever did not hear asks for the order all the same
	return a
}

// balance asks for what is in an account.
func (k *kiosk) balance() told {
	q := &fleet.Request{MTI: 0x0200, Proc: "310000", Trace: k.line.Number(), Cond: "00", Usage: "01", Net: net, PAN: &k.pans[0], PIN: true}
	a, _ := k.ask(txn.Balance, q) // counted
	return a
}
