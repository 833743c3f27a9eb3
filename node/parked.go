package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tongka/admin"
	"tongka/audit"
	"tongka/card"
	"tongka/engine"
	"tongka/flow"
	"tongka/journal"
)

// reasonWords say why a card is parked, by its reason.
var reasonWords = map[card.Reason][2]string{
	card.OtherAmount:     {"未写卡，而请求的金额、账户或订单不同", "not written, and another amount, account or order was asked for"},
	card.BalanceOdd:      {"计数器相符，余额不符", "the counter fits and the balance does not"},
	card.CounterAhead:    {"计数器超前", "the counter is ahead of all that we know"},
	card.CounterBehind:   {"计数器倒退", "the counter has gone back"},
	card.WrongTAC:        {"TAC 错误", "what the card signed is not what it was told"},
	card.WrittenAfterAll: {"款已退回，卡却已写", "the money went back, and then the card was written"},
}

var errEnoughCards = errors.New("enough")

// parkedCards looks through the cards that wait, beside the shard.
func (n *Node) parkedCards(show func(*card.Purse) error) error {
	n.acting.Lock()
	opened := n.opened
	n.acting.Unlock()
	if !opened {
		return errStopped
	}
	return engine.EachParked(n.journal.NewReader(), show)
}

func (n *Node) listParked(q *admin.CardQuery, out func(any) error) error {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultDebts
	}
	err := n.parkedCards(func(p *card.Purse) error {
		if q.Load != 0 && q.Load != uint64(p.Load) {
			return nil
		}
		if limit--; limit < 0 {
			return errEnoughCards
		}
		return out(n.parkedCard(p))
	})
	if errors.Is(err, errEnoughCards) {
		return nil
	}
	return err
}

func (n *Node) parkedCard(p *card.Purse) admin.ParkedCard {
	words := reasonWords[p.Reason]
	c := admin.ParkedCard{Load: uint64(p.Load), Kind: p.Kind.String(), Card: p.Serial.String(), Family: "city", Reason: p.Reason.String(), Zh: words[0], En: words[1],
		Amount: int64(p.Amount), Order: p.Order.String(), At: when(p.At), Balance: int64(p.Balance), Counter: int(p.Seq), Failed: p.Failed}
	if p.Family == card.TUnion {
		c.Family = "t-union"
	}
	if p.PAN.Len() > 0 {
		c.Account = p.PAN.String()
	}
	if links := n.config().Links; (flow.Forwarded(p.Kind) || p.Unloads()) && int(p.Link) < len(links) {
		c.Link = links[p.Link].Name
	}
	if p.Shown {
		c.Shown, c.Showed, c.ShowedN = true, int64(p.ShownBalance), int(p.ShownSeq)
	}
	for _, d := range [...]card.Decision{card.Complete, card.TakeBack, card.WriteOff} {
		if p.May(d) == nil {
			c.May = strings.TrimSpace(c.May + " " + d.String())
		}
	}
	return c
}

// orderCard keeps a decision for a second person, or does it when he confirms.
// Either is written into the audit file.
func (n *Node) orderCard(ctx context.Context, who audit.Who, o *admin.CardOrder, confirm bool) admin.Answer {
	n.acting.Lock()
	defer n.acting.Unlock()
	if !n.opened {
		return admin.Refused("交换正在启动或停止", "the switch is being started or stopped")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actWithin)
	defer cancel()
	verb := "card-" + o.Do + "-proposed"
	var answer admin.Answer
	if confirm {
		order, err := n.decisions.take(o.Proposal, who, time.Now(), n.keep(ctx, cardProposals))
		if err != nil {
			verb, answer = "card-confirm", admin.Failed("未执行", "not done", err)
		} else {
			verb, *o = "card-"+order.Do, order
			answer = n.decideCard(ctx, o)
		}
	} else {
		if _, known := card.ParseDecision(o.Do); !known {
			return admin.Refused(fmt.Sprintf("没有裁定 %q", o.Do), fmt.Sprintf("no decision %q", o.Do), "complete, take-back, write-off")
		}
		answer = n.proposeCard(ctx, o, who)
	}
	n.record(ctx, who, admin.Action{Verb: admin.Verb(verb), What: fmt.Sprintf("load %d: %s", o.Load, o.Why)}, &answer)
	return answer
}

