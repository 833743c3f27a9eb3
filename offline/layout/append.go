package layout

import (
	"fmt"
	"strconv"
)

// Value is what goes into a field: Num for numeric types, else Text.
type Value struct {
	Text string
	Num  uint64
}

// Append appends a record of the shape with its end. A missing value is a constant's
// own, spaces, or 0. The error names the field that a value does not fit.
func (l *Layout) Append(dst []byte, s *Shape, values map[string]Value) ([]byte, error) {
	start := len(dst)
	for i := range s.Fields {
		f := &s.Fields[i]
		if l.Form == Separated && i > 0 {
			dst = append(dst, l.Separator)
		}
		if l.Form == Fixed && i > 0 && l.Between != 0 {
			dst = append(dst, l.Between)
		}
		v, ok := values[f.Name]
		if !ok && f.Is != "" {
			v = constant(f)
		}
		if f.Type == Text {
			var err error
			if v.Text, err = l.Charset.Encode(v.Text); err != nil {
				return dst[:start], fmt.Errorf("%s: %s: %w", l.Name, f.Name, err)
			}
		}
		at := len(dst)
		dst = f.append(dst, v, l.Form == Fixed)
		if n := len(dst) - at; n > f.Width || l.Form == Fixed && n != f.Width {
			return dst[:start], fmt.Errorf("%s: %s: 值须为 %d 字节，实为 %d · a value of %d bytes is wanted, here are %d", l.Name, f.Name, f.Width, n, f.Width, n)
		}
	}
	switch l.End {
	case LF, AnyEnd:
		dst = append(dst, '\n')
	case CRLF:
		dst = append(dst, '\r', '\n')
	}
	return dst, nil
}

func constant(f *Field) Value {
	t := f.Type
	if t.Binary() && t.Numeric() {
		t = HexNumber
	}
	n, _ := convert(t, []byte(f.Is)) // the layout's check has read it
	return Value{Text: f.Is, Num: n}
}

// append writes one value; fill brings it to the field's width.
func (f *Field) append(dst []byte, v Value, fill bool) []byte {
	at := len(dst)
	switch f.Type {
	case Number:
		dst = strconv.AppendUint(dst, v.Num, 10)
	case HexNumber:
		for _, c := range strconv.AppendUint(nil, v.Num, 16) {
			if c >= 'a' {
				c -= 'a' - 'A'
			}
			dst = append(dst, c)
		}
	case BigEndian:
		for i := f.Width - 1; i >= 0; i-- {
			dst = append(dst, byte(v.Num>>(8*i)))
		}
		return dst
	case LittleEndian:
		for i := range f.Width {
			dst = append(dst, byte(v.Num>>(8*i)))
		}
		return dst
	case Bytes:
		dst = append(dst, v.Text...)
		for fill && len(dst)-at < f.Width {
			dst = append(dst, 0)
		}
		return dst
	default:
		dst = append(dst, v.Text...)
		for fill && len(dst)-at < f.Width {
			dst = append(dst, ' ')
		}
		return dst
	}
	if n := f.Width - (len(dst) - at); fill && n > 0 {
		for range n {
			dst = append(dst, '0')
		}
		copy(dst[at+n:], dst[at:len(dst)-n])
		for i := range n {
			dst[at+i] = '0'
		}
	}
	return dst
}
