package router

import (
	"strings"
	"testing"

	"tongka/txn"
)

type up map[txn.LinkID]bool

func (u up) Up(l txn.LinkID) bool { return u[l] }

func facts(t *testing.T, kind txn.Kind, pan string) *txn.Facts {
	t.Helper()
	f := &txn.Facts{Kind: kind}
	if pan != "" {
		p, err := txn.ParsePAN([]byte(pan))
		if err != nil {
			t.Fatal(err)
		}
		f.PAN = p
	}
	return f
}

func TestPickLongestBINWins(t *testing.T) {
	table, err := Compile([]Rule{
		{BIN: "62", Link: 1},
		{BIN: "622588", Link: 2},
		{BIN: "6225880001", Link: 3},
		{BIN: "622588", Link: 9, Kinds: []txn.Kind{txn.Reversal}},
		{Kinds: []txn.Kind{txn.Sale}, Link: 4},
	})
	if err != nil {
		t.Fatal(err)
	}
	all := up{1: true, 2: true, 3: true, 4: true, 9: true}
	for _, c := range []struct {
		kind txn.Kind
		pan  string
		link txn.LinkID
		why  Reason
	}{
		{txn.Sale, "6225880001000000", 3, Picked},
		{txn.Sale, "6225880002000000", 2, Picked},
		{txn.Reversal, "6225880002000000", 2, Picked}, // same BIN: the first rule that takes the kind
		{txn.Sale, "6210000000000000", 1, Picked},
		{txn.Sale, "4000000000000000", 4, Picked},
		{txn.Sale, "", 4, Picked}, // no card: only rules without a BIN
		{txn.Reversal, "4000000000000000", 0, NoRule},
	} {
		link, why := table.Pick(facts(t, c.kind, c.pan), all)
		if link != c.link || why != c.why {
			t.Errorf("%v %q: link %d reason %d, want %d %d", c.kind, c.pan, link, why, c.link, c.why)
		}
	}
}

func TestPickDoesNotFallThroughToAnotherBank(t *testing.T) {
	table, err := Compile([]Rule{{BIN: "62", Link: 1}, {Link: 2}})
	if err != nil {
		t.Fatal(err)
	}
	link, why := table.Pick(facts(t, txn.Sale, "6225880001000000"), up{2: true})
	if link != 1 || why != Down {
		t.Fatalf("link %d reason %d, want 1 Down", link, why)
	}
}

func TestCompileNamesTheRule(t *testing.T) {
	for bin, want := range map[string]string{
		"62a":         `rule 2: BIN "62a" holds 'a'`,
		"12345678901": "rule 2: BIN \"12345678901\" has more than 10 digits",
	} {
		_, err := Compile([]Rule{{}, {BIN: bin}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", bin, err, want)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	table, _ := Compile([]Rule{{BIN: "6225"}, {}})
	f := facts(t, txn.Sale, "6225880001000000")
	var h Health = up{0: true}
	if n := testing.AllocsPerRun(100, func() { table.Pick(f, h) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