// proposeCard refuses at once what could not be done.
func (n *Node) proposeCard(ctx context.Context, o *admin.CardOrder, who audit.Who) admin.Answer {
	p, answer := n.parkedBy(o)
	if p == nil {
		return answer
	}
	number, err := n.decisions.add(*o, who, time.Now(), n.keep(ctx, cardProposals))
	if err != nil {
		return admin.Failed("未登记", "not kept", err)
	}
	return admin.Done(fmt.Sprintf("卡 %s：提议 %d 等待另一人在 %v 内确认：switch ctl cards confirm %d", p.Serial, number, proposalLives, number),
		fmt.Sprintf("card %s: proposal %d waits %v for another person: switch ctl cards confirm %d", p.Serial, number, proposalLives, number))
}

// parkedBy finds the card that an order is about; nil with the refusal when it
// cannot be decided so.
func (n *Node) parkedBy(o *admin.CardOrder) (found *card.Purse, refusal admin.Answer) {
	err := engine.EachParked(n.journal.NewReader(), func(p *card.Purse) error {
		if uint64(p.Load) == o.Load {
			found = p
			return errEnoughCards
		}
		return nil
	})
	do, _ := card.ParseDecision(o.Do)
	switch {
	case err != nil && !errors.Is(err, errEnoughCards):
		return nil, admin.Failed("卡不可读", "cards cannot be read", err)
	case found == nil:
		return nil, admin.Refused(fmt.Sprintf("充值 %d 没有挂人工的卡", o.Load), fmt.Sprintf("no card waits for a person because of load %d", o.Load))
	case found.May(do) != nil:
		return nil, admin.Refused("款已退回，只能核销（write-off）", "the money went back already: it can only be written off")
	}
	return found, refusal
}

// decideCard has the loop do it.
func (n *Node) decideCard(ctx context.Context, o *admin.CardOrder) admin.Answer {
	p, answer := n.parkedBy(o)
	if p == nil {
		return answer
	}
	c := engine.DecideCard{Family: p.Family, Serial: p.Serial, Load: p.Load}
	c.Do, _ = card.ParseDecision(o.Do)
	if c.Do == card.TakeBack && flow.Forwarded(p.Kind) {
		var r journal.Record
		if _, err := n.journal.NewReader().FindID(p.Load, &r); err != nil {
			return admin.Failed("流水中没有该笔充值", "the journal does not have this load", err)
		}
		c.Of = r.Facts
	}
	switch err := n.shard.Do(ctx, &c); {
	case errors.Is(err, engine.ErrCardBusy):
		return admin.Refused("此卡正在处理，请重新提议", "the card is being worked on in this moment: propose it again")
	case err != nil:
		return admin.Failed("未能执行", "not done", err)
	}
	answer = decided(&c)
	answer.Before, answer.After = "parked for "+c.Was.Reason.String(), o.Do
	return answer
}

// decided says what became of the money.
func decided(c *engine.DecideCard) admin.Answer {
	owes := flow.Forwarded(c.Was.Kind)
	switch {
	case c.Do == card.WriteOff:
		return admin.Done("已核销：资金未动，差额另行入账", "written off: no money has moved here, the difference is booked elsewhere")
	case c.Do == card.Complete && c.Was.Unloads():
		return admin.Done("视为卡已付：已登记对银行的入账通知", "taken as paid by the card: the bank is owed the notice")
	case c.Do == card.Complete:
		return admin.Done("视为已写卡，充值了结", "taken as written: the load is closed")
	case owes:
		return admin.Done("视为未写卡：已登记对银行的冲正", "taken as not written: the bank is owed the reversal")
	case c.Was.Order != (card.Number{}):
		return admin.Done("视为未写卡：订单可重新写卡", "taken as not written: the order may be loaded again")
	}
	return admin.Done("视为卡未付：资金未动", "taken as not paid by the card: no money has moved")
}
