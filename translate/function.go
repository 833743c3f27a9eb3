package translate

import "tongka/codec/iso8583"

// function is what 1993 says of a request to a bank, by type and F24.
type function struct {
	mti  iso8583.MTI // of 1987
	proc int16       // the first two digits of F3; no: any
	cond int16       // F25; no: any
	wire iso8583.MTI
	code uint64 // F24
}

// Source: ISO 8583:1993, message types and function codes. An enquiry is an
// authorisation there; that a completion has another amount than what was approved
// (202) includes that it has the same; its void has (201). The types of notices about a chip's script
// are unconfirmed.
var functions = [...]function{
	{0x0100, no, no, 0x1100, 100},
	{0x0200, 31, no, 0x1100, 108},
	{0x0200, 0, 6, 0x1200, 202},
	{0x0200, 20, 6, 0x1200, 201},
	{0x0200, no, no, 0x1200, 200},
	{0x0220, 0, 6, 0x1220, 202},
	{0x0220, no, no, 0x1220, 200},
	{0x0420, no, no, 0x1420, 400},
	{0x0620, no, no, 0x1620, 600},
}

// Function codes of network messages, and the F70 that says the same. Source: ISO
// 8583:1993, function codes 8xx; 811 for a change of keys is unconfirmed.
var networkCodes = [...]struct{ f70, f24 uint64 }{
	{NetSignOn, 801}, {NetSignOff, 802}, {NetKeyReset, 811}, {NetDayCutBegins, 821}, {NetDayCutEnds, 822}, {NetEcho, 831},
}

// What terminals and banks of 1993 send as network messages: the last digit says
// that neither the acquirer nor the issuer of a transaction speaks.
const (
	networkAsks    = 0x1804
	networkAnswers = 0x1814
	terminalOff    = 802 // F24 of a terminal's sign-off
	terminalEcho   = 831
	wholeReversal  = 400
	keyChange      = 811
)

func isNetwork(mti iso8583.MTI) bool  { return mti>>8&15 == 8 }
func isReversal(mti iso8583.MTI) bool { return mti>>8&15 == 4 }

// partial is the type, of 1987, of what is not supported whatever else it says.
const partial = 0x0480

// olderType is the type of 1987. The error says that this is no message of 1993.
func (e *Edition) olderType(v *iso8583.View) (iso8583.MTI, error) {
	mti := v.MTI()
	if mti>>12 != 1 {
		return mti & 0x0FFF, errNot1993
	}
	f24, told := v.Uint(24)
	asks := mti>>4&1 == 0
	switch {
	case isNetwork(mti) && !e.door && !asks:
		return 0x0830, nil
	case isNetwork(mti) && !e.door && f24 == keyChange, isNetwork(mti) && e.door && asks && f24 != terminalOff && f24 != terminalEcho:
		return 0x0800, nil
	case isNetwork(mti) && asks:
		return 0x0820, nil
	case !e.door:
		return mti & 0x0FFF, nil
	case isReversal(mti) && asks && told && f24 != wholeReversal:
		return partial, nil // a part of it must not take back all
	case isReversal(mti) && asks:
		return 0x0400, nil
	}
	return mti & 0x0FFE, nil // a repeat is known by its numbers
}

// newerType is the type of 1993: to a terminal the answer to what it sent, to a
// bank what the table of functions says.
func (e *Edition) newerType(v *iso8583.View) iso8583.MTI {
	mti := v.MTI()
	switch {
	case e.door:
		if x, ok := v.Uint(ownType); ok {
			asked := iso8583.MTI(x/1000<<12 | x/100%10<<8 | x/10%10<<4 | x%10)
			return asked&0xFFFE | 0x0010
		}
	case isNetwork(mti) && mti&0x0010 != 0:
		return networkAnswers
	case isNetwork(mti):
		return networkAsks
	default:
		if f := functionOf(v); f != nil {
			return f.wire | mti&1
		}
	}
	return mti | 0x1000
}

func functionOf(v *iso8583.View) *function {
	m := marksOf(v, &Echo{})
	for i := range functions {
		f := &functions[i]
		if f.mti == v.MTI()&^1 && (f.proc == no || f.proc == m.proc) && (f.cond == no || f.cond == m.cond) {
			return f
		}
	}
	return nil
}

// newerFunction writes F24: towards a terminal what it sent itself.
func newerFunction(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	switch {
	case e.door:
		b.Copy(24, v, 24)
	case isNetwork(v.MTI()):
		net, _ := v.Uint(70)
		for _, c := range networkCodes {
			if c.f70 == net {
				net = c.f24
				break
			}
		}
		b.PutUint(24, net)
	default:
		if f := functionOf(v); f != nil {
			b.PutUint(24, f.code)
		}
	}
}

// olderNetwork makes F70 of F24. A code that 1987 has no word for stays as it is,
// and is refused as unknown.
func olderNetwork(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	if e.door || !isNetwork(v.MTI()) {
		return
	}
	f24, _ := v.Uint(24)
	for _, c := range networkCodes {
		if c.f24 == f24 {
			f24 = c.f70
			break
		}
	}
	b.PutUint(70, f24)
}

// conditions are F25 of 1987 by F60.1, which says more: a pre-authorisation and
// what follows it, and what is about an e-purse card. All else is 00.
var conditions = map[uint64]uint64{10: 6, 11: 6, 20: 6, 21: 6, 24: 6, 45: 91, 46: 91, 47: 91, 51: 91, 55: 91, 56: 91, 57: 91, 58: 91, 59: 91}

// olderCondition gives a terminal's request its F25. Source: UnionPay
// specification, identification of transactions.
func olderCondition(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	if !e.door || isNetwork(v.MTI()) {
		return
	}
	var buf [1000]byte
	b.PutUint(25, conditions[number(v.AppendText(buf[:0], 60), 0, 2)])
}
