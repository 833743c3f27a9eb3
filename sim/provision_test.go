package sim

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tongka/hsm"
	"tongka/hsm/clear"
	"tongka/hsm/soft"
)

func TestProvision(t *testing.T) {
	all, csv, err := Provision(25, 1)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(csv)), "\n")
	if len(all) != 25 || len(rows) != 26 || rows[0] != "merchant,terminal,tmk,mac" {
		t.Fatalf("%d terminals, %d rows, %s", len(all), len(rows), rows[0])
	}
	module := soft.New(soft.TestLMK())
	names, cards := map[string]bool{}, map[string]bool{}
	for i, c := range all {
		col := strings.Split(rows[i+1], ",")
		if len(c.Merchant) != 15 || len(c.Number) != 8 || col[0] != c.Merchant || col[1] != c.Number || col[3] != "unionpay" {
			t.Errorf("%+v is %v in the CSV", c, col)
		}
		names[c.Number] = true
		// What the registry holds is the key that the terminal has.
		k, err := hsm.ParseKey(col[2])
		if err != nil || k.N != 16 {
			t.Fatal(k, err)
		}
		got, code := module.CheckValue(hsm.TMK, &k)
		want, err := clear.KCV(c.TMK)
		if !code.OK() || err != nil || got != want {
			t.Errorf("terminal %s: check value %X %s, want %X %v", c.Number, got, code, want, err)
		}
		for _, pan := range c.PANs {
			if cards[pan] || !luhn(pan) || len(pan) != 16 {
				t.Errorf("card %s is wrong or there twice", pan)
			}
			cards[pan] = true
		}
	}
	if len(names) != 25 || all[0].Merchant != all[9].Merchant || all[0].Merchant == all[10].Merchant {
		t.Errorf("%d numbers, merchants %s %s %s", len(names), all[0].Merchant, all[9].Merchant, all[10].Merchant)
	}
	if all[0].PANs[0] != "6225880000000001" {
		t.Errorf("first card %s", all[0].PANs[0])
	}
}

// luhn checks a card number as ISO/IEC 7812-1 says, from the right.
func luhn(pan string) bool {
	sum := 0
	for i := range pan {
		d := int(pan[len(pan)-1-i] - '0')
		if i%2 == 1 {
			d = d*2/10 + d*2%10
		}
		sum += d
	}
	return sum%10 == 0
}

func TestProvisionRepeatsItself(t *testing.T) {
	a, text, err := Provision(3, 7)
	if err != nil {
		t.Fatal(err)
	}
	b, again, err := Provision(3, 7)
	if err != nil || !bytes.Equal(text, again) || cmp.Diff(a, b) != "" {
		t.Error("the same seed gave other terminals")
	}
	_, other, err := Provision(3, 8)
	if err != nil || bytes.Equal(text, other) {
		t.Error("another seed gave the same keys")
	}
	for _, n := range []int{0, -1, maxProvision + 1} {
		if _, _, err := Provision(n, 1); err == nil {
			t.Errorf("%d terminals were made", n)
		}
	}
}
