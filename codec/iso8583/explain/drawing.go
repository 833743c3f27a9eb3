package explain

import (
	"fmt"
	"strconv"
	"strings"

	"tongka/codec/iso8583"
)

// Part is a piece of a message as it lies in the input: what stands before the
// MTI, a field, or a part of one.
type Part struct {
	Place   string  `json:"place"`  // length, TPDU, LRI, header, MTI, bitmap, F4, F55.9F26, F60.1
	Offset  int     `json:"offset"` // of its first byte, from the first of the input
	Size    int     `json:"size"`   // bytes, with a field's length prefix
	Hex     string  `json:"hex,omitempty"`
	Name    Words   `json:"name"`
	Value   string  `json:"value,omitempty"` // as people read it, GBK turned into UTF-8
	Meaning []Words `json:"meaning,omitempty"`
	Parts   []Part  `json:"parts,omitempty"`
}

// lastField is the highest field that any dialect can have.
const lastField = 192

// cell is one field of a reading with all that a drawing needs.
type cell struct {
	n                 int
	kind              iso8583.Kind
	start, value, end int    // in the input
	wire              []byte // prefix and value
	raw               []byte // the canonical value
	plain, shown      string
	per, lead         int // characters of shown a byte of the value, pad nibbles in front; per 0: no correspondence
}

func (r *reading) cell(n int, input []byte, unmask bool) cell {
	start, value, end := r.view.Extent(n)
	c := cell{n: n, kind: r.dialect.Kind(n), start: r.base + start, value: r.base + value, end: r.base + end, raw: r.view.AppendText(nil, n)}
	c.wire = input[c.start:c.end]
	c.plain = plain(r.dialect, n, c.raw)
	c.shown = c.plain
	if !unmask {
		c.shown = masked(&r.view, n, c.raw, c.plain)
	}
	c.align()
	return c
}

// align finds which characters of the shown value each byte holds.
func (c *cell) align() {
	size, chars := c.end-c.value, len([]rune(c.shown))
	switch {
	case chars == size:
		c.per = 1
	case chars == 2*size:
		c.per = 2
	case chars == 2*size-1:
		c.per = 2
		on := fmt.Sprintf("%X", c.wire[c.value-c.start:])
		if strings.HasSuffix(on, strings.ReplaceAll(c.plain, "=", "D")) {
			c.lead = 1
		}
	}
}

// offset is where character i of the value lies in the input.
func (c *cell) offset(i int) int {
	if c.per == 0 {
		return c.value
	}
	return c.value + (i+c.lead)/c.per
}

// hex is the field in hexadecimal, with a star for each half byte that belongs to
// a hidden character.
func (c *cell) hex() string {
	h := []byte(fmt.Sprintf("%X", c.wire))
	if !strings.Contains(c.shown, "*") {
		return string(h)
	}
	from := 2 * (c.value - c.start)
	if c.per == 0 {
		return string(h[:from]) + stars(len(h)-from)
	}
	for i, char := range []rune(c.shown) {
		if char != '*' {
			continue
		}
		width := 2 / c.per
		at := from + (i+c.lead)*width
		copy(h[at:at+width], "**")
	}
	return string(h)
}

// drawing cuts the input into parts, as far as the reading understood it.
func (r *reading) drawing(input []byte, start int, unmask bool) []Part {
	parts := r.envelopeParts(input, start)
	if r.view.Spec() == nil || r.base >= len(input) {
		return parts
	}
	f := r.fieldset()
	parts = append(parts, r.headParts(input, f)...)
	for n := 2; n <= lastField; n++ {
		if r.charset != nil && n >= r.charset.Field {
			break // from there on all is shifted
		}
		if r.view.Has(n) {
			c := r.cell(n, input, unmask)
			parts = append(parts, r.fieldPart(&c, f))
		}
	}
	if end := len(input) - r.tail; r.err == nil && r.tail > 0 {
		parts = append(parts, Part{Place: "trailer", Offset: end, Size: r.tail, Hex: fmt.Sprintf("%X", input[end:]), Name: Words{"结尾", "trailer"}})
	}
	return parts
}

