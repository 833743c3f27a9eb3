// Package row is one line of a day to be cleared, ours or theirs: what both sides
// can know of a transaction, in a form of one size that sorts by what they are
// matched by. It holds no whole card number: rows lie in files while they are sorted.
package row

import (
	"encoding/binary"
	"fmt"

	"tongka/clearing/day"
	"tongka/txn"
)

// Status says what became of the money.
type Status uint8

// Statuses. The numbers are in files.
const (
	Settled     Status = iota + 1 // it moved, and stays moved
	Reversed                      // it moved and was taken back
	Failed                        // nobody knows that it moved: it timed out, and is taken back at the bank
	TACFailed                     // theirs: the card's own proof was wrong
	CardInvalid                   // theirs: the card is none, or is not to be taken
)

var statusNames = [...]string{"", "settled", "reversed", "failed", "tac-failed", "card-invalid"}

// String is the status's word in files and reports.
func (s Status) String() string {
	if s > 0 && int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "invalid"
}

// ParseStatus finds a status by its word.
func ParseStatus(s string) (Status, bool) {
	for i, n := range statusNames {
		if i > 0 && n == s {
			return Status(i), true
		}
	}
	return 0, false
}

// Flags of a row.
type Flags uint8

// Flags.
const (
	Owed  Flags = 1 << iota // ours: the bank has not confirmed yet that it took it back
	Held                    // it was looked for on the day before already
	Late                    // there is a case about it, and it waits for its partner still
	Less                    // of a difference within the tolerance: theirs says less than ours
	Purse                   // paid from a card's purse without the switch: the card fund pays it, and no bank
)

// KeySize is the length in bytes of a Key.
const KeySize = 26

// Key is what two rows are matched by: the link, and up to three fields.
type Key [KeySize]byte

// Row is one line.
type Row struct {
	Key      Key
	ID       uint64 // ours: the transaction; theirs: the line of the file
	RRN      uint64 // F37
	Sent     uint64 // F7, MMDDhhmmss
	At       int64  // Unix nanoseconds, 0 = not known
	Amount   int64  // fen, never negative
	STAN     uint32 // F11 towards the bank
	Date     day.Date
	Link     txn.LinkID
	File     uint16 // theirs: which of the day's files, from 1
	Kind     txn.Kind
	Of       txn.Kind // of a reversal of an earlier day: what it takes back
	Status   Status
	Flags    Flags
	Card     [10]byte // the first six digits and the last four
	Merchant [15]byte
	Terminal [8]byte
}

// Size is the length in bytes of what Append appends.
const Size = KeySize + 8*5 + 4*2 + 2*2 + 4 + 10 + 15 + 8

// Append appends the row, its key first and then what tells rows of one key
// apart, so that bytes sort as rows are looked at.
func (r *Row) Append(dst []byte) []byte {
	be := binary.BigEndian
	dst = append(dst, r.Key[:]...)
	dst = append(dst, byte(r.Status))
	dst = be.AppendUint64(dst, uint64(r.Amount))
	dst = append(dst, byte(r.Kind), byte(r.Of), byte(r.Flags))
	dst = be.AppendUint16(dst, r.File)
	dst = be.AppendUint64(dst, r.ID)
	dst = be.AppendUint64(dst, r.RRN)
	dst = be.AppendUint64(dst, r.Sent)
	dst = be.AppendUint64(dst, uint64(r.At))
	dst = be.AppendUint32(dst, r.STAN)
	dst = be.AppendUint32(dst, uint32(r.Date))
	dst = be.AppendUint16(dst, uint16(r.Link))
	dst = append(dst, r.Card[:]...)
	dst = append(dst, r.Merchant[:]...)
	return append(dst, r.Terminal[:]...)
}

// Read is the inverse of Append. An error names the byte.
func (r *Row) Read(b []byte) error {
	if len(b) != Size {
		return fmt.Errorf("row at byte %d: %d bytes, not %d", len(b), len(b), Size)
	}
	be := binary.BigEndian
	copy(r.Key[:], b)
	b = b[KeySize:]
	r.Status, r.Amount = Status(b[0]), int64(be.Uint64(b[1:]))
	r.Kind, r.Of, r.Flags = txn.Kind(b[9]), txn.Kind(b[10]), Flags(b[11])
	r.File = be.Uint16(b[12:])
	r.ID, r.RRN, r.Sent, r.At = be.Uint64(b[14:]), be.Uint64(b[22:]), be.Uint64(b[30:]), int64(be.Uint64(b[38:]))
	r.STAN, r.Date, r.Link = be.Uint32(b[46:]), day.Date(be.Uint32(b[50:])), txn.LinkID(be.Uint16(b[54:]))
	copy(r.Card[:], b[56:])
	copy(r.Merchant[:], b[66:])
	copy(r.Terminal[:], b[81:])
	switch {
	case r.Status == 0 || int(r.Status) >= len(statusNames):
		return fmt.Errorf("row at byte %d: unknown status %d", KeySize, r.Status)
	case r.Kind >= txn.Kinds || r.Of >= txn.Kinds:
		return fmt.Errorf("row at byte %d: unknown kind %d of %d", KeySize+9, r.Kind, r.Of)
	case r.Amount < 0:
		return fmt.Errorf("row at byte %d: negative amount", KeySize+1)
	}
	return nil
}

// SetCard keeps of a card number what may lie in a file.
func (r *Row) SetCard(p *txn.PAN) {
	r.Card = [10]byte{}
	if p.Len() < 12 {
		return
	}
	var b [19]byte
	digits := p.AppendDigits(b[:0])
	copy(r.Card[:6], digits)
	copy(r.Card[6:], digits[len(digits)-4:])
}

// Masked is the card as people see it, empty without one.
func (r *Row) Masked() string {
	if r.Card[0] == 0 {
		return ""
	}
	return string(r.Card[:6]) + "***" + string(r.Card[6:])
}

// Moves gives who pays (-1) and who gets (+1) by a kind, for the account of the
// card, seen from its issuer: +1 the issuer pays, -1 it gets money back, 0 no
// money is cleared.
func Moves(k txn.Kind) int64 {
	switch k {
	case txn.Sale, txn.Completion, txn.CompletionAdvice, txn.Tip, txn.OfflineSettle, txn.OfflineSale, txn.LoadAccount, txn.LoadOther, txn.LoadCash:
		return 1
	case txn.Void, txn.Refund, txn.CompletionVoid, txn.OfflineRefund, txn.LoadVoid, txn.Unload:
		return -1
	}
	return 0
}

// Net is what the row moves, fen, with the sign of Moves; 0 unless it is settled.
func (r *Row) Net() int64 {
	if r.Status != Settled {
		return 0
	}
	return r.Signed()
}

// Signed is the amount with the sign of its kind, whatever became of it.
func (r *Row) Signed() int64 {
	if r.Kind == txn.Reversal {
		return -Moves(r.Of) * r.Amount
	}
	return Moves(r.Kind) * r.Amount
}
