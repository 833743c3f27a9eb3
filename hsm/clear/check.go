package clear

import (
	"fmt"

	"tongka/hsm"
)

// PVV is the PIN verification value of a Visa PIN: four digits from eleven of
// the account (pan12 without its first), the key index and the PIN's first four.
// Source: Visa PIN verification standard.
func (c *Cipher) PVV(pan12 *[12]byte, index byte, pin []byte) (pvv [4]byte, err error) {
	if len(pin) < 4 || len(pin) > 12 {
		return pvv, fmt.Errorf("PVV: a PIN of %d digits: %w", len(pin), hsm.BadPINLength)
	}
	var tsp [16]byte
	copy(tsp[:], pan12[1:])
	tsp[11] = index
	copy(tsp[12:], pin[:4])
	var b [8]byte
	if bad := packDigits(b[:], tsp[:]); bad >= 0 {
		return pvv, fmt.Errorf("PVV: digit %d of the security parameter: %w", bad, hsm.BadAccount)
	}
	b = c.Encrypt(b)
	decimals(pvv[:], b[:])
	return pvv, nil
}

// CVV is the card verification value over account, expiry (YYMM or MMYY as the
// scheme has it) and service code, all as digits. Source: Visa and Mastercard
// card verification; a double-length key is used as two singles.
func (c *Cipher) CVV(pan, expiry, service []byte) (cvv [3]byte, err error) {
	var text [32]byte
	n := len(pan) + len(expiry) + len(service)
	if c.n != 16 || len(pan) == 0 || n > len(text) {
		return cvv, fmt.Errorf("CVV: %d digits under a key of %d bytes: %w", n, c.n, hsm.BadInput)
	}
	for i := range text {
		text[i] = '0'
	}
	copy(text[copy(text[copy(text[:], pan):], expiry)+len(pan):], service)
	var blocks [16]byte
	if bad := packDigits(blocks[:], text[:]); bad >= 0 {
		return cvv, fmt.Errorf("CVV: character %d is no digit: %w", bad, hsm.BadInput)
	}
	out := c.Chain(hsm.X919, [8]byte{}, blocks[:], true)
	decimals(cvv[:], out[:])
	return cvv, nil
}

// NaturalPIN is the PIN that an account has under the IBM 3624 method before
// its offset: the validation data encrypted, its hex digits put through the
// decimalisation table.
func (c *Cipher) NaturalPIN(validation *[16]byte, table *[16]byte) (pin [16]byte, err error) {
	var b [8]byte
	if bad := hsm.DecodeHex(b[:], validation[:]); bad >= 0 {
		return pin, fmt.Errorf("validation data: character %d: %w", bad, hsm.BadInput)
	}
	for i, d := range table {
		if d < '0' || d > '9' {
			return pin, fmt.Errorf("decimalisation table: character %d is no digit: %w", i, hsm.BadInput)
		}
	}
	b = c.Encrypt(b)
	for i := range pin {
		pin[i] = table[b[i/2]>>(4-4*(i%2))&15]
	}
	return pin, nil
}

// Validation builds the validation data of the host commands: twelve characters
// in which N stands for the last five account digits.
func Validation(text []byte, pan12 *[12]byte) (v [16]byte, err error) {
	out := v[:0]
	for i, ch := range text {
		switch {
		case len(out) == len(v):
			return v, fmt.Errorf("validation data: character %d: more than 12: %w", i, hsm.BadInput)
		case ch == 'N' && len(out) == i && i < 12:
			out = append(out, pan12[7:]...)
		case ch == 'N' || ch < '0' || ch > '9' && ch < 'A' || ch > 'F':
			return v, fmt.Errorf("validation data: character %d: %w", i, hsm.BadInput)
		default:
			out = append(out, ch)
		}
	}
	if len(text) != 12 || len(out) != 16 {
		return v, fmt.Errorf("validation data: no N among its 12 characters: %w", hsm.BadInput)
	}
	return v, nil
}

// AddDigits and SubDigits work on each digit modulo 10, as PIN offsets do:
// PIN = natural + offset. The shorter of both counts.
func AddDigits(dst, a, b []byte) []byte { return eachDigit(dst, a, b, 1) }

// SubDigits appends a − b, digit by digit.
func SubDigits(dst, a, b []byte) []byte { return eachDigit(dst, a, b, 9) }

func eachDigit(dst, a, b []byte, times int) []byte {
	for i := range min(len(a), len(b)) {
		dst = append(dst, byte('0'+(int(a[i]-'0')+times*int(b[i]-'0'))%10))
	}
	return dst
}

// packDigits packs two digits a byte and gives -1, or the first that is none.
func packDigits(dst, digits []byte) int {
	for i, d := range digits {
		if d < '0' || d > '9' {
			return i
		}
	}
	return hsm.DecodeHex(dst, digits)
}

// decimals takes digits from the hexadecimal form of b, first the decimal ones,
// then the letters less ten.
func decimals(dst, b []byte) {
	n := 0
	for _, letters := range [2]bool{false, true} {
		for i := 0; i < 2*len(b) && n < len(dst); i++ {
			d := b[i/2] >> (4 - 4*(i%2)) & 15
			if (d > 9) == letters {
				dst[n] = '0' + d%10
				n++
			}
		}
	}
}
