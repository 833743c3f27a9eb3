package iso8583

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"tongka/codec/iso8583/internal/dialect"
	"tongka/codec/iso8583/internal/table"
)

// randomRun is a message of one dialect and fields of it to be copied into
// another; most messages have only what both have.
func randomRun(t *testing.T, r *rand.Rand) (from, to *Spec, v *View, first, last int) {
	from, to = every[r.IntN(len(every))], every[r.IntN(len(every))]
	m := randomMessage(r, from, []float64{0.1, 0.4, 0.9}[r.IntN(3)])
	for n := range m {
		switch {
		case to.Kind(n) == Absent && r.IntN(40) > 0:
			m[n] = nil
		case m[n] != nil && from.Kind(n) == Text && r.IntN(8) > 0:
			m[n] = bytes.Repeat([]byte("7"), len(m[n])) // text that is a number
		}
		if m[n] != nil && to.Kind(n) != Absent && len(m[n]) > int(to.fields[n].Max) && r.IntN(20) > 0 {
			m[n] = m[n][:to.fields[n].Max]
			if from.Fixed(n) {
				m[n] = nil
			}
		}
	}
	msg := m.build(t, from, 0x0200)
	if v = parse(t, from, msg); r.IntN(3) == 0 {
		dirtyPads(v)
	}
	first = 2 + r.IntN(64)
	return from, to, v, first, first + r.IntN(129-first)
}

// dirtyPads makes F of the pad nibbles that Parse takes.
func dirtyPads(v *View) {
	for n := 2; n <= 128; n++ {
		p := v.Field(n)
		if f := &v.spec.fields[n]; v.Has(n) && f.Coding >= table.PackedLeft && v.Len(n)&1 == 1 {
			if f.Coding == table.PackedRight {
				p[0] |= 0xF0
			} else {
				p[len(p)-1] |= 0x0F
			}
		}
	}
}

// CopyRun must write what a call of Copy for each field writes, and refuse what
// that refuses, however much room there is.
func TestCopyRunIsCopyOfEachField(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 8583))
	done, refused := 0, 0
	for range 6000 {
		from, to, v, first, last := randomRun(t, r)
		for _, room := range []int{0, r.IntN(400), 8000} {
			one, all := to.Begin(make([]byte, 0, room), 0x0200), to.Begin(make([]byte, 0, room), 0x0200)
			if r.IntN(10) == 0 && to.Kind(11) != Absent {
				one.PutUint(11, 7)
				all.PutUint(11, 7)
			}
			for n := first; n <= last; n++ {
				one.Copy(n, v, n)
			}
			all.CopyRun(v, first, last)
			all.CopyRun(v, first, first-1)
			want, err1 := one.End()
			got, err2 := all.End()
			if !bytes.Equal(got, want) || (err1 == nil) != (err2 == nil) {
				t.Fatalf("%s to %s, F%d..%d:\nof %X\nrun  %X, %v\neach %X, %v", from.Name(), to.Name(), first, last, v.Bytes(), got, err2, want, err1)
			}
			if err1 == nil {
				done++
				continue
			}
			refused++
			var a, b *FieldError
			if !errors.As(err1, &a) || !errors.As(err2, &b) || *a != *b {
				t.Fatalf("run: %v, each: %v", err2, err1)
			}
		}
	}
	if done < 5000 || refused < 1000 {
		t.Errorf("%d done and %d refused: the test does not test both", done, refused)
	}
}

// The same with some fields of a message.
func TestCopySetIsCopyOfItsFields(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 8583))
	for range 2000 {
		_, to, v, from, last := randomRun(t, r)
		var numbers []int
		one := to.Begin(nil, 0x0200)
		for n := from; n <= last; n++ {
			if r.IntN(3) > 0 {
				numbers = append(numbers, n)
				one.Copy(n, v, n)
			}
		}
		want, err1 := one.End()
		first := to.Begin(make([]byte, 0, 8000), 0x0200)
		first.CopySet(v, Fields(numbers...)) // which only makes the plan
		some := to.Begin(make([]byte, 0, 8000), 0x0200)
		some.CopySet(v, Fields(numbers...))
		got, err2 := some.End()
		if !bytes.Equal(got, want) || (err1 == nil) != (err2 == nil) {
			t.Fatalf("F%v of %X:\nset  %X, %v\neach %X, %v", numbers, v.Bytes(), got, err2, want, err1)
		}
	}
}

// What stands behind a message in the caller's array, beyond the capacity that
// A set with holes is not copied as if the message had them, too: between F23 and
// F25 of a packed terminal stands its network (F24), which no bank is told.
func TestCopySetPassesOverWhatStandsBetween(t *testing.T) {
	for _, set := range [][]int{{22, 23, 25, 26}, {41, 42, 49}, {53, 70}, {3, 12, 90}} {
		for _, from := range []*Spec{BCD(), ASCII(), ASCIIRaw(), Binary87()} {
			b := from.Begin(nil, 0x0200)
			for n := 2; n <= 90; n++ {
				if from.Fixed(n) && from.Kind(n) == Numeric {
					b.PutUint(n, uint64(n%10))
				} else if from.Fixed(n) && from.Kind(n) == Text {
					b.Put(n, []byte("7"))
				}
			}
			msg, err := b.End()
			if err != nil {
				t.Fatal(err)
			}
			v := parse(t, from, msg)
			for range 3 { // the first call only makes the plan
				one, all := ASCIIRaw().Begin(make([]byte, 0, 999), 0x0200), ASCIIRaw().Begin(make([]byte, 0, 999), 0x0200)
				for _, n := range set {
					one.Copy(n, v, n)
				}
				all.CopySet(v, Fields(set...))
				want, err1 := one.End()
				if got, err2 := all.End(); !bytes.Equal(got, want) || err1 != nil || err2 != nil {
					t.Errorf("%s %v:\nset  %q %v\neach %q %v", from.Name(), set, got, err2, want, err1)
				}
			}
		}
	}
}

