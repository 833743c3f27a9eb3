package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tongka/engine"
	"tongka/txn"
)

const (
	staleAfter = 5 * time.Second // several missed snapshots, not one late one
	maxRows    = 50              // last transactions shown; they travel every second
)

// Status is the newest snapshot for people and scripts: what /api/snapshot and
// every event carry. Times are RFC 3339 in the switch's own time zone, so that
// a screen elsewhere shows the same clock as the receipts; durations and
// amounts say their unit in the name. Nothing in it identifies a card.
type Status struct {
	Version    string            `json:"version"`
	State      State             `json:"state"`
	StateWords Words             `json:"state_words"`
	At         string            `json:"at"` // empty before the first snapshot
	Started    string            `json:"started"`
	UptimeS    int64             `json:"uptime_s"`
	Ready      bool              `json:"ready"`
	Recovery   Recovery          `json:"recovery"` // zeros once it is ready
	Slots      int               `json:"slots"`
	InFlight   int               `json:"in_flight"`
	UsedPct    float64           `json:"used_pct"` // in flight as a share of slots
	Owed       int               `json:"owed"`
	Parked     int               `json:"parked"`
	Cards      int               `json:"parked_cards"`
	Now        Rates             `json:"now"`
	Latency    Latency           `json:"latency"`
	Disk       Latency           `json:"disk"`        // of the journal's commits
	Counters   map[string]uint64 `json:"counters"`    // since the start
	LastMinute map[string]uint64 `json:"last_minute"` // growth of the same
	Links      []Link            `json:"links"`       // in the order of the configuration
	HSMs       []HSM             `json:"hsms"`        // behind sockets; empty when one is in the process
	Last       []Transaction     `json:"last"`        // newest first
	Kinds      []Kind            `json:"kinds"`       // that occurred since the start, the most frequent first
	Changes    []Change          `json:"changes"`     // of bank lines, newest first
	Doors      Doors             `json:"doors"`       // all connections together
	Reload     *Reload           `json:"reload"`      // of the configuration, null before the first
	Faults     []FaultRow        `json:"faults"`      // since the start, in the order of their codes
	Frames     []FrameRow        `json:"frames"`      // the last malformed ones, one for each listener, line and module
	Point      *Point            `json:"point"`       // the newest of the charts
}

// Recovery is how far a recovery is: records read, requests without an outcome among
// them, and those that were closed with a reversal owed.
type Recovery struct {
	Records int `json:"records"`
	Open    int `json:"open"`
	Closed  int `json:"closed"`
}

// Rates are made from successive snapshots. Those that need a transaction are
// null when there was none.
type Rates struct {
	TPS       float64  `json:"tps"` // finished in the last second
	TPSMinute float64  `json:"tps_minute"`
	TPSPeak   float64  `json:"tps_peak"`     // of five minutes
	Approval  *float64 `json:"approval_pct"` // of the last minute
	P50       *uint64  `json:"p50_us"`       // of ten seconds
	P99       *uint64  `json:"p99_us"`
}

// Latency is of durations since the start: from terminal request to terminal answer, of
// transactions that went to a bank, or of commits. All but the count are null when
// there are none.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  *uint64 `json:"mean_us"`
	P50   *uint64 `json:"p50_us"`
	P99   *uint64 `json:"p99_us"`
	P999  *uint64 `json:"p999_us"`
}

// Link is one bank, with its lines.
type Link struct {
	Name       string `json:"name"`
	State      string `json:"state"`
	StateWords Words  `json:"state_words"`
	Since      string `json:"since"`
	InFlight   int    `json:"in_flight"`
	Owed       int    `json:"owed"`
	Sent       uint64 `json:"sent"`
	Answered   uint64 `json:"answered"`
	TimedOut   uint64 `json:"timed_out"`
	Lines      []Line `json:"lines"`
}

