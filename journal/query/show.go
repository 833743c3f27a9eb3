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
type Step struct {
	At    string `json:"at"`
	After int64  `json:"after_us"` // since the request arrived
	What  string `json:"what"`     // arrived, intent, sent, outcome, replied, owed, delivered …, reversed, named
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
	return 0, r.Facts, journal.ErrNotFound
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
}

func (t *teller) add(at int64, lsn journal.LSN, what, zh, en string) {
	after := int64(0)
	if at != 0 {
		after = (at - t.base) / int64(time.Microsecond)
	}
	t.st.Steps = append(t.st.Steps, Step{At: clock(at), After: after, What: what, Zh: zh, En: en, LSN: lsn.String()})
}

func (t *teller) record(lsn journal.LSN, r *journal.Record) error {
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
		t.add(r.Turn, lsn, "intent", "意向落盘，随后发往 "+t.d.link(f.Link), "intent on disk, then sent to "+t.d.link(f.Link))
		return
	}
	t.ended = r.Turn
	w := f.Code.Words()
	if f.Line != 0 {
		t.add(0, lsn, "line", fmt.Sprintf("经 %s 第 %d 条线路发送", t.d.link(f.Link), f.Line), fmt.Sprintf("sent on line %d of %s", f.Line, t.d.link(f.Link)))
	}
	t.add(r.Turn, lsn, "outcome", fmt.Sprintf("结果落盘：%v，应答码 %v %s", f.Result, f.Code, w.ZH), fmt.Sprintf("outcome on disk: %v, code %v %s", f.Result, f.Code, w.EN))
	if len(r.Body) > 0 {
		t.add(r.Turn, lsn, "replied", fmt.Sprintf("应答终端，%d 字节（不含 MAC）", len(r.Body)), fmt.Sprintf("terminal answered, %d bytes without the MAC", len(r.Body)))
	}
	if f.Result == txn.TimedOut && f.Sent != 0 && flow.MovesMoney(f.Kind) {
		t.add(r.Turn, lsn, "owed", "欠 "+t.d.link(f.Link)+" 一笔冲正", "a reversal is owed to "+t.d.link(f.Link))
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
