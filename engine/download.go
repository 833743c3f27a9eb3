package engine

import (
	"slices"

	"tongka/flow"
	"tongka/translate"
	"tongka/txn"
)

// Download is data that terminals load in blocks.
type Download struct {
	Code    int      // F60.3 of the request for a block
	Groups  []uint16 // of terminals; none: all
	Version string
	Data    []byte
	Block   int // bytes of data in a block at most; 0: what F62 holds
}

// Signals are the first byte of F62 in the answer to a download: there is nothing,
// this is the last block, more follow.
type Signals struct{ None, Last, More byte }

// usualSignals are common practice; the terminal's maker knows.
var usualSignals = Signals{None: '0', Last: '1', More: '2'}

// fetch finds the block that a terminal asks for, or says whether what it holds is
// the newest. The end of a download is only confirmed.
func (s *Shard) fetch(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Fate: flow.Known, Now: s.now}
	if !s.viewOf(sl) {
		ev.Deny = txn.SystemFault
		return ev
	}
	want, ok := translate.ReadLoad(s.view, &sl.echo)
	if !ok {
		ev.Deny = txn.BadFormat
		return ev
	}
	if want.End {
		return ev
	}
	signals := s.cfg.Day.Signals
	if signals == (Signals{}) {
		signals = usualSignals
	}
	d := s.download(want.Code, sl.term.Group)
	if d == nil || want.Status && d.Version == want.Holds {
		sl.day = &dayWork{f62: []byte{signals.None}}
		return ev
	}
	if want.Status {
		sl.day = &dayWork{f62: append([]byte{signals.More}, d.Version...)}
		return ev
	}
	size := s.cfg.Listeners[sl.door].Door.BlockRoom - 1
	if d.Block > 0 {
		size = min(size, d.Block)
	}
	from := (want.Block - 1) * size
	if from >= len(d.Data) {
		ev.Deny = txn.BadFormat // there is no such block
		return ev
	}
	to, signal := from+size, signals.More
	if to >= len(d.Data) {
		to, signal = len(d.Data), signals.Last
	}
	sl.day = &dayWork{f62: append([]byte{signal}, d.Data[from:to]...)}
	return ev
}

// download is the first that is meant for a group.
func (s *Shard) download(code int, group uint16) *Download {
	for i := range s.cfg.Day.Downloads {
		d := &s.cfg.Day.Downloads[i]
		if d.Code == code && len(d.Data) > 0 && (len(d.Groups) == 0 || slices.Contains(d.Groups, group)) {
			return d
		}
	}
	return nil
}
