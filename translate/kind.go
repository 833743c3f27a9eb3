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
	amount amount
}

// amount says what F4 of a kind must be.
type amount uint8

const (
	none   amount = iota // absent or zero
	wanted               // above zero
	any
)

// no in a shape says that the field is not looked at.
const no = -1

// Source: UnionPay direct POS terminal specification, identification of
// transactions.
var shapes = [...]shape{
	{0x0200, 0, 6, no, no, txn.Completion, wanted},
	{0x0200, 0, no, 36, no, txn.OfflineSale, wanted},
	{0x0200, 0, no, no, no, txn.Sale, wanted},
	{0x0200, 31, 0, no, no, txn.Balance, none},
	{0x0200, 20, 0, 23, no, txn.Void, wanted},
	{0x0200, 20, 6, 21, no, txn.CompletionVoid, wanted},
	{0x0200, 60, 91, 45, no, txn.LoadAccount, wanted},
	{0x0200, 62, 91, 47, no, txn.LoadOther, wanted},
	{0x0200, 63, 91, 46, no, txn.LoadCash, wanted},
	{0x0200, 17, 91, 51, no, txn.LoadVoid, wanted},
	// The last five are ours: no published specification has them.
	{0x0200, 64, 91, 59, no, txn.Unload, wanted},
	{0x0220, no, 91, 55, no, txn.LoadConfirm, any},
	{0x0200, 31, 91, 56, no, txn.OrderQuery, none},
	{0x0200, 60, 91, 57, no, txn.OrderLoad, wanted},
	{0x0200, 60, 91, 58, no, txn.AirLoad, wanted},
	{0x0100, 3, 6, no, no, txn.PreAuth, wanted},
	{0x0100, 20, 6, no, no, txn.PreAuthVoid, wanted},
	{0x0220, 20, no, 25, no, txn.Refund, wanted},
	{0x0220, 20, no, 27, no, txn.OfflineRefund, wanted},
	{0x0220, 0, 6, 24, no, txn.CompletionAdvice, wanted},
	{0x0220, 0, 0, 30, no, txn.OfflineSettle, wanted},
	{0x0220, 0, 0, 32, no, txn.Adjust, wanted},
	{0x0220, 0, 0, 34, no, txn.Tip, wanted},
	{0x0620, no, no, no, 951, txn.ScriptNotice, any},
	{0x0400, no, no, no, no, txn.Reversal, wanted},
	{0x0500, no, no, no, 201, txn.Settle, none},
	{0x0320, no, no, no, no, txn.BatchUpload, any}, // F60.3 tells items from the end of an upload, see ReadUpload
	{0x0800, no, no, 0, SingleKeys, txn.SignIn, none},
	{0x0800, no, no, 0, DoubleKeys, txn.SignIn, none},
	{0x0800, no, no, 0, TrackKeys, txn.SignIn, none},
	{0x0800, no, no, 0, SM4Keys, txn.SignIn, none},
	{0x0820, no, no, no, 2, txn.SignOff, none},
	{0x0800, no, no, keyUse, no, txn.Download, none},
	{0x0800, no, no, 0, no, txn.Download, none}, // after the sign-ins; IsDownload knows the codes
	{0x0820, no, no, no, 301, txn.Echo, none},
	{0x0820, no, no, 0, no, txn.Download, none},
}

// Network management codes (F60.3) of a sign-in.
const (
	SingleKeys = 1 // PIN and MAC key of 8 bytes
	DoubleKeys = 3 // of 16 bytes
	TrackKeys  = 4 // of 16 bytes, and a key for track data
	SM4Keys    = 6 // the same three for SM4
)

// unknown is the shape of what this switch does not handle.
var unknown shape

// shapeOf identifies a transaction by MTI, F3, F25 and F60.
func shapeOf(v *iso8583.View, e *Echo) *shape {
	m := marksOf(v, e)
	for i := range shapes {
		s := &shapes[i]
		if s.mti == v.MTI() && s.fits(&m) {
			// A management message ends at its code.
			if s.kind == txn.SignIn && e.N60 != 11 || s.kind == txn.Download && !e.OfKey() && !IsDownload(v.MTI(), m.net) {
				return &unknown
			}
			return s
		}
	}
	return &unknown
}

// marks are what a message is known by besides its type.
type marks struct{ proc, cond, usage, net int16 }

func marksOf(v *iso8583.View, e *Echo) marks {
	m := marks{proc: no - 1, usage: int16(number(e.F60[:e.N60], 0, 2)), net: int16(number(e.F60[:e.N60], 8, 11))}
	if isFinancial(uint16(v.MTI())) {
		if p, ok := v.Uint(3); ok {
			m.proc = int16(p / 10000)
		}
		if c, ok := v.Uint(25); ok {
			m.cond = int16(c)
		}
	}
	return m
}

func (s *shape) fits(m *marks) bool {
	return (s.proc == no || s.proc == m.proc) && (s.cond == no || s.cond == m.cond) &&
		(s.usage == no || s.usage == m.usage) && (s.net == no || s.net == m.net)
}

// takenBack is the kind that a reversal takes back: it repeats all of its
// original's marks but the type. A sale, when nothing tells.
func takenBack(v *iso8583.View, e *Echo) txn.Kind {
	m := marksOf(v, e)
	kind := txn.Sale
	for i := range shapes {
		s := &shapes[i]
		switch {
		case s.amount != wanted || s.kind == txn.Reversal || !s.fits(&m):
		case s.usage != no:
			return s.kind // F60.1 tells
		case kind == txn.Sale:
			kind = s.kind
		}
	}
	return kind
}

// namesAnother says that requests of a kind name an earlier transaction, in F61.
func namesAnother(k txn.Kind) bool {
	switch k {
	case txn.Void, txn.Refund, txn.PreAuthVoid, txn.Completion, txn.CompletionVoid, txn.CompletionAdvice, txn.Tip, txn.Adjust:
		return true
	}
	return false
}

// Named is how a request names another transaction.
type Named struct {
	Batch, Trace uint32 // F61: n6, n6; both 0 when absent
	RRN          uint64 // F37; 0 when absent
}

// ReadNamed reads what a request says of the transaction that it names: F61 holds
// batch n6, trace n6 and date n4, F37 the reference number.
func ReadNamed(v *iso8583.View) (n Named) {
	var b [64]byte
	if v.Len(61) <= 40 {
		if d := v.AppendText(b[:0], 61); len(d) >= 12 {
			n.Batch, n.Trace = uint32(number(d, 0, 6)), uint32(number(d, 6, 12))
		}
	}
	n.RRN = digits(v.Field(37))
	return n
}

// isFinancial says that a request is about money or a card: it has a trace
// number, a batch and the fields of a card.
func isFinancial(mti uint16) bool { return mti>>8 < 0x08 }
