package translate

import (
	"tongka/codec/iso8583"
	"tongka/txn"
)

// Bank is the other side: what stands in every message to one bank.
type Bank struct {
	Spec   *iso8583.Spec
	header []byte      // 46 bytes, its length to be patched
	ids    iso8583.Run // F32 acquirer, F33 forwarder
	sender iso8583.Run // F33 alone
	tail   []byte      // of F90: F32 and F33 right aligned in 11 digits each
}

// NewBank prepares the messages: the stations of the header (up to 11
// characters) and the institutions of F32 and F33. The error names the field
// that the dialect cannot carry.
func NewBank(s *iso8583.Spec, destination, source, acquirer, forwarder string) (*Bank, error) {
	k := &Bank{Spec: s, header: iso8583.AppendCupsHeader(nil, destination, source)}
	var err error
	k.ids, err = s.Encode(func(b *iso8583.Builder) {
		b.Put(32, []byte(acquirer))
		b.Put(33, []byte(forwarder))
	})
	if err != nil {
		return nil, err
	}
	k.sender, err = s.Encode(func(b *iso8583.Builder) { b.Put(33, []byte(forwarder)) })
	k.tail = appendRight(appendRight(nil, acquirer), forwarder)
	return k, err
}

// Net management codes (F70) of a bank link.
const (
	NetSignOn  = 1
	NetSignOff = 2
	NetEcho    = 301
)

// message starts a message behind its header.
func (k *Bank) message(dst []byte, mti iso8583.MTI) (iso8583.Builder, int) {
	at := len(dst)
	return k.Spec.Begin(append(dst, k.header...), mti), at
}

func finish(b *iso8583.Builder, at int) ([]byte, error) {
	out, err := b.End()
	if err != nil {
		return out[:at], err
	}
	iso8583.PatchCupsLength(out[at:], len(out)-at)
	return out, nil
}

// AppendRequest appends the request to the bank, header included, made of the
// facts and of the terminal's message. pin is the block under the bank's key,
// nil without a PIN. The terminal's own trace and batch numbers stay here.
func (k *Bank) AppendRequest(dst []byte, v *iso8583.View, f *txn.Facts, e *Echo, pin []byte, c *Clock) ([]byte, error) {
	var buf [32]byte
	b, at := k.message(dst, iso8583.MTI(f.MTI))
	k.putHead(&b, f, c)
	k.putPoint(&b, f)
	b.Copy(26, v, 26)
	b.PutRun(&k.ids)
	b.Copy(35, v, 35)
	b.Copy(36, v, 36)
	b.PutUint(37, c.RRN(f))
	b.Put(41, f.Terminal.Number[:])
	b.Put(42, f.Terminal.Merchant[:])
	b.Put(49, f.Currency[:])
	if pin != nil {
		b.Put(52, pin)
		b.Copy(53, v, 53)
	}
	b.Copy(55, v, 55)
	b.Put(60, appendReason(buf[:0], "0000", e))
	if f.PAN.Len() == 0 {
		b.Copy(62, v, 62) // the customer's payment code
	}
	return finish(&b, at)
}

// putHead puts F2 to F14: card, processing code, amount, times and our trace.
func (k *Bank) putHead(b *iso8583.Builder, f *txn.Facts, c *Clock) {
	var buf [20]byte
	if f.PAN.Len() > 0 {
		b.Put(2, f.PAN.AppendDigits(buf[:0]))
	}
	b.PutUint(3, uint64(f.Proc))
	b.PutUint(4, uint64(f.Amount))
	stamp := c.At(f.Sent)
	b.Put(7, stamp.F7[:])
	b.PutUint(11, uint64(f.ID.STAN()))
	b.Put(12, stamp.F12())
	b.Put(13, stamp.F13())
	if f.Expiry != txn.NoExpiry {
		b.PutUint(14, uint64(f.Expiry))
	}
}

// putPoint puts F18 to F25: the merchant category stands in the merchant number.
func (k *Bank) putPoint(b *iso8583.Builder, f *txn.Facts) {
	mcc := f.Terminal.Merchant[7:11]
	for _, d := range mcc {
		if d < '0' || d > '9' {
			mcc = []byte("0000")
			break
		}
	}
	b.Put(18, mcc)
	b.PutUint(22, uint64(f.Entry))
	if f.CardSeq != txn.NoCardSeq {
		b.PutUint(23, uint64(f.CardSeq))
	}
	b.PutUint(25, uint64(f.Cond))
}

// appendReason makes the bank's F60, n30: reason n4, account owner, terminal
// capability and card condition (from the terminal's F60.4 and F60.5), reserved,
// terminal type 03, and the rest zero.
func appendReason(dst []byte, reason string, e *Echo) []byte {
	capability, condition := byte('0'), byte('0')
	if e != nil && e.N60 >= 12 {
		capability = e.F60[11]
	}
	if e != nil && e.N60 >= 13 {
		condition = e.F60[12]
	}
	dst = append(dst, reason...)
	dst = append(dst, '0', capability, condition, '0')
	return append(dst, "0300000000000000000000"...)
}

// AppendReversal appends the reversal advice 0420, or 0421 when it was offered
// before, of a transaction that was sent to this bank. It carries the original's
// trace and reference numbers and never changes from one offer to the next, but
// for the MTI: several sends, one effect. F90 names the original.
func (k *Bank) AppendReversal(dst []byte, f *txn.Facts, again bool, c *Clock) ([]byte, error) {
	var buf [48]byte
	mti := iso8583.MTI(0x0420)
	if again {
		mti = 0x0421
	}
	b, at := k.message(dst, mti)
	k.putHead(&b, f, c)
	k.putPoint(&b, f)
	b.PutRun(&k.ids)
	b.PutUint(37, c.RRN(f))
	if f.Auth[0] != 0 {
		b.Put(38, f.Auth[:])
	}
	b.Put(41, f.Terminal.Number[:])
	b.Put(42, f.Terminal.Merchant[:])
	b.Put(49, f.Currency[:])
	b.Put(60, appendReason(buf[:0], "4351", nil))
	// F90: original MTI n4, trace n6, F7 n10, F32 and F33 n11 each.
	orig := appendUint(buf[:0], mtiDigits(f.MTI), 4)
	orig = appendUint(orig, uint64(f.ID.STAN()), 6)
	orig = append(orig, c.At(f.Sent).F7[:]...)
	b.Put(90, append(orig, k.tail...))
	return finish(&b, at)
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

// AppendNetwork appends a network management request 0820, or the answer 0830
// with code 00 to one of the bank's.
func (k *Bank) AppendNetwork(dst []byte, mti iso8583.MTI, net uint16, stan uint32, now int64, c *Clock) ([]byte, error) {
	b, at := k.message(dst, mti)
	b.Put(7, c.At(now).F7[:])
	b.PutUint(11, uint64(stan))
	b.PutRun(&k.sender)
	if mti&0x0010 != 0 {
		b.Put(39, txn.OK[:])
	}
	b.PutUint(70, uint64(net))
	return finish(&b, at)
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
