package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tongka/fault"
	"tongka/hsm"
	"tongka/translate"
	"tongka/txn"
)

// A bank changes the PIN key or the MAC key of the zone with an 0800, the new key
// under the zone master key. A security module takes it under the LMK; it is on
// disk before the bank hears yes, and from then on it is used, after a restart,
// too. What the bank still sends under the MAC key before is good for the link's
// grace. A key that an operator writes into the configuration afterwards is newer
// than either.

// keyOffer is the change of a link's key that a module is asked for.
type keyOffer struct {
	line   *line
	change translate.KeyChange
	gen    uint32  // an offer that was repeated meanwhile is forgotten
	key    hsm.Key // under the zone master key
	own    hsm.Key // and under the LMK, when a module has said so
	kcv    [8]byte // the first three bytes of its check value
	frame  []byte  // the 0800, when its MAC is under the key that it brings
}

func zoneKey(id int) []byte { return fmt.Appendf(nil, "zpk/%05d", id) }
func zoneMAC(id int) []byte { return fmt.Appendf(nil, "zak/%05d", id) }

// The sizes of what is kept: the PIN key, and the configured one when it came; the
// MAC key likewise, then the one before and until when that is good.
const (
	zoneKeySize = 2 + len(hsm.Key{}.B)
	zonePINSize = 2 * zoneKeySize
	zoneMACSize = 3*zoneKeySize + 8
)

func appendZoneKey(dst []byte, k *hsm.Key) []byte {
	return append(append(dst, k.Scheme, k.N), k.B[:]...)
}

func readZoneKey(b []byte) hsm.Key {
	return hsm.Key{Scheme: b[0], N: b[1], B: [24]byte(b[2:])}
}

// loadZoneKeys gives each link the keys that its bank brought last, unless the
// configuration has changed since.
func (s *Shard) loadZoneKeys() error {
	for i := range s.links {
		l := &s.links[i]
		l.zpk, l.mac = l.cfg.ZPK, macKeys{key: l.cfg.MAC.Key}
		b, err := s.keptZone(zoneKey(i), zonePINSize)
		if err != nil {
			return err
		}
		if b != nil && readZoneKey(b[zoneKeySize:]) == l.cfg.ZPK {
			l.zpk = readZoneKey(b)
		}
		if b, err = s.keptZone(zoneMAC(i), zoneMACSize); err != nil {
			return err
		}
		if b != nil && readZoneKey(b[zoneKeySize:]) == l.cfg.MAC.Key {
			l.mac.key, l.mac.old = readZoneKey(b), readZoneKey(b[2*zoneKeySize:])
			l.mac.until = int64(binary.BigEndian.Uint64(b[3*zoneKeySize:]))
		}
	}
	return nil
}

// keptZone reads what is kept of a zone's key, nil when nothing is.
func (s *Shard) keptZone(name []byte, size int) ([]byte, error) {
	b, ok, err := s.log.Lookup(name, nil)
	switch {
	case err != nil || !ok:
		return nil, err
	case len(b) != size:
		return nil, fmt.Errorf("%s: a zone's key of %d bytes, not %d", name, len(b), size)
	}
	return b, nil
}

// configured takes an operator's keys, which are the newest there are. What the
// bank sends under the MAC key before is good for a while here, too.
func (l *link) configured(c *Link, now int64) {
	if l.cfg == nil || l.cfg.ZPK != c.ZPK {
		l.zpk = c.ZPK
	}
	if l.cfg == nil || l.cfg.MAC.Key != c.MAC.Key {
		l.mac.follow(c.MAC.Key, now+int64(c.MAC.Grace))
	}
}

// follow puts a new MAC key in the place of the present one.
func (k *macKeys) follow(key hsm.Key, until int64) { *k = macKeys{key: key, old: k.key, until: until} }

// denyKey answers an 0800 of a bank whose key is not taken.
func (s *Shard) denyKey(n *line, net uint16, stan uint32, code txn.Code, why string, err error) {
	s.zap.Warn("key of the bank refused", fault.Field(fault.BankKeyRefused), zap.String("link", s.links[n.link].cfg.Name), zap.Int("line", n.number), zap.String("why", why), zap.Error(err))
	s.sendNetwork(n, translate.Network{MTI: 0x0810, Net: net, STAN: stan, Code: code})
}

