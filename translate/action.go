package translate

import (
	"fmt"
	"strings"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// action is an action code of 1993 (F39, n3) and the response code of 1987 that
// says the same.
type action struct {
	wire  uint16
	code  txn.Code
	back  bool  // also the way from the response code
	class uint8 // of messages that it means this in, the MTI's second digit; 0: any
}

func two(s string) txn.Code { return txn.Code([]byte(s)) }

// actions are the usual ones. Codes that are not here say nothing that could be
// relied on: those of partial approval and of identification approve less than
// all, an issuer that timed out (911) may have booked, and who still works on it
// (923) answers again. They count as silence, which ends in a deadline and a
// reversal, and not as a decline, which would leave the money with the bank. What
// is accepted (4xx and above) approves nothing but messages of its own class.
// Source: ISO 8583:1993, table of action codes, as widespread packagers have it; the
// response codes are those of UnionPay. A bank's own come before (SetActions).
var actions = [...]action{
	{0, txn.OK, true, 0}, {3, txn.OK, false, 0}, {4, txn.OK, false, 0}, {5, txn.OK, false, 0}, {7, txn.OK, false, 0},
	{100, two("05"), true, 0}, {101, two("54"), true, 0}, {102, two("59"), true, 0}, {103, two("02"), false, 0}, {104, two("62"), true, 0},
	{105, two("67"), false, 0}, {106, two("75"), true, 0}, {107, two("01"), true, 0}, {108, two("02"), true, 0}, {109, two("03"), true, 0},
	{109, two("97"), true, 0}, {110, two("13"), true, 0}, {110, two("64"), true, 0}, {111, two("14"), true, 0}, {112, two("55"), false, 0},
	{113, two("23"), true, 0}, {114, two("42"), true, 0}, {115, two("40"), true, 0}, {116, two("51"), true, 0}, {117, two("55"), true, 0},
	{118, two("56"), true, 0}, {119, two("57"), true, 0}, {120, two("58"), true, 0}, {121, two("61"), true, 0}, {122, two("63"), true, 0},
	{123, two("65"), true, 0}, {124, two("93"), true, 0}, {125, two("62"), false, 0}, {126, two("99"), true, 0}, {127, two("99"), false, 0},
	{128, two("99"), false, 0}, {129, two("34"), false, 0},
	{200, two("04"), true, 0}, {201, two("33"), true, 0}, {202, two("34"), true, 0}, {203, two("35"), true, 0}, {204, two("36"), true, 0},
	{205, two("37"), true, 0}, {206, two("38"), true, 0}, {207, two("07"), true, 0}, {208, two("41"), true, 0}, {209, two("43"), true, 0},
	{210, two("34"), false, 0},
	{300, txn.OK, true, 3}, {400, txn.OK, true, 4}, {500, txn.OK, true, 5}, {501, two("95"), true, 5}, {502, two("95"), false, 5},
	{600, txn.OK, true, 6}, {601, two("25"), true, 6}, {800, txn.OK, true, 8},
	{900, txn.OK, false, notices}, {901, txn.OK, false, notices}, {902, two("12"), true, 0}, {902, two("22"), true, 0}, {903, two("19"), true, 0},
	{904, two("30"), true, 0}, {905, two("31"), true, 0}, {906, two("90"), true, 0}, {907, two("91"), false, 0}, {908, two("92"), true, 0},
	{908, two("15"), true, 0}, {909, two("96"), true, 0}, {910, two("91"), false, 0}, {911, two("98"), true, noAnswer}, {911, two("68"), true, noAnswer},
	{912, two("91"), true, 0}, {913, two("94"), true, 0}, {914, two("25"), true, 0}, {915, two("90"), false, 0}, {916, two("A0"), true, 0},
	{917, two("77"), true, 0}, {918, two("A7"), true, 0}, {920, two("96"), false, 0}, {950, two("57"), false, 0},
}

// Classes of an action that are no digit of a message type.
const (
	notices  = 10 // answers to notices: the third digit is 3
	noAnswer = 11 // said to terminals, not believed of a bank
)

func (a *action) fits(mti iso8583.MTI) bool {
	switch a.class {
	case 0:
		return true
	case notices:
		return mti>>4&15 == 3
	}
	return uint8(mti>>8&15) == a.class
}

// olderCode reads the action code; what says nothing becomes no code at all.
func olderCode(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	x, ok := v.Uint(39)
	for i := range e.actions {
		if a := &e.actions[i]; ok && uint64(a.wire) == x && a.fits(v.MTI()) {
			b.Put(39, a.code[:])
			return
		}
	}
}

// newerCode writes an action code. A refusal that 1993 has no word for is do not
// honour: it approves nothing.
func newerCode(e *Edition, b *iso8583.Builder, v *iso8583.View, _ int64) {
	var code txn.Code
	copy(code[:], v.Field(39))
	wire, exact := uint16(100), false
	for i := range e.actions {
		a := &e.actions[i]
		if !a.back || a.code != code || exact || a.class != 0 && a.class != noAnswer && !a.fits(v.MTI()) {
			continue
		}
		wire = a.wire
		// A class of its own has its own word, which comes later in the table.
		exact = a.class != 0 || code != txn.OK
	}
	b.PutUint(39, uint64(wire))
}

// parseAction reads 115=57.
func parseAction(s string) (a action, err error) {
	wire, code, ok := strings.Cut(s, "=")
	decimal := strings.Trim(wire, "0123456789") == ""
	if ok && len(wire) == 3 && len(code) == 2 && decimal && strings.TrimSpace(code) == code {
		return action{wire: uint16(digits([]byte(wire))), code: two(code), back: true}, nil
	}
	return a, fmt.Errorf("动作码 %q 须如 115=57：三位数字、等号、应答码 · action code %q: wanted three digits, an equals sign and a response code, such as 115=57", s, s)
}
