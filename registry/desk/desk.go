// Package desk does what people want of the tables: terminals, merchants, limits
// and the blacklist. It takes words and gives words, and is the same for a tool
// that works on a data folder and for a switch that runs.
package desk

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tongka/registry"
	"tongka/registry/blacklist"
	"tongka/registry/sheet"
)

// Order is one thing to do.
type Order struct {
	Table  string // terminals, merchants, limits, transports, blacklist
	Verb   string // import, export, set; of terminals also permit; of the blacklist also replace, add, remove, find, versions
	Key    string // set: the record, its first columns joined by /
	Column string
	Value  string
	File   string // what In is called in faults
}

// Result is what became of an order. Before and After hold no keys and no card
// numbers.
type Result struct {
	Text          string // for who asked, Chinese and English, or the file of an export
	What          string // what was done it to, for the audit
	Before, After string
	Changed       bool // it is to be audited
}

// Desk works on the stores of one data folder.
type Desk struct {
	Registry  *registry.Registry
	Blacklist *blacklist.Book
}

// ErrOrder is the error of an order that makes no sense.
var ErrOrder = errors.New("没有这个操作 · there is no such thing to do")

// table is what an import and an export of one table are.
type table struct {
	keys   int      // columns that name a record
	blank  []string // columns that a set leaves out: what they hold came from elsewhere
	secret []string // columns whose values nobody is told
	get    func(io.Writer) error
	count  func() int
	put    func(io.Reader, string) (added, changed int, err error)
}

func (d *Desk) table(name string) (table, bool) {
	r := d.Registry
	switch name {
	case "terminals":
		return table{2, []string{"pik", "mak", "batch"}, []string{"tmk", "transport", "pik", "mak"}, r.Export, func() int { return r.Snapshot().Len() }, r.Import}, true
	case "merchants":
		return table{1, nil, nil, r.ExportMerchants, func() int { return r.Snapshot().Merchants() }, r.ImportMerchants}, true
	case "transports":
		return table{2, nil, []string{"key"}, r.ExportTransports, func() int { return len(r.Snapshot().Transports()) }, r.ImportTransports}, true
	case "limits":
		return table{3, nil, nil, r.ExportLimits, func() int { return r.Snapshot().Limits().Len() }, r.ImportLimits}, true
	}
	return table{}, false
}

// Do does one order. The error says all that is wrong, and then nothing has
// changed.
func (d *Desk) Do(o Order, in io.Reader) (Result, error) {
	if o.Table == "blacklist" {
		return d.blacklist(o, in)
	}
	t, ok := d.table(o.Table)
	switch {
	case !ok:
	case o.Verb == "import":
		added, changed, err := t.put(in, o.File)
		return Result{Text: fmt.Sprintf("新增 · added %d, 变更 · changed %d, 共 · total %d\n", added, changed, t.count()), What: o.Table + " " + o.File,
			After: fmt.Sprintf("%d added, %d changed", added, changed), Changed: true}, err
	case o.Verb == "export":
		var out bytes.Buffer
		err := t.get(&out)
		return Result{Text: out.String()}, err
	case o.Table == "terminals" && o.Verb == "permit":
		return d.permit(o)
	case o.Verb == "set":
		return t.set(o)
	}
	return Result{}, fmt.Errorf("%w: %s %s", ErrOrder, o.Table, o.Verb)
}

