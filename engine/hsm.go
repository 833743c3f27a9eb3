package engine

import (
	"go.uber.org/zap"

	"tongka/conn"
	"tongka/fault"
	"tongka/flow"
	"tongka/hsm"
	"tongka/hsm/pool"
	"tongka/timeout"
	"tongka/translate"
	"tongka/txn"
)

// module is one line to a security module: a socket. Whom to ask and whom to
// trust the pool decides, which knows the line by the same number.
type module struct {
	id      conn.ID // 0 = not connected
	machine string
	gone    bool // not of the configuration any more
}

// asked is who waits for a module's answer.
type asked struct {
	seal  bool // the MAC of an answer; otherwise a securing step
	zone  bool // or a bank's new key: then slot is the LinkID, and gen the offer's
	mac   bool // or the MAC of a bank's message: then slot is the macJob's index, and gen its
	step  flow.Step
	slot  uint32
	gen   uint32 // of the slot
	timer timeout.Token
}

// newPool makes the pool for a configuration that is valid.
func newPool(c *Config) *pool.Pool[asked] {
	p, err := pool.New[asked](c.poolOptions())
	if err != nil {
		panic(err) // Validate has asked the same
	}
	return p
}

func (c *Config) poolOptions() pool.Options {
	o := c.Pool
	o.Places, o.Width, o.Timeout, o.Seed = c.InFlight, c.Dialect.HeaderLen, c.HSMTimeout, c.Seed
	return o
}

// addModule makes a line known.
func (s *Shard) addModule(h *HSM) {
	m := module{machine: h.Machine}
	if m.machine == "" {
		m.machine = h.Name
	}
	number := 0
	for i := range s.hsms {
		if s.hsms[i].machine == m.machine {
			number = s.pool.Module(i)
			break
		}
		number = max(number, s.pool.Module(i)+1)
	}
	s.hsms = append(s.hsms, m)
	s.pool.Add(pool.Line{Module: number, Keys: h.Keys}, s.now)
}

// moduleOpened begins a line; what an older one left was cleared when it ended.
func (s *Shard) moduleOpened(i int, id conn.ID) {
	s.hsms[i].id = id
	s.pool.Opened(i, s.now)
	if s.hsms[i].gone {
		s.pool.Leaves(i, true)
	}
}