func (r *reading) fieldset() *fieldset {
	return &fieldset{r.view.Spec(), r.view.MTI(), func(n int) string {
		if !r.view.Has(n) {
			return ""
		}
		return plain(r.dialect, n, r.view.AppendText(nil, n))
	}}
}

// envelopeParts are what stands before the MTI.
func (r *reading) envelopeParts(input []byte, start int) []Part {
	var parts []Part
	at := 0
	add := func(place string, size int, name Words, value string, inner ...Part) {
		if size == 0 || at+size > len(input) {
			return
		}
		p := Part{Place: place, Offset: at, Size: size, Name: name, Value: value, Parts: inner}
		if place != "HTTP" {
			p.Hex = fmt.Sprintf("%X", input[at:at+size])
		}
		parts = append(parts, p)
		at += size
	}
	add("HTTP", start, Words{"HTTP 报文头", "HTTP head"}, "")
	add("length", r.wrap.head, Words{"长度前缀 " + r.wrap.name, "length prefix " + r.wrap.name}, strconv.Itoa(len(input)-start-r.wrap.head))
	if t := r.env.TPDU; t != nil {
		add("TPDU", len(t), Words{"传输协议数据单元", "transport protocol data unit"}, fmt.Sprintf("%X", t),
			Part{Place: "TPDU.to", Offset: at + 1, Size: 2, Name: Words{"目的地址", "destination"}, Value: fmt.Sprintf("%X", t[1:3])},
			Part{Place: "TPDU.from", Offset: at + 3, Size: 2, Name: Words{"源地址", "source"}, Value: fmt.Sprintf("%X", t[3:5])})
	}
	if l := r.env.LRI; l != nil {
		add("LRI", len(l), Words{"拨号线路信息", "dial-up line information"}, "")
	}
	switch h := r.env.Header; {
	case len(h) > 6:
		add("header", len(h), Words{"银联中心报文头", "the centre's header"}, "", centreHeader(h, at)...)
	case h != nil:
		add("header", len(h), Words{"报文头", "header"}, fmt.Sprintf("%X", h), posHeader(h, at)...)
	}
	return parts
}

// posHeader takes the six bytes apart: n2, n2, n1, n1, n6.
func posHeader(h []byte, at int) []Part {
	s := fmt.Sprintf("%X", h)
	piece := func(place string, from, to int, name Words, meaning []Words) Part {
		return Part{Place: "header." + place, Offset: at + from/2, Size: (to+1)/2 - from/2, Name: name, Value: s[from:to], Meaning: meaning}
	}
	need := found(map[string]Words{
		"0": {"无", "none"}, "3": {"须重新签到", "sign in again"}, "4": {"须更新公钥", "download the CA keys"}, "5": {"须下载终端参数", "download terminal parameters"},
		"6": {"须更新 IC 卡参数", "download chip parameters"},
	}, s[5:6])
	return []Part{
		piece("1", 0, 2, Words{"应用类别", "application class"}, nil), piece("2", 2, 4, Words{"软件总版本", "software version"}, nil),
		piece("3", 4, 5, Words{"终端状态", "terminal state"}, nil), piece("4", 5, 6, Words{"处理要求", "processing requirement"}, need),
		piece("5", 6, 12, Words{"软件分版本", "software subversion"}, nil),
	}
}

func centreHeader(h []byte, at int) []Part {
	piece := func(place string, from, to int, zh, en string) Part {
		v := strings.TrimSpace(string(h[from:to]))
		if !printable(h[from:to]) || from == 0 {
			v = fmt.Sprintf("%X", h[from:to])
		}
		return Part{Place: "header." + place, Offset: at + from, Size: to - from, Name: Words{zh, en}, Value: v}
	}
	return []Part{
		piece("1", 0, 1, "头长度", "length of the header"), piece("2", 1, 2, "标志与版本", "flag and version"), piece("3", 2, 6, "整个报文长度", "total length"),
		piece("4", 6, 17, "目的标识", "destination"), piece("5", 17, 28, "源标识", "source"), piece("6", 28, 31, "保留", "reserved"),
		piece("7", 31, 32, "批次号", "batch number"), piece("8", 32, 40, "交易信息", "transaction information"),
		piece("9", 40, 41, "用户信息", "user information"), piece("10", 41, 46, "拒绝码", "reject code"),
	}
}

