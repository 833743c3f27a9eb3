package bank

import (
	"strconv"

	"go.uber.org/zap"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/sim/book"
	"tongka/sim/internal/aid"
	"tongka/txn"
)

// Where the bytes of the 46-byte header stand that a receiver looks at.
// Source: CUPS message header, fields 1 to 10.
const (
	cupsHeaderLen = 46
	rejectAt      = 41 // reject code, n5
)

// rejectFormat is this bank's reject code for a message that it cannot read. No
// public list of these codes was found; the number repeats F39 30.
const rejectFormat = "00030"

// echoed are the fields of a request that its answer repeats, in the order of
// the message. Those that the bank sets itself are put in between.
var echoed = [...]int{2, 3, 4, 7, 11, 12, 13, 15, 18, 25, 32, 33, 37, 38, 39, 41, 42, 44, 49, 54, 70, 90, 100}

// handle decides one frame. It runs under the bank's lock. Its answer, if any,
// is appended to c.out or c.late; an error ends the connection.
func (c *bankConn) handle(frame []byte) error {
	if c.how.Deaf {
		c.bank.ledger.stats.Unanswered++
		return nil
	}
	spec := iso8583.Cups()
	msg, err := frame, error(nil)
	if c.bank.other != nil {
		msg, err = c.older(frame)
	} else {
		msg, err = spec.Split(frame, &c.env)
	}
	if err != nil {
		c.bank.ledger.stats.Rejected++
		return err // without a header there is nobody to send it back to
	}
	if err := spec.Parse(&c.view, msg); err != nil {
		c.bank.ledger.stats.Rejected++
		c.bank.log.Warn("message rejected", zap.Error(err))
		return c.reject(frame, msg)
	}
	if c.view.MTI() == 0x0810 {
		return c.keyAnswered()
	}
	if c.view.MTI()&0x10 == 0 {
		if deny := c.checkMAC(); deny != (txn.Code{}) {
			return c.financial(reply{code: deny})
		}
	}
	switch mti := c.view.MTI(); mti {
	case 0x0820:
		return c.network()
	case 0x0100, 0x0200:
		if proc, _ := c.view.Uint(3); proc/10000 == 31 {
			return c.balance()
		}
		return c.sale()
	case 0x0220, 0x0221, 0x0620, 0x0621:
		if _, told := kindOf(&c.view); told {
			return c.notice()
		}
		return c.sale()
	case 0x0420, 0x0421:
		return c.reversal()
	default:
		if mti&0x10 != 0 { // an answer: never answered, or two ends could go on for ever
			c.bank.log.Warn("answer to nothing asked", zap.Stringer("mti", mti))
			return nil
		}
		return c.answer(reply{code: txn.NotSupported})
	}
}

// reject sends a message back with the reject code in the header, the two
// stations swapped. One that is itself a reject, or an answer, goes nowhere.
func (c *bankConn) reject(frame, msg []byte) error {
	head := frame[:len(frame)-len(msg)]
	if len(head) != cupsHeaderLen || string(head[rejectAt:]) != "00000" || len(msg) > 3 && msg[2]&1 == 1 {
		return nil
	}
	from := len(c.out)
	c.out = append(c.out, "0000"...)
	c.out = iso8583.Cups().AppendReplyEnvelope(c.out, &c.env)
	copy(c.out[from+4+rejectAt:], rejectFormat)
	c.out = append(c.out, msg...)
	c.close(from)
	return nil
}

// network answers sign-on, sign-off, echo test and day cut alike.
func (c *bankConn) network() error {
	switch code, _ := c.view.Uint(70); code {
	case 1:
		c.bank.ledger.stats.SignOns++
	case 301:
		c.bank.ledger.stats.Echoes++
	}
	err := c.answer(reply{code: c.how.netCode()})
	if net, _ := c.view.Uint(70); net == netKeys && err == nil && c.how.netCode() == txn.OK {
		err = c.bringKey()
	}
	return err
}

