package table

import "tongka/codec/iso8583/internal/dialect"

// Compile makes the row of a declared field, in which no faults are left.
func Compile(f *dialect.Field) Field {
	d := Field{Coding: CodingOf(f.Kind, f.Coding), Max: uint16(f.Length), Size: uint16(f.Size(f.Length)), Loose: f.Loose}
	if f.Prefix > 0 {
		d.Prefix, d.Count = uint8(f.PrefixSize()), counts[f.Count]
	}
	return d
}

// CodingOf joins what a field holds and how it lies on the wire.
func CodingOf(k dialect.Kind, c dialect.Coding) Coding { return codings[k][c] }

var codings = [...][dialect.EBCDICHex + 1]Coding{
	dialect.Numeric: {dialect.ASCII: Digits, dialect.EBCDIC: EDigits, dialect.BCD: PackedLeft, dialect.BCDRight: PackedRight},
	dialect.Track:   {dialect.ASCII: Track, dialect.EBCDIC: ETrack, dialect.BCD: PackedTrack},
	dialect.Text:    {dialect.ASCII: Text, dialect.EBCDIC: EText},
	dialect.Binary:  {dialect.Bytes: Raw, dialect.Hex: Hexed, dialect.EBCDICHex: EHexed},
}

var counts = [...]Count{dialect.ASCII: ASCII, dialect.EBCDIC: EBCDIC, dialect.BCD: BCD, dialect.Bytes: Binary, dialect.Hex: Hex}
