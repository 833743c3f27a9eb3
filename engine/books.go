package engine

import (
	"encoding/binary"
	"time"

	"tongka/journal"
	"tongka/registry"
	"tongka/registry/blacklist"
	"tongka/registry/limits"
	"tongka/txn"
)

// Books are what a fresh request is held against: the list of refused cards, and
// the limits of a day, which the registry's snapshot brings.
type Books struct {
	Blacklist *blacklist.Book // nil: none
	Cards     int             // cards and classes of a day that are counted at most; room is made with the first limit of cards
	DayCut    time.Duration   // when a business day begins, after midnight
	// Suspect is told of a card that smells of fraud. It is called on the loop and
	// must not wait; nil: nobody is told.
	Suspect func(Suspicion)
	// KeyTold is told what happens to terminals' master keys, in the same way.
	KeyTold func(KeyEvent)
	// CutTold is told what banks say about the business day, in the same way; false
	// means that there was no room, and the bank gets no answer, so it asks again.
	CutTold func(CutEvent) bool
}

// Suspicion is the try to use a card that is on the list for a reason that
// somebody should look into.
type Suspicion struct {
	Terminal txn.Terminal
	Kind     txn.Kind
	Card     txn.PAN // prints masked
	Mark     blacklist.Mark
	ID       txn.ID
}

// rules are what holds for a terminal, kept with its history; they are looked up
// when a connection meets a new snapshot, and cost nothing after that.
type rules struct {
	gen      uint64 // of the snapshot that they are from
	any      bool   // of hours or limits
	unknown  bool   // its merchant is not in the table, or closed
	kinds    registry.Kinds
	hours    [2]*registry.Hours // of terminal and merchant
	profiles [limits.Subjects]*limits.Profile
	uses     *limits.Uses
	merchant *limits.Uses
}

// counters are a shard's counters of a day. Those of terminals and merchants
// stand with the histories, one for each that is registered.
type counters struct {
	hasher    *blacklist.Hasher
	merchants map[[15]byte]*limits.Uses
	cards     *limits.Cards // nil before the first limit of cards
	since     int64         // counting began, Unix nanoseconds; 0: with the day
	counts    bool          // there are limits
	marked    int32         // the day whose begin the journal keeps
	before    journal.LSN   // the newest record at the mark before
	snap      *registry.Snapshot
	gen       uint64 // which snapshot that is: histories must not keep old ones alive
}

// rule looks up what holds for a terminal.
func (s *Shard) rule(h *history, snap *registry.Snapshot, id *txn.Terminal) {
	if d := &s.daily; d.snap != snap {
		d.snap = snap
		d.gen++
	}
	if h.rules.gen == s.daily.gen {
		return
	}
	r := rules{gen: s.daily.gen, kinds: registry.AllKinds, uses: h.rules.uses, merchant: h.rules.merchant}
	set := snap.Limits()
	term, merch := "", ""
	if d := snap.Details(id); d != nil {
		r.hours[0], term = &d.Hours, d.Limits
	}
	if m, listed := snap.Merchant(&id.Merchant); m != nil {
		r.hours[1], merch, r.kinds, r.unknown = &m.Hours, m.Limits, m.Kinds, m.Closed
	} else {
		r.unknown = listed
	}
	for i, hours := range r.hours {
		if hours != nil && *hours == (registry.Hours{}) {
			r.hours[i] = nil
		}
	}
	if set != nil {
		s.countFrom(set)
		r.profiles = [...]*limits.Profile{set.Find(limits.Terminal, term), set.Find(limits.Merchant, merch), set.Find(limits.Card, "")}
		s.makeUses(&r, id)
	}
	r.any = set != nil || r.hours != [2]*registry.Hours{}
	h.rules = r
}

// countFrom begins to count when limits come into force.
func (s *Shard) countFrom(set *limits.Set) {
	d := &s.daily
	if !d.counts {
		d.counts, d.since = true, s.now
	}
	if d.cards == nil && d.hasher != nil && len(set[limits.Card]) > 0 {
		d.cards = limits.NewCards(s.cfg.Books.Cards)
	}
}

