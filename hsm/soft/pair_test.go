package soft

import (
	"crypto/des"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tongka/hsm"
)

// Two together get what each would get alone, whatever is wrong with either.
func TestPairIsTwoAlone(t *testing.T) {
	m, alone := New(TestLMK()), New(TestLMK())
	r := rand.New(rand.NewPCG(3, 4))
	keys := []hsm.Key{wrap(t, m, hsm.TAK, double), wrap(t, m, hsm.TAK, second), wrap(t, m, hsm.ZAK, second), {}}
	hints := make([]uint32, len(keys))
	request := func() hsm.Request {
		i := r.IntN(len(keys))
		q := hsm.Request{Verb: hsm.MakeMAC, Type: hsm.TAK, Alg: hsm.MACAlg(r.IntN(4) / 2), Key: keys[i], Data: make([]byte, r.IntN(60))}
		for j := range q.Data {
			q.Data[j] = byte(r.Uint32())
		}
		switch r.IntN(5) {
		case 0:
			q.Type = hsm.ZAK
		case 1:
			q.Verb = hsm.CheckValue
		case 2, 3:
			made := do(alone, q)
			q.Verb, q.MAC = hsm.VerifyMAC, made.MAC
			if r.IntN(3) == 0 {
				q.MAC[r.IntN(8)] ^= 1 << r.IntN(8)
			}
		}
		if r.IntN(2) == 0 {
			q.Hint = &hints[i]
		}
		return q
	}
	seen := map[hsm.Code]int{}
	for range 5000 {
		q := [2]hsm.Request{request(), request()}
		var got [2]hsm.Reply
		m.DoPair(&q, &got)
		for i := range q {
			want := do(alone, q[i])
			if got[i] != want {
				t.Fatalf("%+v\nin a pair %+v\nalone     %+v", q[i], got[i], want)
			}
			seen[want.Code]++
		}
	}
	for _, code := range []hsm.Code{hsm.Done, hsm.Mismatch, hsm.BadDataLength} {
		if seen[code] == 0 {
			t.Errorf("no request ended with %s: the test tries too little", code[:])
		}
	}
}

// A hint may be stale: it never makes another's key answer.
func TestHintIsOnlyAHint(t *testing.T) {
	m, err := NewWith(TestLMK(), Options{MaxKeys: 2})
	if err != nil {
		t.Fatal(err)
	}
	var hint uint32
	alone := New(TestLMK())
	for i := range 40 {
		k := wrap(t, m, hsm.TAK, fmt.Sprintf("%030X%02X", 7, i%5*2))
		q := hsm.Request{Verb: hsm.MakeMAC, Key: k, Data: []byte("data"), Hint: &hint}
		if got, want := do(m, q), do(alone, hsm.Request{Verb: hsm.MakeMAC, Key: k, Data: []byte("data")}); got != want {
			t.Fatalf("key %d: %+v, want %+v", i, got, want)
		}
	}
}

func BenchmarkMAC(b *testing.B) {
	m := New(TestLMK())
	var hint uint32
	q := hsm.Request{Verb: hsm.MakeMAC, Key: wrap(b, m, hsm.TAK, double), Data: make([]byte, 176), Hint: &hint}
	two := [2]hsm.Request{q, q}
	var r [2]hsm.Reply
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Do(&q, &r[0])
		}
	})
	b.Run("pair", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.DoPair(&two, &r)
		}
	})
	// The same machine may be busy: the best of many short turns, and how many blocks of
	// the library's triple DES take as long as one MAC, whose two blocks hang on each other.
	b.Run("against-library", func(b *testing.B) {
		ref, err := des.NewTripleDESCipher(append(unhex(b, double), unhex(b, double)[:8]...))
		if err != nil {
			b.Fatal(err)
		}
		const turns = 100
		var block [8]byte
		best := [2]time.Duration{time.Hour, time.Hour}
		for b.Loop() {
			for i, f := range []func(){func() { ref.Encrypt(block[:], block[:]) }, func() { m.Do(&q, &r[0]) }} {
				from := time.Now()
				for range turns {
					f()
				}
				best[i] = min(best[i], time.Since(from)/turns)
			}
		}
		b.ReportMetric(float64(best[1].Nanoseconds()), "best-ns/MAC")
		b.ReportMetric(float64(best[1])/float64(best[0]), "library-blocks/MAC")
	})
}
