package engine

import (
	"tongka/codec/iso8583"
	"tongka/translate"
)

// Messages of ISO 8583:1993 are brought to 1987 where they come in, and from there
// on are like all others: s.view and s.bview are of 1987 always. What their MAC was
// made over is the message as it came, which is in wire.

// editions is what the shard needs for it.
type editions struct {
	wire  iso8583.View
	older []byte // a bank's message of 1987
}

// older reads a terminal's message of 1993 into s.view, and gives the message of
// 1987, which the slot keeps. Of one that is not readable it gives what was read
// up to the fault, for the refusal.
func (s *Shard) older(p *peer, sl *slot, door *translate.Door, msg []byte) ([]byte, error) {
	v := &s.editions.wire
	err := door.Spec.Parse(v, msg)
	older, bad := door.Edition.Older(sl.older[:0], v, s.view)
	sl.older = older
	if err == nil {
		err = bad
	}
	if err != nil {
		s.keepMalformed(p, sl.frame, v, len(sl.frame)-len(msg), err)
	}
	return older, err
}

// sealedView is the message that a terminal's MAC was made over.
func (s *Shard) sealedView(sl *slot) *iso8583.View {
	door := s.cfg.Listeners[sl.door].Door
	if door.Edition == nil {
		return s.view
	}
	v := &s.editions.wire
	if msg, err := door.Spec.Split(sl.frame, &s.envelope); err == nil {
		if err = door.Spec.Parse(v, msg); err == nil {
			return v
		}
	}
	return s.view // it was read when it came
}

// readBank reads a bank's message into s.bview; bankWire is how it came.
func (s *Shard) readBank(l *link, msg []byte) error {
	bank := l.cfg.Bank
	if bank.Edition == nil {
		return bank.Spec.Parse(&s.bview, msg)
	}
	err := bank.Spec.Parse(&s.editions.wire, msg)
	if err == nil {
		s.editions.older, err = bank.Edition.Older(s.editions.older[:0], &s.editions.wire, &s.bview)
	}
	return err
}

// bankWire is the view that holds a bank's message as it came.
func (s *Shard) bankWire(l *link) *iso8583.View {
	if l.cfg.Bank.Edition == nil {
		return &s.bview
	}
	return &s.editions.wire
}
