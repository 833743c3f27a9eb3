package engine

import (
	"errors"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/fault"
	"tongka/flow"
	"tongka/journal"
	"tongka/registry"
	"tongka/storefwd"
	"tongka/translate"
	"tongka/txn"
)

var errUnread = errors.New("journal record not read")

var errNotRequest = errors.New("not a request of a terminal that names itself (F41, F42)")

// run moves a transaction as far as it goes now. A step that is answered at
// once (a look-up, a module in the process) is the next event.
func (s *Shard) run(sl *slot, ev flow.Event) {
	var out flow.Effects
	for more := true; more; {
		flow.Decide(&s.env, &sl.Txn, &ev, &out)
		more = s.perform(sl, &out, &ev)
	}
	if sl.State == flow.Done {
		s.uncount(sl)
		s.remember(sl)
		if len(sl.holds) > 0 {
			s.letGo(sl)
		}
		if !sl.seals {
			s.give(sl)
		}
	}
}

// perform does the effects in their order; true means that ev is the answer to
// the last of them.
func (s *Shard) perform(sl *slot, out *flow.Effects, ev *flow.Event) bool {
	for i := range out.N {
		switch e := &out.A[i]; e.Do {
		case flow.Ask:
			return s.ask(sl, e.Step, ev)
		case flow.Seek:
			*ev = s.seek(sl, e.Step)
			return true
		case flow.Record:
			s.record(sl, e.Rec)
		case flow.Arm:
			sl.armed = true
			s.arm(&sl.timer, e.At, timerID(timerTxn, sl.gen, sl.index))
		case flow.Disarm:
			if sl.armed {
				sl.armed = false
				s.wheel.Disarm(sl.timer)
			}
		case flow.Forward:
			s.forward(sl)
		case flow.Reply:
			s.reply(sl)
		case flow.Resend:
			s.stats.Repeats++
			s.resend(sl)
		case flow.Attach:
			s.stats.Repeats++
			// Through another door the answer would be in another dialect.
			if live := &s.slots[sl.orig-1]; live.door == sl.door {
				live.conn, live.echo.Envelope = sl.conn, sl.echo.Envelope
			}
		case flow.Owe:
			s.owe(sl, e)
		case flow.Advise:
			s.advise(sl)
		case flow.Save:
			s.save(sl, e.Orig)
		case flow.Cancel:
			s.cancel(&s.slots[sl.orig-1])
		case flow.Install:
			s.install(sl)
		case flow.SaveCard:
			s.saveCard(sl)
		case flow.Credit:
			s.credit(&sl.Load.Unload)
		case flow.SaveOrder:
			s.saveOrder(sl, e.Orig)
		case flow.Alert:
			s.alert(sl, e.Alarm)
		case flow.SignOut:
			s.signOut(sl)
		case flow.Close:
			s.closeBatch(sl)
		case flow.Note:
			s.noteItems(sl)
		case flow.Adopt:
			s.adopt(sl)
		}
	}
	return false
}

// identity is the fingerprint of a request, or of a reversal's original.
func identity(f *txn.Facts) uint64 {
	mti := f.MTI
	if f.Kind == txn.Reversal {
		mti = f.Of.MTI()
	}
	return journal.Fingerprint(&f.Terminal, mti, f.Batch, f.Trace)
}

