package iso8583

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestPutPadsFixedFields(t *testing.T) {
	for name, c := range map[string]struct {
		spec  *Spec
		n     int
		value string
		wire  string
	}{
		"number":              {Pos(), 4, "12345", "000000012345"},
		"number, even left":   {Pos(), 3, "1", "000001"},
		"F22 left, full":      {Pos(), 22, "051", "0510"},
		"F22 left, two":       {Pos(), 22, "51", "0510"},
		"F22 left, one":       {Pos(), 22, "1", "0010"},
		"F23 right, full":     {Pos(), 23, "123", "0123"},
		"F23 right, two":      {Pos(), 23, "12", "0012"},
		"F23 right, one":      {Pos(), 23, "1", "0001"},
		"F23 right, none":     {Pos(), 23, "", "0000"},
		"text":                {Pos(), 42, "AB", "4142 20202020202020202020202020"},
		"odd LL":              {Pos(), 2, "123", "03 1230"},
		"LLL":                 {Pos(), 60, "22000001000601", "0014 22000001000601"},
		"track":               {Pos(), 35, "12=45", "05 12D450"},
		"binary":              {Pos(), 52, "\x00\x01\x02\x03\x04\x05\x06\x07", "0001020304050607"},
		"ASCII number":        {Cups(), 4, "12345", "303030303030303132333435"},
		"ASCII text":          {Cups(), 39, "0", "3020"},
		"ASCII LL":            {Cups(), 32, "04384530", "3038 3034333834353330"},
		"ASCII LLL":           {Cups(), 60, "0000", "303034 30303030"},
		"ASCII track keeps D": {Cups(), 35, "12D45", "3035 3132443435"},
		"hexadecimal":         {ASCII(), 52, "\x01\x23\x45\x67\x89\xAB\xCD\xEF", "30313233343536373839414243444546"},
	} {
		b := c.spec.Begin(nil, 0x0200)
		at := b.Offset()
		b.Put(c.n, []byte(c.value))
		msg, err := b.End()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if want := unhex(t, c.wire); !bytes.Equal(msg[at:], want) {
			t.Errorf("%s: %X, want %X", name, msg[at:], want)
		}
	}
}

