package layouts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"tongka/clearing/row"
	"tongka/offline/layout"
	"tongka/txn"
)

const headed = `name: h
title: h
form: separated
separator: "|"
charset: utf-8
header: {fields: [{name: h, length: 1, is: H}, {name: day, length: 8, type: digits}, {name: no, length: 4, type: digits}, {name: count, length: 9, type: number}]}
record: {fields: [{name: ref, length: 12, type: digits}, {name: fen, length: 12, type: number}, {name: what, length: 4}, {name: note, length: 20, optional: true}]}
trailer: {fields: [{name: t, length: 3, is: END}, {name: sum, length: 15, type: number}]}
rows: {rrn: "{ref}", amount: fen, kind: "{what}", kinds: "S=sale V=void RS=reversal:sale Q=-", count: header.count, sum: trailer.sum, number: header.no, date: header.day}
`

func form(t testing.TB, text string) *Form {
	t.Helper()
	l, err := layout.Parse("h.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f, err := New(l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadByLayout(t *testing.T) {
	rows, tot, err := readAs(t, form(t, headed), "H|20261001|0007|4\n274000000001|1200|S|中国\n2|5|RS|\n3|7|V|\n4|1|Q|\nEND|1213\n")
	if err != nil || len(rows) != 3 || tot != (Totals{4, 1213, "0007", first}) {
		t.Fatalf("%d rows, %+v, %v", len(rows), tot, err)
	}
	if a, b := rows[0], rows[1]; a.RRN != 274000000001 || a.ID != 2 || a.Amount != 1200 || a.Kind != txn.Sale || b.Kind != txn.Reversal || b.Of != txn.Sale {
		t.Errorf("%+v", rows)
	}
}

// Each fault has its place, and the records around it are read.
func TestReadFaults(t *testing.T) {
	head := "H|20261001|0007|1\n"
	for text, want := range map[string]string{
		head + "1|1|S|\n1|1|S|\nEND|2\n":               "f.csv:1:17: count: 文件写 1，实为 2",
		head + "1|1|S|\nEND|2\n":                       "f.csv:3:5: sum: 文件写 2，实为 1",
		head + "1|1|X|\nEND|1\n":                       `f.csv:2:5: what: rows.kinds 中没有代码 "X"`,
		head + "1|1000000000000|S|\nEND|1\n":           "f.csv:2:3: fen: 超过",
		head + "1|1|S|\xd6\xd0\nEND|1\n":               "f.csv:2:7: note: 不是 utf-8 文字，编码混用？",
		head + "1|1|S|\n":                              "f.csv:3:1: 缺少文件尾",
		head + "1|1|S|\nEND|1":                         "f.csv:3:6: 最后一行没有换行",
		"":                                             "f.csv:1:1: 空文件",
		"H|20261301|0007|0\nEND|0\n":                   "f.csv:1:3: day: 不是日期",
		"H|20261002|0007|0\nEND|0\n":                   "f.csv:1:3: day: 文件写 20261002，登记为 20261001",
		head + strings.Repeat("1", 5000) + "\nEND|1\n": "f.csv:2:4097: 行超过 4096",
	} {
		_, _, err := readAs(t, form(t, headed), text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %.200v, want %s", text, err, want)
		}
		whole := strings.HasSuffix(text, "\n") && strings.Contains(text, "END")
		if errors.Is(err, ErrCut) == whole {
			t.Errorf("%.60q: cut off: %v", text, !whole)
		}
	}
	var b strings.Builder
	for range 1000 {
		b.WriteString("1|x|S|\n")
	}
	rows, _, err := readAs(t, form(t, headed), head+b.String()+"7|5|S|\nEND|5\n")
	if err == nil || len(rows) != 1 || strings.Count(err.Error(), "\n") != maxFaults || !strings.HasSuffix(err.Error(), "900 more") {
		t.Errorf("%d rows, %.300v", len(rows), err)
	}
}

// What cannot be meant is said with the place in the layout.
func TestNewRefuses(t *testing.T) {
	rows := `rows: {rrn: "{ref}", amount: fen`
	for from, to := range map[string]string{
		rows + "}":                                         "",
		rows + `, kind: "{what}"}`:                         "kind 与 kinds 须同时出现",
		rows + `, statuses: "0=settled"}`:                  "status 与 statuses",
		rows + `, count: trailer.count}`:                   "须为 header.域",
		rows + `, count: header.no}`:                       "须为 header.域",
		rows + `, kind: "{what}", kinds: "S=pay"}`:         `"pay" 不是清算的交易种类`,
		rows + `, kind: "{what}", kinds: "S=reversal"}`:    "不是清算的交易种类",
		rows + `, kind: "{what}", kinds: "S"}`:             "须为 代码=取值",
		rows + `, status: "{what}", statuses: "0=good"}`:   "不是状态",
		rows + `, stan: "{stann}"}`:                        `没有字符域 "stann"`,
		rows + `, stan: "{ref:0}"}`:                        "位数",
		rows + `, stan: "{ref"}`:                           "缺少 }",
		rows + `, amounts: fen}`:                           `未知的键 "amounts"`,
		`rows: {amount: fen}`:                              "须有 rrn、stan 或 sent",
		`rows: {rrn: "{ref}"}`:                             "rows 缺少 amount",
		`rows: {rrn: "{ref}", amount: ref}`:                "没有数值域",
		strings.Replace(headed, "rows:", "#", 1):           "不知各域为何",
		strings.Replace(rows, "rrn", "bob", 1) + ", x: y}": "未知的键",
	} {
		text := from
		if !strings.HasPrefix(from, "name") {
			text = headed[:strings.Index(headed, "rows:")] + from + "\n"
		}
		l, err := layout.Parse("h.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		_, err = New(l)
		if to == "" && err != nil || to != "" && (err == nil || !strings.Contains(err.Error(), to) || !strings.HasPrefix(err.Error(), "h.yaml:")) {
			t.Errorf("%s: %v, want %s", from, err, to)
		}
	}
	if _, err := Open("cup-acon"); err == nil || !strings.Contains(err.Error(), "cup-acom") {
		t.Error(err)
	}
}

// What is written is read again, in every form that comes with the program.
func TestRoundTrip(t *testing.T) {
	for _, f := range append(Builtin(), form(t, headed)) {
		kinds := []row.Row{{Kind: txn.Sale}, {Kind: txn.Void}, {Kind: txn.Reversal, Of: txn.Sale}}
		head := Head{Totals: Totals{Date: first, Number: "0001"}, Zone: zone}
		var want []row.Row
		for i, r := range kinds {
			if _, ok := f.kindOf(&r); !ok {
				continue
			}
			r.ID, r.RRN, r.STAN, r.Amount, r.Status, r.Sent = uint64(i), 274000000001+uint64(i), 17, 1200+int64(i), row.Settled, 1001093005
			copy(r.Card[:], "6228481234")
			copy(r.Merchant[:], "104110045110012")
			copy(r.Terminal[:], "00000001")
			r.At = 1790818205e9 // 2026-10-01 09:30:05 UTC+8
			want = append(want, r)
			head.Records++
			head.Sum += r.Amount
		}
		var b bytes.Buffer
		w, err := f.NewWriter(&b, head)
		for i := range want {
			if err == nil {
				err = w.Add(&want[i])
			}
		}
		if err == nil {
			err = w.End()
		}
		if err != nil {
			t.Errorf("%s: %v", f.Name, err)
			continue
		}
		got, tot, err := readAs(t, f, b.String())
		if err != nil || len(got) != len(want) || tot.Records != head.Records || tot.Sum != head.Sum {
			t.Errorf("%s: %d rows, %+v, %v\n%s", f.Name, len(got), tot, err, b.String())
			continue
		}
		for i := range got {
			g, x := &got[i], &want[i]
			if g.Amount != x.Amount || g.Kind != x.Kind || g.Of != x.Of || g.Status != x.Status || g.RRN != x.RRN && f.texts[sRRN] != nil ||
				(f.texts[sSent] != nil || f.Layout == nil) && (g.Sent != x.Sent || g.At != x.At) || f.texts[sCard] != nil && g.Card != x.Card {
				t.Errorf("%s:\n got %+v\nwant %+v", f.Name, g, x)
			}
		}
	}
}

func TestWriterHoldsItsWord(t *testing.T) {
	f := form(t, headed)
	var b bytes.Buffer
	w, err := f.NewWriter(&b, Head{Totals: Totals{Records: 1, Sum: 5, Date: first, Number: "0001"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(&row.Row{Kind: txn.Refund, Amount: 5, Status: row.Settled}); err == nil || !strings.Contains(err.Error(), "refund") {
		t.Error(err)
	}
	if err := w.End(); err == nil || !strings.Contains(err.Error(), "1 of 5 were told") {
		t.Error(err)
	}
}

// endless is one line that does not end.
type endless struct{ left int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(b), int(e.left))
	for i := range b[:n] {
		b[i] = '1'
	}
	e.left -= int64(n)
	return n, nil
}

// A line of any length costs a buffer and is named.
func TestEndlessLine(t *testing.T) {
	for _, f := range append(Builtin(), form(t, headed)) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		in := io.MultiReader(strings.NewReader("rrn,amount\n"), &endless{256 << 20})
		_, err := f.Read(in, Reading{"big.txt", first, zone}, func(*row.Row, int64) error { return nil })
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), "big.txt:") || after.TotalAlloc-before.TotalAlloc > 1<<20 {
			t.Errorf("%s: %.200v, %d bytes", f.Name, err, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

func FuzzRead(f *testing.F) {
	forms := append(Builtin(), form(f, headed))
	f.Add([]byte("H|20261001|0007|1\n1|1|S|\nEND|1\n"), uint8(len(forms)-1))
	f.Add([]byte("rrn,stan,sent,amount,kind\n1,2,1001093005,5,sale\nend,1,5\n"), uint8(0))
	f.Add([]byte(fmt.Sprintf("%-265s\r\n", "1")), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		form := forms[int(which)%len(forms)]
		var sum int64
		rows, tot, err := readAs(t, form, string(b))
		for i := range rows {
			sum += rows[i].Amount
			if rows[i].Status == 0 || rows[i].Amount < 0 {
				t.Fatalf("%+v", rows[i])
			}
			var again row.Row
			if err := again.Read(rows[i].Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		var faults *Faults
		if err != nil && !errors.As(err, &faults) {
			t.Fatal(err)
		}
		if err == nil && (sum > tot.Sum || int64(len(rows)) > tot.Records) {
			t.Fatalf("%d rows of %d, %+v", len(rows), sum, tot)
		}
	})
}
