package layouts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/row"
	"tongka/txn"
)

const first = day.Date(20261001)

var zone = time.FixedZone("UTC+8", 8*3600)

// readAs reads text as a file of the first day.
func readAs(t testing.TB, f *Form, text string) (rows []row.Row, tot Totals, err error) {
	t.Helper()
	tot, err = f.Read(strings.NewReader(text), Reading{"f.csv", first, zone}, func(r *row.Row, at int64) error {
		if at <= 0 || at > int64(len(text)) {
			t.Errorf("row %d ends at byte %d of %d", r.ID, at, len(text))
		}
		rows = append(rows, *r)
		return nil
	})
	return rows, tot, err
}

// readCSV reads text as our own CSV.
func readCSV(t *testing.T, text string) ([]row.Row, error) {
	t.Helper()
	rows, _, err := readAs(t, &Form{Name: Own}, text)
	return rows, err
}

func TestCSV(t *testing.T) {
	rows, err := readCSV(t, "\uFEFFrrn,stan,sent,amount,kind,of,status,merchant,terminal,card\r\n274000000001,000017,1001093005,1200,,,,104,00000001,622848***1234\r\n"+
		"2,3,1231235959,5,reversal,sale,reversed,,,\r\nend,2,1205\r\n")
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	a, b := rows[0], rows[1]
	if a.ID != 2 || a.RRN != 274000000001 || a.STAN != 17 || a.Sent != 1001093005 || a.Kind != txn.Sale || a.Status != row.Settled || a.Masked() != "622848***1234" ||
		a.At != time.Date(2026, 10, 1, 9, 30, 5, 0, zone).UnixNano() || b.Kind != txn.Reversal || b.Of != txn.Sale || b.Status != row.Reversed {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// Whatever is wrong with a file is said with its place.
func TestCSVFaults(t *testing.T) {
	long := strings.Repeat("1", 3*maxLine)
	for text, want := range map[string]string{
		"":                                                     "f.csv:1:1: 首行",
		"rrn\n1\nend,1,0\n":                                    "f.csv:1:1: 首行",
		"rrn,sum,amount\nend,0,0\n":                            `f.csv:1:5: 列 "sum"`,
		"rrn,amount,rrn\nend,0,0\n":                            "f.csv:1:12: ",
		"rrn,amount\n1,5\n":                                    "f.csv:3:1: 没有结束行",
		"rrn,amount\n1,5":                                      "f.csv:2:1: 最后一行没有换行",
		"rrn,amount\n1,5\nend,2,5\n":                           "f.csv:3:5: 笔数 2",
		"rrn,amount\n1,5\nend,1,6\n":                           "f.csv:3:7: 金额 6",
		"rrn,amount\n1,5\nend,1,5\n\n":                         "f.csv:4:1: 结束行之后",
		"rrn,amount\n1,5,6\nend,1,5\n":                         "f.csv:2:1: 3 列",
		"rrn,amount\n1,-5\nend,1,5\n":                          "f.csv:2:3: amount",
		"rrn,amount\n1,9999999999999\n":                        "f.csv:2:3: amount",
		"rrn,amount\n" + long + "\nend,0,0\n":                  "f.csv:2:1: 一行超过",
		"rrn,amount\n" + long:                                  "f.csv:2:1: 一行超过",
		"rrn,amount,kind\n1,5,balance\nend,1,5\n":              "f.csv:2:5: kind",
		"rrn,amount,kind\n1,5,reversal\nend,1,5\n":             "of ",
		"rrn,amount,status\n1,5,ok\nend,1,5\n":                 "f.csv:2:5: status",
		"rrn,amount,merchant\n1,5,\xd6\xd0\xb9\xfa\nend,1,5\n": "f.csv:2:5: merchant",
		"rrn,amount,terminal\n1,5,123456789\nend,1,5\n":        "f.csv:2:5: terminal",
		"rrn,amount,card\n1,5,6228480000001234\nend,1,5\n":     "f.csv:2:5: card",
		"rrn,amount,sent\n1,5,1332000000\nend,1,5\n":           "f.csv:2:5: sent",
		"rrn,amount,sent\n1,5,0230000000\nend,1,5\n":           "f.csv:2:5: sent",
	} {
		if _, err := readCSV(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.70q: %.200v, want %s", text, err, want)
		}
	}
	// The rest is read on, and not more is kept than people read.
	var b strings.Builder
	b.WriteString("rrn,amount\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "%d,x\n", i)
	}
	rows, err := readCSV(t, b.String()+"7,5\nend,1001,5\n")
	if err == nil || len(rows) != 1 || strings.Count(err.Error(), "\n") != maxFaults || !strings.HasSuffix(err.Error(), "900 more") {
		t.Errorf("%d rows, %.300v", len(rows), err)
	}
}
