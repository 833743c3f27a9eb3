package soft

import (
	"fmt"
	"strings"
	"testing"

	"tongka/hsm"
)

func TestLMKNeverPrintsItsKeys(t *testing.T) {
	l := TestLMK()
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		got := fmt.Sprintf(format, l)
		if !strings.Contains(got, "2686040000000000") || !strings.Contains(got, "TEST") || strings.Contains(got, "7902") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestModuleSaysThatItsLMKIsPublic(t *testing.T) {
	if !New(TestLMK()).LMK().Test() {
		t.Error("nobody would be warned")
	}
}

func TestNewLMK(t *testing.T) {
	known := TestLMK()
	same, err := NewLMK(known.pairs)
	if err != nil || !same.Test() {
		t.Errorf("the public pairs, typed in, are not known again (%v)", err)
	}
	pairs := known.pairs
	pairs[7][0] ^= 6 // parity stays odd
	own, err := NewLMK(pairs)
	if err != nil || own.Test() || own.check == known.check || strings.Contains(own.String(), "TEST") {
		t.Errorf("%v, %v", own, err)
	}
	pairs[19][15] ^= 1
	if _, err := NewLMK(pairs); err == nil || !strings.Contains(err.Error(), "38-39") {
		t.Errorf("even parity: %v", err)
	}
}

func TestKeysOfAnotherLMKAreRefused(t *testing.T) {
	m := New(TestLMK())
	pairs := m.lmk.pairs
	pairs[7][1] ^= 6
	l, err := NewLMK(pairs)
	if err != nil {
		t.Fatal(err)
	}
	k := wrap(t, m, hsm.TPK, double)
	if _, code := New(l).CheckValue(hsm.TPK, &k); code != hsm.BadKey {
		t.Error(code)
	}
}

func TestSchemesDiffer(t *testing.T) {
	m := New(TestLMK())
	key := unhex(t, double)
	u, _ := m.seal(hsm.TPK, 'U', key)
	x, _ := m.seal(hsm.TPK, 'X', key)
	if u.B == x.B {
		t.Error("scheme U has no variants")
	}
	for _, k := range []*hsm.Key{&u, &x} {
		if kcv, code := m.CheckValue(hsm.TPK, k); !code.OK() || fmt.Sprintf("%X", kcv) != "08D7B4FB629D0885" {
			t.Errorf("scheme %c: %X %v", k.Scheme, kcv, code)
		}
	}
	// The halves of a U key cannot change places.
	swapped := u
	copy(swapped.B[:8], u.B[8:16])
	copy(swapped.B[8:], u.B[:8])
	if _, code := m.CheckValue(hsm.TPK, &swapped); code != hsm.BadKey {
		t.Errorf("swapped halves: %v", code)
	}
	triple := wrap(t, m, hsm.TPK, double+second[:16])
	if triple.Scheme != 'T' || triple.N != 24 {
		t.Errorf("triple length: %s", triple)
	}
	if _, code := m.CheckValue(hsm.TPK, &triple); !code.OK() {
		t.Error(code)
	}
}
