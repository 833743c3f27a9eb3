package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// Step is one thing that happened to a transaction, in the order of the journal.
// What is measured are turns of the loop: when one began, and when it wrote. So
// After is the earliest moment of a step, and By the latest: the next turn that
// wrote came only after this one's disk write and sends had ended.
type Step struct {
	At    string `json:"at"`
	After int64  `json:"after_us"`        // since the request arrived
	By    int64  `json:"by_us,omitempty"` // it had happened by then; 0: no turn followed that would tell
	What  string `json:"what"`            // arrived, intent, sent, outcome, replied, owed, delivered …, reversed, named
	Zh    string `json:"zh"`
	En    string `json:"en"`
	LSN   string `json:"lsn,omitempty"` // of the record that says so
}

// Story is all that is known of one transaction.
type Story struct {
	Row   Row    `json:"transaction"`
	State string `json:"state"` // its result, or reversed, voided … since
	Steps []Step `json:"steps"`
	Owed  []Owed `json:"owed"` // what a bank has not confirmed yet
	Later []Row  `json:"later"`
	Upto  string `json:"looked_up_to"`
}

// Owed is one debt.
type Owed struct {
	Form string `json:"form"`
	Link string `json:"link"`
}

// lookAfter is how long after a transaction its story is looked for.
const lookAfter = 48 * time.Hour

// Show tells the story of a transaction by its number, or with id 0 by its RRN:
// what follows it within 48 hours is found by reading on. journal.ErrNotFound when
// there is none.
func (d *Desk) Show(ctx context.Context, id txn.ID, rrn string, unmask bool) (*Story, error) {
	id, first, err := d.locate(id, rrn)
	if err != nil {
		return nil, err
	}
	st := &Story{Steps: []Step{}, Owed: []Owed{}, Later: []Row{}}
	tell := &teller{d: d, st: st, id: id, base: first.At, unmask: unmask}
	err = d.scan(ctx, first.At-1, first.At+int64(lookAfter), tell.record)
	if err != nil {
		return nil, err
	}
	if !tell.seen { // its turn had no stamp
		tell.facts = first
	}
	st.Row = d.row(&tell.facts, tell.ended, unmask)
	st.State = tell.facts.Result.String()
	if tell.state != "" {
		st.State = tell.state
	}
	for to := range d.name {
		for _, form := range []storefwd.Form{storefwd.Reversal, storefwd.Advice} {
			var debt storefwd.Debt
			ok, err := storefwd.ReadDebt(d.read.Lookup, id, form, to, &debt)
			if err != nil {
				return nil, err
			}
			if ok {
				st.Owed = append(st.Owed, Owed{form.String(), d.link(to)})
			}
		}
	}
	st.Upto = clock(first.At + int64(lookAfter))
	return st, nil
}

// locate finds a transaction's first record. A reference number names a
// transaction in a thousand million; the newest is meant.
func (d *Desk) locate(id txn.ID, rrn string) (txn.ID, txn.Facts, error) {
	var r journal.Record
	if id != 0 {
		_, err := d.read.FindID(id, &r)
		if errors.Is(err, journal.ErrNotFound) {
			err = noSuch(err)
		}
		return id, r.Facts, err
	}
	q := Query{RRN: rrn}
	f, err := q.read()
	if err == nil && f.rrn == 0 {
		err = fmt.Errorf("%w: rrn %q", errQuery, rrn)
	}
	if err != nil {
		return 0, r.Facts, err
	}
	last, err := d.read.LastID()
	if err != nil {
		return 0, r.Facts, err
	}
	const span = 1_000_000_000
	for base := int64(last) / span * span; base >= 0; base -= span {
		id := txn.ID(base) + txn.ID(f.rrn%span)
		if id > last {
			continue
		}
		_, err := d.read.FindID(id, &r)
		if err == nil && d.when.RRN(&r.Facts) == f.rrn {
			return id, r.Facts, nil
		}
		if err != nil && !errors.Is(err, journal.ErrNotFound) {
			return 0, r.Facts, err
		}
	}
	return 0, r.Facts, noSuch(journal.ErrNotFound)
}

func noSuch(err error) error {
	return fmt.Errorf("流水中没有这笔交易 · the journal has no such transaction: %w", err)
}

// teller gathers a story.
type teller struct {
	d      *Desk
	st     *Story
	id     txn.ID
	base   int64
	ended  int64
	facts  txn.Facts
	state  string
	unmask bool
	seen   bool
	intent int64 // the turn that wrote it
	loose  []int // steps without a By
	turn   int64 // that they are of
}

func (t *teller) add(at int64, lsn journal.LSN, what, zh, en string) {
	after := int64(0)
	if at != 0 {
		after = (at - t.base) / int64(time.Microsecond)
	}
	t.st.Steps = append(t.st.Steps, Step{At: clock(at), After: after, What: what, Zh: zh, En: en, LSN: lsn.String()})
}

// late adds a step of the turn that is being read: it was done by the next one.
func (t *teller) late(turn int64, lsn journal.LSN, what, zh, en string) {
	t.add(turn, lsn, what, zh, en)
	t.loose, t.turn = append(t.loose, len(t.st.Steps)-1), turn
}

// bound gives the steps before their latest moment.
func (t *teller) bound(turn int64) {
	if len(t.loose) == 0 || turn <= t.turn {
		return
	}
	for _, i := range t.loose {
		t.st.Steps[i].By = (turn - t.base + int64(time.Microsecond) - 1) / int64(time.Microsecond)
	}
	t.loose = t.loose[:0]
}

