package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tongka/admin"
	"tongka/audit"
	"tongka/config"
	"tongka/engine"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// defaultDebts are shown when no limit is given.
const defaultDebts = 1000

// listDebts shows what is owed, a part of the queue in each turn of the loop.
func (n *Node) listDebts(ctx context.Context, q *admin.DebtQuery, whole bool, out func(any) error) error {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultDebts
	}
	if q.Link != "" && !slices.ContainsFunc(n.config().Links, func(l config.Link) bool { return l.Name == q.Link }) {
		return fmt.Errorf("没有线路 %q · no link %q", q.Link, q.Link)
	}
	_, done, err := n.reading(ctx)
	if err != nil {
		return err
	}
	defer done()
	read := n.journal.NewReader()
	for from := 0; from >= 0 && limit > 0; {
		part := engine.Debts{From: from}
		if err := n.shard.Do(ctx, &part); err != nil {
			return err
		}
		for _, it := range part.Items {
			d := n.debt(&it)
			if q.Link != "" && d.Link != q.Link || q.State != "" && d.State != q.State || q.ID != 0 && d.ID != q.ID || limit == 0 {
				continue
			}
			if whole {
				if err := fillDebt(read.Lookup, &d, &it); err != nil {
					return err
				}
			}
			if err := out(d); err != nil {
				return err
			}
			limit--
		}
		from = part.Next
	}
	return nil
}

func (n *Node) debt(it *storefwd.Item) admin.Debt {
	d := admin.Debt{ID: uint64(it.ID), Form: it.Form.String(), State: it.State.String(), Held: it.Held, Offers: it.Offers, Attempts: it.Attempts}
	if it.At > 0 {
		d.At = when(it.At)
	}
	if links := n.config().Links; int(it.Link) < len(links) {
		d.Link = links[it.Link].Name
	}
	return d
}

func when(ns int64) string {
	return time.Unix(0, ns).In(translate.Zone).Format("2006-01-02T15:04:05.000Z07:00")
}

// fillDebt adds what lies on disk of a debt; one that was settled meanwhile is
// shown without.
func fillDebt(lookup func(key, dst []byte) ([]byte, bool, error), d *admin.Debt, it *storefwd.Item) error {
	var debt storefwd.Debt
	ok, err := storefwd.ReadDebt(lookup, it.ID, it.Form, it.Link, &debt)
	if err != nil || !ok {
		return err
	}
	f := &debt.Facts
	d.Kind, d.Amount, d.Arrived = f.Kind.String(), f.Amount, when(f.At)
	d.Terminal, d.Merchant = string(f.Terminal.Number[:]), string(f.Terminal.Merchant[:])
	if f.PAN.Len() > 0 {
		d.Card = f.PAN.String()
	}
	return nil
}

var debtDo = map[string]engine.DebtAction{"hold": engine.HoldDebt, "release": engine.ReleaseDebt, "settle": engine.SettleDebt}

// orderDebt does what an operator wants, or keeps it for a second person. Either
// is written into the audit file.
func (n *Node) orderDebt(ctx context.Context, who audit.Who, o *admin.DebtOrder, confirm bool) admin.Answer {
	n.acting.Lock()
	defer n.acting.Unlock()
	if !n.opened {
		return admin.Refused("交换正在启动或停止", "the switch is being started or stopped")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
	defer cancel()
	verb := "saf-" + o.Do
	var answer admin.Answer
	switch _, known := debtDo[o.Do]; {
	case confirm:
		order, err := n.proposals.take(o.Proposal, who, time.Now(), n.keep(ctx, debtProposals))
		verb = "saf-confirm"
		if err != nil {
			answer = admin.Failed("未执行", "not done", err)
			break
		}
		verb, *o = "saf-"+order.Do, order
		answer = n.operate(ctx, o)
	case !known:
		return admin.Refused(fmt.Sprintf("没有操作 %q", o.Do), fmt.Sprintf("no action %q", o.Do), "hold, release, settle")
	case !saysWhy(o.Why):
		return admin.Refused("原因须为 1 至 200 个可显示的字符", "why: 1 to 200 characters that can be shown")
	case o.Do == "hold":
		answer = n.operate(ctx, o)
	default:
		verb += "-proposed"
		if answer = n.look(ctx, o); !answer.OK {
			break
		}
		number, err := n.proposals.add(*o, who, time.Now(), n.keep(ctx, debtProposals))
		if err != nil {
			answer = admin.Failed("未登记", "not kept", err)
			break
		}
		answer = admin.Done(fmt.Sprintf("提议 %d 等待另一人在 %v 内确认：switch saf confirm %d", number, proposalLives, number),
			fmt.Sprintf("proposal %d waits %v for another person: switch saf confirm %d", number, proposalLives, number))
	}
	what := o.Link
	if o.ID != 0 {
		what = fmt.Sprintf("%s %d %s", o.Link, o.ID, o.Form)
	}
	if o.Why != "" {
		what += ": " + o.Why
	}
	n.record(ctx, who, admin.Action{Verb: admin.Verb(verb), What: what}, &answer)
	return answer
}

// saysWhy is false for a reason that is none, or that would spoil the line it is
// shown in.
func saysWhy(why string) bool {
	const most = 200
	return strings.TrimSpace(why) != "" && utf8.ValidString(why) && utf8.RuneCountInString(why) <= most &&
		!strings.ContainsFunc(why, func(r rune) bool { return !unicode.IsPrint(r) })
}

// look refuses a proposal that could not be done now.
func (n *Node) look(ctx context.Context, o *admin.DebtOrder) admin.Answer {
	if o.ID == 0 && o.Do == "settle" {
		return admin.Refused("了结须写明流水号", "settle wants the number of one transaction")
	}
	return n.tellQueue(ctx, o, engine.LookDebt)
}

// operate has the loop do it.
func (n *Node) operate(ctx context.Context, o *admin.DebtOrder) admin.Answer {
	return n.tellQueue(ctx, o, debtDo[o.Do])
}

func (n *Node) tellQueue(ctx context.Context, o *admin.DebtOrder, do engine.DebtAction) admin.Answer {
	form := storefwd.Reversal
	if o.Form == storefwd.Advice.String() {
		form = storefwd.Advice
	}
	c := engine.Operate{Do: do, ID: txn.ID(o.ID), Form: form, Link: o.Link}
	switch err := n.shard.Do(ctx, &c); {
	case errors.Is(err, engine.ErrNoLink):
		return admin.Refused(fmt.Sprintf("没有线路 %q", o.Link), fmt.Sprintf("no link %q", o.Link))
	case errors.Is(err, engine.ErrNoDebt):
		return admin.Refused("没有这笔欠款", "there is no such debt")
	case errors.Is(err, engine.ErrAlready):
		return admin.Refused("已是如此", "it is so already")
	case err != nil:
		return admin.Failed("未能执行", "not done", err)
	}
	words := map[string][2]string{"hold": {"已暂停", "held"}, "release": {"已恢复投递", "released"}, "settle": {"已了结，不再投递", "given up, it is not offered any more"}}[o.Do]
	answer := admin.Done(words[0], words[1])
	answer.Before, answer.After = c.Item.State.String(), o.Do
	return answer
}
