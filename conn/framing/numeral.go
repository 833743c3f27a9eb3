package framing

import "math"

// numeral is the way a length is written. All have the most significant digit
// first.
type numeral uint8

const (
	numBinary  numeral = iota
	numBCD             // two decimal digits a byte (BCD)
	numDecimal         // ASCII digits
	numHex             // ASCII hexadecimal digits, both cases read, upper case written
)

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
