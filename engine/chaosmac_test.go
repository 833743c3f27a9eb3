package engine

import (
	"crypto/sha256"
	"fmt"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/translate"
)

// chaosMAC is how the first bank authenticates its messages, in some seeds. It
// changes the key now and then, and is not always told that the switch took it.
type chaosMAC struct {
	bank    *translate.Bank
	keys    []*clear.Cipher // by their numbers
	clear   [][]byte
	now     int  // the key that is confirmed
	offered bool // the next one was brought, and nobody said yes
	before  bool // in this read the key before is good as well
	made    int
}

func (c *chaos) newMACs() *chaosMAC {
	bank, err := translate.NewBank(iso8583.Cups(), "00010000", "48023310", "48023310", "48023310")
	if err == nil {
		err = bank.SetMAC(&translate.MACRule{Of: []translate.Class{translate.Requests, translate.Advices, translate.Reversals, translate.NetworkMessages, translate.KeyChanges}})
	}
	if err != nil {
		c.t.Fatal(err)
	}
	m := &chaosMAC{bank: bank}
	m.add(c)
	return m
}

// add makes the next key.
func (m *chaosMAC) add(c *chaos) {
	sum := sha256.Sum256([]byte{byte(len(m.keys))})
	m.keys, m.clear = append(m.keys, cipherOf(c.t, sum[:16])), append(m.clear, sum[:16])
}

// configure gives the first link its MACs, under the first key.
func (m *chaosMAC) configure(c *chaos, l *Link) {
	l.Bank, l.ZMK = m.bank, c.wrap(hsm.ZMK, zmkClear)
	l.MAC = LinkMAC{Alg: hsm.X919, Key: c.wrap(hsm.ZAK, m.clear[0]), Grace: 20e9}
}

// classOf is that of a message.
func classOf(v *iso8583.View) translate.Class {
	net, _ := v.Uint(70)
	return translate.ClassOf(v.MTI(), uint16(net))
}

// hears holds a message of the switch against the keys that it may have: the one
// that is confirmed, and the one that was brought.
func (m *chaosMAC) hears(c *chaos, q *iso8583.View) {
	in, mac, ok := m.bank.MACInput(nil, q, classOf(q))
	good := map[int]bool{m.now: true, m.now + 1: m.offered, m.now - 1: m.before && m.now > 0}
	for n := range good {
		if good[n] && m.keys[n].MAC(hsm.X919, in) == mac && ok {
			if net, _ := q.Uint(70); q.MTI() == 0x0810 && net == 101 && n == m.now+1 && string(q.Field(39)) == "00" {
				c.note("the bank's key %d is confirmed", n)
				m.now, m.offered, m.before = n, false, true
			}
			return
		}
	}
	c.t.Errorf("%v, F11 %s: F128 %X is under no key of now (%d, offered %v), there %v", q.MTI(), q.Field(11), mac, m.now, m.offered, ok)
}

// seal makes the MAC of a bank's message, and of some a wrong one.
func (m *chaosMAC) seal(c *chaos, frame []byte) {
	m.sealWith(c, frame, m.keys[m.now])
	if m.made++; m.made%8 == 0 && !c.calm {
		frame[len(frame)-1] ^= 1
	}
}

func (m *chaosMAC) sealWith(c *chaos, frame []byte, key *clear.Cipher) {
	var env iso8583.Envelope
	msg, err := iso8583.Cups().Split(frame, &env)
	var v iso8583.View
	if err == nil {
		err = iso8583.Cups().Parse(&v, msg)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	in, _, _ := m.bank.MACInput(nil, &v, classOf(&v))
	mac := key.MAC(hsm.X919, in)
	copy(frame[len(frame)-8:], mac[:])
}

// room leaves the place of a MAC.
func (k *issuer) room(b *iso8583.Builder) {
	if k.macs != nil {
		b.Put(128, make([]byte, 8))
	}
}

// seal fills it.
func (k *issuer) seal(frame []byte) {
	if k.macs != nil {
		k.macs.seal(k.c, frame)
	}
}

// bringKey offers the next key, or again the one that nobody confirmed.
func (k *issuer) bringKey() {
	m := k.macs
	if m == nil {
		return
	}
	if !m.offered {
		m.offered = true
		if len(m.keys) == m.now+1 {
			m.add(k.c)
		}
	}
	l := k.lines[k.c.rng.IntN(len(k.lines))]
	k.c.note("the bank brings key %d by socket %d", m.now+1, l.sockets[1])
	b := iso8583.Cups().Begin(iso8583.AppendCupsHeader(nil, "48023310", "00010000"), 0x0800)
	b.PutUint(11, 78)
	kcv := m.keys[m.now+1].KCV()
	b.Put(48, []byte("NK032"+k.c.underZMK(m.clear[m.now+1])+fmt.Sprintf("CV006%X", kcv[:3])))
	b.Put(53, []byte(translate.MACKey))
	b.PutUint(70, 101)
	k.room(&b)
	out, err := b.End()
	if err != nil {
		k.c.t.Fatal(err)
	}
	iso8583.PatchCupsLength(out, len(out))
	m.sealWith(k.c, out, m.keys[m.now+1])
	if l.mood != dumb {
		k.c.give(l.ids[1], out)
	}
}
