package main

import (
	"encoding/json"
	"fmt"

	"tongka/admin"
)

// ctlCardsCmd is about e-purse cards of which nobody but a person can say whether
// they were written.
type ctlCardsCmd struct {
	Parked    cardsParkedCmd    `cmd:"" help:"列出挂人工的卡 · list the cards that wait"`
	Show      cardsShowCmd      `cmd:"" help:"按充值流水号显示一张卡 · show one, by the number of its load"`
	Decide    cardsDecideCmd    `cmd:"" help:"提议裁定，须另一人确认 · propose a decision; another person confirms"`
	Proposals cardsProposalsCmd `cmd:"" help:"等待确认的裁定 · decisions that wait"`
	Confirm   cardsConfirmCmd   `cmd:"" help:"确认他人的裁定 · confirm another person's decision"`
}

// cardsParkedCmd lists them.
type cardsParkedCmd struct {
	safFlags
	Limit int `default:"100" help:"至多多少张 · at most"`
}

// Run asks and prints.
func (c *cardsParkedCmd) Run(s *streams) error {
	n, err := c.cards(s, admin.CardQuery{Limit: c.Limit}, func(p *admin.ParkedCard) {
		fmt.Fprintf(s.out, "%d  %s %s  %s %s  %s %d.%02d  %s · %s\n", p.Load, p.Family, p.Card, p.At, p.Kind, p.Reason, p.Amount/100, p.Amount%100, p.Zh, p.En)
	})
	if err == nil && !c.JSON {
		fmt.Fprintf(s.out, "%d 张 · cards\n", n)
	}
	return err
}

// cards asks for some and gives each to print, or writes JSON.
func (f *safFlags) cards(s *streams, q admin.CardQuery, print func(*admin.ParkedCard)) (n int, err error) {
	err = f.ask(s, admin.CardsParked, q, func(line []byte) error {
		n++
		var p admin.ParkedCard
		switch err := json.Unmarshal(line, &p); {
		case err != nil:
			return err
		case f.JSON:
			return writeLine(s.out, p)
		}
		print(&p)
		return nil
	})
	return n, err
}

// cardsShowCmd shows one.
type cardsShowCmd struct {
	safFlags
	Load uint64 `arg:"" help:"充值流水号 · number of the load"`
}

// Run asks and prints.
func (c *cardsShowCmd) Run(s *streams) error {
	n, err := c.cards(s, admin.CardQuery{Load: c.Load}, func(p *admin.ParkedCard) { printParked(s, p) })
	if err == nil && n == 0 {
		return fmt.Errorf("充值 %d 没有挂人工的卡 · no card waits for a person because of load %d", c.Load, c.Load)
	}
	return err
}

func printParked(s *streams, p *admin.ParkedCard) {
	line := func(name, format string, args ...any) { fmt.Fprintf(s.out, name+": "+format+"\n", args...) }
	line("充值流水 · load", "%d %s %s", p.Load, p.Kind, p.At)
	line("卡 · card", "%s %s", p.Family, p.Card)
	line("原因 · reason", "%s  %s · %s", p.Reason, p.Zh, p.En)
	line("金额 · amount", "%d.%02d", p.Amount/100, p.Amount%100)
	if p.Account != "" {
		line("账户 · account", "%s %s", p.Account, p.Link)
	}
	if p.Order != "" {
		line("订单 · order", "%s", p.Order)
	}
	line("此前 · before", "余额 · balance %d.%02d, 计数器 · counter %d", p.Balance/100, p.Balance%100, p.Counter)
	if p.Shown {
		line("卡所示 · the card showed", "余额 · balance %d.%02d, 计数器 · counter %d", p.Showed/100, p.Showed%100, p.ShowedN)
	}
	if p.Failed {
		line("终端 · terminal", "称未写卡 · says that it was not written")
	}
	line("可裁定为 · may be decided as", "%s", p.May)
}

// cardsDecideCmd proposes.
type cardsDecideCmd struct {
	safFlags
	Load uint64 `arg:"" help:"充值流水号 · number of the load"`
	Do   string `arg:"" name:"decision" enum:"complete,take-back,write-off" help:"complete 视为已写（或已付），take-back 视为未写、向银行冲正，write-off 核销 · taken as written (or paid), as not written (reversal at the bank), or written off"`
	Why  string `required:"" help:"依据，记入审计 · why, for the audit file"`
}

// Run proposes.
func (c *cardsDecideCmd) Run(s *streams) error {
	return c.act(s, admin.CardsDecide, admin.CardOrder{Do: c.Do, Load: c.Load, Why: c.Why})
}

// cardsConfirmCmd confirms.
type cardsConfirmCmd struct {
	safFlags
	Number int `arg:"" help:"提议号 · number of the proposal"`
}

// Run confirms.
func (c *cardsConfirmCmd) Run(s *streams) error {
	return c.act(s, admin.CardsConfirm, admin.CardOrder{Proposal: c.Number})
}

// cardsProposalsCmd lists what waits.
type cardsProposalsCmd struct{ safFlags }

// Run asks and prints.
func (c *cardsProposalsCmd) Run(s *streams) error {
	return c.ask(s, admin.CardsWaiting, struct{}{}, func(line []byte) error {
		var p admin.Proposal[admin.CardOrder]
		switch err := json.Unmarshal(line, &p); {
		case err != nil:
			return err
		case c.JSON:
			return writeLine(s.out, p)
		}
		fmt.Fprintf(s.out, "%d  %s %d  %s  %s  至 · until %s\n", p.Number, p.Order.Do, p.Order.Load, whoIs(&p.By), p.Order.Why, p.Expires)
		return nil
	})
}
