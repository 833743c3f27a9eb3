// Package framing tells frames apart in a stream of bytes.
package framing

import (
	"bytes"
	"errors"
	"math"
)

// Framing is one way of doing so. Its values are shared by all connections and
// keep no state.
type Framing interface {
	// Next finds the first frame of b. used is how many bytes it took with all
	// that surrounds it; 0 without an error means that more bytes are needed. A
	// nil frame with used > 0 is a keep-alive.
	Next(b []byte) (frame []byte, used int, err error)
	// Begin reserves the length in front of a frame that is to be appended.
	Begin(dst []byte) []byte
	// End completes the frame whose Begin found len(dst) == start. A frame that
	// is longer than its length can say is refused and taken off dst again.
	End(dst []byte, start int) ([]byte, error)
	// Max is the longest payload that the length can say.
	Max() int
}

// What can be wrong with a frame.
var (
	ErrOversize  = errors.New("frame longer than the limit")
	ErrEmpty     = errors.New("frame of length zero")
	ErrMalformed = errors.New("frame is not framed as agreed")
)

// lengthFraming is every framing whose frames begin with their length. What
// tells them apart is data, so that a new one is a line in the table:
//
//	| length (head bytes) | zero bytes (pad) | payload | trailer |
type lengthFraming struct {
	name      string
	num       numeral
	head      int
	pad       int    // not counted by the length, unless self
	self      bool   // the length counts itself and the pad
	keepAlive bool   // length zero is a keep-alive and not a fault
	trailer   []byte // counted by the length
	limit     int    // longest payload accepted, 0 for what the length can say
}

// numeral is the way a length is written. All have the most significant digit
// first.
type numeral uint8

const (
	numBinary  numeral = iota
	numBCD             // two decimal digits a byte (BCD)
	numDecimal         // ASCII digits
	numHex             // ASCII hexadecimal digits, both cases read, upper case written
)

// framings are the framings seen between switches, by the name that a
// configuration uses. The first is the UnionPay POS terminal's, the second that
// of the CUPS style centre line, whose length 0000 keeps an idle line alive.
var framings = []*lengthFraming{
	{name: "binary2", num: numBinary, head: 2},
	{name: "ascii4", num: numDecimal, head: 4, keepAlive: true},
	{name: "bcd2", num: numBCD, head: 2},
	{name: "hex4", num: numHex, head: 4},
	{name: "binary3", num: numBinary, head: 3},
	{name: "binary4", num: numBinary, head: 4},
	{name: "binary2-self", num: numBinary, head: 2, self: true},
	{name: "binary2-pad2", num: numBinary, head: 2, pad: 2},
	{name: "binary2-etx", num: numBinary, head: 2, trailer: []byte{0x03}},
}

// The two framings that every installation needs.
var (
	Binary2 Framing = framings[0] // 2 bytes big-endian
	ASCII4  Framing = framings[1] // 4 ASCII digits; 0000 is a keep-alive
)

// Named finds a framing by its name in a configuration.
func Named(name string) (Framing, bool) {
	for _, f := range framings {
		if f.name == name {
			return f, true
		}
	}
	return nil, false
}

// Names lists what Named knows.
func Names() []string {
	names := make([]string, len(framings))
	for i, f := range framings {
		names[i] = f.name
	}
	return names
}

// Overhead bounds what any framing here adds to a payload, in bytes.
const Overhead = 16

// Limited is f with a bound on the payload, so that a length which is too great
// is refused before the first byte of its frame is kept. A framing from
// elsewhere comes back as it is.
func Limited(f Framing, limit int) Framing {
	lf, ok := f.(*lengthFraming)
	if !ok {
		return f
	}
	bounded := *lf
	bounded.limit = limit
	return &bounded
}

func (f *lengthFraming) String() string { return f.name }

func (f *lengthFraming) Next(b []byte) (frame []byte, used int, err error) {
	if len(b) < f.head {
		return nil, 0, nil
	}
	n, ok := f.num.read(b[:f.head])
	if !ok {
		return nil, 0, ErrMalformed
	}
	if n == 0 && f.keepAlive {
		return nil, f.head, nil
	}
	if n -= f.extra(); n <= 0 {
		return nil, 0, ErrEmpty
	}
	if f.limit > 0 && n > f.limit {
		return nil, 0, ErrOversize
	}
	from := f.head + f.pad
	used = from + n + len(f.trailer)
	if len(b) < used {
		return nil, 0, nil
	}
	if !bytes.Equal(b[from+n:used], f.trailer) {
		return nil, 0, ErrMalformed
	}
	return b[from : from+n : from+n], used, nil
}

func (f *lengthFraming) Begin(dst []byte) []byte {
	for range f.head + f.pad {
		dst = append(dst, 0)
	}
	return dst
}

func (f *lengthFraming) End(dst []byte, start int) ([]byte, error) {
	n := len(dst) - start - f.head - f.pad
	switch {
	case n < 0:
		return dst[:start], ErrMalformed // Begin was not called
	case n == 0 && f.keepAlive:
		f.num.write(dst[start:start+f.head], 0)
		return dst, nil
	case n == 0:
		return dst[:start], ErrEmpty
	case n > f.Max():
		return dst[:start], ErrOversize
	}
	f.num.write(dst[start:start+f.head], n+f.extra())
	return append(dst, f.trailer...), nil
}

func (f *lengthFraming) Max() int {
	most := f.num.most(f.head) - f.extra()
	if f.limit > 0 {
		return min(f.limit, most)
	}
	return most
}

// extra is what the length counts beside the payload.
func (f *lengthFraming) extra() int {
	n := len(f.trailer)
	if f.self {
		n += f.head + f.pad
	}
	return n
}

// read is false when a digit is none.
func (k numeral) read(b []byte) (n int, ok bool) {
	if k == numBinary {
		for _, c := range b {
			n = n<<8 | int(c)
		}
		return n, true
	}
	for _, c := range b {
		switch {
		case k == numBCD && c>>4 <= 9 && c&15 <= 9:
			n = n*100 + int(c>>4)*10 + int(c&15)
		case k == numDecimal && c >= '0' && c <= '9':
			n = n*10 + int(c-'0')
		case k == numHex && c >= '0' && c <= '9':
			n = n<<4 | int(c-'0')
		case k == numHex && c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// write fills b with n, which fits.
func (k numeral) write(b []byte, n int) {
	if k == numBinary { // the common one, without divisions
		for i := len(b) - 1; i >= 0; i-- {
			b[i] = byte(n)
			n >>= 8
		}
		return
	}
	base := k.base()
	for i := len(b) - 1; i >= 0; i-- {
		d := byte(n % base)
		n /= base
		switch k {
		case numBCD:
			d = d/10<<4 | d%10
		case numDecimal, numHex:
			d = "0123456789ABCDEF"[d]
		}
		b[i] = d
	}
}

// base is how many values one byte of the numeral has.
func (k numeral) base() int {
	return [...]int{numBinary: 256, numBCD: 100, numDecimal: 10, numHex: 16}[k]
}

// most is the greatest number that fits in so many bytes.
func (k numeral) most(bytes int) int {
	n := 1
	for range bytes {
		n *= k.base()
	}
	return min(n-1, math.MaxInt32)
}
