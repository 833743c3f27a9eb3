package translate

import (
	"tongka/codec/iso8583"
	"tongka/txn"
)

// shape is how a kind of request looks at a terminal. The first shape that fits
// a message is its kind, so an exception stands before what it is excepted from.
type shape struct {
	mti    iso8583.MTI
	proc   int16 // the first two digits of F3
	cond   int16 // F25
	usage  int16 // F60.1
	net    int16 // F60.3
	kind   txn.Kind
	amount bool // F4 is wanted and above zero; otherwise it is absent or zero
}

// no in a shape says that the field is not looked at.
const no = -1

// Source: UnionPay direct POS terminal specification, identification of
// transactions.
var shapes = [...]shape{
	{0x0200, 0, 6, no, no, txn.Unknown, true},  // completion of a pre-authorisation
	{0x0200, 0, no, 36, no, txn.Unknown, true}, // offline sale
	{0x0200, 0, no, no, no, txn.Sale, true},
	{0x0200, 31, 0, no, no, txn.Balance, false},
	{0x0400, no, no, no, no, txn.Reversal, true},
	{0x0800, no, no, 0, 3, txn.SignIn, false}, // double-length keys
	{0x0820, no, no, no, 301, txn.Echo, false},
}

// unknown is the shape of what this switch does not handle.
var unknown shape

// shapeOf identifies a transaction by MTI, F3, F25 and F60.
func shapeOf(v *iso8583.View, e *Echo) *shape {
	mti, proc, cond := v.MTI(), int16(no-1), int16(0)
	if isFinancial(uint16(mti)) {
		if p, ok := v.Uint(3); ok {
			proc = int16(p / 10000)
		}
		if c, ok := v.Uint(25); ok {
			cond = int16(c)
		}
	}
	usage, net := int16(number(e.F60[:e.N60], 0, 2)), int16(number(e.F60[:e.N60], 8, 11))
	for i := range shapes {
		s := &shapes[i]
		if s.mti == mti && (s.proc == no || s.proc == proc) && (s.cond == no || s.cond == cond) &&
			(s.usage == no || s.usage == usage) && (s.net == no || s.net == net) {
			// A management message ends at its code.
			if s.kind == txn.SignIn && e.N60 != 11 {
				return &unknown
			}
			return s
		}
	}
	return &unknown
}

// isFinancial says that a request is about money or a card: it has a trace
// number, a batch and the fields of a card.
func isFinancial(mti uint16) bool { return mti>>8 < 0x08 }