// ask puts a securing step to a module. In the process the answer is there at
// once, as the next event; true says so.
func (s *Shard) ask(sl *slot, step flow.Step, ev *flow.Event) bool {
	if step == flow.VerifyMAC && s.cfg.Module != nil && sl.index != scratchIndex {
		return s.verify(sl, ev)
	}
	if deny := s.request(sl, step); deny != (txn.Code{}) {
		*ev = flow.Event{Kind: flow.Secured, Deny: deny, Now: s.now}
		return true
	}
	if s.cfg.Module != nil {
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

// verify holds a request back until a group is full, then settles them all; true
// says that this one, the last of them, goes on after the others. They go on in the order
// they came.
func (s *Shard) verify(sl *slot, ev *flow.Event) bool {
	h := &s.held
	h.sl[h.n] = sl
	s.verifyRequest(sl, &h.req[h.n])
	if h.n++; h.n < len(h.sl) {
		return false
	}
	last := h.n - 1
	s.settleHeld(last)
	s.view = &s.views[last]
	*ev = s.secured(sl, flow.VerifyMAC, &h.rep[last])
	return true
}

// verifyHeld settles those that wait for more to come.
func (s *Shard) verifyHeld() {
	if n := s.held.n; n > 0 {
		s.settleHeld(n)
	}
}

// settleHeld verifies all that are held, and lets the first n go on.
func (s *Shard) settleHeld(n int) {
	h := &s.held
	s.cfg.Module.DoAll(h.req[:h.n], h.rep[:h.n])
	h.n = 0
	for i, sl := range h.sl[:n] {
		s.view = &s.views[i]
		s.run(sl, s.secured(sl, flow.VerifyMAC, &h.rep[i]))
	}
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
		s.verifyRequest(sl, q)
	case flow.TranslatePIN:
		q.Verb, q.Type = hsm.TranslatePIN, hsm.TPK
		q.Key, q.Key2 = sl.sess.PIK, s.links[sl.Link].zpk
		if q.Key.N == 0 || q.Key2.N == 0 {
			return txn.NoKey
		}
		return s.pinRequest(sl, q)
	case flow.MakePIK, flow.MakeMAK, flow.MakeTDK:
		if sl.keys == nil {
			sl.keys = s.newKeys(sl)
		}
		q.Verb, q.Type, q.Key = hsm.GenerateKey, keyTypes[step], s.reg.TMK(sl.term)
		q.Len = uint8(len(sl.keys.place(step)))
	case flow.CheckPIK:
		q.Verb, q.Type, q.Key = hsm.CheckValue, hsm.TPK, sl.keys.session.PIK
	case flow.CheckMAK:
		q.Verb, q.Type, q.Key = hsm.CheckValue, hsm.TAK, sl.keys.session.MAK
	case flow.MakeTMK:
		q.Verb, q.Type, q.Key = hsm.GenerateKey, hsm.TMK, sl.day.transport
	case flow.CheckTMK:
		q.Verb, q.Type, q.Key = hsm.CheckValue, hsm.TMK, sl.day.key.TMK
	case flow.VerifyMAC1, flow.VerifyTAC, flow.MakeMAC2:
		return s.cardRequest(sl, step)
	case flow.CheckTDK:
		q.Verb, q.Type, q.Key = hsm.CheckValue, hsm.DEK, sl.keys.session.TDK
	}
	return txn.Code{}
}

// verifyRequest makes a command of the MAC of a request in hand. It sets all that
// such a command has, so what is used for nothing else need not be cleared.
func (s *Shard) verifyRequest(sl *slot, q *hsm.Request) {
	v := s.sealedView(sl)
	q.Verb, q.Type, q.Alg, q.Key = hsm.VerifyMAC, hsm.TAK, sl.term.MAC, sl.sess.MAK
	q.Data, q.Hint, q.MAC = v.Before(64), &sl.hist.hint, translate.MAC(v)
}

// keyTypes are those of the keys that a sign-in makes.
var keyTypes = map[flow.Step]hsm.KeyType{flow.MakePIK: hsm.TPK, flow.MakeMAK: hsm.TAK, flow.MakeTDK: hsm.DEK}

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
		case (step == flow.VerifyMAC1 || step == flow.VerifyTAC) && r.Code == hsm.Mismatch:
			ev.Deny = txn.BadCardMAC
		default:
			s.stats.HSMFaults++
			s.zap.Warn("security module refused", fault.Field(fault.ModuleRefused), zap.Stringer("step", step), zap.ByteString("code", r.Code[:]))
			ev.Deny = txn.SystemFault
		}
		return ev
	}
	switch step {
	case flow.TranslatePIN:
		if sl.pinSize = copy(sl.pin[:], r.Out); sl.pinSize == 0 {
			sl.pinSize = copy(sl.pin[:], r.PIN[:])
		}
	case flow.MakePIK:
		sl.keys.session.PIK = r.Key
		copy(sl.keys.place(step), r.Export.B[:])
	case flow.MakeMAK:
		sl.keys.session.MAK = r.Key
		copy(sl.keys.place(step), r.Export.B[:])
	case flow.MakeTDK:
		sl.keys.session.TDK = r.Key
		copy(sl.keys.place(step), r.Export.B[:])
	case flow.CheckPIK, flow.CheckMAK, flow.CheckTDK:
		copy(sl.keys.place(step), r.KCV[:])
	case flow.MakeTMK:
		sl.day.key.TMK, sl.day.key.Export = r.Key, r.Export
	case flow.CheckTMK:
		copy(sl.day.key.KCV[:], r.KCV[:])
	case flow.MakeMAC2:
		copy(sl.Load.MAC2[:], r.MAC[:])
	}
	return ev
}

