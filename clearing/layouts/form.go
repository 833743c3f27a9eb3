// Package layouts reads the other side's files to rows, and writes rows to files.
// A file has a form that is data: a layout of offline/layout whose section rows says
// which fields are what. Our own CSV, whose columns name themselves, is the one that
// needs no description. All faults of a file are named, each by line and column.
package layouts

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/row"
	"tongka/offline/layout"
	"tongka/txn"
	"tongka/yamlfile"
)

// Own is the name of our own CSV.
const Own = "own"

// Form is how files of one kind are read and written. It is not changed once made.
type Form struct {
	Name   string
	Title  string
	Layout *layout.Layout // nil for our own CSV

	texts    [slots]template
	amount   int // index of the field
	kinds    []kindCode
	statuses []statusCode
	count    where
	sum      where
	number   where
	date     where
}

// slot is what a template fills.
type slot uint8

const (
	sRRN slot = iota
	sSTAN
	sSent
	sCard
	sMerchant
	sTerminal
	sKind
	sStatus
	slots
)

var slotNames = [slots]string{"rrn", "stan", "sent", "card", "merchant", "terminal", "kind", "status"}

var rowKeys = append(slotNames[:], "amount", "kinds", "statuses", "count", "sum", "number", "date")

// piece is text, or characters of a field: the first n, the last -n, or all.
type piece struct {
	text  string
	field int
	n     int
}

type template []piece

// where is a field of the header or the trailer; field is -1 for none.
type where struct {
	part  layout.Part
	field int
}

// kindCode says which kind a code stands for; ? in it is any character.
type kindCode struct {
	code string
	kind txn.Kind
	of   txn.Kind
	skip bool // such a record is not cleared
}

type statusCode struct {
	code   string
	status row.Status
}

//go:embed builtin/*.yaml
var files embed.FS

// Builtin gives the forms that come with the program.
func Builtin() []*Form {
	all := []*Form{{Name: Own, Title: "本方 CSV · our own CSV"}}
	names, err := fs.Glob(files, "builtin/*.yaml")
	for _, n := range names {
		f, bad := builtin(n)
		all, err = append(all, f), errors.Join(err, bad)
	}
	if err != nil {
		panic(fmt.Sprintf("built-in form: %v", err)) // every test would say so
	}
	return all
}

func builtin(name string) (*Form, error) {
	b, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	l, err := layout.Parse(name, b)
	if err != nil {
		return nil, err
	}
	return New(l)
}

// Open finds a form by its built-in name, or reads a YAML file.
func Open(name string) (*Form, error) {
	all := Builtin()
	if i := slices.IndexFunc(all, func(f *Form) bool { return f.Name == name }); i >= 0 {
		return all[i], nil
	}
	if !strings.ContainsAny(name, "./\\") {
		known := make([]string, len(all))
		for i, f := range all {
			known[i] = f.Name
		}
		return nil, fmt.Errorf("没有格式 %q · no form %q (%s)", name, name, yamlfile.DidYouMean(name, known))
	}
	l, err := layout.Open(name)
	if err != nil {
		return nil, err
	}
	return New(l)
}

// New reads a layout's section rows. The error is yamlfile.Faults.
func New(l *layout.Layout) (*Form, error) {
	none := where{field: -1}
	f := &Form{Name: l.Name, Title: l.Title, Layout: l, amount: -1, count: none, sum: none, number: none, date: none}
	var faults yamlfile.Faults
	if len(l.Rows) == 0 {
		return nil, yamlfile.Faults{l.RowsFault("", "没有 rows：不知各域为何 · rows is missing: nobody knows what the fields are", "switch files lint --show cup-acom")}
	}
	for key, v := range l.Rows {
		if err := f.key(key, v); err != nil {
			faults = append(faults, l.RowsFault(key, err.Error(), ""))
		}
	}
	if faults == nil {
		for _, miss := range f.missing() {
			faults = append(faults, l.RowsFault("", miss, ""))
		}
	}
	if faults != nil {
		faults.Sort()
		return nil, faults
	}
	return f, nil
}

// missing is what a form cannot do without.
func (f *Form) missing() (all []string) {
	if f.amount < 0 {
		all = append(all, "rows 缺少 amount · rows wants amount")
	}
	if f.texts[sRRN] == nil && f.texts[sSTAN] == nil && f.texts[sSent] == nil {
		all = append(all, "rows 须有 rrn、stan 或 sent 之一 · rows wants rrn, stan or sent to match by")
	}
	for _, p := range []struct {
		one, two bool
		says     string
	}{{f.texts[sKind] != nil, f.kinds != nil, "kind 与 kinds 须同时出现 · kind and kinds go together"},
		{f.texts[sStatus] != nil, f.statuses != nil, "status 与 statuses 须同时出现 · status and statuses go together"}} {
		if p.one != p.two {
			all = append(all, p.says)
		}
	}
	return all
}

func (f *Form) key(key, v string) (err error) {
	if i := slices.Index(slotNames[:], key); i >= 0 {
		f.texts[i], err = f.template(v)
		return err
	}
	switch key {
	case "amount":
		if f.amount = f.Layout.Record.Index(v); f.amount < 0 || !f.Layout.Record.Fields[f.amount].Type.Numeric() {
			return fmt.Errorf("没有数值域 %q · no field %q that is a number", v, v)
		}
		return nil
	case "kinds":
		f.kinds, err = parseKinds(v)
	case "statuses":
		f.statuses, err = parseStatuses(v)
	case "count":
		f.count, err = f.where(v, true)
	case "sum":
		f.sum, err = f.where(v, true)
	case "number":
		f.number, err = f.where(v, false)
	case "date":
		f.date, err = f.where(v, false)
	default:
		return fmt.Errorf("未知的键 %q · unknown key %q: %s", key, key, yamlfile.DidYouMean(key, rowKeys))
	}
	return err
}

