package fleet

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// What stands before every message of a terminal: TPDU and header.
// Source: UnionPay POS specification; the values are the usual ones.
const posEnvelope = "\x60\x00\x03\x00\x00" + "\x60\x22\x00\x00\x00\x00"

// posFrameLen bounds a frame from the switch; sale and sign-in answers are far
// below.
const posFrameLen = 2048

// What is the same in every sale of a test terminal.
const (
	expiry    = "3012"   // F14 YYMM
	testPIN   = "123456" // known to nobody but tests
	baseFen   = 100      // amount of sale number n is baseFen+n fen
	lastTrace = 999_999  // F11, n6; after it comes 1
)

// What can be wrong with an answer.
var (
	errNoAnswer = errors.New("no answer")
	errBadMAC   = errors.New("the answer's MAC is wrong")
	errBadKeys  = errors.New("sign-in answer")
)

// traceOf gives F11 of sale number n, n > 0.
func traceOf(n uint32) uint32 { return (n-1)%lastTrace + 1 }

// message is a terminal's message in the making.
type message struct {
	iso8583.Builder
	base int // where the MTI stands in the buffer
}

// begin appends length (set by end), TPDU, header and MTI.
func begin(dst []byte, mti iso8583.MTI) message {
	dst = append(append(dst[:0], 0, 0), posEnvelope...)
	return message{iso8583.Pos().Begin(dst, mti), len(dst)}
}

// end closes the message and sets the length. With a key it adds F64 over all
// that stands from MTI to there.
func (m *message) end(alg hsm.MACAlg, mak key) ([]byte, error) {
	var zero [8]byte
	at := m.base + m.Offset()
	if mak != nil {
		m.Put(64, zero[:])
	}
	out, err := m.End()
	if err != nil {
		return nil, err
	}
	if mak != nil {
		mac := mak.MAC(alg, out[m.base:at])
		copy(out[at:], mac[:])
	}
	binary.BigEndian.PutUint16(out, uint16(len(out)-2))
	return out, nil
}

// Codes of a sign-in (F60.3), and the bytes that their keys come in: of each its length
// and four of its check value. Source: UnionPay POS specification; 006 of one host.
const (
	singleNet = "001"
	doubleNet = "003"
	sm4Net    = "006"
)

var keySpaces = map[string]int{singleNet: 2 * (8 + 4), doubleNet: 2 * (16 + 4), "004": 3 * (16 + 4), sm4Net: 3 * (16 + 4)}

// net is what a terminal asks for at its sign-in.
func (t *Terminal) net() string {
	switch {
	case t.SignIn != "":
		return t.SignIn
	case t.SM4:
		return sm4Net
	}
	return doubleNet
}

// appendSignIn makes an 0800 that asks for working keys.
func (t *terminal) appendSignIn(dst []byte, trace uint32) ([]byte, error) {
	m := begin(dst, 0x0800)
	m.PutUint(11, uint64(trace))
	m.Put(41, []byte(t.cfg.Number))
	m.Put(42, []byte(t.cfg.Merchant))
	m.Put(60, t.f60("00", t.batch, t.cfg.net()))
	m.Put(63, []byte("01 "))
	return m.end(t.cfg.MAC, nil)
}

// f60 is message type, batch and what follows, in the terminal's scratch.
func (t *terminal) f60(kind string, batch uint32, rest string) []byte {
	return append(aid.AppendDigits(append(t.text[:0], kind...), uint64(batch), 6), rest...)
}

// appendRequest makes the request of s; of is what it names, or nil.
func (t *terminal) appendRequest(dst []byte, s, of *book.Sale) ([]byte, error) {
	f := formOf(s)
	m := begin(dst, f.mti)
	t.money(&m, s)
	return t.rest(&m, s, of, f)
}

// rest puts what follows the trace number in a request with a card.
func (t *terminal) rest(m *message, s, of *book.Sale, f *form) ([]byte, error) {
	pan := t.panOf(s)
	t.entry(m, s)
	m.Put(25, []byte(f.cond))
	if s.PIN {
		m.Put(26, []byte("12"))
	}
	m.Put(35, append(pan.AppendDigits(t.text[:0]), "D"+expiry+"2010000000000"...))
	if of != nil && of.RRN != "" {
		m.Put(37, []byte(of.RRN))
	}
	t.parties(m)
	if s.PIN {
		pan12 := pan.Tail12()
		block, err := t.pik.pinBlock([]byte(testPIN), &pan12)
		if err != nil {
			return nil, err
		}
		m.Put(52, block)
		m.Put(53, []byte("2600000000000000"))
	} else {
		m.Put(53, []byte("0600000000000000"))
	}
	m.Put(60, t.f60(f.usage, s.Batch, f.net))
	if of != nil { // batch n6, trace n6, date n4
		named := aid.AppendDigits(aid.AppendDigits(t.text[:0], uint64(of.Batch), 6), uint64(of.Trace), 6)
		m.Put(61, time.Unix(0, of.At).AppendFormat(named, "0102"))
	}
	return m.end(t.cfg.MAC, t.mak)
}