// command puts s.req, for a slot, to a module.
func (s *Shard) command(sl *slot, step flow.Step, seal bool) bool {
	return s.put(asked{seal: seal, step: step, slot: sl.index, gen: sl.gen})
}

// put sends s.req to a module, or lets it wait for one; false when there is none.
// who waits for the reply.
func (s *Shard) put(who asked) bool {
	o, ok := s.pool.Ask(s.req.Verb, who, s.now)
	if !ok {
		return false
	}
	if o.Line >= 0 && !s.write(o) {
		s.pool.Cancel(o)
		return false
	}
	s.armAsk(o)
	return true
}

// armAsk sets the timer of an order that Expire wants to hear of.
func (s *Shard) armAsk(o pool.Order) {
	s.arm(&s.pool.Owner(o.Place).timer, o.At, timerID(timerAsk, o.Use, o.Place))
}

// write puts s.req into the buffer of an order's line.
func (s *Shard) write(o pool.Order) bool {
	out := s.out(s.hsms[o.Line].id)
	if out == nil {
		return false
	}
	start := len(out.b)
	framing := s.cfg.HSMs[o.Line].Framing
	b, err := s.cfg.Dialect.Append(framing.Begin(out.b), o.Header, &s.req)
	if err == nil {
		b, err = framing.End(b, start)
	}
	if err != nil {
		out.b = out.b[:start]
		return false
	}
	out.b = b
	return true
}

// signOfLife is what B2 is given to say again.
var signOfLife = []byte("tongka")

// askModules sends what waited for a line, and the pool's own probes.
func (s *Shard) askModules() {
	for {
		o, owner, ok := s.pool.Next(s.now)
		if !ok {
			break
		}
		if o.Probe {
			s.req = hsm.Request{Verb: o.Verb, Data: signOfLife}
			if !s.write(o) {
				s.pool.Cancel(o)
				continue
			}
			s.armAsk(o)
			continue
		}
		s.wheel.Disarm(owner.timer)
		s.again(o)
	}
	s.pool.Events(s.moduleEvent)
}

// again performs an order for a command that is not s.req any more: it is made
// anew from its slot. One that nobody waits for, or that cannot be made, ends.
func (s *Shard) again(o pool.Order) {
	a := *s.pool.Owner(o.Place)
	if o.Line < 0 {
		s.armAsk(o)
		return
	}
	if s.remake(&a) && s.write(o) {
		s.armAsk(o)
		return
	}
	s.pool.Cancel(o)
	s.stats.HSMFaults++
	s.rep = hsm.Reply{Code: hsm.BadModule}
	s.conclude(&a)
}

// remake makes s.req what somebody asked for.
func (s *Shard) remake(a *asked) bool {
	if a.zone {
		l := &s.links[a.slot]
		s.zoneRequest(l)
		return l.offer.gen == a.gen && l.offer.line != nil
	}
	if a.mac {
		j := s.jobOf(a)
		if j != nil {
			s.macRequest(j)
		}
		return j != nil
	}
	sl := &s.slots[a.slot]
	switch {
	case sl.gen != a.gen:
		return false
	case a.seal:
		s.sealRequest(sl)
		return sl.seals
	}
	return asks(sl) && s.request(sl, a.step) == (txn.Code{})
}

// moduleEvent tells people of a change of trust. Another LMK is an alarm: whoever
// loaded it meant something by it.
func (s *Shard) moduleEvent(e pool.Event) {
	var name string
	for i := range s.hsms {
		if s.pool.Module(i) == e.Module {
			name = s.hsms[i].machine
			break
		}
	}
	fields := []zap.Field{zap.String("module", name), zap.Stringer("reason", e.Reason)}
	switch {
	case e.State == pool.Ready:
		s.zap.Info("security module serves", fields[0])
		s.checkKeys()
	case e.Reason == pool.WrongLMK:
		s.zap.Error("security module quarantined", append(fields, fault.Field(fault.ModuleQuarantined))...)
	default:
		s.zap.Warn("security module quarantined", append(fields, fault.Field(fault.ModuleQuarantined))...)
	}
}

