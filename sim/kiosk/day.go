package kiosk

import (
	"context"
	"errors"
	"fmt"

	"tongka/card"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// Step is one thing that was done in a kiosk's day, for people.
type Step struct {
	Kind txn.Kind
	ZH   string
	EN   string
	Code txn.Code // of the answer; zero when nobody waited for one
	Good bool     // it ended as it should
}

// Led is how many kiosks at the end of Config.Kiosks a Day wants, and dayCards how
// many cards of the park are for it alone.
const (
	Led      = 2
	dayCards = 12
)

// day is what a day knows.
type day struct {
	park *Park
	ctx  context.Context
	tell func(Step)
	at   [Led]*kiosk
}

// Day has two kiosks do everything that kiosks do, in one order, and tells each
// step. It wants Config.Led. What it could not bring to an end the other kiosks
// take over when it is done.
func (p *Park) Day(ctx context.Context, tell func(Step)) error {
	if !p.cfg.Led {
		return errors.New("kiosk: no kiosks for a day")
	}
	p.mu.Lock()
	p.led = true
	p.mu.Unlock()
	d := &day{park: p, ctx: ctx, tell: tell}
	copy(d.at[:], p.kiosks[len(p.kiosks)-Led:])
	defer func() {
		for _, k := range d.at {
			k.line.Drop()
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.led = false
		p.release()
	}()
	for _, part := range []func() error{d.opens, d.usual, d.orders, d.unloads, d.pulled, d.torn, d.forged, d.odd} {
		if err := part(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// free gives a card of the day's that nobody waits for; nil when a person has to
// look at all of them.
func (d *day) free(family card.Family) *holder {
	p := d.park
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.cards {
		if h.reserved && !h.state.Parked && h.wish < 0 && h.card.Family == family {
			return h
		}
	}
	return nil
}

func (d *day) step(kind txn.Kind, code txn.Code, good bool, zh, en string) {
	d.tell(Step{kind, zh, en, code, good})
}

// opens signs both kiosks in, and ends what an older process left.
func (d *day) opens() error {
	for i, k := range d.at {
		if err := k.ready(d.ctx); err != nil {
			return err
		}
		d.step(txn.SignIn, txn.OK, true, fmt.Sprintf("自助终端 %d 签到", i+1), fmt.Sprintf("kiosk %d signs in", i+1))
	}
	for _, h := range d.park.cards {
		if h.reserved && !h.state.Parked && h.wish >= 0 {
			w := d.park.wishOf(h)
			a := d.until(d.at[1], h, &w)
			d.step(loadForms[w.Kind].kind, a.code, a.code == txn.OK, "了结上次未决的卡", "a card that was left open is brought to its end")
		}
	}
	a := d.at[0].balance()
	d.step(txn.Balance, a.code, a.code == txn.OK, "账户余额查询", "balance of an account")
	return nil
}

// until asks for a wish until it is on the card, or somebody has to look; what was
// not to be had now is asked for again.
func (d *day) until(k *kiosk, h *holder, w *book.Wish) (a told) {
	for range maxTries {
		if k.ready(d.ctx) == nil {
			a = k.load(d.ctx, h, w, noMishap)
		}
		if w.State != book.Open || !aid.Pause(d.ctx, aid.FirstPause) {
			break
		}
	}
	return a
}

const maxTries = 60

// wish is a new one, of an account of the day's own kiosks.
func (d *day) wish(h *holder, kind txn.Kind) (book.Wish, bool) {
	if h == nil {
		return book.Wish{}, false
	}
	if h.card.Balance > spendAt {
		d.park.write(h, nil, h.spend)
	}
	return d.park.want(h, kind, len(d.park.accounts)-1)
}

// usual are the loads of a day on which nothing breaks.
func (d *day) usual() error {
	for _, l := range []struct {
		kind   txn.Kind
		family card.Family
		zh, en string
	}{
		{txn.LoadAccount, card.CityCard, "指定账户圈存 · 城市卡：扣款、MAC2、写卡、TAC 确认", "load from the card's account, city card: debit, MAC2, written, TAC"},
		{txn.LoadOther, card.TUnion, "非指定账户圈存 · 交通联合", "load from another account, T-Union"},
		{txn.LoadCash, card.CityCard, "现金充值", "cash load"},
	} {
		h := d.free(l.family)
		if w, ok := d.wish(h, l.kind); ok {
			a := d.until(d.at[0], h, &w)
			d.step(l.kind, a.code, w.Written, l.zh, l.en)
			d.step(txn.LoadConfirm, txn.OK, h.state.Proven, "圈存确认，TAC 验证", "confirmed, its TAC verified")
		}
	}
	return nil
}

// orders are what was paid online: written at a kiosk, and over the air.
func (d *day) orders() error {
	for _, l := range []struct {
		kind   txn.Kind
		family card.Family
		zh, en string
	}{
		{txn.OrderLoad, card.CityCard, "补登：订单写卡，不再扣款", "order load: paid online, written now, nothing debited"},
		{txn.AirLoad, card.TUnion, "空中充值：三轮指令", "air top-up: three rounds of commands"},
	} {
		h := d.withOrder(l.family)
		w, ok := d.wish(h, l.kind)
		if !ok {
			continue // all that was paid has been loaded
		}
		if a := d.at[0].query(h); l.kind == txn.OrderLoad {
			d.step(txn.OrderQuery, a.code, a.code == txn.OK, fmt.Sprintf("补登订单查询：%d 个", len(a.orders)), fmt.Sprintf("query of orders: %d", len(a.orders)))
		}
		a := d.until(d.at[0], h, &w)
		d.step(l.kind, a.code, w.Written, l.zh, l.en)
	}
	return nil
}

func (d *day) withOrder(family card.Family) *holder {
	for _, h := range d.park.cards {
		if h.reserved && !h.state.Parked && h.wish < 0 && h.card.Family == family && h.begun < h.orders {
			return h
		}
	}
	return nil
}

// unloads takes money off a card.
func (d *day) unloads() error {
	h := d.loaded()
	if w, ok := d.wish(h, txn.Unload); ok {
		a := d.until(d.at[0], h, &w)
		d.step(txn.Unload, a.code, w.Written, "圈提：卡先付，确认后通知银行入账", "unload: the card pays, and its confirmation has the bank credit the account")
	}
	return nil
}

// loaded is a card that holds more than the next amount.
func (d *day) loaded() *holder {
	for _, h := range d.park.cards {
		if h.reserved && !h.state.Parked && h.wish < 0 && int64(h.card.Balance) > d.park.nextFen()+maxAhead && h.card.Balance <= spendAt {
			return h
		}
	}
	return nil
}

// maxAhead is by how much amounts may grow while a card is looked for.
const maxAhead = 50

// pulled are cards that were taken away before they wrote.
func (d *day) pulled() error {
	k, other := d.at[0], d.at[1]
	h := d.free(card.CityCard)
	if w, ok := d.wish(h, txn.LoadCash); ok {
		if a, q := k.only(d.ctx, h, &w); a.code == txn.OK {
			k.cut(h)
			d.step(txn.LoadCash, a.code, true, "现金充值：写卡前拔卡", "cash load: the card is pulled out before it writes")
			v := k.void(d.ctx, h, &w, q.Trace, a.mac2, false)
			d.step(txn.LoadVoid, v.code, w.State == book.Reversed, "现金充值撤销：卡未写，退回", "void of the cash load: not written, taken back")
		}
		d.finish(h, &w)
	}
	h = d.free(card.TUnion)
	if w, ok := d.wish(h, txn.LoadAccount); ok {
		if a, q := k.only(d.ctx, h, &w); a.code == txn.OK {
			k.cut(h)
			d.step(txn.LoadAccount, a.code, true, "圈存：MAC2 已发，写卡前掉电", "load: MAC2 has left, the card loses its power before it writes")
			code := k.reverse(q)
			d.step(txn.Reversal, code, code != txn.OK, "终端冲正：MAC2 已发，不得冲正", "the kiosk's reversal: refused, for MAC2 has left")
			b := d.until(other, h, &w)
			d.step(txn.LoadAccount, b.code, w.Written && b.rewrite, "另一终端再次接触：补写，不再扣款", "the next contact, at another kiosk: written without a second debit")
		}
		d.finish(h, &w)
	}
	return nil
}

// torn are lines that end at the worst moments.
func (d *day) torn() error {
	k, other := d.at[0], d.at[1]
	h := d.free(card.CityCard)
	if w, ok := d.wish(h, txn.LoadAccount); ok && k.ready(d.ctx) == nil {
		k.load(d.ctx, h, &w, tornAsking)
		d.step(txn.LoadAccount, txn.Code{}, w.State == book.Open, "圈存：请求在途时断线", "load: the line is torn while the request is under way")
		a := d.until(other, h, &w)
		zh, en := "另一终端再次接触：原扣款已冲回，重新圈存", "the next contact: the first debit went back, loaded anew"
		if a.rewrite {
			zh, en = "另一终端再次接触：已扣款，补写", "the next contact: debited already, written now"
		}
		d.step(txn.LoadAccount, a.code, w.Written, zh, en)
	}
	h = d.free(card.TUnion)
	if w, ok := d.wish(h, txn.LoadOther); ok {
		if k.ready(d.ctx) == nil {
			k.load(d.ctx, h, &w, writtenSilent)
			d.step(txn.LoadOther, txn.OK, w.Written, "圈存：已写卡，确认未发即断线", "load: written, and the line torn before the confirmation")
		}
		d.finish(h, &w)
		if w, ok := d.wish(h, txn.LoadAccount); ok {
			a := d.until(other, h, &w)
			d.step(txn.LoadAccount, a.code, w.Written && !a.rewrite, "下次充值：卡计数器证明上笔已写", "the next load: the card's counter proves the last one")
		}
	}
	return nil
}

// forged is what a fraud would send: nothing moves.
func (d *day) forged() error {
	k := d.at[0]
	h := d.free(card.CityCard)
	w, ok := d.wish(h, txn.LoadAccount)
	if !ok || k.ready(d.ctx) != nil {
		return nil
	}
	for i, f := range []struct{ zh, en string }{
		{"伪造的 MAC1：拒绝并审计", "a forged MAC1: refused and audited"},
		{"重放的 MAC1：拒绝并审计", "a MAC1 that was used before: refused and audited"},
	} {
		q := k.request(h, &w)
		want := txn.BadCardMAC
		if i == 0 {
			q.Card[len(q.Card)-9] ^= 1 // the last byte of tag 09, which tag 0A follows
		} else {
			good := d.until(k, h, &w)
			if good.code != txn.OK || k.last == nil {
				break
			}
			q.Card, want = k.last, txn.Suspect
		}
		if !k.keep(h, &w) {
			break
		}
		a, _ := k.ask(txn.LoadAccount, q) // counted
		h.card.Cut()
		d.step(txn.LoadAccount, a.code, a.code == want, f.zh, f.en)
	}
	d.finish(h, &w)
	return nil
}

// odd is a card for a person: not written, and then another amount is asked for.
func (d *day) odd() error {
	k := d.at[0]
	h := d.free(card.TUnion)
	w, ok := d.wish(h, txn.LoadCash)
	if !ok {
		return nil
	}
	if a, _ := k.only(d.ctx, h, &w); a.code == txn.OK {
		k.cut(h)
		d.step(txn.LoadCash, a.code, true, "现金充值：写卡前拔卡", "cash load: the card is pulled out before it writes")
		other := w
		other.Amount++
		q := d.at[1].request(h, &other)
		if d.at[1].ready(d.ctx) == nil && d.at[1].keep(h, &w) {
			b, err := d.at[1].ask(txn.LoadCash, q)
			if err == nil {
				d.at[1].heard(h, &w, &b)
			}
			h.card.Cut()
			d.step(txn.LoadCash, b.code, w.State == book.Parked, "另一终端要求另一金额：挂人工，卡与原因有记录", "another amount at another kiosk: the card waits for a person, by name and reason")
		}
	}
	d.finish(h, &w)
	return nil
}

// finish brings what a part left open to its end.
func (d *day) finish(h *holder, w *book.Wish) {
	if w.State == book.Open && h.wish == w.Number {
		d.until(d.at[1], h, w)
	}
}
