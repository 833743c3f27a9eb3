package dialect

import (
	"fmt"

	"github.com/moov-io/iso8583/encoding"

	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/ebcdic"
)

// checked is a moov encoder for what moov's own cannot tell apart: characters
// that must be digits, those that must be track data, and packed track data whose
// separator is the nibble D.
type checked struct {
	packed, ibm bool
	bad         func([]byte) int // first bad byte, packed or in ASCII, or -1
}

var (
	asciiDigits  = &checked{bad: bcd.BadDigits}
	asciiTrack   = &checked{bad: bcd.BadTrack}
	ebcdicDigits = &checked{ibm: true, bad: bcd.BadDigits}
	ebcdicTrack  = &checked{ibm: true, bad: bcd.BadTrack}
	packedTrack  = &checked{packed: true, bad: bcd.BadPackedTrack}
)

// Encode gives the wire form of canonical text.
func (c *checked) Encode(src []byte) ([]byte, error) {
	switch {
	case c.packed:
		if i := bcd.BadTrack(src); i >= 0 {
			return nil, fmt.Errorf("byte %d: %02X is no track character", i, src[i])
		}
		dst := make([]byte, (len(src)+1)/2)
		bcd.PackTrack(dst, src)
		return dst, nil
	case c.ibm:
		return translated(src, &ebcdic.FromASCII), c.check(src)
	}
	return src, c.check(src)
}

// Decode gives the canonical text of length characters and the bytes read.
func (c *checked) Decode(src []byte, length int) ([]byte, int, error) {
	size := length
	if c.packed {
		size = (length + 1) / 2
	}
	if length < 0 || size > len(src) {
		return nil, 0, fmt.Errorf("%d bytes wanted, %d are left", size, len(src))
	}
	wire := src[:size]
	if c.ibm {
		wire = translated(wire, &ebcdic.ToASCII)
	}
	if err := c.check(wire); err != nil || !c.packed {
		return wire, size, err
	}
	t := bcd.Append(nil, wire, length, false)
	bcd.Swap(t, '=', 'D')
	return t, size, nil
}

func (c *checked) check(wire []byte) error {
	if i := c.bad(wire); i >= 0 {
		return fmt.Errorf("byte %d: %02X does not belong there", i, wire[i])
	}
	return nil
}

func translated(p []byte, table *[256]byte) []byte {
	d := make([]byte, len(p))
	ebcdic.Translate(d, p, table)
	return d
}

// hexIBM is moov's hexadecimal in EBCDIC characters.
type hexIBM struct{}

var ebcdicHex hexIBM

// Encode gives two characters a byte.
func (hexIBM) Encode(src []byte) ([]byte, error) {
	h, err := encoding.BytesToASCIIHex.Encode(src)
	return translated(h, &ebcdic.FromASCII), err
}

// Decode reads length bytes, which are twice as many characters.
func (hexIBM) Decode(src []byte, length int) ([]byte, int, error) {
	if length < 0 || 2*length > len(src) {
		return nil, 0, fmt.Errorf("%d bytes wanted, %d are left", 2*length, len(src))
	}
	return encoding.BytesToASCIIHex.Decode(translated(src[:2*length], &ebcdic.ToASCII), length)
}