// hsmFrame takes a module's reply.
func (s *Shard) hsmFrame(p *peer, b []byte) {
	header, err := s.cfg.Dialect.Header(b)
	if err != nil {
		s.keepMalformed(p, b, nil, -1, err)
		s.stats.Unmatched++
		return
	}
	place, verb, ok := s.pool.Find(int(p.index), header, s.now)
	if !ok {
		s.stats.Unmatched++ // late: the one who asked has gone on
		return
	}
	if _, err := s.cfg.Dialect.Parse(b, verb, &s.rep); err != nil {
		s.keepMalformed(p, b, nil, -1, err)
		s.zap.Error("security module's reply not read", fault.Field(fault.ModuleUnread), zap.Error(err))
		s.rep = hsm.Reply{Code: hsm.BadModule}
	}
	s.wheel.Disarm(s.pool.Owner(place).timer)
	owner, retry, mine := s.pool.Answer(place, &s.rep, s.now)
	switch {
	case mine:
		s.conclude(&owner)
	case retry.At != 0:
		s.again(retry)
	}
}

func (s *Shard) askExpired(index, use uint32) {
	e, owner, o, line := s.pool.Expire(index, use, s.now)
	if line >= 0 {
		m := &s.hsms[line]
		s.zap.Warn("security module does not answer: its line is closed", fault.Field(fault.ModuleMute), zap.String("module", s.cfg.HSMs[line].Name))
		s.loop.Close(m.id)
		m.id = 0 // the line's own Closed comes
	}
	switch e {
	case pool.Repeat:
		s.again(o)
	case pool.Failed:
		s.stats.HSMFaults++
		s.rep = hsm.Reply{Code: hsm.BadModule}
		a := *owner
		s.conclude(&a)
	}
}

// hsmLost gives what a module did not answer before its connection ended to
// another one, or fails it.
func (s *Shard) hsmLost(index int) {
	s.hsms[index].id = 0
	s.pool.Lost(index, s.now, func(a asked, o pool.Order, again bool) {
		s.wheel.Disarm(a.timer)
		if again {
			s.again(o)
			return
		}
		s.rep = hsm.Reply{Code: hsm.BadModule}
		s.conclude(&a)
	})
}

// conclude gives s.rep to the slot that asked, if it still waits for it.
func (s *Shard) conclude(a *asked) {
	if a.zone {
		s.keyImported(&s.links[a.slot], a.gen)
		return
	}
	if a.mac {
		s.macDone(a)
		return
	}
	sl := &s.slots[a.slot]
	switch {
	case sl.gen != a.gen:
	case a.seal && sl.seals:
		s.finishSeal(sl)
	case !a.seal && asks(sl):
		s.recallBank(sl)
		s.run(sl, s.secured(sl, a.step, &s.rep))
		s.answering = nil
	}
}

// asks says that a slot is in a state that waits for a module.
func asks(sl *slot) bool { return sl.State == flow.Securing || sl.State == flow.Writing }

// sealRemote asks a module for the MAC of an answer. The slot is kept until it
// comes.
func (s *Shard) sealRemote(sl *slot, body []byte) {
	b, from, err := s.frame(sl.frame[:0], sl, body)
	sl.frame, sl.sealFrom = b, from
	if err != nil {
		return
	}
	s.sealRequest(sl)
	if s.command(sl, flow.VerifyMAC, true) {
		sl.seals = true
	} else {
		s.stats.HSMFaults++
	}
}

func (s *Shard) sealRequest(sl *slot) {
	s.req = hsm.Request{Verb: hsm.MakeMAC, Type: hsm.TAK, Alg: sl.term.MAC, Key: sl.sess.MAK, Data: sl.frame[sl.sealFrom : len(sl.frame)-s.cfg.Listeners[sl.door].Door.MACRoom]}
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
