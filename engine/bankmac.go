package engine

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/fault"
	"tongka/flow"
	"tongka/hsm"
	"tongka/translate"
	"tongka/txn"
)

// A bank's messages may carry a MAC under the zone's MAC key; which of them, and
// over what it is made, the link's translate.Bank says. A module in the process
// makes and verifies it at once, while the message is in hand. A module behind a
// socket takes its time: the message is kept in a macJob until it answers, and
// goes on then as if it had come, or been rendered, at that moment.
//
// What comes without its MAC, or with a wrong one, is counted, logged and dropped:
// to the transaction it is silence, which ends in its deadline and a reversal.

// LinkMAC is how a link's messages are authenticated. Which are, its Bank says.
type LinkMAC struct {
	Key hsm.Key // ZAK under the LMK
	Alg hsm.MACAlg
	// Check is what the first bytes of the key's check value must be; nil: anything.
	Check []byte
	// Hex says that the field holds the first four bytes as eight digits.
	Hex bool
	// Grace is how long what the bank sends may still be under the key before.
	Grace time.Duration
	// OldSeals says that the change of a MAC key is itself under the key that it
	// replaces; otherwise it is under the key that it brings.
	OldSeals bool
}

// macKeys are a link's MAC keys of now.
type macKeys struct {
	key, old hsm.Key
	until    int64 // until when old is good
	hint     uint32
}

// macJob is a message that waits for a module behind a socket.
type macJob struct {
	what  macWork
	index uint32
	gen   uint32
	link  txn.LinkID
	line  *line
	use   uint32 // of the line, when the message was made
	class translate.Class
	sl    *slot // a request's transaction, nil for other messages
	slGen uint32
	key   hsm.Key
	older bool   // asked under the key before
	frame []byte // the message, header included
	input []byte // what the MAC covers
	mac   [8]byte
}

type macWork uint8

const (
	macSeal macWork = iota // a message that leaves
	macProve
	macOffer // a change of the MAC key, under the key that it brings
	macCheck // the check value of a configured key
)

// bankMACs is what the shard needs for it.
type bankMACs struct {
	view  iso8583.View
	env   iso8583.Envelope
	input []byte
	req   hsm.Request
	rep   hsm.Reply
	jobs  []*macJob
	free  []*macJob
}

var (
	errMAC    = errors.New("the security module makes no MAC for it")
	errNoJobs = errors.New("no security module takes it")
)

// validate reports what is wrong with a link's MAC; m is nil for modules behind
// sockets, which are asked when they are there.
func (c *LinkMAC) validate(m hsm.Module) error {
	switch {
	case c.Key.N == 0:
		return errors.New("no MAC key")
	case c.Grace < 0:
		return fmt.Errorf("a grace of %v", c.Grace)
	case m == nil:
		return nil
	}
	var r hsm.Reply
	if m.Do(&hsm.Request{Verb: hsm.MakeMAC, Type: hsm.ZAK, Alg: c.Alg, Key: c.Key, Data: make([]byte, 8)}, &r); !r.Code.OK() {
		return fmt.Errorf("the security module makes no MAC with its key: code %s", r.Code[:])
	}
	m.Do(&hsm.Request{Verb: hsm.CheckValue, Type: hsm.ZAK, Key: c.Key}, &r)
	if !r.Code.OK() || !c.fits(&r.KCV) {
		return fmt.Errorf("the check value of its MAC key is %X and not %X", r.KCV[:max(3, len(c.Check))], c.Check)
	}
	return nil
}

// fits says that a key has the check value that is expected.
func (c *LinkMAC) fits(kcv *[8]byte) bool { return string(kcv[:len(c.Check)]) == string(c.Check) }

// dispatch ends a message that was rendered for a line into b, from start on, and
// gives it to out; sl is its transaction, if it is a request.
func (s *Shard) dispatch(n *line, out *outbuf, b []byte, start int, class translate.Class, sl *slot) error {
	l := &s.links[n.link]
	if l.cfg.Bank.Sealed(class) {
		msg := b[len(l.cfg.Framing.Begin(b[:start])):]
		if s.cfg.Module == nil {
			return s.sealLater(n, msg, class, sl)
		}
		if err := s.sealNow(l, msg, class); err != nil {
			return err
		}
	}
	b, err := l.cfg.Framing.End(b, start)
	if err == nil {
		out.b = b
		s.given(n, sl)
	}
	return err
}

