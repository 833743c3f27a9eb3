package layouts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/txn"
)

// Our own CSV, UTF-8, LF or CR LF, no quotes:
//
//	rrn,stan,sent,amount,kind,of,status,merchant,terminal,card
//	274000000001,000017,1001093005,1200,sale,,settled,104110045110012,00000001,622848***1234
//	end,1,1200
//
// The columns come in any order; amount and one that rows are matched by are
// wanted. amount is fen; kind (sale when left out) and of as `switch journal`
// names them; status is settled when left out; sent is MMDDhhmmss. The last line
// has the count of the records and the sum of their amounts, and nothing is
// behind it: so half a file is never a whole one.

// maxLine is the most bytes of a line; a longer one is a fault and not read in.
const maxLine = 64 << 10

var columns = []string{colRRN: "rrn", colSTAN: "stan", colSent: "sent", colAmount: "amount", colKind: "kind", colOf: "of", colStatus: "status",
	colMerchant: "merchant", colTerminal: "terminal", colCard: "card"}

const (
	colRRN = iota
	colSTAN
	colSent
	colAmount
	colKind
	colOf
	colStatus
	colMerchant
	colTerminal
	colCard
)

type csvReader struct {
	name   string
	in     *bufio.Reader
	date   day.Date
	zone   *time.Location
	line   int64
	at     int64 // bytes read
	col    []int // of each field, index into columns
	fields []string
	rec    row.Row // of the line, lent
	faults Faults
	count  int64
	sum    int64
	ended  bool
}

// fault notes one, by line and column from 1.
func (c *csvReader) fault(column int, format string, args ...any) {
	c.faults.add(fmt.Errorf("%s:%d:%d: %w", c.name, c.line, column, fmt.Errorf(format, args...)))
}

// cut notes that the file ends too early.
func (c *csvReader) cut(says string) {
	c.fault(1, "%s", says)
	c.faults.cut = true
}

// next gives the next line without its end; false behind the last. One that is too
// long is a fault and skipped, in bounded memory.
func (c *csvReader) next() (line []byte, ok bool, err error) {
	for {
		c.line++
		line, err = c.in.ReadSlice('\n')
		c.at += int64(len(line))
		long := false
		for errors.Is(err, bufio.ErrBufferFull) {
			long = true
			line, err = c.in.ReadSlice('\n')
			c.at += int64(len(line))
		}
		if err != nil && err != io.EOF {
			return nil, false, fmt.Errorf("%s:%d: %w", c.name, c.line, err)
		}
		if long {
			c.fault(1, "一行超过 %d 字节 · a line of more than %d bytes", maxLine, maxLine)
			if err == nil {
				continue
			}
			return nil, false, nil
		}
		if err == io.EOF && len(line) > 0 {
			c.cut("最后一行没有换行，文件不完整 · the last line has no end: the file is not whole")
			return nil, false, nil
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), err == nil, nil
	}
}

// read gives f the records as they come; the error, all faults, comes behind them.
func (c *csvReader) read(f func(*row.Row, int64) error) error {
	line, ok, err := c.next()
	if err != nil {
		return err
	}
	if !ok || !c.header(string(bytes.TrimPrefix(line, []byte("\uFEFF")))) {
		if !ok && c.faults.err() == nil {
			c.cut("首行须为列名，文件为空 · the first line has to name the columns, and the file is empty")
		} else if ok {
			c.fault(1, "首行须为列名，其中有 amount 与一个匹配字段 · the first line has to name the columns, amount and one to match by among them")
		}
		return c.faults.err()
	}
	for {
		line, ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if c.ended {
			c.fault(1, "结束行之后还有内容 · there is more behind the end line")
			break
		}
		if err := c.record(string(line), f); err != nil {
			return err
		}
	}
	if !c.ended && c.faults.err() == nil {
		c.cut("没有结束行 end,笔数,金额，文件不完整 · no end line: the file is not whole")
	}
	return c.faults.err()
}

func (c *csvReader) header(line string) bool {
	var key, amount bool
	at := 1
	for _, w := range strings.Split(line, ",") {
		i := slices.Index(columns, w)
		if i < 0 || slices.Contains(c.col, i) {
			c.fault(at, "列 %q 未知或重复 · column %q is not known or stands twice (%s)", w, w, strings.Join(columns, ", "))
		}
		c.col = append(c.col, i)
		key, amount = key || w == "rrn" || w == "stan" || w == "sent", amount || w == "amount"
		at += len(w) + 1
	}
	return key && amount && c.faults.err() == nil
}

