package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Disk is what the switch's journal waited for. Every answer waits for a commit, so a
// disk that stalls takes from the switch and nothing from raw: a ratio is worth what
// the disk was worth in the same run.
type Disk struct {
	Commits uint64  `json:"commits"`
	Mean    float64 `json:"mean_us"` // of a commit
	Slow    uint64  `json:"slow"`    // took slowCommit and longer
	Share   float64 `json:"share"`   // of the time that was measured, 0..1
	Seconds float64 `json:"seconds"` // that time, warm-up included
}

// slowCommit is a bound of the switch's histogram, in seconds: more than ten times
// what a disk in order takes.
const slowCommit = 0.008192

const commitMetric = "tongka_journal_commit_seconds"

// commits are counters since the switch's start.
type commits struct {
	n, quick uint64
	seconds  float64
}

// metricsOf asks the switch's console for its figures.
func metricsOf(ctx context.Context, console netip.AddrPort) (map[string]*dto.MetricFamily, error) {
	raw, err := askConsole(ctx, console, "/metrics")
	if err != nil {
		return nil, err
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("bench: the switch's figures: %w", err)
	}
	return families, nil
}

// askConsole gives what the switch's console answers.
func askConsole(ctx context.Context, console netip.AddrPort, path string) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s%s", console, path), nil)
	if err != nil {
		return nil, err
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, fmt.Errorf("bench: the switch's %s: %w", path, err)
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Status, bytes.TrimSpace(raw[:min(len(raw), 200)]))
	}
	if err != nil {
		return nil, fmt.Errorf("bench: the switch's %s: %w", path, err)
	}
	return raw, nil
}

// commitsOf reads those of the journal.
func commitsOf(ctx context.Context, console netip.AddrPort) (c commits, err error) {
	families, err := metricsOf(ctx, console)
	if err != nil {
		return c, err
	}
	f := families[commitMetric]
	if f == nil || len(f.GetMetric()) != 1 {
		return c, fmt.Errorf("bench: the switch does not say %s", commitMetric)
	}
	h := f.GetMetric()[0].GetHistogram()
	c.n, c.seconds = h.GetSampleCount(), h.GetSampleSum()
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() <= slowCommit {
			c.quick = b.GetCumulativeCount()
		}
	}
	return c, nil
}

// add books what came between two looks, seconds apart.
func (d *Disk) add(before, after commits, seconds float64) {
	waited := d.Mean*float64(d.Commits)/1e6 + after.seconds - before.seconds
	d.Commits += after.n - before.n
	d.Slow += after.n - after.quick - (before.n - before.quick)
	d.Seconds += seconds
	if d.Commits > 0 {
		d.Mean = waited * 1e6 / float64(d.Commits)
	}
	if d.Seconds > 0 {
		d.Share = waited / d.Seconds
	}
}

// join adds another time's.
func (d *Disk) join(o *Disk) {
	waited := o.Mean * float64(o.Commits) / 1e6
	d.add(commits{}, commits{n: o.Commits, quick: o.Commits - o.Slow, seconds: waited}, o.Seconds)
}

func (d *Disk) String() string {
	return fmt.Sprintf("每次落盘 a commit %.0f µs，超过 8 ms 的 over 8 ms %d / %d，占时 of the time %.0f%%", d.Mean, d.Slow, d.Commits, 100*d.Share)
}
