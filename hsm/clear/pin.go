package clear

import (
	"encoding/binary"
	"math/rand/v2"

	"tongka/hsm"
)

// fill is 16 random nibbles for the PIN blocks that want them.
func fill() uint64 { return rand.Uint64() }

// EncodePIN makes a clear PIN block of ASCII digits. fill is the source of the
// random nibbles of ISO1 and ISO3. Source: ISO 9564-1 formats 0, 1 and 3.
//
//	nibble  0        1      2 …            … 15
//	        control  length PIN, fill
//	ISO0, ISO3: bytes 2–7 xor the 12 account digits
func EncodePIN(block *[8]byte, pin []byte, pan12 *[12]byte, f hsm.PINFormat, fill uint64) hsm.Code {
	control, ok := controlNibble(f)
	if !ok {
		return hsm.BadFormat
	}
	if len(pin) < 4 || len(pin) > 12 {
		return hsm.BadPINLength
	}
	b := uint64(control)<<60 | uint64(len(pin))<<56
	for i := range 14 {
		var d byte
		switch {
		case i < len(pin):
			if d = pin[i] - '0'; d > 9 {
				return hsm.BadPINBlock
			}
		case f == hsm.ISO1:
			d = byte(fill >> (4 * i) & 15)
		case f == hsm.ISO3:
			d = 10 + byte(fill>>(4*i)&15)%6
		default:
			d = 15
		}
		b |= uint64(d) << (52 - 4*i)
	}
	account, ok := accountMask(pan12, f)
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
	control, ok := controlNibble(f)
	if !ok {
		return 0, hsm.BadFormat
	}
	account, ok := accountMask(pan12, f)
	if !ok {
		return 0, hsm.BadAccount
	}
	b := binary.BigEndian.Uint64(block[:]) ^ account
	if byte(b>>60) != control {
		return 0, hsm.BadPINBlock
	}
	n = int(b >> 56 & 15)
	if n < 4 || n > 12 {
		return 0, hsm.BadPINLength
	}
	for i := range 14 {
		d := byte(b >> (52 - 4*i) & 15)
		switch {
		case i < n && d <= 9:
			pin[i] = '0' + d
		case i < n, f == hsm.ISO0 && d != 15, f == hsm.ISO3 && d < 10:
			return 0, hsm.BadPINBlock
		}
	}
	return n, hsm.Done
}

func controlNibble(f hsm.PINFormat) (byte, bool) {
	switch f {
	case hsm.ISO0:
		return 0, true
	case hsm.ISO1:
		return 1, true
	case hsm.ISO3:
		return 3, true
	}
	return 0, false
}

// accountMask packs the account digits into the six right-most bytes; nothing
// for the format that has no account number.
func accountMask(pan12 *[12]byte, f hsm.PINFormat) (m uint64, ok bool) {
	if f == hsm.ISO1 {
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
