package engine

import (
	"errors"

	"tongka/card"
	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// parkedPrefix begins the keys that name the cards which a person has to decide
// about, so that nobody looks through all cards for them.
const parkedPrefix = "card-parked/"

// parked gives where a card's mark stands.
func (o *object) parked() []byte {
	return append([]byte(parkedPrefix), o.id[:idSizes[cardObject]]...)
}

// countParked reads how many there are, at a start.
func (s *Shard) countParked() error {
	return s.log.Each([]byte(parkedPrefix), func(_, _ []byte) error {
		s.cards.parked++
		return nil
	})
}

// store is what is read beside a shard: *journal.Reader is one.
type store interface {
	Each(prefix []byte, f func(key, plain []byte) error) error
	Lookup(key, dst []byte) ([]byte, bool, error)
}

// EachParked shows every card that waits for a person, in no particular order. It
// reads beside the shard, so one that is decided meanwhile may be shown or not.
func EachParked(from store, show func(*card.Purse) error) error {
	return from.Each([]byte(parkedPrefix), func(key, _ []byte) error {
		o := object{class: cardObject}
		copy(o.id[:], key[len(parkedPrefix):])
		b, _, err := from.Lookup(o.key(nil), nil)
		if err != nil {
			return err
		}
		p, _, err := card.ReadPurse(b)
		if err != nil || p.State != card.Parked {
			return err
		}
		return show(&p)
	})
}

// Why a decision about a card changes nothing, beside card.ErrNotParked and
// card.ErrGoneBack.
var (
	ErrCardMoved = errors.New("engine: the card's last load is another one by now")
	ErrCardBusy  = errors.New("engine: the card is being worked on in this moment")
	ErrNoLoad    = errors.New("engine: the journal has no such load that a bank was asked for")
)

// DecideCard is the command by which people decide about a parked card. What it
// changes, owes and records is one batch.
type DecideCard struct {
	Family card.Family
	Serial card.Serial
	Load   txn.ID // that the decision is about: a later one is none of its business
	Do     card.Decision
	Of     txn.Facts // of that load as the journal has it; a take-back wants it

	Was card.Purse
}

func (c *DecideCard) perform(s *Shard) error {
	if s.cfg.Cards == nil {
		return errNoCards
	}
	o := s.cards.of(c.Family, &c.Serial)
	var l flow.Load
	if err := s.readPurse(o, &l); err != nil {
		return err
	}
	c.Was = l.Purse
	back := c.Do == card.TakeBack && flow.Forwarded(l.Purse.Kind) // else no bank was asked
	switch {
	case l.Purse.State == card.Parked && l.Purse.Load != c.Load:
		return ErrCardMoved
	case back && (c.Of.ID != c.Load || c.Of.Sent == 0 || c.Of.Kind != l.Purse.Kind || c.Of.Amount != int64(l.Purse.Amount)):
		return ErrNoLoad
	}
	if err := l.Purse.May(c.Do); err != nil {
		return err
	}
	_, held := s.chains[o]
	_, ordered := s.chains[orderOf(l.Purse.Order)]
	if held || ordered {
		return ErrCardBusy
	}
	return c.decide(s, o, &l, back)
}

// decide does it. The order of a load goes where its money went.
func (c *DecideCard) decide(s *Shard, o object, l *flow.Load, back bool) error {
	if n := l.Purse.Order; n != (card.Number{}) {
		order, err := s.order(n)
		if err != nil {
			return err
		}
		order.State = map[card.Decision]card.OrderState{card.Complete: card.Loaded, card.TakeBack: card.Paid, card.WriteOff: card.Cancelled}[c.Do]
		s.putOrder(&order)
	}
	if c.Do == card.Complete && l.Purse.Unloads() {
		s.credit(&l.Unload)
	}
	if back {
		s.takeBack(&c.Of)
	}
	l.Purse.Decide(c.Do)
	s.putPurse(o, l)
	s.log.Delete(o.parked())
	s.cards.parked--
	return nil
}

// takeBack owes the reversal of a load that a person takes back, and records it as
// if its terminal had: what is not in the journal has not happened.
func (s *Shard) takeBack(of *txn.Facts) {
	s.networkSTAN()
	rec := &s.rec
	*rec = journal.Record{Kind: journal.Outcome, Facts: *of}
	f := &rec.Facts
	f.ID, f.Orig, f.At, f.Sent, f.MTI = s.lastID, of.ID, s.now, 0, 0x0400
	f.Kind, f.Of, f.Code, f.Result = txn.Reversal, of.Kind, txn.OK, txn.Approved
	s.newest = s.log.Append(rec)
	s.stats.Records++
	s.stats.Reversed++
	s.owed.Owe(of, storefwd.Reversal, nil, of.Link, s.now)
}
