package soft

import (
	"crypto/subtle"
	"encoding/binary"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// load verifies or makes what a card's load needs.
func (m *Module) load(q *hsm.Request, r *hsm.Reply) {
	c := &q.More.Card
	mac, code := m.purseCode(q, c)
	switch r.Code = code; {
	case !code.OK():
	case q.Verb == hsm.MakeMAC2:
		copy(r.MAC[:], mac[:])
	case subtle.ConstantTimeCompare(mac[:], q.MAC[:4]) != 1:
		r.Code = hsm.Mismatch
	}
}

func (m *Module) purseCode(q *hsm.Request, c *hsm.Card) (mac [4]byte, code hsm.Code) {
	t := q.Type
	if t == 0 {
		t = hsm.MKAC
	}
	if q.Key.N == 16 && q.Key.Scheme != hsm.SM4Scheme && c.Alg == hsm.CardDES && c.Levels > 0 {
		return m.purseDES(t, q, c)
	}
	key, _ := Text(q)
	p, code := m.Purse(t, key, c)
	if !code.OK() {
		return mac, code
	}
	switch q.Verb {
	case hsm.MakeMAC2:
		mac = p.MAC2(c)
	case hsm.VerifyMAC1:
		mac = p.MAC1(c)
	case hsm.VerifyTAC:
		mac = p.TAC(c)
	}
	return mac, hsm.Done
}

// purseDES is purseCode for DES cards under a master key in the LMK's own scheme, which
// is kept expanded like the keys of MACs: there are few, and each load asks three times.
func (m *Module) purseDES(t hsm.KeyType, q *hsm.Request, c *hsm.Card) (mac [4]byte, code hsm.Code) {
	l := loadName{master: name{key: q.Key, t: t}, levels: c.Levels, div: c.Div}
	if q.Verb == hsm.VerifyTAC {
		if code = m.derive(&l.master, c); code.OK() {
			mac = m.card.TAC(c)
		}
		return mac, code
	}
	c.SessionData(l.data[:0])
	key, code := m.loadKey(&l, c)
	if !code.OK() {
		return mac, code
	}
	var data [32]byte
	if q.Verb == hsm.MakeMAC2 {
		return key.PurseCode(c.MAC2Data(data[:0])), hsm.Done
	}
	return key.PurseCode(c.MAC1Data(data[:0])), hsm.Done
}

// loadKey gives the session key of a load. A MAC1 is followed by the MAC2, as soon as the
// bank has answered.
func (m *Module) loadKey(n *loadName, c *hsm.Card) (*clear.Cipher, hsm.Code) {
	if m.loads == nil {
		m.loads = make([]load, keptLoads)
	}
	l := &m.loads[n.place()]
	if l.loadName != *n {
		if code := m.derive(&n.master, c); !code.OK() {
			return nil, code
		}
		l.loadName = *n
		m.card.Session(c, &l.session)
	}
	return &l.session, hsm.Done
}

// derive makes m.card the key of a card.
func (m *Module) derive(master *name, c *hsm.Card) hsm.Code {
	key, code := m.cipher(master.t, &master.key, nil)
	if !code.OK() {
		return code
	}
	if err := m.card.Derive(key, c); err != nil {
		return codeOf(err)
	}
	return hsm.Done
}

// load is the session key of one load of a card. To make it takes four times as long as
// the code that it is for, and a load wants two.
type load struct {
	loadName
	session clear.Cipher
}

// loadName is all that a session key depends on.
type loadName struct {
	master name
	levels uint8
	div    [hsm.MaxLevels][8]byte
	data   [8]byte // what the card said: random and counter
}

// keptLoads is how many loads may wait for their bank at a time without making a key
// twice, most of the time; half a megabyte.
const keptLoads = 1024

// place is where a load is kept: by card and random, since not every card draws well.
func (n *loadName) place() int {
	of := binary.BigEndian.Uint64(n.data[:])
	for i := range n.div {
		of = (of ^ binary.BigEndian.Uint64(n.div[i][:])) * 0x9E3779B97F4A7C15
	}
	return int(of >> 54)
}
