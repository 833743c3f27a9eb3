package iso8583

import (
	"bytes"
	"errors"
	"testing"

	"tongka/codec/iso8583/internal/dialect"
)

// one is a dialect of one field, after an MTI and a bitmap of the given codings.
func one(t *testing.T, n int, f Field, mti, bitmap Coding) *Spec {
	t.Helper()
	d := &Declaration{Name: "one", MTI: mti, Bitmap: bitmap, Fields: map[int]Field{n: f}}
	if n > 128 {
		d.Third = dialect.ThirdFollows
	}
	s, err := Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each coding with a worked example, odd and even, as it lies on the wire behind
// the bitmap, after the UnionPay terminal specification where that has it.
func TestEveryCodingByExample(t *testing.T) {
	const (
		fixed = iota
		l
		ll
		lll
		llll
	)
	bcd, ascii, ibm, bin, hx := dialect.BCD, dialect.ASCII, dialect.EBCDIC, dialect.Bytes, dialect.Hex
	for _, c := range []struct {
		name        string
		f           Field
		value, wire string // wire in hexadecimal
	}{
		{"F2 n..19 LL, 19 digits, pad right", Field{Kind: Numeric, Coding: bcd, Length: 19, Prefix: ll, Count: bcd}, "6217000000000000001", "19 62170000000000000010"},
		{"F2 of 16 digits", Field{Kind: Numeric, Coding: bcd, Length: 19, Prefix: ll, Count: bcd}, "6217000000000001", "16 6217000000000001"},
		{"F4 n12", Field{Kind: Numeric, Coding: bcd, Length: 12}, "000000012345", "000000012345"},
		{"F22 n3, pad right", Field{Kind: Numeric, Coding: bcd, Length: 3}, "051", "0510"},
		{"F23 n3, pad left", Field{Kind: Numeric, Coding: dialect.BCDRight, Length: 3}, "001", "0001"},
		{"F32 n..11 LL of 8", Field{Kind: Numeric, Coding: bcd, Length: 11, Prefix: ll, Count: bcd}, "48023310", "08 48023310"},
		{"n..11 LL right aligned, odd", Field{Kind: Numeric, Coding: dialect.BCDRight, Length: 11, Prefix: ll, Count: bcd}, "48023", "05 048023"},
		{"F35 z..37 LL, odd", Field{Kind: Track, Coding: bcd, Length: 37, Prefix: ll, Count: bcd}, "62D30", "05 62D300"},
		{"F36 z..104 LLL", Field{Kind: Track, Coding: bcd, Length: 104, Prefix: lll, Count: bcd}, "9962D3", "0006 9962D3"},
		{"F39 an2", Field{Kind: Text, Coding: ascii, Length: 2}, "A0", "4130"},
		{"F44 an..25 LL", Field{Kind: Text, Coding: ascii, Length: 25, Prefix: ll, Count: bcd}, "0102", "04 30313032"},
		{"F48 n..322 LLL, odd", Field{Kind: Numeric, Coding: bcd, Length: 322, Prefix: lll, Count: bcd}, "123", "0003 1230"},
		{"F52 b8", Field{Kind: Binary, Coding: bin, Length: 8}, "\x12\x34\x56\x78\x9A\xBC\xDE\xF0", "123456789ABCDEF0"},
		{"F55 b..255 LLL", Field{Kind: Binary, Coding: bin, Length: 255, Prefix: lll, Count: bcd}, "\x95\x01\x00", "0003 950100"},
		{"F60 n..17 LLL of 11", Field{Kind: Numeric, Coding: bcd, Length: 17, Prefix: lll, Count: bcd}, "22000006000", "0011 220000060000"},
		{"digits in ASCII, LL", Field{Kind: Numeric, Coding: ascii, Length: 19, Prefix: ll, Count: ascii}, "621", "3033 363231"},
		{"track in ASCII", Field{Kind: Track, Coding: ascii, Length: 37, Prefix: ll, Count: ascii}, "1=2", "3033 313D32"},
		{"text in ASCII, LLLL", Field{Kind: Text, Coding: ascii, Length: 1000, Prefix: llll, Count: ascii}, "\xB5\xEA", "30303032 B5EA"},
		{"text, L", Field{Kind: Text, Coding: ascii, Length: 9, Prefix: l, Count: ascii}, "AB", "32 4142"},
		{"text, packed LLLL", Field{Kind: Text, Coding: ascii, Length: 1000, Prefix: llll, Count: bcd}, "AB", "0002 4142"},
		{"bytes as hexadecimal", Field{Kind: Binary, Coding: hx, Length: 2}, "\xAB\x01", "41423031"},
		{"bytes as hexadecimal, LL of bytes", Field{Kind: Binary, Coding: hx, Length: 48, Prefix: ll, Count: ascii}, "\xAB", "3031 4142"},
		{"bytes as EBCDIC hexadecimal", Field{Kind: Binary, Coding: dialect.EBCDICHex, Length: 2}, "\xAB\x01", "C1C2F0F1"},
		{"digits in EBCDIC", Field{Kind: Numeric, Coding: ibm, Length: 10}, "0123456789", "F0F1F2F3F4F5F6F7F8F9"},
		{"digits in EBCDIC, LL", Field{Kind: Numeric, Coding: ibm, Length: 19, Prefix: ll, Count: ibm}, "12", "F0F2 F1F2"},
		{"track in EBCDIC", Field{Kind: Track, Coding: ibm, Length: 37, Prefix: ll, Count: ibm}, "1=2D", "F0F4 F17EF2C4"},
		{"text in EBCDIC", Field{Kind: Text, Coding: ibm, Length: 6}, "Shop 1", "E28896974 0F1"},
		{"binary length", Field{Kind: Binary, Coding: bin, Length: 255, Prefix: l, Count: bin}, "\x01\x02", "02 0102"},
		{"binary length of two", Field{Kind: Binary, Coding: bin, Length: 999, Prefix: ll, Count: bin}, "\x01\x02", "0002 0102"},
		{"hexadecimal length", Field{Kind: Text, Coding: ascii, Length: 255, Prefix: l, Count: hx}, "0123456789", "3041 30313233343536373839"},
	} {
		for _, head := range []struct {
			mti, bitmap Coding
			n           int
			wire        string
		}{
			{dialect.BCD, bin, 48, "0200 0000000000010000"},
			{dialect.ASCII, hx, 48, "30323030 30303030303030303030303130303030"},
			{dialect.EBCDIC, dialect.EBCDICHex, 48, "F0F2F0F0 F0F0F0F0F0F0F0F0F0F0F0F1F0F0F0F0"},
			{dialect.BCD, bin, 70, "0200 8000000000000000 0400000000000000"},
			{dialect.EBCDIC, dialect.EBCDICHex, 70, "F0F2F0F0 F8F0F0F0F0F0F0F0F0F0F0F0F0F0F0F0 F0F4F0F0F0F0F0F0F0F0F0F0F0F0F0F0"},
			{dialect.BCD, bin, 130, "0200 8000000000000000 8000000000000000 4000000000000000"},
			{dialect.ASCII, hx, 192, "30323030 38303030303030303030303030303030 38303030303030303030303030303030 30303030303030303030303030303031"},
		} {
			s := one(t, head.n, c.f, head.mti, head.bitmap)
			want := unhex(t, head.wire+c.wire)
			b := s.Begin(nil, 0x0200)
			b.Put(head.n, []byte(c.value))
			got, err := b.End()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: %X, %v, want %X", c.name, got, err, want)
			}
			v := parse(t, s, want)
			if got := v.AppendText(nil, head.n); string(got) != c.value || v.MTI() != 0x0200 {
				t.Fatalf("%s: read as %q, MTI %s", c.name, got, v.MTI())
			}
			if s.Parse(v, want[:len(want)-1]) == nil || s.Parse(v, append(want, 0)) == nil {
				t.Errorf("%s: a byte less or more is read", c.name)
			}
		}
	}
}

