package soft

import (
	"fmt"
	"testing"

	"tongka/hsm"
	"tongka/hsm/clear"
)

func TestOptions(t *testing.T) {
	for _, n := range []int{-1, 1<<24 + 1} {
		if _, err := NewWith(TestLMK(), Options{MaxKeys: n}); err == nil {
			t.Errorf("MaxKeys %d is taken", n)
		}
	}
	if got, want := (Options{MaxKeys: 10}).Bytes(), int64(10*keyBytes); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	if got, want := (Options{}).Bytes(), int64(defaultKeys*keyBytes); got != want {
		t.Errorf("by default %d bytes, want %d", got, want)
	}
}

func someKeys(t testing.TB, m *Module, n int) []hsm.Key {
	t.Helper()
	keys := make([]hsm.Key, n)
	for i := range keys {
		keys[i] = wrap(t, m, hsm.TAK, fmt.Sprintf("%032X", 0x1111111111111+i*2))
	}
	return keys
}

func TestCacheIsBoundedAndRight(t *testing.T) {
	const limit = 8
	m, err := NewWith(TestLMK(), Options{MaxKeys: limit})
	if err != nil {
		t.Fatal(err)
	}
	keys := someKeys(t, m, 50)
	want := make([][8]byte, len(keys))
	for i := range keys {
		want[i], _ = New(TestLMK()).CheckValue(hsm.TAK, &keys[i])
	}
	for step := range 2000 {
		i := step * step % len(keys)
		if got, code := m.CheckValue(hsm.TAK, &keys[i]); !code.OK() || got != want[i] {
			t.Fatalf("step %d, key %d: %X %v, want %X", step, i, got, code, want[i])
		}
		if len(m.cache.slots) > limit || len(m.cache.at) > limit {
			t.Fatalf("step %d: %d slots, %d names", step, len(m.cache.slots), len(m.cache.at))
		}
	}
	for n, i := range m.cache.at {
		if m.cache.slots[i].name != n {
			t.Errorf("slot %d holds another key than its name says", i)
		}
	}
}

func TestCacheKeepsWhatIsInUse(t *testing.T) {
	m, err := NewWith(TestLMK(), Options{MaxKeys: 8})
	if err != nil {
		t.Fatal(err)
	}
	keys := someKeys(t, m, 200)
	m.CheckValue(hsm.TAK, &keys[0])
	kept := m.cache.get(&name{key: keys[0], t: hsm.TAK}, nil)
	for i := range keys[1:] {
		m.CheckValue(hsm.TAK, &keys[1+i]) // asked for once
		m.CheckValue(hsm.TAK, &keys[0])
	}
	if m.cache.get(&name{key: keys[0], t: hsm.TAK}, nil) != kept {
		t.Error("a key that was used all the time was forgotten")
	}
}

func TestSameKeyOfAnotherTypeIsAnotherEntry(t *testing.T) {
	m := New(TestLMK())
	k := wrap(t, m, hsm.TAK, double)
	if _, code := m.CheckValue(hsm.TAK, &k); !code.OK() {
		t.Fatal(code)
	}
	if _, code := m.CheckValue(hsm.ZAK, &k); code != hsm.BadKey {
		t.Errorf("the kept key serves another type: %v", code)
	}
}

// hot are the requests of every transaction, ready to be repeated.
func hot(t testing.TB, m *Module) map[string]*hsm.Request {
	t.Helper()
	data := make([]byte, 176)
	pan := [12]byte([]byte(pan12))
	block, err := clear.EncryptPIN(unhex(t, double), []byte("123456"), &pan, hsm.ISO0)
	if err != nil {
		t.Fatal(err)
	}
	mac := wrap(t, m, hsm.TAK, double)
	pin := hsm.Request{Verb: hsm.TranslatePIN, From: hsm.ISO0, To: hsm.ISO0, PIN: block, PAN12: pan,
		Key: wrap(t, m, hsm.TPK, double), Key2: wrap(t, m, hsm.ZPK, second)}
	fill := pin
	fill.To = hsm.ISO3
	verify := hsm.Request{Verb: hsm.VerifyMAC, Key: mac, Data: data}
	verify.MAC = do(m, hsm.Request{Verb: hsm.MakeMAC, Key: mac, Data: data}).MAC
	card := func(v hsm.Verb, levels uint8) *hsm.Request {
		return &hsm.Request{Verb: v, Key: wrap(t, m, hsm.MKAC, double), More: &hsm.More{Card: hsm.Card{Levels: levels, Div: [3][8]byte{{1}, {2}}, Kind: hsm.PurseLoad, Amount: 100}}}
	}
	load := card(hsm.VerifyMAC1, 2)
	one, err := clear.NewPurse(unhex(t, double), &load.More.Card)
	if err != nil {
		t.Fatal(err)
	}
	tac := *load
	tac.Verb = hsm.VerifyTAC
	mac1, sign := one.MAC1(&load.More.Card), one.TAC(&load.More.Card)
	copy(load.MAC[:], mac1[:])
	copy(tac.MAC[:], sign[:])
	return map[string]*hsm.Request{
		"VerifyMAC1":         load,
		"MakeMAC2":           card(hsm.MakeMAC2, 1),
		"VerifyTAC":          &tac,
		"VerifyMAC-UnionPay": &verify,
		"MakeMAC-UnionPay":   {Verb: hsm.MakeMAC, Key: mac, Data: data},
		"MakeMAC-X919":       {Verb: hsm.MakeMAC, Alg: hsm.X919, Key: mac, Data: data},
		"TranslatePIN":       &pin,
		"TranslatePIN-fill":  &fill,
	}
}

func TestKnownKeysAllocateNothing(t *testing.T) {
	m := New(TestLMK())
	for name, q := range hot(t, m) {
		var r hsm.Reply
		if n := testing.AllocsPerRun(100, func() { m.Do(q, &r) }); n != 0 || !r.Code.OK() {
			t.Errorf("%s: %v allocations, %v", name, n, r.Code)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	m := New(TestLMK())
	for name, q := range hot(b, m) {
		b.Run(name, func(b *testing.B) {
			var r hsm.Reply
			b.ReportAllocs()
			for b.Loop() {
				m.Do(q, &r)
			}
		})
	}
	// Every request with a key that is not kept: unwrap, expand, evict.
	b.Run("MakeMAC-unknown-key", func(b *testing.B) {
		m, err := NewWith(TestLMK(), Options{MaxKeys: 1})
		if err != nil {
			b.Fatal(err)
		}
		keys := someKeys(b, m, 2)
		q := hsm.Request{Verb: hsm.MakeMAC, Data: make([]byte, 176)}
		var r hsm.Reply
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			q.Key = keys[i&1]
			m.Do(&q, &r)
		}
	})
}