// record reads one line.
func (c *csvReader) record(line string, f func(*row.Row, int64) error) error {
	fields := c.split(line)
	if fields[0] == "end" {
		c.end(fields)
		return nil
	}
	if len(fields) != len(c.col) {
		c.fault(1, "%d 列，应为 %d · %d fields, %d are wanted", len(fields), len(c.col), len(fields), len(c.col))
		return nil
	}
	r := &c.rec
	*r = row.Row{ID: uint64(c.line), Kind: txn.Sale, Status: row.Settled}
	at, before := 1, c.faults.number()
	for i, v := range fields {
		if err := c.field(r, c.col[i], v); err != nil {
			c.fault(at, "%s %q: %w", columns[c.col[i]], v, err)
		}
		at += len(v) + 1
	}
	if (r.Kind == txn.Reversal) != (r.Of != 0) {
		c.fault(1, "of 只用于 reversal，且不可缺 · of is for reversals, which want one")
	}
	if c.faults.number() > before {
		return nil
	}
	c.count++
	c.sum += r.Amount
	return f(r, c.at)
}

// split cuts a line into its fields, lent until the next one.
func (c *csvReader) split(line string) []string {
	c.fields = c.fields[:0]
	for more := true; more; {
		var v string
		v, line, more = strings.Cut(line, ",")
		c.fields = append(c.fields, v)
	}
	return c.fields
}

func (c *csvReader) end(fields []string) {
	c.ended = true
	if len(fields) != 3 {
		c.fault(1, "结束行须为 end,笔数,金额 · the end line is end,COUNT,SUM")
		return
	}
	if c.faults.err() != nil {
		return // the sums of what does not read are not to be held against it
	}
	if fields[1] != strconv.FormatInt(c.count, 10) {
		c.fault(5, "笔数 %s，实为 %d · the count is %s, there are %d", fields[1], c.count, fields[1], c.count)
	}
	if fields[2] != strconv.FormatInt(c.sum, 10) {
		c.fault(6+len(fields[1]), "金额 %s，实为 %d · the sum is %s, the records have %d", fields[2], c.sum, fields[2], c.sum)
	}
}

var errField = errors.New("取值有误 · not a value of this column")

func (c *csvReader) field(r *row.Row, col int, v string) (err error) {
	switch col {
	case colRRN:
		r.RRN, err = ownNumber(v, 12)
	case colSTAN:
		var n uint64
		n, err = ownNumber(v, 6)
		r.STAN = uint32(n)
	case colSent:
		if v != "" {
			err = setSent(r, v, Reading{c.name, c.date, c.zone})
		}
	case colAmount:
		var n uint64
		if n, err = ownNumber(v, 12); n > fee.MaxAmount {
			err = errField
		}
		r.Amount = int64(n)
	case colKind:
		r.Kind, err = ownKind(v, txn.Sale)
	case colOf:
		r.Of, err = ownKind(v, 0)
	case colStatus:
		if v != "" {
			var ok bool
			if r.Status, ok = row.ParseStatus(v); !ok {
				err = errField
			}
		}
	case colMerchant:
		err = word(r.Merchant[:], v)
	case colTerminal:
		err = word(r.Terminal[:], v)
	case colCard:
		if len(v) >= 13 && len(v) <= 19 && strings.Trim(v[6:len(v)-4], "*") == "" { // a whole number is not kept, nor wanted
			copy(r.Card[:6], v)
			copy(r.Card[6:], v[len(v)-4:])
		} else if v != "" {
			err = errors.New("须遮掩，如 622848***1234 · a masked number is wanted")
		}
	}
	return err
}

func ownNumber(v string, digits int) (n uint64, err error) {
	if v == "" || len(v) > digits {
		return 0, errField
	}
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return 0, errField
		}
		n = n*10 + uint64(v[i]-'0')
	}
	return n, nil
}

func ownKind(v string, none txn.Kind) (txn.Kind, error) {
	if v == "" {
		return none, nil
	}
	k, ok := txn.ParseKind(v)
	if !ok || k != txn.Reversal && row.Moves(k) == 0 {
		return 0, errField
	}
	return k, nil
}

// word takes printable ASCII without spaces: it is in names of parties.
func word(dst []byte, v string) error {
	if len(v) > len(dst) {
		return fmt.Errorf("%d 字节，至多 %d · %d bytes, at most %d", len(v), len(dst), len(v), len(dst))
	}
	for i := range len(v) {
		if v[i] <= ' ' || v[i] > '~' {
			return errField
		}
	}
	copy(dst, v)
	return nil
}
