package explain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"tongka/codec/iso8583"
)

// Charset is the fault of a sender that counts a text in one character set and
// sends it in another: the length is right for what was counted, every field
// behind it is shifted.
type Charset struct {
	Field   int    `json:"field"`
	Offset  int    `json:"offset"` // of the text, from the start of the input
	Sent    string `json:"sent"`   // GBK or UTF-8
	Counted string `json:"counted"`
	Length  int    `json:"length"` // as counted, in bytes
	Size    int    `json:"size"`   // as sent, in bytes
	Text    string `json:"text"`
}

func (c *Charset) chinese() string {
	return fmt.Sprintf("F%d，第 %d 字节：长度 %d 是按 %s 数的，正文却以 %s 发送，占 %d 字节（“%s”）", c.Field, c.Offset, c.Length, c.Counted, c.Sent, c.Size, c.shown())
}

func (c *Charset) english() string {
	return fmt.Sprintf("F%d at byte %d: its length %d was counted in %s, but the text was sent in %s and takes %d bytes", c.Field, c.Offset, c.Length, c.Counted, c.Sent, c.Size)
}

// shown is the text without what could disturb a terminal or a line.
func (c *Charset) shown() string { return strings.TrimRight(escape(c.Text), " ") }

// maxRepairs bounds the search, whatever an input holds: so many changed messages
// are read for one reading.
const maxRepairs = 100

// repairs is one search.
type repairs struct {
	spec *iso8583.Spec
	left int
}

// suspectCharset looks whether a refused reading makes sense throughout once
// texts with Chinese in them are taken in the other character set. Only then is it
// surely that fault, and the reading becomes the best of those refused.
func (r *reading) suspectCharset(input []byte) {
	if r.err.Field < 2 && r.err.Field != iso8583.InLength || r.view.Spec() == nil || r.base >= len(input)-r.tail {
		return
	}
	msg := input[r.base : len(input)-r.tail]
	if c := (&repairs{r.dialect, maxRepairs}).find(msg, 2); c != nil {
		c.Offset += r.base
		r.charset, r.score = c, r.score+15
		r.err = &iso8583.FieldError{Field: c.Field, Offset: c.Offset, Reason: iso8583.WrongLength, Want: c.Size, Got: c.Length}
	}
}

// find gives the first text at or behind field from that, put into the character
// set that its length was counted in, lets the message be read to its end,
// perhaps with others behind it; nil when there is none.
func (p *repairs) find(msg []byte, from int) *Charset {
	var v iso8583.View
	err, _ := p.spec.Parse(&v, msg).(*iso8583.FieldError)
	if err == nil {
		return nil
	}
	for n := from; n <= lastField; n++ {
		at, size, ok := textAt(p.spec, &v, err, n)
		if !ok {
			continue
		}
		for _, swap := range swaps {
			c, other := swap(msg[at:], size)
			if c == nil || p.left == 0 {
				continue
			}
			p.left--
			whole := append(append(append([]byte(nil), msg[:at]...), other...), msg[at+c.Size:]...)
			var w iso8583.View
			if p.spec.Parse(&w, whole) == nil || p.find(whole, n+1) != nil {
				c.Field, c.Offset = n, at
				return c
			}
		}
	}
	return nil
}

// textAt gives where the text of field n begins and its length as the sender
// counted it. The last field of a message that is too short is not in the view;
// then the error says where it would have been.
func textAt(s *iso8583.Spec, v *iso8583.View, err *iso8583.FieldError, n int) (at, size int, ok bool) {
	if s.Kind(n) != iso8583.Text {
		return 0, 0, false
	}
	if v.Has(n) {
		_, value, end := v.Extent(n)
		return value, end - value, true
	}
	return err.Offset, err.Want, err.Field == n && err.Reason == iso8583.Truncated
}

