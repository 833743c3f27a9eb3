package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"tongka/txn"
)

// What of the facts is there, in the second form of them; see the package comment.
const (
	hasOrig uint16 = 1 << iota
	hasSent
	sentSoon
	hasAmount
	smallAmount
	merchantText
	merchantDigits
	numberText
	numberDigits
	hasPAN
	hasBatch
	hasCard
	hasAuth
	hasSettle
	knownFacts = 1<<iota - 1
)

const (
	fixedVersion = 1
	factsVersion = 2
	fixedFacts   = 113 // bytes of the first form
	factsHead    = 42  // of what is always there
	maxFacts     = factsHead + 8 + 8 + 8 + 15 + 8 + 11 + 4 + 4 + 6 + 2
)

var (
	errShort   = errors.New("cut short")
	errVersion = errors.New("unknown version of the facts")
	errParts   = errors.New("facts that do not fit their length")
)

// AppendFacts appends f in the form that the package comment draws: what a
// transaction does not have takes no room, and ids of digits take half. It is not
// sealed: Put does that.
func AppendFacts(dst []byte, f *txn.Facts) []byte {
	le := binary.LittleEndian
	start := len(dst)
	dst = slices.Grow(dst, maxFacts)
	b := dst[start : start+maxFacts]
	le.PutUint64(b[4:], uint64(f.ID))
	le.PutUint64(b[12:], uint64(f.At))
	b[20], b[21], b[22], b[23] = byte(f.Kind), f.Code[0], f.Code[1], byte(f.Result)
	le.PutUint16(b[24:], f.MTI)
	le.PutUint32(b[26:], f.Proc&0xFFFFFF|uint32(f.Of)<<24)
	le.PutUint32(b[30:], f.Trace&0xFFFFFF|uint32(f.Line)<<24)
	le.PutUint16(b[34:], uint16(f.Link))
	copy(b[36:39], f.Currency[:])
	b[39] = f.Cond
	le.PutUint16(b[40:], f.Entry)
	n, has := factsHead, uint16(0)
	if f.Orig != 0 {
		has |= hasOrig
		le.PutUint64(b[n:], uint64(f.Orig))
		n += 8
	}
	if soon := f.Sent - f.At; f.Sent != 0 && soon >= 0 && soon>>32 == 0 {
		has |= sentSoon
		le.PutUint32(b[n:], uint32(soon))
		n += 4
	} else if f.Sent != 0 {
		has |= hasSent
		le.PutUint64(b[n:], uint64(f.Sent))
		n += 8
	}
	if f.Amount>>32 == 0 && f.Amount != 0 {
		has |= smallAmount
		le.PutUint32(b[n:], uint32(f.Amount))
		n += 4
	} else if f.Amount != 0 {
		has |= hasAmount
		le.PutUint64(b[n:], uint64(f.Amount))
		n += 8
	}
	n, has = putTerminal(b, n, has, &f.Terminal)
	if digits, pan := f.PAN.Packed(); digits != 0 {
		has |= hasPAN
		b[n] = digits
		n += 1 + copy(b[n+1:], pan[:(digits+1)/2])
	}
	if f.Batch != 0 {
		has |= hasBatch
		le.PutUint32(b[n:], f.Batch)
		n += 4
	}
	if f.Expiry != 0 || f.CardSeq != 0 {
		has |= hasCard
		le.PutUint16(b[n:], f.Expiry)
		le.PutUint16(b[n+2:], f.CardSeq)
		n += 4
	}
	if f.Auth != [6]byte{} {
		has |= hasAuth
		n += copy(b[n:], f.Auth[:])
	}
	if f.Settle != 0 {
		has |= hasSettle
		le.PutUint16(b[n:], f.Settle)
		n += 2
	}
	b[0], b[1] = factsVersion, byte(n)
	le.PutUint16(b[2:], has)
	return dst[:start+n]
}

