package sale

import (
	"bytes"
	"testing"

	"tongka/codec/iso8583"
	"tongka/hsm"
	"tongka/hsm/clear"
)

func TestEnquiryParsesAndHasItsMAC(t *testing.T) {
	term := NewTerminal(5)
	r, err := NewEnquiry(&term)
	if err != nil {
		t.Fatal(err)
	}
	f := r.Frame(4711)
	var v iso8583.View
	if err := iso8583.Pos().Parse(&v, f[posMTI:]); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{2: term.PAN, 3: "310000", 4: "000000000000", 11: "004711", 25: "00", 60: "01" + term.Batch + "000601"} {
		if got := string(v.AppendText(nil, n)); got != want {
			t.Errorf("F%d: %q, want %q", n, got, want)
		}
	}
	want, err := clear.MAC(hsm.UnionPay, term.MAK[:], f[posMTI:len(f)-8])
	if err != nil || !bytes.Equal(f[len(f)-8:], want[:]) {
		t.Errorf("MAC %s, want %s (%v)", f[len(f)-8:], want, err)
	}
}
