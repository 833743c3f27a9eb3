package journal

import (
	"encoding/binary"
	"fmt"

	"tongka/txn"
)

// OwingEvent says what became of a debt. The numbers are on disk.
type OwingEvent uint8

// What can become of a debt.
const (
	DebtDelivered OwingEvent = iota + 1 // the bank has confirmed it
	DebtParked                          // it used up its attempts, or cannot be read
	DebtHeld                            // an operator stopped it
	DebtReleased                        // an operator lets it be offered again
	DebtGivenUp                         // an operator ended it: the bank is told by other ways
)

var owingNames = [...]string{"", "delivered", "parked", "held", "released", "given-up"}

// String is the event's name in reports.
func (e OwingEvent) String() string {
	if int(e) < len(owingNames) && e > 0 {
		return owingNames[e]
	}
	return "invalid"
}

// DebtChange is the Body of an Owing record. Facts.ID is the transaction that
// the debt is of, Facts.At when it happened; the other facts are empty.
type DebtChange struct {
	What   OwingEvent
	Form   uint8 // of package storefwd
	Link   txn.LinkID
	Offers uint16   // made by then
	Code   txn.Code // the bank's answer, of a delivery
}

const (
	debtVersion = 1
	debtSize    = 9
)

// AppendDebtChange appends c in the form that the package comment draws.
func AppendDebtChange(dst []byte, c *DebtChange) []byte {
	dst = append(dst, debtVersion, byte(c.What), c.Form)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(c.Link))
	dst = binary.LittleEndian.AppendUint16(dst, c.Offers)
	return append(dst, c.Code[0], c.Code[1])
}

// ReadDebtChange is the inverse of AppendDebtChange. An error names the offset.
func ReadDebtChange(b []byte) (c DebtChange, err error) {
	switch {
	case len(b) != debtSize:
		return c, fmt.Errorf("owing at byte %d: %w", len(b), errShort)
	case b[0] != debtVersion:
		return c, fmt.Errorf("owing at byte 0: unknown version %d", b[0])
	case b[1] == 0 || int(b[1]) >= len(owingNames):
		return c, fmt.Errorf("owing at byte 1: unknown event %d", b[1])
	}
	le := binary.LittleEndian
	return DebtChange{What: OwingEvent(b[1]), Form: b[2], Link: txn.LinkID(le.Uint16(b[3:])), Offers: le.Uint16(b[5:]), Code: txn.Code{b[7], b[8]}}, nil
}