// headParts are MTI and bitmap.
func (r *reading) headParts(input []byte, f *fieldset) []Part {
	size := mtiSize(r.dialect)
	if len(input) < r.base+size || r.inHead(0) {
		return nil
	}
	parts := []Part{{Place: "MTI", Offset: r.base, Size: size, Hex: fmt.Sprintf("%X", input[r.base:r.base+size]),
		Name: Words{"消息类型", "message type"}, Value: f.mti.String(), Meaning: mtiWords(f.mti)}}
	if w := transaction(f); w.ZH != "" {
		parts[0].Meaning = append(parts[0].Meaning, w)
	}
	from, to, list := r.base+size, r.bitmapEnd(input), []string(nil)
	if r.inHead(1) || to <= from {
		return parts
	}
	for n := 2; n <= lastField; n++ {
		if r.view.Has(n) {
			list = append(list, strconv.Itoa(n))
		}
	}
	return append(parts, Part{Place: "bitmap", Offset: from, Size: to - from, Hex: fmt.Sprintf("%X", input[from:to]),
		Name: Words{"位图", "bitmap"}, Value: strings.Join(list, " ")})
}

// inHead says that the fault is in the MTI (0) or the bitmap (1).
func (r *reading) inHead(field int) bool {
	return r.err != nil && r.err.Field == field && r.err.Reason != iso8583.WrongTotal
}

// bitmapEnd is where the first field begins, or would.
func (r *reading) bitmapEnd(input []byte) int {
	for n := 2; n <= lastField; n++ {
		if r.view.Has(n) {
			start, _, _ := r.view.Extent(n)
			return r.base + start
		}
	}
	if r.err != nil && r.err.Field > 1 {
		if r.err.Reason == iso8583.NotInDialect {
			return r.base
		}
		return min(r.err.Offset, len(input))
	}
	return len(input) - r.tail
}

// fieldPart draws one field. The value of F55 is that of its parts.
func (r *reading) fieldPart(c *cell, f *fieldset) Part {
	zh, en := r.dialect.Describe(c.n)
	p := Part{Place: "F" + strconv.Itoa(c.n), Offset: c.start, Size: c.end - c.start, Hex: c.hex(), Name: Words{zh, en}}
	var written []Words
	p.Value, written = c.read()
	if form := stamps[c.n][len(c.plain)]; form != "" {
		p.Meaning = when(form, c.plain)
	}
	if mean := meanings[c.n]; mean != nil && c.plain != "" {
		p.Meaning = mean(f, c.plain)
	}
	p.Meaning = append(p.Meaning, written...)
	if raw, ok := chipBytes(c.raw); ok && c.n == 55 && len(raw) > 0 {
		d := chipDrawing{raw, chip(raw), p.Hex[2*(c.value-c.start):], c.value, (c.end - c.value) / len(raw)}
		if !strings.Contains(c.shown, "*") {
			d.shown = fmt.Sprintf("%X", raw)
		}
		if p.Parts = d.parts(); p.Parts != nil {
			p.Value = ""
		}
		return p
	}
	p.Parts = c.cut(f)
	return p
}

// cut takes a field for private use apart at fixed positions.
func (c *cell) cut(f *fieldset) []Part {
	var parts []Part
	shown, at := []rune(c.shown), 0
	for _, p := range pieces(f, c.n, c.plain) {
		if at >= len(shown) {
			break
		}
		end := min(at+p.size, len(shown))
		v := string(shown[at:end])
		part := Part{Place: "F" + p.place, Offset: c.offset(at), Size: c.offset(end-1) - c.offset(at) + 1, Name: p.Words, Value: readable(v)}
		if p.mean != nil && end-at == p.size && !strings.Contains(v, "*") {
			part.Meaning = p.mean(f, v)
		}
		parts = append(parts, part)
		at = end
	}
	return parts
}
