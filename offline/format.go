package offline

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"tongka/hsm"
	"tongka/offline/layout"
	"tongka/yamlfile"
)

// word is a field name that means something here; a layout's other fields are kept
// and not looked at.
type word uint8

const (
	wCompany word = iota
	wTerminal
	wSAM
	wSAMSeq
	wTermSeq
	wCard
	wCardSeq
	wAmount
	wBefore
	wAfter
	wDate
	wTime
	wDateTime
	wTAC
	wKind
	wKeyIndex
	wKeyVersion
	wIssuer
	wSettleDate
	words
)

var wordNames = [words]string{"company", "terminal", "sam", "sam-seq", "term-seq", "card", "card-seq", "amount", "before", "after",
	"date", "time", "datetime", "tac", "kind", "key-index", "key-version", "issuer", "settle-date"}

// Item is one record as far as this package understands it. The texts are lent
// until the next one is read; bytes stand as hexadecimal digits.
type Item struct {
	Company, Terminal, SAM, Card, SettleDate []byte
	SAMSeq, CardSeq, Amount, Before, After   uint64
	Kind                                     byte
	Key                                      hsm.CardKeyID
	Proof                                    hsm.Card // what the TAC is over
	TAC                                      [4]byte

	scratch []byte
}

// Format is a layout with its meaning. It is safe for use by several goroutines.
type Format struct {
	Layout   *layout.Layout
	at       [words]int // index of the field, or -1
	levels   []template
	terminal int // field that the card was given as terminal number
	sequence int // field that the card was given as terminal counter
	kind     byte
	id       hsm.CardKeyID // what no field says
}

// piece is literal digits, or digits of a field: the first n, the last -n, or all.
type piece struct {
	digits string
	field  int
	n      int
}

// template makes eight bytes of diversification data.
type template []piece

var useKeys = []string{"family", "algorithm", "kind", "level1", "level2", "level3", "terminal", "sequence", "key-index", "key-version"}

// NewFormat reads the meaning of a layout. The error is yamlfile.Faults.
func NewFormat(l *layout.Layout) (*Format, error) {
	f := &Format{Layout: l, terminal: -1, sequence: -1}
	var faults yamlfile.Faults
	bad := func(key, message, hint string) { faults = append(faults, l.Fault(key, message, hint)) }
	for w, name := range wordNames {
		f.at[w] = l.Record.Index(name)
	}
	for _, w := range []word{wSAM, wCard, wAmount, wTAC} {
		if f.at[w] < 0 {
			bad("", fmt.Sprintf("缺少域 %q · the field %q is missing", wordNames[w], wordNames[w]), "")
		}
	}
	if f.at[wDateTime] < 0 && (f.at[wDate] < 0 || f.at[wTime] < 0) {
		bad("", `缺少域 datetime，或 date 与 time · the field datetime, or date and time, is missing`, "")
	}
	for w := range words {
		if i := f.at[w]; i >= 0 && numeric[w] != l.Record.Fields[i].Type.Numeric() {
			bad("", fmt.Sprintf("域 %q 的类型不合 · the field %q is of the wrong type", wordNames[w], wordNames[w]), "")
		}
	}
	for key, v := range l.Use {
		if err := f.use(key, v); err != nil {
			bad(key, err.Error(), yamlfile.DidYouMean(key, useKeys))
		}
	}
	for i := 1; i <= hsm.MaxLevels && l.Use[fmt.Sprintf("level%d", i)] != ""; i++ {
		t, err := parseTemplate(l, l.Use[fmt.Sprintf("level%d", i)])
		if err != nil {
			bad(fmt.Sprintf("level%d", i), err.Error(), `"{card:-16}"`)
		}
		f.levels = append(f.levels, t)
	}
	if f.terminal < 0 {
		f.terminal = f.at[wSAM]
	}
	if f.at[wKind] < 0 && f.kind == 0 {
		bad("kind", "没有 kind 域，须写 use.kind · without a field kind use.kind is wanted", `"06"`)
	}
	if faults != nil {
		faults.Sort()
		return nil, faults
	}
	return f, nil
}

var numeric = [words]bool{wSAMSeq: true, wTermSeq: true, wCardSeq: true, wAmount: true, wBefore: true, wAfter: true, wKind: true, wKeyIndex: true, wKeyVersion: true}