// bankKey takes an 0800 of a bank. Only a change of the PIN key or of the MAC key
// is known, and only of a bank whose zone master key is configured.
func (s *Shard) bankKey(n *line, m *translate.BankMessage) {
	l := &s.links[n.link]
	refuse := func(code txn.Code, why string, err error) { s.denyKey(n, m.Net, m.STAN, code, why, err) }
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
	case k.MAC && l.cfg.MAC.Key.N == 0:
		refuse(txn.NotSupported, "a MAC key, and no MAC is configured", nil)
		return
	case k.MAC && k.N != int(l.cfg.MAC.Key.N):
		refuse(txn.BadFormat, fmt.Sprintf("a MAC key of %d bytes, the algorithm wants %d", k.N, l.cfg.MAC.Key.N), nil)
		return
	case !k.MAC && k.N == 8:
		refuse(txn.BadFormat, "a key of single length protects no PIN", nil)
		return
	}
	l.offer = keyOffer{line: n, change: k, gen: l.offer.gen + 1, frame: append(l.offer.frame[:0], s.bankWire(l).Bytes()...)}
	l.offer.key = hsm.Key{Scheme: map[int]byte{8: 'Z', 16: 'X', 24: 'Y'}[k.N], N: uint8(k.N), B: k.Key}
	s.zoneRequest(l)
	if s.cfg.Module != nil {
		s.cfg.Module.Do(&s.req, &s.rep)
		s.keyImported(l, l.offer.gen)
		return
	}
	if !s.put(asked{zone: true, slot: uint32(n.link), gen: l.offer.gen}) {
		l.offer.line = nil
		refuse(txn.SystemFault, "no security module takes it", nil)
	}
}

// zoneRequest makes s.req the import of the key that a bank offers.
func (s *Shard) zoneRequest(l *link) {
	s.req = hsm.Request{Verb: hsm.ImportKey, Type: hsm.ZPK, Zone: true, Key: l.cfg.ZMK, Key2: l.offer.key}
	if l.offer.change.MAC {
		s.req.Type = hsm.ZAK
	}
}

// refuseOffer ends an offer with no.
func (s *Shard) refuseOffer(l *link, code txn.Code, why string, err error) {
	n := l.offer.line
	l.offer.line = nil
	s.denyKey(n, translate.NetKeyReset, l.offer.change.STAN, code, why, err)
}

// keyImported takes s.rep as what a module made of a bank's new key.
func (s *Shard) keyImported(l *link, gen uint32) {
	o, r := &l.offer, &s.rep
	if o.gen != gen || o.line == nil {
		return
	}
	// 01 says that the parity was wrong and is right now.
	if done := r.Code.OK() || r.Code == hsm.Mismatch; !done || int(r.Key.N) != o.change.N {
		s.stats.HSMFaults++
		s.refuseOffer(l, txn.SystemFault, "not imported", fmt.Errorf("code %s", r.Code[:]))
		return
	}
	o.own, o.kcv = r.Key, r.KCV
	// Modules give three bytes of it.
	if n := min(o.change.NCheck, 3); string(o.kcv[:n]) != string(o.change.Check[:n]) {
		s.refuseOffer(l, txn.BadFormat, "its check value is not that of the key", fmt.Errorf("%X came, the key has %X", o.change.Check[:n], o.kcv[:n]))
		return
	}
	if o.change.MAC && !l.cfg.MAC.OldSeals && l.cfg.Bank.Sealed(translate.KeyChanges) {
		s.proveOffer(l)
		return
	}
	s.takeKey(l)
}

