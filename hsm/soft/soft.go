// Package soft is a security module in software: the verbs of hsm under a
// variant LMK, as a payShield performs them. It is for development, tests and
// simulators. Its LMK lives in the memory of the process, so it protects no
// cardholder, and under the public test LMK (TestLMK) it protects nothing.
package soft

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// Firmware is what Diagnose reports, in the manual's form xxxx-xxxx.
const Firmware = "SOFT-0001"

// Options are a module's limits; the zero value is good.
type Options struct {
	MaxKeys int       // expanded keys kept; 0 means 32768
	Rand    io.Reader // source of keys and PIN fill; nil means crypto/rand
	// SM4Cards lets cards work with SM4. How they make their session key is not
	// published; this is the usual reading and was held against no real card.
	SM4Cards bool
}

const defaultKeys = 32768

// Validate reports every fault.
func (o Options) Validate() error {
	var errs []error
	if o.MaxKeys < 0 || o.MaxKeys > 1<<24 {
		errs = append(errs, fmt.Errorf("soft module: MaxKeys %d is not 0 to %d", o.MaxKeys, 1<<24))
	}
	return errors.Join(errs...)
}

// Bytes is the memory that the kept keys take when the cache is full.
func (o Options) Bytes() int64 { return int64(o.keys()) * keyBytes }

func (o Options) keys() int {
	if o.MaxKeys == 0 {
		return defaultKeys
	}
	return o.MaxKeys
}

// Module is a security module in the process. One goroutine at a time may use
// it (a shard owns one); it allocates nothing for a key that it has kept.
type Module struct {
	lmk   LMK
	rand  io.Reader
	cache cache
	name  name    // the cache's key is built here: it would not stay on the stack
	fill  [8]byte // random bytes, for the same reason
	sm4   bool    // cards may use it
	buf   []byte  // a message with its padding
	out   [8]byte // the last MAC that was given out
	pin   [12]byte
	card  clear.Purse // the last that a load was for
	loads []load      // whose session key is kept, by their session data
	lmks  map[lmkName]*parts
	own   [24]byte // a key that is being made
	last  name     // of the master key that keys were made for last,
	outer parts    // and itself, for schemes without variants

	batch   clear.Batch          // of DoAll
	places  [clear.BatchSize]int // whose codes are in it, by their places
	waiting int

	sm4Keys map[name]cipher.Block
	wide    [16]byte // of an SM4 MAC
	wideHex [32]byte
}

var _ hsm.Module = (*Module)(nil)

// New makes a module with the default options.
func New(lmk LMK) *Module {
	m, _ := NewWith(lmk, Options{}) // the zero options are valid
	return m
}

// NewWith makes a module; the error is that of Options.Validate.
func NewWith(lmk LMK, o Options) (*Module, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Module{lmk: lmk, rand: o.Rand, sm4: o.SM4Cards, cache: cache{at: make(map[name]uint32), max: o.keys()}, lmks: map[lmkName]*parts{}}, nil
}

// LMK gives the local master key, which tells nothing but its check value and
// whether it is the public one.
func (m *Module) LMK() LMK { return m.lmk }

// Do performs one request. It never panics on what a request holds; a fault is
// a code of the payShield manual.
func (m *Module) Do(q *hsm.Request, r *hsm.Reply) {
	*r = hsm.Reply{}
	switch q.Verb {
	case hsm.VerifyMAC, hsm.MakeMAC:
		if q.Key.Scheme == hsm.SM4Scheme {
			*r = m.sm4MAC(q)
			return
		}
		*r = m.mac(q)
	case hsm.TranslatePIN:
		if q.More != nil {
			r.PIN, r.Out, r.Code = m.translateMore(q)
			return
		}
		r.PIN, _, r.Code = m.Translate(q)
	case hsm.GenerateKey:
		if q.Key.Scheme == hsm.SM4Scheme {
			r.Code = m.generateSM4(q, r)
			return
		}
		m.generateKey(q, r)
	case hsm.CheckValue:
		r.KCV, r.Code = m.CheckValue(q.Type, &q.Key)
	case hsm.Diagnose:
		r.Code, r.KCV = hsm.Done, m.lmk.check
		copy(r.Text[:], Firmware)
	default:
		m.more(q, r)
	}
}

// DoAll makes or verifies UnionPay codes together; anything else it does one after
// the other.
func (m *Module) DoAll(q []hsm.Request, r []hsm.Reply) {
	for i := range q {
		if !foldable(&q[i]) {
			m.Do(&q[i], &r[i])
			continue
		}
		c, code := m.macKey(&q[i])
		if !code.OK() {
			r[i] = hsm.Reply{Code: code}
			continue
		}
		m.places[m.batch.Add(c, q[i].Data)] = i
		m.waiting++
		if m.batch.Full() {
			m.makeBatch(q, r)
		}
	}
	m.makeBatch(q, r)
}

// makeBatch replies to who waits for the codes of the batch.
func (m *Module) makeBatch(q []hsm.Request, r []hsm.Reply) {
	m.batch.Make()
	for place, i := range m.places[:m.waiting] {
		r[i] = macReply(&q[i], m.batch.MAC(place))
	}
	m.waiting = 0
}

func foldable(q *hsm.Request) bool {
	return q.Alg == hsm.UnionPay && q.Key.Scheme != hsm.SM4Scheme && (q.Verb == hsm.MakeMAC || q.Verb == hsm.VerifyMAC && hsm.NotUpperHex(q.MAC[:]) < 0)
}