// seek looks for what is known under a request's identity.
func (s *Shard) seek(sl *slot, step flow.Step) flow.Event {
	switch step {
	case flow.FindNamed:
		return s.seekNamed(sl)
	case flow.HoldChain:
		return s.holdChain(sl)
	case flow.HoldCard:
		return s.holdCard(sl)
	case flow.AddUp:
		return s.addUp(sl)
	case flow.MatchItem:
		return s.matchItems(sl)
	case flow.Fetch:
		return s.fetch(sl)
	case flow.FindPermit:
		return s.findPermit(sl)
	case flow.FindTMK:
		return s.findTMK(sl)
	}
	ev := flow.Event{Kind: flow.Found, Now: s.now}
	fp := identity(&sl.Facts)
	if step == flow.SeekRepeat && s.surelyNew(sl) {
		s.first(sl, fp, true)
		ev.Refuse = s.permit(sl)
		return ev
	}
	r, ok := sl.hist.get(fp)
	index, live := r.live()
	if ok = ok && (!live || s.holds(index, fp)); !ok {
		var err error
		if r, ok, err = s.seekDisk(fp, &sl.Facts, s.since(sl)); err != nil {
			s.zap.Error("journal not read", fault.Field(fault.JournalUnread), zap.Error(err))
			ev.Deny = txn.SystemFault
			return ev
		}
		if live = false; ok {
			sl.hist.saw(&sl.Facts)
			s.know(sl, fp, r)
		}
	}
	if step == flow.SeekOriginal {
		s.seekOriginal(sl, fp, r, ok, &ev)
		return ev
	}
	switch {
	case !ok:
		s.first(sl, fp, false)
		ev.Refuse = s.permit(sl)
	case live:
		sl.orig = index + 1
		ev.Fate = sameOr(flow.Live, &s.slots[index].Facts, &sl.Facts)
	case r.result() == txn.Reversed:
		ev.Fate = flow.Clash
	case !s.get(r.lsn()):
		ev.Deny = txn.SystemFault
	default:
		ev.Fate = sameOr(flow.Repeat, &s.rec.Facts, &sl.Facts)
	}
	return ev
}

// first remembers a request that is no repeat, as one in flight; surely says that
// the ring cannot hold it.
func (s *Shard) first(sl *slot, fp uint64, surely bool) {
	sl.hist.saw(&sl.Facts)
	sl.fp = fp
	switch {
	case sl.index == scratchIndex:
	case surely:
		sl.place = sl.hist.add(fp, liveRef(sl.index), s.holdsFn)
	default:
		sl.place = sl.hist.put(fp, liveRef(sl.index), s.holdsFn)
	}
}

// seekOriginal finds what became of the transaction that a terminal reverses. A
// reversal that finds nothing is remembered: the original may still be on its
// way, and must not be done when it comes.
func (s *Shard) seekOriginal(sl *slot, fp uint64, r ref, ok bool, ev *flow.Event) {
	index, live := r.live()
	switch {
	case !ok:
		sl.hist.saw(&sl.Facts)
		s.know(sl, fp, doneRef(0, txn.Reversed))
	case live:
		sl.orig = index + 1
		sl.Orig, sl.Link = s.slots[index].ID, s.slots[index].Link
		ev.Fate, ev.Deny = sameOr(flow.Live, &s.slots[index].Facts, &sl.Facts), reversible(s.slots[index].Kind)
	case r.lsn() == 0: // reversed before, and never came
	case !s.get(r.lsn()):
		ev.Deny = txn.SystemFault
	default:
		orig := &s.rec.Facts
		sl.Ref = &flow.Ref{Facts: *orig}
		sl.Ref.Result = r.result()
		sl.Orig, sl.Link = orig.ID, orig.Link
		ev.Orig, ev.Deny = r.result(), reversible(orig.Kind)
		ev.Fate = sameOr(flow.Known, orig, &sl.Facts)
		if ev.Fate == flow.Known && ev.Orig == txn.Approved {
			sl.fp = fp
		}
	}
}

// reversible gives the code that refuses the reversal of what moved no money,
// zero otherwise.
func reversible(k txn.Kind) txn.Code {
	if flow.MovesMoney(k) {
		return txn.Code{}
	}
	return txn.BadTransaction
}

