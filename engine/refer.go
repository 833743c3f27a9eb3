package engine

import (
	"encoding/binary"
	"errors"

	"go.uber.org/zap"

	"tongka/fault"
	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

// seekNamed finds the transaction that a request names: by batch and trace among
// this terminal's own, else by the reference number among all. With both, the
// reference number counts: the batch and trace may be another terminal's.
func (s *Shard) seekNamed(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Now: s.now}
	if !s.viewOf(sl) {
		ev.Deny = txn.SystemFault
		return ev
	}
	name := translate.ReadNamed(s.view)
	r, ok, err := s.byTrace(sl, &name)
	if ok && name.RRN != 0 && err == nil {
		ok = s.hasRRN(r, name.RRN)
	}
	if err == nil && !ok && name.RRN != 0 {
		r, ok, err = s.byRRN(name.RRN)
	}
	if err != nil {
		s.zap.Error("journal not read", fault.Field(fault.JournalUnread), zap.Error(err))
		ev.Deny = txn.SystemFault
		return ev
	}
	if _, live := r.live(); live {
		ev.Fate = flow.Live
		return ev
	}
	if !ok || r.lsn() == 0 {
		return ev
	}
	if !s.get(r.lsn()) {
		ev.Deny = txn.SystemFault
		return ev
	}
	sl.Ref = &flow.Ref{Facts: s.rec.Facts}
	sl.Ref.Result = r.result()
	ev.Fate, ev.Orig = flow.Known, r.result()
	return ev
}

// byTrace looks under each message type that the named kinds have.
func (s *Shard) byTrace(sl *slot, name *translate.Named) (r ref, ok bool, err error) {
	if name.Batch|name.Trace == 0 {
		return 0, false, nil
	}
	f := txn.Facts{Terminal: sl.Terminal, Batch: name.Batch, Trace: name.Trace}
	for _, k := range flow.MayName(sl.Kind) {
		if f.MTI == k.MTI() {
			continue
		}
		f.MTI = k.MTI()
		if r, ok, err = s.known(sl.hist, &f); ok || err != nil {
			return r, ok, err
		}
	}
	return 0, false, nil
}

// hasRRN says whether what was found has this reference number.
func (s *Shard) hasRRN(r ref, rrn uint64) bool {
	if index, live := r.live(); live {
		return s.clock.RRN(&s.slots[index].Facts) == rrn
	}
	return r.lsn() != 0 && s.get(r.lsn()) && s.clock.RRN(&s.rec.Facts) == rrn
}

// byRRN looks for the newest transaction that a reference number can stand for.
func (s *Shard) byRRN(rrn uint64) (r ref, ok bool, err error) {
	if _, err = s.log.FindID(s.idOf(rrn), &s.rec); err != nil {
		if errors.Is(err, journal.ErrNotFound) {
			err = nil
		}
		return 0, false, err
	}
	f := s.rec.Facts
	return s.known(s.histories[f.Terminal], &f)
}

// known says what is known of a request, in its terminal's history or on disk.
func (s *Shard) known(h *history, f *txn.Facts) (ref, bool, error) {
	fp := journal.Fingerprint(&f.Terminal, f.MTI, f.Batch, f.Trace)
	if h != nil {
		if r, ok := h.get(fp); ok {
			if index, live := r.live(); !live || s.holds(index, fp) {
				return r, true, nil
			}
		}
	}
	return s.seekDisk(fp, f, 0)
}

// object is something durable that one transaction at a time may change: what
// became of a transaction, a card, an order.
type object struct {
	class class
	id    [20]byte
}

type class uint8

const (
	chainObject class = iota
	cardObject
	orderObject
)

// OrderPrefix begins the keys of orders in the journal's database; the values are
// card.Order.
const OrderPrefix = "order/"

var prefixes = [...]string{"chain/", "card/", OrderPrefix}

var idSizes = [...]int{8, 16, 20}

// key appends where the object stands in the journal's database.
func (o *object) key(dst []byte) []byte {
	return append(append(dst, prefixes[o.class]...), o.id[:idSizes[o.class]]...)
}

// look reads what is kept of an object, nothing when nothing is. It is lent until the
// next look.
func (s *Shard) look(o *object) (b []byte, ok bool, err error) {
	s.looked, ok, err = s.log.Lookup(o.key(s.keyBuf[:0]), s.looked[:0])
	return s.looked, ok, err
}

