package layout

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const spaced = `
name: s
title: s
form: fixed
between: " "
charset: gbk
record: {tail: 5, fields: [{name: a, length: 4}, {name: n, length: 2, type: number}]}
`

func gbk(t *testing.T, s string) string {
	t.Helper()
	b, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What stands between fields, behind them, and in which letters.
func TestBetweenTailAndCharset(t *testing.T) {
	bars := "name: b\ntitle: b\nform: separated\nseparator: \"|\"\ncharset: gbk\nrecord: {fields: [{name: a, length: 8}, {name: b, length: 8}]}\n"
	for _, c := range []struct{ layout, in, want string }{
		{spaced, "abcd 01\nab   02 more\n", `1 1@0: "abcd"=0 "01"=1|1 2@8: "ab"=0 "02"=2`},
		{spaced, "abcdx01\n", `! f:1:5: 域之间应为`},
		{spaced, "abcd 01 more!\n", `! f:1:8: 记录应为 7 字节，实为 13`},
		{spaced, gbk(t, "中国 01\n"), `1 1@0: ` + strconv.Quote(gbk(t, "中国")) + `=0 "01"=1`},
		{spaced, "abc\xd6 01\n", `! f:1:4: a: 不是 gbk 文字`}, // half of a character
		{bars, "中国|x\n", `! f:1:1: a: 不是 gbk 文字，编码混用？`},
		{bars, gbk(t, "联通|x\n"), `1 1@0: ` + strconv.Quote(gbk(t, "联通")) + `=0 "x"=0`}, // valid UTF-8, famously
		{bars, gbk(t, "亅|x\n"), `1 1@0: "\x81|"=0 "x"=0`},                              // 81 7C: its second byte is |
		{bars, "\x81|x\n", `! f:1:4: b: 缺少`},
		{strings.Replace(bars, "gbk", "utf-8", 1), "中|x\n", `1 1@0: "中"=0 "x"=0`},
		{strings.Replace(bars, "gbk", "utf-8", 1), gbk(t, "x|国\n"), `! f:1:3: b: 不是 utf-8 文字，编码混用？`},
		{strings.Replace(bars, "gbk", "any", 1), "\xff|x\n", `1 1@0: "\xff"=0 "x"=0`},
	} {
		got, err := all(read(t, c.layout).NewReader(strings.NewReader(c.in), "f"))
		if s := strings.Join(got, "|"); err != nil || !strings.HasPrefix(s, c.want) {
			t.Errorf("%q: %v\n got %q\nwant %q", c.in, err, s, c.want)
		}
	}
}

func TestAppendCharset(t *testing.T) {
	l := read(t, spaced)
	b, err := l.Append(nil, l.Record, map[string]Value{"a": {Text: "中"}, "n": {Num: 7}})
	if want := gbk(t, "中") + "   07\n"; err != nil || string(b) != want {
		t.Errorf("%q, %v, want %q", b, err, want)
	}
	if s := GBK.Decode(b[:2]); s != "中" {
		t.Errorf("%q", s)
	}
	if s := UTF8.Decode([]byte("中")); s != "中" {
		t.Errorf("%q", s)
	}
}

func TestBetweenAndTailAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\nform: separated\nbetween: \" \"\nrecord: {fields: [{name: a, length: 1}]}\n":           "3:10: 仅用于定长格式",
		"name: x\nform: separated\nrecord: {tail: 1, fields: [{name: a, length: 1}]}\n":                  "3:16: 仅用于定长格式",
		"name: x\nend: none\nrecord: {tail: 1, fields: [{name: a, length: 1}]}\n":                        "3:16: 无换行时不可有 tail",
		"name: x\nbetween: ab\nrecord: {fields: [{name: a, length: 1}]}\n":                               "2:10: 须为一个字符",
		"name: x\ncharset: big5\nrecord: {fields: [{name: a, length: 1}]}\n":                             "2:10: 取值有误",
		"name: x\nbetween: \" \"\nrecord: {fields: [{name: a, length: 1}, {name: b, at: 1, length: 1}]}": "前面的域止于 2",
	} {
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
