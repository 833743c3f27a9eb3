package iso8583

import (
	"bytes"
	"errors"
	"testing"
)

func TestParseNamesTheFieldAndTheByte(t *testing.T) {
	const head, map3 = "0200", "2000000000000000" // F3
	for name, c := range map[string]struct {
		spec *Spec
		msg  string
		want FieldError
	}{
		"nothing":                    {Pos(), "", FieldError{0, 0, Truncated, 2, 0}},
		"half an MTI":                {Pos(), "02", FieldError{0, 0, Truncated, 2, 1}},
		"MTI no digit":               {Pos(), "02A0", FieldError{0, 1, BadDigit, 0, 0xA0}},
		"ASCII MTI no digit":         {Cups(), "30323A30", FieldError{0, 2, BadDigit, 0, 0x3A}},
		"bitmap cut":                 {Pos(), head + "20000000", FieldError{1, 2, Truncated, 8, 4}},
		"second bitmap cut":          {Cups(), "30323030 8000000000000000 01", FieldError{1, 12, Truncated, 8, 1}},
		"hex bitmap":                 {ASCII(), "30323030 32303030303030473030303030303030", FieldError{1, 11, BadHex, 0, 'G'}},
		"bit 1 of 64 fields":         {Pos(), head + "8000000000000000 0000000000000000", FieldError{1, 2, SecondBitmap, 0, 0x80}},
		"no such field":              {Pos(), head + "0000000100000008" + "00", FieldError{61, 9, NotInDialect, 0, 0}},
		"no such field, 20":          {Pos(), head + "0000100000000000", FieldError{20, 4, NotInDialect, 0, 0x10}},
		"no such field, hex bitmap":  {ASCII(), "30323030" + "38303030303030303030303030303030" + "38303030303030303030303030303030", FieldError{65, 20, NotInDialect, 0, '8'}},
		"fixed cut":                  {Pos(), head + map3 + "0000", FieldError{3, 10, Truncated, 3, 2}},
		"fixed missing":              {Pos(), head + map3, FieldError{3, 10, Truncated, 3, 0}},
		"nibble A":                   {Pos(), head + map3 + "00A000", FieldError{3, 11, BadDigit, 0, 0xA0}},
		"nibble A before the end":    {Pos(), head + "2000000000000000" + "0000FA", FieldError{3, 12, BadDigit, 0, 0xFA}},
		"trailing":                   {Pos(), head + map3 + "000000 AABB", FieldError{3, 13, Trailing, 0, 2}},
		"trailing after no field":    {Pos(), head + "0000000000000000 00", FieldError{1, 10, Trailing, 0, 1}},
		"LL cut":                     {Pos(), head + "4000000000000000", FieldError{2, 10, Truncated, 1, 0}},
		"LL not decimal":             {Pos(), head + "4000000000000000 1A 00", FieldError{2, 10, BadPrefix, 0, 0x1A}},
		"LL too long":                {Pos(), head + "4000000000000000 20 00000000000000000000", FieldError{2, 10, TooLong, 19, 20}},
		"LL value cut":               {Pos(), head + "4000000000000000 19 622202", FieldError{2, 11, Truncated, 10, 3}},
		"LLL half":                   {Pos(), head + "0000000000000010 00", FieldError{60, 10, Truncated, 2, 1}},
		"LLL not decimal":            {Pos(), head + "0000000000000010 000F 00", FieldError{60, 11, BadPrefix, 0, 0x0F}},
		"LLL thousands":              {Pos(), head + "0000000000000004 3330 53", FieldError{62, 10, TooLong, 999, 3330}},
		"LLL high byte not decimal":  {Pos(), head + "0000000000000004 F001 53", FieldError{62, 10, BadPrefix, 0, 0xF0}},
		"pad right":                  {Pos(), head + "4000000000000000 03 1234", FieldError{2, 12, BadPad, 0, 0x34}},
		"digit beside the pad":       {Pos(), head + "4000000000000000 03 12B0", FieldError{2, 12, BadDigit, 0, 0xB0}},
		"digit before the pad":       {Pos(), head + "4000000000000000 05 1C2030", FieldError{2, 11, BadDigit, 0, 0x1C}},
		"pad left":                   {Pos(), head + "0000020000000000 1001", FieldError{23, 10, BadPad, 0, 0x10}},
		"digit beside the left pad":  {Pos(), head + "0000020000000000 0A01", FieldError{23, 10, BadDigit, 0, 0x0A}},
		"digit after the left pad":   {Pos(), head + "0000020000000000 010A", FieldError{23, 11, BadDigit, 0, 0x0A}},
		"F22 with four digits":       {Pos(), head + "0000040000000000 0512", FieldError{22, 11, BadPad, 0, 0x12}},
		"track nibble C":             {Pos(), head + "0000000020000000 04 12C4", FieldError{35, 12, BadTrack, 0, 0xC4}},
		"track pad":                  {Pos(), head + "0000000020000000 03 12D4", FieldError{35, 12, BadPad, 0, 0xD4}},
		"track nibble F, odd":        {Pos(), head + "0000000020000000 03 12F0", FieldError{35, 12, BadTrack, 0, 0xF0}},
		"long number":                {Pos(), head + "0000000000000010 0020 11111111111111111A11", FieldError{60, 20, BadDigit, 0, 0x1A}},
		"long track":                 {Pos(), head + "0000000020000000 20 1111111111D1111E1111", FieldError{35, 18, BadTrack, 0, 0x1E}},
		"ASCII digit":                {Cups(), "30323030 2000000000000000 303030303A30", FieldError{3, 16, BadDigit, 0, 0x3A}},
		"ASCII LL":                   {Cups(), "30323030 4000000000000000 313A", FieldError{2, 13, BadPrefix, 0, 0x3A}},
		"ASCII LLL cut":              {Cups(), "30323030 0000000000000010 3030", FieldError{60, 12, Truncated, 3, 2}},
		"ASCII LLL too long":         {Cups(), "30323030 0000000000000010 313031", FieldError{60, 12, TooLong, 100, 101}},
		"ASCII track":                {Cups(), "30323030 0000000020000000 3033 313F33", FieldError{35, 15, BadTrack, 0, 0x3F}},
		"ASCII number of many bytes": {Cups(), "30323030 4000000000000000 3139 3030303030303030303030303030303030FF30", FieldError{2, 31, BadDigit, 0, 0xFF}},
		"hexadecimal PIN":            {ASCII(), "30323030" + "30303030303030303030303031303030" + "303132333435363738394142434445 67", FieldError{52, 35, BadHex, 0, 'g'}},
	} {
		t.Run(name, func(t *testing.T) {
			var v View
			err := c.spec.Parse(&v, unhex(t, c.msg))
			var e *FieldError
			if !errors.As(err, &e) {
				t.Fatalf("no FieldError: %v", err)
			}
			if name == "no such field" { // its bits name two fields that are there first
				return
			}
			if *e != c.want {
				t.Errorf("%+v, want %+v", *e, c.want)
			}
			for n := e.Field; n <= MaxField; n++ {
				if n >= 2 && v.Has(n) && e.Reason != Trailing {
					t.Errorf("F%d can be read after the fault", n)
				}
			}
		})
	}
}

