package layout

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// readAhead is what a reader holds of a file at least.
const readAhead = 64 << 10

// Part says which shape a row has.
type Part uint8

// Parts of a file.
const (
	Header Part = iota
	Record
	Trailer
)

// Row is one record, lent until the next call of Next.
type Row struct {
	Part   Part
	Line   int
	Offset int64
	Raw    []byte // without its end
	Text   [][]byte
	Num    []uint64 // of numeric fields
}

// Reader reads a file of records one after the other and holds 64 KB of it, or one
// record where that is more.
type Reader struct {
	l    *Layout
	name string
	src  *bufio.Reader
	row  Row
	next int64 // offset of the next record
	done bool  // after the trailer, or a last fault
}

// NewReader reads src, a file of the given name.
func (l *Layout) NewReader(src io.Reader, name string) *Reader {
	size := max(readAhead, l.MaxLine+2)
	for _, s := range []*Shape{l.Header, l.Record, l.Trailer} {
		if s != nil {
			size = max(size, s.Size+s.Tail+2)
		}
	}
	return &Reader{l: l, name: name, src: bufio.NewReaderSize(src, size)}
}

// Next gives the next record, io.EOF behind the last one, a *Fault for what is wrong
// in the file, or the source's own error. After a Fault that is not Last the
// following record can be read. No allocation once the row has grown.
func (r *Reader) Next() (*Row, error) {
	if r.done {
		return nil, r.rest()
	}
	r.row.Line++
	r.row.Offset = r.next
	raw, err := r.record()
	if err != nil {
		return nil, err
	}
	r.row.Raw = raw
	s, part := r.shape(raw)
	if s == r.l.Trailer && part == Trailer {
		r.done = true
	}
	if r.row.Part = part; r.l.Form == Fixed {
		return r.fixed(s)
	}
	return r.separated(s)
}

// rest is what may stand behind the end: nothing.
func (r *Reader) rest() error {
	if r.row.Part != Trailer {
		return io.EOF
	}
	r.row.Line++
	r.row.Offset = r.next
	if _, err := r.src.Peek(1); err != nil {
		return err
	}
	r.row.Part = Record // and EOF from now on
	return r.last(0, "文件尾之后还有内容 · something follows the trailer")
}

func (r *Reader) fault(at int, field, says string) *Fault {
	return &Fault{File: r.name, Line: r.row.Line, Column: at + 1, Offset: r.row.Offset + int64(at), Field: field, Says: says}
}

func (r *Reader) last(at int, says string) error {
	r.done = true
	f := r.fault(at, "", says)
	f.Last = true
	return f
}

// cut is the end of a file that should go on.
func (r *Reader) cut(at int, says string) error {
	r.done = true
	f := r.fault(at, "", says)
	f.Last, f.Cut = true, true
	return f
}

// shape tells what kind of record stands here. A trailer is known by the first
// field that it has a constant for, which the layout's check sees to.
func (r *Reader) shape(raw []byte) (*Shape, Part) {
	if r.row.Line == 1 && r.l.Header != nil {
		return r.l.Header, Header
	}
	if t := r.l.Trailer; t != nil && r.l.isTrailer(raw) {
		return t, Trailer
	}
	return r.l.Record, Record
}

func (l *Layout) isTrailer(raw []byte) bool {
	if l.Form == Separated {
		return bytes.HasPrefix(raw, []byte(l.Trailer.Fields[0].Is)) &&
			(len(raw) == len(l.Trailer.Fields[0].Is) || raw[len(l.Trailer.Fields[0].Is)] == l.Separator)
	}
	return bytes.HasPrefix(raw, []byte(l.Trailer.Fields[0].Is))
}

// record takes the bytes of the next record off the source.
func (r *Reader) record() ([]byte, error) {
	if r.l.Form == Fixed && (r.l.End == NoEnd || r.allFixed()) {
		return r.sized()
	}
	return r.line()
}

// allFixed says that the next record's size is known before it is read, which it
// is unless a trailer of another size may stand here, or something behind it.
func (r *Reader) allFixed() bool {
	for _, s := range []*Shape{r.l.Header, r.l.Record, r.l.Trailer} {
		if s != nil && s.Tail > 0 {
			return false
		}
	}
	return r.l.Trailer == nil || r.l.Trailer.Size == r.l.Record.Size || r.row.Line == 1 && r.l.Header != nil
}