func (f *Format) use(key, v string) error {
	number := func(to *uint8) error {
		n, err := strconv.ParseUint(v, 16, 8)
		*to = uint8(n)
		if err != nil {
			return fmt.Errorf("须为两位十六进制数 · two hexadecimal digits are wanted")
		}
		return nil
	}
	field := func(to *int, numeric bool) error {
		*to = f.Layout.Record.Index(v)
		if *to < 0 || f.Layout.Record.Fields[*to].Type.Numeric() != numeric {
			return fmt.Errorf("没有此类型的域 %q · no field %q of that type", v, v)
		}
		return nil
	}
	switch key {
	case "family":
		return oneOf(v, &f.id.Family, map[string]hsm.Family{"city": hsm.CityCard, "tunion": hsm.TUnion})
	case "algorithm":
		return oneOf(v, &f.id.Alg, map[string]hsm.CardAlg{"des": hsm.CardDES, "sm4": hsm.CardSM4})
	case "kind":
		return number(&f.kind)
	case "key-index":
		return number(&f.id.Index)
	case "key-version":
		return number(&f.id.Version)
	case "terminal":
		return field(&f.terminal, false)
	case "sequence":
		return field(&f.sequence, true)
	case "level1", "level2", "level3":
		return nil
	}
	return fmt.Errorf("未知的键 %q · unknown key %q", key, key)
}

func oneOf[T any](v string, to *T, known map[string]T) error {
	var ok bool
	if *to, ok = known[v]; !ok {
		return fmt.Errorf("取值 %q 有误 · %q is no value of this key", v, v)
	}
	return nil
}

// parseTemplate reads digits and {field}, {field:N}, {field:-N}.
func parseTemplate(l *layout.Layout, s string) (t template, err error) {
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open != 0 {
			if open < 0 {
				open = len(s)
			}
			if strings.Trim(s[:open], "0123456789ABCDEFabcdef") != "" {
				return nil, fmt.Errorf("%q 不是十六进制 · %q is not hexadecimal", s[:open], s[:open])
			}
			t = append(t, piece{digits: s[:open], field: -1})
			s = s[open:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return nil, fmt.Errorf("缺少 } · } is missing")
		}
		name, cut, limited := strings.Cut(s[1:end], ":")
		p := piece{field: l.Record.Index(name)}
		if p.field < 0 || l.Record.Fields[p.field].Type.Numeric() {
			return nil, fmt.Errorf("没有文本域 %q · no text field %q", name, name)
		}
		if p.n, err = strconv.Atoi(cut); limited && (err != nil || p.n == 0 || p.n < -16 || p.n > 16) {
			return nil, fmt.Errorf("位数 %q 有误 · not a number of digits: %q", cut, cut)
		}
		t, s, err = append(t, p), s[end+1:], nil
	}
	return t, nil
}

// text gives a field as text, bytes as digits.
func (f *Format) text(row *layout.Row, i int, it *Item) []byte {
	if i < 0 {
		return nil
	}
	v := row.Text[i]
	if !f.Layout.Record.Fields[i].Type.Binary() {
		return v
	}
	at := len(it.scratch)
	it.scratch = hsm.AppendHex(it.scratch, v)
	return it.scratch[at:len(it.scratch):len(it.scratch)]
}

func (f *Format) num(row *layout.Row, w word) uint64 {
	if f.at[w] < 0 {
		return 0
	}
	return row.Num[f.at[w]]
}

// wrong is a fault of a record at one of its fields.
func (f *Format) wrong(row *layout.Row, file string, i int, says string) error {
	field := &f.Layout.Record.Fields[i]
	at := field.At
	if f.Layout.Form == layout.Separated {
		at = 0
		for _, v := range row.Text[:i] {
			at += len(v) + 1
		}
	}
	return &layout.Fault{File: file, Line: row.Line, Column: at + 1, Offset: row.Offset + int64(at), Field: field.Name, Says: says}
}

