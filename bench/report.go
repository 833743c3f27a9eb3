package bench

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"tongka/bench/internal/load"
	"tongka/bench/internal/proc"
	"tongka/bench/report"
)

// Report is what a run found, as --json writes it.
type Report struct {
	Time    time.Time        `json:"time"`
	Seconds float64          `json:"seconds"`
	Pairs   int              `json:"pairs"`
	Rate    int              `json:"rate,omitempty"` // of an open loop, a second
	PIN     bool             `json:"pin"`
	Bank    string           `json:"bank"` // its profile, 0 answers at once
	HSM     string           `json:"hsm"`  // soft: in the switch's process
	Machine proc.Machine     `json:"machine"`
	Shapes  map[string]Shape `json:"shapes"`
	// Peers are by name and shape.
	Peers map[string]map[string]Peer `json:"peers,omitempty"`
	// Quantiles are those of percentiles_us, in percent.
	Quantiles []float64 `json:"quantiles"`
	Idle      *Idle     `json:"idle,omitempty"`
	// IdleEach is Idle.Each, where goals look for it.
	IdleEach float64   `json:"idle_bytes_per_terminal,omitempty"`
	Front    *Front    `json:"front,omitempty"`
	Storm    *Storm    `json:"storm,omitempty"`
	SAF      *SAF      `json:"saf,omitempty"`
	Clearing *Clearing `json:"clearing,omitempty"`
	// Sustained is a long run at a rate.
	Sustained *Sustained `json:"sustained,omitempty"`
	Codec     float64    `json:"codec_ns,omitempty"` // see package codecspeed
	order     []string
	took      histograms
}

// Figures are medians over the measurements of one system in one shape. CPU is
// the system's user and system time per transaction; softirq is not in it.
type Figures struct {
	CPU float64 `json:"cpu_us,omitempty"`
	// User and System are its parts, 0 where the window was too short to tell.
	User   float64 `json:"user_us,omitempty"`
	System float64 `json:"sys_us,omitempty"`
	// Machine is what all processors worked, load generator and bank included.
	Machine float64 `json:"machine_us,omitempty"`
	TPS     float64 `json:"tps,omitempty"`
	P50     float64 `json:"p50_us,omitempty"`
	P99     float64 `json:"p99_us,omitempty"`
	// Percentiles are microseconds at the report's quantiles.
	Percentiles []float64 `json:"percentiles_us,omitempty"`
}

// Sample is one measurement. A report keeps them all, since their spread says what
// a difference between two reports is worth.
type Sample struct {
	Figures
	OverTime []float64 `json:"tps_over_time"` // in each tenth of a second
	// Behind is what was due in an open loop and still waited at the end: the rate was not kept.
	Behind int64 `json:"behind,omitempty"`
}

// Names of the systems in a report, beside those of the peers.
const (
	rawName    = "raw"
	switchName = "switch"
)

// Peer is a peer in one shape. CPURatio is the median over the rounds of its CPU over
// the switch's.
type Peer struct {
	Figures
	CPURatio float64 `json:"cpu_ratio_switch"`
}

// Shape is the switch in one shape, and its ratios to raw: the median of the
// ratios of neighbouring measurements, which a machine that slows down for a
// while disturbs less than the ratio of medians. With --raw only Raw is filled.
type Shape struct {
	Figures
	CPURatio float64 `json:"cpu_ratio_raw,omitempty"`
	TPSRatio float64 `json:"tps_ratio_raw,omitempty"`
	P99Ratio float64 `json:"p99_ratio_raw,omitempty"`
	Counts
	Raw  Figures `json:"raw"`
	Disk *Disk   `json:"disk,omitempty"` // of the switch, in all rounds
	// Behind is the most that a round of the switch had unsent at its end, in an open loop.
	Behind int64 `json:"behind,omitempty"`
	// Refused is the share of the switch's answers that said no to sales on a line that is stuck.
	Refused float64 `json:"refused_share,omitempty"`
	Open    *Open   `json:"open,omitempty"`
	// Rounds are the measurements that belong together, by the system's name.
	Rounds []map[string]Sample `json:"rounds"`
}