func (t *teller) record(lsn journal.LSN, r *journal.Record) error {
	t.bound(r.Turn)
	f := &r.Facts
	switch {
	case f.ID == t.id && r.Kind == journal.Owing:
		return t.owing(lsn, r)
	case f.ID == t.id && (r.Kind == journal.Intent || r.Kind == journal.Outcome):
		t.own(lsn, r)
	case r.Kind == journal.Outcome && f.Orig == t.id:
		w := f.Code.Words()
		t.add(r.Turn, lsn, "named-by", fmt.Sprintf("被 %v（流水 %d）引用：%v %s", f.Kind, f.ID, f.Code, w.ZH),
			fmt.Sprintf("named by %v %d: %v %s", f.Kind, f.ID, f.Code, w.EN))
		t.st.Later = append(t.st.Later, t.d.row(f, r.Turn, t.unmask))
		switch {
		case f.Kind == txn.Reversal && f.Code == txn.OK:
			t.state = "reversed"
		case f.Kind != txn.Reversal && f.Result == txn.Approved && flow.MovesMoney(f.Kind):
			t.state = "followed-by-" + f.Kind.String()
		}
	}
	return nil
}

// own tells of the transaction's own records.
func (t *teller) own(lsn journal.LSN, r *journal.Record) {
	f := &r.Facts
	if !t.seen {
		t.seen = true
		t.add(f.At, lsn, "arrived", "收到终端请求", "request of the terminal arrived")
	}
	t.facts = *f
	if r.Kind == journal.Intent {
		if f.Sent != 0 {
			t.add(f.Sent, lsn, "decided", "加密机与各项检查已过，决定发往 "+t.d.link(f.Link), "security module and checks are through, it is to go to "+t.d.link(f.Link))
		}
		t.intent = r.Turn
		t.late(r.Turn, lsn, "intent", "意向落盘，随后发往 "+t.d.link(f.Link), "intent on disk, then sent to "+t.d.link(f.Link))
		return
	}
	t.ended = r.Turn
	w := f.Code.Words()
	if f.Line != 0 {
		t.line(lsn, f)
	}
	if f.Sent != 0 && t.intent != 0 && f.Result != txn.TimedOut {
		t.add(r.Turn, lsn, "answered", "此轮读到 "+t.d.link(f.Link)+" 的应答", "the answer of "+t.d.link(f.Link)+" was read in this turn")
	}
	t.late(r.Turn, lsn, "outcome", fmt.Sprintf("结果落盘：%v，应答码 %v %s", f.Result, f.Code, w.ZH), fmt.Sprintf("outcome on disk: %v, code %v %s", f.Result, f.Code, w.EN))
	if len(r.Body) > 0 {
		t.late(r.Turn, lsn, "replied", fmt.Sprintf("应答终端，%d 字节（不含 MAC）", len(r.Body)), fmt.Sprintf("terminal answered, %d bytes without the MAC", len(r.Body)))
	}
	if f.Result == txn.TimedOut && f.Sent != 0 && flow.MovesMoney(f.Kind) {
		t.late(r.Turn, lsn, "owed", "欠 "+t.d.link(f.Link)+" 一笔冲正", "a reversal is owed to "+t.d.link(f.Link))
	}
}

// line tells how the request went, which only the outcome knows; it left behind the
// intent, in the same turn.
func (t *teller) line(lsn journal.LSN, f *txn.Facts) {
	t.add(t.intent, lsn, "line", fmt.Sprintf("经 %s 第 %d 条线路发送", t.d.link(f.Link), f.Line), fmt.Sprintf("sent on line %d of %s", f.Line, t.d.link(f.Link)))
	for i := range t.st.Steps {
		if s := &t.st.Steps[i]; s.What == "intent" {
			t.st.Steps[len(t.st.Steps)-1].By = s.By
		}
	}
}

var owingZh = map[journal.OwingEvent]string{journal.DebtDelivered: "送达", journal.DebtParked: "挂起", journal.DebtHeld: "人工暂停",
	journal.DebtReleased: "人工恢复", journal.DebtGivenUp: "人工了结"}

// owing tells what became of a debt of it.
func (t *teller) owing(lsn journal.LSN, r *journal.Record) error {
	c, err := journal.ReadDebtChange(r.Body)
	if err != nil {
		return fmt.Errorf("record %v: %w", lsn, err)
	}
	form := storefwd.Form(c.Form)
	t.add(r.Turn, lsn, c.What.String(), fmt.Sprintf("欠 %s 的%s：%s，已发送 %d 次，应答 %v", t.d.link(c.Link), formZh[form], owingZh[c.What], c.Offers, c.Code),
		fmt.Sprintf("%v owed to %s: %v after %d offers, answer %v", form, t.d.link(c.Link), c.What, c.Offers, c.Code))
	return nil
}

var formZh = map[storefwd.Form]string{storefwd.Reversal: "冲正", storefwd.Advice: "通知"}

// Lines tells a story in lines for people, up to a place in the journal, which is not
// in it any more; what happened since is left out, so that who asks later gets the same.
func (st *Story) Lines(to journal.LSN) []string {
	r := &st.Row
	all := []string{fmt.Sprintf("%s  %d  RRN %s  %s/%s  %s %s  %d.%02d  %s %s", r.At, r.ID, r.RRN, r.Merchant, r.Terminal, r.Kind, r.Card, r.Amount/100, r.Amount%100, r.Code, r.Link)}
	var end, turn, place uint64
	_, err := fmt.Sscanf(to.String(), "%d.%d", &end, &place)
	for _, x := range st.Steps {
		if _, bad := fmt.Sscanf(x.LSN, "%d.%d", &turn, &place); bad == nil && err == nil && turn >= end {
			break
		}
		all = append(all, fmt.Sprintf("%s  +%d µs  %s · %s  %s", x.At, x.After, x.Zh, x.En, x.LSN))
	}
	return all
}
