package storefwd

import (
	"encoding/binary"
	"fmt"

	"tongka/txn"
)

// heldName is an item of any link.
type heldName struct {
	name
	to txn.LinkID
}

var holdValue = []byte{1} // its version

const (
	stopKeySize = 3
	holdKeySize = 12
)

func stopKey(to txn.LinkID) []byte { return binary.BigEndian.AppendUint16([]byte{'H'}, uint16(to)) }

func holdKey(n name, to txn.LinkID) []byte {
	return append(binary.BigEndian.AppendUint64(stopKey(to), uint64(n.id)), byte(n.form))
}

// loadHolds reads what operators have stopped. A hold outlives a restart: who
// stopped a debt must be able to rely on it.
func (q *Queue) loadHolds() (map[heldName]bool, error) {
	held := map[heldName]bool{}
	err := q.store.Each([]byte{'H'}, func(key, _ []byte) error {
		if len(key) != stopKeySize && len(key) != holdKeySize {
			return fmt.Errorf("storefwd: key %x is no hold", key)
		}
		to := txn.LinkID(binary.BigEndian.Uint16(key[1:]))
		switch {
		case int(to) >= len(q.links):
			return fmt.Errorf("storefwd: key %x holds for link %d: %d links are configured", key, to, len(q.links))
		case len(key) == stopKeySize:
			q.links[to].stopped = true
		default:
			held[heldName{name{txn.ID(binary.BigEndian.Uint64(key[3:])), Form(key[11])}, to}] = true
		}
		return nil
	})
	return held, err
}

// Hold stops one item: it is not offered any more until Release, over restarts
// too. One that is in flight is taken back; the bank's answer still settles it.
// False when it is unknown or held already.
func (q *Queue) Hold(id txn.ID, form Form, to txn.LinkID) bool {
	l := &q.links[to]
	n := name{id, form}
	i, ok := l.byName[n.number()]
	if !ok || q.items.at(i).held {
		return false
	}
	q.store.Put(holdKey(n, to), holdValue)
	q.hold(l, i)
	return true
}

func (q *Queue) hold(l *link, i int32) {
	it := q.items.at(i)
	it.held = true
	l.held++
	switch it.state {
	case Waiting:
		l.waiting.remove(i)
		it.state = Held
	case Flying:
		l.land(i)
		it.state = Held
	case Parked:
		l.parked--
		it.state = Held
	}
}

// Stop stops or starts the deliveries to a whole link, over restarts too. Offers
// in flight keep their time. False when it is so already.
func (q *Queue) Stop(to txn.LinkID, stop bool) bool {
	l := &q.links[to]
	if l.stopped == stop {
		return false
	}
	l.stopped = stop
	if stop {
		q.store.Put(stopKey(to), holdValue)
	} else {
		q.store.Delete(stopKey(to))
	}
	return true
}

// Stopped says whether an operator stopped the deliveries to a link.
func (q *Queue) Stopped(to txn.LinkID) bool { return q.links[to].stopped }

// Held counts the items of a link that an operator stopped.
func (q *Queue) Held(to txn.LinkID) int { return q.links[to].held }

// Find shows one item.
func (q *Queue) Find(id txn.ID, form Form, to txn.LinkID) (Item, bool) {
	i, ok := q.links[to].byName[name{id, form}.number()]
	if !ok {
		return Item{}, false
	}
	return q.items.at(i).shown(), true
}

// Some shows the items of n places, from a place on, whatever their link, and
// gives the place to go on from; -1 at the end. In no order. It is how a million
// debts are looked through without stopping whose queue it is.
func (q *Queue) Some(from, n int, f func(Item)) (next int) {
	end := len(q.items.chunks) << chunkBits
	for i := max(from, 0); i < end; i++ {
		if n--; n < 0 {
			return i
		}
		if it := q.items.at(int32(i)); it.state != Free {
			f(it.shown())
		}
	}
	return -1
}

// ReadDebt reads a debt that lies on disk, for those who look beside the queue.
// False when there is none.
func ReadDebt(lookup func(key, dst []byte) ([]byte, bool, error), id txn.ID, form Form, to txn.LinkID, d *Debt) (bool, error) {
	q := Queue{}
	plain, ok, err := lookup(q.itemKey(name{id, form}, to), nil)
	if err != nil || !ok {
		return false, err
	}
	if _, err := d.read(plain); err != nil {
		return false, fmt.Errorf("storefwd: transaction %d, owed to link %d: %w", id, to, err)
	}
	d.Form = form
	return true, nil
}

// EachOnDisk gives every debt that lies on disk, for those who look while nothing
// runs.
func EachOnDisk(each func(prefix []byte, f func(key, plain []byte) error) error, f func(to txn.LinkID, d *Debt) error) error {
	return each([]byte{'O'}, func(key, plain []byte) error {
		d := Debt{}
		switch {
		case len(key) == keySize:
		case len(key) == keySize+1 && key[keySize] == byte(Advice):
			d.Form = Advice
		default:
			return fmt.Errorf("storefwd: key %x is no owed item", key)
		}
		if _, err := d.read(plain); err != nil {
			return fmt.Errorf("storefwd: key %x: %w", key, err)
		}
		return f(txn.LinkID(binary.BigEndian.Uint16(key[1:])), &d)
	})
}
