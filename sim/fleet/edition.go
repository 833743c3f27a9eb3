package fleet

import (
	"encoding/binary"
	"time"

	"tongka/codec/iso8583"
)

// parse reads an answer into t.view, which is of 1987; t.sealed is what its MAC
// covers.
func (t *terminal) parse(frame []byte) error {
	s := t.fleet.speaker
	if s == nil {
		msg, err := iso8583.Pos().Split(frame, &t.env)
		if err == nil {
			err = iso8583.Pos().Parse(&t.view, msg)
		}
		return err
	}
	t.sealed = &t.wire
	if err := s.New.Parse(&t.wire, frame); err != nil {
		return err
	}
	msg, err := s.Hear(&t.wire)
	if err == nil {
		err = s.Old.Parse(&t.view, msg)
	}
	return err
}

// newer turns a request into one of 1993, its MAC made anew over that.
func (t *terminal) newer(req []byte) ([]byte, error) {
	s := t.fleet.speaker
	var v iso8583.View
	msg, err := s.Old.Split(req[2:], &t.env)
	if err == nil {
		err = s.Old.Parse(&v, msg)
	}
	if err != nil {
		return nil, err
	}
	out, err := s.Ask(&v, time.Now())
	if err != nil {
		return nil, err
	}
	if v.Has(64) {
		if out, err = s.Seal(out, func(covered []byte) []byte {
			mac := t.mak.MAC(t.cfg.MAC, covered)
			return mac[:]
		}); err != nil {
			return nil, err
		}
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...), nil
}