// swaps are the two ways to mix up the character sets: each takes the bytes from
// the text on and the length as counted, and gives the fault and the text in the
// set that was counted.
var swaps = []func(p []byte, counted int) (*Charset, []byte){
	func(p []byte, counted int) (*Charset, []byte) { // counted in GBK, sent in UTF-8
		text, size, n := "", 0, 0
		for n < counted && size < len(p) {
			c, w := utf8.DecodeRune(p[size:])
			if c == utf8.RuneError {
				return nil, nil
			}
			size += w
			if n++; c >= utf8.RuneSelf {
				n++
			}
		}
		text = string(p[:size])
		gbk, err := simplifiedchinese.GBK.NewEncoder().Bytes(p[:size])
		if err != nil || n != counted || size == counted || len(gbk) != counted {
			return nil, nil
		}
		return &Charset{Sent: "UTF-8", Counted: "GBK", Length: counted, Size: size, Text: text}, gbk
	},
	func(p []byte, counted int) (*Charset, []byte) { // counted in UTF-8, sent in GBK
		size, n := 0, 0
		for n < counted && size < len(p) {
			if p[size] < utf8.RuneSelf {
				size, n = size+1, n+1
				continue
			}
			size, n = size+2, n+3
		}
		if n != counted || size == counted || size > len(p) {
			return nil, nil
		}
		text, err := simplifiedchinese.GBK.NewDecoder().Bytes(p[:size])
		if err != nil || len(text) != counted || strings.ContainsRune(string(text), utf8.RuneError) {
			return nil, nil
		}
		return &Charset{Sent: "GBK", Counted: "UTF-8", Length: counted, Size: size, Text: string(text)}, text
	},
}

// characterSet names the set of a text that is not all ASCII; empty when it is
// neither.
func characterSet(raw []byte) (name, text string) {
	if printable(raw) {
		return "", string(raw)
	}
	if utf8.Valid(raw) && !strings.ContainsFunc(string(raw), betweenScripts) {
		return "UTF-8", string(raw)
	}
	if b, err := simplifiedchinese.GBK.NewDecoder().Bytes(raw); err == nil && !strings.ContainsRune(string(b), utf8.RuneError) {
		return "GBK", string(b)
	}
	return "", ""
}

// betweenScripts says that a character is neither ASCII nor of the scripts of East
// Asia: what takes two bytes in UTF-8 is a Chinese character in GBK.
func betweenScripts(c rune) bool { return c >= utf8.RuneSelf && c < 0x2000 }

// read gives a field's value as people read it, and in what it is written when
// that is not ASCII. Text of variable length may hold bytes of any kind, so there
// only what is Chinese throughout is read.
func (c *cell) read() (string, []Words) {
	if c.kind != iso8583.Text || printable(c.raw) || c.shown != c.plain {
		return readable(c.shown), nil
	}
	name, text := characterSet(c.raw)
	if c.per == 2 && !chinesePlain(text) {
		return c.shown, nil
	}
	switch name {
	case "GBK":
		return escape(text), same("GBK")
	case "UTF-8":
		return escape(text), one("UTF-8，而终端与中心通常用 GBK", "UTF-8, where terminals and centres mostly use GBK")
	}
	return readable(c.shown), one("既不是 GBK 也不是 UTF-8", "neither GBK nor UTF-8")
}

// chinesePlain says that a text is of ASCII and of Chinese characters and
// punctuation in daily use (GB 2312), of which random bytes seldom are.
func chinesePlain(text string) bool {
	for _, c := range text {
		b, err := simplifiedchinese.HZGB2312.NewEncoder().String(string(c))
		if err != nil || c < ' ' || c == 0x7F || c >= utf8.RuneSelf && !strings.HasPrefix(b, "~{") {
			return false
		}
		if c >= utf8.RuneSelf && !unicode.Is(unicode.Han, c) && !unicode.IsPunct(c) && (c < 0xFF00 || c > 0xFFEF) {
			return false
		}
	}
	return text != ""
}

// readable turns a value that plain gave as Latin-1 back into bytes and reads
// these as UTF-8 or GBK; control characters show as escapes.
func readable(value string) string {
	if printable([]byte(value)) {
		return value
	}
	var raw []byte
	for _, c := range value {
		if c > 0xFF {
			return escape(value)
		}
		raw = append(raw, byte(c))
	}
	if name, text := characterSet(raw); name != "" {
		value = text
	}
	return escape(value)
}

// escape keeps control characters from a terminal.
func escape(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
