package engine

import (
	"slices"
	"strings"

	"tongka/flow"
	"tongka/hsm/pool"
	"tongka/txn"
)

// finished is one transaction in the ring of the last ones.
type finished struct {
	facts  txn.Facts
	micros int64
}

// count counts how a transaction ended and keeps it for the console.
func (s *Shard) count(sl *slot) {
	if sl.term == nil || sl.Code == (txn.Code{}) {
		return
	}
	if k := &s.kinds[sl.Kind]; sl.Code == txn.OK {
		k.Approved++
	} else {
		k.Other++
	}
	switch {
	case sl.Kind == txn.Echo:
		s.stats.Echoes++
	case sl.Kind == txn.Reversal && sl.Code == txn.OK:
		s.stats.Reversed++
	case !flow.Forwarded(sl.Kind):
	case !flow.MovesMoney(sl.Kind):
		s.stats.Enquiries++
	case sl.Result == txn.Approved:
		s.stats.Approved++
	case sl.Result == txn.Declined:
		s.stats.Declined++
	}
	if sl.Over {
		s.stats.OverLink++
		s.gates.linkOver[sl.Link]++
	}
	s.done[s.doneAt] = finished{sl.Facts, (s.now - sl.At) / 1000}
	s.doneAt = (s.doneAt + 1) % len(s.done)
}

// Snapshot is the newest picture of the shard, for other goroutines.
func (s *Shard) Snapshot() *Snapshot { return s.snapshot.Load() }

// show makes a new picture every now and then.
func (s *Shard) show() {
	if s.now-s.shown < showEvery {
		return
	}
	s.shown = s.now
	p := &Snapshot{At: s.now, Started: s.started, Ready: true, Slots: len(s.slots),
		InFlight: len(s.slots) - len(s.free), Owed: s.owed.Total(), NoSpace: s.crowded != (txn.Code{}), Cards: s.cards.parked, Counters: s.stats, Kinds: s.kinds, Latency: s.latency, Disk: s.disk}
	for i := range s.links {
		l := &s.links[i]
		id := txn.LinkID(i)
		p.Parked += s.owed.Parked(id)
		p.Links = append(p.Links, l.view())
		p.Links[i].Owed, p.Links[i].Over = s.owed.Len(id), s.gates.linkOver[i]
		p.Links[i].Held, p.Links[i].Stopped = s.owed.Held(id), s.owed.Stopped(id)
	}
	for i := range s.hsms {
		m := &s.hsms[i]
		if m.gone {
			continue
		}
		v := s.pool.View(i)
		p.HSMs = append(p.HSMs, HSMView{Name: s.cfg.HSMs[i].Name, Connected: v.Up && v.State != pool.Quarantined, State: v.State.String(), Since: v.Since,
			InFlight: v.InFlight, Late: v.Late, Missed: v.Expired})
	}
	p.Last = s.lastViews()
	p.Changes, p.Malformed = s.lineChanges(), s.malformedViews()
	s.snapshot.Store(p)
}

// view shows a link with its lines.
func (l *link) view() LinkView {
	v := LinkView{Name: l.cfg.Name, State: l.was.String(), Since: l.since, InFlight: l.inFlight}
	for _, n := range l.lines {
		v.Sent += n.sent
		v.Answered += n.answered
		v.TimedOut += n.timedOut
		v.Lines = append(v.Lines, LineView{Number: n.number, State: n.State.String(), Since: n.since, Trial: n.OnTrial(),
			Serving: slices.Contains(l.serving, n), Priority: n.cfg.Priority, Window: n.cfg.Window, InFlight: n.InFlight,
			Sent: n.sent, Answered: n.answered, TimedOut: n.timedOut})
	}
	return v
}

// nthLast is the i-th newest transaction, nil where there is none to show.
func (s *Shard) nthLast(i int) *finished {
	d := &s.done[(s.doneAt-1-i+2*len(s.done))%len(s.done)]
	if d.facts.ID == 0 {
		return nil
	}
	return d
}

// lastViews shows the last transactions, the newest first. Their words are cut from
// one text: each for itself they were most of what a busy switch asks the heap for.
func (s *Shard) lastViews() []View {
	s.words = s.words[:0]
	n := 0
	for i := range s.done {
		d := s.nthLast(i)
		if d == nil {
			continue
		}
		n++
		s.words = append(s.words, d.facts.Terminal.Number[:]...)
		s.words = append(s.words, d.facts.Terminal.Merchant[:]...)
		s.words = d.facts.PAN.AppendMasked(s.words)
	}
	all, text := make([]View, 0, n), string(s.words)
	next := func(n int) (word string) {
		word, text = text[:n], text[n:]
		return word
	}
	for i := range s.done {
		d := s.nthLast(i)
		if d == nil {
			continue
		}
		f := &d.facts
		v := View{ID: f.ID, At: f.At, Micros: d.micros, Kind: f.Kind, Amount: f.Amount, Code: f.Code, Result: f.Result,
			Terminal: strings.TrimSpace(next(len(f.Terminal.Number))), Merchant: strings.TrimSpace(next(len(f.Terminal.Merchant))),
			PAN: next(f.PAN.Len())}
		if f.Sent != 0 {
			v.Link = s.links[f.Link].cfg.Name
		}
		all = append(all, v)
	}
	return all
}

// countTimeout counts what a bank did not answer in time and may have booked.
func (s *Shard) countTimeout(sl *slot) {
	if flow.MovesMoney(sl.Kind) {
		s.stats.TimedOut++
	}
}