// appendReversal makes the 0400 that takes s back: the original's fields, trace
// and batch, the reason in F39, and no card data beyond the number.
func (t *terminal) appendReversal(dst []byte, s *book.Sale) ([]byte, error) {
	f := formOf(s)
	m := begin(dst, 0x0400)
	t.money(&m, s)
	t.entry(&m, s)
	m.Put(25, []byte(f.cond))
	m.Put(39, []byte(s.Reason))
	t.parties(&m)
	m.Put(60, t.f60(f.usage, s.Batch, f.net))
	return m.end(t.cfg.MAC, t.mak)
}

// money puts the fields 2 to 11, the same in a request and its reversal.
func (t *terminal) money(m *message, s *book.Sale) {
	m.Put(2, t.panOf(s).AppendDigits(t.text[:0]))
	m.Put(3, []byte(formOf(s).proc))
	if s.Amount > 0 {
		m.PutUint(4, uint64(s.Amount))
	}
	m.PutUint(11, uint64(s.Trace))
}

// entry puts the fields 14 to 22.
func (t *terminal) entry(m *message, s *book.Sale) {
	m.Put(14, []byte(expiry))
	entry := "022" // magnetic stripe, no PIN
	if s.PIN {
		entry = "021"
	}
	m.Put(22, []byte(entry))
}

func (t *terminal) parties(m *message) {
	m.Put(41, []byte(t.cfg.Number))
	m.Put(42, []byte(t.cfg.Merchant))
	m.Put(49, []byte("156"))
}

// code is F39 of the answer in t.view; zero when it has none.
func (t *terminal) code() (c txn.Code) {
	copy(c[:], t.view.Field(39))
	return c
}

// verify checks that the answer in t.view is about s, and its F64. A refusal may
// come without one: a switch that has no key for the terminal cannot make it. An
// approval may not.
func (t *terminal) verify(s *book.Sale) error {
	if v := &t.view; differs(v.Field(41), s.Terminal) || differs(v.Field(42), s.Merchant) {
		return fmt.Errorf("%w: it is another terminal's", errNoAnswer)
	}
	if amount, ok := t.view.Uint(4); ok && int64(amount) != s.Amount {
		return fmt.Errorf("%w: it has another amount", errNoAnswer)
	}
	return t.verifyMAC()
}

// verifyMAC checks F64 of the answer in t.view.
func (t *terminal) verifyMAC() error {
	v := cmp.Or(t.sealed, &t.view)
	got := v.AppendText(nil, 64)
	if got == nil && t.code() != txn.OK {
		return nil
	}
	want := t.mak.MAC(t.cfg.MAC, v.Before(64))
	if !bytes.Equal(got, want[:]) {
		return errBadMAC
	}
	return nil
}

// differs compares a field, which may be absent, with what it should repeat.
func differs(got []byte, want string) bool { return got != nil && string(got) != want }

// takeKeys unwraps the working keys of a sign-in answer and checks their check
// values. F62 is PIK, KCV 4, MAK, KCV 4, and with 004 and 006 a key for track data; a
// single-length MAK in a slot of 16 fills it with eight zero bytes, which are not
// encrypted.
func (t *terminal) takeKeys() error {
	f62 := t.view.Field(62)
	if size := keySpaces[t.cfg.net()]; len(f62) != size {
		return fmt.Errorf("%w: F62 has %d bytes, not %d", errBadKeys, len(f62), size)
	}
	slot := 16
	if t.cfg.net() == singleNet {
		slot = 8
	}
	var keys [3]key
	for i := 0; len(f62) > 0; i++ {
		enc := f62[:slot]
		if slot == 16 && bytes.Equal(enc[8:], make([]byte, 8)) {
			enc = enc[:8]
		}
		var err error
		if keys[i], err = t.unwrap([...]string{"PIK", "MAK", "TDK"}[i], enc, f62[slot:slot+4]); err != nil {
			return err
		}
		f62 = f62[slot+4:]
	}
	batch := t.view.AppendText(t.text[:0], 60)
	if len(batch) < 8 {
		return fmt.Errorf("%w: F60 has no batch number", errBadKeys)
	}
	t.batch = 0
	for _, d := range batch[2:8] {
		t.batch = t.batch*10 + uint32(d-'0')
	}
	t.pik, t.mak = keys[0], keys[1]
	return nil
}

func (t *terminal) unwrap(name string, enc, check []byte) (key, error) {
	return unwrap(t.tmk, t.cfg.SM4, name, enc, check)
}

// unwrap opens a key that came under another one, and looks at its check value.
func unwrap(under key, sm4 bool, name string, enc, check []byte) (key, error) {
	b, err := under.open(enc)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errBadKeys, name, err)
	}
	k, err := keyOf(b, sm4)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errBadKeys, name, err)
	}
	if kcv := k.check(); !bytes.Equal(kcv[:], check) {
		return nil, fmt.Errorf("%w: %s: check value %X, not %X", errBadKeys, name, kcv, check)
	}
	return k, nil
}
