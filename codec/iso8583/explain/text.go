package explain

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// WriteText writes the result as a table for a terminal, in Chinese and
// English. A fixed text in GBK is shown as the characters that it means.
func (r *Result) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s  %s\n", pad(label, 22), value)
		}
	}
	line("方言 Dialect", r.Dialect)
	line("长度前缀 Length prefix", fmt.Sprintf("%d 字节 bytes", r.LengthPrefix))
	line("TPDU", r.TPDU)
	line("线路信息 LRI", r.LRI)
	line("报文头 Header", r.Header)
	line("消息类型 MTI", r.MTI)
	for i, why := range r.Why {
		line([]string{"依据 Why", " "}[min(i, 1)], why)
	}
	width := 0
	for _, row := range r.rows {
		width = max(width, columns(row.zh+" "+row.en))
	}
	fmt.Fprintf(&b, "\n%s  %s  %s\n", pad("域 Field", 8), pad("名称 Name", width), "值 Value")
	for _, row := range r.rows {
		fmt.Fprintf(&b, "%s  %s  %s\n", pad(fmt.Sprintf("F%d", row.n), 8), pad(row.zh+" "+row.en, width), readable(row.value))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// readable turns a value that plain gave as Latin-1 back into bytes and reads
// these as GBK; control characters show as escapes.
func readable(value string) string {
	if printable([]byte(value)) {
		return value
	}
	var raw []byte
	for _, c := range value {
		raw = append(raw, byte(c))
	}
	if s, err := simplifiedchinese.GBK.NewDecoder().Bytes(raw); err == nil && !strings.ContainsRune(string(s), utf8.RuneError) {
		value = string(s)
	}
	return strings.Trim(fmt.Sprintf("%q", value), `"`)
}

// pad fills with spaces up to a number of terminal columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}

// columns counts terminal columns: Chinese characters and punctuation take two.
func columns(s string) int {
	n := 0
	for _, c := range s {
		n++
		if c >= 0x2E80 {
			n++
		}
	}
	return n
}
