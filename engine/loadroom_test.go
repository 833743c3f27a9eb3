package engine

import (
	"testing"
	"time"

	"tongka/card"
	"tongka/flow"
)

// Loads of one second have one time, and each second its own, also when a clock goes back.
func TestTimeOfALoad(t *testing.T) {
	var c cardDesk
	at := time.Date(2026, 12, 31, 23, 59, 58, 0, time.UTC).UnixNano()
	for _, d := range []time.Duration{0, time.Second / 2, time.Second, 2 * time.Second, time.Second, 24 * time.Hour} {
		if got, want := c.time(at+int64(d)), packedTime(at+int64(d)); got != want {
			t.Errorf("%v later: %X, want %X", d, got, want)
		}
	}
}

// A slot's room for a load has nothing of the load before.
func TestRoomOfALoadIsEmpty(t *testing.T) {
	var sl slot
	l := sl.room()
	l.Writes, l.Bank, l.MAC2, l.Orders = true, []byte{1}, [4]byte{1}, make([]card.Order, 2)
	l.Purse.Load, l.Data.Seq, l.Unload.ID = 7, 8, 9
	if again := sl.room(); again != l || again.Writes || again.Bank != nil || again.MAC2 != [4]byte{} || again.Orders != nil ||
		again.Purse != (card.Purse{}) || again.Data.Seq != 0 || again.Unload.ID != 0 {
		t.Errorf("%+v", again)
	}
	if n := testing.AllocsPerRun(10, func() { sl.room() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A card that is held is kept under the name that it was held by; of another card, if a
// decision ever named one, the name is made.
func TestHeldCardHasItsName(t *testing.T) {
	s := newLoads(t).shard
	serial, other := card.Serial{9: 1}, card.Serial{9: 2}
	named := s.cards.of(card.TUnion, &serial)
	sl := &slot{holds: []object{chainOf(5), named, orderOf(card.Number{1})}}
	sl.Load = &flow.Load{}
	sl.Load.Family, sl.Load.Serial = card.TUnion, serial
	for _, c := range []struct {
		family card.Family
		serial card.Serial
	}{{card.TUnion, serial}, {card.TUnion, other}, {card.CityCard, serial}} {
		sl.Load.Purse.Family, sl.Load.Purse.Serial = c.family, c.serial
		if got, want := s.heldCard(sl), s.cards.of(c.family, &c.serial); got != want {
			t.Errorf("%+v: %X, want %X", c, got, want)
		}
	}
	sl.Load.Purse.Family, sl.Load.Purse.Serial, sl.holds = card.TUnion, serial, nil
	if got := s.heldCard(sl); got != named {
		t.Errorf("nothing held: %X, want %X", got, named)
	}
}
