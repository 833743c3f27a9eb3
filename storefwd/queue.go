// Package storefwd knows what we owe to whom, and when to offer it again.
//
// A reversal that a bank has not confirmed is a debt, and so is an advice that it
// has not taken. It is written in the same
// batch as the record that caused it, offered until the bank answers, and gone
// from the disk only in the batch that records the answer. A crash at any time
// therefore leaves it owed or settled, and offering it once too often does no
// harm: it keeps its trace numbers and says that it is a repeat.
//
// On disk an item is
//
//	'O' link:2 id:8 (big endian)           journal.AppendFacts, since:8            a reversal
//	'O' link:2 id:8 form:1 (big endian)    journal.AppendFacts, since:8, body      any other form
//	'H' link:2                             version:1 = 1                           the link is stopped
//	'H' link:2 id:8 form:1                 version:1 = 1                           the item is held
//
// where since is when it was owed first, and a nanosecond more for each that was owed
// at the same time: by it a restart knows the order again;
//
// and in memory 48 bytes and its place in two maps and a heap; the facts are
// read back when it is offered, unless they are among the newest.
//
//	Owe ─▶ Blocked ─▶ Waiting ─▶ Flying ─▶ settled, gone
//	          ▲           ▲        │ no answer: again after a pause (Held, when an operator stopped it)
//	   older item of      └────────┤
//	   the same card               └─▶ Parked, after MaxAttempts
//
// Order is kept per card and destination: a card's next item waits until its
// older one is settled, and nothing else waits for it. A parked item still holds
// back its own card: whoever releases it later must not overtake.
package storefwd

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"tongka/journal"
	"tongka/txn"
)

// Store is where owed items are kept; *journal.Log is one. Put and Delete
// belong to the open tick.
type Store interface {
	Put(key, plain []byte)
	Delete(key []byte)
	Each(prefix []byte, f func(key, plain []byte) error) error
	Lookup(key, dst []byte) ([]byte, bool, error)
}

var _ Store = (*journal.Log)(nil)

// Queue holds what is owed by one shard, in its goroutine. It reads no clock.
type Queue struct {
	store   Store
	seed    uint64
	items   slab
	links   []link
	hot     []hotFacts
	key     []byte
	scratch []byte
	fault   error
	onPark  func(Item, error)
	newest  int64 // when the newest debt was made
}

// link is one destination.
type link struct {
	policy   Policy
	byName   map[uint64]int32 // by name.number
	youngest map[uint64]int32 // of each card
	waiting  heap
	flying   []int32 // oldest first, so the first fails first
	parked   int
	held     int   // items, whatever their state
	stopped  bool  // an operator stopped the whole link
	roundAt  int64 // beginning of the round
	round    int   // offers in it
	up       bool
}

// hotFacts are the newest facts, by ID: most items are settled by their first
// offer, and in the tick that owes them they cannot be read back yet.
type hotFacts struct {
	link  txn.LinkID
	form  Form
	facts txn.Facts
	body  []byte
}

const hotSlots = 2048

// New makes an empty queue; policies are by LinkID and have passed Validate. The
// seed is for the jitter of pauses.
func New(store Store, policies []Policy, seed uint64) *Queue {
	q := &Queue{store: store, seed: seed, items: slab{free: none},
		hot: make([]hotFacts, hotSlots)}
	q.Retune(policies)
	return q
}

const (
	keySize   = 11
	sinceSize = 8
)

func (q *Queue) itemKey(n name, to txn.LinkID) []byte {
	q.key = binary.BigEndian.AppendUint16(append(q.key[:0], 'O'), uint16(to))
	q.key = binary.BigEndian.AppendUint64(q.key, uint64(n.id))
	if n.form != Reversal {
		q.key = append(q.key, byte(n.form))
	}
	return q.key
}

