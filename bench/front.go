package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
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
// the rounds' own ratios to the same terminals alone, as they were before the others
// came and after they had gone: a crowd takes long to gather, and a machine that grows
// quicker or slower meanwhile is neither its merit nor its fault.
type Front struct {
	Rate     int     `json:"honest_tps"`
	Slow     int     `json:"slow_senders"`
	Connects int     `json:"connects_per_second"`
	Alone    Honest  `json:"alone"`
	WithSlow Honest  `json:"with_slow"`
	WithBoth Honest  `json:"with_slow_and_connects"`
	Short    Figures `json:"short_lived"` // the short-lived terminals' own figures, from connect to answer

	Bytes int64 `json:"slow_bytes"` // sent by the slow senders, all rounds
	Cut   int64 `json:"slow_cut"`   // slow senders that the switch closed; each came again
}

// Honest is what the honest terminals met in one situation, over all rounds. Each
// answer waits for the disk, which others share; so what it did is said beside the
// latency, and sales that a stall left no time for are counted and end nothing.
type Honest struct {
	Figures
	P90    float64 `json:"p90_us"`
	Unsent int64   `json:"unsent"` // sales that fell due when no terminal was free, and waited
	Late   int64   `json:"late"`   // sales that the bank did not answer in time: a stall of seconds
	Disk   Disk    `json:"disk"`

	// To those alone before and after in the same round (the root of their product);
	// 0 for those alone.
	P50Ratio float64 `json:"p50_ratio,omitempty"`
	P90Ratio float64 `json:"p90_ratio,omitempty"`
	P99Ratio float64 `json:"p99_ratio,omitempty"`
}

// round is one time through: alone, with the slow senders, with the short-lived
// terminals too, and alone again, which is also the next round's before.
type round struct {
	before, slow, both, after honest
	short                     load.Result
	crowd                     crowd.Result
}

// honest is one measurement of the honest terminals, and the switch's disk meanwhile.
type honest struct {
	load.Result
	disk Disk
}

// front measures the honest terminals in all three situations, again and again.
func (b *bench) front(ctx context.Context) (*Front, error) {
	alone, err := b.honest(ctx)
	if err != nil {
		return nil, fmt.Errorf("front: %w", err)
	}
	var rounds []round
	for range b.o.Pairs {
		r := round{before: alone}
		if err := b.frontRound(ctx, &r); err != nil {
			return nil, fmt.Errorf("front: %w", err)
		}
		rounds, alone = append(rounds, r), r.after
	}
	f := &Front{Rate: frontRate, Slow: b.o.Slow, Connects: b.o.Connects}
	f.add(rounds)
	return f, nil
}

func (b *bench) frontRound(ctx context.Context, r *round) error {
	c, err := b.role(ctx, roleCrowd, crowd.Spec{Address: b.sw.spec.Address, Connections: b.o.Slow, Every: time.Second, Gather: b.o.gather()})
	if err != nil {
		return err
	}
	var here held
	if err := c.hear(&here); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if r.slow, err = b.honest(ctx); err == nil {
		r.both, r.short, err = b.honestBesideShort(ctx)
	}
	_ = c.in.Close()
	if err == nil {
		err = c.hear(&r.crowd)
	}
	if err := errors.Join(err, c.stop()); err != nil {
		return err
	}
	r.after, err = b.honest(ctx)
	return err
}

// honest measures the honest terminals once.
func (b *bench) honest(ctx context.Context) (h honest, err error) {
	s := b.sw.spec
	s.Connections, s.Terminals, s.Depth, s.Rate = frontTerminals, frontTerminals, 1, frontRate
	s.WarmUp, s.Window, s.Shortfall, s.Timeouts = b.o.warmUp(), b.o.window(), true, true
	before, err := commitsOf(ctx, b.console)
	if err != nil {
		return h, err
	}
	if h.Result, err = b.load(ctx, &b.sw, s); err != nil {
		return h, err
	}
	after, err := commitsOf(ctx, b.console)
	h.disk.add(before, after, (s.WarmUp + s.Window).Seconds())
	return h, err
}

