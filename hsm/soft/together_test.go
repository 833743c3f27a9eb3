package soft

import (
	"crypto/des"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tongka/hsm"
)

// Each of many gets what it would get alone, whatever is wrong with it or another,
// however many they are.
func TestTogetherIsEachAlone(t *testing.T) {
	m, alone := New(TestLMK()), New(TestLMK())
	r := rand.New(rand.NewPCG(3, 4))
	keys := []hsm.Key{wrap(t, m, hsm.TAK, double), wrap(t, m, hsm.TAK, second), wrap(t, m, hsm.ZAK, second), {}}
	hints := make([]uint32, len(keys))
	request := func() hsm.Request {
		i := r.IntN(len(keys))
		q := hsm.Request{Verb: hsm.MakeMAC, Type: hsm.TAK, Alg: hsm.MACAlg(r.IntN(6) / 2), Key: keys[i], Data: make([]byte, r.IntN(60))}
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
	for n := range 131 {
		for range 3 {
			q, got := make([]hsm.Request, n), make([]hsm.Reply, n)
			for i := range q {
				q[i] = request()
			}
			m.DoAll(q, got)
			for i := range q {
				want := do(alone, q[i])
				if got[i] != want {
					t.Fatalf("%d of %d: %+v\ntogether %+v\nalone    %+v", i, n, q[i], got[i], want)
				}
				seen[want.Code]++
			}
		}
	}
	for _, code := range []hsm.Code{hsm.Done, hsm.Mismatch, hsm.BadDataLength} {
		if seen[code] == 0 {
			t.Errorf("no request ended with %s: the test tries too little", code[:])
		}
	}
}

// A small cache forgets keys while their codes wait to be made.
func TestTogetherUnderMoreKeysThanAreKept(t *testing.T) {
	m, err := NewWith(TestLMK(), Options{MaxKeys: 2})
	if err != nil {
		t.Fatal(err)
	}
	alone, hint := New(TestLMK()), uint32(0)
	var q [40]hsm.Request
	var r [40]hsm.Reply
	for i := range q {
		k := wrap(t, alone, hsm.TAK, fmt.Sprintf("%030X%02X", 7, i*2))
		q[i] = hsm.Request{Verb: hsm.MakeMAC, Key: k, Data: []byte("data"), Hint: &hint}
	}
	m.DoAll(q[:], r[:])
	for i := range q {
		if want := do(alone, hsm.Request{Verb: hsm.MakeMAC, Key: q[i].Key, Data: q[i].Data}); r[i] != want {
			t.Errorf("key %d: %+v, want %+v", i, r[i], want)
		}
	}
}

func TestTogetherAllocatesNothing(t *testing.T) {
	m := New(TestLMK())
	var hint uint32
	var q [40]hsm.Request
	var r [40]hsm.Reply
	for i := range q {
		q[i] = hsm.Request{Verb: hsm.MakeMAC, Key: wrap(t, m, hsm.TAK, double), Data: make([]byte, 100), Hint: &hint}
	}
	if n := testing.AllocsPerRun(50, func() { m.DoAll(q[:], r[:]) }); n != 0 {
		t.Errorf("%v allocations", n)
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
	var many [hsm.Together]hsm.Request
	for i := range many {
		many[i] = q
	}
	var r [hsm.Together]hsm.Reply
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Do(&q, &r[0])
		}
	})
	b.Run("together", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.DoAll(many[:], r[:])
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(many)), "ns/MAC")
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
