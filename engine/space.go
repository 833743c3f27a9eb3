package engine

import (
	"go.uber.org/zap"

	"tongka/fault"
	"tongka/txn"
)

// Crowded is the command that says that the disk of the journal is nearly full:
// new requests are answered with Code, while reversals are taken and what is owed
// is delivered, so that the room that is left serves what makes good. The zero
// Code ends it.
type Crowded struct{ Code txn.Code }

func (c Crowded) perform(s *Shard) error {
	if c.Code == s.crowded {
		return nil
	}
	s.crowded = c.Code
	if c.Code == (txn.Code{}) {
		s.zap.Warn("the disk of the journal has room again: requests are taken")
	} else {
		s.zap.Error("THE DISK OF THE JOURNAL IS NEARLY FULL: new requests are refused", fault.Field(fault.DiskNearlyFull), zap.Stringer("code", c.Code))
	}
	return nil
}
