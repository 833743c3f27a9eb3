package engine

import (
	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/conn"
	"tongka/flow"
	"tongka/hsm"
	"tongka/timeout"
	"tongka/translate"
	"tongka/txn"
)

// module is one security module behind a socket.
type module struct {
	id       conn.ID // 0 = not connected
	inFlight int     // also what it did not answer in time: it may be at it still
	missed   int     // deadlines in a row
	late     int     // commands that nobody waits for any more
	since    int64   // when it was connected or lost, Unix nanoseconds
	expired  uint64  // deadlines since the start
	leaves   bool    // the front lets its connection go
	gone     bool    // not of the configuration any more
}

// maxMissed deadlines in a row end a module's line: one that takes commands and
// answers none would look idle and be asked first. Dialling it again is the probe.
const maxMissed = 3

// One that loses a command now and then is dialled again when it holds this
// share of all places.
const lateShare = 4

// opened begins a line; what an older one left was cleared when it ended.
func (m *module) opened(id conn.ID, now int64) {
	m.id, m.missed, m.since, m.leaves = id, 0, now, false
}

// takes says that it can be asked.
func (m *module) takes() bool { return m.id != 0 && !m.leaves && !m.gone }

// closed ends it, or says that nothing more goes there.
func (m *module) closed(now int64) {
	if m.id != 0 {
		m.id, m.since = 0, now
	}
}

// asks are the commands that modules have not answered yet. A command's header
// is its place here and how often that place was used. A place whose command was
// not answered in time stays taken until the answer comes after all or the line
// ends, and free places are used in turn: so a late reply is never taken for
// another's, which could let a forged message pass.
type asks struct {
	tab  []ask
	free ring
	bits uint // of the header for the place; the rest counts its uses
	mask uint32
}

type ask struct {
	use    uint32
	open   bool
	late   bool // nobody waits for the answer any more
	seal   bool // the MAC of an answer; otherwise a securing step
	zone   bool // or a bank's new key: then slot is the LinkID, and gen the offer's
	verb   hsm.Verb
	step   flow.Step
	module uint16
	slot   uint32
	gen    uint32 // of the slot
	timer  timeout.Token
}

// init makes room for n commands, or for as many as the module's message header
// can tell apart: a header of width hexadecimal characters gives three quarters
// of its bits to the place, 4,096 commands for the usual four.
func (a *asks) init(n, width int) {
	if width == 0 || width > 8 {
		width = 8
	}
	a.bits = uint(min(3*width, 20))
	a.mask = uint32(1)<<(4*uint(width)-a.bits) - 1
	a.tab = make([]ask, min(n, 1<<a.bits))
	a.free.places = make([]uint32, len(a.tab))
	for i := range a.tab {
		a.free.put(uint32(i))
	}
}

// ring gives places back in the order in which they became free.
type ring struct {
	places []uint32
	from   int
	n      int
}

func (r *ring) put(p uint32) {
	r.places[(r.from+r.n)%len(r.places)] = p
	r.n++
}

func (r *ring) take() uint32 {
	p := r.places[r.from]
	r.from = (r.from + 1) % len(r.places)
	r.n--
	return p
}

// ask puts a securing step to a module. In the process the answer is there at
// once, as the next event; true says so.
func (s *Shard) ask(sl *slot, step flow.Step, ev *flow.Event) bool {
	if deny := s.request(sl, step); deny != (txn.Code{}) {
		*ev = flow.Event{Kind: flow.Secured, Deny: deny, Now: s.now}
		return true
	}
	if s.cfg.Module != nil {
		if step == flow.VerifyMAC && sl.index != scratchIndex {
			return s.verify(sl, ev)
		}
		s.cfg.Module.Do(&s.req, &s.rep)
		*ev = s.secured(sl, step, &s.rep)
		return true
	}
	if s.command(sl, step, false) {
		return false
	}
	s.stats.HSMFaults++
	*ev = flow.Event{Kind: flow.Secured, Deny: txn.SystemFault, Now: s.now}
	return true
}

// verify holds the first request of a pair back and settles both when the second
// comes; true says that the second goes on. They go on in the order they came.
func (s *Shard) verify(sl *slot, ev *flow.Event) bool {
	h := &s.held
	if h.sl == nil {
		h.sl, h.view, h.req = sl, s.view, s.req
		s.view = s.otherView()
		return false
	}
	s.pair[0], s.pair[1] = h.req, s.req
	s.cfg.Module.DoPair(&s.pair, &s.pairRep)
	*ev = s.secured(sl, flow.VerifyMAC, &s.pairRep[1])
	first, own := h.sl, s.view
	h.sl, s.view = nil, h.view
	s.run(first, s.secured(first, flow.VerifyMAC, &s.pairRep[0]))
	s.view = own
	return true
}