// Load reads what is owed after a restart. All of it is due at once, oldest
// first. A debt to a link that the configuration lacks is an error: going on
// would forget it.
func (q *Queue) Load() error {
	// A card's order is that in which the debts were made, not that of the keys.
	type loaded struct {
		name
		to    txn.LinkID
		card  uint64
		since int64
	}
	var all []loaded
	var d Debt
	err := q.store.Each([]byte{'O'}, func(key, plain []byte) error {
		n := loaded{}
		switch {
		case len(key) == keySize:
		case len(key) == keySize+1 && key[keySize] == byte(Advice):
			n.form = Advice
		default:
			return fmt.Errorf("storefwd: key %x is no owed item", key)
		}
		n.to = txn.LinkID(binary.BigEndian.Uint16(key[1:]))
		if int(n.to) >= len(q.links) {
			return fmt.Errorf("storefwd: key %x is owed to link %d: %d links are configured", key, n.to, len(q.links))
		}
		var err error
		if n.since, err = d.read(plain); err != nil {
			return fmt.Errorf("storefwd: key %x: %w", key, err)
		}
		if n.id = d.ID; uint64(n.id) != binary.BigEndian.Uint64(key[3:]) {
			return fmt.Errorf("storefwd: key %x holds transaction %d", key, d.ID)
		}
		q.newest = max(q.newest, n.since)
		n.card = cardOf(&d.Facts)
		all = append(all, n)
		return nil
	})
	if err != nil {
		return err
	}
	held, err := q.loadHolds()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b loaded) int {
		if a.since != b.since {
			return cmp.Compare(a.since, b.since)
		}
		if a.before(b.name) {
			return -1
		}
		return 1
	})
	for _, n := range all {
		if i, ok := q.add(n.name, n.card, n.to, 0); ok {
			// It may have been offered before the restart, so the next offer
			// must say that it is a repeat.
			q.items.at(i).offers = 1
			if held[heldName{n.name, n.to}] {
				q.hold(&q.links[n.to], i)
			}
		}
	}
	return nil
}

// Owe writes f as owed to a link into the open tick, and queues it. Again for
// the same ID, form and link it does nothing. An offer made in the same tick must
// leave after the tick's Sync, as every effect. Facts and body are copied; a
// reversal has no body.
func (q *Queue) Owe(f *txn.Facts, form Form, body []byte, to txn.LinkID, now int64) {
	n := name{f.ID, form}
	if _, ok := q.add(n, cardOf(f), to, now); !ok {
		return
	}
	q.newest = max(now, q.newest+1) // a clock that goes back changes no order
	h := &q.hot[uint64(f.ID)%hotSlots]
	*h = hotFacts{to, form, *f, append(h.body[:0], body...)}
	q.scratch = binary.LittleEndian.AppendUint64(journal.AppendFacts(q.scratch[:0], f), uint64(q.newest))
	q.scratch = append(q.scratch, body...)
	q.store.Put(q.itemKey(n, to), q.scratch)
}

// cardOf is what a card's items are ordered by; 0 without a card.
func cardOf(f *txn.Facts) uint64 {
	if f.PAN.Len() == 0 {
		return 0
	}
	return f.PAN.Hash() | 1
}

func (q *Queue) add(n name, card uint64, to txn.LinkID, now int64) (i int32, ok bool) {
	l := &q.links[to]
	if _, known := l.byName[n.number()]; known {
		return none, false
	}
	i = q.items.take()
	it := q.items.at(i)
	*it = item{id: n.id, form: n.form, link: to, at: now, prev: none, next: none, card: card}
	l.byName[n.number()] = i
	if card != 0 {
		if older, ok := l.youngest[card]; ok {
			it.prev = older
			q.items.at(older).next = i
		}
		l.youngest[card] = i
	}
	if it.prev == none {
		q.wait(l, i)
	} else {
		it.state = Blocked
	}
	return i, true
}

