package engine

import (
	"time"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/fault"
	"tongka/flow"
	"tongka/registry"
	"tongka/translate"
	"tongka/txn"
)

// maxBad unreadable frames in a row end a terminal's connection, as a strike
// against its address.
const maxBad = 3

// terminalFrame starts a transaction. What cannot be read is answered with F39
// 30 where the terminal is known by then, counted, logged without its content,
// and never goes further.
func (s *Shard) terminalFrame(p *peer, b []byte) {
	door := s.cfg.Listeners[p.index].Door
	msg, err := door.Spec.Split(b, &s.envelope)
	if err != nil {
		s.keepMalformed(p, b, nil, -1, err)
		s.badFrame(p, err)
		p.bad = maxBad
		s.hangUp(p.id)
		return
	}
	sl := s.take()
	s.view = &s.views[s.held.n]
	sl.conn, sl.door, sl.At = p.id, p.index, s.now
	// The frame is lent, and a MAC may wait for the next frame's.
	sl.frame = append(sl.frame[:0], b...)
	msg = sl.frame[len(b)-len(msg):]
	if door.Edition != nil {
		msg, err = s.older(p, sl, door, msg)
	} else if err = door.Spec.Parse(s.view, msg); err != nil {
		s.keepMalformed(p, sl.frame, s.view, len(b)-len(msg), err)
	}
	sl.echo.Keep(&s.envelope, s.view, msg)
	if err != nil {
		s.unreadable(p, sl, err)
		return
	}
	if !isRequest(s.view.MTI()) || !addressed(s.view) && !s.bySerial(sl, s.view) {
		s.keepMalformed(p, sl.frame, s.view, len(b)-len(msg), errNotRequest)
		s.unreadable(p, sl, errNotRequest)
		return
	}
	p.bad = 0
	deny := translate.ReadRequest(s.view, &sl.Facts, &sl.echo)
	if sl.Kind == txn.Download && sl.echo.OfKey() {
		if sl.Key = s.cfg.Day.Keys.stage(sl.echo.Net()); sl.Key == flow.NoKey {
			sl.Kind, deny = txn.Unknown, txn.NotSupported
		}
	}
	if sl.Kind >= txn.LoadAccount && deny == (txn.Code{}) {
		deny = s.readCard(p, sl)
	}
	if d := s.admit(p, sl); deny != txn.BadFormat && d != (txn.Code{}) {
		deny = d
	}
	s.start(sl, deny)
}

// addressed says that a message names its terminal and merchant, so that there
// is somebody to answer.
func addressed(v *iso8583.View) bool { return v.Len(41) == 8 && v.Len(42) == 15 }

func isRequest(m iso8583.MTI) bool { return m&0x0010 == 0 && m&0x0F00 != 0 }

// start runs a transaction that has been read.
func (s *Shard) start(sl *slot, deny txn.Code) {
	if !flow.NeedsSession(sl.Kind) { // it has no MAC to wait for: what came before it goes first
		own := s.view
		s.verifyHeld()
		s.view = own
	}
	if sl.Kind != txn.Unknown && sl.term != nil {
		s.stats.Received++
	}
	_, _, sl.HasPIN = translate.PIN(s.view, &sl.Facts)
	sl.HasTDK = sl.Kind == txn.SignIn && (sl.echo.Net() == translate.TrackKeys || sl.echo.Net() == translate.SM4Keys)
	s.run(sl, flow.Event{Kind: flow.Arrived, Deny: deny, Now: s.now})
}

// admit finds the terminal and what it may do.
func (s *Shard) admit(p *peer, sl *slot) txn.Code {
	snap := s.reg.Snapshot()
	if p.term == nil || p.snap != snap || p.term.ID != sl.Terminal {
		p.term, p.snap, p.hist = snap.Terminal(&sl.Terminal), snap, nil
		if p.term != nil {
			p.hist = s.historyOf(&sl.Terminal)
			s.rule(p.hist, snap, &sl.Terminal)
		}
	}
	sl.term, sl.hist = p.term, p.hist
	if sl.hist != nil {
		sl.hist.taken++
	}
	switch {
	case sl.term == nil:
		s.stats.Unregistered++
		s.refusedLine(sl, "terminal not registered")
		return txn.NotRegistered
	case sl.index == scratchIndex:
		s.stats.Refused++
		s.cfg.Faults.Count(fault.NoSlot)
		return txn.SystemFault
	case s.crowded != (txn.Code{}) && flow.ClassOf(sl.Kind) != flow.Exempt:
		s.stats.NoSpace++
		return s.crowded
	case !flow.Supported(sl.Kind):
		s.stats.Refused++
		return txn.NotSupported
	case sl.hist.rules.unknown && flow.ClassOf(sl.Kind) != flow.Exempt:
		s.stats.Refused++
		return txn.BadMerchant
	case (!sl.term.Kinds.Has(sl.Kind) || !sl.hist.rules.kinds.Has(sl.Kind)) && (sl.term.Kinds == 0 || flow.ClassOf(sl.Kind) != flow.Exempt):
		// What it was once allowed it may make good, but for one that is barred.
		s.stats.Refused++
		return txn.NotAllowed
	}
	if sl.Kind == txn.SignIn {
		if c := s.signInKeys(sl); c != (txn.Code{}) {
			s.stats.Refused++
			return c
		}
	}
	sl.sess, sl.Group = sl.term.Session(s.now), sl.term.Group
	if sl.sess == nil && flow.NeedsSession(sl.Kind) {
		s.stats.Refused++
		return txn.SignInAgain
	}
	if flow.NeedsSession(sl.Kind) && !flow.OldBatch(sl.Kind) && sl.sess.Batch != 0 && sl.Batch != sl.sess.Batch {
		s.stats.Refused++
		return txn.SignInAgain // the batch of another session
	}
	if sl.sess != nil && flow.NeedsSession(sl.Kind) && !s.view.Has(64) {
		s.stats.BadMAC++
		s.refusedLine(sl, "no MAC")
		return txn.BadMAC
	}
	return s.pass(p, sl)
}

