package dialect

import (
	"fmt"

	moov "github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"
)

// Moov says the declaration as a moov-io/iso8583 specification, which reads and
// writes the same messages. Text is said with moov's binary encoder, because
// merchants' names come in GBK and moov's ASCII encoder refuses them. What moov has
// no words for (a third bitmap in the place of field 65) is an error; checks and
// parts are left out.
func (d *Declaration) Moov() (*moov.MessageSpec, error) {
	if faults := d.Faults(); len(faults) > 0 {
		return nil, faults[0]
	}
	if d.Third == ThirdIn65 {
		return nil, fmt.Errorf("moov 不支持域 65 处的第三位图 · moov has no third bitmap in the place of field 65")
	}
	mti := Field{Kind: Numeric, Coding: d.MTI, Length: 4}
	fields := map[int]field.Field{
		0: mti.moov(),
		1: field.NewBitmap(&field.Spec{Length: 8, Enc: encoders[tableKey{Binary, d.Bitmap}], Pref: prefix.Binary.Fixed, Description: names87[1]}),
	}
	fields[0].Spec().Description = names87[0]
	for n, f := range d.Fields {
		fields[n] = f.moov()
	}
	return &moov.MessageSpec{Name: d.Name, Fields: fields}, nil
}

type tableKey struct {
	kind   Kind
	coding Coding
}

// encoders say a kind of value in a coding.
var encoders = map[tableKey]encoding.Encoder{
	{Numeric, ASCII}: asciiDigits, {Numeric, EBCDIC}: ebcdicDigits, {Numeric, BCD}: encoding.LBCD, {Numeric, BCDRight}: encoding.BCD,
	{Track, ASCII}: asciiTrack, {Track, EBCDIC}: ebcdicTrack, {Track, BCD}: packedTrack,
	{Text, ASCII}: encoding.Binary, {Text, EBCDIC}: encoding.EBCDIC,
	{Binary, Bytes}: encoding.Binary, {Binary, Hex}: encoding.BytesToASCIIHex, {Binary, EBCDICHex}: ebcdicHex,
}

var prefixes = map[Coding]prefix.Prefixers{
	ASCII: prefix.ASCII, EBCDIC: prefix.EBCDIC, BCD: prefix.BCD, Bytes: prefix.Binary, Hex: prefix.Hex,
}

func (f *Field) moov() field.Field {
	spec := &field.Spec{Length: f.Length, Description: f.Name, Enc: encoders[tableKey{f.Kind, f.Coding}]}
	p := prefixes[f.Count]
	switch f.Prefix {
	case 0:
		spec.Pref = prefix.ASCII.Fixed
	case 1:
		spec.Pref = p.L
	case 2:
		spec.Pref = p.LL
	case 3:
		spec.Pref = p.LLL
	default:
		spec.Pref = p.LLLL
	}
	if f.Kind == Binary {
		return field.NewBinary(spec)
	}
	return field.NewString(spec)
}