func putTerminal(b []byte, n int, has uint16, t *txn.Terminal) (int, uint16) {
	le := binary.LittleEndian
	const zero = uint64('0') << 56 // the sixteenth digit of a merchant
	if high, low := le.Uint64(t.Merchant[:]), le.Uint64(t.Merchant[7:])>>8|zero; allDigits(high) && allDigits(low) {
		has |= merchantDigits
		le.PutUint32(b[n:], packDigits(high))
		le.PutUint32(b[n+4:], packDigits(low))
		n += 8
	} else if t.Merchant != [15]byte{} {
		has |= merchantText
		n += copy(b[n:], t.Merchant[:])
	}
	if number := le.Uint64(t.Number[:]); allDigits(number) {
		has |= numberDigits
		le.PutUint32(b[n:], packDigits(number))
		n += 4
	} else if number != 0 {
		has |= numberText
		n += copy(b[n:], t.Number[:])
	}
	return n, has
}

// allDigits says that the eight bytes of w are '0' to '9'.
func allDigits(w uint64) bool {
	const high, threes, six = 0xF0F0F0F0F0F0F0F0, 0x3030303030303030, 0x0606060606060606
	return w&high == threes && (w+six)&high == threes
}

// packDigits makes eight digits four bytes, the first in the high half of the first.
func packDigits(w uint64) uint32 {
	w &= 0x0F0F0F0F0F0F0F0F
	w = (w<<4 | w>>8) & 0x00FF00FF00FF00FF
	w = (w | w>>8) & 0x0000FFFF0000FFFF
	return uint32(w | w>>16)
}

// unpackDigits is the inverse of packDigits.
func unpackDigits(v uint32) uint64 {
	w := uint64(v)
	w = (w | w<<16) & 0x0000FFFF0000FFFF
	w = (w | w<<8) & 0x00FF00FF00FF00FF
	return (w>>4|w<<8)&0x0F0F0F0F0F0F0F0F | 0x3030303030303030
}

// factsLen is how many bytes the facts at the beginning of b take.
func factsLen(b []byte) (int, error) {
	n := fixedFacts
	switch {
	case len(b) < 2:
		return 0, fmt.Errorf("facts at byte %d: %w", len(b), errShort)
	case b[0] == factsVersion:
		n = int(b[1])
	case b[0] != fixedVersion:
		return 0, fmt.Errorf("facts at byte 0: %w: %d", errVersion, b[0])
	}
	if b[0] == factsVersion && n < factsHead {
		return 0, fmt.Errorf("facts at byte 1: %w", errParts)
	}
	if len(b) < n {
		return 0, fmt.Errorf("facts at byte %d: %w", len(b), errShort)
	}
	return n, nil
}

// ReadFacts is the inverse of AppendFacts and gives how many bytes it read; what
// follows is left alone. An error names the offset in b.
func ReadFacts(b []byte, f *txn.Facts) (n int, err error) {
	n, err = factsLen(b)
	if err != nil {
		return 0, err
	}
	if b[0] == fixedVersion {
		return n, readFixed(b, f)
	}
	le := binary.LittleEndian
	*f = txn.Facts{
		ID:       txn.ID(le.Uint64(b[4:])),
		At:       int64(le.Uint64(b[12:])),
		Kind:     txn.Kind(b[20]),
		Code:     txn.Code(b[21:23]),
		Result:   txn.Result(b[23]),
		MTI:      le.Uint16(b[24:]),
		Proc:     le.Uint32(b[26:]) & 0xFFFFFF,
		Of:       txn.Kind(b[29]),
		Trace:    le.Uint32(b[30:]) & 0xFFFFFF,
		Line:     b[33],
		Link:     txn.LinkID(le.Uint16(b[34:])),
		Currency: [3]byte(b[36:39]),
		Cond:     b[39],
		Entry:    le.Uint16(b[40:]),
	}
	p := parts{b: b[:n], at: factsHead, has: le.Uint16(b[2:])}
	if p.has&^knownFacts != 0 {
		return 0, fmt.Errorf("facts at byte 2: %w: %#x", errParts, p.has)
	}
	p.read(f)
	if p.err == nil && p.at != n {
		p.err = fmt.Errorf("facts at byte %d: %w", p.at, errParts)
	}
	return n, p.err
}

// parts reads what is there by choice.
type parts struct {
	b   []byte
	at  int
	has uint16
	err error
}

// take gives the next n bytes if a part is there; zeros after an error.
func (p *parts) take(part uint16, n int) []byte {
	if p.has&part == 0 {
		return nil
	}
	if p.err == nil && len(p.b)-p.at < n {
		p.err = fmt.Errorf("facts at byte %d: %w", p.at, errParts)
	}
	if p.err != nil {
		return make([]byte, n)
	}
	p.at += n
	return p.b[p.at-n : p.at]
}

