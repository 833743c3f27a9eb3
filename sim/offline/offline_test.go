package offline

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"tongka/hsm"
	"tongka/hsm/soft"
	"tongka/offline"
	"tongka/offline/layout"
)

// Every layout's records read back as they were made, and their TACs are right but
// for the one that is made wrong.
func TestRecordsAreSignedAsCardsDo(t *testing.T) {
	keys, err := Keys()
	if err != nil {
		t.Fatal(err)
	}
	module := soft.New(soft.TestLMK())
	for _, l := range layout.Builtin() {
		if l.Name == "recharge-al" {
			continue // totals, and no records
		}
		m, err := NewMaker(l.Name, 5)
		if err != nil {
			t.Fatal(err)
		}
		file, sum, err := m.File([]Wrong{NoFault, TAC, NoFault})
		if err != nil {
			t.Fatalf("%s: %v", l.Name, err)
		}
		in := m.Format.Layout.NewReader(bytes.NewReader(file), l.Name)
		var it offline.Item
		var got uint64
		good := ""
		for {
			row, err := in.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", l.Name, err)
			}
			if row.Part != layout.Record {
				continue
			}
			if err := m.Format.Read(row, l.Name, &it); err != nil {
				t.Fatalf("%s: %v", l.Name, err)
			}
			got += it.Amount
			key, ok := keys.Find(it.Key)
			if !ok {
				t.Fatalf("%s: no key for %+v", l.Name, it.Key)
			}
			q := hsm.Request{Verb: hsm.VerifyTAC, Key: key, More: &hsm.More{Card: it.Proof}}
			copy(q.MAC[:], it.TAC[:])
			var r hsm.Reply
			module.Do(&q, &r)
			good += map[bool]string{true: "+", false: "-"}[r.Code.OK()]
		}
		if good != "+-+" || got != sum {
			t.Errorf("%s: TACs %s, sum %d, want %d", l.Name, good, got, sum)
		}
	}
}

// One seed makes one file; another seed another.
func TestOneSeedOneFile(t *testing.T) {
	make3 := func(seed uint64) string {
		m, err := NewMaker("dongguan", seed)
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := m.File(make([]Wrong, 3))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a := make3(1); a != make3(1) || a == make3(2) {
		t.Error("a seed does not say what is made")
	}
}

// Each fault that a layout can show differs from a good record, and a repeat does not.
func TestFaultsOfRecords(t *testing.T) {
	m, err := NewMaker("dongguan", 1)
	if err != nil {
		t.Fatal(err)
	}
	first, amount, err := m.Append(nil, NoFault)
	if err != nil {
		t.Fatal(err)
	}
	again, same, err := m.Append(nil, Repeat)
	if err != nil || !bytes.Equal(again, first) || same != amount {
		t.Errorf("a repeat: %q %d, first %q %d, %v", again, same, first, amount, err)
	}
	for _, w := range m.Faults() {
		b, _, err := m.Append(nil, w)
		if err != nil || len(b) == 0 || w != Repeat && bytes.Equal(b, first) {
			t.Errorf("fault %d: %q, %v", w, b, err)
		}
	}
	if bus, err := NewMaker("bus-64", 1); err != nil || bus.Can(LostCard) || bus.Can(ShortMoney) || !bus.Can(SAMTwice) {
		t.Error("what bus-64 can show", err)
	}
	if _, err := NewMaker("none", 1); err == nil {
		t.Error("a layout that is not there")
	}
}

// A package holds its members, and its list and digest say so.
func TestPackage(t *testing.T) {
	file, digest, list, err := Package([]string{"A.csv", "B.csv"}, [][]byte{[]byte("a"), []byte("bb")}, []int{1, 2})
	if err != nil || digest != MD5(file) || !strings.HasSuffix(string(list), ",2,1\nA.csv,1\nB.csv,2\n") {
		t.Fatalf("%s, %q, %v", digest, list, err)
	}
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil || len(z.File) != 2 || z.File[1].Name != "B.csv" || z.File[1].UncompressedSize64 != 2 {
		t.Errorf("%v, %+v", err, z)
	}
}
