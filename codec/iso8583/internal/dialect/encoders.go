package dialect

import (
	"fmt"

	"github.com/moov-io/iso8583/encoding"

	"tongka/codec/iso8583/internal/bcd"
)

// checked is a moov encoder for what moov's own cannot tell apart: ASCII that
// must be digits, ASCII that must be track data, and packed track data whose
// separator is the nibble D. The compiler knows the three by identity; moov
// uses them when it packs and unpacks as the tests' oracle.
type checked struct {
	packed bool
	bad    func([]byte) int // first bad byte of what is on the wire, or -1
}

// The three encoders.
var (
	Digits      encoding.Encoder = &checked{bad: bcd.BadDigits}
	Track       encoding.Encoder = &checked{bad: bcd.BadTrack}
	PackedTrack encoding.Encoder = &checked{packed: true, bad: bcd.BadPackedTrack}
)

// Encode gives the wire form of canonical text.
func (c *checked) Encode(src []byte) ([]byte, error) {
	if !c.packed {
		return src, c.check(src)
	}
	if i := bcd.BadTrack(src); i >= 0 {
		return nil, fmt.Errorf("byte %d: %02X is no track character", i, src[i])
	}
	dst := make([]byte, (len(src)+1)/2)
	bcd.PackTrack(dst, src)
	return dst, nil
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
	if err := c.check(src[:size]); err != nil || !c.packed {
		return src[:size], size, err
	}
	t := bcd.Append(nil, src[:size], length, false)
	bcd.Swap(t, '=', 'D')
	return t, size, nil
}

func (c *checked) check(wire []byte) error {
	if i := c.bad(wire); i >= 0 {
		return fmt.Errorf("byte %d: %02X does not belong there", i, wire[i])
	}
	return nil
}