// A third bitmap in the place of field 65 stands behind the fields up to 64.
func TestThirdBitmapInField65(t *testing.T) {
	s := triple(dialect.ThirdIn65, "bcd", dialect.Bytes)
	for _, c := range []struct {
		fields []int
		wire   string
	}{
		{[]int{11}, "0200 0020000000000000 000123"},
		{[]int{11, 70}, "0200 8020000000000000 0400000000000000 000123 0301"},
		{[]int{11, 192}, "0200 8020000000000000 8000000000000000 000123 0000000000000001 3132333435363738"},
		{[]int{11, 66, 70, 130, 192}, "0200 8020000000000000 C400000000000000 000123 4000000000000001 000006 0301 0412340000 3132333435363738"},
	} {
		values := map[int]string{11: "000123", 66: "000006", 70: "301", 130: "1234", 192: "12345678"}
		b := s.Begin([]byte("front"), 0x0200)
		for _, n := range c.fields {
			b.Put(n, []byte(values[n]))
		}
		got, err := b.End()
		want := unhex(t, c.wire)
		if len(c.fields) == 5 {
			want = unhex(t, "0200 8020000000000000 C400000000000000 000123 4000000000000001 000006 0301 041234 3132333435363738")
		}
		if err != nil || !bytes.Equal(got[5:], want) {
			t.Fatalf("%v: %X, %v", c.fields, got[5:], err)
		}
		v := parse(t, s, want)
		for n := 2; n <= MaxField; n++ {
			if got := string(v.AppendText(nil, n)); got != map[bool]string{true: values[n]}[v.Has(n)] {
				t.Errorf("F%d %q", n, got)
			}
		}
		all := s.Begin(nil, 0x0200)
		all.CopySet(v, Fields(c.fields...))
		if out, err := all.End(); err != nil || !bytes.Equal(out, want) {
			t.Errorf("copied: %X, %v", out, err)
		}
		for cut := range len(want) {
			var e *FieldError
			if err := s.Parse(v, want[:cut]); !errors.As(err, &e) || e.Offset > cut {
				t.Fatalf("%d bytes of %X: %v", cut, want, err)
			}
		}
	}
	if _, err := s.Declaration().Moov(); err == nil {
		t.Error("moov has words for that")
	}
	var v View
	var e *FieldError
	bad := unhex(t, "0200 8020000000000000 8000000000000000 000123 2000000000000000 00")
	if err := s.Parse(&v, bad); !errors.As(err, &e) || e.Field != 131 || e.Offset != 21 || e.Reason != NotInDialect {
		t.Errorf("F131: %v", err)
	}
}

