package engine

import (
	"errors"
	"fmt"

	"tongka/card"
	"tongka/flow"
	"tongka/txn"
)

// cardOrders begins the keys that lead from a card to its open orders.
const cardOrders = "card-orders/"

func (c *cardDesk) marker(f card.Family, serial *card.Serial) []byte {
	o := c.of(f, serial)
	return append([]byte(cardOrders), o.id[:16]...)
}

// putOrder writes an order; one that may still be loaded is found by its card.
func (s *Shard) putOrder(o *card.Order) {
	at := orderOf(o.Number)
	s.log.Put(at.key(s.keyBuf[:0]), card.AppendOrder(nil, o))
	marker := append(s.cards.marker(o.Family, &o.Serial), o.Number[:]...)
	if o.State == card.Paid || o.State == card.Loading {
		s.log.Put(marker, nil)
	} else {
		s.log.Delete(marker)
	}
}

// How many orders of a card an answer shows, and how many are looked at for that:
// F58 has room for no more.
const (
	shownOrders  = 2
	lookedOrders = 64
)

var errEnough = errors.New("enough")

// Orders implements flow.Cards: what may be loaded on the card now, by number.
// For an air top-up it is the one that the request names.
func (c *cardDesk) Orders(t *flow.Txn) bool {
	l, s := t.Load, c.shard
	if t.Kind == txn.AirLoad {
		var err error
		l.Order, err = s.order(l.Data.Order)
		return err == nil
	}
	looked := 0
	prefix := c.marker(l.Family, &l.Serial)
	err := s.log.Each(prefix, func(key, _ []byte) error {
		o, err := s.order(card.Number(key[len(key)-len(card.Number{}):]))
		if err != nil {
			return err
		}
		if o.State == card.Loading || o.Open(&l.Data, int64(o.Amount), s.now) == (txn.Code{}) {
			l.Orders = append(l.Orders, o)
		}
		if looked++; len(l.Orders) == shownOrders || looked == lookedOrders {
			return errEnough
		}
		return nil
	})
	return err == nil || errors.Is(err, errEnough)
}

// AddOrders is the command that takes orders into the store. One that is there
// already, just so, is left as it is; a number that is there with other contents
// refuses them all.
type AddOrders struct {
	Orders []card.Order
	Added  int
}

func (c *AddOrders) perform(s *Shard) error {
	if s.cfg.Cards == nil {
		return errNoCards
	}
	seen := map[card.Number]*card.Order{}
	var fresh []*card.Order
	for i := range c.Orders {
		o := &c.Orders[i]
		was, err := s.order(o.Number)
		if err != nil {
			return err
		}
		if other := seen[o.Number]; other != nil {
			was = *other
		}
		switch same := was.Family == o.Family && was.Serial == o.Serial && was.Amount == o.Amount && was.Until == o.Until; {
		case was.Number == card.Number{}:
			fresh = append(fresh, o)
		case !same:
			return fmt.Errorf("order %d of %d, number %s: there already with other contents", i+1, len(c.Orders), o.Number)
		}
		seen[o.Number] = o
	}
	for _, o := range fresh {
		o.State, o.Load = card.Paid, 0
		s.putOrder(o)
	}
	c.Added = len(fresh)
	return nil
}

var errNoCards = errors.New("this switch takes no cards")

// CancelOrder is the command that takes an order back. One whose MAC2 has left is
// the card's to decide.
type CancelOrder struct {
	Number card.Number
	Was    card.Order
}

func (c *CancelOrder) perform(s *Shard) (err error) {
	if s.cfg.Cards == nil {
		return errNoCards
	}
	if c.Was, err = s.order(c.Number); err != nil {
		return err
	}
	if _, held := s.chains[orderOf(c.Number)]; held {
		return fmt.Errorf("order %s is being loaded in this moment", c.Number)
	}
	switch c.Was.State {
	case card.Paid:
		if c.Was.Number == (card.Number{}) {
			return fmt.Errorf("order %s: not there", c.Number)
		}
	case card.Cancelled:
		return nil
	default:
		return fmt.Errorf("order %s is %v and cannot be cancelled", c.Number, c.Was.State)
	}
	o := c.Was
	o.State = card.Cancelled
	s.putOrder(&o)
	return nil
}
