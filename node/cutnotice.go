package node

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"tongka/admin"
	"tongka/clearing/day"
	"tongka/engine"
	"tongka/fault"
	"tongka/translate"
)

const (
	// keptNotices is where the journal's database has how far the banks were told.
	keptNotices = "day-notices"
	// noticeEvery is the pause before a bank that did not answer is told again.
	noticeEvery = 10 * time.Second
	// mostNotices is how often; an hour, with a bank that is away.
	mostNotices = 360
	idle        = time.Hour
)

// notices is how far the banks are told that a day has ended: first 201, and once it
// is answered, 202.
type notices struct {
	Date  day.Date  `json:"date"`
	Banks []*notice `json:"banks"`
}

type notice struct {
	Link     string `json:"link"`
	Answered int    `json:"answered"`
	Code     string `json:"code"` // of the last answer
	Tries    int    `json:"tries"`
	GivenUp  bool   `json:"given_up"`
	next     time.Time
}

// due is the F70 that a bank is to be told, 0 when it knows all.
func (b *notice) due() uint16 {
	switch {
	case b.GivenUp || b.Answered == translate.NetDayCutEnds:
		return 0
	case b.Answered == translate.NetDayCutBegins:
		return translate.NetDayCutEnds
	}
	return translate.NetDayCutBegins
}

func (n *Node) noticesOf(d day.Date) notices {
	all := notices{Date: d}
	for _, name := range n.config().BusinessDay.Tell {
		all.Banks = append(all.Banks, &notice{Link: name})
	}
	return all
}

func (a *notices) rows() []admin.DayNotice {
	out := []admin.DayNotice{}
	for _, b := range a.Banks {
		out = append(out, admin.DayNotice{Link: b.Link, Answered: b.Answered, Tries: b.Tries, Code: b.Code, GivenUp: b.GivenUp})
	}
	return out
}

// keepNotices writes them down, so that a restart goes on. Lost, a bank is told
// twice, which does no harm; mu is held.
func (n *Node) keepNotices(ctx context.Context) {
	b, err := json.Marshal(&n.cuts.notices)
	if err == nil {
		err = n.shard.Do(ctx, &engine.Keep{Name: keptNotices, Value: b})
	}
	if err != nil && ctx.Err() == nil {
		n.log.Info("notices of the day are not kept", zap.Error(err))
	}
}

// tellBanks tells who is to be told by now, and gives the time until the next.
func (n *Node) tellBanks(ctx context.Context, now time.Time) time.Duration {
	n.cuts.mu.Lock()
	defer n.cuts.mu.Unlock()
	wait := idle
	for _, b := range n.cuts.notices.Banks {
		net := b.due()
		if net == 0 {
			continue
		}
		if left := b.next.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		if b.Tries == mostNotices {
			b.GivenUp = true
			n.log.Error("bank did not answer the notice of the day's end", fault.Field(fault.CutUntold), zap.String("link", b.Link), zap.Uint16("code", net))
			n.keepNotices(ctx)
			continue
		}
		b.Tries++
		b.next = now.Add(noticeEvery)
		wait = min(wait, noticeEvery)
		if err := n.shard.Do(ctx, &engine.TellCut{Link: b.Link, Net: net}); errors.Is(err, engine.ErrNoLink) {
			b.GivenUp = true // it is not configured any more
		}
	}
	return wait
}

// answered takes an answer. One that is no 00 is an answer all the same: the bank
// knows, and what it thinks of it is for people.
func (n *Node) answered(ctx context.Context, name string, e engine.CutEvent) {
	n.cuts.mu.Lock()
	defer n.cuts.mu.Unlock()
	for _, b := range n.cuts.notices.Banks {
		if b.Link == name && b.due() == e.Net {
			b.Answered, b.Code, b.Tries, b.next = int(e.Net), e.Code.String(), 0, time.Time{}
			n.keepNotices(ctx)
		}
	}
}
