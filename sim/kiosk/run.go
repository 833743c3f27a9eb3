package kiosk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"tongka/sim/book"
	"tongka/sim/fleet"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// kiosk is one kiosk. Everything belongs to its goroutine.
type kiosk struct {
	park   *Park
	id     int
	line   *fleet.Line
	number [6]byte // as cards are given it
	pans   []txn.PAN
	rng    *rand.Rand
	made   int
	due    time.Time
	last   []byte // F58 of the last load that was asked for
}

func newKiosk(p *Park, i int, first uint32) (*kiosk, error) {
	t := p.cfg.Kiosks[i]
	k := &kiosk{park: p, id: i, number: [6]byte{0x31, 0x20, 0, 0, byte(i >> 8), byte(i)}, rng: rand.New(rand.NewPCG(p.cfg.Seed, uint64(i)))}
	for _, digits := range t.PANs {
		pan, err := txn.ParsePAN([]byte(digits))
		if err != nil {
			return nil, err
		}
		k.pans = append(k.pans, pan)
	}
	var err error
	k.line, err = fleet.NewLine(t, p.cfg.Addr, p.cfg.AnswerTimeout, first)
	return k, err
}

// run takes one card after the other. It ends when ctx does, or when it was told
// to stop and no card has anything open.
func (k *kiosk) run(ctx context.Context) {
	defer k.line.Drop()
	k.due = time.Now().Add(time.Duration(float64(k.park.interval) * k.rng.Float64()))
	wait := aid.FirstPause
	for ctx.Err() == nil {
		calm := k.calm()
		if calm && k.park.settled() {
			return
		}
		if !calm && !k.waitDue(ctx) {
			continue
		}
		h := k.park.take(k, calm)
		if h == nil {
			aid.Pause(ctx, aid.FirstPause/4)
			continue
		}
		err := k.visit(ctx, h, calm)
		k.park.giveBack(h)
		if err == nil {
			wait = aid.FirstPause
			continue
		}
		if ctx.Err() == nil {
			k.park.note(func(s *Stats) { s.Fault = err.Error() })
		}
		aid.Pause(ctx, wait)
		wait = min(2*wait, aid.LastPause/5)
	}
}

// calm says that nothing new is to be wished for and nothing breaks any more.
func (k *kiosk) calm() bool {
	select {
	case <-k.park.stopping:
		return true
	default:
		n := k.park.cfg.Visits
		return n > 0 && k.made >= n
	}
}

// waitDue waits for the time of the next visit; false when there is to be none.
func (k *kiosk) waitDue(ctx context.Context) bool {
	if k.park.interval == 0 {
		return true
	}
	now := time.Now()
	if k.due = k.due.Add(k.park.interval); now.Sub(k.due) > time.Second {
		k.due = now // what was missed is given up
	}
	timer := time.NewTimer(k.due.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-k.park.stopping:
	}
	return false
}

func (k *kiosk) ready(ctx context.Context) error {
	if err := k.line.Ready(ctx); err != nil {
		return fmt.Errorf("签到 sign-in: %w", err)
	}
	return nil
}

// visit is one card at this kiosk. An error says that the kiosk cannot work now.
func (k *kiosk) visit(ctx context.Context, h *holder, calm bool) error {
	if err := k.ready(ctx); err != nil {
		return err
	}
	k.made++
	k.park.note(func(s *Stats) { s.Visits++ })
	var bad mishap
	if !calm && k.rng.Float64() < k.park.cfg.Mishaps {
		bad = mishap(1 + k.rng.IntN(int(mishaps)-1))
	}
	if h.wish >= 0 {
		w := k.park.wishOf(h)
		k.load(ctx, h, &w, bad)
		return nil
	}
	if h.card.Balance > spendAt && h.state.Proven || h.card.Balance > 2*spendAt {
		k.park.write(h, nil, h.spend)
	}
	if !calm && k.rng.IntN(12) == 0 {
		k.balance()
	}
	account := k.rng.IntN(len(k.park.accounts))
	w, ok := k.park.want(h, k.draw(h), account)
	if !ok {
		if w, ok = k.park.want(h, txn.LoadAccount, account); !ok {
			return errSpent
		}
	}
	if w.Order != "" {
		k.query(h)
	}
	k.load(ctx, h, &w, bad)
	return nil
}

var errSpent = fmt.Errorf("金额已用尽 · kiosk: all amounts up to %d fen were used", maxFen)

// draw picks what somebody wants.
func (k *kiosk) draw(h *holder) txn.Kind {
	switch n := k.rng.IntN(10); {
	case n < 1 && int64(h.card.Balance) > k.park.nextFen():
		return txn.Unload
	case n < 3:
		return txn.LoadAccount
	case n < 5:
		return txn.LoadOther
	case n < 7:
		return txn.LoadCash
	case h.begun == h.orders:
		return txn.LoadAccount
	case n < 9:
		return txn.OrderLoad
	}
	return txn.AirLoad
}

// spend takes the card to the shops.
func (h *holder) spend(c *book.Card) {
	c.Spent += int64(h.card.Balance - firstBalance)
	h.card.Spend(h.card.Balance - firstBalance)
}
