package journal

import (
	"testing"

	"tongka/txn"
)

func TestDebtChangeRoundTrip(t *testing.T) {
	want := DebtChange{What: DebtGivenUp, Form: 1, Link: 513, Offers: 77, Code: txn.OK}
	b := AppendDebtChange(nil, &want)
	if got, err := ReadDebtChange(b); err != nil || got != want {
		t.Fatalf("%+v %v", got, err)
	}
	for i := range b {
		if _, err := ReadDebtChange(b[:i]); err == nil {
			t.Errorf("%d bytes pass", i)
		}
	}
	for at, v := range map[int]byte{0: 2, 1: 99} {
		c := append([]byte(nil), b...)
		c[at] = v
		if _, err := ReadDebtChange(c); err == nil {
			t.Errorf("byte %d = %d passes", at, v)
		}
	}
	if DebtDelivered.String() != "delivered" || OwingEvent(0).String() != "invalid" {
		t.Error("names")
	}
}

// Who has the key can tell cards apart, and nobody reads a number from a token.
func TestCardToken(t *testing.T) {
	a, _ := txn.ParsePAN([]byte("6225880000000003"))
	b, _ := txn.ParsePAN([]byte("62258800000000030"))
	k1, k2 := [32]byte{1}, [32]byte{2}
	token := CardToken(&k1, &a)
	if again := CardToken(&k1, &a); token != again || CardToken(&k1, &a) == CardToken(&k1, &b) ||
		CardToken(&k1, &a) == CardToken(&k2, &a) || CardToken(&k1, &txn.PAN{}) != "" || len(CardToken(&k1, &a)) != 16 {
		t.Error("tokens")
	}
}
