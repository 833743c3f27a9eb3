package kiosk

import (
	"context"
	"fmt"

	"tongka/card"
	"tongka/sim/book"
	"tongka/sim/fleet"
	"tongka/txn"
)

// air is an air top-up: three rounds for one order, in which an app or the TSM
// carries commands to the card and its answers back.
func (k *kiosk) air(ctx context.Context, h *holder, w *book.Wish, bad mishap) (a told) {
	if !k.keep(h, w) {
		return told{}
	}
	a, err := k.ask(txn.AirLoad, k.round(h, w, 1, nil))
	if err != nil {
		return told{}
	}
	if a.code != txn.OK {
		k.heard(h, w, &a)
		return a
	}
	second := k.round(h, w, 2, h.card.APDU(a.script))
	if !k.keep(h, w) {
		return told{}
	}
	if bad == tornAsking {
		k.tear(ctx, txn.AirLoad, second)
		return told{}
	}
	if a, err = k.ask(txn.AirLoad, second); err != nil {
		return told{}
	}
	if bad == twice {
		again, err := k.ask(txn.AirLoad, second)
		if err == nil && string(again.script) != string(a.script) {
			k.park.fail(fmt.Errorf("kiosk %d: trace %d had another script when it was asked for again", k.id, second.Trace))
		}
	}
	if !k.heard(h, w, &a) {
		return a
	}
	k.play(ctx, h, w, &a, bad)
	return a
}

// play has the card take the last command of an air top-up.
func (k *kiosk) play(ctx context.Context, h *holder, w *book.Wish, a *told, bad mishap) {
	if bad == cutBefore || bad == cutSilent || bad == cutReversed {
		k.cut(h)
		if bad != cutSilent {
			k.proven(h, txn.AirLoad, k.round(h, w, 3, []byte{0x6F, 0x00}), false)
		}
		return
	}
	reply := h.card.APDU(a.script)
	if len(reply) != 6 {
		k.park.fail(fmt.Errorf("kiosk %d: card %s answers %X to the script of order %s", k.id, h.state.Name, reply, w.Order))
		return
	}
	if !k.written(h, w) {
		return
	}
	switch last := k.round(h, w, 3, reply); bad {
	case cutAfter, writtenSilent:
		k.line.Drop()
	case tornConfirm:
		k.tear(ctx, txn.AirLoad, last)
	default:
		k.proven(h, txn.AirLoad, last, true)
	}
}

func (k *kiosk) round(h *holder, w *book.Wish, n byte, reply []byte) *fleet.Request {
	b := card.AppendTag(h.card.Identity(), card.TagRound, n)
	b = card.AppendTag(b, card.TagOrder, []byte(w.Order)...)
	if reply != nil {
		b = card.AppendTag(b, card.TagReply, reply...)
	}
	return &fleet.Request{MTI: 0x0200, Proc: "600000", Amount: w.Amount, Trace: k.line.Number(), Cond: cardCond, Usage: "58", Net: net, Card: b}
}
