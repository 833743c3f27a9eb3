package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRing(t *testing.T) {
	a, b, c := [32]byte{1}, [32]byte{2}, [32]byte{3}
	secret := []byte("a secret of the store")
	sealed, err := (&Ring{Key: a}).Wrap("here", secret)
	if err != nil || len(sealed) != len(secret)+Extra || bytes.Contains(sealed, secret) {
		t.Fatalf("%x %v", sealed, err)
	}
	if again, err := (&Ring{Key: a}).Wrap("here", secret); err != nil || bytes.Equal(again, sealed) {
		t.Fatalf("the same bytes twice, so the same salt: %v", err)
	}
	for _, x := range []struct {
		ring   Ring
		newest bool
	}{{Ring{Key: a}, true}, {Ring{Key: b, Old: [][32]byte{c, a}}, false}, {Ring{Key: a, Old: [][32]byte{a, b}}, true}} {
		got, newest, err := x.ring.Unwrap("here", sealed)
		if err != nil || newest != x.newest || !bytes.Equal(got, secret) {
			t.Errorf("%v %v %v", got, newest, err)
		}
	}
	for name, r := range map[string]Ring{"another": {Key: b}, "others": {Key: b, Old: [][32]byte{c, {}}}} {
		check := Check(&a)
		if _, _, err := r.Unwrap("here", sealed); !errors.Is(err, ErrOther) || !strings.Contains(err.Error(), fmt.Sprintf("%X", check)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := (&Ring{Key: a}).Unwrap("there", sealed); !errors.Is(err, ErrDamaged) {
		t.Errorf("in another place: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, _, err := (&Ring{Key: a}).Unwrap("here", bad); !errors.Is(err, ErrDamaged) && (i >= CheckSize || !errors.Is(err, ErrOther)) {
			t.Errorf("byte %d changed: %v", i, err)
		}
		if _, _, err := (&Ring{Key: a}).Unwrap("here", sealed[:i]); err == nil {
			t.Errorf("cut to %d", i)
		}
	}
}

func TestCheckTellsKeysApart(t *testing.T) {
	seen := map[[CheckSize]byte]bool{}
	for i := range 256 {
		seen[Check(&[32]byte{31: byte(i)})] = true
	}
	if len(seen) != 256 {
		t.Errorf("%d values of 256 keys", len(seen))
	}
	n := 0
	if (&Ring{Old: make([][32]byte, 3)}).Each(func(_ *[32]byte, newest bool) bool { n++; return newest != (n == 1) }) || n != 4 {
		t.Errorf("%d keys", n)
	}
}
