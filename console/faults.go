package console

import (
	"github.com/prometheus/client_golang/prometheus"

	"tongka/fault"
)

// FaultRow is a fault that has happened since the start.
type FaultRow struct {
	Code  string `json:"code"`
	Alarm bool   `json:"alarm"`
	Count uint64 `json:"count"`
	Last  string `json:"last"`
	Words Words  `json:"words"`
	Hint  Words  `json:"hint"`
}

// Faults gives what a book has counted, never null.
func Faults(b *fault.Book) []FaultRow {
	rows := []FaultRow{}
	for _, f := range b.Seen() {
		rows = append(rows, FaultRow{Code: f.Code.String(), Alarm: f.Alarm, Count: f.Count, Last: clockTime(f.Last),
			Words: Words{f.ZH, f.EN}, Hint: Words{f.HintZH, f.HintEN}})
	}
	return rows
}

var descFaults = describe("faults_total", "Internal faults by their code; switch explain says what they mean.", "code", "alarm")

// faultCollector shows every code, also those that have not happened: an alarm on
// the growth of a series wants the series to be there before.
type faultCollector struct{ book *fault.Book }

// Describe names the metric.
func (faultCollector) Describe(ch chan<- *prometheus.Desc) { ch <- descFaults }

// Collect reads the book.
func (c faultCollector) Collect(ch chan<- prometheus.Metric) {
	for _, f := range fault.All() {
		alarm := "no"
		if f.Alarm {
			alarm = "yes"
		}
		ch <- prometheus.MustNewConstMetric(descFaults, prometheus.CounterValue, float64(c.book.Of(f.Code)), f.Code.String(), alarm)
	}
}
