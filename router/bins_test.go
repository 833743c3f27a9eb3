package router

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tongka/txn"
)

func readBINs(t testing.TB, text string) *BINs {
	t.Helper()
	b, err := ReadBINs(strings.NewReader(text), "bins.csv")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestIssuerRoutes(t *testing.T) {
	table := compile(t, Source{
		BINs: readBINs(t, "\uFEFFBIN, issuer ,remark\n# made up\n62,ICBC,all of it\n622588,招商银行,\"debit, old\"\n622600-622699,招商银行,\n6226880,ICBC,\n4,VISA,\n"),
		Rules: []Rule{
			{Issuers: []string{"招商银行"}, Kinds: []txn.Kind{txn.Sale}, To: to(1)},
			{Issuers: []string{"ICBC"}, To: to(2)},
			{BINs: bins(t, "6226"), To: to(3)},
			{To: to(4)},
		},
	})
	for pan, want := range map[string]txn.LinkID{
		"6225880000000003": 1,
		"6226990000000003": 1,
		"6226880000000003": 2, // a piece of ICBC's within the other's
		"6226881000000003": 1,
		"6200000000000003": 2,
		"4000000000000003": 4,
	} {
		if link, why := table.Pick(facts(t, txn.Sale, pan), 0, health{}); link != want || why != Picked {
			t.Errorf("%s: link %d (%d), want %d", pan, link, why, want)
		}
	}
	// A card of the one issuer is not the other's because no rule takes it.
	if link, _ := table.Pick(facts(t, txn.Balance, "6225880000000003"), 0, health{}); link != 4 {
		t.Errorf("balance: link %d", link)
	}
	// The narrower range of a rule stands before the issuer's wider entry.
	if link, _ := table.Pick(facts(t, txn.Sale, "6226000000000003"), 0, health{}); link != 1 {
		t.Errorf("an entry of six digits against a rule of four: link %d", link)
	}
}

func TestBINTableNamesEveryFault(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "bins.csv:1:1: 空文件"},
		{"bin\n", "bins.csv:1:1: 须有 bin 与 issuer"},
		{"bin,issuer,country\n", "bins.csv:1:12: 未知列 \"country\""},
		{"bin,issuer\n62\n", "bins.csv:2:1: 字段不足"},
		{"bin,issuer\n62,\n", "bins.csv:2:4: 发卡方须为"},
		{"bin,issuer\n6x,A\n", "bins.csv:2:1: \"6x\" 须为"},
		{"issuer,bin\nA,62258812345\n", "bins.csv:2:3: \"62258812345\" 须为"},
		{"bin,issuer\n62-61,A\n", "bins.csv:2:1: \"62-61\"：起点大于终点"},
		{"bin,issuer\n62,A\n\n62,B\n", "bins.csv:4:1: 62 与第 2 行的 62 重叠"},
		{"bin,issuer\n62,A\n62,A\n", "bins.csv:3:1: 62 与第 2 行"},
		{"bin,issuer\n620-624,A\n623-627,B\n", "bins.csv:3:1: 623-627 与第 2 行的 620-624 重叠"},
		{"bin,issuer\n\"62,A\n63,B\n", "bins.csv:3:6: 引号不成对"},
		{"bin,issuer\n62,\"A\"B\n63,B\n6y,C\n", "bins.csv:4:1: \"6y\""},
		{"bin,issuer\n62," + strings.Repeat("A", 65) + "\n", "bins.csv:2:4: 发卡方"},
	} {
		_, err := ReadBINs(strings.NewReader(c.text), "bins.csv")
		var faults Faults
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
	_, err := ReadBINs(strings.NewReader("bin,issuer\n"+strings.Repeat("x,A\n", 1000)), "bins.csv")
	if n := strings.Count(err.Error(), "\n") + 1; n != maxFaults || !strings.Contains(err.Error(), "800 more faults") {
		t.Errorf("%d faults are listed", n)
	}
}

func TestLargeBINTable(t *testing.T) {
	var text strings.Builder
	text.WriteString("bin,issuer\n")
	for i := range 100_000 {
		fmt.Fprintf(&text, "%08d,BANK%d\n", 62_000_000+i, i%300)
	}
	b := readBINs(t, text.String())
	if b.Len() != 100_000 || b.Issuers() != 300 {
		t.Errorf("%d entries of %d issuers", b.Len(), b.Issuers())
	}
	table := compile(t, Source{BINs: b, Rules: []Rule{{Issuers: []string{"BANK7"}, To: to(1)}}})
	if link, why := table.Pick(facts(t, txn.Sale, "6209990700000000"), 0, health{}); link != 1 || why != Picked {
		t.Errorf("link %d (%d)", link, why)
	}
	if _, why := table.Pick(facts(t, txn.Sale, "6209990800000000"), 0, health{}); why != NoRule {
		t.Errorf("the next card: %d", why)
	}
}

func TestRangesPrintAsTheyAreRead(t *testing.T) {
	for _, s := range []string{"6", "62", "6225880001", "622500-622599", "0", "0-9", "0000000001-0000000002", "9999999999"} {
		r := bins(t, s)[0]
		if again := bins(t, r.String())[0]; again != r {
			t.Errorf("%s prints as %s", s, r)
		}
	}
}

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		text string
		in   []uint16
		out  []uint16
	}{
		{"08:00-20:00", []uint16{480, 1199}, []uint16{479, 1200, 0}},
		{"22:00-02:00", []uint16{1320, 1439, 0, 119}, []uint16{120, 1319}},
		{"00:00-24:00", []uint16{0, 720, 1439}, nil},
	} {
		w, err := ParseWindow(c.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.in {
			if !w.holds(m) {
				t.Errorf("%s does not hold %d", c.text, m)
			}
		}
		for _, m := range c.out {
			if w.holds(m) {
				t.Errorf("%s holds %d", c.text, m)
			}
		}
	}
	day, night, evening := Window{0, 1440}, Window{1320, 120}, Window{1380, 1440}
	if !night.in(day) || !evening.in(night) || night.in(evening) || day.in(night) || !day.in(day) || (Window{60, 180}).in(night) {
		t.Error("windows within windows")
	}
}

// Whatever stands in the file, it is read or refused, and what is read compiles.
func FuzzReadBINs(f *testing.F) {
	for _, s := range []string{"bin,issuer\n62,A\n6225-6226,B\n", "issuer,bin,remark\nA,1-2,\n", "bin,issuer\n\"", "bin,issuer\n0-9,A\n1,B\n", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ReadBINs(strings.NewReader(text), "x")
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%v", err)
			}
			for _, f := range faults {
				if f.Line < 1 || f.Column < 1 {
					t.Errorf("%v", f)
				}
			}
			return
		}
		for issuer, parts := range b.issuers {
			for _, p := range b.parts[parts] {
				if p.Lo > p.Hi || p.Hi > maxPrefix {
					t.Errorf("%s: %v", issuer, p)
				}
			}
			if _, err := Compile(Source{BINs: b, Rules: []Rule{{Issuers: []string{issuer}, To: []Target{{0, 1}}}}}); err != nil {
				t.Errorf("%s: %v", issuer, err)
			}
		}
	})
}