// seekDisk looks for a request that is not at hand, by the index that follows
// behind the journal: how it ended, and whether it was reversed since, or even
// before it came.
func (s *Shard) seekDisk(fp uint64, f *txn.Facts, since int64) (r ref, ok bool, err error) {
	first, err := s.find(fp, f, since)
	if err != nil {
		return 0, false, err
	}
	result := s.rec.Facts.Result
	back, err := s.find(journal.Fingerprint(&f.Terminal, 0x0400, f.Batch, f.Trace), f, since)
	switch {
	case err != nil:
		return 0, false, err
	case first == 0:
		return doneRef(0, txn.Reversed), back != 0, nil
	case back != 0 && s.rec.Facts.Code == txn.OK && result == txn.Approved:
		result = txn.Reversed
	}
	return doneRef(first, result), true, nil
}

// since is when the batch of a request began, 0 when that is not known: nothing
// of the batch is older than the sign-in that began it.
func (s *Shard) since(sl *slot) int64 {
	if sl.sess != nil && sl.sess.Batch == sl.Batch {
		return sl.sess.Since
	}
	return 0
}

// find reads the newest record with a fingerprint into s.rec, 0 when there is
// none of this very request: a fingerprint is only 64 bits.
func (s *Shard) find(fp uint64, of *txn.Facts, since int64) (journal.LSN, error) {
	lsn, ok, err := s.log.Find(fp, since)
	if err != nil || !ok {
		return 0, err
	}
	if !s.get(lsn) {
		return 0, errUnread
	}
	if f := &s.rec.Facts; f.Terminal != of.Terminal || f.Batch != of.Batch || f.Trace != of.Trace {
		return 0, nil
	}
	return lsn, nil
}

// holds says that a slot still works on the request with this identity.
func (s *Shard) holds(index uint32, fp uint64) bool {
	return s.slots[index].fp == fp && s.slots[index].State != flow.New
}

// sameOr is fate when request b means the same kind, amount and card as a, or
// reverses it, else Clash.
func sameOr(fate flow.Fate, a, b *txn.Facts) flow.Fate {
	if b.Kind != txn.Reversal && a.Kind != b.Kind || a.Amount != b.Amount || a.PAN.Len() > 0 && b.PAN.Len() > 0 && a.PAN != b.PAN {
		return flow.Clash
	}
	return fate
}

// get reads a record into s.rec; one of this very turn, too, whose effects wait
// for the end of the turn like all others.
func (s *Shard) get(lsn journal.LSN) bool {
	if err := s.log.Get(lsn, &s.rec); err != nil {
		s.zap.Error("journal record not read", fault.Field(fault.JournalUnread), zap.Uint64("lsn", uint64(lsn)), zap.Error(err))
		return false
	}
	return true
}

// record stages one record of a transaction.
func (s *Shard) record(sl *slot, kind flow.Rec) {
	rec := &s.rec
	rec.Body = nil
	switch kind {
	case flow.Intent:
		rec.Kind = journal.Intent
	case flow.Outcome:
		rec.Kind = journal.Outcome
		rec.Body = s.answer(sl)
	case flow.SignedIn:
		rec.Kind = journal.SignedIn
		s.aux = registry.AppendSession(s.aux[:0], &sl.Terminal, &sl.keys.session)
		rec.Body = s.aux
		s.log.Put(sessionKey(s.keyBuf[:0], &sl.Terminal), s.aux)
	case flow.SignedOut:
		rec.Kind = journal.SignedOff
	case flow.TMKMade:
		rec.Kind, rec.Body = journal.KeyLoad, s.keepKey(sl, "made")
	case flow.TMKTaken:
		rec.Kind, rec.Body = journal.KeyLoad, s.keepKey(sl, "taken")
	}
	rec.Facts = sl.Facts
	s.newest = s.log.Append(rec)
	s.stats.Records++
	if kind == flow.Outcome && sl.Result == txn.Approved {
		s.tally(sl)
	}
	if kind == flow.Intent {
		sl.intent = s.newest
	}
	sl.last = s.newest
}

