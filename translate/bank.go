package translate

import (
	"bytes"
	"fmt"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// Bank is the other side: what stands in every message to one bank.
type Bank struct {
	Spec *iso8583.Spec
	// Edition brings messages of 1993 to those of 1987; nil for a dialect of 1987.
	Edition *Edition
	plain   *iso8583.Spec // what messages are made in; Spec, but for 1993
	// PINRoom is the length of F52: 8, or 16 where the ZPK is for SM4.
	PINRoom int
	header  []byte // 46 bytes, its length to be patched
	ids     ready  // F32 acquirer, F33 forwarder
	sender  ready  // F33 alone
	// F60 of a request and of a reversal.
	asked, reversed ready
	tail            []byte   // of F90: F32 and F33 right aligned in 11 digits each
	mac             *bankMAC // nil: its messages carry none
}

// NewBank prepares the messages: the stations of the header (up to 11
// characters) and the institutions of F32 and F33. The error names the field
// that the dialect cannot carry.
func NewBank(s *iso8583.Spec, destination, source, acquirer, forwarder string) (*Bank, error) {
	edition, err := newEdition(s, false)
	if edition == nil && err == nil {
		err = lacks(s, bankNeeds)
	}
	if err != nil {
		return nil, err
	}
	k := &Bank{Spec: s, Edition: edition, plain: s, PINRoom: s.Declaration().Fields[52].Length}
	if edition != nil {
		k.plain = edition.plain
	}
	if s.Framing() == iso8583.Centre {
		k.header = iso8583.AppendCupsHeader(nil, destination, source)
	}
	k.tail = appendRight(appendRight(nil, acquirer), forwarder)
	for _, part := range []struct {
		r    *ready
		fill func(*iso8583.Builder)
	}{
		{&k.ids, func(b *iso8583.Builder) { b.Put(32, []byte(acquirer)); b.Put(33, []byte(forwarder)) }},
		{&k.sender, func(b *iso8583.Builder) { b.Put(33, []byte(forwarder)) }},
		{&k.asked, func(b *iso8583.Builder) { b.Put(60, []byte(asked)) }},
		{&k.reversed, func(b *iso8583.Builder) { b.Put(60, []byte(reversed)) }},
	} {
		if *part.r, err = prepare(k.plain, part.fill); err != nil {
			return nil, err
		}
	}
	if !bytes.HasSuffix(k.asked.wire, []byte(asked)) {
		return nil, fmt.Errorf("dialect %s: F60 of a bank's message is characters", s.Name())
	}
	return k, nil
}

// Net management codes (F70) of a bank link.
const (
	NetSignOn       = 1
	NetSignOff      = 2
	NetDayCutBegins = 201
	NetDayCutEnds   = 202
	NetEcho         = 301
)

// Plain is the dialect of the views that ReadBank and the like are given.
func (k *Bank) Plain() *iso8583.Spec { return k.plain }

// begin starts a message behind its header and gives the header's offset. One for
// 1993 is made apart.
func (k *Bank) begin(b *iso8583.Builder, dst []byte, mti iso8583.MTI) (at int) {
	if k.Edition != nil {
		b.Reset(k.plain, k.Edition.scratch[:0], mti)
		return len(dst)
	}
	b.Reset(k.Spec, append(dst, k.header...), mti)
	return len(dst)
}

// finish ends it, behind dst. ref is a time near those that it names.
func (k *Bank) finish(b *iso8583.Builder, dst []byte, ref int64) ([]byte, error) {
	out, err := b.End()
	at := len(dst)
	if err != nil {
		return dst, err
	}
	if k.Edition != nil {
		k.Edition.scratch = out
		if out, err = k.Edition.newer(append(dst, k.header...), out, ref); err != nil {
			return dst, err
		}
	}
	if k.header != nil {
		iso8583.PatchCupsLength(out[at:], len(out)-at)
	}
	return out, nil
}

// AppendRequest appends the request to the bank, header included, made of the
// facts and of the terminal's message. pin is the block under the bank's key,
// nil without a PIN; orig the transaction that this one names, or nil. The
// terminal's own trace and batch numbers stay here.
func (k *Bank) AppendRequest(dst []byte, v *iso8583.View, f, orig *txn.Facts, e *Echo, pin []byte, c *Clock) ([]byte, error) {
	var b iso8583.Builder
	at := k.begin(&b, dst, iso8583.MTI(f.MTI))
	if v.Len(2) > 0 && v.Has(3) && f.Kind != txn.LoadOther {
		b.CopySet(v, cardAndAmount)
	} else {
		putMoney(&b, f)
	}
	putTrace(&b, f, c)
	putCategory(&b, f)
	if v.Has(22) && v.Has(25) {
		b.CopySet(v, pointOfSale)
	} else {
		putPoint(&b, f)
		b.Copy(26, v, 26)
	}
	k.ids.put(&b)
	b.Copy(35, v, 35)
	b.Copy(36, v, 36)
	b.PutUint(37, c.RRN(f))
	if orig != nil && orig.Auth[0] != 0 {
		b.Put(38, orig.Auth[:])
	}
	if v.Has(49) {
		b.CopySet(v, terminal)
	} else {
		putTerminal(&b, f)
	}
	if pin != nil {
		b.Put(52, pin)
		b.CopySet(v, formatAndChip)
	} else {
		b.Copy(55, v, 55)
	}
	end := k.putAsked(&b, at, e)
	if f.PAN.Len() == 0 {
		b.Copy(62, v, 62) // the customer's payment code
	}
	if orig != nil {
		k.putOriginal(&b, orig, c)
	}
	k.room(&b, iso8583.MTI(f.MTI), 0, orig != nil)
	out, err := k.finish(&b, dst, f.Sent)
	if err == nil && k.Edition == nil {
		ownTerminal(out[end-reasonSize:end], e)
	}
	return out, err
}

// putAsked puts F60 of a request, and gives its end; a message that is made apart
// has what the terminal says of itself at once.
func (k *Bank) putAsked(b *iso8583.Builder, at int, e *Echo) (end int) {
	if k.Edition != nil {
		var f60 [reasonSize]byte
		copy(f60[:], asked)
		ownTerminal(f60[:], e)
		b.Put(60, f60[:])
		return 0
	}
	k.asked.put(b)
	return at + len(k.header) + b.Offset()
}

// Fields that a request has from its terminal as they are. What the facts say of
// them was read from the same message.
var (
	cardAndAmount = iso8583.Fields(2, 3, 4)
	pointOfSale   = iso8583.Fields(22, 23, 25, 26)
	terminal      = iso8583.Fields(41, 42, 49)
	formatAndChip = iso8583.Fields(53, 55)
)

// putMoney puts F2 to F4: card, if there is one, processing code, and amount, if
// money moves.
func putMoney(b *iso8583.Builder, f *txn.Facts) {
	var buf [19]byte
	if f.PAN.Len() > 0 {
		b.Put(2, f.PAN.AppendDigits(buf[:0]))
	}
	b.PutUint(3, uint64(bankProc(f)))
	if f.Amount != 0 {
		b.PutUint(4, uint64(f.Amount))
	}
}

// bankProc is F3 towards a bank: that of a load from another account is 65 there
// and 62 at the terminal (source: CUPS interface, table of transactions). Of an
// unload a bank sees a deposit, 21 as in ISO 8583; no public paper says so.
func bankProc(f *txn.Facts) uint32 {
	switch f.Kind {
	case txn.LoadOther:
		return 650000 + f.Proc%10000
	case txn.Unload:
		return 210000 + f.Proc%10000
	}
	return f.Proc
}

// putTrace puts F7 to F14: times, our trace and the card's expiry.
func putTrace(b *iso8583.Builder, f *txn.Facts, c *Clock) {
	stamp := c.At(f.Sent)
	b.PutUint(7, stamp.F7())
	b.PutUint(11, uint64(f.ID.STAN()))
	b.PutUint(12, stamp.time)
	b.PutUint(13, stamp.date)
	if f.Expiry != txn.NoExpiry {
		b.PutUint(14, uint64(f.Expiry))
	}
}

// putCategory puts F18: the merchant category stands in the merchant number.
func putCategory(b *iso8583.Builder, f *txn.Facts) {
	var mcc uint64
	for _, d := range f.Terminal.Merchant[7:11] {
		if d < '0' || d > '9' {
			mcc = 0
			break
		}
		mcc = mcc*10 + uint64(d-'0')
	}
	b.PutUint(18, mcc)
}

// putPoint puts F22 to F25.
func putPoint(b *iso8583.Builder, f *txn.Facts) {
	b.PutUint(22, uint64(f.Entry))
	if f.CardSeq != txn.NoCardSeq {
		b.PutUint(23, uint64(f.CardSeq))
	}
	b.PutUint(25, uint64(f.Cond))
}

// putTerminal puts F41 to F49.
func putTerminal(b *iso8583.Builder, f *txn.Facts) {
	b.Put(41, f.Terminal.Number[:])
	b.Put(42, f.Terminal.Merchant[:])
	b.Put(49, f.Currency[:])
}

// The bank's F60, n30: reason n4, account owner, terminal capability and card
// condition, reserved, terminal type 03, and the rest zero.
const (
	reasonSize = 30
	asked      = "0000" + "0000" + "03" + "00000000000000000000"
	reversed   = "4351" + "0000" + "03" + "00000000000000000000"
)

// ownTerminal writes the capability and the card condition that the terminal
// says of itself (its F60.4 and F60.5) into a bank's F60.
func ownTerminal(f60 []byte, e *Echo) {
	if e.N60 >= 12 {
		f60[5] = e.F60[11]
	}
	if e.N60 >= 13 {
		f60[6] = e.F60[12]
	}
}

// AppendReversal appends the reversal advice 0420, or 0421 when it was offered
// before, of a transaction that was sent to this bank. It carries the original's
// trace and reference numbers and never changes from one offer to the next, but
// for the MTI: several sends, one effect. F90 names the original.
func (k *Bank) AppendReversal(dst []byte, f *txn.Facts, again bool, c *Clock) ([]byte, error) {
	mti := iso8583.MTI(0x0420)
	if again {
		mti = 0x0421
	}
	var b iso8583.Builder
	k.begin(&b, dst, mti)
	putMoney(&b, f)
	putTrace(&b, f, c)
	putCategory(&b, f)
	putPoint(&b, f)
	k.ids.put(&b)
	b.PutUint(37, c.RRN(f))
	if f.Auth[0] != 0 {
		b.Put(38, f.Auth[:])
	}
	putTerminal(&b, f)
	k.reversed.put(&b)
	k.putOriginal(&b, f, c)
	k.room(&b, mti, 0, true)
	return k.finish(&b, dst, f.Sent)
}

// putOriginal puts F90: the original's MTI n4, trace n6, F7 n10, F32 and F33 n11
// each.
func (k *Bank) putOriginal(b *iso8583.Builder, f *txn.Facts, c *Clock) {
	var buf [48]byte
	b.Put(90, append(appendOriginal(buf[:0], f, c), k.tail...))
}

func appendOriginal(dst []byte, f *txn.Facts, c *Clock) []byte {
	mti := f.MTI
	if f.Kind == txn.OfflineSale {
		mti = adviceMTI // the bank knows it as the notice that it got
	}
	dst = appendUint(dst, mtiDigits(mti), 4)
	dst = appendUint(dst, uint64(f.ID.STAN()), 6)
	return appendUint(dst, c.At(f.Sent).F7(), 10)
}

// mtiDigits reads a message type's four nibbles as a decimal number.
func mtiDigits(mti uint16) uint64 {
	return uint64(mti>>12)*1000 + uint64(mti>>8&15)*100 + uint64(mti>>4&15)*10 + uint64(mti&15)
}

// appendRight appends an institution number right aligned in eleven digits.
func appendRight(dst []byte, id string) []byte {
	for range 11 - min(len(id), 11) {
		dst = append(dst, '0')
	}
	return append(dst, id[:min(len(id), 11)]...)
}

// Network is a network management message.
type Network struct {
	MTI  iso8583.MTI // 0820 asks, 0830 answers
	Net  uint16      // F70
	STAN uint32
	Code txn.Code // F39 of an answer
	// Security is F53, which says the key that is asked for; empty leaves it out.
	Security string
}

// AppendNetwork appends a network management message, header included.
func (k *Bank) AppendNetwork(dst []byte, m *Network, now int64, c *Clock) ([]byte, error) {
	var b iso8583.Builder
	k.begin(&b, dst, m.MTI)
	b.PutUint(7, c.At(now).F7())
	b.PutUint(11, uint64(m.STAN))
	k.sender.put(&b)
	if m.MTI&0x0010 != 0 {
		b.Put(39, m.Code[:])
	}
	if m.Security != "" {
		b.Put(53, []byte(m.Security))
	}
	b.PutUint(70, uint64(m.Net))
	k.room(&b, m.MTI, m.Net, true)
	return k.finish(&b, dst, now)
}

// BankMessage is what a bank's message says.
type BankMessage struct {
	MTI    iso8583.MTI
	STAN   uint32
	RRN    uint64 // 0 when absent or not a number
	Amount int64
	Code   txn.Code
	Auth   [6]byte
	Settle uint16
	Net    uint16 // F70
}

// ReadBank reads a bank's message.
func ReadBank(v *iso8583.View, m *BankMessage) {
	*m = BankMessage{MTI: v.MTI()}
	if x, ok := v.Uint(11); ok {
		m.STAN = uint32(x)
	}
	m.RRN = digits(v.Field(37))
	if x, ok := v.Uint(4); ok {
		m.Amount = int64(x)
	}
	copy(m.Code[:], v.Field(39))
	copy(m.Auth[:], v.Field(38))
	if x, ok := v.Uint(15); ok {
		m.Settle = uint16(x)
	}
	if x, ok := v.Uint(70); ok {
		m.Net = uint16(x)
	}
}

func digits(b []byte) (n uint64) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}
