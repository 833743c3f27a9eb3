package explain

import (
	"fmt"
	"io"
	"strings"
)

// Style is how a drawing looks.
type Style struct {
	Color bool // with the escapes of a terminal
	Brief bool // the drawing only, without what the message was taken for
}

// Colours of a drawing: what is not the message itself is dim, the first bad byte
// is white on red.
const (
	dim        = "\x1b[2m"
	bold       = "\x1b[1m"
	alarm      = "\x1b[41;97m"
	plainAgain = "\x1b[0m"
)

func (s Style) paint(color, text string) string {
	if !s.Color || color == "" || strings.TrimSpace(text) == "" {
		return text
	}
	return color + text + plainAgain
}

// rowBytes is how many bytes stand in a row of the drawing.
const rowBytes = 12

// WriteText writes the result for people, in Chinese and English: what it was
// taken for and why, and then its bytes, with their meaning on the right.
func (r *Result) WriteText(w io.Writer, style Style) error {
	var b strings.Builder
	if style.Brief {
		newDrawer(&b, style).parts(r.Parts, 0)
		_, err := io.WriteString(w, b.String())
		return err
	}
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s  %s\n", pad(label, 22), value)
		}
	}
	line("方言 Dialect", r.Dialect)
	line("分帧 Framing", r.Framing)
	line("TPDU", r.TPDU)
	line("线路信息 LRI", r.LRI)
	line("报文头 Header", r.Header)
	line("消息类型 MTI", r.MTI)
	if r.Transaction != nil {
		line("交易 Transaction", r.Transaction.join(" · "))
	}
	for i, why := range r.Why {
		line([]string{"依据 Why", " "}[min(i, 1)], why)
	}
	b.WriteByte('\n')
	d := newDrawer(&b, style)
	d.parts(r.Parts, 0)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteText draws what could be read, and marks the first bad byte. Nothing
// behind it is shown: nobody knows what it is.
func (e *RefusedError) WriteText(w io.Writer, style Style) error {
	var b strings.Builder
	d := newDrawer(&b, style)
	d.parts(e.Parts, 0)
	why := []string{chinese(&e.FieldError), e.FieldError.Error()}
	if e.Charset != nil {
		why = []string{e.Charset.chinese(), e.Charset.english()}
	}
	mark := "<--"
	if e.Left > 0 {
		mark = fmt.Sprintf(">%02X<", e.Bad)
	}
	d.row(e.Offset, mark, alarm, e.Place(), []string{why[0]}, 0)
	d.row(-1, "", "", "", []string{why[1]}, 0)
	if e.Left > 1 {
		d.row(-1, "…", dim, "", []string{fmt.Sprintf("其后 %d 字节未读 · %d more bytes were not read", e.Left-1, e.Left-1)}, 0)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type drawer struct {
	b     *strings.Builder
	style Style
}

func newDrawer(b *strings.Builder, style Style) *drawer {
	d := &drawer{b, style}
	fmt.Fprintf(b, "%s\n", style.paint(bold, pad("字节 At", 8)+pad("十六进制 Hex", 3*rowBytes+1)+pad("域 Field", 10)+"含义 Meaning"))
	return d
}

// parts draws parts in the order of their bytes. The bytes of a part that has
// parts with bytes of their own are drawn there.
func (d *drawer) parts(list []Part, depth int) {
	for i := range list {
		p := &list[i]
		hex := p.Hex
		if len(p.Parts) > 0 && p.Parts[0].Hex != "" {
			hex = hex[:min(len(hex), 2*(p.Parts[0].Offset-p.Offset))]
		}
		d.row(p.Offset, hex, "", strings.TrimPrefix(p.Place, "F55."), p.lines(), depth)
		d.parts(p.Parts, depth+1)
	}
}

// lines are what the right side says of a part: its name and value, then each
// meaning on a line of its own.
func (p *Part) lines() []string {
	first := p.Name.String()
	if p.Value != "" {
		first += " = " + p.Value
	}
	lines := []string{first}
	for _, m := range p.Meaning {
		lines = append(lines, "  "+m.join(" · "))
	}
	return lines
}

// row writes one part: bytes on the left, lines on the right, whichever is longer
// going on below.
func (d *drawer) row(offset int, hex, color, place string, lines []string, depth int) {
	at := ""
	if offset >= 0 {
		at = fmt.Sprintf("%5d", offset)
	}
	for i := 0; i == 0 || i < len(lines) || hex != ""; i++ {
		bytes := hex
		if color == "" {
			bytes, hex = spaced(hex)
		} else {
			hex = ""
		}
		text := ""
		if i < len(lines) {
			text = strings.Repeat("  ", depth) + lines[i]
		}
		row := d.style.paint(dim, pad(at, 8)) + d.style.paint(color, bytes) + strings.Repeat(" ", max(1, 3*rowBytes+1-columns(bytes))) +
			d.style.paint(bold, pad(place, 9)) + " " + text
		d.b.WriteString(strings.TrimRight(row, " "))
		d.b.WriteByte('\n')
		at, place = "", ""
	}
}

// spaced takes a row of bytes off hexadecimal and sets them apart.
func spaced(hex string) (row, rest string) {
	n := min(len(hex), 2*rowBytes)
	var b strings.Builder
	for i := 0; i < n; i += 2 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(hex[i:min(i+2, n)])
	}
	return b.String(), hex[n:]
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
