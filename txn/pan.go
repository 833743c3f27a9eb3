package txn

import "errors"

// PAN is a primary account number (F2, n..19), packed two digits a byte. It
// prints masked; only AppendDigits shows it whole.
type PAN struct {
	n uint8
	d [10]byte
}

var errPAN = errors.New("a card number has 12 to 19 digits")

// ParsePAN reads ASCII digits.
func ParsePAN(digits []byte) (PAN, error) {
	var p PAN
	if len(digits) < 12 || len(digits) > 19 {
		return p, errPAN
	}
	for i, c := range digits {
		if c < '0' || c > '9' {
			return PAN{}, errPAN
		}
		p.d[i/2] |= (c - '0') << (4 * uint(1-i%2))
	}
	p.n = uint8(len(digits))
	return p, nil
}

// Len is the number of digits, 0 when there is no card number.
func (p *PAN) Len() int { return int(p.n) }

func (p *PAN) digit(i int) byte { return '0' + p.d[i/2]>>(4*uint(1-i%2))&15 }

// AppendDigits appends the card number in clear.
func (p *PAN) AppendDigits(dst []byte) []byte {
	for i := 0; i < int(p.n); i++ {
		dst = append(dst, p.digit(i))
	}
	return dst
}

// String shows the first six and the last four digits.
func (p PAN) String() string { return string(p.AppendMasked(make([]byte, 0, 19))) }

// AppendMasked appends what String gives.
func (p PAN) AppendMasked(b []byte) []byte {
	from := len(b)
	b = p.AppendDigits(b)
	for i := from + 6; i < len(b)-4; i++ {
		b[i] = '*'
	}
	return b
}

// Tail12 is the twelve digits left of the check digit, as PIN blocks use them
// (ISO 9564-1 format 0). Missing digits on the left are zero.
func (p *PAN) Tail12() (t [12]byte) {
	for i := range t {
		t[i] = '0'
		if j := int(p.n) - 13 + i; j >= 0 && j < int(p.n) {
			t[i] = p.digit(j)
		}
	}
	return t
}

// Prefix is the number that the first ten digits form, for BIN ranges; a
// shorter card number is filled with zeros on the right.
func (p *PAN) Prefix() uint64 {
	var v uint64
	for i := range 10 {
		v *= 10
		if i < int(p.n) {
			v += uint64(p.digit(i) - '0')
		}
	}
	return v
}

// Hash spreads card numbers for in-memory tables. It is not for storage: a
// stored index uses a keyed HMAC.
func (p *PAN) Hash() uint64 {
	h := uint64(14695981039346656037)
	for _, b := range p.d {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h ^ uint64(p.n)
}

// Packed gives the stored form: the number of digits and the packed digits.
func (p *PAN) Packed() (n uint8, d [10]byte) { return p.n, p.d }

// UnpackPAN is the inverse of Packed.
func UnpackPAN(n uint8, d [10]byte) (PAN, error) {
	if n > 19 {
		return PAN{}, errPAN
	}
	return PAN{n: n, d: d}, nil
}
