package bank

import (
	"crypto/rand"
	"fmt"
	"math/bits"
	"strings"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/txn"
)

// MAC is how a bank authenticates messages. It answers with a MAC where it was
// asked with one, and wants one of everything but sign-on, sign-off and echo.
type MAC struct {
	Key       []byte // clear zone MAC key; nil: MACs are neither looked at nor made
	Algorithm string // x9.9, x9.19, cbc, ecb; x9.19 when empty
	Whole     bool   // over the bytes from the MTI on, not over the text of fields
	Hex       bool   // four bytes as eight digits
	OldSeals  bool   // a change of the MAC key is under the key that it replaces
}

var macAlgorithms = map[string]hsm.MACAlg{"": hsm.X919, "x9.9": hsm.X99, "x9.19": hsm.X919, "cbc": hsm.X99, "ecb": hsm.UnionPay}

func (m *MAC) validate() error {
	alg, known := macAlgorithms[m.Algorithm]
	switch n := len(m.Key); {
	case !known:
		return fmt.Errorf("bank: MAC algorithm %q: wanted x9.9, x9.19, cbc or ecb", m.Algorithm)
	case m.Key == nil:
	case alg == hsm.X919 && n != 16, m.Algorithm == "x9.9" && n != 8, m.Algorithm == "cbc" && n != 16 && n != 24, m.Algorithm == "ecb" && n != 8 && n != 16:
		return fmt.Errorf("bank: a MAC key of %d bytes does not fit %s", n, m.Algorithm)
	}
	return nil
}

// zone are the keys that a bank and the switch share.
type zone struct {
	mac, macBefore *clear.Cipher // nil: none
	pin, pinBefore *clear.Cipher
	master         *clear.Cipher // nil: keys do not change
	offers         map[string]offer
	brought        int
}

// offer is a key that was brought, and that the switch has not taken yet.
type offer struct {
	mac  bool
	key  []byte
	made *clear.Cipher
}

// maxOffers bounds those that nobody answers.
const maxOffers = 16

func newZone(cfg *Config) (z zone, err error) {
	z.offers = map[string]offer{}
	for _, k := range []struct {
		name string
		key  []byte
		to   **clear.Cipher
	}{{"ZPK", cfg.ZPK, &z.pin}, {"ZAK", cfg.MAC.Key, &z.mac}, {"ZMK", cfg.ZMK, &z.master}} {
		if k.key == nil {
			continue
		}
		if *k.to, err = clear.NewCipher(k.key); err != nil {
			return z, fmt.Errorf("bank: %s: %w", k.name, err)
		}
	}
	return z, nil
}

// macFields are those of the card centre's text: of money, and of network messages.
var macFields = [2][]int{
	{2, 3, 4, 7, 11, 18, 25, 28, 32, 33, 38, 39, 41, 42, 90, 102, 103},
	{2, 3, 4, 7, 11, 18, 25, 28, 32, 33, 38, 39, 41, 42, 53, 70, 90, 100},
}

// macText is what a MAC is made over. It is written apart from the switch's own,
// so that a mistake in one of them shows.
func (c *bankConn) macText(v *iso8583.View) []byte {
	if c.bank.other != nil {
		return v.Before(64)
	}
	if c.bank.cfg.MAC.Whole {
		return v.Before(128)
	}
	list := macFields[0]
	if v.MTI()&0x0F00 == 0x0800 {
		list = macFields[1]
	}
	words := []string{fmt.Sprintf("%04X", uint16(v.MTI()))}
	for _, n := range list {
		if !v.Has(n) {
			continue
		}
		text := string(v.AppendText(nil, n))
		switch n {
		case 2, 32, 33, 100, 102, 103:
			text = fmt.Sprintf("%02d%s", len(text), text)
		case 90:
			text = text[:20]
		}
		words = append(words, text)
	}
	kept := strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,.", r) {
			return r
		}
		return -1
	}, strings.ToUpper(strings.Join(words, " ")))
	return []byte(strings.Join(strings.Fields(kept), " "))
}

// sealed says that the message in hand has a MAC.
func (c *bankConn) sealed() bool {
	return c.bank.other == nil && c.view.Has(128) || c.bank.other != nil && c.wire.Has(64)
}

func (c *bankConn) macOf(v *iso8583.View, key *clear.Cipher) string {
	return c.macOver(c.macText(v), key)
}

func (c *bankConn) macOver(text []byte, key *clear.Cipher) string {
	mac := key.MAC(macAlgorithms[c.bank.cfg.MAC.Algorithm], text)
	if c.bank.cfg.MAC.Hex && c.bank.cfg.MAC.Algorithm != "ecb" {
		return fmt.Sprintf("%X", mac[:4])
	}
	return string(mac[:])
}

