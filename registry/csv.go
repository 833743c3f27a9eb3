package registry

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tongka/hsm"
	"tongka/txn"
)

// Columns of an import, in the order of an export. The first three must be
// there; a file may give them in any order.
var columns = [...]string{"merchant", "terminal", "tmk", "mac", "kinds", "group", "pik", "mak", "batch"}

const (
	colMerchant = iota
	colTerminal
	colTMK
	colMAC
	colKinds
	colGroup
	colPIK
	colMAK
	colBatch
	required = colTMK + 1
)

// maxFaults bounds the list of faults; the last one says how many are not in it.
const maxFaults = 200

// Fault is one thing wrong in an import file.
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

// Faults are all that is wrong in an import file, in the order of its lines.
type Faults []Fault

// Error gives one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

var macNames = [...]string{hsm.UnionPay: "unionpay", hsm.X99: "x9.9", hsm.X919: "x9.19"}

func macName(a hsm.MACAlg) (string, bool) {
	if int(a) >= len(macNames) {
		return "", false
	}
	return macNames[a], true
}

// row is one line of an import. pik.N is 0 when it brings no session.
type row struct {
	Profile
	pik, mak hsm.Key
	batch    uint32
}

// table reads one import file.
type table struct {
	in     *csv.Reader
	name   string
	at     [len(columns)]int // where each column stands, -1 when absent
	width  int
	rec    []string
	line   int // where rec begins
	rows   []row
	seen   map[txn.Terminal]int // line of its first row
	faults Faults
	more   int // faults beyond maxFaults
}

// parseCSV reads all rows, or gives Faults with everything that is wrong.
func parseCSV(r io.Reader, name string) ([]row, error) {
	t := &table{in: csv.NewReader(r), name: name, seen: map[txn.Terminal]int{}}
	t.in.FieldsPerRecord = -1
	t.in.ReuseRecord = true
	t.in.Comment = '#'
	if !t.next() {
		if t.faults == nil {
			t.fault(1, 1, "空文件，首行须为列名 · the file is empty; the first line names the columns")
		}
		return nil, t.verdict()
	}
	t.header()
	if t.faults != nil {
		return nil, t.verdict()
	}
	for t.next() {
		t.row()
		if len(t.rows) > MaxTerminals {
			t.faultAt(0, "超过 %d 行 · more than %d rows", MaxTerminals, MaxTerminals)
			break
		}
	}
	return t.rows, t.verdict()
}

// next reads a record, noting broken ones and going on behind them.
func (t *table) next() bool {
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

func (t *table) verdict() error {
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
	}
	return t.faults
}

func (t *table) fault(line, column int, message string) {
	if len(t.faults) == maxFaults {
		t.more++
		return
	}
	t.faults = append(t.faults, Fault{t.name, line, column, message})
}

// faultAt names the place of field i of the record.
func (t *table) faultAt(i int, format string, a ...any) {
	line, column := t.in.FieldPos(i)
	t.fault(line, column, fmt.Sprintf(format, a...))
}

// header finds where the columns stand.
func (t *table) header() {
	for c := range t.at {
		t.at[c] = -1
	}
	t.width = len(t.rec)
	for i, name := range t.rec {
		if i == 0 {
			name = strings.TrimPrefix(name, "\uFEFF") // spreadsheets write a byte order mark
		}
		c := slices.Index(columns[:], strings.ToLower(strings.TrimSpace(name)))
		switch {
		case c < 0:
			t.faultAt(i, "未知列 %q，可用列 · unknown column %q, known: %s", name, name, strings.Join(columns[:], ","))
		case t.at[c] >= 0:
			t.faultAt(i, "列 %s 重复 · column %s twice", columns[c], columns[c])
		default:
			t.at[c] = i
		}
	}
	for c := range required {
		if t.at[c] < 0 {
			t.faultAt(0, "缺少列 %s · column %s is missing", columns[c], columns[c])
		}
	}
}

// field gives the value of column c and where it stands in the record. When the
// record is too short to have it, that is its last field.
func (t *table) field(c int) (string, int) {
	i := t.at[c]
	if i < 0 || i >= len(t.rec) {
		return "", len(t.rec) - 1
	}
	return strings.TrimSpace(t.rec[i]), i
}

// row reads one record. It is kept also when faulty: nothing is applied then.
func (t *table) row() {
	if len(t.rec) > t.width {
		t.faultAt(t.width, "多出的字段，首行只有 %d 列 · a field too many, the first line has %d columns", t.width, t.width)
		return
	}
	var r row
	named := t.ident(r.ID.Merchant[:], colMerchant, "商户号", "merchant number (F42)")
	named = t.ident(r.ID.Number[:], colTerminal, "终端号", "terminal number (F41)") && named
	if first, twice := t.seen[r.ID]; named && twice {
		t.faultAt(0, "终端与第 %d 行重复 · the same terminal as in line %d", first, first)
	} else if named {
		t.seen[r.ID] = t.line
	}
	r.TMK = t.key(colTMK)
	if v, i := t.field(colTMK); v == "" {
		t.faultAt(i, "须有主密钥 · a terminal master key is wanted")
	}
	r.MAC, r.Kinds, r.Group = t.mac(), t.kinds(), uint16(t.number(colGroup, 0, 65535))
	t.session(&r)
	t.rows = append(t.rows, r)
}

