package table

import (
	"tongka/codec/iso8583/internal/bcd"
	"tongka/codec/iso8583/internal/dialect"
)

// Count is how a length prefix says the length.
type Count uint8

// Counts.
const (
	ASCII  Count = iota // a digit a byte
	BCD                 // two digits a byte
	EBCDIC              // a digit a byte
	Binary              // a number, high byte first
	Hex                 // two hexadecimal characters a byte of a number
)

// Length reads the length prefix at the start of p, which is not cut off. What
// does not belong there gives a length that is above every maximum.
func (f *Field) Length(p []byte) int {
	of := &bcd.Digit
	switch f.Count {
	case BCD:
		if f.Prefix == 1 {
			return int(bcd.Len[p[0]])
		}
		return int(bcd.Len[p[0]])*100 + int(bcd.Len[p[1]])
	case ASCII:
	case EBCDIC:
		of = &eLength
	default:
		return f.lengthOther(p)
	}
	switch f.Prefix {
	case 2:
		return int(of[p[0]])*10 + int(of[p[1]])
	case 3:
		return int(of[p[0]])*100 + int(of[p[1]])*10 + int(of[p[2]])
	}
	n := 0
	for _, c := range p[:f.Prefix] {
		n = n*10 + int(of[c])
	}
	return n
}

// lengthOther reads what is met less often.
func (f *Field) lengthOther(p []byte) (n int) {
	for _, c := range p[:f.Prefix] {
		if f.Count == Binary {
			n = min(n<<8|int(c), beyond)
			continue
		}
		d := bcd.Hex[c]
		if d == bcd.Bad {
			return beyond
		}
		n = min(n<<4|int(d), beyond)
	}
	return n
}

const beyond = dialect.MaxLength + 1

// BadPrefix finds the first byte of a length prefix that does not belong there,
// -1 when there is none.
func (f *Field) BadPrefix(p []byte) int {
	var of *[256]uint8
	switch f.Count {
	case Binary:
		return -1
	case BCD:
		of = &bcd.Dec
	case EBCDIC:
		of = &eDigit
	case Hex:
		of = &bcd.Hex
	default:
		return bcd.BadDigits(p)
	}
	for i, c := range p {
		if of[c] == bcd.Bad {
			return i
		}
	}
	return -1
}

// PutLength writes the length prefix of l, at most Max, to d.
func (f *Field) PutLength(d []byte, l int) {
	t := f.Lengths()
	if t == nil || l >= len(t) {
		f.putLong(d[:f.Prefix], l)
		return
	}
	x := t[l]
	for i := range f.Prefix {
		d[i] = byte(x >> (8 * i))
	}
}

// putLong writes the digits of l from the last one on.
func (f *Field) putLong(d []byte, l int) {
	for i := len(d) - 1; i >= 0; i-- {
		switch f.Count {
		case BCD:
			d[i] = bcd.Packed[l%100]
			l /= 100
		case Binary:
			d[i] = byte(l)
			l >>= 8
		case Hex:
			d[i] = bcd.UpperHex[l&15]
			l >>= 4
		default:
			d[i] = '0' + byte(l%10)
			if f.Count == EBCDIC {
				d[i] ^= ebcdicDigit
			}
			l /= 10
		}
	}
}

const ebcdicDigit = 0xC0 // what F0 and 30 differ by

// Lengths gives the prefixes of the lengths 0 to 999, the first byte the lowest;
// nil for a prefix of more than four bytes.
func (f *Field) Lengths() *[1000]uint32 {
	if f.Prefix > 4 {
		return nil
	}
	return &lengths[f.Count][f.Prefix]
}

var lengths = makeLengths()

func makeLengths() (t [Hex + 1][5][1000]uint32) {
	for c := range t {
		for p := 1; p < len(t[c]); p++ {
			f := Field{Count: Count(c), Prefix: uint8(p)}
			for l := range t[c][p] {
				var d [4]byte
				f.putLong(d[:p], l)
				t[c][p][l] = uint32(d[0]) | uint32(d[1])<<8 | uint32(d[2])<<16 | uint32(d[3])<<24
			}
		}
	}
	return t
}