func (p *parts) read(f *txn.Facts) {
	le := binary.LittleEndian
	if b := p.take(hasOrig, 8); b != nil {
		f.Orig = txn.ID(le.Uint64(b))
	}
	if b := p.take(sentSoon, 4); b != nil {
		f.Sent = f.At + int64(le.Uint32(b))
	}
	if b := p.take(hasSent, 8); b != nil {
		f.Sent = int64(le.Uint64(b))
	}
	if b := p.take(smallAmount, 4); b != nil {
		f.Amount = int64(le.Uint32(b))
	}
	if b := p.take(hasAmount, 8); b != nil {
		f.Amount = int64(le.Uint64(b))
	}
	p.readTerminal(&f.Terminal)
	p.readPAN(&f.PAN)
	if b := p.take(hasBatch, 4); b != nil {
		f.Batch = le.Uint32(b)
	}
	if b := p.take(hasCard, 4); b != nil {
		f.Expiry, f.CardSeq = le.Uint16(b), le.Uint16(b[2:])
	}
	copy(f.Auth[:], p.take(hasAuth, 6))
	if b := p.take(hasSettle, 2); b != nil {
		f.Settle = le.Uint16(b)
	}
}

func (p *parts) readTerminal(t *txn.Terminal) {
	le := binary.LittleEndian
	if b := p.take(merchantDigits, 8); b != nil {
		le.PutUint64(t.Merchant[7:], unpackDigits(le.Uint32(b[4:]))<<8)
		le.PutUint64(t.Merchant[:], unpackDigits(le.Uint32(b)))
	}
	copy(t.Merchant[:], p.take(merchantText, 15))
	if b := p.take(numberDigits, 4); b != nil {
		le.PutUint64(t.Number[:], unpackDigits(le.Uint32(b)))
	}
	copy(t.Number[:], p.take(numberText, 8))
}

func (p *parts) readPAN(pan *txn.PAN) {
	size := p.take(hasPAN, 1)
	if size == nil || p.err != nil {
		return
	}
	at := p.at - 1
	var d [10]byte
	if size[0] > 19 {
		p.err = fmt.Errorf("facts at byte %d: %w", at, errParts)
		return
	}
	copy(d[:], p.take(hasPAN, (int(size[0])+1)/2))
	var err error
	if *pan, err = txn.UnpackPAN(size[0], d); err != nil && p.err == nil {
		p.err = fmt.Errorf("facts at byte %d: %w", at, err)
	}
}

// readFixed reads the first form, which journals from before hold.
func readFixed(b []byte, f *txn.Facts) error {
	pan, err := txn.UnpackPAN(b[64], [10]byte(b[65:75]))
	if err != nil {
		return fmt.Errorf("facts at byte 64: %w", err)
	}
	le := binary.LittleEndian
	*f = txn.Facts{
		ID:     txn.ID(le.Uint64(b[1:])),
		Orig:   txn.ID(le.Uint64(b[9:])),
		At:     int64(le.Uint64(b[17:])),
		Sent:   int64(le.Uint64(b[25:])),
		Amount: int64(le.Uint64(b[33:])),
		Terminal: txn.Terminal{
			Merchant: [15]byte(b[41:56]),
			Number:   [8]byte(b[56:64]),
		},
		PAN:      pan,
		Kind:     txn.Kind(b[75]),
		Code:     txn.Code(b[76:78]),
		Result:   txn.Result(b[78]),
		MTI:      le.Uint16(b[79:]),
		Proc:     le.Uint32(b[81:]) & 0xFFFFFF,
		Of:       txn.Kind(b[84]),
		Trace:    le.Uint32(b[85:]) & 0xFFFFFF,
		Line:     b[88],
		Batch:    le.Uint32(b[89:]),
		Expiry:   le.Uint16(b[93:]),
		Entry:    le.Uint16(b[95:]),
		CardSeq:  le.Uint16(b[97:]),
		Cond:     b[99],
		Link:     txn.LinkID(le.Uint16(b[100:])),
		Auth:     [6]byte(b[102:108]),
		Currency: [3]byte(b[108:111]),
		Settle:   le.Uint16(b[111:]),
	}
	return nil
}