// Due gives the next item to offer on a link and marks it as in flight. d is
// filled in; attempt is 1 for the very first offer and more for a repeat. To
// ask says that the link is up. It gives nothing when the window or the round
// is full or nothing is due.
func (q *Queue) Due(now int64, to txn.LinkID, d *Debt) (attempt int, ok bool) {
	l := &q.links[to]
	l.up = true
	q.expire(l, now)
	if l.stopped {
		return 0, false
	}
	if now-l.roundAt >= int64(l.policy.Interval) {
		l.roundAt, l.round = now, 0
	}
	if len(l.flying) >= l.policy.Window || l.round >= l.policy.PerRound {
		return 0, false
	}
	for len(l.waiting.list) > 0 {
		i := l.waiting.list[0]
		it := q.items.at(i)
		if it.at > now {
			break
		}
		if !q.read(l, i, now, d) {
			continue
		}
		l.waiting.remove(i)
		it.state, it.at = Flying, now+int64(l.policy.Timeout)
		it.offers += min(1, ^uint16(0)-it.offers)
		l.flying = append(l.flying, i)
		l.round++
		return int(it.offers), true
	}
	return 0, false
}

// read fills in what a waiting item says. Otherwise it moves the item out of the
// way: one whose tick is not committed yet for a pause, one that cannot be read
// among the parked.
func (q *Queue) read(l *link, i int32, now int64, d *Debt) bool {
	it := q.items.at(i)
	d.Form = it.form
	if h := &q.hot[uint64(it.id)%hotSlots]; h.facts.ID == it.id && h.link == it.link && h.form == it.form {
		d.Facts, d.Body = h.facts, h.body
		return true
	}
	plain, ok, err := q.store.Lookup(q.itemKey(it.name(), it.link), q.scratch[:0])
	q.scratch = plain
	if err == nil && ok {
		_, err = d.read(plain)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("storefwd: transaction %d, owed to link %d: %w", it.id, it.link, err)
		if q.fault == nil {
			q.fault = err
		}
		l.waiting.remove(i)
		q.park(l, it, err)
	case !ok:
		it.at = now + int64(l.policy.BackoffMin)
		l.waiting.fix(i)
	}
	return ok && err == nil
}

// Owes says whether a debt is in the queue.
func (q *Queue) Owes(id txn.ID, form Form, to txn.LinkID) bool {
	_, ok := q.links[to].byName[name{id, form}.number()]
	return ok
}

// Settle ends an item: the bank has confirmed it, or an operator gives it up.
// Its key goes in the open tick. False when it is unknown, as after a second
// confirmation.
func (q *Queue) Settle(id txn.ID, form Form, to txn.LinkID) bool {
	l := &q.links[to]
	n := name{id, form}
	i, ok := l.byName[n.number()]
	if !ok {
		return false
	}
	q.store.Delete(q.itemKey(n, to))
	it := q.items.at(i)
	switch it.state {
	case Waiting:
		l.waiting.remove(i)
	case Flying:
		l.land(i)
	case Parked:
		l.parked--
	}
	if it.held {
		l.held--
		q.store.Delete(holdKey(n, to))
	}
	delete(l.byName, n.number())
	q.unchain(l, i)
	q.items.give(i)
	return true
}

// unchain takes an item out of its card's order; the next one may go.
func (q *Queue) unchain(l *link, i int32) {
	it := q.items.at(i)
	if it.card == 0 {
		return
	}
	if it.prev != none {
		q.items.at(it.prev).next = it.next
	}
	switch {
	case it.next != none:
		q.items.at(it.next).prev = it.prev
		if it.prev == none {
			q.wait(l, it.next)
		}
	case it.prev != none:
		l.youngest[it.card] = it.prev
	default:
		delete(l.youngest, it.card)
	}
}

func (q *Queue) wait(l *link, i int32) {
	if it := q.items.at(i); it.held {
		it.state = Held
		return
	}
	q.items.at(i).state = Waiting
	l.waiting.push(i)
}

// OnPark says who is told of every item that is parked: f gets the item, and the
// fault when it could not be read back, nil when its attempts are used up. f is
// called from within Due and Expire, and must not call the queue.
func (q *Queue) OnPark(f func(Item, error)) { q.onPark = f }

func (q *Queue) park(l *link, it *item, fault error) {
	it.state = Parked
	l.parked++
	if q.onPark != nil {
		q.onPark(it.shown(), fault)
	}
}

// land takes an item out of the flying ones; the others keep their order.
func (l *link) land(i int32) {
	for k, j := range l.flying {
		if j == i {
			l.flying = append(l.flying[:k], l.flying[k+1:]...)
			return
		}
	}
}