// notice books what the switch tells of.
func (c *bankConn) notice() error {
	b, ok := c.booking()
	if !ok {
		return c.financial(reply{code: txn.BadFormat})
	}
	code, err := c.bank.ledger.notice(b)
	if err != nil {
		return err
	}
	return c.financial(reply{code: code})
}

// sale books or declines a 0200, and whatever else a bank is asked.
func (c *bankConn) sale() error {
	l := c.bank.ledger
	l.stats.Sales++
	b, ok := c.booking()
	if !ok {
		return c.financial(reply{code: txn.BadFormat})
	}
	c.checkPIN()
	code, err := l.sale(b, c.fate())
	if err != nil {
		return err
	}
	c.bank.sales++
	if n := c.how.CloseEvery; n > 0 && c.bank.sales%n == 0 {
		l.stats.Dropped++
		return errDropped
	}
	if c.how.Silent {
		l.stats.Unanswered++
		return nil
	}
	return c.financial(reply{code: code, issued: true})
}

// shownBalance is what every card of this bank has: account type, amount type 02
// (available), currency, sign, amount n12. Source: UnionPay specification, F54.
const shownBalance = "0202156C000000123456"

// balance answers an enquiry; nothing is booked.
func (c *bankConn) balance() error {
	l := c.bank.ledger
	l.stats.Enquiries++
	c.checkPIN()
	if c.how.Silent {
		l.stats.Unanswered++
		return nil
	}
	if _, ok := c.card(); !ok {
		return c.financial(reply{code: txn.BadCard})
	}
	return c.financial(reply{code: txn.OK, balance: shownBalance})
}

// reversal takes back what a 0420 or its repeat 0421 names.
func (c *bankConn) reversal() error {
	c.bank.ledger.stats.Reversals++
	b, ok := c.booking()
	if at := b.OfKey; at != 0 { // F90 names what is taken back
		b.STAN, b.Sent, b.OfKey, b.Of = uint32(at%traces), at/traces, 0, 0
	}
	if !ok {
		return c.financial(reply{code: txn.BadFormat})
	}
	code, err := c.bank.ledger.reverse(b)
	if err != nil {
		return err
	}
	return c.financial(reply{code: code})
}

// booking reads what the ledger keeps; ok is false when something is missing.
func (c *bankConn) booking() (b book.Booking, ok bool) {
	v, l := &c.view, c.bank.ledger
	amount, hasAmount := v.Uint(4)
	sent, hasSent := v.Uint(7)
	stan, hasTrace := v.Uint(11)
	pan, hasCard := c.card()
	// A payment by code (F62) has no card, and its reversal (F90) names neither.
	hasCard = hasCard || v.Has(62) || v.Has(90)
	b = book.Booking{
		Bank: l.bank, Merchant: l.name(v.Field(42)), Terminal: l.name(v.Field(41)), Amount: int64(amount),
		RRN: string(v.Field(37)), STAN: uint32(stan), Sent: sent, PAN: l.name([]byte(pan.String())),
	}
	b.Kind, _ = kindOf(v)
	hasAmount = hasAmount || !b.Kind.MovesMoney()
	if v.Has(90) {
		var good bool
		if b.OfKey, good = originalAt(v.Field(90)); !good {
			return b, false
		}
		if o, _ := l.original(&b); o != nil {
			b.Of = o.Amount
			if b.Kind == kindTip && o.Kind == kindOfflineSale {
				b.Kind = kindAdjust
			}
		}
	}
	return b, hasAmount && hasSent && hasTrace && hasCard && len(b.RRN) == 12 && v.Has(41) && v.Has(42)
}

const traces = 1_000_000 // F11 is n6

