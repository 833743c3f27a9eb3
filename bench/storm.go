package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tongka/bench/internal/load"
)

// The storm: sales at a rate that leaves the machine time, beside ten times as
// many enquiries, of which the switch is configured to let as many through as
// there are sales.
const (
	stormTerminals = 500
	stormAskers    = 1000
	stormFold      = 10
)

// Storm is what sales notice of enquiries.
type Storm struct {
	Rate     int     `json:"sales_per_second"`
	Asked    float64 `json:"enquiries_per_second"` // median, answered with a balance or refused
	Alone    Figures `json:"alone"`
	Beside   Figures `json:"beside_storm"`
	Ratio    float64 `json:"tps_ratio"` // median of the rounds' own ratios
	P99Ratio float64 `json:"p99_ratio"`
	Answered int64   `json:"enquiries_answered"` // all rounds
	Refused  int64   `json:"enquiries_refused"`
}

// gale is one round: sales alone, then beside the storm.
type gale struct{ alone, beside, storm load.Result }

// storm measures the same sales alone and beside the enquiries, again and again.
func (b *bench) storm(ctx context.Context) (*Storm, error) {
	var rounds []gale
	for range b.o.Pairs {
		var r gale
		var err error
		if r.alone, err = b.stormSales(ctx); err != nil {
			return nil, fmt.Errorf("storm: %w", err)
		}
		s := b.sw.spec
		s.Connections, s.Terminals, s.Depth, s.Rate = stormAskers, stormAskers, 1, stormFold*b.o.StormRate
		s.Enquiry, s.Shortfall, s.Window = true, true, b.o.warmUp()+b.o.window()+time.Second
		c, err := b.startLoad(ctx, &b.sw, s)
		if err != nil {
			return nil, fmt.Errorf("storm: %w", err)
		}
		if r.beside, err = b.stormSales(ctx); err != nil {
			return nil, fmt.Errorf("storm: %w", errors.Join(err, c.stop()))
		}
		if r.storm, err = loaded(ctx, c); err != nil {
			return nil, fmt.Errorf("storm: %w", err)
		}
		rounds = append(rounds, r)
	}
	st := &Storm{Rate: b.o.StormRate}
	st.add(rounds)
	return st, nil
}

func (b *bench) stormSales(ctx context.Context) (load.Result, error) {
	s := b.sw.spec
	s.Connections, s.Terminals, s.Depth, s.Rate = stormTerminals, stormTerminals, 1, b.o.StormRate
	s.WarmUp, s.Window, s.Shortfall = b.o.warmUp(), b.o.window(), true
	return b.load(ctx, &b.sw, s)
}

// add books all rounds.
func (st *Storm) add(rounds []gale) {
	var alone, beside []load.Result
	var tps, p99, asked []float64
	for i := range rounds {
		r := &rounds[i]
		alone, beside = append(alone, r.alone), append(beside, r.beside)
		tps = append(tps, float64(r.beside.Answers)/r.beside.Seconds/(float64(r.alone.Answers)/r.alone.Seconds))
		asked = append(asked, float64(r.storm.Answers)/r.storm.Seconds)
		p99 = append(p99, r.beside.P99/r.alone.P99)
		st.Answered += r.storm.Answers - r.storm.Refused
		st.Refused += r.storm.Refused
	}
	st.Alone, st.Beside = medians(alone), medians(beside)
	st.Beside.CPU = 0 // the switch's for everybody: per sale it says nothing
	st.Ratio, st.P99Ratio, st.Asked = median(tps), median(p99), median(asked)
}

func (st *Storm) print(w io.Writer) {
	fmt.Fprintf(w, "风暴 storm: 消费 sales %d/s, 查询 enquiries %.0f/s\n", st.Rate, st.Asked)
	fmt.Fprintf(w, "  独自 alone: %.0f TPS, p50 %.0f µs, p99 %.0f µs\n", st.Alone.TPS, st.Alone.P50, st.Alone.P99)
	fmt.Fprintf(w, "  风暴中 beside the storm: %.0f TPS, p50 %.0f µs, p99 %.0f µs, TPS 比 ratio %.3f, p99 比 ratio %.2f\n",
		st.Beside.TPS, st.Beside.P50, st.Beside.P99, st.Ratio, st.P99Ratio)
	fmt.Fprintf(w, "  查询 enquiries: %d 应答 answered, %d 限流 refused (96)\n", st.Answered, st.Refused)
}
