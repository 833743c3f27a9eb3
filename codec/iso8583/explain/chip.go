package explain

import (
	"fmt"
	"strings"
)

// Tags of F55 that hold a card number or track, or the holder's name. Source:
// EMV book 3, annex A.
const (
	tagTrack1Equivalent = "56"
	tagTrack2Equivalent = "57"
	tagPAN              = "5A"
	tagName             = "5F20"
	tagNameExtended     = "9F0B"
	tagTrack1Extra      = "9F1F"
	tagTrack2Extra      = "9F20"
	tagTrack2Contactles = "9F6B"
)

// node is one data object of BER-TLV. Offsets count from the start of the whole.
type node struct {
	tag       string // in hexadecimal
	at, value int
	end       int
	raw       []byte // the value
	inner     []node // of a constructed object whose value is TLV throughout
}

// Depth and tag size that are still looked at: chip data has templates in
// templates and vendors' tags of three bytes, nothing more.
const (
	maxDepth = 4
	maxTag   = 3
)

// parseTLV reads objects until the end or the first byte that is none. rest is
// the offset of that byte, len(p) when all is TLV. Zeros between objects are
// padding (EMV book 3, annex B1).
func parseTLV(p []byte, base, depth int) (nodes []node, rest int) {
	at := 0
	for at < len(p) {
		if p[at] == 0 {
			at++
			continue
		}
		tag, head, size, ok := tlv(p[at:])
		if !ok {
			break
		}
		n := node{tag: tag, at: base + at, value: base + at + head, end: base + at + head + size, raw: p[at+head : at+head+size]}
		if p[at]&0x20 != 0 && depth < maxDepth {
			if inner, end := parseTLV(n.raw, n.value, depth+1); end == n.end && len(inner) > 0 {
				n.inner = inner
			}
		}
		nodes = append(nodes, n)
		at += head + size
	}
	return nodes, base + at
}

// tlv reads one tag and length (BER, up to three bytes of tag, two of length).
func tlv(p []byte) (tag string, head, size int, ok bool) {
	head = 1
	if p[0]&0x1F == 0x1F {
		for head++; head <= len(p) && p[head-1]&0x80 != 0; head++ {
		}
		if head > len(p) || head > maxTag {
			return "", 0, 0, false
		}
	}
	tag = fmt.Sprintf("%X", p[:head])
	if len(p) <= head {
		return "", 0, 0, false
	}
	size = int(p[head])
	head++
	switch {
	case size == 0x81 && len(p) > head:
		size = int(p[head])
		head++
	case size == 0x82 && len(p) > head+1:
		size = int(p[head])<<8 | int(p[head+1])
		head += 2
	case size >= 0x80:
		return "", 0, 0, false
	}
	return tag, head, size, len(p)-head >= size
}

// chip shows card data in hexadecimal with card numbers and tracks masked.
// From the first byte that is no TLV on, nothing is shown.
func chip(raw []byte) string {
	nodes, rest := parseTLV(raw, 0, 0)
	shown := []byte(fmt.Sprintf("%X", raw))
	hide(shown, nodes)
	for i := 2 * rest; i < len(shown); i++ {
		shown[i] = '*'
	}
	return string(shown)
}

// hide masks what may not be seen in the hexadecimal of the whole.
func hide(shown []byte, nodes []node) {
	for i := range nodes {
		n := &nodes[i]
		if len(n.inner) > 0 {
			hide(shown, n.inner)
			continue
		}
		copy(shown[2*n.value:2*n.end], n.masked())
	}
}

// masked is the object's value in hexadecimal, hidden where it must be.
func (n *node) masked() string {
	value := fmt.Sprintf("%X", n.raw)
	switch n.tag {
	case tagPAN:
		digits := strings.TrimRight(value, "F")
		return pan(digits) + value[len(digits):]
	case tagTrack2Equivalent, tagTrack2Contactles:
		return stripe(value)
	case tagTrack1Equivalent, tagTrack1Extra, tagTrack2Extra, tagName, tagNameExtended:
		return stars(len(value))
	}
	return value
}

// chipDrawing is what the parts of F55 are drawn from.
type chipDrawing struct {
	raw    []byte
	shown  string // raw in hexadecimal as it may be shown
	wire   string // the field's bytes in hexadecimal as they may be shown, without the length prefix
	at     int    // where they begin in the input
	double int    // bytes of the input for a byte of raw: 2 when it came as hexadecimal characters
}

// chipParts draws F55: one part for each object, and one for what is none.
func (d *chipDrawing) parts() []Part {
	nodes, rest := parseTLV(d.raw, 0, 0)
	parts := d.nodes(nodes)
	if rest < len(d.raw) && rest > 0 {
		p := d.part("F55", rest, len(d.raw), Words{"不是 TLV", "not TLV"})
		parts = append(parts, p)
	}
	return parts
}

// part is the bytes of raw between two offsets.
func (d *chipDrawing) part(place string, from, to int, name Words) Part {
	from, to = from*d.double, to*d.double
	return Part{Place: place, Offset: d.at + from, Size: to - from, Hex: d.wire[2*from : 2*to], Name: name}
}

func (d *chipDrawing) nodes(nodes []node) []Part {
	var parts []Part
	for i := range nodes {
		n := &nodes[i]
		t, known := tags[n.tag]
		if !known {
			t.Words = Words{"未收录的标签", "a tag without known name"}
		}
		p := d.part("F55."+n.tag, n.at, n.end, t.Words)
		if len(n.inner) > 0 {
			p.Parts = d.nodes(n.inner)
		} else {
			p.Value = d.shown[2*n.value : 2*n.end]
			if t.mean != nil && !strings.Contains(p.Value, "*") {
				p.Meaning = t.mean(n.raw)
			}
		}
		parts = append(parts, p)
	}
	return parts
}
