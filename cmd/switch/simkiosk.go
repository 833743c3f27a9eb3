package main

import (
	"errors"
	"time"

	"tongka/sim"
	"tongka/sim/kiosk"
)

// simKioskCmd plays kiosks and the cards that come to them. What the switch needs
// to know of them, --setup prints.
type simKioskCmd struct {
	report
	Connect string        `placeholder:"ADDR" help:"交换的终端接入地址 · the switch's door for terminals"`
	Setup   string        `enum:"config,orders," default:"" help:"不连接，只打印交换所需：config 为 cards 配置节，orders 为订单 CSV · connect nowhere and print what the switch needs: its section cards, or a CSV of orders"`
	Count   int           `default:"4" help:"自助终端数，与 sim provision --kiosks 相同 · kiosks, as in sim provision --kiosks"`
	Seed    uint64        `default:"1" help:"种子，与 sim provision --kiosks 相同 · seed, as in sim provision --kiosks"`
	Cards   int           `default:"40" help:"卡数 · cards"`
	Orders  int           `default:"10" help:"每张卡的补登订单数 · orders paid for each card"`
	Rate    float64       `default:"10" help:"每秒接触数，0 为不停 · visits a second, 0: without a pause"`
	Visits  int           `help:"每台接触数，0 为不限 · visits of each, 0: no end"`
	Mishaps float64       `default:"0.3" help:"断线、掉电等的比例 0–1 · share of visits in which a line is torn or a card loses its power, 0 to 1"`
	Timeout time.Duration `default:"40s" help:"应答时限 · how long to wait for an answer"`
	Books   string        `placeholder:"FILE" help:"账本文件 · file of their book"`
	Settle  time.Duration `default:"30s" help:"结束时了结未决的时限 · time to bring what is open to its end"`
}

// Run plays until the visits are made or it is told to stop; the error says how
// many wishes have no known end.
func (c *simKioskCmd) Run(s *streams) error {
	if c.Setup != "" {
		yaml, csv, err := kiosk.Setup(c.Cards, c.Orders)
		if err == nil && c.Setup == "config" {
			csv = []byte(yaml)
		}
		if err == nil {
			_, err = s.out.Write(csv)
		}
		return err
	}
	if c.Connect == "" {
		return errors.New("须给出 --connect 或 --setup · --connect or --setup is wanted")
	}
	kiosks, _, err := sim.ProvisionKiosks(c.Count, c.Seed)
	if err != nil {
		return err
	}
	return sim.RunKiosks(s.ctx, kiosk.Config{
		Addr: c.Connect, Kiosks: kiosks, Cards: c.Cards, Orders: c.Orders, Seed: c.Seed, Rate: c.Rate, Visits: c.Visits, Mishaps: c.Mishaps,
		AnswerTimeout: c.Timeout, Books: c.Books, Log: simLog(s),
	}, c.Settle, c.options(), s.out)
}
