package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tongka/engine"
	"tongka/sim"
)

// The act: when the second bank stops answering sales (but books them), when it
// stops answering anything, and when it is itself again; shares of the time.
const (
	fallsSilent = 0.30
	turnsDeaf   = 0.45
	comesBack   = 0.60
)

// watch prints a line a second and plays the act until the time is over.
func (w *world) watch(ctx context.Context, began time.Time) error {
	line := time.NewTicker(time.Second)
	defer line.Stop()
	at := func(share float64) <-chan time.Time {
		return time.After(time.Duration(share * float64(w.o.For)))
	}
	silent, deaf, back, end := at(fallsSilent), at(turnsDeaf), at(comesBack), at(1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.fatal:
			return err
		case <-end:
			return nil
		case <-line.C:
			w.say("%s", w.line(time.Since(began)))
		case <-silent:
			w.behave(sim.Behaviour{Silent: true}, "银行 B 不再应答 bank-b falls silent: it books and does not answer")
		case <-deaf:
			w.behave(sim.Behaviour{Deaf: true}, "银行 B 完全失联 bank-b hears nothing at all")
		case <-back:
			w.behave(usually[1], "银行 B 恢复 bank-b is back: what is owed is delivered")
		}
	}
}

func (w *world) behave(b sim.Behaviour, what string) {
	w.say("── %s", what)
	if err := w.banks[1].Behave(b); err != nil {
		w.say("%v", err)
	}
}

// line is the state of all in one line.
func (w *world) line(t time.Duration) string {
	st := w.fleet.Stats()
	var p engine.Snapshot
	if s := w.node.Snapshot(); s != nil {
		p = *s
	}
	var links []string
	for _, l := range p.Links {
		links = append(links, l.Name+" "+l.State)
	}
	c := &p.Counters
	k := w.park.Stats()
	return fmt.Sprintf("%3.0fs 已发 sent %d · 批准 approved %d · 拒绝 declined %d · 超时 98 %d · 在途 in flight %d · 待冲正 owed %d · 已送达 delivered %d · %s · 充值 loads %d 补写 rewritten %d 未决 open %d · p50 %.2f ms p99 %.2f ms · %s",
		t.Seconds(), st.Sent, c.Approved, c.Declined, c.TimedOut, p.InFlight, p.Owed, c.Delivered, sim.KindsLine(st.Kinds), k.Written, k.Rewrites, k.Open,
		float64(p.Latency.Quantile(0.5))/1000, float64(p.Latency.Quantile(0.99))/1000, strings.Join(links, ", "))
}

// settleWithin bounds how long the end waits for what is open.
const settleWithin = 90 * time.Second

// settle stops the sales, lets the terminals resolve what they hold open and the
// switch deliver what it owes. What is then still open shows in the summary.
func (w *world) settle() error {
	// Who stops the demo in the middle of the act leaves no bank deaf.
	if err := w.banks[1].Behave(usually[1]); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	for _, settle := range []func(context.Context) error{w.fleet.Settle, w.park.Settle} {
		if err := settle(ctx); err != nil {
			w.say("%v", err)
		}
	}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	since := time.Now().UnixNano()
	for {
		select {
		case err := <-w.fatal:
			return err
		case <-ctx.Done():
			return nil
		case <-look.C:
			// A picture made after the last sale, with nothing in flight or owed.
			if p := w.node.Snapshot(); p != nil && p.At > since && p.InFlight == 0 && p.Owed == 0 {
				return nil
			}
		}
	}
}
