package codecspeed

import (
	"errors"
	"testing"

	"tongka/codec/iso8583"
)

func TestMeasure(t *testing.T) {
	ns, err := Measure()
	if err != nil || ns <= 0 {
		t.Errorf("%g ns, %v", ns, err)
	}
}

// What is measured is a sale of 18 fields that the bank reads in full.
func TestTheSaleIsWhole(t *testing.T) {
	k := work{pos: iso8583.Pos(), cups: iso8583.Cups()}
	if err := k.prepare(); err != nil {
		t.Fatal(err)
	}
	fields := 0
	for n := 2; n <= 128; n++ {
		if k.w.Has(n) {
			fields++
		}
	}
	if fields != 18 || len(sale) != 18 || string(k.w.Field(35)) != "6222020000000000005=30122010000000000" || string(k.w.Field(128)) != "D2C1FB4B" {
		t.Errorf("%d fields, F35 %q, F128 %q", fields, k.w.Field(35), k.w.Field(128))
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := k.once(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAFaultEndsTheMeasurement(t *testing.T) {
	k := work{pos: iso8583.Pos(), cups: iso8583.Cups()}
	if err := k.prepare(); err != nil {
		t.Fatal(err)
	}
	k.msg = k.msg[:40]
	var fault *iso8583.FieldError
	if err := k.once(); !errors.As(err, &fault) {
		t.Errorf("a sale cut off: %v", err)
	}
}
