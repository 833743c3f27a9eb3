package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tongka/bench/internal/crowd"
	"tongka/bench/internal/load"
)

// The front's honest terminals: at a rate that leaves the machine time, because
// what is measured is whether others hold them up and not what is left for them.
const (
	frontTerminals = 500
	frontRate      = 1000
	shortTerminals = 500 // that take turns at dialling
)

// Front is what honest terminals notice of others. A p99 here is the median of the
// p99s of half seconds: on a machine that others use, the p99 of a whole window is
// the length of its longest stall, whoever else was there. The ratios are medians of
// the rounds' own ratios to the same terminals' p99 alone.
type Front struct {
	Rate     int     `json:"honest_tps"`
	Slow     int     `json:"slow_senders"`
	Connects int     `json:"connects_per_second"`
	Alone    Figures `json:"alone"`
	WithSlow Figures `json:"with_slow"`
	WithBoth Figures `json:"with_slow_and_connects"`
	Short    Figures `json:"short_lived"` // the short-lived terminals' own figures, from connect to answer

	SlowRatio float64 `json:"p99_ratio_slow"`
	BothRatio float64 `json:"p99_ratio_slow_and_connects"`
	Bytes     int64   `json:"slow_bytes"` // sent by the slow senders, all rounds
	Cut       int64   `json:"slow_cut"`   // slow senders that the switch closed; each came again
}

// round is one time through: alone, with the slow senders, and with the
// short-lived terminals too.
type round struct {
	alone, slow, both, short load.Result
	crowd                    crowd.Result
}

// front measures the honest terminals in all three situations, again and again.
func (b *bench) front(ctx context.Context) (*Front, error) {
	var rounds []round
	for range b.o.Pairs {
		r, err := b.frontRound(ctx)
		if err != nil {
			return nil, fmt.Errorf("front: %w", err)
		}
		rounds = append(rounds, r)
	}
	f := &Front{Rate: frontRate, Slow: b.o.Slow, Connects: b.o.Connects}
	f.add(rounds)
	return f, nil
}

func (b *bench) frontRound(ctx context.Context) (r round, err error) {
	if r.alone, err = b.honest(ctx); err != nil {
		return r, err
	}
	c, err := b.role(ctx, roleCrowd, crowd.Spec{Address: b.sw.spec.Address, Connections: b.o.Slow, Every: time.Second, Gather: b.o.gather()})
	if err != nil {
		return r, err
	}
	var here held
	if err := c.hear(&here); err != nil {
		return r, errors.Join(err, context.Cause(ctx))
	}
	if r.slow, err = b.honest(ctx); err == nil {
		r.both, r.short, err = b.honestBesideShort(ctx)
	}
	_ = c.in.Close()
	if err == nil {
		err = c.hear(&r.crowd)
	}
	return r, errors.Join(err, c.stop())
}

// honest is one measurement of the honest terminals.
func (b *bench) honest(ctx context.Context) (load.Result, error) {
	s := b.sw.spec
	s.Connections, s.Terminals, s.Depth, s.Rate = frontTerminals, frontTerminals, 1, frontRate
	s.WarmUp, s.Window = b.o.warmUp(), b.o.window()
	return b.load(ctx, &b.sw, s)
}

// honestBesideShort measures while short-lived terminals come and go, from before
// until after.
func (b *bench) honestBesideShort(ctx context.Context) (honest, short load.Result, err error) {
	s := b.sw.spec
	s.Connections, s.Terminals, s.Depth, s.Rate = shortTerminals, shortTerminals, 1, b.o.Connects
	s.Reconnect = true
	s.Window = b.o.warmUp() + b.o.window() + time.Second
	c, err := b.startLoad(ctx, &b.sw, s)
	if err != nil {
		return honest, short, err
	}
	if honest, err = b.honest(ctx); err != nil {
		return honest, short, errors.Join(err, c.stop())
	}
	short, err = loaded(ctx, c)
	return honest, short, err
}

// add books all rounds.
func (f *Front) add(rounds []round) {
	pick := func(what func(*round) *load.Result) Figures {
		list := make([]load.Result, len(rounds))
		for i := range rounds {
			list[i] = *what(&rounds[i])
		}
		m := medians(list)
		m.CPU = 0 // the switch's for everybody: per honest sale it says nothing
		m.P99 = sliced(list)
		return m
	}
	ratio := func(what func(*round) *load.Result) float64 {
		all := make([]float64, len(rounds))
		for i := range rounds {
			all[i] = median(what(&rounds[i]).SliceP99) / median(rounds[i].alone.SliceP99)
		}
		return median(all)
	}
	slow := func(r *round) *load.Result { return &r.slow }
	both := func(r *round) *load.Result { return &r.both }
	f.Alone = pick(func(r *round) *load.Result { return &r.alone })
	f.WithSlow, f.WithBoth = pick(slow), pick(both)
	f.Short = pick(func(r *round) *load.Result { return &r.short })
	f.SlowRatio, f.BothRatio = ratio(slow), ratio(both)
	for i := range rounds {
		f.Bytes += rounds[i].crowd.Bytes
		f.Cut += rounds[i].crowd.Cut
	}
}

// sliced is the middle of all slices' p99, in microseconds.
func sliced(list []load.Result) float64 {
	var all []float64
	for i := range list {
		all = append(all, list[i].SliceP99...)
	}
	return median(all)
}

func (f *Front) print(w io.Writer) {
	fmt.Fprintf(w, "接入 front: 500 个诚实终端 honest terminals, %d 笔/秒 sales a second\n", f.Rate)
	line := func(zh, en string, m *Figures, ratio float64) {
		fmt.Fprintf(w, "  %s %s: %.0f TPS, p50 %.0f µs, p99 %.0f µs", zh, en, m.TPS, m.P50, m.P99)
		if ratio > 0 {
			fmt.Fprintf(w, ", p99 比 ratio %.2f", ratio)
		}
		fmt.Fprintln(w)
	}
	line("独自", "alone", &f.Alone, 0)
	line(fmt.Sprintf("%d 个慢发送者旁", f.Slow), "beside slow senders, a byte a second each", &f.WithSlow, f.SlowRatio)
	line(fmt.Sprintf("另加每秒 %d 个短连接", f.Connects), "and short-lived connects", &f.WithBoth, f.BothRatio)
	line("短连接自身", "the short-lived ones themselves", &f.Short, 0)
	fmt.Fprintf(w, "  慢发送者 slow senders: %d 字节 bytes, %d 次被断开重连 cut by the half-frame deadline and back\n", f.Bytes, f.Cut)
}