// macReply is what a request is told when its MAC is known.
func macReply(q *hsm.Request, mac [8]byte) hsm.Reply {
	switch {
	case q.Verb == hsm.MakeMAC:
		return hsm.Reply{Code: hsm.Done, MAC: mac}
	case subtle.ConstantTimeCompare(mac[:], q.MAC[:]) != 1:
		return hsm.Reply{Code: hsm.Mismatch}
	}
	return hsm.Reply{Code: hsm.Done}
}

// macKey gives the expanded key of a request for a MAC, or what is wrong with it.
func (m *Module) macKey(q *hsm.Request) (*clear.Cipher, hsm.Code) {
	t := q.Type
	if t == 0 {
		t = hsm.TAK
	}
	switch {
	case t != hsm.TAK && t != hsm.ZAK:
		return nil, hsm.BadKeyType
	case q.Alg > hsm.X919:
		return nil, hsm.BadInput
	case len(q.Data) == 0:
		return nil, hsm.BadDataLength
	case q.Alg == hsm.X919 && q.Key.N != 16:
		return nil, hsm.BadKeyLength
	}
	return m.cipher(t, &q.Key, q.Hint)
}

func (m *Module) mac(q *hsm.Request) hsm.Reply {
	// As with a module behind a socket, where such text is never sent.
	if q.Verb == hsm.VerifyMAC && q.Alg == hsm.UnionPay && hsm.NotUpperHex(q.MAC[:]) >= 0 {
		return hsm.Reply{Code: hsm.Mismatch}
	}
	c, code := m.macKey(q)
	if !code.OK() {
		return hsm.Reply{Code: code}
	}
	return macReply(q, c.MAC(q.Alg, q.Data))
}

// Translate takes a PIN block from a terminal's or a zone's PIN key to a zone's
// (CA for TPK, the default; CC for ZPK). It gives the number of digits too, as
// the response to the host command does.
func (m *Module) Translate(q *hsm.Request) (block [8]byte, n int, code hsm.Code) {
	t := q.Type
	if t == 0 {
		t = hsm.TPK
	}
	if t != hsm.TPK && t != hsm.ZPK {
		return block, 0, hsm.BadKeyType
	}
	from, code := m.cipher(t, &q.Key, nil)
	if !code.OK() {
		return block, 0, code
	}
	to, code := m.cipher(hsm.ZPK, &q.Key2, nil)
	if !code.OK() {
		return block, 0, asSecond(code)
	}
	var pin [12]byte
	n, code = clear.DecodePIN(from.Decrypt(q.PIN), &q.PAN12, q.From, &pin)
	if !code.OK() {
		return block, 0, code
	}
	if q.To == hsm.ISO1 || q.To == hsm.ISO3 {
		if _, err := io.ReadFull(m.rand, m.fill[:]); err != nil {
			return block, 0, hsm.BadModule
		}
	}
	code = clear.EncodePIN(&block, pin[:n], &q.PAN12, q.To, binary.NativeEndian.Uint64(m.fill[:]))
	if !code.OK() {
		return [8]byte{}, 0, code
	}
	return to.Encrypt(block), n, hsm.Done
}

// generateKey makes a key under the LMK and, when the request names a master key,
// the same key under that (payShield command A0 modes 0 and 1).
func (m *Module) generateKey(q *hsm.Request, r *hsm.Reply) {
	own, out, n := byte('U'), byte('X'), 16
	switch q.Len {
	case 0, 16:
	case 8:
		own, out, n = 'Z', 'Z', 8
	default:
		r.Code = hsm.BadKeyLength
		return
	}
	defer func() { m.own = [24]byte{} }()
	k, code := m.generate(q.Type, own, n)
	if code.OK() && q.Key.N != 0 {
		r.Export, code = m.export(masterOf(q), &q.Key, out, m.own[:n])
	}
	if r.Code = code; !code.OK() {
		return
	}
	r.Key = k
	// It will be asked for soon: its check value, then what it was made for.
	m.name = name{key: k, t: q.Type}
	c := m.cache.get(&m.name, nil)
	if c == nil {
		c, _ = clear.NewCipher(m.own[:n])
		m.cache.put(&m.name, c)
	}
	kcv := c.KCV()
	copy(r.KCV[:], kcv[:3])
}

// generate makes a key of n bytes in m.own, and gives it under the LMK.
func (m *Module) generate(t hsm.KeyType, scheme byte, n int) (hsm.Key, hsm.Code) {
	if _, err := io.ReadFull(m.rand, m.own[:n]); err != nil {
		return hsm.Key{}, hsm.BadModule
	}
	forceParity(m.own[:n])
	return m.seal(t, scheme, m.own[:n])
}

// export writes a clear key under a master key, in a scheme without variants. The master
// key stays expanded: a terminal that signs in gets two or three keys one after the other.
func (m *Module) export(t hsm.KeyType, master *hsm.Key, scheme byte, key []byte) (hsm.Key, hsm.Code) {
	if this := (name{key: *master, t: t}); m.last != this {
		var under [24]byte
		if code := m.open(t, master, &under); !code.OK() {
			return hsm.Key{}, code
		}
		m.outer.expand(under[:master.N], scheme)
		m.last, under = this, [24]byte{}
	}
	return m.outer.wrap(scheme, key)
}
