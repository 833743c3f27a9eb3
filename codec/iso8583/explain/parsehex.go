package explain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// HexError names the first place of a text that is not hexadecimal. Line and
// Column count from 1, the column in characters.
type HexError struct {
	Line, Column int
	Found        rune // 0: the text ends in the middle of a byte, or is empty
}

func (e *HexError) Error() string {
	if e.Found == 0 && e.Line == 1 && e.Column == 1 {
		return "1:1: 输入为空，应为十六进制 / there is no input, hexadecimal is wanted"
	}
	if e.Found == 0 {
		return fmt.Sprintf("%d:%d: 缺一位十六进制数字 / a hexadecimal digit is missing", e.Line, e.Column)
	}
	return fmt.Sprintf("%d:%d: %q 不是十六进制数字 / %q is not a hexadecimal digit", e.Line, e.Column, e.Found, e.Found)
}

// ParseHex reads bytes from hexadecimal text as people paste it: with spaces,
// newlines, commas, colons or dashes between digits, with 0x or \x in front of
// bytes, and from the dumps of xxd, hexdump -C and packet analysers, whose
// offsets and character columns it leaves out. The error is a *HexError.
func ParseHex(text string) ([]byte, error) {
	var p hexParser
	lines := strings.Split(strings.TrimPrefix(text, byteOrderMark), "\n")
	for i, line := range lines {
		if err := p.line(i+1, strings.TrimSuffix(line, "\r")); err != nil {
			return nil, err
		}
	}
	if p.half || len(p.out) == 0 {
		return nil, &HexError{Line: max(p.last.Line, 1), Column: p.last.Column + 1}
	}
	return p.out, nil
}

// byteOrderMark stands in front of what some editors save as UTF-8.
const byteOrderMark = "\uFEFF"

type hexParser struct {
	out  []byte
	half bool // out's last byte has only its high nibble
	last HexError
}

func (p *hexParser) line(number int, line string) error {
	from, to := dumpColumns(line, len(p.out))
	for i := from; i < to; {
		rest := line[i:to]
		c, size := utf8.DecodeRuneInString(rest)
		d, digit := nibble(c)
		switch {
		case digit && tokenStart(line, i) && len(rest) > 1 && c == '0' && (rest[1] == 'x' || rest[1] == 'X'):
			size = 2
		case digit:
			p.push(d)
			p.last = HexError{Line: number, Column: utf8.RuneCountInString(line[:i]) + 1}
		case strings.HasPrefix(rest, `\x`):
			size = 2
		case !strings.ContainsRune(" \t,:-", c):
			return &HexError{Line: number, Column: utf8.RuneCountInString(line[:i]) + 1, Found: c}
		}
		i += size
	}
	return nil
}

func (p *hexParser) push(d byte) {
	if p.half {
		p.out[len(p.out)-1] |= d
	} else {
		p.out = append(p.out, d<<4)
	}
	p.half = !p.half
}

func nibble(c rune) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return byte(c - '0'), true
	case c >= 'a' && c <= 'f':
		return byte(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return byte(c-'A') + 10, true
	}
	return 0, false
}

func tokenStart(line string, i int) bool {
	return i == 0 || strings.ContainsRune(" \t,:-", rune(line[i-1]))
}

// dumpColumns gives the part of a line that holds bytes. A line of a dump
// starts with an offset of 4 to 8 digits: with a colon behind it (xxd), or with
// two spaces when it also is the number of bytes so far.
func dumpColumns(line string, soFar int) (from, to int) {
	lead := len(line) - len(strings.TrimLeft(line, " \t"))
	end := lead
	for end < len(line) {
		if _, ok := nibble(rune(line[end])); !ok {
			break
		}
		end++
	}
	offset, err := strconv.ParseUint(line[lead:end], 16, 32)
	if n := end - lead; err != nil || n < 4 || n > 8 {
		return 0, len(line)
	}
	rest := line[end:]
	switch {
	case strings.HasPrefix(rest, ": "):
		return dumpEnd(line, end+1, "  ")
	case strings.HasPrefix(rest, "  ") && offset == uint64(soFar):
		return dumpEnd(line, end, "   ")
	case rest == "" && end-lead == 8 && soFar > 0 && offset == uint64(soFar):
		return len(line), len(line) // hexdump -C closes with the total
	}
	return 0, len(line)
}

// dumpEnd finds where the bytes of a dump's line end: at the bar or at a wide
// gap, behind which come characters.
func dumpEnd(line string, from int, gap string) (int, int) {
	start := from + len(line[from:]) - len(strings.TrimLeft(line[from:], " "))
	to := len(line)
	if i := strings.Index(line[start:], gap); i >= 0 {
		to = start + i
	}
	if i := strings.IndexByte(line[start:to], '|'); i >= 0 {
		to = start + i
	}
	return from, to
}