// HSM is one security module behind a socket.
type HSM struct {
	Name       string `json:"name"`
	Connected  bool   `json:"connected"`
	StateWords Words  `json:"state_words"`
	Since      string `json:"since"`
	InFlight   int    `json:"in_flight"` // commands without an answer
	Late       int    `json:"late"`      // of these, past their deadline
	Missed     uint64 `json:"missed"`    // not answered in time, since the start
}

// Kind is how the transactions of one kind ended.
type Kind struct {
	Kind     string `json:"kind"`
	Words    Words  `json:"words"`
	Approved uint64 `json:"approved"` // with code 00
	Other    uint64 `json:"other"`    // with any other
}

func kindRows(counts *[txn.Kinds]engine.KindCount) []Kind {
	rows := []Kind{}
	for k, n := range counts {
		if n.Approved+n.Other > 0 {
			rows = append(rows, Kind{txn.Kind(k).String(), kindWords[txn.Kind(k)], n.Approved, n.Other})
		}
	}
	slices.SortStableFunc(rows, func(a, b Kind) int { return cmp.Compare(b.Approved+b.Other, a.Approved+a.Other) })
	return rows
}

// Transaction is one finished transaction.
type Transaction struct {
	ID          uint64 `json:"id,string"` // a script's number would lose digits
	At          string `json:"at"`
	Micros      int64  `json:"duration_us"`
	Terminal    string `json:"terminal"`
	Merchant    string `json:"merchant"`
	PAN         string `json:"pan"` // masked
	Kind        string `json:"kind"`
	KindWords   Words  `json:"kind_words"`
	AmountFen   int64  `json:"amount_fen"`
	AmountYuan  string `json:"amount_yuan"`
	Code        string `json:"code"`
	CodeWords   Words  `json:"code_words"`
	Result      string `json:"result"`
	ResultWords Words  `json:"result_words"`
	Link        string `json:"link"` // empty when it went to no bank
}

// judge says how the switch is. Recovery comes before staleness: a long replay
// may be too busy to make snapshots, and that is not a hang.
func judge(snap *engine.Snapshot, now time.Time) State {
	switch {
	case snap == nil:
		return Starting
	case !snap.Ready:
		return Recovering
	case now.UnixNano()-snap.At > int64(staleAfter):
		return Stalled
	}
	// This comes before the links: with them alone not even a sign-in works.
	if !secured(snap.HSMs) {
		return Unsecured
	}
	up := 0
	for i := range snap.Links {
		if snap.Links[i].State == "up" {
			up++
		}
	}
	switch {
	case up == len(snap.Links):
		return Running
	case up == 0:
		return Isolated
	}
	return Degraded
}

// Judge says how a switch is whose newest snapshot this is, in a word for
// programs and in words for people.
func Judge(snap *engine.Snapshot, now time.Time) (State, Words) {
	st := judge(snap, now)
	return st, stateWords[st]
}

// secured says that commands find a module: one that is connected, or the one in
// the process.
func secured(hsms []engine.HSMView) bool {
	return len(hsms) == 0 || slices.ContainsFunc(hsms, func(m engine.HSMView) bool { return m.Connected })
}

