package explain

import (
	"fmt"
	"strings"

	"tongka/codec/iso8583"
)

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
	case mtiSize(s) > 2 && (n == 64 || n == 128) && printable(raw):
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
// a PIN block nothing. It goes by what a field is and never by what a value looks
// like: batch and terminal numbers in F60 pass for a card number now and then,
// and whoever looks for a fault there must see them.
func masked(v *iso8583.View, n int, raw []byte, value string) string {
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
		if b, ok := chipBytes(raw); ok {
			return chip(b)
		}
	}
	return value
}

// chipBytes gives the bytes of F55, which an ASCII dialect may carry in
// hexadecimal characters; false for text that is neither.
func chipBytes(raw []byte) ([]byte, bool) {
	if b, ok := unhex(string(raw)); ok {
		return b, true
	}
	return raw, !printable(raw)
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
