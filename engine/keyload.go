package engine

import (
	"slices"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/flow"
	"tongka/registry"
	"tongka/translate"
	"tongka/txn"
)

// KeyCodes are F60.3 of what terminals say of their master keys, beside F60.1 99.
type KeyCodes struct{ Ask, Taken []int }

// usualKeyCodes are those of terminals in use. Source: captured messages (003);
// programs that ask with 380 and end with 381, as other downloads do, or with 401.
var usualKeyCodes = KeyCodes{Ask: []int{3, 380}, Taken: []int{381, 401}}

// stage says what a request about a master key wants. A code that means nothing is
// none.
func (c *KeyCodes) stage(net int) flow.KeyStage {
	if len(c.Ask)+len(c.Taken) == 0 {
		c = &usualKeyCodes
	}
	switch {
	case slices.Contains(c.Ask, net):
		return flow.AskKey
	case slices.Contains(c.Taken, net):
		return flow.KeyTaken
	}
	return flow.NoKey
}

// KeyEvent is something that happened to a terminal's master key, for the audit.
type KeyEvent struct {
	Terminal txn.Terminal
	What     string  // made, taken, refused
	KCV      [4]byte // check value of the new key; zeros when refused
	Why      string  // refused: for what
}

// keyTold hands on what is to be written where people look.
func (s *Shard) keyTold(sl *slot, what, why string) {
	if s.cfg.Books.KeyTold == nil {
		return
	}
	e := KeyEvent{Terminal: sl.Terminal, What: what, Why: why}
	if sl.day != nil && sl.day.key != nil {
		e.KCV = sl.day.key.KCV
	}
	s.cfg.Books.KeyTold(e)
}

// bySerial finds the terminal that a message is of which says no more than the
// serial number of its hardware.
func (s *Shard) bySerial(sl *slot, v *iso8583.View) bool {
	if !translate.Unnamed(v) {
		return false
	}
	id, ok := s.reg.Snapshot().BySerial(string(translate.Serial(v)))
	if ok {
		sl.echo.Name(&sl.Facts, &id)
	}
	return ok
}

// findPermit looks whether a terminal may have a new master key. One that was given
// a key, and has not said that it took it, gets the same again.
func (s *Shard) findPermit(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Fate: flow.Fresh, Now: s.now}
	if !s.rightSerial(sl, &ev) {
		return ev
	}
	if l := s.reg.KeyLoad(&sl.Terminal); l != nil && l.Taken == 0 && s.now < l.Until {
		ev.Fate, sl.day = flow.Repeat, &dayWork{key: l}
		return ev
	}
	permit, until := s.reg.Permitted(&sl.Terminal, s.now)
	transport := s.reg.Snapshot().TransportFor(&sl.Terminal)
	switch {
	case permit == 0:
		s.refuseKey(sl, &ev, txn.NotAllowed, "no permission to download a master key")
	case transport.N == 0:
		s.refuseKey(sl, &ev, txn.NoKey, "no transport key")
	default:
		sl.day = &dayWork{transport: transport, key: &registry.KeyLoad{Permit: permit, At: s.now, Until: until}}
	}
	return ev
}

// findTMK looks for the key that a terminal says it has taken.
func (s *Shard) findTMK(sl *slot) flow.Event {
	ev := flow.Event{Kind: flow.Found, Fate: flow.Known, Now: s.now}
	if !s.rightSerial(sl, &ev) {
		return ev
	}
	l := s.reg.KeyLoad(&sl.Terminal)
	switch {
	case l == nil:
		s.refuseKey(sl, &ev, txn.NoOriginal, "no master key was given")
	case l.Taken != 0:
		ev.Fate = flow.Repeat
	case s.now >= l.Until:
		s.refuseKey(sl, &ev, txn.NotAllowed, "taken too late")
	default:
		taken := *l
		taken.Taken = s.now
		sl.day = &dayWork{key: &taken}
	}
	return ev
}

// rightSerial holds the serial number of a request against the registered one.
func (s *Shard) rightSerial(sl *slot, ev *flow.Event) bool {
	if !s.viewOf(sl) {
		ev.Deny = txn.SystemFault
		return false
	}
	d := s.reg.Snapshot().Details(&sl.Terminal)
	if d == nil || d.Serial == "" || d.Serial == string(translate.Serial(s.view)) {
		return true
	}
	s.refuseKey(sl, ev, txn.NotRegistered, "serial number of other hardware")
	return false
}

func (s *Shard) refuseKey(sl *slot, ev *flow.Event, code txn.Code, why string) {
	ev.Deny = code
	s.refusedLine(sl, why)
	s.keyTold(sl, "refused", why)
}

// keepKey is the record of a key that was made or taken: the terminal hears of
// neither before it is on disk. Two requests may have been with a module at once;
// the key that was made first counts.
func (s *Shard) keepKey(sl *slot, what string) []byte {
	if l := s.reg.KeyLoad(&sl.Terminal); what == "made" && l != nil && l.Permit == sl.day.key.Permit {
		sl.day.key = l
	}
	s.aux = registry.AppendKeyLoad(s.aux[:0], &sl.Terminal, sl.day.key)
	s.log.Put(keyLoadKey(&sl.Terminal), s.aux)
	s.reg.KeepKeyLoad(sl.term, sl.day.key)
	s.keyTold(sl, what, "")
	s.zap.Info("master key of a terminal", zap.String("what", what), zap.ByteString("merchant", sl.Terminal.Merchant[:]), zap.ByteString("terminal", sl.Terminal.Number[:]))
	return s.aux
}

// adopt ends the session: its keys came under the old master key.
func (s *Shard) adopt(sl *slot) {
	if last := sl.term.Last(); last != nil {
		ended := *last
		ended.Until = s.now
		s.keepSession(sl, &ended)
	}
}

// keyF62 is F62 of the answer that brings a master key: under the transport key, and
// its check value.
func keyF62(l *registry.KeyLoad) []byte {
	return append(append([]byte(nil), l.Export.B[:l.Export.N]...), l.KCV[:]...)
}

// keyLoadPrefix begins the keys under which the newest download of each terminal is
// kept, in the batch of its record.
const keyLoadPrefix = "tmk/"

func keyLoadKey(t *txn.Terminal) []byte {
	return append(append([]byte(keyLoadPrefix), t.Merchant[:]...), t.Number[:]...)
}

// recallKeys gives the registry the downloads that it was written behind with.
func (s *Shard) recallKeys() error {
	return s.log.Each([]byte(keyLoadPrefix), func(_, body []byte) error {
		id, l, err := registry.DecodeKeyLoad(body)
		if err == nil {
			s.reg.RecallKeyLoad(&id, &l)
		}
		return err
	})
}