// Values that do not pass their check are neither read nor built.
func TestChecksNameTheByte(t *testing.T) {
	d := &Declaration{Name: "checked", MTI: dialect.BCD, Bitmap: dialect.Bytes, Fields: map[int]Field{
		2:  {Kind: Numeric, Coding: dialect.BCD, Length: 19, Prefix: 2, Count: dialect.BCD, Check: dialect.Luhn},
		13: {Kind: Numeric, Coding: dialect.BCD, Length: 4, Check: dialect.MMDD},
		43: {Kind: Text, Coding: dialect.EBCDIC, Length: 4, Check: dialect.AlphaNumeric},
		52: {Kind: Numeric, Coding: dialect.BCDRight, Length: 11, Prefix: 2, Count: dialect.BCD, Check: dialect.Luhn},
		55: {Kind: Binary, Coding: dialect.Hex, Length: 99, Prefix: 2, Count: dialect.ASCII, Check: dialect.BERTLV},
	}}
	s, err := Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	loose := *d
	loose.Fields = map[int]Field{}
	for n, f := range d.Fields {
		f.Check = dialect.NoCheck
		loose.Fields[n] = f
	}
	free, err := Compile(&loose)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		n      int
		value  string
		offset int // -1: good
	}{
		{2, "79927398713", -1}, {2, "79927398714", 16}, {13, "0229", -1}, {13, "0230", 11}, {13, "1301", 10}, {43, "Ab 9", -1}, {43, "Ab-9", 12},
		{52, "79927398713", -1}, {52, "79927398714", 16}, {55, "\x95\x01\x00", -1}, {55, "\x95\x02\x00", 14},
	} {
		b := free.Begin(nil, 0x0200)
		b.Put(c.n, []byte(c.value))
		msg, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		var v View
		var e *FieldError
		err = s.Parse(&v, msg)
		if (err == nil) != (c.offset < 0) || err != nil && (!errors.As(err, &e) || e.Reason != Unfit || e.Field != c.n || e.Offset != c.offset || v.Has(c.n)) {
			t.Errorf("F%d %q: %v", c.n, c.value, err)
		}
		b = s.Begin([]byte("kept"), 0x0200)
		b.Put(c.n, []byte(c.value))
		if out, err := b.End(); (err == nil) != (c.offset < 0) || err != nil && string(out) != "kept" {
			t.Errorf("F%d %q is built: %X %v", c.n, c.value, out, err)
		}
	}
}

