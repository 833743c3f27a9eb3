package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tongka/flow"
)

// Drain is the command that takes a link out of service, or one of its lines:
// nothing new is sent there, what is in flight is awaited, then it signs off and
// hangs up. With Back it is given back to service. It holds over restarts: who
// maintains a line shall not find it in use because the switch was started anew.
type Drain struct {
	Link string
	Line int // 1 is the first; 0 is all of them, and those that are added later
	Back bool
}

// Why a Drain is refused.
var (
	ErrNoLink = errors.New("engine: no such link")
	ErrNoLine = errors.New("engine: the link has no such line")
)

func (c Drain) perform(s *Shard) error {
	for i := range s.links {
		l := &s.links[i]
		if l.cfg.Name != c.Link {
			continue
		}
		if c.Line < 0 || c.Line > len(l.lines) {
			return ErrNoLine
		}
		ev := flow.Drain
		if c.Back {
			ev = flow.Undrain
		}
		for _, n := range l.lines {
			if c.Line == 0 || c.Line == n.number {
				n.held = !c.Back
				s.lineEvent(n, ev)
			}
		}
		if c.Line == 0 || c.Back {
			l.held = !c.Back
		}
		s.keepDrain(i)
		s.zap.Info("drain", zap.String("link", c.Link), zap.Int("line", c.Line), zap.Bool("back", c.Back))
		return nil
	}
	return ErrNoLink
}

// drainKey is where it is kept which lines of a link are out of service: a byte
// that says all, and the numbers of those that are, two bytes each. There is none
// while all serve.
func drainKey(i int) []byte { return fmt.Appendf(nil, "drain/%05d", i) }

// keepDrain writes it down, in the batch of the lines' changes.
func (s *Shard) keepDrain(i int) {
	l := &s.links[i]
	value := []byte{0}
	if l.held {
		value[0] = 1
	}
	for _, n := range l.lines {
		if n.held {
			value = binary.BigEndian.AppendUint16(value, uint16(n.number))
		}
	}
	if l.held || len(value) > 1 {
		s.log.Put(drainKey(i), value)
		return
	}
	s.log.Delete(drainKey(i))
}

// loadDrains takes out of service what was so in the last life, before anything
// is dialled. A number that the configuration does not have any more is nobody's.
func (s *Shard) loadDrains() error {
	for i := range s.links {
		l := &s.links[i]
		b, ok, err := s.log.Lookup(drainKey(i), nil)
		switch {
		case err != nil:
			return err
		case !ok:
			continue
		case len(b)%2 != 1:
			return fmt.Errorf("the drained lines of link %d are kept in %d bytes", i+1, len(b))
		}
		l.held = b[0] == 1
		out := map[int]bool{}
		for b = b[1:]; len(b) > 0; b = b[2:] {
			out[int(binary.BigEndian.Uint16(b))] = true
		}
		for _, n := range l.lines {
			if l.held || out[n.number] {
				n.held = true
				s.lineEvent(n, flow.Drain)
			}
		}
		s.zap.Warn("lines are out of service since an operator drained them", zap.String("link", l.cfg.Name), zap.Bool("all", l.held), zap.Int("lines", len(out)))
	}
	return nil
}
