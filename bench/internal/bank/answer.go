package bank

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

const (
	headerLen = 46
	lengthLen = 4
)

// LL and LLL in fieldLen: two or three ASCII digits of length.
const (
	ll  = -2
	lll = -3
)

// fieldLen is the length in bytes of the centre's fields; 0 means unknown.
// Source: UnionPay CUPS interface as its users publish it.
var fieldLen = [129]int8{
	2: ll, 3: 6, 4: 12, 5: 12, 6: 12, 7: 10, 9: 8, 10: 8, 11: 6, 12: 6, 13: 4, 14: 4, 15: 4, 16: 4, 18: 4, 19: 3,
	22: 3, 23: 3, 25: 2, 26: 2, 28: 9, 32: ll, 33: ll, 35: ll, 36: lll, 37: 12, 38: 6, 39: 2, 41: 8, 42: 15, 43: 40,
	44: ll, 45: ll, 48: lll, 49: 3, 50: 3, 51: 3, 52: 8, 53: 16, 54: lll, 55: lll, 57: lll, 60: lll, 61: lll, 62: lll,
	63: lll, 70: 3, 90: 42, 96: 8, 100: ll, 102: ll, 103: ll, 104: lll, 121: lll, 122: lll, 123: lll, 128: 8,
}

// set is a bitmap of both halves, field 1 at the top of the first.
type set [2]uint64

func fields(list ...int) (s set) {
	for _, f := range list {
		s[(f-1)/64] |= 1 << (63 - (f-1)%64)
	}
	return s
}

var (
	echoed   = fields(1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 18, 19, 25, 32, 33, 37, 41, 42, 49, 70, 90, 100, 102, 103)
	settled  = fields(15) // the settlement date, in answers to what moves money
	approved = fields(38) // the authorisation code, in answers to requests
	coded    = fields(39)
)

// frameLen is the length of the frame that b begins with, its four digits
// included; 0 when those have not come yet.
func frameLen(b []byte) (int, error) {
	if len(b) < lengthLen {
		return 0, nil
	}
	n, ok := decimal(b[:lengthLen])
	if !ok {
		return 0, fmt.Errorf("length %q at byte 0 is not decimal", b[:lengthLen])
	}
	return lengthLen + n, nil
}

// answer appends the approval of a request to dst: the header turned round, the
// response MTI, the fields that an answer echoes, and F15, F38 and F39. An
// answer or an idle frame appends nothing. The error names field and offset.
func answer(dst, frame []byte) ([]byte, error) {
	if len(frame) == lengthLen {
		return dst, nil
	}
	const body = lengthLen + headerLen
	if len(frame) < body+4+16 {
		return dst, fmt.Errorf("frame ends at byte %d, before the bitmap's end", len(frame))
	}
	mti := frame[body : body+4]
	if (mti[2]-'0')%2 == 1 {
		return dst, nil
	}
	has := set{binary.BigEndian.Uint64(frame[body+4:]), binary.BigEndian.Uint64(frame[body+12:])}
	add := coded
	if mti[1] != '8' {
		add[0] |= settled[0]
	}
	if mti[1] == '1' || mti[1] == '2' {
		add[0] |= approved[0]
	}
	start := len(dst)
	dst = append(dst, frame[:body+4]...)
	copy(dst[start+10:], frame[21:32])
	copy(dst[start+21:], frame[10:21])
	dst[start+body+2]++
	dst[start+body+3] = '0'
	dst = binary.BigEndian.AppendUint64(dst, has[0]&echoed[0]|add[0])
	dst = binary.BigEndian.AppendUint64(dst, has[1]&echoed[1])
	dst, err := appendFields(dst, frame, body+20, has, add)
	if err != nil {
		return dst[:start], err
	}
	n := len(dst) - start - lengthLen
	putDecimal(dst[start:], n)
	putDecimal(dst[start+lengthLen+2:], n)
	return dst, nil
}

// appendFields walks over the request's fields from at on, copies those that an
// answer echoes and puts the added ones in their places.
func appendFields(dst, frame []byte, at int, has, add set) ([]byte, error) {
	date := []byte("0101")
	for half := range has {
		left := has[half] | add[half]
		if half == 0 {
			left &^= 1 << 63
		}
		for left != 0 {
			lead := bits.LeadingZeros64(left)
			bit := uint64(1) << (63 - lead)
			left &^= bit
			f := 64*half + lead + 1
			value := frame[at:at]
			if has[half]&bit != 0 {
				n := size(frame[at:], f)
				if n <= 0 || at+n > len(frame) {
					return dst, fmt.Errorf("field F%d at byte %d is unknown or passes the end at %d", f, at, len(frame))
				}
				value = frame[at : at+n]
				at += n
			}
			switch {
			case f == 7 && len(value) >= 4:
				date = value[:4]
				dst = append(dst, value...)
			case add[half]&bit != 0:
				dst = appendOwn(dst, f, date)
			case echoed[half]&bit != 0:
				dst = append(dst, value...)
			}
		}
	}
	return dst, nil
}

// appendOwn appends a field that the bank itself puts in.
func appendOwn(dst []byte, f int, date []byte) []byte {
	switch f {
	case 15:
		return append(dst, date...)
	case 38:
		return append(dst, "A00001"...)
	default:
		return append(dst, "00"...)
	}
}

// size is the length of field f, its length digits included; 0 or less when it
// is not known or not readable.
func size(b []byte, f int) int {
	n := int(fieldLen[f])
	if n >= 0 {
		return n
	}
	if len(b) < -n {
		return 0
	}
	v, ok := decimal(b[:-n])
	if !ok {
		return 0
	}
	return v - n
}

func decimal(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int(c)
	}
	return n, true
}

// putDecimal writes n as four digits.
func putDecimal(b []byte, n int) {
	b[0], b[1], b[2], b[3] = byte('0'+n/1000%10), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10)
}
