package clear

import (
	"encoding/binary"
	"math/rand/v2"

	"tongka/hsm"
)

// fill is 16 random nibbles for the PIN blocks that want them.
func fill() uint64 { return rand.Uint64() }

// layout says how a PIN block format is made. Source: ISO 9564-1 formats 0 to 3;
// the payShield PIN block table for the others.
//
//	nibble   0        1       2 …   15
//	         control  length  PIN, fill      ISO0, Plus, ISO3, PayNow: bytes 2–7 xor account
//	IBM      PIN, fill F
//	Docutel  length, six places of PIN, digits of the terminal's own
type layout struct {
	head    int // nibbles before the PIN
	control byte
	account bool
	lo, hi  byte // the fill's least and greatest nibble
}

const docutelPIN = 6 // digits at most

func layoutOf(f hsm.PINFormat) (l layout, ok bool) {
	switch f {
	case hsm.ISO0:
		return layout{2, 0, true, 15, 15}, true
	case hsm.Docutel:
		return layout{1, 0, false, 0, 9}, true
	case hsm.IBM:
		return layout{0, 0, false, 15, 15}, true
	case hsm.ISO1:
		return layout{2, 1, false, 0, 15}, true
	case hsm.ISO3:
		return layout{2, 3, true, 10, 15}, true
	case hsm.Plus:
		return layout{2, 0, true, 15, 15}, true
	case hsm.EMV:
		return layout{2, 2, false, 15, 15}, true
	case hsm.PayNow:
		return layout{2, 2, true, 15, 15}, true
	}
	return layout{}, false
}

// EncodePIN makes a clear PIN block of ASCII digits. fill is the source of the
// random nibbles of ISO1 and ISO3.
func EncodePIN(block *[8]byte, pin []byte, pan12 *[12]byte, f hsm.PINFormat, fill uint64) hsm.Code {
	l, ok := layoutOf(f)
	if !ok {
		return hsm.BadFormat
	}
	if len(pin) < 4 || len(pin) > 12 {
		return hsm.BadPINLength
	}
	var b uint64
	switch l.head {
	case 1:
		if len(pin) > docutelPIN {
			return hsm.BadPINLength
		}
		b, fill = uint64(len(pin))<<60, 0
	case 2:
		b = uint64(l.control)<<60 | uint64(len(pin))<<56
	}
	for at := l.head; at < 16; at++ {
		var d byte
		if i := at - l.head; i < len(pin) {
			if d = pin[i] - '0'; d > 9 {
				return hsm.BadPINBlock
			}
		} else {
			d = l.lo + byte(fill>>(4*at)&15)%(l.hi-l.lo+1)
		}
		b |= uint64(d) << (60 - 4*at)
	}
	account, ok := accountMask(pan12, l.account)
	if !ok {
		return hsm.BadAccount
	}
	binary.BigEndian.PutUint64(block[:], b^account)
	return hsm.Done
}

// DecodePIN checks a clear PIN block and gives its ASCII digits in pin[:n]. The
// codes are those of the payShield manual: 23 format, 22 account number, 24
// length, 20 anything else in the block.
func DecodePIN(block [8]byte, pan12 *[12]byte, f hsm.PINFormat, pin *[12]byte) (n int, code hsm.Code) {
	l, ok := layoutOf(f)
	if !ok {
		return 0, hsm.BadFormat
	}
	account, ok := accountMask(pan12, l.account)
	if !ok {
		return 0, hsm.BadAccount
	}
	b := binary.BigEndian.Uint64(block[:]) ^ account
	longest := 12
	switch l.head {
	case 2:
		if byte(b>>60) != l.control {
			return 0, hsm.BadPINBlock
		}
		n = int(b >> 56 & 15)
	case 1:
		n, longest = int(b>>60), docutelPIN
	default:
		n = leadingDigits(b)
	}
	if n < 4 || n > longest {
		return 0, hsm.BadPINLength
	}
	for at := l.head; at < 16; at++ {
		d := byte(b >> (60 - 4*at) & 15)
		switch i := at - l.head; {
		case i < n && d <= 9:
			pin[i] = '0' + d
		case i < n, d < l.lo, d > l.hi:
			return 0, hsm.BadPINBlock
		}
	}
	return n, hsm.Done
}

func leadingDigits(b uint64) (n int) {
	for n < 16 && b>>(60-4*n)&15 <= 9 {
		n++
	}
	return n
}

// accountMask packs the account digits into the six right-most bytes; nothing
// for a format that has no account number.
func accountMask(pan12 *[12]byte, used bool) (m uint64, ok bool) {
	if !used {
		return 0, true
	}
	for _, c := range pan12 {
		if c < '0' || c > '9' {
			return 0, false
		}
		m = m<<4 | uint64(c-'0')
	}
	return m, true
}
