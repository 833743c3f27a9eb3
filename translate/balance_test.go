package translate

import (
	"testing"

	"tongka/codec/iso8583"
	"tongka/txn"
)

// balanceMessage is a balance enquiry by track 2, with a PIN, and F4 as given:
// absent, or zero as some terminals send it.
func balanceMessage(t *testing.T, amount ...uint64) []byte {
	t.Helper()
	b := iso8583.Pos().Begin(nil, 0x0200)
	b.PutUint(3, 310000)
	for _, a := range amount {
		b.PutUint(4, a)
	}
	b.PutUint(11, 77)
	b.PutUint(22, 21)
	b.PutUint(25, 0)
	b.PutUint(26, 12)
	b.Put(35, []byte("6225880000000003D30122010000000000000"))
	b.Put(41, []byte("T0000001"))
	b.Put(42, []byte("898310048160001"))
	b.Put(49, []byte("156"))
	b.Put(52, []byte("12345678"))
	b.Put(53, []byte("2600000000000000"))
	b.Put(60, []byte("01000007000501"))
	b.Put(64, make([]byte, 8))
	out, err := b.End()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBalanceGoesToTheBankAndBack(t *testing.T) {
	for _, amount := range [][]uint64{nil, {0}} {
		v, f, e, code := read(t, balanceMessage(t, amount...))
		if code != zero || f.Kind != txn.Balance || f.Amount != 0 || f.Proc != 310000 || f.Trace != 77 || f.Batch != 7 || f.PAN.String() != "622588******0003" {
			t.Fatalf("amount %v: code %v: %+v", amount, code, f)
		}
		var c Clock
		f.ID, f.At, f.Sent = 7_000_123, arrival, arrival
		out, err := bank(t).AppendRequest(nil, &v, &f, nil, &e, []byte("PINBLOCK"), &c)
		if err != nil {
			t.Fatal(err)
		}
		q := parseBank(t, out)
		for n, want := range map[int]string{3: "310000", 11: "000123", 22: "021", 25: "00", 26: "12", 37: "325007000123", 41: "T0000001", 52: "PINBLOCK"} {
			if got := string(q.AppendText(nil, n)); got != want {
				t.Errorf("amount %v: F%d is %q, want %q", amount, n, got, want)
			}
		}
		if q.MTI() != 0x0200 || q.Has(4) {
			t.Errorf("amount %v: %v with F4 %q", amount, q.MTI(), q.Field(4))
		}
	}
}

func TestBalanceAnswerCarriesTheBalance(t *testing.T) {
	_, f, e, _ := read(t, balanceMessage(t))
	ab := iso8583.Cups().Begin(nil, 0x0210)
	ab.PutUint(11, 123)
	ab.Put(37, []byte("325007000123"))
	ab.Put(39, []byte("00"))
	ab.Put(54, []byte("0202156C000000123456"))
	raw, err := ab.End()
	if err != nil {
		t.Fatal(err)
	}
	var bv iso8583.View
	if err := iso8583.Cups().Parse(&bv, raw); err != nil {
		t.Fatal(err)
	}
	var c Clock
	f.ID, f.At, f.Code = 7_000_123, arrival, txn.OK
	out, err := door(t).AppendAnswer(nil, &f, &e, &Answer{Bank: &bv, Sealed: true}, &c)
	if err != nil {
		t.Fatal(err)
	}
	var a iso8583.View
	if err := iso8583.Pos().Parse(&a, out); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{3: "310000", 11: "000077", 39: "00", 41: "T0000001", 54: "0202156C000000123456", 60: "01000007000501"} {
		if got := string(a.AppendText(nil, n)); got != want {
			t.Errorf("F%d is %q, want %q", n, got, want)
		}
	}
	if a.MTI() != 0x0210 || a.Has(4) || a.Has(52) || a.Has(63) || !a.Has(64) {
		t.Errorf("%v: F4 %v, F52 %v, F63 %v, F64 %v", a.MTI(), a.Has(4), a.Has(52), a.Has(63), a.Has(64))
	}
}

// What is not a balance enquiry by one digit is not taken for one, and what is
// cut short is refused with its code.
func TestHostileBalance(t *testing.T) {
	for _, c := range []struct {
		what string
		edit func(b *iso8583.Builder)
		kind txn.Kind
		code txn.Code
	}{
		{"F3 with one digit off", func(b *iso8583.Builder) { b.PutUint(3, 320000); b.PutUint(11, 7) }, txn.Unknown, txn.NotSupported},
		{"no F3", func(b *iso8583.Builder) { b.PutUint(11, 7) }, txn.Unknown, txn.NotSupported},
		{"an amount", func(b *iso8583.Builder) { b.PutUint(3, 310000); b.PutUint(4, 1); b.PutUint(11, 7) }, txn.Balance, txn.BadAmount},
		{"no trace", func(b *iso8583.Builder) { b.PutUint(3, 310000) }, txn.Balance, txn.BadFormat},
		{"a short card", func(b *iso8583.Builder) { b.Put(2, []byte("62258800000")); b.PutUint(3, 310000); b.PutUint(11, 7) }, txn.Balance, txn.BadCard},
	} {
		b := iso8583.Pos().Begin(nil, 0x0200)
		c.edit(&b)
		b.Put(41, []byte("T0000001"))
		b.Put(42, []byte("898310048160001"))
		b.Put(60, []byte("01000007"))
		msg, err := b.End()
		if err != nil {
			t.Fatal(err)
		}
		if _, f, _, code := read(t, msg); f.Kind != c.kind || code != c.code {
			t.Errorf("%s: %v %v, want %v %v", c.what, f.Kind, code, c.kind, c.code)
		}
	}
}
