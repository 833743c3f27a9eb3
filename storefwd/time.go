package storefwd

import "tongka/txn"

// Expire takes back the offers whose Timeout is over, on all links. Due does
// so for its own link.
func (q *Queue) Expire(now int64) {
	for i := range q.links {
		q.expire(&q.links[i], now)
	}
}

func (q *Queue) expire(l *link, now int64) {
	for len(l.flying) > 0 {
		i := l.flying[0]
		it := q.items.at(i)
		if it.at > now {
			return
		}
		l.land(i)
		it.attempts++
		if int(it.attempts) >= l.policy.MaxAttempts {
			q.park(l, it, nil)
			continue
		}
		it.at = now + l.policy.pause(q.seed, uint64(it.id), int(it.attempts))
		q.wait(l, i)
	}
}

// Unsent says that what Due gave last for an item never left this process: the
// next offer is then not a repeat. The attempt still counts when its time is over.
func (q *Queue) Unsent(id txn.ID, form Form, to txn.LinkID) {
	if i, ok := q.links[to].byName[name{id, form}.number()]; ok {
		if it := q.items.at(i); it.offers > 0 {
			it.offers--
		}
	}
}

// LinkDown takes back all offers of a link. No attempt is counted: the item is
// not at fault. They are due first when the link is back.
func (q *Queue) LinkDown(to txn.LinkID) {
	l := &q.links[to]
	l.up = false
	for _, i := range l.flying {
		q.items.at(i).at = 0
		q.wait(l, i)
	}
	l.flying = l.flying[:0]
}

// Rest says that a link takes nothing for now, though it is up. Nothing is due
// until Due is asked again.
func (q *Queue) Rest(to txn.LinkID) { q.links[to].up = false }

// Release lets a parked or held item be offered again, with all its attempts;
// false when it is neither.
func (q *Queue) Release(id txn.ID, form Form, to txn.LinkID, now int64) bool {
	l := &q.links[to]
	n := name{id, form}
	i, ok := l.byName[n.number()]
	if !ok {
		return false
	}
	it := q.items.at(i)
	parked := it.state == Parked
	if !parked && !it.held {
		return false
	}
	if it.held {
		it.held = false
		l.held--
		q.store.Delete(holdKey(n, to))
	}
	if parked {
		l.parked--
	}
	if parked || it.state == Held {
		it.at, it.attempts = now, 0
		q.wait(l, i)
	}
	return true
}

// Next says when there will be something to do: an offer to make on a link that
// is up, or one to take back. False means never, as things stand. It is never
// before now. A link counts as up from its first Due to its LinkDown.
func (q *Queue) Next(now int64) (at int64, ok bool) {
	add := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	for i := range q.links {
		l := &q.links[i]
		if len(l.flying) > 0 {
			add(q.items.at(l.flying[0]).at)
		}
		if !l.up || l.stopped || len(l.waiting.list) == 0 || len(l.flying) >= l.policy.Window {
			continue
		}
		due := q.items.at(l.waiting.list[0]).at
		if l.round >= l.policy.PerRound {
			due = max(due, l.roundAt+int64(l.policy.Interval))
		}
		add(due)
	}
	return max(at, now), ok
}

// Len counts what is owed to a link, the parked items included.
func (q *Queue) Len(to txn.LinkID) int { return len(q.links[to].byName) }

// Parked counts the items of a link that used up their attempts or cannot be
// read.
func (q *Queue) Parked(to txn.LinkID) int { return q.links[to].parked }

// Total counts what is owed to all links.
func (q *Queue) Total() int {
	n := 0
	for i := range q.links {
		n += len(q.links[i].byName)
	}
	return n
}

// Fault is the first error of reading an item back, or nil. Such an item is
// parked.
func (q *Queue) Fault() error { return q.fault }

// Each shows the items of a link in no order, until f gives false. For people:
// it looks at every item.
func (q *Queue) Each(to txn.LinkID, f func(Item) bool) {
	for _, i := range q.links[to].byName {
		if !f(q.items.at(i).shown()) {
			return
		}
	}
}
