package capture

import (
	"bytes"
	"time"

	"tongka/codec/iso8583/explain"
	"tongka/conn/framing"
)

// frame is one frame of a run: its bytes with all that surrounds the message, and
// when its last byte came.
type frame struct {
	data []byte
	at   time.Time
}

// cutting is what a framing makes of one direction.
type cutting struct {
	frames  []frame
	skipped int // bytes that belong to no frame
}

// Limits of the search for the first frame behind a gap: so many places are
// looked at, and of what could be a frame so many are taken apart.
const (
	maxPlaces = 1 << 16
	maxTries  = 500
)

// cut takes a direction apart. Behind a gap, or when the capture misses the
// start, a run may begin in the middle of a frame; so may what follows a fault.
func (s *side) cut(f framing.Framing, o explain.Options) (c cutting) {
	for i := range s.runs {
		r := &s.runs[i]
		at := 0
		if i > 0 || !s.whole {
			at = resume(r.data, 0, f, o)
		}
		c.skipped += at
		for at < len(r.data) {
			data, used, err := f.Next(r.data[at:])
			if err != nil {
				next := resume(r.data, at+1, f, o)
				c.skipped += next - at
				at = next
				continue
			}
			if used == 0 {
				c.skipped += len(r.data) - at
				break
			}
			if data != nil { // else a keep-alive
				c.frames = append(c.frames, frame{r.data[at : at+used], r.when(at + used)})
			}
			at += used
		}
	}
	return c
}

// resume finds the first place at or behind from where a frame with a message in
// it begins; the end of the run when there is none.
func resume(data []byte, from int, f framing.Framing, o explain.Options) int {
	tries := 0
	for at := from; at < len(data) && at < from+maxPlaces && tries < maxTries; at++ {
		p, used, err := f.Next(data[at:])
		if err != nil || used == 0 || p == nil || len(p) < minMessage {
			continue
		}
		tries++
		if _, err := explain.Decode(data[at:at+used], o); err == nil {
			return at
		}
	}
	return len(data)
}

// minMessage is the shortest message: a packed MTI and a bitmap.
const minMessage = 10

// segments takes each segment for a message: so senders without any framing do.
func (s *side) segments() (c cutting) {
	for i := range s.runs {
		r := &s.runs[i]
		at := 0
		for _, m := range r.ends {
			c.frames = append(c.frames, frame{r.data[at:m.end], m.at})
			at = m.end
		}
	}
	return c
}

// cuts takes both directions apart by the framing of a name.
func (c *connection) cuts(name string, o explain.Options) [2]cutting {
	o.Framing = name
	f, ok := framing.Named(name)
	var both [2]cutting
	for i := range c.sides {
		if ok {
			both[i] = c.sides[i].cut(f, o)
		} else {
			both[i] = c.sides[i].segments()
		}
	}
	return both
}

// enough frames are taken apart to judge a framing.
const enough = 8

// framing finds the framing of a connection: the one by which most of the first
// frames of both directions are messages, and among equals the one that leaves the
// fewest bytes over. It is empty when there are no messages.
func (c *connection) framing(o explain.Options) string {
	best, most, least := "", 0, 0
	for _, name := range append(framing.Names(), "none") {
		good, skipped := c.first().judge(name, o)
		if good > most || good == most && good > 0 && skipped < least {
			best, most, least = name, good, skipped
		}
	}
	return best
}

// judge counts the messages among the first frames, and the bytes in no frame.
func (c *connection) judge(name string, o explain.Options) (good, skipped int) {
	o.Framing = name
	for _, side := range c.cuts(name, o) {
		skipped += side.skipped
		for _, f := range side.frames[:min(enough, len(side.frames))] {
			if _, err := explain.Decode(f.data, o); err == nil {
				good++
			}
		}
	}
	return good, skipped
}

// sample is how many bytes of a direction are looked at to find its framing.
const sample = 16 << 10

// first is the connection's beginning, over gaps: before one there may be less
// than a message.
func (c *connection) first() *connection {
	cut := &connection{}
	for i := range c.sides {
		s := &c.sides[i]
		part := side{from: s.from, to: s.to, begun: s.begun, whole: s.whole}
		left := sample
		for j := 0; j < len(s.runs) && left > 0; j++ {
			r := &s.runs[j]
			n := min(len(r.data), left)
			part.runs = append(part.runs, run{data: bytes.Clone(r.data[:n]), ends: r.until(n)})
			left -= n
		}
		cut.sides[i] = part
	}
	return cut
}

// until are the marks of the first n bytes.
func (r *run) until(n int) []mark {
	var m []mark
	for _, e := range r.ends {
		if e.end >= n {
			return append(m, mark{n, e.at})
		}
		m = append(m, e)
	}
	return m
}
