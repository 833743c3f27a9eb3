package soft

import (
	"bytes"
	"encoding/binary"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
)

// aLoad is a load of card number i, with its counter at seq.
func aLoad(i uint32, seq uint16) hsm.Card {
	c := hsm.Card{Family: hsm.TUnion, Levels: 1, Kind: hsm.PurseLoad, Balance: 100 * i, Amount: 5000, Seq: seq,
		Terminal: [6]byte{0x31, 0x20, 0, 0, 0, 1}, Time: [7]byte{0x20, 0x26, 0x11}}
	binary.BigEndian.PutUint32(c.Random[:], i*0x9E3779B1+uint32(seq))
	binary.BigEndian.PutUint32(c.Div[0][4:], i)
	return c
}

// Of more loads than keys are kept for, each gets the codes that its own card makes, in
// whatever order the bank answers.
func TestLoadsBetweenEachOther(t *testing.T) {
	m := New(TestLMK())
	master := bytes.Repeat([]byte{0x12, 0x35}, 8)
	key, err := m.Wrap(hsm.MKAC, master)
	if err != nil {
		t.Fatal(err)
	}
	const cards = 3 * keptLoads
	ask := func(v hsm.Verb, i int, seq uint16) {
		t.Helper()
		c := aLoad(uint32(i), seq)
		own, err := clear.NewPurse(master, &c)
		if err != nil {
			t.Fatal(err)
		}
		q := hsm.Request{Verb: v, Key: key, More: &hsm.More{Card: c}}
		mac := own.MAC1(&c)
		copy(q.MAC[:], mac[:])
		var r hsm.Reply
		m.Do(&q, &r)
		if v == hsm.MakeMAC2 {
			if want := own.MAC2(&c); !r.Code.OK() || [4]byte(r.MAC[:4]) != want {
				t.Fatalf("card %d, counter %d: MAC2 %X, %v; want %X", i, seq, r.MAC[:4], r.Code, want)
			}
			return
		}
		if !r.Code.OK() {
			t.Fatalf("card %d, counter %d: MAC1: %v", i, seq, r.Code)
		}
		q.MAC[3] ^= 1
		if m.Do(&q, &r); r.Code != hsm.Mismatch {
			t.Fatalf("card %d: a wrong MAC1: %v", i, r.Code)
		}
	}
	for seq := range uint16(2) {
		for i := range cards {
			ask(hsm.VerifyMAC1, i, seq)
		}
		for i := range cards {
			ask(hsm.MakeMAC2, cards-1-i, seq)
		}
	}
}

// What a session key depends on is all in its name: the same random and counter of another
// card, or under another master key, is another session.
func TestLoadsOfOneRandom(t *testing.T) {
	m := New(TestLMK())
	masters := [][]byte{bytes.Repeat([]byte{0x12, 0x35}, 8), bytes.Repeat([]byte{0x33, 0x45}, 8)}
	one := aLoad(1, 1)
	other, deep := one, one
	other.Div[0][0] = 9
	deep.Levels = 2
	for range 2 {
		for _, master := range masters {
			key, err := m.Wrap(hsm.MKAC, master)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []hsm.Card{one, other, deep} {
				own, err := clear.NewPurse(master, &c)
				if err != nil {
					t.Fatal(err)
				}
				var r hsm.Reply
				m.Do(&hsm.Request{Verb: hsm.MakeMAC2, Key: key, More: &hsm.More{Card: c}}, &r)
				if want := own.MAC2(&c); !r.Code.OK() || [4]byte(r.MAC[:4]) != want {
					t.Errorf("MAC2 %X, %v; want %X", r.MAC[:4], r.Code, want)
				}
			}
		}
	}
	broken := hsm.Key{Scheme: 'U', N: 16} // zeros are of even parity
	var r hsm.Reply
	for range 2 {
		if m.Do(&hsm.Request{Verb: hsm.MakeMAC2, Key: broken, More: &hsm.More{Card: one}}, &r); r.Code != hsm.BadKey {
			t.Errorf("a key of another LMK: %v", r.Code)
		}
	}
}

// A load as the switch does it: of many cards, each step when all have done the one before.
func BenchmarkLoad(b *testing.B) {
	m := New(TestLMK())
	key, err := m.Wrap(hsm.MKAC, bytes.Repeat([]byte{0x12, 0x35}, 8))
	if err != nil {
		b.Fatal(err)
	}
	var r hsm.Reply
	more := &hsm.More{}
	q := hsm.Request{Key: key, More: more}
	b.ReportAllocs()
	const together = 64
	for at := uint32(0); b.Loop(); at += together {
		for _, v := range []hsm.Verb{hsm.VerifyMAC1, hsm.MakeMAC2, hsm.VerifyTAC} {
			for i := range uint32(together) {
				more.Card = aLoad(at+i, 1)
				q.Verb = v
				m.Do(&q, &r)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/together, "ns/load")
}

// Sign-ins one after the other, each with a terminal's master key of its own.
func BenchmarkSignIn(b *testing.B) {
	m := New(TestLMK())
	tmks := someKeys(b, m, 500)
	for i := range tmks {
		k, err := m.Wrap(hsm.TMK, []byte{16, 16, 16, 16, byte(2 * i), byte(i >> 7 << 1), 16, 16, 16, 16, 16, 16, 16, 16, 16, 16})
		if err != nil {
			b.Fatal(err)
		}
		tmks[i] = k
	}
	var r hsm.Reply
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for _, t := range []hsm.KeyType{hsm.TPK, hsm.TAK} {
			m.Do(&hsm.Request{Verb: hsm.GenerateKey, Type: t, Key: tmks[i%len(tmks)]}, &r)
			if !r.Code.OK() {
				b.Fatal(r.Code)
			}
			m.Do(&hsm.Request{Verb: hsm.CheckValue, Type: t, Key: r.Key}, &r)
		}
	}
}

// Cards that draw the same randoms have places of their own, and so have the loads of one
// card.
func TestPlacesOfLoads(t *testing.T) {
	for name, of := range map[string]func(i int) hsm.Card{
		"cards of one random": func(i int) hsm.Card { c := aLoad(uint32(i), 1); c.Random = [4]byte{1, 2, 3, 4}; return c },
		"randoms of one card": func(i int) hsm.Card { c := aLoad(7, 1); c.Random[3] = byte(i); return c },
	} {
		places := map[int]bool{}
		for i := range keptLoads / 4 {
			c := of(i)
			n := loadName{levels: c.Levels, div: c.Div}
			c.SessionData(n.data[:0])
			if at := n.place(); at < 0 || at >= keptLoads {
				t.Fatalf("place %d", at)
			} else {
				places[at] = true
			}
		}
		if len(places) < keptLoads/5 { // chance would give 226 of 256
			t.Errorf("%s: %d places for %d", name, len(places), keptLoads/4)
		}
	}
}
