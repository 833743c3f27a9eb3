package translate

import (
	"bytes"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// keyUse is F60.1 of what a terminal and its switch have to say about the
// terminal's own master key. Source: messages of terminals in use (F60.1 99, F62
// "Sequence No" and the serial number of the hardware).
const keyUse = 99

// OfKey says whether a management message is about the terminal's master key; its
// F60.3 tells what about it.
func (e *Echo) OfKey() bool { return e.N60 >= 11 && number(e.F60[:e.N60], 0, 2) == keyUse }

// serialMark begins F62 that holds a serial number.
var serialMark = []byte("Sequence No")

const maxSerial = 40

// Serial gives the serial number that F62 holds: behind the mark two digits of its
// length where they are right, and else all that follows. nil when there is none.
func Serial(v *iso8583.View) []byte {
	b := v.Field(62)
	if !bytes.HasPrefix(b, serialMark) {
		return nil
	}
	s := b[len(serialMark):]
	if len(s) > 2 && digitsOnly(s[:2]) && int(number(s, 0, 2)) == len(s)-2 {
		s = s[2:]
	}
	if len(s) == 0 || len(s) > maxSerial {
		return nil
	}
	return s
}

// Unnamed says that a terminal does not know its own numbers yet and asks for a
// master key by its serial number alone: its message has neither F41 nor F42.
func Unnamed(v *iso8583.View) bool {
	return v.MTI() == 0x0800 && !v.Has(41) && !v.Has(42) && v.Has(60)
}

// Name gives the answer to such a terminal the numbers that it is registered by.
func (e *Echo) Name(f *txn.Facts, id *txn.Terminal) {
	f.Terminal, e.unnamed = *id, true
}