// set changes one value of one record: the record is written out, changed and
// imported, so that the same rules hold for it as for a file.
func (t *table) set(o Order) (Result, error) {
	var all bytes.Buffer
	if err := t.get(&all); err != nil {
		return Result{}, err
	}
	rows, err := csv.NewReader(&all).ReadAll()
	if err != nil {
		return Result{}, err
	}
	names := rows[0]
	at := slices.Index(names, o.Column)
	if at < t.keys || slices.Contains(t.blank, o.Column) {
		return Result{}, fmt.Errorf("不能修改列 %q · column %q cannot be set, one of: %s", o.Column, o.Column, strings.Join(names[t.keys:], ", "))
	}
	for _, row := range rows[1:] {
		if strings.Join(row[:t.keys], "/") != o.Key {
			continue
		}
		before := row[at]
		row[at] = o.Value
		for i, name := range names {
			if slices.Contains(t.blank, name) {
				row[i] = ""
			}
		}
		var one bytes.Buffer
		w := csv.NewWriter(&one)
		if err := w.WriteAll([][]string{names, row}); err != nil {
			return Result{}, err
		}
		if _, _, err := t.put(&one, "set"); err != nil {
			return Result{}, notSet(o, err)
		}
		after := o.Value
		if slices.Contains(t.secret, o.Column) {
			before, after = "***", "***"
		}
		return Result{Text: fmt.Sprintf("%s %s %s: %s → %s\n", o.Table, o.Key, o.Column, before, after), What: o.Table + " " + o.Key + " " + o.Column,
			Before: before, After: after, Changed: true}, nil
	}
	return Result{}, fmt.Errorf("没有 %q · there is no %q in %s", o.Key, o.Key, o.Table)
}

// Subject names what an order is about: its table, and the record and column.
func Subject(o Order) string {
	return strings.Join(strings.Fields(o.Table+" "+o.Key+" "+o.Column), " ")
}

// notSet says what is wrong with a value that was to be set, or a card to be added. The
// line and column that it had on its way here are nobody's.
func notSet(o Order, err error) error {
	var faults sheet.Faults
	if !errors.As(err, &faults) {
		return err
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = Subject(o) + ": " + f.Message
	}
	return errors.New(strings.Join(lines, "\n"))
}

func (d *Desk) blacklist(o Order, in io.Reader) (Result, error) {
	b := d.Blacklist
	switch o.Verb {
	case "import", "replace", "add", "remove": // the last two are changes of one card
		was := b.List()
		v, err := b.Import(in, o.File, blacklist.How{Full: o.Verb == "replace"})
		if o.File == "" {
			err = notSet(o, err)
		}
		return Result{Text: fmt.Sprintf("版本 · version %d: 新增 · added %d, 变更 · changed %d, 移除 · removed %d, 共 · total %d\n", v.Number, v.Added, v.Changed, v.Removed, v.Cards),
			What: strings.TrimSpace("blacklist " + o.File), Before: fmt.Sprintf("version %d, %d cards", was.Version(), was.Len()),
			After: fmt.Sprintf("version %d, %d cards: %d added, %d changed, %d removed", v.Number, v.Cards, v.Added, v.Changed, v.Removed), Changed: true}, err
	case "export":
		var out bytes.Buffer
		err := b.List().Export(&out)
		return Result{Text: out.String()}, err
	case "versions":
		var out strings.Builder
		fmt.Fprintln(&out, "版本 version  时间 time            方式 how     新增 added  变更 changed  移除 removed  共 total")
		for _, v := range b.Versions() {
			how := "增量 change"
			if v.Full {
				how = "全量 full  "
			}
			fmt.Fprintf(&out, "%12d  %s  %s  %10d  %12d  %12d  %8d\n", v.Number, v.At.Format("2006-01-02 15:04:05"), how, v.Added, v.Changed, v.Removed, v.Cards)
		}
		return Result{Text: out.String()}, nil
	case "find":
		return d.find(in)
	}
	return Result{}, fmt.Errorf("%w: blacklist %s", ErrOrder, o.Verb)
}

// find says what the list holds of the card or serial number that in is. It is
// read and not given as a word: words stand in lists of processes.
func (d *Desk) find(in io.Reader) (Result, error) {
	b, err := io.ReadAll(io.LimitReader(in, 64))
	if err != nil {
		return Result{}, err
	}
	marks, err := d.Blacklist.Look(strings.TrimSpace(string(b)))
	if err != nil {
		return Result{}, err
	}
	text := "不在名单 · not on the list\n"
	for i, m := range marks {
		kind := "黑 · black"
		if m.Grey() {
			kind = "灰 · grey"
		}
		if i == 0 {
			text = ""
		}
		text += fmt.Sprintf("%s, 级别 · level %d, 原因 · cause %s · %s, 应答码 · F39 %v %s\n", kind, m.Level(), m.Cause().Zh(), m.Cause(), m.Code(), m.Code().Words().ZH)
	}
	return Result{Text: text}, nil
}
