package iso8583

import "tongka/codec/iso8583/internal/bcd"

// MTI is a message type indicator: four decimal digits, one a nibble, so that
// "0200" is 0x0200 in every dialect, whatever it looks like on the wire.
type MTI uint16

// String is the four digits.
func (m MTI) String() string {
	var b [4]byte
	bcd.PutFour(b[:], uint16(m))
	return string(b[:])
}

// Reply is the type of the message that answers this one: 0200 gives 0210, and
// so does the repeat 0201 (ISO 8583:1987, 4.1.1: the last digit is the origin).
func (m MTI) Reply() MTI { return m&0xFFF0 + 0x10 }