func chainOf(id txn.ID) (o object) {
	binary.BigEndian.PutUint64(o.id[:], uint64(id))
	return o
}

// owner is the transaction that holds an object.
type owner struct{ slot, gen uint32 }

// holdChain locks what became of the named transaction, and for a reversal also
// what that one did to another, and reads both. Somebody else at it in this
// moment is a refusal: the terminal asks again.
func (s *Shard) holdChain(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Now: s.now}
	o := sl.Ref
	parent := txn.ID(0)
	if sl.Kind == txn.Reversal && len(flow.MayName(o.Kind)) > 0 {
		parent = o.Orig
	}
	if sl.index == scratchIndex || !s.lock(sl, chainOf(o.ID)) || parent != 0 && !s.lock(sl, chainOf(parent)) {
		ev.Deny = txn.InProgress
		return ev
	}
	var err error
	if o.Own, err = s.chain(o.ID); err == nil && parent != 0 {
		o.Parent, err = s.chain(parent)
	}
	if err != nil {
		s.zap.Error("chain not read", fault.Field(fault.JournalUnread), zap.Uint64("txn", uint64(o.ID)), zap.Error(err))
		ev.Deny = txn.SystemFault
	}
	return ev
}

// lock takes an object for a transaction until the turn in which that ends; false
// when another one has it.
func (s *Shard) lock(sl *slot, o object) bool {
	me := owner{sl.index, sl.gen}
	if has, taken := s.chains[o]; taken {
		return has == me
	}
	s.chains[o] = me
	sl.holds = append(sl.holds, o)
	return true
}

// unlockAll lets go what the transactions of this turn held. It is done behind
// the commit: what they saved cannot be read before.
func (s *Shard) unlockAll() {
	for _, o := range s.unlock {
		delete(s.chains, o)
	}
	s.unlock = s.unlock[:0]
}

// letGo notes that a transaction which holds something has ended.
func (s *Shard) letGo(sl *slot) {
	s.unlock = append(s.unlock, sl.holds...)
	sl.holds = sl.holds[:0]
}

// chained says of which transactions a chain may be kept: most are never named by
// another, and to find nothing in the store costs 10 µs. A bit for each number of this
// life; those that lie the table's size apart share it, which costs a look. Of what an
// older life did only the disk knows.
type chained struct {
	older txn.ID // numbers up to it are of older lives
	bits  []uint64
}

const chainedBits = 1 << 22

func (c *chained) at(id txn.ID) (word *uint64, mask uint64) {
	return &c.bits[id%chainedBits/64], 1 << (id % 64)
}

func (c *chained) note(id txn.ID) {
	word, mask := c.at(id)
	*word |= mask
}

func (c *chained) may(id txn.ID) bool {
	word, mask := c.at(id)
	return id <= c.older || *word&mask != 0
}

func (s *Shard) chain(id txn.ID) (flow.Chain, error) {
	if !s.chained.may(id) {
		return flow.Chain{}, nil
	}
	o := chainOf(id)
	b, _, err := s.look(&o)
	if err != nil {
		return flow.Chain{}, err
	}
	return flow.ReadChain(b)
}

// save writes the chain of the named transaction, or of the one that it named,
// into the batch of this turn.
func (s *Shard) save(sl *slot, parent bool) {
	id, c := sl.Ref.ID, sl.Ref.Own
	if parent {
		id, c = sl.Ref.Orig, sl.Ref.Parent
	}
	o := chainOf(id)
	if c == (flow.Chain{}) {
		s.log.Delete(o.key(s.keyBuf[:0]))
		return
	}
	s.chained.note(id)
	s.aux = flow.AppendChain(s.aux[:0], &c)
	s.log.Put(o.key(s.keyBuf[:0]), s.aux)
}

// advise owes the bank a notice of a transaction.
func (s *Shard) advise(sl *slot) {
	if !s.viewOf(sl) {
		return // it was read once: it can be read again
	}
	var orig *txn.Facts
	if sl.Ref != nil {
		orig = &sl.Ref.Facts
	}
	s.aux = translate.AppendNotice(s.aux[:0], s.view, orig, &s.clock)
	s.owed.Owe(&sl.Facts, storefwd.Advice, s.aux, sl.Link, s.now)
}