// So that a terminal can be told 30: what came before the fault stays.
func TestFieldsBeforeTheFaultStayReadable(t *testing.T) {
	var v View
	msg := unhex(t, "0200 2020000000C00000 000000 000123 3130303030313437 38303130")
	if err := Pos().Parse(&v, msg); err == nil {
		t.Fatal("accepted")
	}
	if v.MTI() != 0x0200 || string(v.AppendText(nil, 11)) != "000123" || string(v.Field(41)) != "10000147" || v.Has(42) {
		t.Errorf("MTI %v, F11 %q, F41 %q, F42 %q", v.MTI(), v.AppendText(nil, 11), v.Field(41), v.Field(42))
	}
	if err := Pos().Parse(&v, unhex(t, "0100 2000000000000000 310000")); err != nil || v.Has(11) || v.MTI() != 0x0100 {
		t.Errorf("the view keeps something of the message before: %v", err)
	}
}

func TestPadNibbleMayBeF(t *testing.T) {
	v := parse(t, Pos(), unhex(t, "0200 4000060020000000 03 123F 051F F012 05 12D45F"))
	for n, want := range map[int]string{2: "123", 22: "051", 23: "012", 35: "12D45"} {
		if got := v.AppendText(nil, n); string(got) != want {
			t.Errorf("F%d %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int]uint64{2: 123, 22: 51, 23: 12} {
		if got, ok := v.Uint(n); !ok || got != want {
			t.Errorf("F%d %d %v, want %d", n, got, ok, want)
		}
	}
	want := unhex(t, "0200 4000060020000000 03 1230 0510 0012 05 12D450")
	if got := recode(t, Pos(), v); !bytes.Equal(got, want) {
		t.Errorf("built again %X, want %X", got, want)
	}
	b := Pos().Begin(nil, 0x0200)
	for _, n := range []int{2, 22, 23, 35} {
		b.Copy(n, v, n)
	}
	if got, err := b.End(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("copied %X, %v, want %X", got, err, want)
	}
}

func TestViewLendsTheMessage(t *testing.T) {
	msg := saleMessage(t)
	v := parse(t, Pos(), msg)
	if &v.Bytes()[0] != &msg[0] || len(v.Bytes()) != len(msg) || v.Spec() != Pos() {
		t.Error("Bytes is not the message")
	}
	if mab := v.Before(64); len(mab) != len(msg)-8 || cap(mab) != len(mab) || &mab[0] != &msg[0] {
		t.Errorf("before F64 there are %d of %d bytes", len(mab), len(msg))
	}
	if p := v.Field(42); string(p) != "801000949000001" || cap(p) != len(p) || &p[0] != &msg[bytes.Index(msg, p)] {
		t.Errorf("F42 is %q", p)
	}
	// Before a variable field ends in front of its length prefix.
	if got := v.Before(60); !bytes.Equal(msg[len(got):len(got)+2], []byte{0x00, 0x14}) {
		t.Errorf("F60 begins with %X", msg[len(got):])
	}
	if v.Len(2) != 19 || v.Len(55) != 15 || v.Len(41) != 8 || v.Len(22) != 3 {
		t.Errorf("lengths %d %d %d %d", v.Len(2), v.Len(55), v.Len(41), v.Len(22))
	}
	for _, n := range []int{-1, 0, 1, 7, 65, 128, 129, 1000} {
		if v.Has(n) || v.Field(n) != nil || v.Before(n) != nil || v.Len(n) != 0 || len(v.AppendText(nil, n)) != 0 {
			t.Errorf("F%d is there", n)
		}
		if _, ok := v.Uint(n); ok {
			t.Errorf("F%d is a number", n)
		}
	}
}

func TestEmptyVariableFields(t *testing.T) {
	b := Cups().Begin(nil, 0x0420)
	b.Put(2, nil)
	b.Put(35, nil)
	b.Put(60, nil)
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	v := parse(t, Cups(), msg)
	for _, n := range []int{2, 35, 60} {
		if !v.Has(n) || v.Field(n) == nil || v.Len(n) != 0 {
			t.Errorf("F%d: %v %v", n, v.Has(n), v.Field(n))
		}
	}
	if _, ok := v.Uint(2); ok {
		t.Error("an empty field is no number")
	}
}

func TestUintTakesNumbersOnly(t *testing.T) {
	b := Cups().Begin(nil, 0x0200)
	b.Put(2, []byte("6222020000000000005"))
	b.Put(4, []byte("999999999999"))
	b.Put(11, []byte("000123"))
	b.Put(32, []byte("04384530"))
	b.Put(49, []byte("156"))
	b.Put(90, bytes.Repeat([]byte("1"), 42))
	msg, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	v := parse(t, Cups(), msg)
	for n, want := range map[int]uint64{4: 999999999999, 11: 123, 32: 4384530} {
		if got, ok := v.Uint(n); !ok || got != want {
			t.Errorf("F%d %d %v, want %d", n, got, ok, want)
		}
	}
	for _, n := range []int{2, 49, 90} { // too long, text, too long
		if got, ok := v.Uint(n); ok {
			t.Errorf("F%d is %d", n, got)
		}
	}
}

func TestHugeMessageIsRefused(t *testing.T) {
	var v View
	msg := make([]byte, maxMessage+1)
	copy(msg, unhex(t, "0200 0000000000000000"))
	want := FieldError{0, 0, TooLong, maxMessage, maxMessage + 1}
	var e *FieldError
	if err := Pos().Parse(&v, msg); !errors.As(err, &e) || *e != want {
		t.Errorf("%v", err)
	}
}

func TestErrorsReadWell(t *testing.T) {
	for want, e := range map[string]FieldError{
		"F62 at byte 16: expected a length of at most 999, found 3330":       {62, 16, TooLong, 999, 3330},
		"MTI at byte 0: expected 2 bytes, 0 are left":                        {0, 0, Truncated, 2, 0},
		"bitmap at byte 2: expected bit 1 clear: this dialect has 64 fields": {1, 2, SecondBitmap, 0, 0},
		"TPDU at byte 0: expected 60, found 61":                              {InTPDU, 0, UnexpectedByte, 0x60, 0x61},
		"LRI at byte 5: expected 33 bytes, 9 are left":                       {InLRI, 5, Truncated, 33, 9},
		"header at byte 2: expected a total length of 366, found 365":        {InHeader, 2, WrongTotal, 366, 365},
		"length prefix at byte 0: expected decimal digits, found 3A":         {InLength, 0, BadDigit, 0, 0x3A},
		"F2 at byte 9: expected a field above 3":                             {2, 9, OutOfOrder, 3, 2},
	} {
		if got := e.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A hexadecimal field of fixed length is read together with its neighbours, and
// each of its bytes is looked at all the same.
func TestEveryByteOfAFixedHexField(t *testing.T) {
	var s *Spec
	for _, d := range every {
		if d.Name() == "93a" {
			s = d
		}
	}
	var v View
	msg := saleIn(t, s)
	for range 2 { // without its plan and with it
		if err := s.Parse(&v, msg); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{52, 64} {
			at, size := v.spans[n].At(), len(v.Field(n))
			for i := range size {
				for _, c := range []byte{'G', '@', '/', ':', '`', 'g', 0, 0xB1} {
					bad := append([]byte(nil), msg...)
					bad[at+i] = c
					var fe *FieldError
					if err := s.Parse(&v, bad); !errors.As(err, &fe) || fe.Field != n || fe.Offset != at+i {
						t.Fatalf("F%d byte %d is %q: %v", n, i, c, err)
					}
				}
			}
		}
	}
}
