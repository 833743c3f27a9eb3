package flow

import (
	"testing"

	"tongka/txn"
)

func FuzzChain(f *testing.F) {
	f.Add(AppendChain(nil, &Chain{Closed: 7, By: txn.Void, Refunded: 5, Tip: 3}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ReadChain(b)
		if err != nil {
			return
		}
		if again, err := ReadChain(AppendChain(nil, &c)); err != nil || again != c {
			t.Fatalf("%+v came back as %+v: %v", c, again, err)
		}
	})
}

func TestChainFaults(t *testing.T) {
	good := AppendChain(nil, &Chain{Closed: 7, By: txn.Void})
	for _, b := range [][]byte{good[:1], good[:len(good)-1], append(good[:len(good):len(good)], 0), append([]byte{2}, good[1:]...)} {
		if _, err := ReadChain(b); err == nil {
			t.Errorf("%x is taken", b)
		}
	}
	if c, err := ReadChain(nil); err != nil || c != (Chain{}) {
		t.Errorf("nothing stored: %+v %v", c, err)
	}
}
