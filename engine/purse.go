package engine

import (
	"encoding/binary"

	"tongka/card"
	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// readPurse reads what is kept of a card into l: the purse, and behind one whose
// last was an unload the facts of that.
func (s *Shard) readPurse(o object, l *flow.Load) error {
	b, _, err := s.look(&o)
	if err != nil {
		return err
	}
	l.Purse, b, err = card.ReadPurse(b)
	if err == nil && l.Purse.Unloads() {
		_, err = journal.ReadFacts(b, &l.Unload)
	}
	return err
}

func (s *Shard) saveCard(sl *slot) {
	l := sl.Load
	if l.Purse.Unloads() && l.Purse.Load == sl.ID {
		l.Unload = sl.Facts
	}
	s.putPurse(s.heldCard(sl), l)
}

// heldCard is the object of the card that a transaction holds and keeps. It was named
// when it was held: an HMAC costs as much as the rest of what is done to keep a card.
func (s *Shard) heldCard(sl *slot) object {
	l, p := sl.Load, &sl.Load.Purse
	for _, o := range sl.holds {
		if o.class == cardObject && p.Family == l.Family && p.Serial == l.Serial {
			return o
		}
	}
	return s.cards.of(p.Family, &p.Serial)
}

func (s *Shard) putPurse(o object, l *flow.Load) {
	p := &l.Purse
	s.aux = card.AppendPurse(s.aux[:0], p)
	if p.Unloads() {
		s.aux = journal.AppendFacts(s.aux, &l.Unload)
	}
	s.log.Put(o.key(s.keyBuf[:0]), s.aux)
	if p.State == card.Parked { // it was not before: only a decision touches a parked one
		s.log.Put(o.parked(), nil)
		s.cards.parked++
	}
}

// credit owes the bank of an unload a notice of it, in the batch that says that
// the card has paid. It is a transaction of its own, under a number of its own:
// the request that let the card pay moved no money, and this does.
func (s *Shard) credit(of *txn.Facts) {
	s.networkSTAN()
	rec := &s.rec
	*rec = journal.Record{Kind: journal.Outcome, Facts: *of}
	f := &rec.Facts
	f.ID, f.Orig, f.At, f.Sent, f.MTI = s.lastID, of.ID, s.now, s.now, 0x0220
	f.Code, f.Result = txn.OK, txn.Approved
	s.newest = s.log.Append(rec)
	s.stats.Records++
	s.aux = binary.BigEndian.AppendUint16(s.aux[:0], 0) // no F55, and nothing that it names
	s.owed.Owe(f, storefwd.Advice, s.aux, f.Link, s.now)
}

// credited says that a record is the credit of an unload, which was counted when
// it was asked for.
func credited(f *txn.Facts) bool { return f.Kind == txn.Unload && f.Sent != 0 }