// proveOffer holds the MAC of an 0800 against the key that it brings.
func (s *Shard) proveOffer(l *link) {
	o, m := &l.offer, &s.macs
	if err := l.cfg.Bank.Spec.Parse(&m.view, o.frame); err != nil {
		s.refuseOffer(l, txn.BadFormat, "not read", err)
		return
	}
	var mac [8]byte
	var ok bool
	if m.input, mac, ok = l.cfg.Bank.MACInput(m.input[:0], &m.view, translate.KeyChanges); !ok {
		s.stats.BadBankMAC++
		s.refuseOffer(l, txn.BadMAC, "no MAC", nil)
		return
	}
	if s.cfg.Module != nil {
		s.offerProven(l, o.gen, s.verifyNow(l, o.own, &mac))
		return
	}
	j := s.newJob(macOffer, o.line, translate.KeyChanges, o.own)
	j.slGen, j.mac, j.input = o.gen, mac, append(j.input[:0], m.input...)
	if !s.askMAC(j) {
		s.endJob(j)
		s.refuseOffer(l, txn.SystemFault, "no security module takes it", nil)
	}
}

// offerProven takes the verdict on it.
func (s *Shard) offerProven(l *link, gen uint32, code hsm.Code) {
	switch {
	case l.offer.gen != gen || l.offer.line == nil:
	case code.OK():
		s.takeKey(l)
	case code == hsm.Mismatch:
		s.stats.BadBankMAC++
		s.refuseOffer(l, txn.BadMAC, "wrong MAC under the new key", nil)
	default:
		s.stats.HSMFaults++
		s.refuseOffer(l, txn.SystemFault, "its MAC was not verified", fmt.Errorf("code %s", code[:]))
	}
}

// takeKey puts the offered key into use and tells the bank so. The answer leaves
// with the turn's records, so the key is on disk before. Its own MAC is under the
// new key, or under the old one where the bank wants it so.
func (s *Shard) takeKey(l *link) {
	o, id := &l.offer, int(l.offer.line.link)
	n := o.line
	o.line = nil
	reply := translate.Network{MTI: 0x0810, Net: translate.NetKeyReset, STAN: o.change.STAN, Code: txn.OK}
	kind := "pin"
	if !o.change.MAC {
		l.zpk = o.own
		s.log.Put(zoneKey(id), appendZoneKey(appendZoneKey(nil, &o.own), &l.cfg.ZPK))
	} else {
		kind = "mac"
		if l.cfg.MAC.OldSeals {
			s.sendNetwork(n, reply)
		}
		if o.own != l.mac.key { // the same key once more must not end the grace of the one before
			l.mac.follow(o.own, s.now+int64(l.cfg.MAC.Grace))
		}
		b := appendZoneKey(appendZoneKey(appendZoneKey(nil, &l.mac.key), &l.cfg.MAC.Key), &l.mac.old)
		s.log.Put(zoneMAC(id), binary.BigEndian.AppendUint64(b, uint64(l.mac.until)))
	}
	s.stats.KeyChanges++
	s.zap.Info("key of the bank changed", zap.String("link", l.cfg.Name), zap.String("kind", kind), zap.String("kcv", fmt.Sprintf("%X", o.kcv[:3])))
	if !o.change.MAC || !l.cfg.MAC.OldSeals {
		s.sendNetwork(n, reply)
	}
}

// AskKeys is the command that asks a bank for a new PIN key, or MAC key. The bank
// brings it when it likes, by an 0800.
type AskKeys struct {
	Link string
	MAC  bool
}

// Why AskKeys is refused, beside ErrNoLink.
var (
	ErrNoZMK = errors.New("engine: the link has no zone master key")
	ErrNoZAK = errors.New("engine: the link has no MAC")
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
		case c.MAC && l.cfg.MAC.Key.N == 0:
			return ErrNoZAK
		case len(l.serving) == 0:
			return ErrNotUp
		}
		n := l.quiet(l.serving[0])
		if n == nil {
			return ErrFull
		}
		which := translate.PINKey
		switch {
		case c.MAC && l.cfg.MAC.Key.N == 8:
			which = translate.SingleMACKey
		case c.MAC:
			which = translate.MACKey
		}
		s.sendNetwork(n, translate.Network{MTI: 0x0820, Net: translate.NetKeyReset, STAN: s.networkSTAN(), Security: which})
		return nil
	}
	return ErrNoLink
}