// originalAt reads F90: MTI n4, trace n6, F7 n10, F32 and F33 n11 each; F7 and F11
// as in a BookingKey.
func originalAt(f90 []byte) (at uint64, ok bool) {
	if len(f90) < 20 {
		return 0, false
	}
	stan, bad := strconv.ParseUint(string(f90[4:10]), 10, 32)
	sent, worse := strconv.ParseUint(string(f90[10:20]), 10, 64)
	at = sent*traces + stan
	return at, bad == nil && worse == nil && at != 0 // zeros name nothing
}

// card finds the card number in F2, or in front of track 2's separator.
func (c *bankConn) card() (txn.PAN, bool) {
	digits := c.view.AppendText(c.text[:0], 2)
	if len(digits) == 0 {
		digits = c.view.AppendText(c.text[:0], 35)
		for i, d := range digits {
			if d < '0' || d > '9' {
				digits = digits[:i]
				break
			}
		}
	}
	p, err := txn.ParsePAN(digits)
	return p, err == nil
}

// checkPIN opens F52 and counts what is no PIN block under the bank's key: a
// switch that translates wrongly, or with the wrong key, shows here.
func (c *bankConn) checkPIN() {
	block := c.view.Field(52)
	z := &c.bank.zone
	if len(block) != 8 || z.pin == nil {
		return
	}
	c.bank.ledger.stats.PINs++
	pan, _ := c.card()
	pan12 := pan.Tail12()
	if f53 := c.view.Field(53); len(f53) > 0 && f53[0] == '1' {
		pan12 = [12]byte([]byte("000000000000")) // F53 1: the block holds no account number
	}
	_, _, err := z.pin.DecryptPIN([8]byte(block), &pan12, hsm.ISO0)
	if err != nil && z.pinBefore != nil { // it was under way when the key changed
		_, _, err = z.pinBefore.DecryptPIN([8]byte(block), &pan12, hsm.ISO0)
	}
	if err != nil {
		c.bank.ledger.stats.PINFaults++
		c.bank.log.Warn("PIN block not readable under the ZPK", zap.Error(err))
	}
}

// reply is what an answer adds to the echoed fields.
type reply struct {
	code   txn.Code
	issued bool // by an issuer: settlement date and, if approved, an authorisation
	// F54, empty for none
	balance string
}

// financial answers as the behaviour wants it.
func (c *bankConn) financial(r reply) error {
	from := len(c.out)
	if err := c.answer(r); err != nil {
		return err
	}
	c.emit(from)
	return nil
}

// answer appends the answer to the message in c.view to c.out, as a whole frame.
func (c *bankConn) answer(r reply) error {
	from := len(c.out)
	spec := iso8583.Cups()
	c.out = append(c.out, "0000"...)
	if c.bank.other == nil {
		c.out = spec.AppendReplyEnvelope(c.out, &c.env)
	}
	m := spec.Begin(c.out, c.view.MTI().Reply())
	for _, n := range echoed {
		switch {
		case n == 39:
			m.Put(39, r.code[:])
		case n == 15 && r.issued:
			m.Put(15, c.now.AppendFormat(c.text[:0], "0102"))
		case n == 38 && r.issued && r.code == txn.OK:
			m.Put(38, aid.AppendDigits(c.text[:0], uint64(len(c.bank.ledger.all)), 6))
		case n == 54 && r.balance != "":
			m.Put(54, []byte(r.balance))
		case n == 44 && r.issued:
			m.Put(44, []byte("01020000   ")) // issuer, an11; the switch adds the acquirer
		case c.view.Has(n):
			m.Copy(n, &c.view, n)
		}
	}
	key := c.bank.zone.mac
	if !c.sealed() || c.how.NoMAC {
		key = nil
	}
	return c.finish(&m, from, key)
}

// close writes both lengths of the frame that begins at c.out[from].
func (c *bankConn) close(from int) {
	size := len(c.out) - from - 4
	if c.bank.other == nil {
		iso8583.PatchCupsLength(c.out[from+4:], size)
	}
	aid.AppendDigits(c.out[from:from], uint64(size), 4)
}