// covered appends what the MAC of a message of ours is made over.
func (s *Shard) covered(dst []byte, l *link, msg []byte, class translate.Class) ([]byte, error) {
	m := &s.macs
	body, err := l.cfg.Bank.Spec.Split(msg, &m.env)
	if err == nil {
		err = l.cfg.Bank.Spec.Parse(&m.view, body)
	}
	if err != nil {
		return dst, err
	}
	dst, _, _ = l.cfg.Bank.MACInput(dst, &m.view, class)
	return dst, nil
}

func (s *Shard) sealNow(l *link, msg []byte, class translate.Class) (err error) {
	m := &s.macs
	if m.input, err = s.covered(m.input[:0], l, msg, class); err != nil {
		return err
	}
	m.req = hsm.Request{Verb: hsm.MakeMAC, Type: hsm.ZAK, Alg: l.cfg.MAC.Alg, Key: l.mac.key, Data: m.input, Hint: &l.mac.hint}
	if s.cfg.Module.Do(&m.req, &m.rep); !m.rep.Code.OK() {
		s.stats.HSMFaults++
		return errMAC
	}
	l.putMAC(msg, &m.view, m.rep.MAC)
	return nil
}

// putMAC writes what a module made into the last field of a message of ours.
func (l *link) putMAC(msg []byte, v *iso8583.View, mac [8]byte) {
	mac = l.shown(mac)
	l.cfg.Bank.PutBankMAC(msg, v, &mac)
}

// shown is a MAC as its field holds it.
func (l *link) shown(mac [8]byte) [8]byte {
	if l.cfg.MAC.Hex && l.cfg.MAC.Alg != hsm.UnionPay {
		hsm.AppendHex(mac[:0], append(make([]byte, 0, 4), mac[:4]...))
	}
	return mac
}

// sealLater has a module behind a socket make the MAC.
func (s *Shard) sealLater(n *line, msg []byte, class translate.Class, sl *slot) (err error) {
	l := &s.links[n.link]
	j := s.newJob(macSeal, n, class, l.mac.key)
	j.frame = append(j.frame[:0], msg...)
	if j.input, err = s.covered(j.input[:0], l, msg, class); err == nil && !s.askMAC(j) {
		err = errNoJobs
	}
	if err != nil {
		s.endJob(j)
		return err
	}
	if sl != nil {
		j.sl, j.slGen = sl, sl.gen
	}
	return nil
}

// proven says that a bank's message in s.bview may be believed now. One that a
// module behind a socket must look at first comes again when it has.
func (s *Shard) proven(n *line, m *translate.BankMessage, frame []byte) bool {
	l := &s.links[n.link]
	class := translate.ClassOf(m.MTI, m.Net)
	if !l.cfg.Bank.Sealed(class) {
		return true
	}
	if m.MTI == 0x0800 && class == translate.KeyChanges && !l.cfg.MAC.OldSeals && translate.BringsMACKey(&s.bview) {
		return true // it is proved by its own key, once that is known
	}
	var mac [8]byte
	var ok bool
	s.macs.input, mac, ok = l.cfg.Bank.MACInput(s.macs.input[:0], s.bankWire(l), class)
	if !ok {
		s.unproven(n, m, "no MAC")
		return false
	}
	if s.cfg.Module == nil {
		j := s.newJob(macProve, n, class, l.mac.key)
		j.frame, j.input, j.mac = append(j.frame[:0], frame...), append(j.input[:0], s.macs.input...), mac
		if !s.askMAC(j) {
			s.endJob(j)
			s.macFault(n.link, hsm.BadModule)
		}
		return false
	}
	code := s.verifyNow(l, l.mac.key, &mac)
	if code == hsm.Mismatch && s.graceful(l) {
		code = s.verifyNow(l, l.mac.old, &mac)
	}
	switch {
	case code.OK():
		return true
	case code == hsm.Mismatch:
		s.unproven(n, m, "wrong MAC")
	default:
		s.macFault(n.link, code)
	}
	return false
}

