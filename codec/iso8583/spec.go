// Package iso8583 reads and writes ISO 8583 messages in place. A dialect is
// declared once, as a moov-io/iso8583 message specification, and compiled into
// a table; a View reads by that table straight from the received bytes, and a
// Builder appends by it straight to the buffer that will be sent. Neither
// allocates. moov itself is never on the path of a message: it describes, and
// in the tests it is the oracle.
//
//	frame ─▶ Split ─▶ Envelope (TPDU, LRI, header: lent)
//	            └──▶ Parse ─▶ View ─ Field, AppendText, Uint, Before
//	                            └─ Builder.Copy, CopySet ─▶ another dialect's bytes
//
// Messages of one kind carry the same fields. What follows from the bitmap alone
// is therefore found out once and kept in the Spec (package internal/plan): which
// fields stand together, and how they are checked and converted a register at a
// time. Such a plan only ever says yes; whatever is rare or bad is looked at field
// by field, and that way alone makes errors.
//
// Values have one canonical form in every dialect: decimal digits as ASCII
// without pad, text and binary as their bytes. Nothing here is safe for use by
// two goroutines except a Spec.
package iso8583

import (
	"fmt"
	"strings"

	moov "github.com/moov-io/iso8583"

	"tongka/codec/iso8583/internal/plan"
	"tongka/codec/iso8583/internal/table"
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

var kinds = [...]Kind{table.Absent: Absent, table.Text: Text, table.Raw: Binary, table.Hexed: Binary, table.Digits: Numeric,
	table.Track: Track, table.PackedLeft: Numeric, table.PackedRight: Numeric, table.PackedTrack: Track}

// Spec is a compiled dialect. It is immutable, but for what it has learned about
// the bitmaps that it met, and safe for concurrent use.
type Spec struct {
	name    string
	framing Framing
	mtiSize int    // two packed bytes, or four characters
	mapSize int    // 8 bytes, or 16 hexadecimal characters
	first   int    // where the first field of a built message begins
	bit1    uint64 // bit 1 if the builder always writes both bitmaps
	second  bool   // the dialect has fields above 64
	fields  table.Fields
	about   [129]string
	has     [2]uint64 // the fields, as a bitmap
	shapes  plan.Cache[plan.Shape]
	copies  plan.Cache[plan.Copy]
}

// Compile makes the table of a dialect. Every field must be primitive, in one
// of the codings that cards use: ASCII, packed (BCD, LBCD), binary, hexadecimal
// for fixed binary. The error names the field.
func Compile(name string, spec *moov.MessageSpec, o Options) (*Spec, error) {
	if err := spec.Validate(); err != nil {
		return nil, fmt.Errorf("dialect %s: %w", name, err)
	}
	s := &Spec{name: name, framing: o.Framing}
	for n, f := range spec.Fields {
		if n < 0 || n > 128 {
			return nil, fmt.Errorf("dialect %s: F%d: fields are 2 to 128", name, n)
		}
		d, err := table.Compile(n, f)
		if err != nil {
			return nil, fmt.Errorf("dialect %s: F%d: %w", name, n, err)
		}
		s.fields[n], s.about[n] = d, f.Spec().Description
		s.second = s.second || n > 64
		if n > 1 {
			s.has[(n-1)>>6] |= 1 << 63 >> ((n - 1) & 63)
		}
	}
	for _, n := range o.Loose {
		if s.Kind(n) == Absent {
			return nil, fmt.Errorf("dialect %s: F%d is loose but not there", name, n)
		}
		s.fields[n].Loose = true
	}
	s.mtiSize, s.mapSize = 4, 8
	if s.fields[0].Coding >= table.PackedLeft {
		s.mtiSize = 2
	}
	if s.fields[1].Coding == table.Hexed {
		s.mapSize = 16
	}
	s.first = s.mtiSize + s.mapSize
	if o.Wide {
		s.first, s.bit1 = s.first+s.mapSize, both
	}
	s.fields[0], s.fields[1] = table.Field{}, table.Field{}
	if s.fields[65].Coding != table.Absent {
		return nil, fmt.Errorf("dialect %s: F65 would be a third bitmap", name)
	}
	if o.Wide && !s.second {
		return nil, fmt.Errorf("dialect %s: both bitmaps but no field above 64", name)
	}
	return s, nil
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
	return kinds[s.fields[n].Coding]
}

// Fixed says that field n has one length only.
func (s *Spec) Fixed(n int) bool { return s.Kind(n) != Absent && s.fields[n].Prefix == 0 }

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
