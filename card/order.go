package card

import (
	"encoding/binary"
	"fmt"

	"tongka/txn"
)

// OrderState says how far an order that was paid online has come.
type OrderState uint8

// States of an order; the letters are those of the import files.
const (
	Paid      OrderState = iota // N: may be loaded
	Loading                     // P: its MAC2 has left, the card decides
	Loaded                      // S
	Cancelled                   // C
)

var orderNames = [...]string{"paid", "loading", "loaded", "cancelled"}

// String is the state's name in lists.
func (s OrderState) String() string { return name(orderNames[:], uint8(s)) }

// Order is money that was paid online for a card and waits to be written.
type Order struct {
	Number Number
	Family Family
	Serial Serial
	Amount uint32 // fen
	Until  int64  // Unix nanoseconds; it may be begun before then
	State  OrderState
	Load   txn.ID // whose MAC2 left first, or 0
}

const (
	orderVersion = 1
	orderSize    = 53
)

// AppendOrder appends the stored form, little endian:
//
//	version:1 number:20 family:1 serial:10 amount:4 until:8 state:1 load:8
func AppendOrder(dst []byte, o *Order) []byte {
	le := binary.LittleEndian
	dst = append(append(dst, orderVersion), o.Number[:]...)
	dst = append(append(dst, byte(o.Family)), o.Serial[:]...)
	dst = le.AppendUint64(le.AppendUint32(dst, o.Amount), uint64(o.Until))
	return le.AppendUint64(append(dst, byte(o.State)), uint64(o.Load))
}

// ReadOrder is the inverse. The error names the byte.
func ReadOrder(b []byte) (o Order, err error) {
	le := binary.LittleEndian
	switch {
	case len(b) != orderSize:
		return o, fmt.Errorf("order: byte %d: %d bytes, want %d", len(b), len(b), orderSize)
	case b[0] != orderVersion:
		return o, fmt.Errorf("order: byte 0: version %d, want %d", b[0], orderVersion)
	case int(b[44]) >= len(orderNames):
		return o, fmt.Errorf("order: byte 44: state %d", b[44])
	}
	return Order{Number: Number(b[1:21]), Family: Family(b[21]), Serial: Serial(b[22:32]), Amount: le.Uint32(b[32:]),
		Until: int64(le.Uint64(b[36:])), State: OrderState(b[44]), Load: txn.ID(le.Uint64(b[45:]))}, nil
}

// Open says whether the order may be loaded on a card now: zero, or the code of
// the refusal. One whose MAC2 has left is never begun again, so its own expiry
// does not count any more: only the card decides.
func (o *Order) Open(d *Data, amount int64, now int64) txn.Code {
	switch {
	case o.Number == Number{} || o.Serial != d.Serial || o.Family != d.Family:
		return txn.NoOriginal
	case o.State == Loaded, o.State == Loading:
		return txn.Duplicate
	case o.State == Cancelled:
		return txn.BadTransaction
	case now >= o.Until:
		return txn.Expired
	case amount != int64(o.Amount):
		return txn.BadAmount
	}
	return txn.Code{}
}
