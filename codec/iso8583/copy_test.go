package iso8583

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"tongka/codec/iso8583/internal/table"
)

// Copy must write what Put writes of the canonical value, between all fields
// of all dialects, and refuse what Put refuses; only the separator of a packed
// track becomes = in ASCII, where Put keeps what it is given.
func TestCopyIsPutOfTheCanonicalValue(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 8583))
	done, refused := 0, 0
	for range 20000 {
		from, to := every[r.IntN(len(every))], every[r.IntN(len(every))]
		n, m := fieldOf(r, from), fieldOf(r, to)
		if r.IntN(2) == 0 && to.Kind(n) != Absent {
			m = n // mostly the same field, as a switch does
		}
		var src message
		src[n] = randomValue(r, from, n)
		if from.Kind(n) == Text && r.IntN(2) == 0 {
			src[n] = bytes.Repeat([]byte("7"), len(src[n])) // text that is a number
		}
		v := parse(t, from, src.build(t, from, 0x0200))
		value := v.AppendText(nil, n)
		if from.fields[n].Coding == table.PackedTrack && to.fields[m].Coding == table.Track {
			value = bytes.ReplaceAll(value, []byte("D"), []byte("="))
		}
		put, copied := to.Begin(make([]byte, 0, r.IntN(200)), 0x0200), to.Begin(make([]byte, 0, r.IntN(200)), 0x0200)
		put.Put(m, value)
		copied.Copy(m, v, n)
		want, err1 := put.End()
		got, err2 := copied.End()
		if (err1 == nil) != (err2 == nil) || !bytes.Equal(got, want) {
			t.Fatalf("%s F%d %q to %s F%d:\ncopied %X, %v\nput    %X, %v", from.Name(), n, value, to.Name(), m, got, err2, want, err1)
		}
		if err1 != nil {
			refused++
			var a, b *FieldError
			if !errors.As(err1, &a) || !errors.As(err2, &b) || *a != *b {
				t.Fatalf("copied: %v, put: %v", err2, err1)
			}
			continue
		}
		done++
	}
	if done < 5000 || refused < 1000 {
		t.Errorf("%d done and %d refused: the test does not test both", done, refused)
	}
}

func fieldOf(r *rand.Rand, s *Spec) int {
	for {
		if n := 2 + r.IntN(127); s.Kind(n) != Absent {
			return n
		}
	}
}

// A sale goes to the bank's dialect and back and is the same.
func TestThereAndBack(t *testing.T) {
	msg := saleMessage(t)
	bank, err := toCups(nil, parse(t, Pos(), msg))
	if err != nil {
		t.Fatal(err)
	}
	v := parse(t, Cups(), bank)
	for n, want := range map[int]string{2: "6222020000000000005", 22: "051", 23: "001", 35: "6222020000000000005=30122010000000000", 60: "22000006000601", 128: "D2C1FB4B"} {
		if got := string(v.Field(n)); got != want {
			t.Errorf("at the bank F%d is %q, want %q", n, got, want)
		}
	}
	back, err := toPos(nil, v)
	if err != nil || !bytes.Equal(back, msg) {
		t.Errorf("%X, %v, want %X", back, err, msg)
	}
}

func TestCopyOfAnAbsentFieldWritesNothing(t *testing.T) {
	v := parse(t, Pos(), saleMessage(t))
	b := Cups().Begin(nil, 0x0200)
	b.Copy(7, v, 7)
	b.Copy(5, v, 5) // the order does not count then
	b.Copy(200, v, 1)
	at := b.Offset()
	if out, err := b.End(); err != nil || len(out) != at || at != 20 {
		t.Errorf("%X, %v", out, err)
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	msg := saleMessage(t)
	frame := append([]byte("\x60\x00\x03\x00\x00\x60\x31\x00\x31\x13\x02"), msg...)
	bad := bytes.Clone(msg)
	bad[11] = 0xFF
	var v, w View
	var env Envelope
	buf, back, text := make([]byte, 0, 512), make([]byte, 0, 512), make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(200, func() {
		m, err := Pos().Split(frame, &env)
		if err != nil {
			t.Fatal(err)
		}
		if err := Pos().Parse(&v, m); err != nil {
			t.Fatal(err)
		}
		if buf, err = toCups(AppendCupsHeader(buf[:0], "00010000", "04384530"), &v); err != nil {
			t.Fatal(err)
		}
		PatchCupsLength(buf, len(buf))
		if m, err = Cups().Split(buf, &env); err != nil {
			t.Fatal(err)
		}
		if err := Cups().Parse(&w, m); err != nil {
			t.Fatal(err)
		}
		if back, err = toPos(Pos().AppendReplyEnvelope(back[:0], &env), &w); err != nil {
			t.Fatal(err)
		}
		b := Pos().Begin(back[:0], v.MTI().Reply())
		b.PutUint(11, 123)
		b.Put(39, []byte("00"))
		if back, err = b.End(); err != nil {
			t.Fatal(err)
		}
		text = v.AppendText(text[:0], 35)
		if _, ok := v.Uint(4); !ok || len(v.Before(64)) == 0 || len(v.Field(42)) == 0 {
			t.Fatal("F4, F64 or F42")
		}
		if Pos().Parse(&v, bad) == nil {
			t.Fatal("accepted")
		}
		if _, err = Pos().Split(frame[1:], &env); err == nil {
			t.Fatal("accepted")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
