// Package mix is a day of a terminal, as fast as a load generator must be: of twenty
// transactions twelve are sales, four load a card, and one each is a reversal, a balance
// enquiry, a sign-in and a settlement. Nothing in it is short-cut: keys come from the
// sign-in, cards check their MAC2 and sign with their TAC, totals must balance.
package mix

import (
	"fmt"
	"strconv"

	"tongka/bench/internal/sale"
	"tongka/codec/iso8583"
	"tongka/hsm/clear"
)

// Deal is one transaction of the day.
type Deal uint8

// Deals.
const (
	Sell Deal = iota
	Load
	Reverse // of the sale before
	Ask
	SignIn
	Settle
	deals
)

var dealNames = [deals]string{"sale", "load", "reversal", "balance", "sign-in", "settlement"}

// String is the deal's name in faults.
func (d Deal) String() string { return dealNames[d] }

// day is the order of a terminal's transactions, from its sign-in to its settlement.
var day = [...]Deal{SignIn, Sell, Sell, Load, Sell, Ask, Sell, Sell, Load, Sell, Reverse, Sell, Sell, Load, Sell, Sell, Sell, Load, Sell, Settle}

const (
	lengthLen = 2
	envelope  = "\x60\x00\x03\x00\x00" + "\x60\x31\x00\x31\x00\x00" // TPDU and header
	msgAt     = lengthLen + len(envelope)
	saleFen   = 100 // of sale.NewRequest
	loadFen   = 100
	f48Side   = 12 + 3 + 12 + 3 + 1
	scratch   = 1 << 10 // more than any message
)

// stage is where a deal stands.
type stage uint8

const (
	fresh stage = iota
	asked
	confirming // a load whose card was written
)

// Till is one terminal and the card that is always loaded there. It belongs to one
// goroutine; what it gives is lent until the next call.
type Till struct {
	term     sale.Terminal
	tmk, mak clear.Cipher
	sell     *sale.Request
	ask      *sale.Request
	card     *purse
	at       int // in day
	stage    stage
	trace    uint32
	sold     uint32 // trace of the last sale
	debit    totals
	credit   totals
	tac      [4]byte
	view     iso8583.View
	out      []byte
	text     []byte
	sent     int // length of the frame under way
	macs     *clear.Batch
	place    int // in it, of the frame's MAC; -1 for none
}

// totals are of the batch that the till is in.
type totals struct {
	fen uint64
	n   uint64
}

// New makes terminal i, which is signed in and somewhere in its day, so that many together
// do everything at any time. trace is its first trace number.
func New(i int, trace uint32) (*Till, error) {
	t := &Till{term: sale.NewTerminal(i), at: i % len(day), trace: trace, text: make([]byte, 0, scratch), out: make([]byte, 0, scratch)}
	if t.deal() == Reverse { // nothing was sold yet
		t.at++
	}
	t.tmk.Expand(t.term.PIK[:])
	t.mak.Expand(t.term.MAK[:])
	var err error
	if t.card, err = newPurse(i); err != nil {
		return nil, err
	}
	if t.sell, err = sale.NewRequest(&t.term, false); err != nil {
		return nil, err
	}
	t.ask, err = sale.NewEnquiry(&t.term)
	return t, err
}

func (t *Till) deal() Deal { return day[t.at] }

// Next is what the terminal sends now: a new deal's request, or the confirmation of a load.
// What its MAC is made over goes to macs, which must not be full; the frame is whole when
// they are made and Seal has been called.
func (t *Till) Next(macs *clear.Batch) (frame []byte, err error) {
	t.macs, t.place = macs, -1
	switch d := t.deal(); {
	case t.stage == confirming:
		frame, err = t.confirm()
	case d == Sell:
		t.sold = t.trace
		frame = t.shut(t.sell.Unsealed(t.trace))
	case d == Ask:
		frame = t.shut(t.ask.Unsealed(t.trace))
	case d == Load:
		frame, err = t.load()
	case d == Reverse:
		frame, err = t.reverse()
	case d == SignIn:
		frame, err = t.signIn()
	default:
		frame, err = t.settle()
	}
	if t.stage == fresh {
		t.stage = asked
	}
	t.sent = len(frame)
	return frame, err
}

// shut leaves the MAC of a message to the batch, by the XOR of its blocks.
func (t *Till) shut(frame []byte, fold [8]byte) []byte {
	t.place = t.macs.Add(&t.mak, fold[:])
	return frame
}

// Seal puts the MAC into the frame that Next gave, once the batch's are made.
func (t *Till) Seal(frame []byte) {
	if t.place >= 0 {
		mac := t.macs.MAC(t.place)
		copy(frame[len(frame)-len(mac):], mac[:])
	}
}

// Echoed takes an answer that is the request sent back, as a relay's bank gives it. more says
// that the deal goes on.
func (t *Till) Echoed(frame []byte) (more bool, err error) {
	if len(frame) != t.sent {
		return false, t.fault("%d bytes came back of %d", len(frame), t.sent)
	}
	if t.deal() == Load && t.stage == asked {
		t.tac = [4]byte{}
		return t.wrote(), nil
	}
	t.over()
	return false, nil
}

