// Package translate turns a terminal's message into a transaction, a
// transaction into a bank's message, and back. It is pure: bytes and values in,
// bytes and values out, no allocation.
//
// Sources: UnionPay direct POS terminal specification (fields, F60), and the
// CUPS-style bank dialect; both as declared in codec/iso8583.
package translate

import (
	"encoding/hex"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// Echo is what an answer repeats of its request: the envelope, and fields as
// they came, in a copy of the message that the caller keeps.
type Echo struct {
	kept                                   []byte
	card, expiry, point, id, currency, f60 iso8583.Run // in kept
	Envelope
	F60     [20]byte // digits
	N60     uint8
	unnamed bool // the request has no F41 and F42
}

// Net is the network management code (F60.3), 0 when there is none.
func (e *Echo) Net() int { return int(number(e.F60[:e.N60], 8, 11)) }

// Envelope is what stands before the MTI of an answer.
type Envelope struct {
	bytes        [16]byte // TPDU and header as received
	tpdu, header uint8    // their sizes
}

// Keep notes what is repeated. kept is a copy of v's message that stays as it is
// until the answer has been made.
func (e *Echo) Keep(env *iso8583.Envelope, v *iso8583.View, kept []byte) {
	e.tpdu = uint8(copy(e.bytes[:], env.TPDU))
	e.header = uint8(copy(e.bytes[e.tpdu:], env.Header))
	e.kept = kept
	e.card, e.expiry, e.point = v.Run(2, 11), v.Run(14, 14), v.Run(23, 25)
	e.unnamed = false
	e.id, e.currency, e.f60 = v.Run(41, 42), v.Run(49, 49), v.Run(60, 60)
}

// Append appends the envelope of the answer. A terminal that is to sign in again
// is told so in its header, too.
func (e *Envelope) Append(dst []byte, s *iso8583.Spec, code txn.Code) []byte {
	env := iso8583.Envelope{TPDU: e.bytes[:e.tpdu]}
	if e.header > 0 {
		env.Header = e.bytes[e.tpdu : e.tpdu+e.header]
	}
	if code == txn.SignInAgain {
		env.Requirement = requireSignIn
	}
	return s.AppendReplyEnvelope(dst, &env)
}

const requireSignIn = 3

// zero is a code that denies nothing.
var zero txn.Code

// ReadRequest fills in what a terminal's request says. The code is zero when
// the request can go on, and the response code of the refusal otherwise; f.Kind
// is txn.Unknown for a message that this switch does not handle. f.ID, f.At and
// the like are not touched.
func ReadRequest(v *iso8583.View, f *txn.Facts, e *Echo) txn.Code {
	f.MTI = uint16(v.MTI())
	if !e.unnamed {
		if v.Len(41) != len(f.Terminal.Number) || v.Len(42) != len(f.Terminal.Merchant) {
			return txn.BadFormat
		}
		v.AppendText(f.Terminal.Number[:0], 41)
		v.AppendText(f.Terminal.Merchant[:0], 42)
	}
	readF60(v, e)
	f.Batch = uint32(number(e.F60[:e.N60], 2, 8))
	trace, hasTrace := v.Uint(11)
	f.Trace = uint32(trace)
	shape := shapeOf(v, e)
	f.Kind = shape.kind
	if f.Kind == txn.Unknown {
		return txn.NotSupported
	}
	if !isFinancial(f.MTI) {
		return zero
	}
	// Without its batch a request would have the name of another one.
	if !hasTrace || e.N60 < 8 {
		return txn.BadFormat
	}
	if f.Kind == txn.Reversal {
		f.Of = takenBack(v, e)
	}
	return readMoney(v, f, shape.amount)
}

// readF60 keeps the beginning of F60, which may be longer.
func readF60(v *iso8583.View, e *Echo) {
	if v.Len(60) <= len(e.F60) {
		e.N60 = uint8(len(v.AppendText(e.F60[:0], 60)))
		return
	}
	var buf [104]byte
	e.N60 = uint8(copy(e.F60[:], v.AppendText(buf[:0], 60)))
}

// readMoney reads the fields of a request about a card.
func readMoney(v *iso8583.View, f *txn.Facts, want amount) txn.Code {
	amount, ok := v.Uint(4)
	// An upload's F62 goes to no bank.
	if !ok && want == wanted || v.Len(55) > maxChip || v.Len(62) > maxCode && f.Kind != txn.BatchUpload {
		return txn.BadFormat
	}
	if want != any && (want == wanted) != (amount != 0) {
		return txn.BadAmount
	}
	f.Amount = int64(amount)
	f.Proc = small[uint32](v, 3, 0)
	f.Entry = small[uint16](v, 22, 0)
	f.Cond = small[uint8](v, 25, 0)
	f.Expiry = small[uint16](v, 14, txn.NoExpiry)
	f.CardSeq = small[uint16](v, 23, txn.NoCardSeq)
	copy(f.Currency[:], "156")
	if v.Len(49) == len(f.Currency) {
		v.AppendText(f.Currency[:0], 49)
	}
	if f.Kind == txn.Reversal {
		// F61 names the original: batch n6, trace n6. Without it the reversal
		// carries the original's own batch and trace, and so does that of a void or the
		// like: its F61 is the void's, and what that names is not to be reversed.
		if n := ReadNamed(v); n.Batch|n.Trace != 0 && !namesAnother(f.Of) {
			f.Batch, f.Trace = n.Batch, n.Trace
		}
	}
	return readPAN(v, f)
}

// readPAN takes the card number from F2, else from the second track up to its
// separator. A payment by code has neither.
func readPAN(v *iso8583.View, f *txn.Facts) txn.Code {
	if n := v.Len(2); n > 0 {
		return packedPAN(v, f, n)
	}
	var b [48]byte
	digits := v.AppendText(b[:0], 35)
	for i, c := range digits {
		if c == 'D' || c == '=' {
			digits = digits[:i]
			break
		}
	}
	if len(digits) == 0 {
		return zero
	}
	pan, err := txn.ParsePAN(digits)
	if err != nil {
		return txn.BadCard
	}
	f.PAN = pan
	return zero
}

// packedPAN takes the n digits of F2.
func packedPAN(v *iso8583.View, f *txn.Facts, n int) txn.Code {
	var packed [10]byte
	v.AppendPacked(packed[:0], 2)
	if n < 12 || n > 19 {
		return txn.BadCard
	}
	pan, err := txn.UnpackPAN(uint8(n), packed)
	if err != nil {
		return txn.BadCard
	}
	f.PAN = pan
	return zero
}

// What a bank takes is less than what a terminal can send: a request that could
// not be passed on is refused before anything is promised.
const (
	maxChip = 255 // F55
	maxCode = 200 // F62, passed on as a payment code
)

func small[T uint8 | uint16 | uint32](v *iso8583.View, n int, absent T) T {
	if x, ok := v.Uint(n); ok {
		return T(x)
	}
	return absent
}

// number reads digits[from:to]; missing digits, or what is none, make it 0.
func number(digits []byte, from, to int) (n uint64) {
	if to > len(digits) {
		return 0
	}
	for _, c := range digits[from:to] {
		if c-'0' > 9 {
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

// PIN says whether a request carries a PIN block, and gives the twelve digits of
// the card number that it was made with: F53 starts with 2 when the number is in
// the block, with 1 when it is not (then twelve zeros), with 0 without a PIN.
func PIN(v *iso8583.View, f *txn.Facts) (p PINBlock, pan12 [12]byte, ok bool) {
	if p.N = v.Len(52); p.N != 8 && p.N != len(p.B) {
		return PINBlock{}, pan12, false
	}
	v.AppendText(p.B[:0], 52)
	var b [16]byte
	switch f53 := v.AppendText(b[:0], 53); {
	case len(f53) > 0 && f53[0] == '0':
		return PINBlock{}, pan12, false
	case len(f53) > 0 && f53[0] == '1':
		copy(pan12[:], "000000000000")
	default:
		pan12 = f.PAN.Tail12()
	}
	return p, pan12, true
}

// PINBlock is F52: 8 bytes, or the 16 that SM4 makes of it.
type PINBlock struct {
	B [16]byte
	N int
}

// Door is the terminals' side of one dialect.
type Door struct {
	Spec *iso8583.Spec
	// Edition brings messages of 1993 to those of 1987; nil for a dialect of 1987.
	Edition *Edition
	plain   *iso8583.Spec // what answers are made in; Spec, but for 1993
	// MACRoom is how many bytes F64 takes at the end of an answer: 8, or 16 where it
	// is hexadecimal. PutMAC fills them.
	MACRoom int
	// PINRoom is the length of F52: 8, or 16 in a dialect of terminals with SM4.
	PINRoom int
	// BlockRoom is how many bytes F62 of an answer holds.
	BlockRoom int
	// What stands in every answer (F32), and in that to an approved sale (F63).
	acquirer, approved ready
}

// ready is fields that never change, made once.
type ready struct {
	iso8583.Run
	wire []byte
}

func prepare(s *iso8583.Spec, fill func(*iso8583.Builder)) (r ready, err error) {
	r.Run, r.wire, err = s.Encode(fill)
	return r, err
}

func (r *ready) put(b *iso8583.Builder) { b.PutRun(&r.Run, r.wire) }

// NewDoor prepares the answers. The error names every field that the dialect lacks,
// or has in another form than a terminal's messages need.
func NewDoor(s *iso8583.Spec, acquirer string) (*Door, error) {
	edition, err := newEdition(s, true)
	if edition == nil && err == nil {
		err = lacks(s, doorNeeds)
	}
	if err != nil {
		return nil, err
	}
	mac := s.Declaration().Fields[64]
	d := &Door{Spec: s, Edition: edition, plain: s, MACRoom: mac.Size(8), PINRoom: s.Declaration().Fields[52].Length, BlockRoom: s.Declaration().Fields[62].Length}
	if edition != nil {
		d.plain = edition.plain
	}
	if d.acquirer, err = prepare(d.plain, func(b *iso8583.Builder) { b.Put(32, []byte(acquirer)) }); err != nil {
		return nil, err
	}
	d.approved, err = prepare(d.plain, func(b *iso8583.Builder) { b.Put(63, []byte("CUP")) })
	return d, err
}

// Answer is what goes into the answer to a terminal besides the facts.
type Answer struct {
	Bank   *iso8583.View // the bank's answer, or nil
	F48    []byte        // digits: what totals were found to be
	F62    []byte        // keys of a sign-in, a block of a download
	Batch  uint32        // F60.2 of a sign-in: the new batch
	Sealed bool          // leave room for a MAC in F64
	Card   []byte        // F58, about a card
}

var noMAC [8]byte

// MAC reads F64 of a terminal's message; zeros when there is none.
func MAC(v *iso8583.View) (mac [8]byte) {
	if v.Len(64) == len(mac) {
		v.AppendText(mac[:0], 64)
	}
	return mac
}

// PutMAC writes a MAC into the room at the end of an answer.
func PutMAC(room []byte, mac *[8]byte) {
	if len(room) == len(mac) {
		copy(room, mac[:])
		return
	}
	hex.Encode(room, mac[:])
	for i, c := range room {
		if c >= 'a' {
			room[i] = c - 0x20
		}
	}
}

// AppendAnswer appends the answer's message, from the MTI on. With Sealed its
// last bytes are F64, still zero: the MAC covers all before them.
func (d *Door) AppendAnswer(dst []byte, f *txn.Facts, e *Echo, a *Answer, c *Clock) ([]byte, error) {
	if d.Edition == nil {
		return d.appendAnswer(dst, f, e, a, c)
	}
	msg, err := d.appendAnswer(d.Edition.scratch[:0], f, e, a, c)
	if err != nil {
		return dst, err
	}
	d.Edition.scratch = msg
	return d.Edition.newer(dst, msg, f.At)
}

func (d *Door) appendAnswer(dst []byte, f *txn.Facts, e *Echo, a *Answer, c *Clock) ([]byte, error) {
	var b iso8583.Builder
	b.Reset(d.plain, dst, iso8583.MTI(f.MTI|0x0010))
	b.PutRun(&e.card, e.kept)
	stamp := c.At(f.At)
	b.PutUint(12, stamp.time)
	b.PutUint(13, stamp.date)
	b.PutRun(&e.expiry, e.kept)
	if f.Settle != 0 {
		b.PutUint(15, uint64(f.Settle))
	}
	b.PutRun(&e.point, e.kept)
	d.acquirer.put(&b)
	b.PutUint(37, c.RRN(f))
	if f.Auth[0] != 0 {
		b.Put(38, f.Auth[:])
	}
	b.Put(39, f.Code[:])
	if e.unnamed {
		b.Put(41, f.Terminal.Number[:])
		b.Put(42, f.Terminal.Merchant[:])
	} else {
		b.PutRun(&e.id, e.kept)
	}
	if a.Bank != nil {
		b.Copy(44, a.Bank, 44)
	}
	if len(a.F48) > 0 {
		b.Put(48, a.F48)
	}
	b.PutRun(&e.currency, e.kept)
	if a.Bank != nil {
		b.Copy(54, a.Bank, 54)
		b.Copy(55, a.Bank, 55)
	}
	if len(a.Card) > 0 {
		b.Put(58, a.Card)
	}
	putF60(&b, e, a)
	if len(a.F62) > 0 {
		b.Put(62, a.F62)
	}
	if f.Kind == txn.Sale && f.Code == txn.OK {
		d.approved.put(&b)
	}
	if a.Sealed {
		b.Put(64, noMAC[:])
	}
	return b.End()
}

// putF60 repeats F60; the answer to a sign-in brings the new batch number.
func putF60(b *iso8583.Builder, e *Echo, a *Answer) {
	if a.Batch == 0 || e.N60 < 8 {
		b.PutRun(&e.f60, e.kept)
		return
	}
	var buf [24]byte
	f60 := append(buf[:0], e.F60[:2]...)
	f60 = appendUint(f60, uint64(a.Batch), 6)
	b.Put(60, append(f60, e.F60[8:e.N60]...))
}
