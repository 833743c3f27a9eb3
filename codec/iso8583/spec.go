// Package iso8583 reads and writes ISO 8583 messages in place. A dialect is
// declared once, as a moov-io/iso8583 message specification, and compiled into
// a table; a View reads by that table straight from the received bytes, and a
// Builder appends by it straight to the buffer that will be sent. Neither
// allocates. moov itself is never on the path of a message: it describes, and
// in the tests it is the oracle.
//
//	frame ─▶ Split ─▶ Envelope (TPDU, LRI, header: lent)
//	            └──▶ Parse ─▶ View ─ Field, AppendText, Uint, Before
//	                            └─ Builder.Copy ─▶ another dialect's bytes
//
// Values have one canonical form in every dialect: decimal digits as ASCII
// without pad, text and binary as their bytes. Nothing here is safe for use by
// two goroutines except a Spec, which never changes.
package iso8583

import (
	"fmt"
	"strings"

	moov "github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"

	"tongka/codec/iso8583/internal/dialect"
)

// Kind is what a field holds, whatever its coding.
type Kind uint8

// Kinds. Absent is the kind of a field that the dialect has not.
const (
	Absent  Kind = iota
	Numeric      // decimal digits
	Track        // digits and separators of a magnetic stripe
	Text         // characters, of whatever character set
	Binary       // bytes
)

// Framing is what stands before the MTI; see Split.
type Framing uint8

// Framings of the dialects.
const (
	Bare       Framing = iota // the MTI comes first
	TPDUOnly                  // 5 bytes
	TPDUHeader                // TPDU, perhaps LRI, perhaps the 6-byte UnionPay header
	Centre                    // the 46-byte header of the card centre
)

// Options are what a moov specification cannot say of a dialect.
type Options struct {
	Framing Framing
	Wide    bool  // the builder always writes both bitmaps
	Loose   []int // packed fields whose pad nibble may be anything (it is dropped)
}

// coding is how a field's bytes lie on the wire. The packed ones, whose length
// counts half bytes, come last.
type coding uint8

const (
	absent coding = iota
	text
	raw
	hexed // bytes as hexadecimal characters; the length counts the bytes
	digits
	track
	packedLeft  // pad nibble on the right
	packedRight // pad nibble on the left
	packedTrack
)

var kinds = [...]Kind{Absent, Text, Binary, Binary, Numeric, Track, Numeric, Numeric, Track}

// fieldDef is one row of the compiled table.
type fieldDef struct {
	coding coding
	prefix uint8  // bytes of the length prefix, 0 for a fixed length
	bcd    bool   // the length prefix is packed
	loose  bool   // the pad nibble may be anything
	max    uint16 // greatest length, or the only one: digits for packed codings, bytes for others
	size   uint16 // bytes of a fixed field
	quick  quick  // how a value of at most 8 bytes is checked at once
	digits uint64 // bits 3 of the digits of a fixed packed value, or FF for each of its characters
	pad    uint64 // its pad nibble
}

// quick chooses the check of a fixed value as one word, see (*fieldDef).good.
type quick uint8

const (
	anything quick = iota // text and bytes: nothing to check
	oneWord               // packed digits
	chars                 // characters
	longWay               // a variable length, or more than 8 bytes
)

// Spec is a compiled dialect. It is immutable.
type Spec struct {
	name      string
	framing   Framing
	packedMTI bool // MTI is two packed bytes, not four characters
	hexBitmap bool // bitmaps are 16 hexadecimal characters, not 8 bytes
	wide      bool // the builder always writes both bitmaps
	second    bool // the dialect has fields above 64
	fields    [129]fieldDef
	about     [129]string
}

// Compile makes the table of a dialect. Every field must be primitive, in one
// of the codings that cards use: ASCII, packed (BCD, LBCD), binary, hexadecimal
// for fixed binary. The error names the field.
func Compile(name string, spec *moov.MessageSpec, o Options) (*Spec, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("dialect %s: %w", name, err)
	}
	s := &Spec{name: name, framing: o.Framing, wide: o.Wide}
	for n, f := range spec.Fields {
		if n < 0 || n > 128 {
			return nil, fmt.Errorf("dialect %s: F%d: fields are 2 to 128", name, n)
		}
		d, err := compileField(n, f)
		if err != nil {
			return nil, fmt.Errorf("dialect %s: F%d: %w", name, n, err)
		}
		s.fields[n], s.about[n] = d, f.Spec().Description
		s.second = s.second || n > 64
	}
	for _, n := range o.Loose {
		if s.Kind(n) == Absent {
			return nil, fmt.Errorf("dialect %s: F%d is loose but not there", name, n)
		}
		s.fields[n].loose = true
	}
	s.packedMTI = s.fields[0].coding >= packedLeft
	s.hexBitmap = s.fields[1].coding == hexed
	s.fields[0], s.fields[1] = fieldDef{}, fieldDef{}
	if s.fields[65].coding != absent {
		return nil, fmt.Errorf("dialect %s: F65 would be a third bitmap", name)
	}
	if s.wide && !s.second {
		return nil, fmt.Errorf("dialect %s: both bitmaps but no field above 64", name)
	}
	return s, nil
}