// Open is the switch at a rate, medians of rounds of their own.
type Open struct {
	Figures
	Rate   int   `json:"rate"`
	Behind int64 `json:"behind,omitempty"` // the most that a round had unsent at its end
}

// addOpen books the open loop of a shape that is booked already.
func (r *Report) addOpen(name string, rate int, rounds []load.Result) error {
	s := r.Shapes[name]
	s.Open = &Open{Figures: medians(rounds), Rate: rate}
	for i := range rounds {
		s.Open.Behind = max(s.Open.Behind, rounds[i].Behind)
	}
	r.Shapes[name] = s
	return r.took.add(name+".open", rounds)
}

func newReport(o *Options, m proc.Machine) *Report {
	return &Report{Time: time.Now(), Seconds: o.Seconds, Pairs: o.Pairs, Rate: o.Rate, PIN: o.PIN, Bank: o.bankForm(), HSM: cmp.Or(o.HSM, "soft"), Machine: m, Shapes: map[string]Shape{}, Quantiles: load.Quantiles, took: histograms{}}
}

// add books the measurements of one shape: of raw and switch as many as there were
// rounds, of peers as many or fewer, what the switch's disk did meanwhile and what the switch took, both nil when
// nobody knows.
func (r *Report) add(name string, measured map[string][]load.Result, disk *Disk, counts *Counts) error {
	raw, sw := measured[rawName], measured[switchName]
	s := Shape{Raw: medians(raw), Disk: disk}
	if counts != nil {
		s.Counts = *counts
	}
	for i := range raw {
		round := map[string]Sample{}
		for system, list := range measured {
			if i >= len(list) {
				continue
			}
			round[system] = Sample{figures(&list[i]), list[i].OverTime, list[i].Behind}
		}
		s.Rounds = append(s.Rounds, round)
	}
	if len(sw) > 0 {
		s.Figures = medians(sw)
		s.CPURatio = ratios(sw, raw, func(f *Figures) float64 { return f.CPU })
		s.TPSRatio = ratios(sw, raw, func(f *Figures) float64 { return f.TPS })
		s.P99Ratio = ratios(sw, raw, func(f *Figures) float64 { return f.P99 })
	}
	for i := range sw {
		s.Behind = max(s.Behind, sw[i].Behind)
		s.Refused += float64(sw[i].Refused) / float64(sw[i].Answers) / float64(len(sw))
	}
	for system, list := range measured {
		if err := r.took.add(name+"."+system, list); err != nil {
			return err
		}
		if system == rawName || system == switchName {
			continue
		}
		if r.Peers == nil {
			r.Peers = map[string]map[string]Peer{}
		}
		if r.Peers[system] == nil {
			r.Peers[system] = map[string]Peer{}
		}
		r.Peers[system][name] = Peer{medians(list), ratios(list, sw, func(f *Figures) float64 { return f.CPU })}
	}
	r.Shapes[name] = s
	r.order = append(r.order, name)
	return nil
}

// ratios is the median of a figure's ratios in the rounds.
func ratios(over, under []load.Result, f func(*Figures) float64) float64 {
	all := make([]float64, min(len(over), len(under)))
	for i := range all {
		a, b := figures(&over[i]), figures(&under[i])
		all[i] = f(&a) / f(&b)
	}
	return median(all)
}

// figures turns a measurement into what is reported, per transaction.
func figures(r *load.Result) Figures {
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(r.Answers) }
	return Figures{
		CPU: micros(r.CPU), User: micros(r.User), System: micros(r.System), Machine: micros(r.Machine),
		TPS: float64(r.Answers) / r.Seconds,
		P50: r.P50, P99: r.P99, Percentiles: r.Percentiles,
	}
}

