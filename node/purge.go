package node

import (
	"fmt"
	"time"

	"tongka/admin"
	"tongka/card"
	"tongka/clearing/clean"
	"tongka/clearing/day"
	"tongka/engine"
	"tongka/translate"
	"tongka/txn"
)

// purge takes the days up to a date out of the journal. What the switch itself may
// still need keeps them; whether the day is cleared and its cases are ended is the
// business of who asks.
func (n *Node) purge(what string) admin.Answer {
	date, err := day.ParseDate(what)
	if err != nil {
		return admin.Failed("日期有误", "no date", err)
	}
	n.cuts.mu.Lock()
	cuts := n.cuts.book.Cuts()
	n.cuts.mu.Unlock()
	read := n.journal.NewReader()
	floor, err := clean.Plan(read, cuts, date, time.Now().In(translate.Zone), func(f func(txn.ID)) error {
		return engine.EachParked(read, func(p *card.Purse) error { f(p.Load); return nil })
	})
	if err == nil {
		err = n.journal.Purge(floor)
	}
	if err != nil {
		return admin.Failed("未清理", "nothing was taken away", err)
	}
	a := admin.Done(fmt.Sprintf("%s 及以前的流水已清理", date), fmt.Sprintf("the journal up to %s is gone", date))
	a.After = floor.At.String()
	return a
}
