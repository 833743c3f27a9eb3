package console

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"tongka/conn"
	"tongka/engine"
	"tongka/fault"
)

const maxScrapes = 4 // at the same time

// Exponents of the first and last histogram bound: powers of two from 64 µs to
// 67 s. The engine's buckets end exactly there, so nothing is interpolated.
const (
	firstBound = 6
	lastBound  = 26
)

// describe keeps the prefix in one place; units are in the names, as
// Prometheus wants it (seconds, _total).
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("tongka_"+name, help, labels, nil)
}

var (
	descReady    = describe("ready", "1 when recovery is done and the doors are open.")
	descStarted  = describe("start_time_seconds", "Unix time at which the switch started.")
	descAt       = describe("snapshot_time_seconds", "Unix time of the snapshot shown; it stands still when the shard does.")
	descSlots    = describe("slots", "Transactions that fit in flight.")
	descInFlight = describe("in_flight", "Transactions in flight.")
	descOwed     = describe("owed_reversals", "Reversals that a bank has not confirmed yet.")
	descParked   = describe("parked_reversals", "Owed reversals that used up their attempts and wait for an operator.")
	descCards    = describe("parked_cards", "E-purse cards that wait for a person's decision.")
	descDuration = describe("transaction_duration_seconds", "Terminal request to terminal answer, of transactions that went to a bank.")
	descDisk     = describe("journal_commit_seconds", "How long a commit of the journal took to be durable; all that a turn has to say waits for it.")

	descLinkUp       = describe("link_up", "1 when the link is signed on.", "link")
	descLinkSince    = describe("link_state_since_seconds", "Unix time of the link's last change of state.", "link")
	descLinkInFlight = describe("link_in_flight", "Requests on the link without an answer yet.", "link")
	descLinkOwed     = describe("link_owed_reversals", "Reversals owed to the link.", "link")
	descLinkSent     = describe("link_sent_total", "Requests sent on the link.", "link")
	descLinkAnswered = describe("link_answered_total", "Answers that came in time.", "link")
	descLinkOver     = describe("link_over_total", "Requests refused because all links of their route were full, this one wanted.", "link")
	descLinkTimedOut = describe("link_timed_out_total", "Requests whose deadline passed.", "link")

	descHSMUp       = describe("hsm_up", "1 when the security module is connected; none is shown when one answers in the process.", "module")
	descHSMInFlight = describe("hsm_in_flight", "Commands to the security module without an answer yet, late ones included.", "module")
	descHSMMissed   = describe("hsm_missed_total", "Commands that the security module did not answer in time.", "module")

	descCounters = func() []*prometheus.Desc {
		d := make([]*prometheus.Desc, len(counters))
		for i, c := range counters {
			d[i] = describe(c.key+"_total", c.help)
		}
		return d
	}()
)

// collector turns the newest snapshot into metrics at the moment of a scrape.
// The only labels are a link's and a module's name and a line's number: terminals and cards are too many, and
// none of a metric store's business.
type collector struct{ src Source }

// Describe names all metrics beforehand, so that a clash of names is found at
// the start and not by the first scrape.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descReady, descStarted, descAt, descSlots, descInFlight, descOwed, descParked, descCards, descDuration, descDisk,
		descLinkUp, descLinkSince, descLinkInFlight, descLinkOwed, descLinkSent, descLinkAnswered, descLinkTimedOut, descLinkOver,
		descHSMUp, descHSMInFlight, descHSMMissed,
	} {
		ch <- d
	}
	for _, d := range append(lineDescs, descCounters...) {
		ch <- d
	}
}

// Collect reads one snapshot for all metrics: figures of one scrape belong to
// the same moment. Before the first snapshot only "not ready" is known.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.src.Snapshot()
	if s == nil {
		gauge(descReady, 0)
		return
	}
	gauge(descReady, flag(s.Ready))
	gauge(descStarted, seconds(s.Started))
	gauge(descAt, seconds(s.At))
	gauge(descSlots, float64(s.Slots))
	gauge(descInFlight, float64(s.InFlight))
	gauge(descOwed, float64(s.Owed))
	gauge(descParked, float64(s.Parked))
	gauge(descCards, float64(s.Cards))
	for i, k := range counters {
		ch <- prometheus.MustNewConstMetric(descCounters[i], prometheus.CounterValue, float64(k.get(&s.Counters)))
	}
	count, sum, buckets := histogram(&s.Latency)
	ch <- prometheus.MustNewConstHistogram(descDuration, count, sum, buckets)
	count, sum, buckets = histogram(&s.Disk)
	ch <- prometheus.MustNewConstHistogram(descDisk, count, sum, buckets)
	for i := range s.Links {
		collectLink(ch, &s.Links[i])
		collectLines(ch, &s.Links[i])
	}
	for i := range s.HSMs {
		m := &s.HSMs[i]
		gauge(descHSMUp, flag(m.Connected), m.Name)
		gauge(descHSMInFlight, float64(m.InFlight), m.Name)
		ch <- prometheus.MustNewConstMetric(descHSMMissed, prometheus.CounterValue, float64(m.Missed), m.Name)
	}
}

func collectLink(ch chan<- prometheus.Metric, l *engine.LinkView) {
	metric := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(d, t, v, l.Name)
	}
	metric(descLinkUp, prometheus.GaugeValue, flag(l.State == "up"))
	metric(descLinkSince, prometheus.GaugeValue, seconds(l.Since))
	metric(descLinkInFlight, prometheus.GaugeValue, float64(l.InFlight))
	metric(descLinkOwed, prometheus.GaugeValue, float64(l.Owed))
	metric(descLinkSent, prometheus.CounterValue, float64(l.Sent))
	metric(descLinkAnswered, prometheus.CounterValue, float64(l.Answered))
	metric(descLinkTimedOut, prometheus.CounterValue, float64(l.TimedOut))
	metric(descLinkOver, prometheus.CounterValue, float64(l.Over))
}

// histogram folds the engine's fine buckets into few cumulative ones, in
// seconds.
func histogram(l *engine.Latency) (count uint64, sum float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, lastBound-firstBound+1)
	var seen uint64
	i := 0
	for e := firstBound; e <= lastBound; e++ {
		for i < engine.LatencyBuckets && engine.LatencyBound(i) <= 1<<e {
			seen += l.Buckets[i]
			i++
		}
		buckets[float64(uint64(1)<<e)/1e6] = seen
	}
	return l.Count, float64(l.Sum) / 1e6, buckets
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(ns int64) float64 { return float64(ns) / float64(time.Second) }

// metricsHandler has its own registry: a global one would also show what a
// library happens to put there.
func metricsHandler(src Source, front func() conn.Stats, faults *fault.Book, version string, log *zap.Logger) http.Handler {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tongka_build_info", Help: "Always 1; the labels say which build this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{src}, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if faults != nil {
		reg.MustRegister(faultCollector{faults})
	}
	if front != nil {
		reg.MustRegister(frontCollector{front})
	}
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            zap.NewStdLog(log),
		MaxRequestsInFlight: maxScrapes,
		Timeout:             answerTimeout / 2,
	})
}