// Read takes a record apart. The error is a *layout.Fault, by its place in the file
// of that name. Beyond the first call it asks for no memory.
func (f *Format) Read(row *layout.Row, file string, it *Item) error {
	it.scratch = it.scratch[:0]
	it.Company, it.Terminal = f.text(row, f.at[wCompany], it), f.text(row, f.at[wTerminal], it)
	it.SAM, it.Card = f.text(row, f.at[wSAM], it), f.text(row, f.at[wCard], it)
	it.SettleDate = f.text(row, f.at[wSettleDate], it)
	it.SAMSeq, it.CardSeq, it.Amount = f.num(row, wSAMSeq), f.num(row, wCardSeq), f.num(row, wAmount)
	it.Before, it.After, it.Kind = f.num(row, wBefore), f.num(row, wAfter), f.kind
	if f.at[wKind] >= 0 {
		it.Kind = byte(f.num(row, wKind))
	}
	for _, w := range []word{wAmount, wBefore, wAfter, wSAMSeq, wTermSeq} {
		if f.num(row, w) > math.MaxUint32 {
			return f.wrong(row, file, f.at[w], "超过 4 字节 · does not fit in four bytes")
		}
	}
	if it.CardSeq > math.MaxUint16 {
		return f.wrong(row, file, f.at[wCardSeq], "超过 2 字节 · does not fit in two bytes")
	}
	if !unhex(it.TAC[:], f.text(row, f.at[wTAC], it)) {
		return f.wrong(row, file, f.at[wTAC], "须为 8 位十六进制 · eight hexadecimal digits are wanted")
	}
	it.Key = f.id
	it.Key.TAC = true
	if f.at[wKeyIndex] >= 0 {
		it.Key.Index = uint8(f.num(row, wKeyIndex))
	}
	if f.at[wKeyVersion] >= 0 {
		it.Key.Version = uint8(f.num(row, wKeyVersion))
	}
	if i := f.at[wIssuer]; i >= 0 && !unhex(it.Key.Issuer[:], f.text(row, i, it)) {
		return f.wrong(row, file, i, "须为 16 位十六进制 · sixteen hexadecimal digits are wanted")
	}
	return f.proof(row, file, it)
}

// proof fills what the card signed.
func (f *Format) proof(row *layout.Row, file string, it *Item) error {
	c := &it.Proof
	*c = hsm.Card{Family: f.id.Family, Alg: f.id.Alg, Kind: it.Kind, Levels: uint8(len(f.levels)),
		Balance: uint32(it.Before), Amount: uint32(it.Amount), Seq: uint16(it.CardSeq), TermSeq: uint32(f.num(row, wTermSeq))}
	if f.sequence >= 0 {
		if row.Num[f.sequence] > math.MaxUint32 {
			return f.wrong(row, file, f.sequence, "超过 4 字节 · does not fit in four bytes")
		}
		c.TermSeq = uint32(row.Num[f.sequence])
	}
	if !unhex(c.Terminal[:], f.text(row, f.terminal, it)) {
		return f.wrong(row, file, f.terminal, "须为 12 位十六进制 · twelve hexadecimal digits are wanted")
	}
	place := f.at[wDateTime]
	var digits []byte
	if place >= 0 {
		digits = f.text(row, place, it)
	} else {
		place = f.at[wDate]
		at := len(it.scratch)
		it.scratch = append(append(it.scratch, row.Text[place]...), row.Text[f.at[wTime]]...)
		digits = it.scratch[at:]
	}
	if !moment(digits) || !unhex(c.Time[:], digits) {
		return f.wrong(row, file, place, "不是日期时间 · not a date and time")
	}
	for i, t := range f.levels {
		at := len(it.scratch)
		for _, p := range t {
			it.scratch = p.append(it.scratch, f, row)
		}
		if !unhex(c.Div[i][:], it.scratch[at:]) {
			return f.wrong(row, file, f.at[wCard], fmt.Sprintf("第 %d 级分散因子不足 16 位十六进制 · level %d of diversification is not sixteen hexadecimal digits", i+1, i+1))
		}
	}
	return nil
}

func (p *piece) append(dst []byte, f *Format, row *layout.Row) []byte {
	if p.field < 0 {
		return append(dst, p.digits...)
	}
	at := len(dst)
	if f.Layout.Record.Fields[p.field].Type.Binary() {
		dst = hsm.AppendHex(dst, row.Text[p.field])
	} else {
		dst = append(dst, row.Text[p.field]...)
	}
	switch n := len(dst) - at; {
	case p.n > 0 && n > p.n:
		dst = dst[:at+p.n]
	case p.n < 0 && n > -p.n:
		dst = append(dst[:at], dst[len(dst)+p.n:]...)
	}
	return dst
}

// unhex fills dst, or says that src is not exactly its digits.
func unhex(dst, src []byte) bool {
	if len(src) != 2*len(dst) {
		return false
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}

// moment says that 14 digits are a date and time.
func moment(b []byte) bool {
	if len(b) != 14 {
		return false
	}
	var n [7]int
	for i := range n {
		hi, lo := b[2*i]-'0', b[2*i+1]-'0'
		if hi > 9 || lo > 9 {
			return false
		}
		n[i] = int(hi)*10 + int(lo)
	}
	return n[2] >= 1 && n[2] <= 12 && n[3] >= 1 && n[3] <= 31 && n[4] < 24 && n[5] < 60 && n[6] < 60
}
