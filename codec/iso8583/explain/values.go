package explain

import (
	"bytes"
	"fmt"
	"strings"

	"tongka/codec/iso8583"
)

// show gives field n for people and for comparison with other decoders.
func show(v *iso8583.View, n int, unmask bool) string {
	raw := v.AppendText(nil, n)
	if !unmask {
		return masked(v, n, raw)
	}
	return plain(v.Spec(), n, raw)
}

// plain shows a canonical value. Text of variable length may hold bytes, as a
// sender likes; then all of it is shown as hexadecimal. A fixed text is always
// text: merchants' names come in GBK and are shown byte by byte as Latin-1. A
// MAC of an ASCII dialect is often eight hexadecimal characters.
func plain(s *iso8583.Spec, n int, raw []byte) string {
	switch kind := s.Kind(n); {
	case kind == iso8583.Numeric || kind == iso8583.Track:
		return string(raw)
	case kind == iso8583.Text && s.Fixed(n):
		return latin1(raw)
	case kind == iso8583.Text && printable(raw):
		return string(raw)
	case !packed(s) && (n == 64 || n == 128) && printable(raw):
		return string(raw)
	}
	return fmt.Sprintf("%X", raw)
}

func latin1(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// masked is plain without what may not be seen: of a card number the first six
// and the last four digits stay, of a track nothing but its card number so, of
// a PIN block nothing.
func masked(v *iso8583.View, n int, raw []byte) string {
	value := plain(v.Spec(), n, raw)
	switch n {
	case 2, 34, 102, 103:
		return pan(value)
	case 35, 36, 45:
		return stripe(value)
	case 52:
		return stars(len(value))
	case 48:
		if v.MTI()>>8 == 0x03 {
			return upload(value)
		}
	case 55:
		if value != string(raw) || len(raw) == 0 {
			return chip(raw)
		}
	}
	if v.Spec().Kind(n) == iso8583.Binary {
		return value
	}
	if len(value) == 2*len(raw) && len(raw) > 0 {
		return hexRuns(raw)
	}
	return cardRuns(value)
}

// hexRuns shows bytes in hexadecimal; a card number in characters among them
// is masked byte by byte.
func hexRuns(raw []byte) string {
	var b strings.Builder
	for i, c := range []byte(cardRuns(string(raw))) {
		if c != raw[i] {
			b.WriteString("**")
			continue
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}

func stars(n int) string { return strings.Repeat("*", n) }

// pan keeps six and four characters of a card number.
func pan(s string) string {
	if len(s) <= 10 {
		return stars(len(s))
	}
	return s[:6] + stars(len(s)-10) + s[len(s)-4:]
}

// stripe masks the digits before the first separator as a card number and
// everything behind it wholly.
func stripe(s string) string {
	i := strings.IndexAny(s, "D=^")
	if i < 0 {
		return stars(len(s))
	}
	return pan(s[:i]) + s[i:i+1] + stars(len(s)-i-1)
}

// upload masks the card numbers of a batch upload (0320, F48): a count n2 and
// items of 40 digits, in each class 2, trace 6, card number 20, amount 12.
func upload(s string) string {
	b := []byte(s)
	for i := 2; i < len(b); i++ {
		if at := (i - 2) % 40; at >= 8 && at < 24 {
			b[i] = '*'
		}
	}
	return string(b)
}

// cardRuns masks whatever looks like a card number inside a text: 13 to 19
// digits whose check digit (Luhn) is right.
func cardRuns(s string) string {
	b := []byte(s)
	for i := 0; i < len(b); {
		j := i
		for j < len(b) && b[j] >= '0' && b[j] <= '9' {
			j++
		}
		if n := j - i; n >= 13 && n <= 19 && luhn(b[i:j]) {
			copy(b[i:j], pan(s[i:j]))
		}
		i = j + 1
	}
	return string(b)
}

func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i&1 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0 && len(bytes.Trim(digits, "0")) > 0
}