func (s *Shard) makeUses(r *rules, id *txn.Terminal) {
	if r.uses == nil {
		r.uses = new(limits.Uses)
	}
	if r.merchant == nil {
		if r.merchant = s.daily.merchants[id.Merchant]; r.merchant == nil {
			r.merchant = new(limits.Uses)
			s.daily.merchants[id.Merchant] = r.merchant
		}
	}
}

// permit gives the code that refuses a fresh request, or counts it. It comes when
// the request has proved itself and is no repeat, so nobody is refused what was
// done before, and a refusal is on record.
func (s *Shard) permit(sl *slot) txn.Code {
	class := limits.ClassOf(sl.Kind)
	if class == limits.Free || sl.Load != nil && (sl.Opens() || sl.Confirms()) {
		return txn.Code{} // it has happened already, or makes good what went wrong
	}
	sl.print = s.print(&sl.PAN)
	if c := s.listed(sl); c != (txn.Code{}) {
		s.stats.Blacklisted++
		return c
	}
	r := &sl.hist.rules
	if !r.any {
		return txn.Code{}
	}
	for _, h := range r.hours {
		if h != nil && !h.Open(sl.At) {
			s.stats.WhenClosed++
			return txn.NotAllowed
		}
	}
	if !s.daily.counts {
		return txn.Code{}
	}
	day := limits.Day(sl.At, s.cfg.Books.DayCut)
	if v := s.tooMuch(sl, r, class, day); v != limits.Pass {
		s.stats.OverDaily++
		return v.Code()
	}
	s.countUse(r, &sl.Facts, sl.print, day, true)
	sl.counted = day
	return txn.Code{}
}

// tooMuch says whether one more is too much for its terminal, merchant or card.
func (s *Shard) tooMuch(sl *slot, r *rules, class limits.Class, day int32) limits.Verdict {
	for i, u := range [...]*limits.Uses{limits.Terminal: r.uses, limits.Merchant: r.merchant} {
		if p := r.profiles[i]; p != nil {
			if v := p[class].Check(&u[class], day, sl.Amount); v != limits.Pass {
				return v
			}
		}
	}
	if p := r.profiles[limits.Card]; p != nil && s.daily.cards != nil && sl.PAN.Len() > 0 {
		return s.daily.cards.Check(&p[class], sl.print, class, day, sl.Amount)
	}
	return limits.Pass
}

// print is the fingerprint under which a card is listed and counted; 0 when
// neither is done.
func (s *Shard) print(p *txn.PAN) uint64 {
	b := s.cfg.Books.Blacklist
	if b == nil || p.Len() == 0 || s.daily.cards == nil && b.List().Len() == 0 {
		return 0
	}
	return s.daily.hasher.Card(p)
}

// countUse counts a transaction of a terminal, or takes it back.
func (s *Shard) countUse(r *rules, f *txn.Facts, print uint64, day int32, add bool) {
	class, amount := limits.ClassOf(f.Kind), f.Amount
	if c := s.daily.cards; c != nil && f.PAN.Len() > 0 {
		if add {
			c.Add(print, class, day, amount)
		} else {
			c.Take(print, class, day, amount)
		}
	}
	for _, u := range [...]*limits.Uses{r.uses, r.merchant} {
		switch {
		case u == nil:
		case add:
			u[class].Add(day, amount)
		default:
			u[class].Take(day, amount)
		}
	}
}

// uncount takes back what came to nothing: declined, timed out, refused later on,
// or a load that was counted when it was paid for.
func (s *Shard) uncount(sl *slot) {
	if sl.counted != 0 && (sl.Result != txn.Approved || sl.Load != nil && sl.Load.Rewrite) {
		s.countUse(&sl.hist.rules, &sl.Facts, sl.print, sl.counted, false)
	}
	sl.counted = 0
}

