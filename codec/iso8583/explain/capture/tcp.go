package capture

import (
	"slices"
	"sort"
	"time"
)

// side is one direction of a connection: its bytes in order, in as many runs as
// losses cut it into.
type side struct {
	from, to string
	begun    bool   // a first segment was seen
	whole    bool   // the capture has the connection's start
	next     uint32 // the sequence number that comes next
	pending  []segment
	held     int // bytes in pending
	runs     []run

	retransmitted, reordered, lost int // segments, segments, bytes
}

type segment struct {
	seq  uint32
	data []byte
	at   time.Time
}

// run is bytes without a gap. ends says when each segment's last byte came.
type run struct {
	data []byte
	ends []mark
}

type mark struct {
	end int
	at  time.Time
}

// Limits of what waits for a missing segment. A capture that misses one for good
// goes on behind the gap.
const (
	maxPending = 512
	maxHeld    = 4 << 20
)

// open notes the sequence number of a SYN.
func (s *side) open(seq uint32) { s.begun, s.whole, s.next = true, true, seq+1 }

// add takes one segment as the capture has it: in order, again, or too early.
func (s *side) add(seq uint32, data []byte, at time.Time) {
	if len(data) == 0 {
		return
	}
	if !s.begun {
		s.begun, s.next = true, seq
	}
	// Sequence numbers wrap round: only differences count (RFC 9293, 3.4).
	ahead := int(int32(seq - s.next))
	switch {
	case ahead > 0:
		s.reordered++
		s.hold(segment{seq, data, at})
	case ahead+len(data) <= 0:
		s.retransmitted++
	default:
		if ahead < 0 {
			s.retransmitted++
		}
		s.take(data[-ahead:], at)
		s.drain()
	}
}

func (s *side) take(data []byte, at time.Time) {
	if len(s.runs) == 0 {
		s.runs = append(s.runs, run{})
	}
	r := &s.runs[len(s.runs)-1]
	r.data = append(r.data, data...)
	r.ends = append(r.ends, mark{len(r.data), at})
	s.next += uint32(len(data))
}

// hold keeps a segment that came too early, in the order of its bytes.
func (s *side) hold(g segment) {
	i := sort.Search(len(s.pending), func(i int) bool { return int32(s.pending[i].seq-g.seq) >= 0 })
	s.pending = slices.Insert(s.pending, i, g)
	s.held += len(g.data)
	if len(s.pending) > maxPending || s.held > maxHeld {
		s.skip()
	}
}

// drain takes what has its turn now.
func (s *side) drain() {
	for len(s.pending) > 0 {
		g := s.pending[0]
		ahead := int(int32(g.seq - s.next))
		if ahead > 0 {
			return
		}
		s.pending, s.held = s.pending[1:], s.held-len(g.data)
		if ahead+len(g.data) > 0 {
			s.take(g.data[-ahead:], g.at)
		}
	}
}

// skip gives up what is missing and begins a run behind it.
func (s *side) skip() {
	g := s.pending[0]
	s.lost += int(int32(g.seq - s.next))
	s.next = g.seq
	s.runs = append(s.runs, run{})
	s.drain()
}

// close gives up all that is missing.
func (s *side) close() {
	for len(s.pending) > 0 {
		s.skip()
	}
}

// when is the time of the segment that brought the byte before end.
func (r *run) when(end int) time.Time {
	i := sort.Search(len(r.ends), func(i int) bool { return r.ends[i].end >= end })
	return r.ends[min(i, len(r.ends)-1)].at
}