func TestPutUint(t *testing.T) {
	for name, c := range map[string]struct {
		spec  *Spec
		n     int
		value uint64
		want  string
	}{
		"packed":        {Pos(), 11, 123, "000123"},
		"packed zero":   {Pos(), 4, 0, "000000000000"},
		"packed left":   {Pos(), 22, 51, "051"},
		"packed right":  {Pos(), 23, 2, "002"},
		"ASCII":         {Cups(), 11, 999999, "999999"},
		"variable":      {Cups(), 32, 4384530, "4384530"},
		"variable zero": {Cups(), 32, 0, "0"},
		"text":          {Cups(), 37, 123456789, "000123456789"},
		"very long":     {Cups(), 90, 18446744073709551615, "0000000000000000000000" + "18446744073709551615"},
	} {
		b := c.spec.Begin(nil, 0x0200)
		b.PutUint(c.n, c.value)
		msg, err := b.End()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v := parse(t, c.spec, msg)
		if got := v.AppendText(nil, c.n); string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestBuilderNamesTheFirstFault(t *testing.T) {
	for name, c := range map[string]struct {
		spec *Spec
		put  func(b *Builder)
		want FieldError
	}{
		"too long":        {Pos(), func(b *Builder) { b.Put(3, []byte("0000000")) }, FieldError{3, 10, TooLong, 6, 7}},
		"LL too long":     {Pos(), func(b *Builder) { b.Put(2, make([]byte, 20)) }, FieldError{2, 10, TooLong, 19, 20}},
		"no digit":        {Pos(), func(b *Builder) { b.Put(3, []byte("00x000")) }, FieldError{3, 10, BadDigit, 0, 'x'}},
		"no track":        {Cups(), func(b *Builder) { b.Put(35, []byte("12?")) }, FieldError{35, 20, BadTrack, 0, '?'}},
		"out of order":    {Pos(), func(b *Builder) { b.Put(4, nil); b.Put(3, nil) }, FieldError{3, 16, OutOfOrder, 4, 3}},
		"twice":           {Pos(), func(b *Builder) { b.Put(4, nil); b.PutUint(4, 1) }, FieldError{4, 16, OutOfOrder, 4, 4}},
		"unknown":         {Pos(), func(b *Builder) { b.Put(70, []byte("001")) }, FieldError{70, 10, NotInDialect, 0, 0}},
		"the bitmap":      {Pos(), func(b *Builder) { b.Put(1, nil) }, FieldError{1, 10, NotInDialect, 0, 0}},
		"negative":        {Pos(), func(b *Builder) { b.Put(-5, nil) }, FieldError{-5, 10, NotInDialect, 0, 0}},
		"beyond":          {Pos(), func(b *Builder) { b.Put(129, nil) }, FieldError{129, 10, NotInDialect, 0, 0}},
		"short binary":    {Pos(), func(b *Builder) { b.Put(64, []byte("1234")) }, FieldError{64, 10, WrongLength, 8, 4}},
		"number too big":  {Pos(), func(b *Builder) { b.PutUint(11, 1000000) }, FieldError{11, 10, TooLong, 6, 7}},
		"number to text":  {Pos(), func(b *Builder) { b.PutUint(43, 1) }, FieldError{43, 10, WrongLength, 40, 20}},
		"number to bytes": {Pos(), func(b *Builder) { b.PutUint(52, 1) }, FieldError{}},
		"the first stays": {Pos(), func(b *Builder) { b.Put(3, []byte("x")); b.Put(4, []byte("y")); b.PutUint(2, 1) }, FieldError{3, 10, BadDigit, 0, 'x'}},
	} {
		b := c.spec.Begin([]byte("in front"), 0x0200)
		c.put(&b)
		out, err := b.End()
		if c.want == (FieldError{}) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var e *FieldError
		if !errors.As(err, &e) || *e != c.want || string(out) != "in front" {
			t.Errorf("%s: %+v, %q, want %+v", name, err, out, c.want)
		}
	}
}

// The MAC is put as zeros and patched when the bytes before it are known.
func TestOffsetIsWhereTheMACWillBe(t *testing.T) {
	front := []byte("envelope")
	b := Pos().Begin(front, 0x0200)
	b.Put(3, []byte("000000"))
	at := b.Offset()
	b.Put(64, make([]byte, 8))
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	copy(out[len(front)+at:], "MACMACMA")
	v := parse(t, Pos(), out[len(front):])
	if string(v.Field(64)) != "MACMACMA" || len(v.Before(64)) != at || string(out[:len(front)]) != "envelope" {
		t.Errorf("F64 %q, before it %d bytes, want %d", v.Field(64), len(v.Before(64)), at)
	}
}

func TestSecondBitmap(t *testing.T) {
	for name, c := range map[string]struct {
		spec *Spec
		high bool
		want string
	}{
		"cups has both always":  {Cups(), false, "30383230 80000000000000000000000000000000"},
		"cups with F70":         {Cups(), true, "30383230 82200000000000000400000000000000 30373133303335303231 303031303830 333031"},
		"ASCII on demand":       {ASCIIRaw(), false, "30383230 0000000000000000"},
		"ASCII with F70":        {ASCIIRaw(), true, "30383230 82200000000000000400000000000000 30373133303335303231 303031303830 333031"},
		"BCD with F70":          {BCD(), true, "0820 82200000000000000400000000000000 0713035021 001080 0301"},
		"hexadecimal with F70":  {ASCII(), true, "30383230 38323230303030303030303030303030 30343030303030303030303030303030 30373133303335303231 303031303830 333031"},
		"hexadecimal on demand": {ASCII(), false, "30383230 30303030303030303030303030303030"},
	} {
		b := c.spec.Begin(nil, 0x0820)
		if c.high {
			b.Put(7, []byte("0713035021"))
			b.Put(11, []byte("001080"))
			b.Put(70, []byte("301"))
		}
		out, err := b.End()
		if err != nil || !bytes.Equal(out, unhex(t, c.want)) {
			t.Errorf("%s: %X, %v", name, out, err)
		}
	}
}

// Whatever room the caller's buffer has, the same bytes come out, what was in
// it stays, and nothing behind its capacity is touched.
func TestBuilderGrowsTheBuffer(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 8583))
	for range 200 {
		s := every[r.IntN(len(every))]
		m := randomMessage(r, s, 0.3)
		want := m.build(t, s, 0x0200)
		v := parse(t, s, want)
		room := r.IntN(len(want) + 20)
		whole := bytes.Repeat([]byte{0xEE}, room+40)
		b := s.Begin(whole[4:8:8+room], 0x0200)
		for n := 2; n <= MaxField; n++ {
			if r.IntN(2) == 0 {
				b.Copy(n, v, n)
			} else if v.Has(n) {
				b.Put(n, m[n])
			}
		}
		out, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out[4:], want) {
			t.Fatalf("%s: with room %d\n%X, want\n%X", s.Name(), room, out[4:], want)
		}
		if !bytes.Equal(out[:4], []byte{0xEE, 0xEE, 0xEE, 0xEE}) || !bytes.Equal(whole[8+room:], bytes.Repeat([]byte{0xEE}, 32)) {
			t.Fatalf("bytes outside were touched: %X", whole)
		}
	}
}
