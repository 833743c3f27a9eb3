// Package sheet reads CSV files that people keep: the first line names the
// columns, in any order, and all that is wrong is found in one go, each fault
// with its line and column. It knows none of the tables that are read with it.
package sheet

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// maxFaults bounds the list of faults; the last one says how many are not in it.
const maxFaults = 200

// Fault is one thing wrong in a file.
type Fault struct {
	Name    string // of the file
	Line    int    // from 1
	Column  int    // in bytes, from 1
	Message string // what was expected, Chinese and English
}

// String is name:line:column: message.
func (f Fault) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", f.Name, f.Line, f.Column, f.Message)
}

// Faults are all that is wrong in a file, in the order of its lines.
type Faults []Fault

// Error gives one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Reader reads one file, record by record.
type Reader struct {
	in      *csv.Reader
	name    string
	columns []string
	at      []int // where each column stands, -1 when absent
	width   int
	rec     []string
	line    int // where rec begins
	faults  Faults
	more    int // faults beyond maxFaults
}

// Open reads the line of names. The first required columns must be there. When
// it is not usable, Next gives nothing and Verdict says why.
func Open(r io.Reader, name string, columns []string, required int) *Reader {
	t := &Reader{in: csv.NewReader(r), name: name, columns: columns, at: make([]int, len(columns))}
	t.in.FieldsPerRecord = -1
	t.in.ReuseRecord = true
	t.in.Comment = '#'
	if !t.read() {
		if t.faults == nil {
			t.fault(1, 1, "空文件，首行须为列名 · the file is empty; the first line names the columns")
		}
		return t
	}
	t.header(required)
	return t
}

// header finds where the columns stand.
func (t *Reader) header(required int) {
	for c := range t.at {
		t.at[c] = -1
	}
	width := len(t.rec)
	for i, name := range t.rec {
		if i == 0 {
			name = strings.TrimPrefix(name, "\uFEFF") // spreadsheets write a byte order mark
		}
		c := slices.Index(t.columns, strings.ToLower(strings.TrimSpace(name)))
		switch {
		case c < 0:
			t.FaultAt(i, "未知列 %q，可用列 · unknown column %q, known: %s", name, name, strings.Join(t.columns, ","))
		case t.at[c] >= 0:
			t.FaultAt(i, "列 %s 重复 · column %s twice", t.columns[c], t.columns[c])
		default:
			t.at[c] = i
		}
	}
	for c := range required {
		if t.at[c] < 0 {
			t.FaultAt(0, "缺少列 %s · column %s is missing", t.columns[c], t.columns[c])
		}
	}
	if t.faults == nil {
		t.width = width
	}
}

// Next reads a record; false at the end, or when the names were not usable. A
// record that cannot be read, or has a field too many, is noted and left out.
func (t *Reader) Next() bool {
	for t.width > 0 && t.read() {
		if len(t.rec) <= t.width {
			return true
		}
		t.FaultAt(t.width, "多出的字段，首行只有 %d 列 · a field too many, the first line has %d columns", t.width, t.width)
	}
	return false
}

// read reads a record, noting broken ones and going on behind them.
func (t *Reader) read() bool {
	for {
		rec, err := t.in.Read()
		var broken *csv.ParseError
		switch {
		case err == nil:
			t.rec = rec
			t.line, _ = t.in.FieldPos(0)
			return true
		case err == io.EOF:
			return false
		case errors.As(err, &broken):
			t.fault(broken.Line, broken.Column, "引号不成对 · a quote that does not pair: "+broken.Err.Error())
		default:
			t.fault(t.line+1, 1, "读取失败 · cannot read: "+err.Error())
			return false
		}
	}
}

// Line is where the record begins, from 1.
func (t *Reader) Line() int { return t.line }

// Faulty says that something was wrong already.
func (t *Reader) Faulty() bool { return t.faults != nil }

// Verdict is nil, or Faults with all that was wrong.
func (t *Reader) Verdict() error {
	if t.faults == nil {
		return nil
	}
	slices.SortStableFunc(t.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if t.more > 0 {
		last := t.faults[len(t.faults)-1]
		last.Message = fmt.Sprintf("另有 %d 处错误未列出 · %d more faults are not listed", t.more, t.more)
		t.faults = append(t.faults, last)
		t.more = 0
	}
	return t.faults
}

func (t *Reader) fault(line, column int, message string) {
	if len(t.faults) == maxFaults {
		t.more++
		return
	}
	t.faults = append(t.faults, Fault{t.name, line, column, message})
}

// FaultAt notes a fault at field i of the record, as Field gave it.
func (t *Reader) FaultAt(i int, format string, a ...any) {
	line, column := t.in.FieldPos(i)
	t.fault(line, column, fmt.Sprintf(format, a...))
}

// Column is the name of column c.
func (t *Reader) Column(c int) string { return t.columns[c] }

// Has says that the file has column c.
func (t *Reader) Has(c int) bool { return t.at[c] >= 0 }

// Field gives the value of column c, without spaces around it, and where it
// stands in the record. When the record is too short to have it, that is its
// last field.
func (t *Reader) Field(c int) (string, int) {
	i := t.at[c]
	if i < 0 || i >= len(t.rec) {
		return "", len(t.rec) - 1
	}
	return strings.TrimSpace(t.rec[i]), i
}

// Ident fills dst with an identity, padded with spaces as it travels, and says
// whether it could.
func (t *Reader) Ident(dst []byte, c int, zh, en string) bool {
	v, i := t.Field(c)
	ok := v != "" && len(v) <= len(dst)
	for j := 0; j < len(v) && ok; j++ {
		ok = v[j] > ' ' && v[j] < 0x7F
	}
	if !ok {
		t.FaultAt(i, "%s须为 1 至 %d 个可见字符 · %s: 1 to %d visible characters wanted", zh, len(dst), en, len(dst))
		return false
	}
	for j := copy(dst, v); j < len(dst); j++ {
		dst[j] = ' '
	}
	return true
}

// Number reads a decimal of 0 to limit; none when the field is empty.
func (t *Reader) Number(c int, none, limit uint64) uint64 {
	v, i := t.Field(c)
	if v == "" {
		return none
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil || n > limit {
		t.FaultAt(i, "%s 须为 0 至 %d 的整数 · %s: a number from 0 to %d wanted", t.columns[c], limit, t.columns[c], limit)
		return none
	}
	return n
}

// Word reads one of the words, which begin with the default: the place of it in
// words.
func (t *Reader) Word(c int, words []string) int {
	v, i := t.Field(c)
	if v == "" {
		return 0
	}
	w := slices.Index(words, strings.ToLower(v))
	if w < 0 {
		t.FaultAt(i, "%s %q 须为其一 · %s %q, want one of: %s", t.columns[c], v, t.columns[c], v, strings.Join(words, ", "))
	}
	return max(w, 0)
}