// verifyHeld settles one that no other came for.
func (s *Shard) verifyHeld() {
	h := &s.held
	if h.sl == nil {
		return
	}
	sl, own := h.sl, s.view
	s.cfg.Module.Do(&h.req, &s.rep)
	h.sl, s.view = nil, h.view
	s.run(sl, s.secured(sl, flow.VerifyMAC, &s.rep))
	s.view = own
}

func (s *Shard) otherView() *iso8583.View {
	if s.view == &s.views[0] {
		return &s.views[1]
	}
	return &s.views[0]
}

// request makes s.req the command of a securing step.
func (s *Shard) request(sl *slot, step flow.Step) txn.Code {
	if (step == flow.VerifyMAC || step == flow.TranslatePIN) && !s.viewOf(sl) {
		return txn.SystemFault
	}
	q := &s.req
	*q = hsm.Request{}
	switch step {
	case flow.VerifyMAC:
		q.Verb, q.Type, q.Alg, q.Key = hsm.VerifyMAC, hsm.TAK, sl.term.MAC, sl.sess.MAK
		q.Data, q.Hint = s.view.Before(64), &sl.hist.hint
		q.MAC = translate.MAC(s.view)
	case flow.TranslatePIN:
		q.Verb, q.Type = hsm.TranslatePIN, hsm.TPK
		q.Key, q.Key2 = sl.sess.PIK, s.links[sl.Link].zpk
		if q.Key.N == 0 || q.Key2.N == 0 {
			return txn.NoKey
		}
		q.From, q.To = pinISO0, pinISO0
		block, pan12, _ := translate.PIN(s.view, &sl.Facts)
		copy(q.PIN[:], block[:])
		q.PAN12 = pan12
	case flow.MakePIK, flow.MakeMAK:
		if sl.keys == nil {
			sl.keys = &newKeys{session: s.newSession(sl)}
		}
		q.Verb, q.Type, q.Key = hsm.GenerateKey, hsm.TPK, sl.term.TMK
		if step == flow.MakeMAK {
			q.Type = hsm.TAK
		}
	case flow.CheckPIK:
		q.Verb, q.Type, q.Key = hsm.CheckValue, hsm.TPK, sl.keys.session.PIK
	case flow.CheckMAK:
		q.Verb, q.Type, q.Key = hsm.CheckValue, hsm.TAK, sl.keys.session.MAK
	}
	return txn.Code{}
}

const pinISO0 = hsm.PINFormat(1)

// secured takes a reply as the result of a step.
func (s *Shard) secured(sl *slot, step flow.Step, r *hsm.Reply) flow.Event {
	ev := flow.Event{Kind: flow.Secured, Now: s.now}
	if !r.Code.OK() {
		switch {
		case step == flow.VerifyMAC && r.Code == hsm.Mismatch:
			s.stats.BadMAC++
			s.refusedLine(sl, "wrong MAC")
			ev.Deny = txn.BadMAC
		case step == flow.TranslatePIN && r.Code[0] == '2':
			ev.Deny = txn.BadPIN // 20 to 24: the block does not hold a PIN
		default:
			s.stats.HSMFaults++
			s.zap.Warn("security module refused", zap.Stringer("step", step), zap.ByteString("code", r.Code[:]))
			ev.Deny = txn.SystemFault
		}
		return ev
	}
	switch step {
	case flow.TranslatePIN:
		sl.pin = r.PIN
	case flow.MakePIK:
		sl.keys.session.PIK = r.Key
		copy(sl.keys.f62[f62PIK:], r.Export.B[:16])
	case flow.CheckPIK:
		copy(sl.keys.f62[f62PIKCheck:], r.KCV[:4])
	case flow.MakeMAK:
		sl.keys.session.MAK = r.Key
		copy(sl.keys.f62[f62MAK:], r.Export.B[:16])
	case flow.CheckMAK:
		copy(sl.keys.f62[f62MAKCheck:], r.KCV[:4])
	}
	return ev
}

// command puts s.req, for a slot, to a module.
func (s *Shard) command(sl *slot, step flow.Step, seal bool) bool {
	return s.put(ask{seal: seal, step: step, slot: sl.index, gen: sl.gen})
}

// put sends s.req to the module with the fewest commands out; false when no
// module can take it. what says who waits for the reply.
func (s *Shard) put(what ask) bool {
	best := -1
	for i := range s.hsms {
		if s.hsms[i].takes() && (best < 0 || s.hsms[i].inFlight < s.hsms[best].inFlight) {
			best = i
		}
	}
	if best < 0 || s.asks.free.n == 0 {
		return false
	}
	m := &s.hsms[best]
	out := s.out(m.id)
	index := s.asks.free.places[s.asks.free.from]
	a := &s.asks.tab[index]
	header := a.use&s.asks.mask<<s.asks.bits | index
	start := len(out.b)
	framing := s.cfg.HSMs[best].Framing
	b, err := s.cfg.Dialect.Append(framing.Begin(out.b), header, &s.req)
	if err == nil {
		b, err = framing.End(b, start)
	}
	if err != nil {
		out.b = out.b[:start]
		return false
	}
	out.b = b
	s.asks.free.take()
	m.inFlight++
	what.use, what.open, what.verb, what.module = a.use, true, s.req.Verb, uint16(best)
	*a = what
	s.arm(&a.timer, s.now+int64(s.cfg.HSMTimeout), timerID(timerAsk, a.use, index))
	return true
}