// status puts a snapshot and the past that ends with it into words. The lists
// and maps are never null and always complete: a reader need not ask first.
func status(version string, now time.Time, snap *engine.Snapshot, p *past) *Status {
	st := &Status{
		Version: version, State: judge(snap, now),
		Counters: map[string]uint64{}, LastMinute: map[string]uint64{},
		Links: []Link{}, HSMs: []HSM{}, Last: []Transaction{}, Kinds: []Kind{}, Changes: []Change{}, Faults: []FaultRow{}, Frames: []FrameRow{}, // never null in JSON
	}
	st.StateWords = stateWords[st.State]
	for _, c := range counters {
		st.Counters[c.key], st.LastMinute[c.key] = 0, 0
	}
	if snap == nil {
		return st
	}
	st.At, st.Started = clockTime(snap.At), clockTime(snap.Started)
	st.UptimeS = max(0, (snap.At-snap.Started)/int64(time.Second))
	st.Recovery = Recovery(snap.Recovery)
	st.Ready, st.Slots, st.InFlight = snap.Ready, snap.Slots, snap.InFlight
	st.Owed, st.Parked, st.Cards = snap.Owed, snap.Parked, snap.Cards
	if snap.Slots > 0 {
		st.UsedPct = tenths(100 * float64(snap.InFlight) / float64(snap.Slots))
	}
	st.Latency, st.Disk = wholeLatency(&snap.Latency), wholeLatency(&snap.Disk)
	st.fillRates(snap, p)
	for i := range snap.Links {
		st.Links = append(st.Links, linkRow(&snap.Links[i]))
	}
	for i := range snap.HSMs {
		m := &snap.HSMs[i]
		st.HSMs = append(st.HSMs, HSM{Name: m.Name, Connected: m.Connected, StateWords: moduleWords[m.Connected],
			Since: clockTime(m.Since), InFlight: m.InFlight, Late: m.Late, Missed: m.Missed})
	}
	for i := range snap.Last[:min(len(snap.Last), maxRows)] {
		st.Last = append(st.Last, transactionRow(&snap.Last[i]))
	}
	st.Kinds = kindRows(&snap.Kinds)
	st.Frames = Frames(snap)
	for i := range snap.Changes {
		st.Changes = append(st.Changes, changeRow(&snap.Changes[i]))
	}
	return st
}

// fillRates reads the past, which ends with snap or with its equal.
func (st *Status) fillRates(snap *engine.Snapshot, p *past) {
	old := p.before(minute)
	for _, c := range counters {
		st.Counters[c.key] = c.get(&snap.Counters)
		st.LastMinute[c.key] = c.get(&p.newest().Counters) - c.get(&old.Counters)
	}
	m := between(old, p.newest())
	st.Now.TPSMinute, st.Now.Approval = m.finished, m.approval
	st.Now.TPSPeak = p.peak()
	if n := len(p.points); n > 0 {
		last := p.points[n-1]
		st.Point = &last
		st.Now.TPS, st.Now.P50, st.Now.P99 = last.TPS, last.P50, last.P99
	}
}

func wholeLatency(l *engine.Latency) Latency {
	if l.Count == 0 {
		return Latency{}
	}
	return Latency{
		Count: l.Count, Mean: new(l.Sum / l.Count),
		P50: new(l.Quantile(0.5)), P99: new(l.Quantile(0.99)), P999: new(l.Quantile(0.999)),
	}
}

func linkRow(l *engine.LinkView) Link {
	return Link{
		Name: l.Name, State: l.State, StateWords: WordsOfLink(l.State), Since: clockTime(l.Since),
		InFlight: l.InFlight, Owed: l.Owed, Sent: l.Sent, Answered: l.Answered, TimedOut: l.TimedOut,
		Lines: lineRows(l),
	}
}

func transactionRow(v *engine.View) Transaction {
	return Transaction{
		ID: uint64(v.ID), At: clockTime(v.At), Micros: v.Micros,
		Terminal: strings.TrimSpace(v.Terminal), Merchant: strings.TrimSpace(v.Merchant), PAN: masked(v.PAN),
		Kind: v.Kind.String(), KindWords: wordsOfKind(v.Kind), AmountFen: v.Amount, AmountYuan: yuan(v.Amount),
		Code: v.Code.String(), CodeWords: wordsOfCode(v.Code),
		Result: v.Result.String(), ResultWords: wordsOfResult(v.Result), Link: v.Link,
	}
}

// masked is a second lock: a View holds a masked card number, and if one ever
// does not, it still does not leave the process in clear.
func masked(pan string) string {
	p, err := txn.ParsePAN([]byte(pan))
	if err != nil {
		return pan
	}
	return p.String()
}

// clockTime is empty for zero, which means never.
func clockTime(ns int64) string {
	if ns == 0 {
		return ""
	}
	return time.Unix(0, ns).Format("2006-01-02T15:04:05.000Z07:00")
}

// yuan writes fen as yuan with two decimals.
func yuan(fen int64) string {
	sign, u := "", uint64(fen)
	if fen < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s%d.%02d", sign, u/100, u%100)
}
