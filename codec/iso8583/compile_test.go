package iso8583

import (
	"strings"
	"testing"

	moov "github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/encoding"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/padding"
	"github.com/moov-io/iso8583/prefix"
	"github.com/moov-io/iso8583/sort"
)

func TestEveryFieldIsNamedInBothLanguages(t *testing.T) {
	for _, d := range every {
		for n := 2; n <= 128; n++ {
			zh, en := d.spec.Describe(n)
			if has := d.spec.Kind(n) != Absent; has != (zh != "" && en != "" && zh != en) {
				t.Errorf("%s F%d is called %q and %q", d.spec.Name(), n, zh, en)
			}
		}
	}
	if zh, en := Pos().Describe(200); zh != "" || en != "" || Pos().Kind(200) != Absent || Pos().Kind(-1) != Absent {
		t.Error("F200 has a name or a kind")
	}
}

func TestSpecTellsWhatItsFieldsAre(t *testing.T) {
	for _, c := range []struct {
		spec  *Spec
		n     int
		kind  Kind
		fixed bool
	}{
		{Pos(), 2, Numeric, false}, {Pos(), 22, Numeric, true}, {Pos(), 35, Track, false}, {Pos(), 41, Text, true}, {Pos(), 48, Numeric, false},
		{Pos(), 52, Binary, true}, {Pos(), 62, Text, false}, {Pos(), 70, Absent, false}, {Cups(), 60, Text, false}, {ASCII(), 52, Binary, true},
		{BCD(), 60, Text, false}, {Cups(), 90, Numeric, true},
	} {
		if c.spec.Kind(c.n) != c.kind || c.spec.Fixed(c.n) != c.fixed {
			t.Errorf("%s F%d: %v %v, want %v %v", c.spec.Name(), c.n, c.spec.Kind(c.n), c.spec.Fixed(c.n), c.kind, c.fixed)
		}
	}
	if Pos().Framing() != TPDUHeader || Cups().Framing() != Centre || ASCII().Framing() != Bare || BCD().Framing() != TPDUOnly {
		t.Error("framings")
	}
}

func TestCompileNamesTheFieldThatItCannotDo(t *testing.T) {
	fixed := prefix.ASCII.Fixed
	for name, c := range map[string]struct {
		n    int
		f    field.Field
		o    Options
		want string
	}{
		"composite": {48, field.NewComposite(&field.Spec{Length: 99, Pref: prefix.ASCII.LL, Tag: &field.TagSpec{Length: 2, Enc: encoding.ASCII, Sort: sort.StringsByInt}}),
			Options{}, "F48: *field.Composite is not a primitive"},
		"encoder":          {48, str(9, fixed, encoding.EBCDIC), Options{}, "F48: encoder"},
		"prefix":           {48, str(9, prefix.ASCII.LLLL, encoding.ASCII), Options{}, "F48: length prefix ASCII.LLLL"},
		"length":           {48, str(0, fixed, encoding.ASCII), Options{}, "F48: length 0"},
		"LL of 100":        {48, str(100, prefix.BCD.LL, encoding.ASCII), Options{}, "F48: length 100 does not fit"},
		"LLL of 1000":      {48, str(1000, prefix.ASCII.LLL, encoding.ASCII), Options{}, "F48: length 1000 does not fit"},
		"hex variable":     {48, field.NewBinary(&field.Spec{Length: 8, Enc: encoding.BytesToASCIIHex, Pref: prefix.ASCII.LL}), Options{}, "F48: hexadecimal of variable length"},
		"spaces in number": {48, field.NewString(&field.Spec{Length: 8, Enc: encoding.BCD, Pref: fixed, Pad: padding.Left(' ')}), Options{}, `F48: pad " "`},
		"third bitmap":     {65, str(8, fixed, encoding.Binary), Options{}, "F65"},
		"beyond 128":       {129, str(8, fixed, encoding.Binary), Options{}, "F129"},
		"loose":            {48, str(8, fixed, encoding.Binary), Options{Loose: []int{200}}, "F200 is loose"},
		"wide but small":   {48, str(8, fixed, encoding.Binary), Options{Wide: true}, "no field above 64"},
	} {
		spec := &moov.MessageSpec{Fields: map[int]field.Field{
			0: str(4, fixed, encoding.ASCII), 1: field.NewBitmap(&field.Spec{Enc: encoding.Binary, Pref: prefix.Binary.Fixed}), c.n: c.f,
		}}
		_, err := Compile("made", spec, c.o)
		if err == nil || !strings.Contains(err.Error(), "dialect made: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := Compile("empty", &moov.MessageSpec{}, Options{}); err == nil {
		t.Error("a dialect without MTI and bitmap compiles")
	}
}

// moov's own track types compile as tracks, whatever their encoder.
func TestTracksOfMoovCompile(t *testing.T) {
	s, err := Compile("tracks", &moov.MessageSpec{Fields: map[int]field.Field{
		0: str(4, prefix.ASCII.Fixed, encoding.BCD), 1: field.NewBitmap(&field.Spec{Enc: encoding.Binary, Pref: prefix.Binary.Fixed}),
		35: field.NewTrack2(&field.Spec{Length: 37, Enc: encoding.LBCD, Pref: prefix.BCD.LL}),
		36: field.NewTrack3(&field.Spec{Length: 104, Enc: encoding.ASCII, Pref: prefix.ASCII.LLL}),
		4:  field.NewNumeric(&field.Spec{Length: 12, Enc: encoding.ASCII, Pref: prefix.ASCII.Fixed, Pad: padding.Left('0')}),
	}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := parse(t, s, unhex(t, "0200 1000000030000000 303030303030303030303031 05 12D450 303033 393D31"))
	if n, ok := v.Uint(4); n != 1 || !ok || string(v.AppendText(nil, 35)) != "12D45" || string(v.Field(36)) != "9=1" || s.Kind(36) != Track {
		t.Errorf("F4 %d, F35 %q, F36 %q", n, v.AppendText(nil, 35), v.Field(36))
	}
}

func str(n int, p prefix.Prefixer, e encoding.Encoder) field.Field {
	return field.NewString(&field.Spec{Length: n, Enc: e, Pref: p})
}
