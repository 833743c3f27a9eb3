package iso8583

import (
	"bytes"
	"errors"
	"testing"
)

func TestRunCarriesFieldsAsTheyStand(t *testing.T) {
	msg := saleMessage(t)
	var v View
	if err := Pos().Parse(&v, msg); err != nil {
		t.Fatal(err)
	}
	b := Pos().Begin(nil, v.MTI())
	for _, r := range []Run{v.Run(2, 11), v.Run(12, 13), v.Run(14, 35), v.Run(41, 42), v.Run(49, 55), v.Run(56, 64)} {
		if r.Empty() != (r.at == r.end) {
			t.Error("an empty run has no bytes")
		}
		b.PutRun(&r, msg)
	}
	out, err := b.End()
	if err != nil || !bytes.Equal(out, msg) {
		t.Errorf("%v\n%x\n%x", err, out, msg)
	}
}

func TestRunOfACopy(t *testing.T) {
	lent := saleMessage(t)
	want := bytes.Clone(lent)
	var v View
	if err := Pos().Parse(&v, lent); err != nil {
		t.Fatal(err)
	}
	kept := bytes.Clone(lent)
	all := v.Run(2, 64)
	clear(lent)
	b := Pos().Begin(nil, 0x0200)
	b.PutRun(&all, kept)
	if out, err := b.End(); err != nil || !bytes.Equal(out, want) {
		t.Errorf("%v %x", err, out)
	}
}

// Of a message that is bad from F41 on, runs end with what is good.
func TestRunsOfABrokenMessageEndBeforeTheFault(t *testing.T) {
	msg := saleMessage(t)
	var v View
	if err := Pos().Parse(&v, msg); err != nil {
		t.Fatal(err)
	}
	cut := msg[:v.spans[41].At()+3]
	if Pos().Parse(&v, cut) == nil {
		t.Fatal("accepted")
	}
	r, none := v.Run(2, 64), v.Run(41, 64)
	b := Pos().Begin(nil, 0x0200)
	b.PutRun(&r, cut)
	b.PutRun(&none, cut)
	out, err := b.End()
	if err != nil || !bytes.Equal(out[10:], cut[10:len(cut)-3]) {
		t.Errorf("%X of %X, %v", out, cut, err)
	}
}

func TestEncodeAndFaultsOfRuns(t *testing.T) {
	r, wire, err := Cups().Encode(func(b *Builder) {
		b.Put(32, []byte("48023310"))
		b.Put(33, []byte("48020000"))
	})
	if err != nil {
		t.Fatal(err)
	}
	b := Cups().Begin(nil, 0x0200)
	b.PutUint(11, 7)
	b.PutRun(&r, wire)
	b.PutUint(70, 301)
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	var v View
	if err := Cups().Parse(&v, out); err != nil || string(v.Field(33)) != "48020000" || string(v.Field(70)) != "301" {
		t.Errorf("%v F33 %s", err, v.Field(33))
	}
	if _, _, err := Cups().Encode(func(b *Builder) { b.PutUint(70, 301) }); err == nil {
		t.Error("a run above field 64")
	}
	for what, fill := range map[string]func(*Builder){
		"out of order":    func(b *Builder) { b.PutUint(37, 1); b.PutRun(&r, wire) },
		"another dialect": func(b *Builder) { b.PutRun(&r, wire) },
	} {
		s := Cups()
		if what == "another dialect" {
			s = Pos()
		}
		b := s.Begin(nil, 0x0200)
		fill(&b)
		var fe *FieldError
		if _, err := b.End(); !errors.As(err, &fe) || fe.Field != 32 {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestPutUintOfEveryWidth(t *testing.T) {
	for _, v := range []uint64{0, 7, 99, 100, 123456, 999999} {
		for _, s := range []*Spec{Pos(), Cups()} {
			fast, slow := s.Begin(nil, 0x0200), s.Begin(nil, 0x0200)
			fast.PutUint(4, v)
			fast.PutUint(11, v)
			fast.PutUint(37, v)
			var d [20]byte
			digits := func(n int) []byte {
				x := v
				for i := range n {
					d[n-1-i] = '0' + byte(x%10)
					x /= 10
				}
				return d[:n]
			}
			slow.Put(4, digits(12))
			slow.Put(11, digits(6))
			slow.Put(37, digits(12))
			a, err := fast.End()
			b, err2 := slow.End()
			if err != nil || err2 != nil || !bytes.Equal(a, b) {
				t.Errorf("%s %d: %x %x %v %v", s.Name(), v, a, b, err, err2)
			}
		}
	}
	b := Pos().Begin(nil, 0x0200)
	b.PutUint(11, 1_000_000)
	if _, err := b.End(); err == nil {
		t.Error("seven digits in F11")
	}
}
