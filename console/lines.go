package console

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"tongka/engine"
)

// Line is one line of a bank.
type Line struct {
	Line       int    `json:"line"` // from 1
	State      string `json:"state"`
	StateWords Words  `json:"state_words"`
	Since      string `json:"since"`
	Trial      bool   `json:"trial"`   // was taken out, and has answered no request since
	Serving    bool   `json:"serving"` // requests may take it now
	Priority   int    `json:"priority"`
	Window     int    `json:"window"` // 0: no limit of its own
	InFlight   int    `json:"in_flight"`
	Sent       uint64 `json:"sent"`
	Answered   uint64 `json:"answered"`
	TimedOut   uint64 `json:"timed_out"`
}

// Change is one change of state of a bank line: what happened, and what helps.
type Change struct {
	At      string `json:"at"`
	Link    string `json:"link"`
	Line    int    `json:"line"`
	From    string `json:"from"`
	To      string `json:"to"`
	ToWords Words  `json:"to_words"`
	Cause   string `json:"cause"`
	Hint    Words  `json:"hint"`
	Level   string `json:"level"` // note; warn: a line left service; bad: it was the last of its bank
}

func lineRows(l *engine.LinkView) []Line {
	rows := []Line{} // never null in JSON
	for i := range l.Lines {
		n := &l.Lines[i]
		rows = append(rows, Line{Line: n.Number, State: n.State, StateWords: WordsOfLink(n.State), Since: clockTime(n.Since),
			Trial: n.Trial, Serving: n.Serving, Priority: n.Priority, Window: n.Window, InFlight: n.InFlight,
			Sent: n.Sent, Answered: n.Answered, TimedOut: n.TimedOut})
	}
	return rows
}

func changeRow(c *engine.LineChange) Change {
	level := "note"
	if c.From == "up" && c.Cause != "drain" {
		level = "warn"
		if !c.Serves {
			level = "bad"
		}
	}
	return Change{At: clockTime(c.At), Link: c.Link, Line: c.Line, From: c.From, To: c.To, ToWords: WordsOfLink(c.To),
		Cause: c.Cause, Hint: Words(engine.LineHint(c.Cause)), Level: level}
}

var (
	descLineUp       = describe("line_up", "1 when the line is signed on and takes requests.", "link", "line")
	descLineSince    = describe("line_state_since_seconds", "Unix time of the line's last change of state.", "link", "line")
	descLineInFlight = describe("line_in_flight", "Requests on the line without an answer yet.", "link", "line")
	descLineSent     = describe("line_sent_total", "Requests sent on the line.", "link", "line")
	descLineAnswered = describe("line_answered_total", "Requests of the line that were answered in time.", "link", "line")
	descLineTimedOut = describe("line_timed_out_total", "Requests of the line whose deadline passed.", "link", "line")

	lineDescs = []*prometheus.Desc{descLineUp, descLineSince, descLineInFlight, descLineSent, descLineAnswered, descLineTimedOut}
)

func collectLines(ch chan<- prometheus.Metric, l *engine.LinkView) {
	for i := range l.Lines {
		n := &l.Lines[i]
		metric := func(d *prometheus.Desc, t prometheus.ValueType, v float64) {
			ch <- prometheus.MustNewConstMetric(d, t, v, l.Name, strconv.Itoa(n.Number))
		}
		metric(descLineUp, prometheus.GaugeValue, flag(n.State == "up"))
		metric(descLineSince, prometheus.GaugeValue, seconds(n.Since))
		metric(descLineInFlight, prometheus.GaugeValue, float64(n.InFlight))
		metric(descLineSent, prometheus.CounterValue, float64(n.Sent))
		metric(descLineAnswered, prometheus.CounterValue, float64(n.Answered))
		metric(descLineTimedOut, prometheus.CounterValue, float64(n.TimedOut))
	}
}
