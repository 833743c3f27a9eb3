package console

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tongka/engine"
)

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, s *Server) map[string]*dto.MetricFamily {
	t.Helper()
	w := get(s, "/metrics")
	p := expfmt.NewTextParser(model.UTF8Validation)
	m, err := p.TextToMetricFamilies(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d: %v", w.Code, err)
	}
	return m
}

func TestMetrics(t *testing.T) {
	const want = `
# HELP tongka_hsm_in_flight Commands to the security module without an answer yet, late ones included.
# TYPE tongka_hsm_in_flight gauge
tongka_hsm_in_flight{module="hsm-1"} 5
tongka_hsm_in_flight{module="hsm-2"} 0
# HELP tongka_hsm_missed_total Commands that the security module did not answer in time.
# TYPE tongka_hsm_missed_total counter
tongka_hsm_missed_total{module="hsm-1"} 9
tongka_hsm_missed_total{module="hsm-2"} 0
# HELP tongka_hsm_up 1 when the security module is connected; none is shown when one answers in the process.
# TYPE tongka_hsm_up gauge
tongka_hsm_up{module="hsm-1"} 1
tongka_hsm_up{module="hsm-2"} 0
# HELP tongka_in_flight Transactions in flight.
# TYPE tongka_in_flight gauge
tongka_in_flight 17
# HELP tongka_link_sent_total Requests sent on the link.
# TYPE tongka_link_sent_total counter
tongka_link_sent_total{link="citycard"} 0
tongka_link_sent_total{link="unionpay"} 112
# HELP tongka_link_up 1 when the link is signed on.
# TYPE tongka_link_up gauge
tongka_link_up{link="citycard"} 0
tongka_link_up{link="unionpay"} 1
# HELP tongka_owed_reversals Reversals that a bank has not confirmed yet.
# TYPE tongka_owed_reversals gauge
tongka_owed_reversals 3
# HELP tongka_ready 1 when recovery is done and the doors are open.
# TYPE tongka_ready gauge
tongka_ready 1
# HELP tongka_bad_mac_total Requests with a wrong MAC.
# TYPE tongka_bad_mac_total counter
tongka_bad_mac_total 7
`
	c := collector{sourceOf(snapshotAt(0))}
	err := testutil.CollectAndCompare(c, strings.NewReader(want),
		"tongka_hsm_in_flight", "tongka_hsm_missed_total", "tongka_hsm_up", "tongka_in_flight", "tongka_link_sent_total", "tongka_link_up", "tongka_owed_reversals", "tongka_ready", "tongka_bad_mac_total")
	if err != nil {
		t.Error(err)
	}
	problems, err := testutil.CollectAndLint(c)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

func TestMetricsPage(t *testing.T) {
	s, _ := newServer(snapshotAt(0))
	m := scrape(t, s)
	for _, k := range counters {
		if f := m["tongka_"+k.key+"_total"]; f == nil || f.GetType() != dto.MetricType_COUNTER {
			t.Errorf("no counter %s", k.key)
		}
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "tongka_build_info", "tongka_start_time_seconds"} {
		if m[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	for name, f := range m {
		for _, metric := range f.GetMetric() {
			for _, l := range metric.GetLabel() {
				if strings.HasPrefix(name, "tongka_") && l.GetName() != "link" && l.GetName() != "line" && l.GetName() != "module" && name != "tongka_build_info" {
					t.Errorf("%s has a label %s", name, l.GetName())
				}
			}
		}
	}
	h := m["tongka_transaction_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 100 || h.GetSampleSum() != 0.53 {
		t.Errorf("count %d, sum %v; want 100, 0.53", h.GetSampleCount(), h.GetSampleSum())
	}
	h = m["tongka_journal_commit_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 20 || h.GetSampleSum() != 0.01 {
		t.Errorf("commits: count %d, sum %v; want 20, 0.01", h.GetSampleCount(), h.GetSampleSum())
	}
}

func TestMetricsBeforeTheFirstSnapshot(t *testing.T) {
	m := scrape(t, New(sourceOf(nil), Options{}))
	if f := m["tongka_ready"]; f == nil || f.GetMetric()[0].GetGauge().GetValue() != 0 {
		t.Error("want tongka_ready 0")
	}
	if m["tongka_in_flight"] != nil {
		t.Error("a figure from nowhere")
	}
}

// Two consoles must not meet in a global registry.
func TestRegistriesAreSeparate(t *testing.T) {
	New(sourceOf(nil), Options{})
	New(sourceOf(nil), Options{})
	m, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m {
		if strings.HasPrefix(f.GetName(), "tongka_") {
			t.Errorf("%s is in the global registry", f.GetName())
		}
	}
}

// The folded histogram says the same as the fine one at each of its bounds.
func TestHistogramFolds(t *testing.T) {
	var l engine.Latency
	durations := []uint64{0, 7, 63, 64, 65, 127, 128, 5000, 1 << 20, 1<<26 - 1, 1 << 26, 1 << 40}
	for _, us := range durations {
		i := 0
		for i < engine.LatencyBuckets-1 && engine.LatencyBound(i) <= us {
			i++
		}
		l.Count, l.Sum, l.Buckets[i] = l.Count+1, l.Sum+us, l.Buckets[i]+1
	}
	count, sum, buckets := histogram(&l)
	if count != uint64(len(durations)) || sum != float64(l.Sum)/1e6 || len(buckets) != 21 {
		t.Errorf("count %d, sum %v, %d buckets", count, sum, len(buckets))
	}
	for bound, got := range buckets {
		want := uint64(0)
		for _, us := range durations {
			if float64(us)/1e6 < bound {
				want++
			}
		}
		if got != want {
			t.Errorf("below %v s: %d, want %d", bound, got, want)
		}
	}
}
