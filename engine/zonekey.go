package engine

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tongka/fault"
	"tongka/hsm"
	"tongka/translate"
	"tongka/txn"
)

// A bank changes the PIN key of the zone with an 0800, the new key under the zone
// master key. A security module takes it under the LMK; it is on disk before the
// bank hears yes, and from then on PINs go under it, after a restart, too. A key
// that an operator writes into the configuration afterwards is newer than that.

// keyOffer is the change of a link's key that a module is asked for.
type keyOffer struct {
	line *line
	n    int
	stan uint32
	gen  uint32 // an offer that was repeated meanwhile is forgotten
	key  hsm.Key
}

func zoneKey(id int) []byte { return fmt.Appendf(nil, "zpk/%05d", id) }

const zoneKeySize = 2 + len(hsm.Key{}.B)

func appendZoneKey(dst []byte, k *hsm.Key) []byte {
	return append(append(dst, k.Scheme, k.N), k.B[:]...)
}

func readZoneKey(b []byte) hsm.Key {
	return hsm.Key{Scheme: b[0], N: b[1], B: [24]byte(b[2:])}
}

// loadZoneKeys gives each link the key that its bank brought last, unless the
// configuration has changed since.
func (s *Shard) loadZoneKeys() error {
	for i := range s.links {
		l := &s.links[i]
		l.zpk = l.cfg.ZPK
		b, ok, err := s.log.Lookup(zoneKey(i), nil)
		switch {
		case err != nil:
			return err
		case !ok:
			continue
		case len(b) != 2*zoneKeySize:
			return fmt.Errorf("the zone key of link %d has %d bytes, not %d", i+1, len(b), 2*zoneKeySize)
		}
		if own, was := readZoneKey(b), readZoneKey(b[zoneKeySize:]); was == l.cfg.ZPK {
			l.zpk = own
		}
	}
	return nil
}

// bankKey takes an 0800 of a bank. Only a change of the PIN key is known, and
// only of a bank whose zone master key is configured.
func (s *Shard) bankKey(n *line, m *translate.BankMessage) {
	l := &s.links[n.link]
	refuse := func(code txn.Code, why string, err error) {
		s.zap.Warn("key of the bank refused", fault.Field(fault.BankKeyRefused), zap.String("link", l.cfg.Name), zap.Int("line", n.number), zap.String("why", why), zap.Error(err))
		s.sendNetwork(n, translate.Network{MTI: 0x0810, Net: m.Net, STAN: m.STAN, Code: code})
	}
	var k translate.KeyChange
	switch err := translate.ReadKeyChange(&s.bview, &k); {
	case m.Net != translate.NetKeyReset:
		refuse(txn.NotSupported, "not a change of keys", nil)
		return
	case l.cfg.ZMK.N == 0:
		refuse(txn.NotSupported, "no zone master key is configured", nil)
		return
	case err != nil:
		refuse(txn.BadFormat, "not read", err)
		return
	case k.N == 8:
		refuse(txn.BadFormat, "a key of single length protects no PIN", nil)
		return
	}
	l.offer = keyOffer{line: n, n: k.N, stan: k.STAN, gen: l.offer.gen + 1}
	l.offer.key = hsm.Key{Scheme: 'X', N: uint8(k.N), B: k.Key}
	if k.N == 24 {
		l.offer.key.Scheme = 'Y'
	}
	s.zoneRequest(l)
	if s.cfg.Module != nil {
		s.cfg.Module.Do(&s.req, &s.rep)
		s.keyImported(l, l.offer.gen)
		return
	}
	if !s.put(asked{zone: true, slot: uint32(n.link), gen: l.offer.gen}) {
		refuse(txn.SystemFault, "no security module takes it", nil)
	}
}

// zoneRequest makes s.req the import of the key that a bank offers.
func (s *Shard) zoneRequest(l *link) {
	s.req = hsm.Request{Verb: hsm.ImportKey, Type: hsm.ZPK, Zone: true, Key: l.cfg.ZMK, Key2: l.offer.key}
}

// keyImported takes s.rep as what a module made of a bank's new key.
func (s *Shard) keyImported(l *link, gen uint32) {
	o := l.offer
	if o.gen != gen || o.line == nil {
		return
	}
	l.offer.line = nil
	n, r := o.line, &s.rep
	reply := translate.Network{MTI: 0x0810, Net: translate.NetKeyReset, STAN: o.stan, Code: txn.OK}
	// 01 says that the parity was wrong and is right now.
	if done := r.Code.OK() || r.Code == hsm.Mismatch; !done || int(r.Key.N) != o.n {
		s.stats.HSMFaults++
		s.zap.Error("key of the bank not imported", fault.Field(fault.BankKeyRefused), zap.String("link", l.cfg.Name), zap.ByteString("code", r.Code[:]))
		reply.Code = txn.SystemFault
	} else {
		l.zpk = r.Key
		s.log.Put(zoneKey(int(n.link)), appendZoneKey(appendZoneKey(nil, &r.Key), &l.cfg.ZPK))
		s.stats.KeyChanges++
		s.zap.Info("key of the bank changed", zap.String("link", l.cfg.Name), zap.String("kcv", fmt.Sprintf("%X", r.KCV[:3])))
	}
	s.sendNetwork(n, reply)
}

// AskKeys is the command that asks a bank for a new PIN key. The bank brings it
// when it likes, by an 0800.
type AskKeys struct{ Link string }

// Why AskKeys is refused, beside ErrNoLink.
var (
	ErrNoZMK = errors.New("engine: the link has no zone master key")
	ErrNotUp = errors.New("engine: no line of the link is up")
	ErrFull  = errors.New("engine: all lines of the link are half-duplex and busy")
)

func (c AskKeys) perform(s *Shard) error {
	for i := range s.links {
		l := &s.links[i]
		switch {
		case l.cfg.Name != c.Link:
			continue
		case l.cfg.ZMK.N == 0:
			return ErrNoZMK
		case len(l.serving) == 0:
			return ErrNotUp
		}
		n := l.quiet(l.serving[0])
		if n == nil {
			return ErrFull
		}
		s.sendNetwork(n, translate.Network{MTI: 0x0820, Net: translate.NetKeyReset, STAN: s.networkSTAN(), Security: translate.PINKey})
		return nil
	}
	return ErrNoLink
}