// reversed takes back what its terminal has reversed, when it was counted.
func (s *Shard) reversed(sl *slot, orig *txn.Facts) {
	if class := limits.ClassOf(orig.Kind); s.daily.counts && class != limits.Free && orig.At >= s.daily.since {
		s.countUse(&sl.hist.rules, orig, s.print(&orig.PAN), limits.Day(orig.At, s.cfg.Books.DayCut), false)
	}
}

// listed looks for the card in the list of this moment. A grey card passes, and is
// counted.
func (s *Shard) listed(sl *slot) txn.Code {
	b := s.cfg.Books.Blacklist
	if b == nil || sl.PAN.Len() == 0 {
		return txn.Code{}
	}
	mark, ok := b.List().Find(sl.print)
	if !ok {
		return txn.Code{}
	}
	if mark.Suspicious() && s.cfg.Books.Suspect != nil {
		s.cfg.Books.Suspect(Suspicion{sl.Terminal, sl.Kind, sl.PAN, mark, sl.ID})
	}
	if mark.Grey() {
		s.stats.Greylisted++
		return txn.Code{}
	}
	return mark.Code()
}

// dayKey is where the journal keeps the day and the newest record from before it.
var dayKey = []byte("day")

// markDay notes where a day begins, so that a restart need not read more. Records
// since the last mark may be of the new day already; those before it are not.
func (s *Shard) markDay() {
	d := &s.daily
	if day := limits.Day(s.now, s.cfg.Books.DayCut); day > d.marked {
		s.keepDay(day, d.before)
	}
	d.before = s.newest
}

func (s *Shard) keepDay(day int32, from journal.LSN) {
	b := binary.BigEndian.AppendUint32(nil, uint32(day))
	s.log.Put(dayKey, binary.BigEndian.AppendUint64(b, uint64(from)))
	s.daily.marked = day
}

// recountDay counts the day's approved transactions again from the journal, before
// the doors open. It reads twice: what was reversed first, for a record does not
// know what comes after it.
func (s *Shard) recountDay() error {
	d, today := &s.daily, limits.Day(s.now, s.cfg.Books.DayCut)
	d.before = s.newest
	b, ok, err := s.log.Lookup(dayKey, nil)
	if err != nil {
		return err
	}
	var from journal.LSN
	if ok && len(b) == 12 {
		d.marked, from = int32(binary.BigEndian.Uint32(b)), journal.LSN(binary.BigEndian.Uint64(b[4:]))
	}
	snap := s.reg.Snapshot()
	if snap.Limits() == nil {
		if d.marked != today {
			d.marked = today // where it began is not known: the older place stays
		}
		return nil
	}
	s.countFrom(snap.Limits())
	d.since = 0
	gone := map[txn.ID]struct{}{}
	first := journal.LSN(0)
	err = s.log.Replay(from, func(lsn journal.LSN, r *journal.Record) error {
		if limits.Day(r.Facts.At, s.cfg.Books.DayCut) == today && first == 0 {
			first = lsn
		}
		if r.Kind == journal.Outcome && r.Facts.Kind == txn.Reversal && r.Facts.Code == txn.OK && r.Facts.Orig != 0 {
			gone[r.Facts.Orig] = struct{}{}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if first == 0 {
		first = s.newest
	}
	err = s.log.Replay(first, func(_ journal.LSN, r *journal.Record) error {
		if _, undone := gone[r.Facts.ID]; r.Kind == journal.Outcome && !undone && r.Facts.Result == txn.Approved && limits.Day(r.Facts.At, s.cfg.Books.DayCut) == today {
			s.recountOne(snap, &r.Facts, today)
		}
		return nil
	})
	if d.marked != today {
		s.keepDay(today, first)
	}
	return err
}

func (s *Shard) recountOne(snap *registry.Snapshot, f *txn.Facts, today int32) {
	class := limits.ClassOf(f.Kind)
	if class == limits.Free || credited(f) || snap.Terminal(&f.Terminal) == nil {
		return
	}
	h := s.historyOf(&f.Terminal)
	s.makeUses(&h.rules, &f.Terminal)
	s.countUse(&h.rules, f, s.print(&f.PAN), today, true)
}