// unreadable answers a frame that is not in the dialect: format error, when
// enough was read to say to whom.
func (s *Shard) unreadable(p *peer, sl *slot, err error) {
	s.badFrame(p, err)
	v := s.view
	if addressed(v) && isRequest(v.MTI()) {
		translate.ReadRequest(v, &sl.Facts, &sl.echo)
		sl.Kind = txn.Unknown
		s.run(sl, flow.Event{Kind: flow.Arrived, Deny: txn.BadFormat, Now: s.now})
	} else {
		s.give(sl)
		p.bad = maxBad
	}
	if p.bad++; p.bad >= maxBad {
		s.hangUp(p.id)
	}
}

// hangUp ends a connection at the end of the turn, after what it is still told.
func (s *Shard) hangUp(id conn.ID) { s.closing = append(s.closing, id) }

// badFrame counts a frame that no dialect could read and says where it went
// wrong; a codec error names places and never content.
func (s *Shard) badFrame(p *peer, err error) {
	s.stats.BadFormat++
	s.limited(fault.FrameRefused, "frame refused", zap.String("listener", s.cfg.Listeners[p.index].Name),
		zap.Uint64("connection", uint64(p.id)), zap.Error(err))
}

// refusedLine logs who was refused, and why.
func (s *Shard) refusedLine(sl *slot, why string) {
	s.limited(fault.RequestRefused, "request refused", zap.String("why", why), zap.Stringer("kind", sl.Kind), zap.Uint64("connection", uint64(sl.conn)),
		zap.ByteString("merchant", sl.Terminal.Merchant[:]), zap.ByteString("terminal", sl.Terminal.Number[:]))
}

// limited logs what others can cause as often as they like: every one is counted.
func (s *Shard) limited(c fault.Code, what string, fields ...zap.Field) {
	if s.badLines.allow(s.now) {
		s.zap.Warn(what, append(fields, fault.Field(c))...)
		return
	}
	s.cfg.Faults.Count(c)
}

// lineLimit lets a few lines a second into the log: a flood must not fill the
// disk. The counters count all.
type lineLimit struct {
	second int64
	n      int
}

const linesPerSecond = 10

func (l *lineLimit) allow(now int64) bool {
	if sec := now / int64(time.Second); sec != l.second {
		l.second, l.n = sec, 0
	}
	l.n++
	return l.n <= linesPerSecond
}

// scratchIndex marks the one slot that is not among the slots: it only refuses.
const scratchIndex = ^uint32(0)

// take gives a fresh slot and a fresh number; the scratch slot when all are
// taken. A number whose trace is still in flight at a bank is skipped.
func (s *Shard) take() *slot {
	sl := &s.scratch
	sl.index = scratchIndex
	if n := len(s.free); n > 0 {
		sl = &s.slots[s.free[n-1]]
		s.free = s.free[:n-1]
	}
	for s.lastID++; s.lastID.STAN() == 0 || s.pending.busy(s.lastID); s.lastID++ {
	}
	sl.gen++
	sl.Txn = flow.Txn{Facts: txn.Facts{ID: s.lastID}}
	sl.term, sl.sess, sl.hist, sl.keys, sl.day = nil, nil, nil, nil, nil
	sl.orig, sl.armed, sl.entered, sl.seals, sl.fp = 0, false, false, false, 0
	sl.last, sl.intent, sl.counted = 0, 0, 0
	return sl
}

// give takes a slot back.
func (s *Shard) give(sl *slot) {
	s.exit(sl)
	if sl.hist != nil {
		sl.hist.taken--
	}
	if sl.index != scratchIndex {
		s.free = append(s.free, sl.index)
	}
	sl.State = flow.New
}

// install makes the keys of a sign-in the terminal's.
func (s *Shard) install(sl *slot) {
	s.reg.Install(sl.term, &sl.keys.session)
	s.begins(sl.hist, &sl.Terminal, sl.keys.session.Batch)
	sl.sess = nil // the answer to a sign-in carries no MAC
	s.stats.SignIns++
}

// newSession begins the session that a sign-in makes: the next batch number,
// and the time it lasts.
func (s *Shard) newSession(sl *slot) registry.Session {
	batch := uint32(1)
	if last := sl.term.Last(); last != nil {
		batch = nextBatch(last.Batch)
	}
	return registry.Session{Batch: batch, Since: s.now, Until: s.reg.Until(s.now)}
}
