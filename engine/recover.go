package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"tongka/flow"
	"tongka/journal"
	"tongka/registry"
	"tongka/storefwd"
	"tongka/txn"
)

// idGap is left between the numbers of two lives: refusals without a record
// used up some that the journal does not know.
const idGap = 1_000_000

// recover reads what the last life left. Records are folded in their order; what
// is open at the end is closed by the flow's own Resume, durably.
func (s *Shard) recover() error {
	if err := errors.Join(s.bindLinks(), s.loadZoneKeys(), s.bindCards()); err != nil {
		return err
	}
	// Badger is written behind and not synced: the journal has every session.
	err := s.log.Each([]byte(sessionPrefix), func(_, body []byte) error { return s.foldSignIn(body) })
	if err = errors.Join(err, s.recallKeys()); err != nil {
		return err
	}
	from, next := s.log.Recovery()
	open := map[txn.ID]txn.Facts{}
	records := 0
	err = s.log.Replay(from, func(lsn journal.LSN, r *journal.Record) error {
		if records++; records%progressEvery == 0 {
			s.progress(Recovery{Records: records, Open: len(open)})
		}
		s.newest = lsn
		next = max(next, r.Facts.ID+1)
		fold(open, r)
		s.recount(lsn, r)
		return nil
	})
	if err != nil {
		return err
	}
	if next > 1 {
		s.lastID = next + idGap
	}
	s.chained.older = s.lastID
	s.firstLife = records == 0 && next <= 1
	if err := s.owed.Load(); err != nil {
		return err
	}
	if err := errors.Join(s.loadDrains(), s.closeOpen(open, records)); err != nil {
		return err
	}
	if err := s.recountDay(); err != nil {
		return err
	}
	s.zap.Info("recovered", zap.Int("records", records), zap.Int("open", len(open)), zap.Int("owed", s.owed.Total()))
	return nil
}

// Recovery is how far a recovery is.
type Recovery struct {
	Records int // read of the journal
	Open    int // intents without an outcome among them
	Closed  int // of those, timed out by now, with their reversals owed
}

// progressEvery is how many records are read between two words about it.
const progressEvery = 1 << 14

func (s *Shard) progress(r Recovery) {
	if s.cfg.Progress != nil {
		s.cfg.Progress(r)
	}
}

// sessionPrefix begins the keys under which the newest session of each terminal
// is kept, in the batch of its sign-in.
const sessionPrefix = "session/"

func sessionKey(dst []byte, t *txn.Terminal) []byte {
	return append(append(append(dst, sessionPrefix...), t.Merchant[:]...), t.Number[:]...)
}

// linkKey is where the name of the link in a place is kept.
func linkKey(i int) []byte { return fmt.Appendf(nil, "link/%05d", i) }

// bindLinks holds every link to its place. What is owed, and what may still be
// reversed, names its bank by that number: in another order it would go to
// another bank, whose "unknown" would settle it.
func (s *Shard) bindLinks() error {
	for i := range s.links {
		name := s.links[i].cfg.Name
		key := linkKey(i)
		was, ok, err := s.log.Lookup(key, nil)
		switch {
		case err != nil:
			return err
		case !ok:
			s.log.Put(key, []byte(name))
		case string(was) != name:
			return fmt.Errorf("link %d was %s in this data folder and is %s now: keep the order of the links, add new ones at the end", i+1, was, name)
		}
	}
	return nil
}

// fold follows what is open.
func fold(open map[txn.ID]txn.Facts, r *journal.Record) {
	switch r.Kind {
	case journal.Intent:
		open[r.Facts.ID] = r.Facts
	case journal.Outcome:
		delete(open, r.Facts.ID)
	}
}

// foldSignIn gives a terminal its session again if the registry was written
// behind and had not got it yet.
func (s *Shard) foldSignIn(body []byte) error {
	id, session, err := registry.DecodeSession(body)
	if err != nil {
		return fmt.Errorf("sign-in record: %w", err)
	}
	t := s.reg.Snapshot().Terminal(&id)
	if t == nil {
		return nil // taken out of the registry since
	}
	// The same sign-in may have gone on to another batch, or have ended, since.
	if last := t.Last(); last == nil || last.Since < session.Since || last.Since == session.Since && *last != session {
		s.reg.Install(t, &session)
	}
	return nil
}

// closeOpenAt is how many open intents share one commit at recovery.
const closeOpenAt = 1024

// closeOpen ends every intent without an outcome: timed out, reversal owed.
func (s *Shard) closeOpen(open map[txn.ID]txn.Facts, records int) error {
	n := 0
	// In the order of their arrival: that is the order of a card's reversals.
	for _, id := range slices.Sorted(maps.Keys(open)) {
		t := flow.Txn{Facts: open[id]}
		var out flow.Effects
		flow.Resume(&t, &out)
		for _, e := range out.A[:out.N] {
			switch e.Do {
			case flow.Owe:
				s.owed.Owe(&t.Facts, storefwd.Reversal, nil, e.Link, s.now)
			case flow.Record:
				s.newest = s.log.Append(&journal.Record{Kind: journal.Outcome, Facts: t.Facts})
			}
		}
		if n++; n%closeOpenAt == 0 {
			if err := s.commit(); err != nil {
				return err
			}
			s.progress(Recovery{Records: records, Open: len(open), Closed: n})
		}
	}
	if n > 0 || s.lastID > 0 {
		s.log.Mark(s.uncountedFrom(s.newest), s.lastID+1)
	}
	return s.commit()
}