// wrote goes on to the confirmation.
func (t *Till) wrote() bool {
	t.stage = confirming
	t.trace = t.trace%sale.MaxTrace + 1
	return true
}

// over ends a deal, whatever came of it.
func (t *Till) over() {
	if t.deal() != Reverse { // whose number is the sale's
		t.trace = t.trace%sale.MaxTrace + 1
	}
	t.at, t.stage = (t.at+1)%len(day), fresh
}

// fault ends a deal that went wrong.
func (t *Till) fault(format string, args ...any) error {
	err := fmt.Errorf("%v: %s", t.deal(), fmt.Sprintf(format, args...))
	t.over()
	return err
}

func (t *Till) begin(mti iso8583.MTI) iso8583.Builder {
	t.out = append(append(t.out[:0], 0, 0), envelope...)
	return iso8583.Pos().Begin(t.out, mti)
}

// end closes a message and sets its length, and leaves its MAC to the batch if it has one.
func (t *Till) end(m *iso8583.Builder, sealed bool) ([]byte, error) {
	var none [8]byte
	at := m.Offset()
	if sealed {
		m.Put(64, none[:])
	}
	out, err := m.End()
	if err != nil {
		return nil, t.fault("%v", err)
	}
	if sealed {
		t.place = t.macs.Add(&t.mak, out[msgAt:msgAt+at])
	}
	out[0], out[1] = byte((len(out)-lengthLen)>>8), byte(len(out)-lengthLen)
	t.out = out
	return out, nil
}

// parties puts the fields 41, 42 and 49.
func (t *Till) parties(m *iso8583.Builder) {
	m.Put(41, append(t.text[:0], t.term.Number...))
	m.Put(42, append(t.text[:0], t.term.Merchant...))
	m.Put(49, append(t.text[:0], "156"...))
}

// f60 is message type, batch and what follows.
func (t *Till) f60(kind, rest string) []byte {
	t.text = append(append(append(t.text[:0], kind...), t.term.Batch...), rest...)
	return t.text
}

func (t *Till) load() ([]byte, error) {
	m := t.begin(0x0200)
	m.Put(2, append(t.text[:0], t.term.PAN...))
	m.Put(3, append(t.text[:0], "630000"...))
	m.PutUint(4, loadFen)
	m.PutUint(11, uint64(t.trace))
	m.Put(22, append(t.text[:0], "052"...))
	m.Put(25, append(t.text[:0], "91"...))
	t.parties(&m)
	about, err := t.card.begin(t.text[:0], loadFen)
	if err != nil {
		return nil, t.fault("%v", err)
	}
	t.text = about
	m.Put(58, about)
	m.Put(60, t.f60("46", "000"))
	return t.end(&m, true)
}

func (t *Till) confirm() ([]byte, error) {
	m := t.begin(0x0220)
	m.Put(3, append(t.text[:0], "600000"...))
	m.PutUint(11, uint64(t.trace))
	m.Put(22, append(t.text[:0], "052"...))
	m.Put(25, append(t.text[:0], "91"...))
	t.parties(&m)
	t.text = t.card.confirmation(t.text[:0], t.tac)
	m.Put(58, t.text)
	m.Put(60, t.f60("55", "000"))
	return t.end(&m, true)
}

// reverse takes the last sale back: the original's fields without the card's own data.
func (t *Till) reverse() ([]byte, error) {
	m := t.begin(0x0400)
	m.Put(2, append(t.text[:0], t.term.PAN...))
	m.Put(3, append(t.text[:0], "000000"...))
	m.PutUint(4, saleFen)
	m.PutUint(11, uint64(t.sold))
	m.Put(14, append(t.text[:0], "3012"...))
	m.Put(22, append(t.text[:0], "052"...))
	m.Put(25, append(t.text[:0], "00"...))
	m.Put(39, append(t.text[:0], "98"...))
	t.parties(&m)
	m.Put(60, t.f60("22", "000601"))
	return t.end(&m, true)
}

func (t *Till) signIn() ([]byte, error) {
	m := t.begin(0x0800)
	m.PutUint(11, uint64(t.trace))
	m.Put(41, append(t.text[:0], t.term.Number...))
	m.Put(42, append(t.text[:0], t.term.Merchant...))
	m.Put(60, t.f60("00", "003"))
	m.Put(63, append(t.text[:0], "01 "...))
	return t.end(&m, false)
}

func (t *Till) settle() ([]byte, error) {
	m := t.begin(0x0500)
	m.PutUint(11, uint64(t.trace))
	m.Put(41, append(t.text[:0], t.term.Number...))
	m.Put(42, append(t.text[:0], t.term.Merchant...))
	f48 := t.text[:0]
	for _, side := range []totals{t.debit, t.credit} {
		f48 = digits(digits(f48, side.fen, 12), side.n, 3)
	}
	f48 = digits(append(f48, '0'), 0, f48Side) // no cards of other countries
	t.text = f48
	m.Put(48, f48)
	m.Put(49, append(t.text[:0], "156"...))
	m.Put(60, t.f60("00", "201"))
	return t.end(&m, true)
}

// digits appends a number with zeros in front.
func digits(dst []byte, v uint64, width int) []byte {
	var b [20]byte
	text := strconv.AppendUint(b[:0], v, 10)
	for range width - len(text) {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}