// medians takes each figure's median for itself.
func medians(list []load.Result) Figures {
	pick := func(f func(*Figures) float64) float64 {
		all := make([]float64, len(list))
		for i := range list {
			x := figures(&list[i])
			all[i] = f(&x)
		}
		return median(all)
	}
	f := Figures{
		CPU:     pick(func(f *Figures) float64 { return f.CPU }),
		User:    pick(func(f *Figures) float64 { return f.User }),
		System:  pick(func(f *Figures) float64 { return f.System }),
		Machine: pick(func(f *Figures) float64 { return f.Machine }),
		TPS:     pick(func(f *Figures) float64 { return f.TPS }),
		P50:     pick(func(f *Figures) float64 { return f.P50 }),
		P99:     pick(func(f *Figures) float64 { return f.P99 }),
	}
	for i := range list[0].Percentiles {
		f.Percentiles = append(f.Percentiles, pick(func(f *Figures) float64 { return f.Percentiles[i] }))
	}
	return f
}

// median is the middle, or the mean of the two in the middle.
func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	n := len(x)
	return (x[(n-1)/2] + x[n/2]) / 2
}

// check compares the report with the limits of the command line and names every
// one that is missed.
func (r *Report) check(o *Options) error {
	var missed []error
	each := func(flag string, limits map[string]float64, value func(*Shape) float64, bad func(v, limit float64) bool) {
		names := make([]string, 0, len(limits))
		for name := range limits {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			s := r.Shapes[name]
			if v := value(&s); bad(v, limits[name]) {
				missed = append(missed, fmt.Errorf("未达标 missed: --%s %s=%g：%.3g", flag, name, limits[name], v))
			}
		}
	}
	below := func(v, limit float64) bool { return v < limit }
	above := func(v, limit float64) bool { return v > limit }
	each("min-tps-ratio", o.MinTPSRatio, func(s *Shape) float64 { return s.TPSRatio }, below)
	each("max-cpu-ratio", o.MaxCPURatio, func(s *Shape) float64 { return s.CPURatio }, above)
	each("max-p99-ratio", o.MaxP99Ratio, func(s *Shape) float64 { return s.P99Ratio }, above)
	if o.MaxIdle > 0 && r.Idle != nil && r.Idle.Each > o.MaxIdle {
		missed = append(missed, fmt.Errorf("未达标 missed: --max-idle %g：%.0f", o.MaxIdle, r.Idle.Each))
	}
	if f := r.Front; f != nil && o.MaxFront > 0 && max(f.WithSlow.P99Ratio, f.WithBoth.P99Ratio) > o.MaxFront {
		missed = append(missed, fmt.Errorf("未达标 missed: --max-front-ratio %g：%.2f, %.2f", o.MaxFront, f.WithSlow.P99Ratio, f.WithBoth.P99Ratio))
	}
	if st := r.Storm; st != nil && st.Ratio < o.MinStorm {
		missed = append(missed, fmt.Errorf("未达标 missed: --min-storm-ratio %g：%.3f", o.MinStorm, st.Ratio))
	}
	if s := r.Sustained; s != nil {
		missed = append(missed, s.judge(o.MaxP99)...)
	}
	if s := r.SAF; s != nil {
		missed = append(missed, s.check(o)...)
	}
	if c := r.Clearing; c != nil && c.Ratio < o.MinClearing {
		missed = append(missed, fmt.Errorf("未达标 missed: --min-clearing-ratio %g：%.3f", o.MinClearing, c.Ratio))
	}
	return errors.Join(missed...)
}

// publish writes the files that are wanted and judges the run by its goals. Both go by
// what the file says, so that whoever reads it later finds the same.
func (r *Report) publish(o *Options, goals report.Goals, w io.Writer) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if o.JSON != "" {
		if err := save(o.JSON, b); err != nil {
			return err
		}
	}
	if o.HGRM != "" {
		if err := r.took.save(o.HGRM); err != nil {
			return err
		}
	}
	if o.HTML == "" && len(goals) == 0 {
		return nil
	}
	f, err := report.Parse(b)
	if err != nil {
		return err
	}
	if o.HTML != "" {
		if err := report.Save(f, o.HTML); err != nil {
			return err
		}
	}
	return goals.Hold(w, f)
}

// save writes the report as JSON; folders on the way are made.
func save(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