// remember notes how a transaction ended under its identity.
func (s *Shard) remember(sl *slot) {
	if s.dead {
		return
	}
	if sl.fp != 0 {
		switch {
		case sl.Kind == txn.Reversal && sl.Code == txn.OK:
			s.markReversed(sl)
		case sl.Kind == txn.Reversal:
		case sl.last != 0:
			sl.hist.ended(sl.place, sl.fp, doneRef(sl.last, sl.Result), s.holdsFn)
		default:
			sl.hist.ended(sl.place, sl.fp, 0, s.holdsFn) // came to nothing
		}
	}
	s.count(sl)
}

// know remembers what is known of a terminal's request.
func (s *Shard) know(sl *slot, fp uint64, r ref) { sl.hist.put(fp, r, s.holdsFn) }

// markReversed keeps the record of the original and changes how it ended.
func (s *Shard) markReversed(sl *slot) {
	if r, ok := sl.hist.get(sl.fp); ok {
		s.know(sl, sl.fp, doneRef(r.lsn(), txn.Reversed))
	}
}

// cancel closes a transaction in flight because its terminal reverses it.
func (s *Shard) cancel(sl *slot) {
	if sl.State == flow.Waiting {
		s.stillOut(sl)
		s.leave(sl, cancelled)
		s.countTimeout(sl)
		s.pending.end(sl.ID, wasExpired)
	}
	s.run(sl, flow.Event{Kind: flow.Cancelled, Now: s.now})
}

// owe puts a reversal into the queue of its bank, in the batch of this turn.
func (s *Shard) owe(sl *slot, e *flow.Effect) {
	f := &sl.Facts
	if e.Orig {
		f = &sl.Ref.Facts
		s.reversed(sl, f)
	}
	s.owed.Owe(f, storefwd.Reversal, nil, e.Link, s.now)
}

// forward renders the request into the bank's buffer.
func (s *Shard) forward(sl *slot) {
	l := &s.links[sl.Link]
	l.inFlight++
	if c := s.gates.caps; c != nil {
		s.gates.links[sl.Link].Take(c.Links[sl.Link].Rate, s.now)
	}
	sl.line = s.pick(l)
	if sl.line == nil {
		s.pending.open(sl.ID, sl.index, -1)
		return // the line broke in this turn: the deadline will owe a reversal
	}
	n := sl.line
	s.pending.open(sl.ID, sl.index, n.index)
	n.InFlight++
	sl.use = n.Use
	sl.Line = uint8(min(n.number, 255))
	out := s.lineOut(n)
	if out == nil || !s.viewOf(sl) {
		return
	}
	start := len(out.b)
	var pin []byte
	if sl.HasPIN {
		pin = sl.pin[:sl.pinSize]
	}
	var orig *txn.Facts
	if sl.Ref != nil {
		orig = &sl.Ref.Facts
	}
	b, err := l.cfg.Bank.AppendRequest(l.cfg.Framing.Begin(out.b), s.view, &sl.Facts, orig, &sl.echo, pin, &s.clock)
	if err == nil {
		err = s.dispatch(n, out, b, start, translate.ClassOf(iso8583.MTI(sl.MTI), 0), sl)
	}
	if err != nil {
		out.b = out.b[:start]
		s.zap.Error("request not rendered", fault.Field(fault.RequestUnrendered), zap.String("link", l.cfg.Name), zap.Uint64("txn", uint64(sl.ID)), zap.Error(err))
		return
	}
	n.sent++
}

// viewOf makes s.view the request of a slot. With a module in the process it
// still is; otherwise the slot kept the frame.
func (s *Shard) viewOf(sl *slot) bool {
	if s.cfg.Module != nil {
		return true
	}
	door := s.cfg.Listeners[sl.door].Door
	if door.Edition != nil {
		return door.Edition.Plain().Parse(s.view, sl.older) == nil
	}
	msg, err := door.Spec.Split(sl.frame, &s.envelope)
	return err == nil && door.Spec.Parse(s.view, msg) == nil
}
