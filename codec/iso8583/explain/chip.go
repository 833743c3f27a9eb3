package explain

import (
	"fmt"
	"strings"
)

// Tags of F55 that hold a card number or track, or the holder's name. Source:
// EMV book 3, annex A.
const (
	tagTrack1Equivalent = 0x56
	tagTrack2Equivalent = 0x57
	tagPAN              = 0x5A
	tagName             = 0x5F20
	tagNameExtended     = 0x9F0B
	tagTrack1Extra      = 0x9F1F
	tagTrack2Extra      = 0x9F20
	tagTrack2Contactles = 0x9F6B
)

// chip shows card data in hexadecimal with card numbers and tracks masked.
// From the first byte that is no TLV on, nothing is shown.
func chip(raw []byte) string {
	var b strings.Builder
	for len(raw) > 0 {
		tag, head, size, ok := tlv(raw)
		if !ok {
			b.WriteString(stars(2 * len(raw)))
			break
		}
		fmt.Fprintf(&b, "%X", raw[:head])
		value := fmt.Sprintf("%X", raw[head:head+size])
		switch tag {
		case tagPAN:
			value = pan(strings.TrimRight(value, "F")) + strings.Repeat("F", len(value)-len(strings.TrimRight(value, "F")))
		case tagTrack2Equivalent, tagTrack2Contactles:
			value = stripe(value)
		case tagTrack1Equivalent, tagTrack1Extra, tagTrack2Extra, tagName, tagNameExtended:
			value = stars(len(value))
		}
		b.WriteString(value)
		raw = raw[head+size:]
	}
	return b.String()
}

// tlv reads one tag and length (BER, up to two bytes of tag and of length).
func tlv(p []byte) (tag, head, size int, ok bool) {
	tag, head = int(p[0]), 1
	if p[0]&0x1F == 0x1F {
		if len(p) < 2 || p[1]&0x80 != 0 {
			return 0, 0, 0, false
		}
		tag, head = tag<<8|int(p[1]), 2
	}
	if len(p) <= head {
		return 0, 0, 0, false
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
		return 0, 0, 0, false
	}
	return tag, head, size, len(p)-head >= size
}
