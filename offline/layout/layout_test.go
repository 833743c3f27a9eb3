package layout

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"tongka/yamlfile"
)

func open(t testing.TB, name string) *Layout {
	t.Helper()
	l, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func read(t testing.TB, text string) *Layout {
	t.Helper()
	l, err := Parse("t.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The sizes are those that the makers of the files name.
func TestBuiltinSizes(t *testing.T) {
	for name, want := range map[string][2]int{"city-316": {46, 315}, "recharge-205": {22, 204}, "recharge-al": {22, 39}, "bus-64": {0, 64}} {
		l := open(t, name)
		head := 0
		if l.Header != nil {
			head = l.Header.Size
		}
		if head != want[0] || l.Record.Size != want[1] {
			t.Errorf("%s: %d and %d bytes", name, head, l.Record.Size)
		}
	}
	if l := open(t, "dongguan"); len(l.Record.Fields) != 23 || l.Record.Least != 17 {
		t.Errorf("%d columns", len(l.Record.Fields))
	}
	if _, err := Open("city-361"); err == nil || !strings.Contains(err.Error(), `"city-316"`) {
		t.Error(err)
	}
	if _, err := Open("./none.yaml"); err == nil {
		t.Error("a file that is not there")
	}
}

// all reads a file to its end and gives one line for each row and fault.
func all(r *Reader) (lines []string, err error) {
	for {
		row, err := r.Next()
		var f *Fault
		switch {
		case err == io.EOF:
			return lines, nil
		case errors.As(err, &f):
			lines = append(lines, "! "+f.Error())
			if f.Last {
				if _, err := r.Next(); err != io.EOF {
					return lines, fmt.Errorf("something behind the last fault: %v", err)
				}
				return lines, nil
			}
		case err != nil:
			return lines, err
		default:
			s := fmt.Sprintf("%d %d@%d:", row.Part, row.Line, row.Offset)
			for i := range row.Text {
				s += fmt.Sprintf(" %q=%d", row.Text[i], row.Num[i])
			}
			lines = append(lines, s)
		}
	}
}

const csv = `
name: t
title: t
form: separated
header: {fields: [{name: h, length: 4, is: HEAD}, {name: count, length: 3, type: number}]}
record: {least: 2, fields: [{name: a, length: 5}, {name: n, length: 20, type: number}, {name: x, length: 4, type: hex-number, optional: true, values: ["A", "ff"]}]}
trailer: {fields: [{name: e, length: 3, is: END}, {name: count, length: 3, type: number}]}
`

const fixed = `
name: f
title: f
form: fixed
end: any
record: {fields: [{name: a, length: 3}, {name: n, length: 2, type: number}]}
`

func TestReader(t *testing.T) {
	for _, c := range []struct{ layout, in, want string }{
		{csv, "HEAD,2\nab c,7\n x ,18446744073709551615,FF\nEND,2\n",
			`0 1@0: "HEAD"=0 "2"=2|1 2@7: "ab c"=0 "7"=7 ""=0|1 3@14: "x"=0 "18446744073709551615"=18446744073709551615 "FF"=255|2 4@42: "END"=0 "2"=2`},
		{csv, "HEAD,2\nab,18446744073709551616\nEND,0\n", `0 1@0: "HEAD"=0 "2"=2|! f:2:23: n: 不是64 位以内的十进制数 · not a decimal number of 64 bits (第 29 字节 · byte 29)|2 3@31: "END"=0 "0"=0`},
		{csv, "HEAD,2\nab\n,1\nabcdef,1\na,1,B\na,1,A,\na\x07,1\nEND,0\n",
			`0 1@0: "HEAD"=0 "2"=2|! f:2:3: n: 缺少：应有 2 列 · missing: 2 columns are wanted (第 9 字节 · byte 9)|! f:3:1: a: 空值 · empty (第 10 字节 · byte 10)|` +
				`! f:4:1: a: 超过 5 字节 · longer than 5 bytes (第 13 字节 · byte 13)|! f:5:5: x: 应为 ["A" "ff"] 之一 · one of ["A" "ff"] is wanted (第 26 字节 · byte 26)|` +
				`! f:6:7: 多于 3 列 · more than 3 columns (第 34 字节 · byte 34)|! f:7:2: a: 不是可见字符 · not a printable character (第 36 字节 · byte 36)|2 8@40: "END"=0 "0"=0`},
		{csv, "HEAD,1\n", `0 1@0: "HEAD"=0 "1"=1|! f:2:1: 缺少文件尾 · the trailer is missing (第 7 字节 · byte 7)`},
		{csv, "HEAD,1\nEND,0\nmore", `0 1@0: "HEAD"=0 "1"=1|2 2@7: "END"=0 "0"=0|! f:3:1: 文件尾之后还有内容 · something follows the trailer (第 13 字节 · byte 13)`},
		{csv, "", `! f:1:1: 空文件，缺少文件头 · an empty file: the header is missing (第 0 字节 · byte 0)`},
		{csv, "HEAS,1\nEND,0\n", `! f:1:1: h: 应为 "HEAD" · "HEAD" is wanted (第 0 字节 · byte 0)|2 2@7: "END"=0 "0"=0`},
		{csv, "HEAD,1\na,1\nEND,1", `0 1@0: "HEAD"=0 "1"=1|1 2@7: "a"=0 "1"=1 ""=0|! f:3:6: 最后一行没有换行，文件不完整 · the last line has no end: the file is cut off (第 16 字节 · byte 16)`},
		{csv, "HEAD,1\na,1\r\nEND,1\n", `0 1@0: "HEAD"=0 "1"=1|! f:2:4: n: 不是64 位以内的十进制数 · not a decimal number of 64 bits (第 10 字节 · byte 10)|2 3@12: "END"=0 "1"=1`},
		{fixed, "abc01\r\nd  02\n", `1 1@0: "abc"=0 "01"=1|1 2@7: "d"=0 "02"=2`},
		{fixed, "abc01\nd  0", `1 1@0: "abc"=0 "01"=1|! f:2:5: 记录不完整：应有 6 字节，文件在第 4 字节处结束 · a record cut off: of 6 bytes the file has 4 (第 10 字节 · byte 10)`},
		{fixed, "abc011\nabc01\n", `! f:1:6: 记录应在 5 字节后换行 · the line does not end after 5 bytes (第 5 字节 · byte 5)`},
		{fixed, "   01\nabc0x\nabc02\n", `! f:1:4: a: 空值 · empty (第 3 字节 · byte 3)|! f:2:5: n: 不是64 位以内的十进制数 · not a decimal number of 64 bits (第 10 字节 · byte 10)|1 3@12: "abc"=0 "02"=2`},
		{fixed, "", ""},
	} {
		for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			got, err := all(read(t, c.layout).NewReader(src, "f"))
			if s := strings.Join(got, "|"); err != nil || s != c.want {
				t.Errorf("%q: %v\n got %s\nwant %s", c.in, err, s, c.want)
			}
		}
	}
}

// endless gives one byte for ever and counts what was taken of it.
type endless struct{ n int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '7'
	}
	e.n += int64(len(b))
	return len(b), nil
}

// A line of any length, ten gigabytes or more, costs no more than the reader's
// buffer, in memory and in bytes read.
func TestEndlessLineIsRefusedAtOnce(t *testing.T) {
	for _, text := range []string{csv, strings.Replace(fixed, "end: any", "end: lf\ntrailer: {fields: [{name: t, length: 1, is: E}]}", 1)} {
		var src endless
		got, err := all(read(t, text).NewReader(&src, "f"))
		if err != nil || len(got) != 1 || !strings.Contains(got[0], "longer than") || src.n > readAhead {
			t.Errorf("%d bytes read, %v, %q", src.n, err, got)
		}
	}
}

func TestSourceErrorIsItsOwn(t *testing.T) {
	broken := errors.New("disk")
	for _, text := range []string{csv, fixed} {
		if _, err := all(read(t, text).NewReader(iotest.ErrReader(broken), "f")); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	l := read(t, fixed)
	r := l.NewReader(strings.NewReader(strings.Repeat("abc01\n", 2000)), "f")
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

// What is appended is read back, of every built-in layout, whatever the values.
func TestAppendAndRead(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, l := range Builtin() {
		var file []byte
		var err error
		if l.Header != nil {
			file, err = l.Append(file, l.Header, map[string]Value{"count": {Num: 20}})
			if err != nil {
				t.Fatal(err)
			}
		}
		var want []map[string]Value
		for range 20 {
			v := random(rnd, l.Record)
			want = append(want, v)
			if file, err = l.Append(file, l.Record, v); err != nil {
				t.Fatal(err)
			}
		}
		r := l.NewReader(bytes.NewReader(file), l.Name)
		var kept Row
		for i := 0; i < len(want); {
			row, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if row.Part == Header {
				continue
			}
			if err := l.Parse(&kept, bytes.Clone(row.Raw)); err != nil {
				t.Fatal(err)
			}
			for j, f := range l.Record.Fields {
				v := want[i][f.Name]
				if f.Name == "-" {
					continue
				}
				if f.Type.Numeric() && (row.Num[j] != v.Num || kept.Num[j] != v.Num) || !f.Type.Numeric() && (string(row.Text[j]) != v.Text || string(kept.Text[j]) != v.Text) {
					t.Fatalf("%s: %s: %q %d, want %+v", l.Name, f.Name, row.Text[j], row.Num[j], v)
				}
			}
			i++
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
}

func random(rnd *rand.Rand, s *Shape) map[string]Value {
	m := map[string]Value{}
	for _, f := range s.Fields {
		v := Value{}
		chars := "0123456789"
		switch {
		case f.Is != "":
			v = constant(&f)
		case f.Values != nil:
			f.Is = f.Values[rnd.IntN(len(f.Values))]
			v = constant(&f)
		case f.Type == Number:
			v.Num = rnd.Uint64N(10_000)
		case f.Type.Numeric():
			v.Num = rnd.Uint64N(200)
		default:
			if f.Type == Text {
				chars = "ABC xyz"
			} else if f.Type == Hex {
				chars = "0123456789ABCDEF"
			}
			b := make([]byte, f.Width)
			for i := range b {
				b[i] = chars[rnd.IntN(len(chars))]
			}
			if f.Type == Text { // no spaces at its ends
				b[0], b[len(b)-1] = 't', 't'
			}
			v.Text = string(b)
		}
		m[f.Name] = v
	}
	return m
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	l := read(t, fixed)
	if _, err := l.Append(nil, l.Record, map[string]Value{"a": {Text: "abcd"}}); err == nil || !strings.Contains(err.Error(), "a: 值须为 3 字节") {
		t.Error(err)
	}
	if b, err := l.Append([]byte("x"), l.Record, map[string]Value{"n": {Num: 100}}); err == nil || string(b) != "x" {
		t.Errorf("%q %v", b, err)
	}
}

func TestEveryFaultOfALayoutIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\n": "t.yaml:1:1: 缺少 record",
		"name: x\nrecord: {fields: [{name: a, length: 2}]}\nrecrod: 1\n":                                                     `t.yaml:3:1: 未知的键 "recrod"`,
		"name: x\nname: y\nrecord: {fields: [{name: a, length: 2}]}\n":                                                       "t.yaml:2:1: 键 \"name\" 重复",
		"name: x\nform: loose\nrecord: {fields: [{name: a, length: 2}]}\n":                                                   "known: fixed, separated",
		"name: x\nrecord: {fields: []}\n":                                                                                    "t.yaml:2:18: 须为 1 至 256 个域",
		"name: x\nrecord: {fields: [{name: a}]}\n":                                                                           "缺少 length",
		"name: x\nrecord: {fields: [{length: 2}]}\n":                                                                         "缺少 name",
		"name: x\nrecord: {fields: [{name: a, length: 2}, {name: a, length: 2}]}\n":                                          `t.yaml:2:48: 名称 "a" 重复`,
		"name: x\nrecord: {fields: [{name: a, length: 2}, {name: b, at: 3, length: 2}]}\n":                                   "t.yaml:2:55: 前面的域止于 2",
		"name: x\nrecord: {length: 5, fields: [{name: a, length: 2}]}\n":                                                     "t.yaml:2:18: 各域共 2 字节",
		"name: x\nrecord: {fields: [{name: a, length: 9, type: big-endian}]}\n":                                              "至多 8 字节",
		"name: x\nform: separated\nrecord: {fields: [{name: a, length: 9, type: bytes}]}\n":                                  "分隔格式中不可有二进制域",
		"name: x\nform: separated\nend: none\nrecord: {fields: [{name: a, length: 9}]}\n":                                    "t.yaml:3:6: 分隔格式须有换行",
		"name: x\nform: separated\nrecord: {least: 3, fields: [{name: a, length: 9}]}\n":                                     "least 大于列数",
		"name: x\nrecord: {fields: [{name: a, length: 2, type: number, is: \"x1\"}]}\n":                                      `"x1" 不是这种类型的值`,
		"name: x\nrecord: {fields: [{name: a, length: 2, is: abc}]}\n":                                                       "比域长",
		"name: x\nrecord: {fields: [{name: a, length: 2}]}\ntrailer: {fields: [{name: a, length: 2}]}\n":                     "t.yaml:3:20: 文件尾的第一个域须有 is",
		"name: x\nend: none\nrecord: {fields: [{name: a, length: 2}]}\ntrailer: {fields: [{name: a, length: 1, is: \"E\"}]}": "与记录等长",
		"name: x\nrecord: {fields: [{name: a, length: 99999999999}]}\n":                                                      "wanted: a whole number",
		"name: x\nseparator: ab\nrecord: {fields: [{name: a, length: 2, optional: 1, values: 3}]}\nuse: 1\n":                 "t.yaml:2:12: 须为一个字符",
		"- 1\n": "须为键值",
		"":      "空文件",
	} {
		_, err := Parse("t.yaml", []byte(text))
		var faults yamlfile.Faults
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestLint(t *testing.T) {
	l := read(t, "name: x\nform: fixed\nend: none\nrecord: {fields: [{name: a, length: 2, optional: true, is: ab}, {name: b, length: 2000}]}\n")
	s := l.Lint().Error()
	for _, want := range []string{"无文件头与文件尾", "定值而可空", "很长的文本", "没有 title", "t.yaml:4:"} {
		if !strings.Contains(s, want) {
			t.Errorf("%q is not in\n%s", want, s)
		}
	}
	bare := read(t, "name: x\nend: none\nrecord: {fields: [{name: a, length: 2}]}\n")
	if !strings.Contains(bare.Lint().Error(), "错位的文件认不出来") {
		t.Error(bare.Lint())
	}
	for _, l := range Builtin() {
		for _, f := range l.Lint() {
			if !strings.Contains(f.Message, "no header and no trailer") {
				t.Error(f)
			}
		}
	}
	if f := read(t, "name: x\nrecord: {fields: [{name: a, length: 2}]}\nuse: {k: v}\n").Fault("k", "m", ""); f.Line != 3 || f.Column != 10 {
		t.Error(f)
	}
}

// Whatever the bytes: no panic, no endless loop, faults with a place inside of the
// file, and offsets that go forward.
func FuzzReader(f *testing.F) {
	f.Add([]byte("HEAD,2\nab,7\nEND,1\n"), uint8(0))
	f.Add([]byte("100100000000010000031\n6"), uint8(1))
	f.Add(bytes.Repeat([]byte{0x55, 0xAA}, 100), uint8(3))
	layouts := append(Builtin(), read(f, csv), read(f, fixed))
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		r := layouts[int(which)%len(layouts)].NewReader(bytes.NewReader(b), "f")
		last := int64(-1)
		for range len(b) + 2 {
			row, err := r.Next()
			var fault *Fault
			switch {
			case err == io.EOF:
				return
			case errors.As(err, &fault):
				if fault.Line < 1 || fault.Column < 1 || fault.Offset < 0 || fault.Offset > int64(len(b)) {
					t.Fatal(err)
				}
			case err != nil:
				t.Fatal(err)
			case row.Offset <= last:
				t.Fatalf("offset %d after %d", row.Offset, last)
			default:
				last = row.Offset
			}
		}
		t.Fatal("no end")
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(csv))
	f.Add([]byte(fixed))
	for _, l := range Builtin() {
		f.Add(l.Source)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse("f", b)
		if err != nil {
			return
		}
		l.Lint()
		_, _ = all(l.NewReader(strings.NewReader("a,b,c\nd\n"), "f"))
	})
}