// checkMAC says with which code a message is refused for its MAC, zero when it is
// not.
func (c *bankConn) checkMAC() (deny txn.Code) {
	z, stats := &c.bank.zone, &c.bank.ledger.stats
	net, _ := c.view.Uint(70)
	if z.mac == nil || !c.sealed() && c.view.MTI()&0x0F00 == 0x0800 && net != netKeys {
		return txn.Code{}
	}
	stats.MACs++
	got, v := string(c.view.Field(128)), &c.view
	if c.bank.other != nil {
		v = &c.wire
		got = string(v.AppendText(nil, 64))
	}
	// What was under way when the key changed is good as well, and so is what is
	// under a key that was brought: the answer to that is.
	keys := []*clear.Cipher{z.mac, z.macBefore}
	for _, o := range z.offers {
		if o.mac {
			keys = append(keys, o.made)
		}
	}
	for _, k := range keys {
		if k != nil && got == c.macOf(v, k) {
			return txn.Code{}
		}
	}
	stats.MACFaults++
	c.bank.log.Warn("wrong MAC, or none", zap.Stringer("mti", c.view.MTI()), zap.Bool("there", got != ""))
	return txn.BadMAC
}

// seal writes the MAC of the message at c.out[at:], whose last field has room for it.
func (c *bankConn) seal(at int, key *clear.Cipher) error {
	msg, err := iso8583.Cups().Split(c.out[at:], &c.sealEnv)
	if err == nil {
		err = iso8583.Cups().Parse(&c.sealView, msg)
	}
	if err != nil {
		return err
	}
	copy(c.out[len(c.out)-8:], c.macOf(&c.sealView, key))
	if c.how.WrongMAC {
		c.out[len(c.out)-1] ^= 1
	}
	return nil
}

const netKeys = 101

// bringKey sends a new key after the answer to a request for it.
func (c *bankConn) bringKey() error {
	z, cfg := &c.bank.zone, &c.bank.cfg
	f53 := string(c.view.AppendText(c.text[:0], 53))
	if z.master == nil || len(f53) != 16 || len(z.offers) >= maxOffers || f53[0] != '1' && (f53[0] != '2' || z.mac == nil) {
		return nil
	}
	o := offer{mac: f53[0] == '2', key: make([]byte, 16)}
	if o.mac {
		o.key = make([]byte, len(cfg.MAC.Key))
	}
	if _, err := rand.Read(o.key); err != nil {
		return err
	}
	for i, b := range o.key { // odd parity, as keys have it
		o.key[i] = b ^ byte(1-bits.OnesCount8(b)&1)
	}
	var err error
	if o.made, err = clear.NewCipher(o.key); err != nil {
		return err
	}
	z.brought++
	stan := fmt.Sprintf("%06d", 900_000+z.brought%maxOffers)
	z.offers[stan] = o
	c.bank.ledger.stats.KeysBrought++
	return c.offer(stan, o)
}

// offer sends an 0800 with a key under the ZMK, and its check value.
func (c *bankConn) offer(stan string, o offer) error {
	z, kcv := &c.bank.zone, o.made.KCV()
	enc, err := z.master.AppendEncrypted(nil, o.key)
	if err != nil {
		return err
	}
	single := len(enc) == 8
	f48, f53 := fmt.Sprintf("CV006%X", kcv[:3]), []byte("1600000000000000")
	if o.mac {
		f53[0] = '2'
	}
	if single {
		f53[1] = '0'
	} else {
		f48 = fmt.Sprintf("NK%03d%X", 2*len(enc), enc) + f48
	}
	from := len(c.out)
	c.out = append(c.out, "0000"...)
	if c.bank.other == nil {
		c.out = iso8583.Cups().AppendReplyEnvelope(c.out, &c.env)
	}
	m := iso8583.Cups().Begin(c.out, 0x0800)
	m.Put(7, []byte(c.now.Format("0102150405")))
	m.Put(11, []byte(stan))
	m.Put(48, []byte(f48))
	m.Put(53, f53)
	m.PutUint(70, netKeys)
	if single {
		m.Put(96, enc)
	}
	key := z.mac
	if o.mac && !c.bank.cfg.MAC.OldSeals {
		key = o.made
	}
	return c.finish(&m, from, key)
}

// finish ends the message that a builder has begun behind c.out[from:], with a MAC
// when there is a key for it.
func (c *bankConn) finish(m *iso8583.Builder, from int, key *clear.Cipher) error {
	if key != nil && c.bank.other == nil {
		m.Put(128, make([]byte, 8))
	}
	out, err := m.End()
	if err != nil {
		c.out = c.out[:from]
		return err
	}
	if c.out = out; c.bank.other != nil {
		if err := c.newer(from, key); err != nil {
			return err
		}
		key = nil // it is in the message
	}
	c.close(from)
	if key == nil {
		return nil
	}
	return c.seal(from+4, key)
}

// keyAnswered takes the 0810: a key that was taken is used from now on.
func (c *bankConn) keyAnswered() error {
	z, stan := &c.bank.zone, string(c.view.Field(11))
	o, known := z.offers[stan]
	if !known || c.checkMAC() != (txn.Code{}) {
		return nil
	}
	delete(z.offers, stan)
	switch code := string(c.view.Field(39)); {
	case code != "00":
		c.bank.log.Warn("key refused by the switch", zap.String("code", code), zap.Bool("mac", o.mac))
		return nil
	case o.mac:
		z.mac, z.macBefore = o.made, z.mac
	default:
		z.pin, z.pinBefore = o.made, z.pin
	}
	c.bank.ledger.stats.KeysTaken++
	return nil
}