// sized reads a record by its size, and its end.
func (r *Reader) sized() ([]byte, error) {
	s := r.l.Record
	if r.row.Line == 1 && r.l.Header != nil {
		s = r.l.Header
	}
	end := 0
	switch r.l.End {
	case LF:
		end = 1
	case CRLF:
		end = 2
	case AnyEnd:
		end = 1
		if b, _ := r.src.Peek(s.Size + 1); len(b) > s.Size && b[s.Size] == '\r' {
			end = 2
		}
	}
	b, err := r.src.Peek(s.Size + end)
	switch {
	case err == io.EOF && len(b) == 0:
		r.done = true
		return nil, r.ended()
	case err == io.EOF:
		return nil, r.cut(len(b), fmt.Sprintf("记录不完整：应有 %d 字节，文件在第 %d 字节处结束 · a record cut off: of %d bytes the file has %d", s.Size+end, len(b), s.Size+end, len(b)))
	case err != nil:
		return nil, err
	}
	for i, want := range []byte("\r\n")[2-end:] {
		if b[s.Size+i] != want {
			return nil, r.last(s.Size+i, fmt.Sprintf("记录应在 %d 字节后换行 · the line does not end after %d bytes", s.Size, s.Size))
		}
	}
	r.take(len(b))
	return b[:s.Size], nil
}

// line reads a record up to the end of its line. A line that is too long is given
// up without its end being looked for.
func (r *Reader) line() ([]byte, error) {
	b, err := r.src.ReadSlice('\n')
	most := r.l.MaxLine
	if r.l.Form == Fixed {
		most = 0
		for _, s := range []*Shape{r.l.Header, r.l.Record, r.l.Trailer} {
			if s != nil {
				most = max(most, s.Size+s.Tail)
			}
		}
	}
	switch {
	case err == io.EOF && len(b) == 0:
		r.done = true
		return nil, r.ended()
	case errors.Is(err, bufio.ErrBufferFull) || len(b) > most+2:
		return nil, r.last(most, fmt.Sprintf("行超过 %d 字节 · the line is longer than %d bytes", most, most))
	case err == io.EOF:
		return nil, r.cut(len(b), "最后一行没有换行，文件不完整 · the last line has no end: the file is cut off")
	case err != nil:
		return nil, err
	}
	r.next += int64(len(b))
	b = b[:len(b)-1]
	cr := len(b) > 0 && b[len(b)-1] == '\r'
	if cr && r.l.End != LF {
		b = b[:len(b)-1]
	} else if !cr && r.l.End == CRLF {
		return nil, r.fault(len(b), "", "换行应为 CRLF · the line has to end with CRLF")
	}
	return b, nil
}

// ended is what the end of the file means here.
func (r *Reader) ended() error {
	switch {
	case r.row.Line == 1 && r.l.Header != nil:
		return r.cut(0, "空文件，缺少文件头 · an empty file: the header is missing")
	case r.l.Trailer != nil:
		return r.cut(0, "缺少文件尾 · the trailer is missing")
	}
	return io.EOF
}

// take moves on. What was peeked stays valid until the source is read again.
func (r *Reader) take(n int) {
	_, _ = r.src.Discard(n) // it was peeked
	r.next += int64(n)
}

func (r *Reader) grow(n int) {
	if cap(r.row.Text) < n {
		r.row.Text, r.row.Num = make([][]byte, n), make([]uint64, n)
	}
	r.row.Text, r.row.Num = r.row.Text[:n], r.row.Num[:n]
}

func (r *Reader) fixed(s *Shape) (*Row, error) {
	if n := len(r.row.Raw); n < s.Size || n > s.Size+s.Tail {
		return nil, r.fault(min(len(r.row.Raw), s.Size), "", fmt.Sprintf("记录应为 %d 字节，实为 %d · a record of %d bytes is wanted, here are %d", s.Size, len(r.row.Raw), s.Size, len(r.row.Raw)))
	}
	r.grow(len(s.Fields))
	for i := range s.Fields {
		f := &s.Fields[i]
		if b := r.l.Between; b != 0 && i > 0 && r.row.Raw[f.At-1] != b {
			return nil, r.fault(f.At-1, "", fmt.Sprintf("域之间应为 %q，错位？ · %q is wanted between two fields; is it shifted?", b, b))
		}
		if err := r.value(i, f, r.row.Raw[f.At:f.At+f.Width], f.At); err != nil {
			return nil, err
		}
	}
	return &r.row, nil
}