// where reads header.NAME and trailer.NAME.
func (f *Form) where(v string, number bool) (where, error) {
	part, name, _ := strings.Cut(v, ".")
	w, s := where{part: layout.Header}, f.Layout.Header
	if part == "trailer" {
		w, s = where{part: layout.Trailer}, f.Layout.Trailer
	}
	w.field = s.Index(name)
	if part != "header" && part != "trailer" || w.field < 0 || number && !s.Fields[w.field].Type.Numeric() {
		return where{field: -1}, fmt.Errorf("须为 header.域 或 trailer.域，且类型相合 · header.FIELD or trailer.FIELD of the right type is wanted, not %q", v)
	}
	return w, nil
}

// template reads text and {field}, {field:N}, {field:-N}.
func (f *Form) template(s string) (t template, err error) {
	for s != "" {
		open := strings.IndexByte(s, '{')
		if open != 0 {
			if open < 0 {
				open = len(s)
			}
			t, s = append(t, piece{text: s[:open], field: -1}), s[open:]
			continue
		}
		end := strings.IndexByte(s, '}')
		if end < 0 {
			return nil, errors.New("缺少 } · } is missing")
		}
		name, cut, limited := strings.Cut(s[1:end], ":")
		p := piece{field: f.Layout.Record.Index(name)}
		if p.field < 0 || f.Layout.Record.Fields[p.field].Type.Binary() {
			return nil, fmt.Errorf("没有字符域 %q · no field %q of characters", name, name)
		}
		if limited {
			if _, err := fmt.Sscanf(cut+" ", "%d ", &p.n); err != nil || p.n == 0 || p.n < -maxPiece || p.n > maxPiece {
				return nil, fmt.Errorf("位数 %q 有误 · not a number of characters: %q", cut, cut)
			}
		}
		t, s = append(t, p), s[end+1:]
	}
	return t, nil
}

// maxPiece is more characters of a field than a row has room for.
const maxPiece = 32

// pairs reads code=value with spaces between them.
func pairs(s string, f func(code, value string) error) error {
	for _, p := range strings.Fields(s) {
		code, value, ok := strings.Cut(p, "=")
		if !ok || code == "" || value == "" {
			return fmt.Errorf("%q 须为 代码=取值 · %q: wanted CODE=VALUE", p, p)
		}
		if err := f(code, value); err != nil {
			return err
		}
	}
	return nil
}

func parseKinds(s string) (all []kindCode, err error) {
	return all, pairs(s, func(code, value string) error {
		k := kindCode{code: code, skip: value == "-"}
		word, of, reversal := strings.Cut(value, ":")
		if !k.skip {
			var ok1, ok2 bool
			k.kind, ok1 = txn.ParseKind(word)
			k.of, ok2 = txn.ParseKind(of)
			if !ok1 || reversal != (k.kind == txn.Reversal) || reversal && (!ok2 || row.Moves(k.of) == 0) || !reversal && row.Moves(k.kind) == 0 {
				return fmt.Errorf("%q 不是清算的交易种类 · %q is no kind that is cleared (sale, void, refund, reversal:sale, - …)", value, value)
			}
		}
		all = append(all, k)
		return nil
	})
}

func parseStatuses(s string) (all []statusCode, err error) {
	return all, pairs(s, func(code, value string) error {
		st, ok := row.ParseStatus(value)
		if !ok {
			return fmt.Errorf("%q 不是状态 · %q is no status (settled, reversed, failed, tac-failed, card-invalid)", value, value)
		}
		all = append(all, statusCode{code, st})
		return nil
	})
}

// fits compares a code, in which ? is any character, with what a record has.
func fits(code string, v []byte) bool {
	if len(code) != len(v) {
		return false
	}
	for i := range v {
		if code[i] != v[i] && code[i] != '?' {
			return false
		}
	}
	return true
}

// Reading says of which file and day rows are read.
type Reading struct {
	Name string         // for errors
	Date day.Date       // 0: as the header says, or none
	Zone *time.Location // of times in the file
}

// Totals are of a file that was read to its end. Sum is of all amounts, fen,
// without signs; Number is the file's own, as its header has it.
type Totals struct {
	Records int64    `json:"records"`
	Sum     int64    `json:"sum"`
	Number  string   `json:"number,omitempty"`
	Date    day.Date `json:"date,omitempty"`
}

// ErrCut is a file that ends before its end and has nothing else wrong: the rest may
// be on its way.
var ErrCut = errors.New("文件不完整 · the file is not whole")

// maxFaults is how many faults of a file are named.
const maxFaults = 100

// Faults are what is wrong in a file, in order.
type Faults struct {
	Name string
	List []error
	More int  // beyond those that are kept
	cut  bool // the last of List is that the file is cut off
}

// Error gives a line for each.
func (f *Faults) Error() string {
	all := f.List
	if f.More > 0 {
		all = append(slices.Clip(all), fmt.Errorf("%s: 另有 %d 处 · %d more", f.Name, f.More, f.More))
	}
	return errors.Join(all...).Error()
}

// Is says whether all that is wrong is the missing end.
func (f *Faults) Is(err error) bool { return err == ErrCut && f.cut && len(f.List) == 1 }

func (f *Faults) add(err error) {
	if len(f.List) == maxFaults {
		f.More++
		return
	}
	f.List = append(f.List, err)
}

// number is how many there are.
func (f *Faults) number() int { return len(f.List) + f.More }

// err is nil without faults.
func (f *Faults) err() error {
	if len(f.List) == 0 {
		return nil
	}
	return f
}
