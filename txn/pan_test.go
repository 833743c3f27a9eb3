package txn

import (
	"fmt"
	"strings"
	"testing"
)

// Invented numbers of every length that there is.
const digits19 = "6225880000000000123"

func pan(t *testing.T, digits string) PAN {
	t.Helper()
	p, err := ParsePAN([]byte(digits))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPANKeepsItsDigits(t *testing.T) {
	for n := 12; n <= 19; n++ {
		want := digits19[:n]
		p := pan(t, want)
		if got := string(p.AppendDigits([]byte("x"))); got != "x"+want || p.Len() != n {
			t.Errorf("%s: got %s, length %d", want, got, p.Len())
		}
		again, err := UnpackPAN(p.Packed())
		if err != nil || again != p || again.Hash() != p.Hash() {
			t.Errorf("%s: packed and back: %v", want, err)
		}
	}
}

func TestPANRefuses(t *testing.T) {
	for _, bad := range []string{"", "62258800000", digits19 + "0", "62258800000000o1", "6225 8800000000", "622588000000000\x00", "６２２５８８００"} {
		if p, err := ParsePAN([]byte(bad)); err == nil || p != (PAN{}) {
			t.Errorf("%q: %v, %v", bad, p.Len(), err)
		}
	}
	if _, err := UnpackPAN(20, [10]byte{}); err == nil {
		t.Error("a card number of 20 digits")
	}
}

// However a card number gets into a text, its middle does not.
func TestPANPrintsMasked(t *testing.T) {
	for digits, want := range map[string]string{
		"622588000001":        "622588**0001",
		"6225880000000003":    "622588******0003",
		"6225880000000000123": "622588*********0123",
	} {
		p := pan(t, digits)
		f := Facts{PAN: p}
		for _, got := range []string{p.String(), fmt.Sprint(p), fmt.Sprintf("%v", &p)} {
			if got != want {
				t.Errorf("%s prints as %s, want %s", digits, got, want)
			}
		}
		if got := fmt.Sprintf("%v %+v", f, f); strings.Count(got, want) != 2 || strings.Contains(got, digits) {
			t.Errorf("the facts print as %s", got)
		}
	}
	if got := (PAN{}).String(); got != "" {
		t.Errorf("no card number prints as %q", got)
	}
}

func TestTail12(t *testing.T) {
	for digits, want := range map[string]string{
		"622588000001":        "062258800000",
		"6225880000012":       "622588000001",
		"6225881234567893":    "588123456789",
		"6225880000000000123": "000000000012",
	} {
		p := pan(t, digits)
		if got := p.Tail12(); string(got[:]) != want {
			t.Errorf("%s: %s, want %s", digits, got, want)
		}
	}
	var none PAN
	if got := none.Tail12(); string(got[:]) != "000000000000" {
		t.Errorf("no card number: %s", got)
	}
}

func TestPrefix(t *testing.T) {
	for digits, want := range map[string]uint64{
		"622588123456": 6225881234, "6225880000000000123": 6225880000, "000000000012345": 0, "0000012345678": 12345,
	} {
		p := pan(t, digits)
		if got := p.Prefix(); got != want {
			t.Errorf("%s: %d, want %d", digits, got, want)
		}
	}
	if p, err := UnpackPAN(4, [10]byte{0x62, 0x25}); err != nil || p.Prefix() != 6225000000 {
		t.Errorf("a short one: %d, %v", p.Prefix(), err)
	}
}

// Cards that differ in one digit, or in a zero at the end, must spread.
func TestHashSpreads(t *testing.T) {
	seen := map[uint64]string{}
	for i := range 10_000 {
		for _, digits := range []string{fmt.Sprintf("622588000000%04d", i), fmt.Sprintf("622588000000%04d0", i)} {
			p := pan(t, digits)
			if other, ok := seen[p.Hash()]; ok {
				t.Fatalf("%s and %s have one hash", digits, other)
			}
			seen[p.Hash()] = digits
		}
	}
}

func TestPANAllocatesNothing(t *testing.T) {
	digits, buf := []byte(digits19), make([]byte, 0, 19)
	n := testing.AllocsPerRun(100, func() {
		p, _ := ParsePAN(digits)
		buf = p.AppendDigits(buf[:0])
		_, _, _ = p.Tail12(), p.Prefix(), p.Hash()
	})
	if n != 0 || string(buf) != digits19 {
		t.Errorf("%v allocations, %s", n, buf)
	}
}