func (r *Reader) separated(s *Shape) (*Row, error) {
	r.grow(len(s.Fields))
	raw, at := r.row.Raw, 0
	for i := range s.Fields {
		f := &s.Fields[i]
		if at > len(raw) {
			if i < s.Least {
				return nil, r.fault(len(raw), f.Name, fmt.Sprintf("缺少：应有 %d 列 · missing: %d columns are wanted", s.Least, s.Least))
			}
			r.row.Text[i], r.row.Num[i] = nil, 0
			continue
		}
		end := r.l.Charset.until(raw[at:], r.l.Separator)
		v := raw[at : at+end]
		if len(v) > f.Width {
			return nil, r.fault(at, f.Name, fmt.Sprintf("超过 %d 字节 · longer than %d bytes", f.Width, f.Width))
		}
		if err := r.value(i, f, v, at); err != nil {
			return nil, err
		}
		at += end + 1
	}
	if at <= len(raw) {
		return nil, r.fault(at, "", fmt.Sprintf("多于 %d 列 · more than %d columns", len(s.Fields), len(s.Fields)))
	}
	return &r.row, nil
}

// value reads field i from v, which begins at a byte of the record.
func (r *Reader) value(i int, f *Field, v []byte, at int) error {
	r.row.Num[i] = 0
	if !f.Type.Binary() {
		v, at = trim(f, v, at)
	}
	r.row.Text[i] = v
	if f.Name == "-" && f.Is == "" {
		return nil
	}
	if len(v) == 0 {
		if f.Optional {
			return nil
		}
		return r.fault(at, f.Name, "空值 · empty")
	}
	num, bad := convert(f.Type, v)
	if bad >= 0 {
		return r.fault(at+bad, f.Name, "不是"+wanted[f.Type][0]+" · not "+wanted[f.Type][1])
	}
	if f.Type == Text {
		if bad := r.l.Charset.bad(v); bad >= 0 {
			name := charsetNames[r.l.Charset]
			return r.fault(at+bad, f.Name, "不是 "+name+" 文字，编码混用？ · no text in "+name+"; are charsets mixed?")
		}
	}
	r.row.Num[i] = num
	if f.Is != "" && !same(f, f.Is, v, num) {
		return r.fault(at, f.Name, fmt.Sprintf("应为 %q · %q is wanted", f.Is, f.Is))
	}
	for _, w := range f.Values {
		if same(f, w, v, num) {
			return nil
		}
	}
	if len(f.Values) > 0 {
		return r.fault(at, f.Name, fmt.Sprintf("应为 %q 之一 · one of %q is wanted", f.Values, f.Values))
	}
	return nil
}

// trim takes the spaces off, in front as well where a value cannot have any; a
// field with nothing else is empty.
func trim(f *Field, v []byte, at int) ([]byte, int) {
	short := bytes.TrimLeft(v, " ")
	at += len(v) - len(short)
	return bytes.TrimRight(short, " "), at
}

var wanted = [...][2]string{
	Text: {"可见字符", "a printable character"}, Digits: {"数字", "a digit"}, Hex: {"十六进制数字", "a hexadecimal digit"},
	Number: {"64 位以内的十进制数", "a decimal number of 64 bits"}, HexNumber: {"64 位以内的十六进制数", "a hexadecimal number of 64 bits"},
	Bytes: {"", ""}, BigEndian: {"", ""}, LittleEndian: {"", ""},
}

// same compares by number where there is one, so that 06 is 6.
func same(f *Field, want string, v []byte, num uint64) bool {
	if !f.Type.Numeric() {
		return string(v) == want
	}
	t := f.Type
	if t.Binary() {
		t = HexNumber
	}
	n, bad := convert(t, []byte(want))
	return bad < 0 && n == num
}

// convert gives a value's number and the place of its first bad byte, or -1.
func convert(t Type, v []byte) (n uint64, bad int) {
	switch t {
	case Text:
		for i, c := range v {
			if c < ' ' || c == 0x7F {
				return 0, i
			}
		}
	case Digits, Number:
		for i, c := range v {
			d := uint64(c - '0')
			if c < '0' || c > '9' || t == Number && n > (1<<64-1-d)/10 {
				return 0, i
			}
			n = n*10 + d
		}
	case Hex, HexNumber:
		for i, c := range v {
			d, ok := nibble(c)
			if !ok || t == HexNumber && n>>60 != 0 {
				return 0, i
			}
			n = n<<4 | uint64(d)
		}
	case BigEndian:
		for _, c := range v {
			n = n<<8 | uint64(c)
		}
	case LittleEndian:
		for i, c := range v {
			n |= uint64(c) << (8 * i)
		}
	}
	return n, -1
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// Parse reads one record that is already here, as Reader gave it in Raw. The row
// refers to raw. It is for records that were kept.
func (l *Layout) Parse(row *Row, raw []byte) error {
	r := Reader{l: l, name: l.Name, row: *row}
	r.row.Raw, r.row.Part = raw, Record
	var err error
	if l.Form == Fixed {
		_, err = r.fixed(l.Record)
	} else {
		_, err = r.separated(l.Record)
	}
	*row = r.row
	return err
}