// hsmFrame takes a module's reply.
func (s *Shard) hsmFrame(p *peer, b []byte) {
	header, err := s.cfg.Dialect.Header(b)
	index := header & (1<<s.asks.bits - 1)
	if err != nil || int(index) >= len(s.asks.tab) {
		s.stats.Unmatched++
		return
	}
	a := &s.asks.tab[index]
	if !a.open || a.use&s.asks.mask != header>>s.asks.bits || a.module != p.index {
		s.stats.Unmatched++ // late: the one who asked has gone on
		return
	}
	s.hsms[a.module].missed = 0
	if a.late {
		s.stats.Unmatched++
		s.vacate(index)
		return
	}
	if _, err := s.cfg.Dialect.Parse(b, a.verb, &s.rep); err != nil {
		s.zap.Error("security module's reply not read", zap.Error(err))
		s.rep = hsm.Reply{Code: hsm.BadModule}
	}
	s.wheel.Disarm(a.timer)
	done := *a
	s.vacate(index)
	s.conclude(&done)
}

// vacate frees the place of a command.
func (s *Shard) vacate(index uint32) {
	a := &s.asks.tab[index]
	s.hsms[a.module].inFlight--
	if a.late {
		s.hsms[a.module].late--
	}
	*a = ask{use: a.use + 1}
	s.asks.free.put(index)
}

func (s *Shard) askExpired(index, use uint32) {
	a := &s.asks.tab[index]
	if !a.open || a.late || a.use&0xFFFFFFF != use {
		return
	}
	a.late = true
	s.stats.HSMFaults++
	m := &s.hsms[a.module]
	m.missed++
	m.late++
	m.expired++
	if m.id != 0 && (m.missed >= maxMissed || m.late*lateShare >= len(s.asks.tab)) {
		s.zap.Warn("security module does not answer: its line is closed", zap.String("module", s.cfg.HSMs[a.module].Name))
		s.loop.Close(m.id)
		m.closed(s.now) // the line's own Closed comes
	}
	s.rep = hsm.Reply{Code: hsm.BadModule}
	s.conclude(a)
}

// hsmLost fails what a module did not answer before its connection ended.
func (s *Shard) hsmLost(index int) {
	s.hsms[index].closed(s.now)
	for i := range s.asks.tab {
		a := s.asks.tab[i]
		if !a.open || int(a.module) != index {
			continue
		}
		s.vacate(uint32(i))
		if !a.late {
			s.wheel.Disarm(a.timer)
			s.rep = hsm.Reply{Code: hsm.BadModule}
			s.conclude(&a)
		}
	}
}

// conclude gives s.rep to the slot that asked, if it still waits for it.
func (s *Shard) conclude(a *ask) {
	if a.zone {
		s.keyImported(&s.links[a.slot], a.gen)
		return
	}
	sl := &s.slots[a.slot]
	switch {
	case sl.gen != a.gen:
	case a.seal && sl.seals:
		s.finishSeal(sl)
	case !a.seal && sl.State == flow.Securing:
		s.run(sl, s.secured(sl, a.step, &s.rep))
	}
}

// sealRemote asks a module for the MAC of an answer. The slot is kept until it
// comes.
func (s *Shard) sealRemote(sl *slot, body []byte) {
	b, from, err := s.frame(sl.frame[:0], sl, body)
	sl.frame, sl.sealFrom = b, from
	if err != nil {
		return
	}
	s.req = hsm.Request{Verb: hsm.MakeMAC, Type: hsm.TAK, Alg: sl.term.MAC, Key: sl.sess.MAK, Data: b[from : len(b)-s.cfg.Listeners[sl.door].Door.MACRoom]}
	if s.command(sl, flow.VerifyMAC, true) {
		sl.seals = true
	} else {
		s.stats.HSMFaults++
	}
}

// finishSeal sends the answer with its MAC. Without one it is not sent: the
// terminal would take it for a forgery, and reverse, as it does without it.
func (s *Shard) finishSeal(sl *slot) {
	if s.rep.Code.OK() {
		translate.PutMAC(sl.frame[len(sl.frame)-s.cfg.Listeners[sl.door].Door.MACRoom:], &s.rep.MAC)
		s.sendNow(sl.conn, sl.frame)
		if sl.Sent != 0 {
			s.sent = append(s.sent, sl.At)
		}
	} else {
		s.stats.HSMFaults++
	}
	sl.seals = false
	s.give(sl)
}
