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
	n1, n2 := Namer{[32]byte{1}}, Namer{[32]byte{2}}
	token := n1.Card(&a)
	if again := n1.Card(&a); token != again || token == n1.Card(&b) || token == n2.Card(&a) || n1.Card(&txn.PAN{}) != "" || len(token) != 16 {
		t.Error("tokens")
	}
	if string(n1.Key("x")) == string(n1.Key("y")) || string(n1.Key("x")) == string(n2.Key("x")) {
		t.Error("keys of names")
	}
}