func TestElements(t *testing.T) {
	text := Field{Kind: Text, Coding: dialect.EBCDIC, Length: 99, Prefix: 2, Count: dialect.EBCDIC}
	tlv, ber, at := text, Field{Kind: Binary, Coding: dialect.Bytes, Length: 99, Prefix: 2, Count: dialect.BCD}, Field{Kind: Numeric, Coding: dialect.BCD, Length: 19, Prefix: 2, Count: dialect.BCD}
	tlv.Parts = &Parts{Form: dialect.TLV, Tag: 2, Length: 3, List: []Part{{Tag: "AS", Name: "金额 / amount"}}}
	ber.Parts = &Parts{Form: dialect.BER, List: []Part{{Tag: "9F26", Name: "密文 / cryptogram"}}}
	at.Parts = &Parts{List: []Part{{Name: "type", Length: 2}, {Name: "batch", At: 2, Length: 6}, {Name: "rest", At: 8}, {Name: "far", At: 15, Length: 2}}}
	for _, c := range []struct {
		f     Field
		value string
		want  []Element
		bad   int // offset from the value, -1: good
	}{
		{tlv, "AS003123XX000", []Element{{"AS", "金额 / amount", 5, []byte("123")}, {"XX", "", 13, []byte("")}}, -1},
		{tlv, "AS003123XX", []Element{{"AS", "金额 / amount", 5, []byte("123")}}, 8},
		{tlv, "AS00?123", nil, 4},
		{tlv, "AS0041", nil, 5},
		{ber, "\x9F\x26\x02\xAA\xBB\x00\x95\x00", []Element{{"9F26", "密文 / cryptogram", 3, []byte{0xAA, 0xBB}}, {"95", "", 8, []byte{}}}, -1},
		{ber, "\x95\x01", nil, 1},
		{at, "2200000600060", []Element{{"", "type", 0, []byte("22")}, {"", "batch", 2, []byte("000006")}, {"", "rest", 8, []byte("00060")}}, -1},
	} {
		s := one(t, 48, c.f, dialect.BCD, dialect.Bytes)
		b := s.Begin(nil, 0x0200)
		b.Put(48, []byte(c.value))
		msg, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		v := parse(t, s, msg)
		got, err := v.Elements(48)
		if len(got) != len(c.want) {
			t.Fatalf("%q: %+v", c.value, got)
		}
		for i, e := range got {
			w := c.want[i]
			if e.Tag != w.Tag || e.Name != w.Name || e.At != w.At || !bytes.Equal(e.Value, w.Value) {
				t.Errorf("%q: %+v, want %+v", c.value, e, w)
			}
		}
		var fe *FieldError
		if (err == nil) != (c.bad < 0) || err != nil && (!errors.As(err, &fe) || fe.Offset != v.spans[48].At()+c.bad) {
			t.Errorf("%q: %v", c.value, err)
		}
		if e, err := v.Elements(2); e != nil || err != nil {
			t.Error("elements of a field that is absent")
		}
	}
}
