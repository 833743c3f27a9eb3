package payshield

import (
	"fmt"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// Fields are the fields of one command and of its response, by name, as they
// stand on the wire. What was read is lent from the frame.
type Fields struct{ v [numFields][]byte }

// Set gives a field its text.
func (f *Fields) Set(name, text string) error {
	id, err := fieldNamed(name)
	if err == nil {
		f.v[id] = []byte(text)
	}
	return err
}

// Get is the text of a field; empty when it is not there.
func (f *Fields) Get(name string) string {
	id, _ := fieldNamed(name) // fNone is never set
	return string(f.v[id])
}

// number is a field that a layout made sure of; -1 when it is not there.
func (f *Fields) number(id field, base int) int {
	if f.v[id] == nil {
		return -1
	}
	n := 0
	for _, ch := range f.v[id] {
		n = n*base + int(digit(ch))
	}
	return n
}

func (f *Fields) one(id field) byte {
	if len(f.v[id]) == 0 {
		return 0
	}
	return f.v[id][0]
}

func (f *Fields) keyType(id field) hsm.KeyType { return hsm.KeyType(f.number(id, 16)) }

func (f *Fields) hex8(id field) (b [8]byte) {
	if len(f.v[id]) == 16 {
		hsm.DecodeHex(b[:], f.v[id])
	}
	return b
}

func (f *Fields) pan12() *[12]byte { return (*[12]byte)(f.v[fPAN]) }

// is says whether a field has one of some values.
func (f *Fields) is(id field, values []string) bool {
	for _, v := range values {
		if string(f.v[id]) == v {
			return true
		}
	}
	return false
}

// forAES says that a key is a block for AES.
func forAES(k []byte) bool { return len(k) > 8 && k[0] == 'S' && k[8] == 'A' }

// ivLen is how many digits a block of the command's key has.
func (f *Fields) ivLen() int {
	if forAES(f.v[fKey]) {
		return 32
	}
	return 16
}

// serialLen is how many digits a key serial number has: what the three digits of its
// descriptor say for its parts, and the counter, five digits for TDES and eight for AES.
func (f *Fields) serialLen(ksn field) int {
	desc, key, n := fDesc, fKey, 5
	if ksn == fKSN2 {
		desc, key = fDesc2, fKey2
	}
	if forAES(f.v[key]) {
		n = 8
	}
	for _, d := range f.v[desc] {
		n += int(digit(d))
	}
	return n
}

// baseKey says that a key block holds a base derivation key.
func baseKey(k []byte) bool {
	return len(k) > 7 && k[0] == 'S' && (string(k[6:8]) == "B0" || string(k[6:8]) == "41")
}

// destination reads a key that may be a base key: a variant one says so by an asterisk.
func (c *cursor) destination(f *Fields, id field) {
	starred := c.skip('*')
	if f.v[id] = c.keyText(fieldNames[id], false); starred || baseKey(f.v[id]) {
		f.v[fMark] = baseMark
	}
}

var baseMark = []byte("*")

// read takes the fields of a layout off a frame.
func (c *cursor) read(ops []op, f *Fields) {
	for i := range ops {
		if c.failed() {
			return
		}
		o := &ops[i]
		switch o.kind {
		case '[':
			if c.left() > 0 && c.b[c.at] == o.sub[0].set[0] {
				c.read(o.sub, f)
			}
		case '{':
			if f.is(o.field, o.values) {
				c.read(o.sub, f)
			}
		case ';':
			c.one(o.set, o.set)
		case '@':
			f.v[o.field] = c.takeOr(c.size, hsm.BadDataLength, "data as long as the length says")
		case 'K', 'V':
			f.v[o.field] = c.keyText(fieldNames[o.field], o.kind == 'V')
		case 'Q':
			c.destination(f, o.field)
		case 'S':
			f.v[o.field] = c.schemeText()
		case 'D':
			f.v[o.field] = c.chars(f.serialLen(o.field), 'H', fieldNames[o.field])
		case 'I':
			f.v[o.field] = c.chars(f.ivLen(), 'H', fieldNames[o.field])
		default:
			f.v[o.field] = c.text(o)
			if o.of != fNone && !c.failed() {
				base := 10
				if o.kind == 'H' {
					base = 16
				}
				c.size = f.number(o.field, base) * o.div
			}
		}
	}
}

// text reads one field of characters.
func (c *cursor) text(o *op) []byte {
	want := fieldNames[o.field]
	switch o.mode {
	case '?':
		n := 0
		for n < o.width && n < c.left() && fits(c.b[c.at+n], o.kind) {
			n++
		}
		return c.chars(n, o.kind, want)
	case '*', '-':
		n := 0
		for n < c.left() && (o.kind == 'B' || c.b[c.at+n] != trailerMark && c.b[c.at+n] != '%') {
			n++
		}
		return c.chars(n-o.width, o.kind, want)
	case ';':
		n := 0
		for n < c.left() && c.b[c.at+n] != ';' {
			n++
		}
		t := c.chars(n, o.kind, want)
		c.one(";", "; behind "+want)
		return t
	}
	if o.set != "" {
		if c.one(o.set, want) == 0 {
			return nil
		}
		return c.b[c.at-1 : c.at]
	}
	return c.chars(o.width, o.kind, want)
}

// chars takes n characters of a kind; a fault is at the character.
func (c *cursor) chars(n int, kind byte, want string) []byte {
	if n < 0 {
		c.fail(hsm.BadInput, want)
		return nil
	}
	t := c.take(n, want)
	for i, ch := range t {
		if !fits(ch, kind) {
			c.at += i - n
			c.fail(hsm.BadInput, want)
			return nil
		}
	}
	return t
}

func fits(ch, kind byte) bool {
	switch kind {
	case 'N':
		return ch >= '0' && ch <= '9'
	case 'H':
		return digit(ch) < 16
	}
	return true
}

// keyText takes a key in any form: a block by its own length, others by their
// tag. A pair of verification keys may come as 32 digits without one.
func (c *cursor) keyText(want string, pair bool) []byte {
	if c.failed() {
		return nil
	}
	b := c.b[c.at:]
	if c.sm4 && len(b) > 0 && b[0] == hsm.SM4Scheme {
		tag := c.at
		c.at++
		if c.chars(32, 'H', want) == nil {
			return nil
		}
		return c.b[tag:c.at]
	}
	if len(b) > 0 && (b[0] == 'S' || b[0] == 'R') {
		n, err := clear.BlockLen(b[1:])
		if err != nil {
			c.fail(hsm.BadInput, want)
			return nil
		}
		return c.take(1+n, want)
	}
	if pair && len(b) > 0 && digit(b[0]) < 16 {
		return c.chars(32, 'H', want)
	}
	from := c.at
	c.key(want)
	if c.failed() {
		return nil
	}
	return c.b[from:c.at]
}

// schemeText reads the tag that the next key is to be written with; '0' stands
// for none, which is the scheme of a single-length key.
func (c *cursor) schemeText() []byte {
	const want = "key scheme Z, U, T, X, Y, S or R"
	if !c.failed() && c.left() > 0 && c.b[c.at] > ' ' {
		if c.one("ZUTXYSR0", want) == 0 {
			c.code = hsm.BadScheme
			return nil
		}
		return c.b[c.at-1 : c.at]
	}
	c.fail(hsm.BadInput, want)
	return nil
}

// write appends the fields of a layout. The error names the field: nothing leaves
// that would not be read back as it was meant.
func (f *Fields) write(dst []byte, ops []op) ([]byte, error) {
	var err error
	for i := range ops {
		o := &ops[i]
		v := f.v[o.field]
		switch o.kind {
		case '[':
			if first := o.sub[1].field; f.v[first] != nil {
				dst, err = f.write(dst, o.sub)
			}
		case '{':
			if f.is(o.field, o.values) {
				dst, err = f.write(dst, o.sub)
			}
		case ';':
			dst = append(dst, o.set...)
		case '@':
			dst = append(dst, v...)
		default:
			if o.of != fNone {
				dst, err = appendSize(dst, o, len(f.v[o.of]))
				break
			}
			if err = o.check(v, f); err == nil {
				if o.kind == 'Q' && f.v[fMark] != nil && !baseKey(v) {
					dst = append(dst, '*')
				}
				dst = append(dst, v...)
				if o.mode == ';' {
					dst = append(dst, ';')
				}
			}
		}
		if err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendSize(dst []byte, o *op, n int) ([]byte, error) {
	base := 10
	if o.kind == 'H' {
		base = 16
	}
	left := n / o.div
	at := len(dst)
	for range o.width {
		dst = append(dst, '0')
	}
	for i := o.width - 1; i >= 0; i-- {
		dst[at+i] = upper[left%base]
		left /= base
	}
	if left != 0 || n%o.div != 0 {
		return dst[:at], fmt.Errorf("%s: %d characters do not fit its length: %w", fieldNames[o.of], n, hsm.BadDataLength)
	}
	return dst, nil
}

// check holds a field's text against its place in the layout.
func (o *op) check(v []byte, f *Fields) error {
	c := cursor{b: v, sm4: len(v) == 33} // no key block is as short
	switch o.kind {
	case 'K', 'V', 'Q':
		c.keyText(fieldNames[o.field], o.kind == 'V')
	case 'S':
		c.schemeText()
	case 'D':
		c.chars(f.serialLen(o.field), 'H', fieldNames[o.field])
	case 'I':
		c.chars(f.ivLen(), 'H', fieldNames[o.field])
	default:
		switch {
		case o.mode == ';':
			c.chars(len(v), o.kind, fieldNames[o.field])
			for _, ch := range v {
				if ch == ';' {
					c.fail(hsm.BadInput, "no semicolon")
				}
			}
		case o.mode == '-' || o.mode == '*':
			c.chars(len(v), o.kind, fieldNames[o.field])
		default:
			c.text(o)
		}
	}
	if !c.failed() && c.left() > 0 {
		c.fail(hsm.BadInput, "nothing more")
	}
	if c.failed() {
		return fmt.Errorf("%s: byte %d: %w", fieldNames[o.field], c.at, c.code)
	}
	return nil
}
