package layout

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Encode turns UTF-8 into the charset; characters that it does not have are errors.
func (c Charset) Encode(s string) (string, error) {
	if c != GBK || ascii(s) {
		return s, nil
	}
	b, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		return "", fmt.Errorf("无法写作 %s · cannot be written in %s: %w", charsetNames[c], charsetNames[c], err)
	}
	return b, nil
}

// Decode turns text of the charset into UTF-8, for people.
func (c Charset) Decode(b []byte) string {
	if c != GBK || ascii(b) {
		return string(b)
	}
	s, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b)
	if err != nil { // it marks what is wrong and goes on; a reader has refused such text before
		return string(b)
	}
	return string(s)
}

func ascii[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// bad gives the first byte that is no text of the charset, or -1.
func (c Charset) bad(b []byte) int {
	for i := 0; i < len(b) && c != AnyChars; {
		n := c.size(b[i:])
		if n == 0 {
			return i
		}
		i += n
	}
	if c == GBK && reallyUTF8(b) {
		return bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf })
	}
	return -1
}

// reallyUTF8 says that bytes that could be GBK are far more likely UTF-8: nothing
// but ASCII and at least two Chinese characters of three bytes, which as GBK would be
// three that nobody writes.
func reallyUTF8(b []byte) bool {
	if ascii(b) || !utf8.Valid(b) {
		return false
	}
	n := 0
	for _, r := range string(b) {
		if r >= utf8.RuneSelf && (r < 0x3000 || r > 0xFFEF) {
			return false
		}
		if r >= utf8.RuneSelf {
			n++
		}
	}
	return n >= 2
}

// size is how many bytes the first character has, 0 when it is none.
func (c Charset) size(b []byte) int {
	switch {
	case b[0] < utf8.RuneSelf:
		return 1
	case c == UTF8:
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return 0
		}
		return n
	case b[0] == 0x80 || b[0] == 0xFF || len(b) < 2:
		return 0
	case b[1] >= 0x40 && b[1] != 0x7F && b[1] != 0xFF:
		return 2
	case len(b) >= 4 && digit(b[1]) && b[2] >= 0x81 && b[2] != 0xFF && digit(b[3]):
		return 4
	}
	return 0
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// until gives how many bytes lie before the separator, or before the end. The second
// byte of a character of GBK may look like one, such as | or ^.
func (c Charset) until(b []byte, separator byte) int {
	if c == GBK {
		for i := 0; i < len(b); i += max(1, c.size(b[i:])) {
			if b[i] == separator {
				return i
			}
		}
		return len(b)
	}
	if i := bytes.IndexByte(b, separator); i >= 0 {
		return i
	}
	return len(b)
}