// ident fills dst with an identity, padded with spaces as it travels, and says
// whether it could.
func (t *table) ident(dst []byte, c int, zh, en string) bool {
	v, i := t.field(c)
	ok := v != "" && len(v) <= len(dst)
	for j := 0; j < len(v) && ok; j++ {
		ok = v[j] > ' ' && v[j] < 0x7F
	}
	if !ok {
		t.faultAt(i, "%s须为 1 至 %d 个可见字符 · %s: 1 to %d visible characters wanted", zh, len(dst), en, len(dst))
		return false
	}
	for j := copy(dst, v); j < len(dst); j++ {
		dst[j] = ' '
	}
	return true
}

// key reads a key under the LMK. The value is not repeated in the fault.
func (t *table) key(c int) hsm.Key {
	v, i := t.field(c)
	if v == "" {
		return hsm.Key{}
	}
	k, err := hsm.ParseKey(v)
	if err != nil {
		t.faultAt(i, "%s 须为 LMK 下的密钥（U/X+32H、T/Y+48H 或 16H） · %s: a key under the LMK wanted (U/X+32H, T/Y+48H or 16H): %v",
			columns[c], columns[c], plain(err))
	}
	return k
}

// plain is a key's fault without the module's code that it stands for.
func plain(err error) string {
	text, _, _ := strings.Cut(err.Error(), ": hsm code")
	return text
}

func (t *table) mac() hsm.MACAlg {
	v, i := t.field(colMAC)
	if v == "" {
		return hsm.UnionPay
	}
	a := slices.Index(macNames[:], strings.ToLower(v))
	if a < 0 {
		t.faultAt(i, "MAC 算法 %q 须为其一 · MAC algorithm %q, want one of: %s", v, v, strings.Join(macNames[:], ", "))
	}
	return hsm.MACAlg(max(a, 0))
}

func (t *table) kinds() (set Kinds) {
	v, i := t.field(colKinds)
	switch v {
	case "", "*":
		return AllKinds
	case "-":
		return 0
	}
	for name := range strings.SplitSeq(v, "|") {
		k, ok := txn.ParseKind(strings.TrimSpace(name))
		if !ok {
			t.faultAt(i, "未知交易种类 %q，多个以 | 分隔，* 为全部 · unknown kind %q, several are joined by |, * is all", name, name)
		}
		set = set.With(k)
	}
	return set
}

// number reads a decimal of 0 to limit; none when the field is empty.
func (t *table) number(c int, none, limit uint32) uint32 {
	v, i := t.field(c)
	if v == "" {
		return none
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n > uint64(limit) {
		t.faultAt(i, "%s 须为 0 至 %d 的整数 · %s: a number from 0 to %d wanted", columns[c], limit, columns[c], limit)
		return none
	}
	return uint32(n)
}

// session reads the working keys that a row may bring.
func (t *table) session(r *row) {
	r.pik, r.mak = t.key(colPIK), t.key(colMAK)
	r.batch = t.number(colBatch, 1, 999_999)
	pik, i := t.field(colPIK)
	mak, j := t.field(colMAK)
	if (pik == "") != (mak == "") {
		t.faultAt(max(i, j), "pik 与 mak 须同时给出 · pik and mak come together or not at all")
	}
}

// Export writes all terminals as Import reads them, sorted by merchant and
// terminal, with the keys (under the LMK) of the sessions that run now.
func (r *Registry) Export(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns[:]); err != nil {
		return fmt.Errorf("registry: export: %w", err)
	}
	snap, now := r.Snapshot(), r.now().UnixNano()
	for i := range snap.Len() {
		t := snap.At(i)
		rec := [len(columns)]string{
			colMerchant: trimID(t.ID.Merchant[:]), colTerminal: trimID(t.ID.Number[:]),
			colTMK: t.TMK.String(), colMAC: macNames[t.MAC],
			colKinds: t.Kinds.String(), colGroup: strconv.Itoa(int(t.Group)),
		}
		if s := t.Session(now); s != nil && s.PIK.N != 0 && s.MAK.N != 0 {
			rec[colPIK], rec[colMAK] = s.PIK.String(), s.MAK.String()
			rec[colBatch] = fmt.Sprintf("%06d", s.Batch)
		}
		if err := out.Write(rec[:]); err != nil {
			return fmt.Errorf("registry: export: %w", err)
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("registry: export: %w", err)
	}
	return nil
}

func trimID(b []byte) string { return strings.TrimRight(string(b), " ") }
