package iso8583

import (
	"strings"
	"testing"

	"tongka/codec/iso8583/internal/dialect"
)

func TestEveryFieldIsNamedInBothLanguages(t *testing.T) {
	for _, s := range every {
		for n := 2; n <= MaxField; n++ {
			zh, en := s.Describe(n)
			if has := s.Kind(n) != Absent; has != (zh != "" && en != "" && zh != en) {
				t.Errorf("%s F%d is called %q and %q", s.Name(), n, zh, en)
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
	if Pos().Framing() != TPDUHeader || Cups().Framing() != Centre || ASCII().Framing() != Bare || BCD().Framing() != TPDUOnly || EBCDIC().Framing() != Bare {
		t.Error("framings")
	}
}

func TestCompileNamesEveryFault(t *testing.T) {
	text := func(f Field) Field {
		f.Kind, f.Coding = Text, dialect.ASCII
		return f
	}
	for name, c := range map[string]struct {
		n      int
		f      Field
		change func(*Declaration)
		want   string
	}{
		"type":             {48, Field{Length: 9}, nil, "F48 type: "},
		"coding":           {48, Field{Kind: Track, Coding: dialect.BCDRight, Length: 9}, nil, `F48 coding: 编码 "bcd-right"`},
		"length":           {48, text(Field{}), nil, "F48 length: 长度 0"},
		"long":             {48, text(Field{Length: 10000}), nil, "length 10000, wanted 1 to 9999"},
		"LL of 100":        {48, text(Field{Length: 100, Prefix: 2, Count: dialect.BCD}), nil, "length 100, the prefix says 99 at most"},
		"binary of 256":    {48, text(Field{Length: 256, Prefix: 1, Count: dialect.Bytes}), nil, "the prefix says 255 at most"},
		"prefix":           {48, text(Field{Length: 9, Prefix: 5}), nil, "F48 prefix: "},
		"prefix coding":    {48, text(Field{Length: 9, Prefix: 2}), nil, "F48 prefix-coding: "},
		"loose text":       {48, text(Field{Length: 9, Loose: true}), nil, "F48 loose-pad: "},
		"pad of a number":  {48, Field{Kind: Numeric, Coding: dialect.ASCII, Length: 9, Pad: Pad{Left: true, Char: ' '}}, nil, "F48 pad: "},
		"date of 5":        {48, text(Field{Length: 5, Check: dialect.MMDD}), nil, "F48 check: MMDD 须为 4"},
		"luhn of bytes":    {48, Field{Kind: Binary, Coding: dialect.Bytes, Length: 9, Check: dialect.Luhn}, nil, "luhn is not for binary"},
		"no parts":         {48, text(Field{Length: 9, Parts: &Parts{}}), nil, "F48 parts: "},
		"part too far":     {48, text(Field{Length: 9, Parts: &Parts{List: []Part{{At: 5, Length: 5}}}}), nil, "beyond the length 9"},
		"tag of 3":         {48, text(Field{Length: 9, Parts: &Parts{Form: dialect.TLV, Tag: 2, Length: 3, List: []Part{{Tag: "ABC"}}}}), nil, `tag "ABC"`},
		"half a tag":       {48, text(Field{Length: 9, Parts: &Parts{Form: dialect.BER, List: []Part{{Tag: "9F"}}}}), nil, `tag "9F"`},
		"field 1":          {1, text(Field{Length: 8}), nil, "fields are 2 to 192"},
		"beyond 192":       {193, text(Field{Length: 8}), func(d *Declaration) { d.Third = dialect.ThirdFollows }, "fields are 2 to 192"},
		"no third bitmap":  {129, text(Field{Length: 8}), nil, "F129 : 域 129 至 192 需要"},
		"third for naught": {48, text(Field{Length: 8}), func(d *Declaration) { d.Third = dialect.ThirdIn65 }, "third-bitmap: "},
		"65":               {65, text(Field{Length: 8}), func(d *Declaration) { d.Third = dialect.ThirdIn65 }, "field 65 is the third"},
		"wide but small":   {48, text(Field{Length: 8}), func(d *Declaration) { d.Wide = true }, "no field above 64"},
		"wide and 65":      {130, text(Field{Length: 8}), func(d *Declaration) { d.Wide, d.Third = true, dialect.ThirdIn65 }, "not together"},
		"mti":              {48, text(Field{Length: 8}), func(d *Declaration) { d.MTI = dialect.Hex }, "mti: "},
		"bitmap":           {48, text(Field{Length: 8}), func(d *Declaration) { d.Bitmap = dialect.ASCII }, "bitmap: "},
		"no name":          {48, text(Field{Length: 8}), func(d *Declaration) { d.Name = "" }, "name: "},
	} {
		d := &Declaration{Name: "made", MTI: dialect.ASCII, Bitmap: dialect.Bytes, Fields: map[int]Field{c.n: c.f}}
		if c.change != nil {
			c.change(d)
		}
		if _, err := Compile(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	_, err := Compile(&Declaration{})
	for _, want := range []string{"name", "mti", "bitmap", "fields"} {
		if err == nil || !strings.Contains(err.Error(), want+": ") {
			t.Errorf("an empty declaration: %v", err)
		}
	}
}