// verifyNow holds a MAC against s.macs.input.
func (s *Shard) verifyNow(l *link, key hsm.Key, mac *[8]byte) hsm.Code {
	m := &s.macs
	s.verification(&m.req, l, key, m.input, mac)
	m.req.Hint = &l.mac.hint
	s.cfg.Module.Do(&m.req, &m.rep)
	return l.verdict(&m.rep, mac)
}

// verification makes a request of it. A MAC that is cut to eight digits is made
// anew and compared here: no command compares half of one.
func (s *Shard) verification(q *hsm.Request, l *link, key hsm.Key, input []byte, mac *[8]byte) {
	*q = hsm.Request{Verb: hsm.VerifyMAC, Type: hsm.ZAK, Alg: l.cfg.MAC.Alg, Key: key, Data: input, MAC: *mac}
	if l.cfg.MAC.Hex {
		q.Verb = hsm.MakeMAC
	}
}

// verdict is a module's word on it.
func (l *link) verdict(r *hsm.Reply, mac *[8]byte) hsm.Code {
	if !l.cfg.MAC.Hex || !r.Code.OK() {
		return r.Code
	}
	if want := l.shown(r.MAC); subtle.ConstantTimeCompare(want[:], mac[:]) != 1 {
		return hsm.Mismatch
	}
	return r.Code
}

// graceful says that the key before the present one is still good.
func (s *Shard) graceful(l *link) bool { return l.mac.old.N != 0 && s.now < l.mac.until }

// unproven drops a message that nobody has to believe.
func (s *Shard) unproven(n *line, m *translate.BankMessage, why string) {
	s.stats.BadBankMAC++
	s.limited(fault.BankMACWrong, "bank's message not believed", zap.String("link", s.links[n.link].cfg.Name), zap.Int("line", n.number),
		zap.String("why", why), zap.Stringer("mti", m.MTI), zap.Uint32("stan", m.STAN))
}

// macFault tells of a MAC that no module made or looked at.
func (s *Shard) macFault(id txn.LinkID, code hsm.Code) {
	s.stats.HSMFaults++
	s.limited(fault.ModuleRefused, "MAC of a bank's message neither made nor verified", zap.String("link", s.links[id].cfg.Name), zap.ByteString("code", code[:]))
}

func (s *Shard) newJob(what macWork, n *line, class translate.Class, key hsm.Key) *macJob {
	m := &s.macs
	if len(m.free) == 0 {
		j := &macJob{index: uint32(len(m.jobs))}
		m.jobs = append(m.jobs, j) // no more than the pool has places
		m.free = append(m.free, j)
	}
	last := len(m.free) - 1
	j := m.free[last]
	m.free = m.free[:last]
	*j = macJob{what: what, index: j.index, gen: j.gen, link: n.link, line: n, use: n.Use, class: class, key: key, frame: j.frame, input: j.input}
	return j
}

func (s *Shard) endJob(j *macJob) {
	j.gen++
	j.line, j.sl = nil, nil
	s.macs.free = append(s.macs.free, j)
}

// askMAC puts a job to a module, or lets it wait for one.
func (s *Shard) askMAC(j *macJob) bool {
	s.macRequest(j)
	return s.put(asked{mac: true, slot: j.index, gen: j.gen})
}

// macRequest makes s.req what a job asks.
func (s *Shard) macRequest(j *macJob) {
	l := &s.links[j.link]
	switch j.what {
	case macSeal:
		s.req = hsm.Request{Verb: hsm.MakeMAC, Type: hsm.ZAK, Alg: l.cfg.MAC.Alg, Key: j.key, Data: j.input}
	case macCheck:
		s.req = hsm.Request{Verb: hsm.CheckValue, Type: hsm.ZAK, Key: j.key}
	default:
		s.verification(&s.req, l, j.key, j.input, &j.mac)
	}
}

// jobOf finds who asked; nil when the job has ended.
func (s *Shard) jobOf(a *asked) *macJob {
	if j := s.macs.jobs[a.slot]; j.gen == a.gen {
		return j
	}
	return nil
}

