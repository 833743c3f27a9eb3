// Package iso8583 reads and writes ISO 8583 messages in place. A dialect is
// a Declaration, plain data, built in or read from a file (package dialects), and
// compiled into a table; a View reads by that table straight from the received
// bytes, and a Builder appends by it straight to the buffer that will be sent.
// Neither allocates. moov-io/iso8583 is never on the path of a message: a
// declaration can be said in its words, and in the tests it is the oracle.
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
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"tongka/codec/iso8583/internal/dialect"
	"tongka/codec/iso8583/internal/plan"
	"tongka/codec/iso8583/internal/table"
)

// What a dialect is declared with; see package dialect for each.
type (
	Declaration = dialect.Declaration
	Field       = dialect.Field
	Parts       = dialect.Parts
	Part        = dialect.Part
	Pad         = dialect.Pad
	Kind        = dialect.Kind
	Coding      = dialect.Coding
	Framing     = dialect.Framing
	Third       = dialect.Third
	Form        = dialect.Form
	Check       = dialect.Check
	Fault       = dialect.Fault
)

// Kinds of fields. Absent is the kind of a field that the dialect has not.
const (
	Absent  = dialect.Absent
	Numeric = dialect.Numeric
	Track   = dialect.Track
	Text    = dialect.Text
	Binary  = dialect.Binary
)

// Framings: what stands before the MTI; see Split.
const (
	Bare       = dialect.Bare
	TPDUOnly   = dialect.TPDUOnly
	TPDUHeader = dialect.TPDUHeader
	Centre     = dialect.Centre
)

var kinds = [...]Kind{table.Absent: Absent, table.Text: Text, table.EText: Text, table.Raw: Binary, table.Hexed: Binary, table.EHexed: Binary,
	table.Digits: Numeric, table.EDigits: Numeric, table.Track: Track, table.ETrack: Track,
	table.PackedLeft: Numeric, table.PackedRight: Numeric, table.PackedTrack: Track}

// Spec is a compiled dialect. It is immutable, but for what it has learned about
// the bitmaps that it met, and safe for concurrent use.
type Spec struct {
	name    string
	id      uint32       // of all that this process has compiled, from 1
	mtiSize int          // two packed bytes, or four characters
	mapSize int          // 8 bytes, or 16 hexadecimal characters
	maps    table.Coding // of the bitmaps
	mti     table.Coding
	first   int    // where the first field of a built message begins
	bit1    uint64 // bit 1 if the builder always writes both bitmaps
	second  bool   // the dialect has fields above 64
	rare    bool   // it has a third bitmap or checks, which most have not
	third   Third
	checks  []checked
	fields  table.Fields
	has     [2]uint64 // the fields up to 128, as a bitmap
	shapes  plan.Cache[plan.Shape]
	copies  plan.Cache[plan.Copy]
	decl    *Declaration
}

// compiled counts dialects, so that each has a number.
var compiled atomic.Uint32

// Compile makes the table of a dialect. The declaration belongs to the Spec from
// then on. The error joins every Fault.
func Compile(d *Declaration) (*Spec, error) {
	if faults := d.Faults(); len(faults) > 0 {
		errs := make([]error, len(faults))
		for i, f := range faults {
			errs[i] = f
		}
		return nil, fmt.Errorf("方言 · dialect %s: %w", d.Name, errors.Join(errs...))
	}
	s := &Spec{name: d.Name, id: compiled.Add(1), third: d.Third, decl: d, mtiSize: 4, mapSize: 16}
	for _, n := range d.Numbers() {
		f := d.Fields[n]
		s.fields[n] = table.Compile(&f)
		s.second = s.second || n > 64
		if n <= 128 {
			s.has[(n-1)>>6] |= 1 << 63 >> ((n - 1) & 63)
		}
		if f.Check != dialect.NoCheck {
			s.checks = append(s.checks, checked{n, f.Check})
		}
	}
	s.mti, s.maps = table.CodingOf(Numeric, d.MTI), table.CodingOf(Binary, d.Bitmap)
	if s.mti == table.PackedLeft {
		s.mtiSize = 2
	}
	if s.maps == table.Raw {
		s.mapSize = 8
	}
	s.first = s.mtiSize + s.mapSize
	if d.Wide {
		s.first, s.bit1 = s.first+s.mapSize, both
	}
	s.rare = s.checks != nil || s.third != dialect.NoThird
	return s, nil
}

// Declaration is what the dialect was compiled from. It is not to be changed.
func (s *Spec) Declaration() *Declaration { return s.decl }

// Name is the dialect's name: pos, cups, 87b.
func (s *Spec) Name() string { return s.name }

// Framing is what the dialect puts before the MTI.
func (s *Spec) Framing() Framing { return s.decl.Framing }

// Kind says what field n holds, Absent when the dialect has no such field.
func (s *Spec) Kind(n int) Kind {
	if n < 2 || n > MaxField {
		return Absent
	}
	return kinds[s.fields[n].Coding]
}

// Fixed says that field n has one length only.
func (s *Spec) Fixed(n int) bool { return s.Kind(n) != Absent && s.fields[n].Prefix == 0 }

// Describe gives field n's name in Chinese and English, empty when the dialect
// has no such field.
func (s *Spec) Describe(n int) (zh, en string) {
	name := s.decl.Fields[n].Name
	if n == 0 || n == 1 {
		name = dialect.NameOf(n)
	}
	return Bilingual(name)
}

// Bilingual splits a name into its Chinese and its English half; a name in one
// language stands for both.
func Bilingual(name string) (zh, en string) {
	zh, en, ok := strings.Cut(name, " / ")
	if !ok {
		return zh, zh
	}
	return zh, en
}

// MaxField is the highest field of any dialect.
const MaxField = dialect.MaxField

// NameOf gives the name that ISO 8583:1987 has for field n, "中文 / English".
func NameOf(n int) string { return dialect.NameOf(n) }
