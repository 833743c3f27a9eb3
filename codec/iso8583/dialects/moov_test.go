package dialects

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	moov "github.com/moov-io/iso8583"
	"github.com/moov-io/iso8583/field"
	"github.com/moov-io/iso8583/prefix"
	"github.com/moov-io/iso8583/specs"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/internal/dialect"
)

// A specification of moov's is the same dialect here: what is built by the one is
// read by the other, and built again to the same bytes.
func TestMoovReadsWhatItsSpecificationBuildsHere(t *testing.T) {
	for _, name := range []string{"spec87ascii.json", "moovall.json"} {
		raw, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		spec, err := specs.ImportJSON(raw)
		if err != nil {
			t.Fatal(err)
		}
		spec.Fields[1] = field.NewBitmap(&field.Spec{Length: 8, Enc: spec.Fields[1].Spec().Enc, Pref: spec.Fields[1].Spec().Pref})
		for _, f := range spec.Fields {
			if f.Spec().Pref == prefix.Hex.Fixed { // by which moov reads, and cannot write
				f.Spec().Pref = prefix.Binary.Fixed
			}
		}
		f, err := Parse(name, raw)
		if err != nil {
			t.Fatal(err)
		}
		s, err := iso8583.Compile(f.Declaration)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(5, 8583))
		for range 200 {
			b := s.Begin(nil, 0x0200)
			for _, n := range f.Declaration.Numbers() {
				if d := f.Declaration.Fields[n]; r.IntN(3) == 0 && (d.Parts == nil || d.Parts.Form == dialect.Positions) {
					b.Put(n, value(r, &d))
				}
			}
			msg, err := b.End()
			if err != nil {
				t.Fatal(err)
			}
			his := moov.NewMessage(spec)
			if err := his.Unpack(msg); err != nil {
				t.Fatalf("%s: moov cannot read %X: %v", name, msg, err)
			}
			back, err := his.Pack()
			if err != nil || !bytes.Equal(back, msg) {
				t.Fatalf("%s:\n%X\nmoov %v\n%X", name, msg, err, back)
			}
		}
	}
}

// value is random, without the spaces and zeros that moov takes for padding.
func value(r *rand.Rand, d *iso8583.Field) []byte {
	l := d.Length
	if d.Prefix > 0 && d.Parts == nil {
		l = 1 + r.IntN(l)
	}
	v := make([]byte, l)
	for i := range v {
		v[i] = '1' + byte(r.IntN(9))
		if d.Kind == iso8583.Text {
			v[i] = 'A' + byte(r.IntN(26))
		}
	}
	return v
}

func TestMoovCompositesBecomeParts(t *testing.T) {
	f, err := Read("testdata/moovall.json")
	if err != nil {
		t.Fatal(err)
	}
	d := f.Declaration
	if p := d.Fields[48].Parts; p == nil || p.Form != dialect.Positions || len(p.List) != 2 || p.List[0] != (iso8583.Part{Name: "first", Length: 14}) || p.List[1].At != 14 {
		t.Errorf("F48 %+v", p)
	}
	if p := d.Fields[55].Parts; p == nil || p.Form != dialect.BER || p.List[0].Tag != "9F26" {
		t.Errorf("F55 %+v", p)
	}
	if p := d.Fields[60].Parts; p == nil || p.Form != dialect.TLV || p.Tag != 2 || p.Length != 2 || p.List[0].Tag != "01" {
		t.Errorf("F60 %+v", p)
	}
	if d.Third != dialect.ThirdFollows || d.Fields[2].Coding != dialect.BCDRight || d.Fields[3].Coding != dialect.BCD {
		t.Errorf("%+v", d)
	}
	if len(f.Notes) != 1 || f.Notes[0].Line != 30 {
		t.Errorf("notes: %v", f.Notes)
	}
}
