package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
)

// sustainShape is what the switch does in a sustained run: a day's mix, which writes all
// that there is to write.
const sustainShape = "M"

// Limits of a sustained run. The first third fills memtables, caches and pools; from then on
// the middle of the last third is held against the middle of the second.
const (
	sustainSlices  = 180  // of a run, when it is long enough
	leastSlices    = 6    // two for each third
	mostMemory     = 1.05 // the last third over the second
	mostSlower     = 1.5  // its p99
	quietP99       = 2000 // microseconds: below, p99 may move as it likes
	mostBehindPart = 0.01 // of a second's sales
)

// Sustained is a long run at a rate.
type Sustained struct {
	Rate    int     `json:"rate"`
	Seconds float64 `json:"seconds"` // measured
	Figures
	Behind int64 `json:"behind"` // due and not sent at the end
	// Slice is the length in seconds of one of SliceP99; Memory was looked at as often.
	Slice    float64   `json:"slice_seconds"`
	SliceP99 []float64 `json:"slice_p99_us"`
	Memory   []float64 `json:"rss_bytes"`
	// MemoryGrowth and P99Growth are the last third's middle over the second third's.
	MemoryGrowth float64 `json:"rss_growth"`
	P99Growth    float64 `json:"p99_growth"`
	Disk         Disk    `json:"disk"`
}

// slice is how often a sustained run looks: often enough to judge a short one, too.
func (o *Options) slice() time.Duration {
	return max(o.Sustain/sustainSlices, 100*time.Millisecond)
}

// sustain loads the switch for a long time and looks at its memory meanwhile.
func (b *bench) sustain(ctx context.Context) (*Sustained, error) {
	s := b.spec(&b.sw, sustainShape)
	s.Rate, s.Shortfall, s.Window, s.Slice = b.o.Rate, true, b.o.Sustain, b.o.slice()
	before, err := commitsOf(ctx, b.console)
	if err != nil {
		return nil, err
	}
	c, err := b.startLoad(ctx, &b.sw, s)
	if err != nil {
		return nil, err
	}
	type outcome struct {
		r   load.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := loaded(ctx, c)
		done <- outcome{r, err}
	}()
	every := time.NewTicker(s.Slice)
	defer every.Stop()
	b.bar.begin(int(b.o.Sustain / s.Slice))
	defer b.bar.end()
	var memory []float64
	for {
		select {
		case o := <-done:
			if o.err != nil {
				return nil, fmt.Errorf("sustain: %w", o.err)
			}
			after, err := commitsOf(ctx, b.console)
			if err != nil {
				return nil, err
			}
			st := newSustained(b.o.Rate, s.Slice, &o.r, memory)
			st.Disk.add(before, after, o.r.Seconds)
			return st, nil
		case <-every.C:
			rss, err := proc.RSS(b.sw.pid)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("sustain: memory: %w", err), c.stop())
			}
			memory = append(memory, float64(rss))
			b.bar.step(fmt.Sprintf("%s %d/s %.0f MiB", sustainShape, b.o.Rate, float64(rss)/(1<<20)))
		}
	}
}

func newSustained(rate int, slice time.Duration, r *load.Result, memory []float64) *Sustained {
	s := &Sustained{Rate: rate, Seconds: r.Seconds, Figures: figures(r), Behind: r.Behind, Slice: slice.Seconds(), SliceP99: r.SliceP99, Memory: memory}
	s.MemoryGrowth, s.P99Growth = growth(memory), growth(r.SliceP99)
	return s
}

// growth is the middle of the last third over that of the second, 0 when there is too little.
func growth(x []float64) float64 {
	if len(x) < leastSlices {
		return 0
	}
	third := len(x) / 3
	middle := median(x[len(x)-2*third : len(x)-third])
	if middle == 0 {
		return 0
	}
	return median(x[len(x)-third:]) / middle
}

// judge names all that a sustained run must not do: fall behind, take more and more memory,
// become slower and slower, or answer too late as a whole. maxP99 is in microseconds, 0 for no
// bound.
func (s *Sustained) judge(maxP99 float64) (missed []error) {
	fault := func(bad bool, format string, args ...any) {
		if bad {
			missed = append(missed, fmt.Errorf("未达标 missed: --sustain："+format, args...))
		}
	}
	fault(s.MemoryGrowth == 0 || s.P99Growth == 0, "时间太短，无从判定 · too short to judge: %d, %d", len(s.Memory), len(s.SliceP99))
	fault(float64(s.Behind) > mostBehindPart*float64(s.Rate), "结束时 %d 笔应到未发 · %d were due and not sent at the end", s.Behind, s.Behind)
	fault(s.MemoryGrowth > mostMemory, "内存增长 memory grows: %.3f > %.2f", s.MemoryGrowth, mostMemory)
	slow := s.P99Growth > mostSlower && median(s.SliceP99[len(s.SliceP99)-len(s.SliceP99)/3:]) > quietP99
	fault(slow, "p99 变慢 p99 grows: %.2f > %.2f", s.P99Growth, mostSlower)
	fault(maxP99 > 0 && s.P99 > maxP99, "p99 %.0f µs > %.0f µs", s.P99, maxP99)
	return missed
}

func (s *Sustained) print(w io.Writer) {
	fmt.Fprintf(w, "持续 sustained: 每秒 %d 笔 a second, %.0f s: %.0f TPS, CPU %.2f µs, p50 %.0f µs, p99 %.0f µs\n", s.Rate, s.Seconds, s.TPS, s.CPU, s.P50, s.P99)
	if len(s.Memory) > 0 {
		fmt.Fprintf(w, "  内存 memory %.1f → %.1f MiB，后三分之一比中三分之一 last third over second: %.3f，p99 %.2f，应到未发 behind %d\n",
			s.Memory[0]/(1<<20), s.Memory[len(s.Memory)-1]/(1<<20), s.MemoryGrowth, s.P99Growth, s.Behind)
	}
	fmt.Fprintf(w, "  落盘 disk: %v\n", &s.Disk)
}