func compileField(n int, f field.Field) (fieldDef, error) {
	m := f.Spec()
	c, err := codingOf(f)
	if err != nil {
		return fieldDef{}, err
	}
	d := fieldDef{coding: c, max: uint16(m.Length), size: uint16(m.Length)}
	if n == 1 {
		return d, nil
	}
	if m.Length < 1 || m.Length > 9999 {
		return d, fmt.Errorf("length %d: from 1 to 9999", m.Length)
	}
	if m.Pad != nil {
		if pad := string(m.Pad.Inspect()); pad != "" && (pad == "0") != (kinds[c] == Numeric) {
			return d, fmt.Errorf("pad %q: zeros left of digits and spaces right of text only", pad)
		}
	}
	switch {
	case c >= packedLeft:
		d.size = uint16((m.Length + 1) / 2)
	case c == hexed:
		d.size = uint16(2 * m.Length)
	}
	switch name := m.Pref.Inspect(); name {
	case "BCD.LL", "BCD.LLL":
		d.bcd, d.prefix = true, uint8(strings.Count(name, "L")+1)/2
	case "ASCII.LL", "ASCII.LLL":
		d.prefix = uint8(strings.Count(name, "L"))
	default:
		if !strings.HasSuffix(name, ".Fixed") {
			return d, fmt.Errorf("length prefix %s: want fixed, LL or LLL in ASCII or BCD", name)
		}
	}
	d.plan()
	switch {
	case c == hexed && d.prefix != 0:
		return d, fmt.Errorf("hexadecimal of variable length")
	case strings.HasSuffix(m.Pref.Inspect(), ".LL") && m.Length > 99, d.prefix != 0 && m.Length > 999:
		return d, fmt.Errorf("length %d does not fit the length prefix %s", m.Length, m.Pref.Inspect())
	}
	return d, nil
}

// plan prepares the check of a fixed value of at most 8 bytes, which a word
// holds from its high end on.
func (d *fieldDef) plan() {
	packed := d.coding == packedLeft || d.coding == packedRight
	switch {
	case d.coding <= raw:
		d.quick = anything
	case d.prefix != 0 || d.size > 8 || !packed && d.coding != digits:
		d.quick = longWay
	case d.coding == digits:
		d.quick, d.digits = chars, ^uint64(0)<<(64-8*d.size)
	default:
		d.quick, d.digits = oneWord, 0x8888888888888888<<(64-8*d.size)
		switch {
		case d.max&1 == 0:
		case d.coding == packedRight:
			d.pad = 0xF << 60
		default:
			d.pad = 0xF << (64 - 8*d.size)
		}
	}
}

// codingOf reads the coding off moov's encoder and, where one encoder serves
// several kinds, off the field's Go type.
func codingOf(f field.Field) (coding, error) {
	switch f.(type) {
	case *field.Bitmap, *field.String, *field.Numeric, *field.Binary, *field.Track2, *field.Track3:
	default:
		return absent, fmt.Errorf("%T is not a primitive field", f)
	}
	switch enc := f.Spec().Enc; enc {
	case encoding.LBCD:
		switch f.(type) {
		case *field.Track2, *field.Track3:
			return packedTrack, nil
		}
		return packedLeft, nil
	case encoding.BCD:
		return packedRight, nil
	case encoding.BytesToASCIIHex:
		return hexed, nil
	case dialect.Digits:
		return digits, nil
	case dialect.Track:
		return track, nil
	case dialect.PackedTrack:
		return packedTrack, nil
	case encoding.Binary, encoding.ASCII:
		switch f.(type) {
		case *field.Numeric:
			return digits, nil
		case *field.Track2, *field.Track3:
			return track, nil
		case *field.Binary, *field.Bitmap:
			return raw, nil
		}
		if pad := f.Spec().Pad; pad != nil && string(pad.Inspect()) == "0" {
			return digits, nil // moov's way to say "amount"
		}
		return text, nil
	default:
		return absent, fmt.Errorf("encoder %T is not one of this codec's", enc)
	}
}

// Name is the dialect's name: pos, cups, bcd, ascii.
func (s *Spec) Name() string { return s.name }

// Framing is what the dialect puts before the MTI.
func (s *Spec) Framing() Framing { return s.framing }

// Kind says what field n holds, Absent when the dialect has no such field.
func (s *Spec) Kind(n int) Kind {
	if n < 2 || n > 128 {
		return Absent
	}
	return kinds[s.fields[n].coding]
}

// Fixed says that field n has one length only.
func (s *Spec) Fixed(n int) bool { return s.Kind(n) != Absent && s.fields[n].prefix == 0 }

// Describe gives field n's name in Chinese and English, empty when the dialect
// has no such field.
func (s *Spec) Describe(n int) (zh, en string) {
	if n < 0 || n > 128 {
		return "", ""
	}
	zh, en, ok := strings.Cut(s.about[n], " / ")
	if !ok {
		return zh, zh
	}
	return zh, en
}