// honestBesideShort measures while short-lived terminals come and go, from before
// until after.
func (b *bench) honestBesideShort(ctx context.Context) (h honest, short load.Result, err error) {
	s := b.sw.spec
	s.Connections, s.Terminals, s.Depth, s.Rate = shortTerminals, shortTerminals, 1, b.o.Connects
	s.Reconnect, s.Shortfall, s.Timeouts = true, true, true
	s.Window = b.o.warmUp() + b.o.window() + time.Second
	c, err := b.startLoad(ctx, &b.sw, s)
	if err != nil {
		return h, short, err
	}
	if h, err = b.honest(ctx); err != nil {
		return h, short, errors.Join(err, c.stop())
	}
	short, err = loaded(ctx, c)
	return h, short, err
}

// add books all rounds.
func (f *Front) add(rounds []round) {
	alone := []honest{rounds[0].before}
	var slow, both []honest
	var short []load.Result
	for i := range rounds {
		r := &rounds[i]
		alone, slow, both, short = append(alone, r.after), append(slow, r.slow), append(both, r.both), append(short, r.short)
		f.Bytes += r.crowd.Bytes
		f.Cut += r.crowd.Cut
	}
	f.Alone, f.WithSlow, f.WithBoth = met(alone), met(slow), met(both)
	f.WithSlow.hold(slow, alone)
	f.WithBoth.hold(both, alone)
	f.Short = medians(short)
	f.Short.CPU, f.Short.P99 = 0, sliced(short)
}

// p90 finds it among a result's percentiles.
var p90 = slices.Index(load.Quantiles, 90)

// met books what the honest terminals met in one situation.
func met(list []honest) (h Honest) {
	results := make([]load.Result, len(list))
	for i := range list {
		results[i] = list[i].Result
		h.Unsent += list[i].Unsent
		h.Late += list[i].Refused
		h.Disk.join(&list[i].disk)
	}
	h.Figures = medians(results)
	h.P90 = h.Percentiles[p90]
	h.CPU = 0 // the switch's for everybody: per honest sale it says nothing
	h.P99 = sliced(results)
	return h
}

// hold takes the ratios: alone has one more, those at i and i+1 are before and after
// what the list has at i.
func (h *Honest) hold(list, alone []honest) {
	ratio := func(what func(*load.Result) float64) float64 {
		all := make([]float64, len(list))
		for i := range list {
			all[i] = what(&list[i].Result) / math.Sqrt(what(&alone[i].Result)*what(&alone[i+1].Result))
		}
		return median(all)
	}
	h.P50Ratio = ratio(func(r *load.Result) float64 { return r.P50 })
	h.P90Ratio = ratio(func(r *load.Result) float64 { return r.Percentiles[p90] })
	h.P99Ratio = ratio(func(r *load.Result) float64 { return median(r.SliceP99) })
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
	line := func(zh, en string, h *Honest) {
		fmt.Fprintf(w, "  %s %s: %.0f TPS, p50 %.0f µs, p90 %.0f µs, p99 %.0f µs", zh, en, h.TPS, h.P50, h.P90, h.P99)
		if h.P99Ratio > 0 {
			fmt.Fprintf(w, ", 比 ratios: p50 %.2f, p90 %.2f, p99 %.2f", h.P50Ratio, h.P90Ratio, h.P99Ratio)
		}
		if h.Unsent > 0 {
			fmt.Fprintf(w, ", 未及发出 not sent in time: %d", h.Unsent)
		}
		if h.Late > 0 {
			fmt.Fprintf(w, ", 超时 timed out (98, 91): %d", h.Late)
		}
		fmt.Fprintf(w, "\n    磁盘 disk: %v\n", &h.Disk)
	}
	line("独自", "alone", &f.Alone)
	line(fmt.Sprintf("%d 个慢发送者旁", f.Slow), "beside slow senders, a byte a second each", &f.WithSlow)
	line(fmt.Sprintf("另加每秒 %d 个短连接", f.Connects), "and short-lived connects", &f.WithBoth)
	fmt.Fprintf(w, "  短连接自身 the short-lived ones themselves: %.0f TPS, p50 %.0f µs, p99 %.0f µs\n", f.Short.TPS, f.Short.P50, f.Short.P99)
	fmt.Fprintf(w, "  慢发送者 slow senders: %d 字节 bytes, %d 次被断开重连 cut by the half-frame deadline and back\n", f.Bytes, f.Cut)
}
