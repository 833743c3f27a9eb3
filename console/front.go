package console

import (
	"github.com/prometheus/client_golang/prometheus"

	"tongka/conn"
)

// Doors is what a person wants to know first of the connections: how many there
// are, and whether somebody is kept out. Which of them is in the metrics.
type Doors struct {
	Open     uint64 `json:"open"`     // now, links included
	Accepted uint64 `json:"accepted"` // since the start, like the others
	Refused  uint64 `json:"refused"`  // for whatever reason
	Faulty   uint64 `json:"faulty"`   // closed for what they sent, or did not send in time
	BadTLS   uint64 `json:"bad_tls"`  // handshakes that failed
	ShutOuts uint64 `json:"shut_outs"`
}

func doors(s *conn.Stats) Doors {
	return Doors{Open: s.Open, Accepted: s.Accepted, ShutOuts: s.ShutOuts, BadTLS: s.HandshakesBad + s.HandshakesLate,
		Refused: s.Refused + s.Denied + s.TooMany + s.TooFast + s.ShutOut + s.HandshakesRefused + s.LinesRefused,
		Faulty: s.ClosedOversize + s.ClosedEmpty + s.ClosedMalformed + s.ClosedHalfFrame + s.ClosedTLS + s.ClosedOutboundCap +
			s.ClosedRejected}
}

// What the doors count. The reasons are labels, so that a sum over them is one
// expression; there are few, and none comes from outside.
var (
	descConns    = describe("connections", "Connections open now, links included.")
	descAccepted = describe("connections_accepted_total", "Connections that listeners took in.")
	descRefused  = describe("connections_refused_total", "Connections closed at once, by reason.", "reason")
	descClosed   = describe("connections_closed_total", "Connections that have ended, by reason.", "reason")
	descShutOuts = describe("shut_outs_total", "Times that an address was shut out for sending rubbish.")
	descFailed   = describe("accept_errors_total", "Accepts that failed, mostly for want of file descriptors.")
	descTLS      = describe("tls_handshakes_total", "TLS handshakes of those who came in, by result.", "result")
	descDials    = describe("dials_total", "Tries to dial a bank or a security module, by result.", "result")
	descEnrol    = describe("enrol_errors_total", "Connections that came up and that no event loop could take.")
	descSends    = describe("sends_total", "Writes to sockets; each can hold many frames.")
	descAlive    = describe("keep_alives_total", "Keep-alives of framings that have some, by direction.", "direction")
	descFrames   = describe("frames_in_total", "Frames received.")
	descBytes    = describe("bytes_total", "Bytes on the wire, by direction.", "direction")
)

var frontDescs = []*prometheus.Desc{descConns, descAccepted, descRefused, descClosed, descShutOuts, descFailed, descTLS, descDials,
	descEnrol, descSends, descAlive, descFrames, descBytes}

// frontCount is one counter of the doors; label is empty for those without one.
type frontCount struct {
	desc  *prometheus.Desc
	label string
	get   func(*conn.Stats) uint64
}

var frontCounts = []frontCount{
	{descAccepted, "", func(s *conn.Stats) uint64 { return s.Accepted }},
	{descRefused, "full", func(s *conn.Stats) uint64 { return s.Refused }},
	{descRefused, "denied", func(s *conn.Stats) uint64 { return s.Denied }},
	{descRefused, "address_connections", func(s *conn.Stats) uint64 { return s.TooMany }},
	{descRefused, "address_rate", func(s *conn.Stats) uint64 { return s.TooFast }},
	{descRefused, "shut_out", func(s *conn.Stats) uint64 { return s.ShutOut }},
	{descRefused, "handshakes", func(s *conn.Stats) uint64 { return s.HandshakesRefused }},
	{descRefused, "line_in_use", func(s *conn.Stats) uint64 { return s.LinesRefused }},
	{descClosed, "peer", func(s *conn.Stats) uint64 { return s.ClosedByPeer }},
	{descClosed, "us", func(s *conn.Stats) uint64 { return s.ClosedByUs }},
	{descClosed, "drained", func(s *conn.Stats) uint64 { return s.ClosedDrained }},
	{descClosed, "reset", func(s *conn.Stats) uint64 { return s.ClosedReset }},
	{descClosed, "oversize", func(s *conn.Stats) uint64 { return s.ClosedOversize }},
	{descClosed, "empty", func(s *conn.Stats) uint64 { return s.ClosedEmpty }},
	{descClosed, "malformed", func(s *conn.Stats) uint64 { return s.ClosedMalformed }},
	{descClosed, "half_frame", func(s *conn.Stats) uint64 { return s.ClosedHalfFrame }},
	{descClosed, "idle", func(s *conn.Stats) uint64 { return s.ClosedIdle }},
	{descClosed, "tls", func(s *conn.Stats) uint64 { return s.ClosedTLS }},
	{descClosed, "outbound", func(s *conn.Stats) uint64 { return s.ClosedOutboundCap }},
	{descClosed, "replaced", func(s *conn.Stats) uint64 { return s.ClosedReplaced }},
	{descClosed, "rejected", func(s *conn.Stats) uint64 { return s.ClosedRejected }},
	{descShutOuts, "", func(s *conn.Stats) uint64 { return s.ShutOuts }},
	{descFailed, "", func(s *conn.Stats) uint64 { return s.AcceptErrs }},
	{descTLS, "ok", func(s *conn.Stats) uint64 { return s.Handshakes }},
	{descTLS, "bad", func(s *conn.Stats) uint64 { return s.HandshakesBad }},
	{descTLS, "late", func(s *conn.Stats) uint64 { return s.HandshakesLate }},
	{descDials, "ok", func(s *conn.Stats) uint64 { return s.Dialled }},
	{descDials, "failed", func(s *conn.Stats) uint64 { return s.DialErrs }},
	{descEnrol, "", func(s *conn.Stats) uint64 { return s.EnrollErrs }},
	{descSends, "", func(s *conn.Stats) uint64 { return s.Sends }},
	{descAlive, "in", func(s *conn.Stats) uint64 { return s.KeepAlives }},
	{descAlive, "out", func(s *conn.Stats) uint64 { return s.KeepAlivesSent }},
	{descFrames, "", func(s *conn.Stats) uint64 { return s.FramesIn }},
	{descBytes, "in", func(s *conn.Stats) uint64 { return s.BytesIn }},
	{descBytes, "out", func(s *conn.Stats) uint64 { return s.BytesOut }},
}

// frontCollector turns what the doors have counted into metrics at the moment of
// a scrape.
type frontCollector struct{ stats func() conn.Stats }

// Describe names all metrics beforehand.
func (c frontCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range frontDescs {
		ch <- d
	}
}

// Collect reads the counters once.
func (c frontCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	ch <- prometheus.MustNewConstMetric(descConns, prometheus.GaugeValue, float64(s.Open))
	for _, k := range frontCounts {
		var labels []string
		if k.label != "" {
			labels = []string{k.label}
		}
		ch <- prometheus.MustNewConstMetric(k.desc, prometheus.CounterValue, float64(k.get(&s)), labels...)
	}
}