// macDone takes s.rep as what a module made of a job.
func (s *Shard) macDone(a *asked) {
	j := s.jobOf(a)
	if j == nil {
		return
	}
	l, code := &s.links[j.link], s.rep.Code
	if j.what == macProve || j.what == macOffer {
		code = l.verdict(&s.rep, &j.mac)
	}
	switch j.what {
	case macSeal:
		s.sealedBank(j)
	case macCheck:
		s.keyChecked(l, j)
	case macOffer:
		s.offerProven(l, j.slGen, code)
	case macProve:
		if code == hsm.Mismatch && !j.older && s.graceful(l) {
			j.older, j.key = true, l.mac.old
			if s.askMAC(j) {
				return
			}
		}
		s.provedBank(j, code)
	}
	s.endJob(j)
}

// sealedBank sends a message that has its MAC, if there is still somebody to send
// it to and something to send it for. A request without a MAC is not sent: its
// terminal is told so at once, and the reversal is owed like any other.
func (s *Shard) sealedBank(j *macJob) {
	l, n, sl := &s.links[j.link], j.line, j.sl
	waits := sl == nil || sl.gen == j.slGen && sl.State == flow.Waiting && sl.line == n && sl.use == j.use
	switch {
	case !waits || !l.cfg.Bank.Sealed(j.class) || n.Use != j.use || n.send == 0 && n.Lasts():
		return
	case !s.rep.Code.OK():
		s.macFault(j.link, s.rep.Code)
		if sl != nil {
			s.leave(sl, cancelled)
			s.countTimeout(sl)
			s.pending.end(sl.ID, wasExpired)
			s.run(sl, flow.Event{Kind: flow.Expired, Deny: txn.SystemFault, Now: s.now})
		}
		return
	}
	out := s.lineOut(n)
	if out == nil {
		return
	}
	mac := s.rep.MAC
	body, err := l.cfg.Bank.Spec.Split(j.frame, &s.macs.env)
	if err == nil {
		err = l.cfg.Bank.Spec.Parse(&s.macs.view, body)
	}
	if err != nil {
		return // it was read when it was made
	}
	l.putMAC(j.frame, &s.macs.view, mac)
	start := len(out.b)
	if b, err := l.cfg.Framing.End(append(l.cfg.Framing.Begin(out.b), j.frame...), start); err == nil {
		out.b = b
		s.given(n, sl)
	}
}

// provedBank goes on with a bank's message, or drops it.
func (s *Shard) provedBank(j *macJob, code hsm.Code) {
	l := &s.links[j.link]
	msg, err := l.cfg.Bank.Spec.Split(j.frame, &s.envelope)
	if err == nil {
		err = s.readBank(l, msg)
	}
	if err != nil {
		return // it was read when it came
	}
	var m translate.BankMessage
	translate.ReadBank(&s.bview, &m)
	switch {
	case code.OK():
		s.bankMessage(j.line, &m)
	case code == hsm.Mismatch:
		s.unproven(j.line, &m, "wrong MAC")
	default:
		s.macFault(j.link, code)
	}
}

// checkKeys asks the first module that serves for the check values that are
// expected of the configured MAC keys. A module in the process was asked before
// the start.
func (s *Shard) checkKeys() {
	for i := range s.links {
		l := &s.links[i]
		if l.cfg.MAC.Check == nil || l.checked == l.cfg.MAC.Key || s.cfg.Module != nil {
			continue
		}
		j := s.newJob(macCheck, l.lines[0], 0, l.cfg.MAC.Key)
		if !s.askMAC(j) {
			s.endJob(j)
		}
	}
}

func (s *Shard) keyChecked(l *link, j *macJob) {
	switch {
	case !s.rep.Code.OK():
		s.macFault(j.link, s.rep.Code)
		return
	case !l.cfg.MAC.fits(&s.rep.KCV):
		s.zap.Error("the configured MAC key of a bank has another check value", fault.Field(fault.BankKeyRefused), zap.String("link", l.cfg.Name),
			zap.String("kcv", fmt.Sprintf("%X", s.rep.KCV[:len(l.cfg.MAC.Check)])), zap.String("wanted", fmt.Sprintf("%X", l.cfg.MAC.Check)))
	}
	l.checked = j.key
}