// was given, stays as it is.
func TestCopyRunStaysWithinItsCapacity(t *testing.T) {
	v := parse(t, Pos(), saleMessage(t))
	whole, err := toCups(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	for room := range len(whole) + 20 {
		array := bytes.Repeat([]byte{0xEE}, 600)
		if out, err := toCups(array[:0:room], v); err != nil || !bytes.Equal(out, whole) {
			t.Fatalf("%d bytes of room: %X, %v", room, out, err)
		}
		if rest := array[room:]; bytes.Count(rest, []byte{0xEE}) != len(rest) {
			t.Fatalf("%d bytes of room: written beyond", room)
		}
	}
}

// A view that has seen bitmaps of this kind reads as one that sees them for the
// first time: the same places, the same verdict, the same error.
func TestShapesReadAsFieldsOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 8583))
	good, bad := 0, 0
	for range 20000 {
		s := every[r.IntN(len(every))]
		m := randomMessage(r, s, 0.1)
		msg := m.build(t, s, 0x0200)
		parse(t, s, msg) // learns
		switch r.IntN(4) {
		case 0:
			msg[r.IntN(len(msg))] ^= 1 << r.IntN(8)
		case 1:
			msg[s.first+r.IntN(len(msg)-s.first+1)-1] = byte(r.IntN(256))
		case 2:
			msg = msg[:len(msg)-r.IntN(3)]
		}
		var v, w View
		err1 := s.Parse(&v, msg)
		w.spec, w.msg = s, msg
		off, low, high := s.parseHead(&w, msg)
		w.bits = [3]uint64{low, high}
		var err2 error = &w.err
		if off >= 0 && s.third == dialect.ThirdFollows {
			off = w.readThird(off)
		}
		if off >= 0 {
			err2 = w.parseFields(off)
		}
		if (err1 == nil) != (err2 == nil) || err1 != nil && *err1.(*FieldError) != *err2.(*FieldError) || v.bits != w.bits {
			t.Fatalf("%s %X: %v, one by one %v", s.Name(), msg, err1, err2)
		}
		if err1 != nil {
			bad++
			continue
		}
		good++
		for n := 2; n <= MaxField; n++ {
			if v.Has(n) && v.spans[n&255] != w.spans[n&255] {
				t.Fatalf("%s F%d at %d, one by one at %d", s.Name(), n, v.spans[n&255].At(), w.spans[n&255].At())
			}
		}
	}
	if good < 5000 || bad < 2000 {
		t.Errorf("%d good and %d bad: the test does not test both", good, bad)
	}
}

// Bitmaps at random fill what is kept of them and no more; then nothing is
// allocated and all goes on.
func TestHostileBitmapsAllocateNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 8583))
	msgs := make([][]byte, 3000)
	for i := range msgs {
		m := randomMessage(r, Pos(), 0.2)
		m[48], m[60], m[61], m[62] = nil, nil, nil, nil
		msgs[i] = m.build(t, Pos(), 0x0200)
	}
	var v View
	buf, i := make([]byte, 0, 16<<10), 0
	step := func() {
		msg := msgs[i%len(msgs)]
		i++
		if err := Pos().Parse(&v, msg); err != nil {
			t.Fatal(err)
		}
		b := Pos().Begin(buf[:0], 0x0200)
		b.CopyRun(&v, 2, 64)
		if out, err := b.End(); err != nil || !bytes.Equal(out, msg) {
			t.Fatalf("%X, %v", out, err)
		}
	}
	for range msgs {
		step()
	}
	if n := testing.AllocsPerRun(len(msgs), step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSpecsLearnConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(g/2, 8583)) // two of them meet the same messages
			for range 300 {
				m := randomMessage(r, Cups(), 0.3)
				m[48], m[60], m[61] = nil, nil, nil
				v := parse(t, Cups(), m.build(t, Cups(), 0x0200))
				b := ASCII().Begin(nil, 0x0200)
				b.CopyRun(v, 2, 128)
				out, err := b.End()
				if err != nil {
					t.Error(err)
					return
				}
				got := values(parse(t, ASCII(), out))
				got.diff(t, &m)
			}
		})
	}
	wg.Wait()
}

// Numbers of any length, in every coding, as one value and packed.
func TestNumbersAreThatOfTheText(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 8583))
	for range 5000 {
		s := every[r.IntN(len(every))]
		n := fieldOf(r, s)
		var m message
		m[n] = randomValue(r, s, n)
		v := parse(t, s, m.build(t, s, 0x0200))
		if r.IntN(2) == 0 {
			dirtyPads(v)
		}
		var want uint64
		ok := s.Kind(n) == Numeric && len(m[n]) > 0 && len(m[n]) <= 18
		for _, c := range m[n] {
			if ok {
				want = want*10 + uint64(c-'0')
			}
		}
		packed := []byte("x")
		if s.Kind(n) == Numeric {
			packed = append(packed, make([]byte, (len(m[n])+1)/2)...)
			for i, c := range m[n] {
				packed[1+i/2] |= c & 15 << (4 - 4*(i&1))
			}
		}
		if p := v.AppendPacked([]byte("x"), n); !bytes.Equal(p, packed) {
			t.Fatalf("%s F%d %q: packed %X", s.Name(), n, m[n], p)
		}
		if got, fine := v.Uint(n); got != want || fine != ok {
			t.Fatalf("%s F%d %q: %d, %v", s.Name(), n, m[n], got, fine)
		}
	}
}
