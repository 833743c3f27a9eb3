package layouts

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"tongka/clearing/row"
	"tongka/offline/layout"
)

// Head is what a file says of itself. Fields are values of header, records and
// trailer that rows do not have, by the fields' names.
type Head struct {
	Totals
	Zone   *time.Location
	Fields map[string]string
}

// Writer writes rows to a file. Cards are masked, or have zeros in their middle
// where a field takes digits only.
type Writer struct {
	f      *Form
	out    *bufio.Writer
	head   Head
	done   Totals
	b      []byte
	values map[string]layout.Value
}

// ownHeader is what we write of our own CSV; a reader takes any order.
var ownHeader = strings.Join(columns, ",")

// NewWriter begins a file. Count and sum of head are told at its beginning, and held
// against what was written at its end.
func (f *Form) NewWriter(out io.Writer, head Head) (*Writer, error) {
	w := &Writer{f: f, out: bufio.NewWriterSize(out, 64<<10), head: head, values: map[string]layout.Value{}}
	if f.Layout == nil {
		_, err := fmt.Fprintf(w.out, "%s\n", ownHeader)
		return w, err
	}
	if f.Layout.Header == nil {
		return w, nil
	}
	return w, w.end(layout.Header, f.Layout.Header)
}

// Add writes a row.
func (w *Writer) Add(r *row.Row) error {
	if w.f.Layout == nil {
		w.b = appendOwn(w.b[:0], r)
		if _, err := w.out.Write(w.b); err != nil {
			return err
		}
	} else if err := w.record(r); err != nil {
		return err
	}
	w.done.Records++
	w.done.Sum += r.Amount
	return nil
}

func (w *Writer) record(r *row.Row) error {
	clear(w.values)
	for name, v := range w.head.Fields {
		w.values[name] = layout.Value{Text: v}
	}
	if err := w.row(r); err != nil {
		return err
	}
	return w.append(w.f.Layout.Record)
}

// End writes the trailer, and what is still here.
func (w *Writer) End() error {
	if w.done.Records != w.head.Records || w.done.Sum != w.head.Sum {
		return fmt.Errorf("%s: %d 笔 %d 分，应为 %d 笔 %d 分 · %d records of %d fen, %d of %d were told", w.f.Name, w.done.Records, w.done.Sum, w.head.Records, w.head.Sum,
			w.done.Records, w.done.Sum, w.head.Records, w.head.Sum)
	}
	var err error
	if w.f.Layout == nil {
		_, err = fmt.Fprintf(w.out, "end,%d,%d\n", w.done.Records, w.done.Sum)
	} else if t := w.f.Layout.Trailer; t != nil {
		err = w.end(layout.Trailer, t)
	}
	if err != nil {
		return err
	}
	return w.out.Flush()
}

// append writes one record of the values; what they do not have is blank where the
// layout allows it, else zeros.
func (w *Writer) append(s *layout.Shape) (err error) {
	for i := range s.Fields {
		f := &s.Fields[i]
		if _, ok := w.values[f.Name]; ok || f.Optional || f.Is != "" || f.Name == "-" {
			continue
		}
		v := layout.Value{Text: "0"}
		if len(f.Values) > 0 {
			v.Text = f.Values[0]
		} else if f.Type == layout.Digits || f.Type == layout.Hex {
			v.Text = strings.Repeat("0", f.Width)
		}
		w.values[f.Name] = v
	}
	if w.b, err = w.f.Layout.Append(w.b[:0], s, w.values); err != nil {
		return err
	}
	_, err = w.out.Write(w.b)
	return err
}

// end writes a header or trailer.
func (w *Writer) end(part layout.Part, s *layout.Shape) error {
	clear(w.values)
	for name, v := range w.head.Fields {
		w.values[name] = layout.Value{Text: v}
	}
	for _, p := range []struct {
		at where
		v  layout.Value
	}{{w.f.count, layout.Value{Num: uint64(w.head.Records)}}, {w.f.sum, layout.Value{Num: uint64(w.head.Sum)}},
		{w.f.number, layout.Value{Text: w.head.Number}}, {w.f.date, layout.Value{Text: w.head.Date.String()}}} {
		if p.at.field >= 0 && p.at.part == part {
			w.values[s.Fields[p.at.field].Name] = p.v
		}
	}
	return w.append(s)
}

// row puts a row into the fields that it would be read from.
func (w *Writer) row(r *row.Row) error {
	f, fields := w.f, w.f.Layout.Record.Fields
	w.values[fields[f.amount].Name] = layout.Value{Num: uint64(r.Amount)}
	for s, v := range map[slot]string{sRRN: fmt.Sprintf("%012d", r.RRN), sSTAN: fmt.Sprintf("%06d", r.STAN), sMerchant: text(r.Merchant[:]), sTerminal: text(r.Terminal[:])} {
		f.spread(w.values, f.texts[s], v)
	}
	f.spread(w.values, f.texts[sSent], w.sent(r))
	card := r.Masked()
	if t := f.texts[sCard]; len(t) == 1 && t[0].field >= 0 && fields[t[0].field].Type == layout.Digits {
		card = strings.ReplaceAll(card, "***", "000000")
		if card == "" {
			card = strings.Repeat("0", 16)
		}
	}
	f.spread(w.values, f.texts[sCard], card)
	kind, ok := f.kindOf(r)
	if !ok {
		return fmt.Errorf("%s: rows.kinds 中没有 %s · rows.kinds has no code for %s", f.Name, r.Kind, r.Kind)
	}
	f.spread(w.values, f.texts[sKind], kind)
	status, ok := f.statusOf(r)
	if !ok {
		return fmt.Errorf("%s: rows.statuses 中没有 %s · rows.statuses has no code for %s", f.Name, r.Status, r.Status)
	}
	f.spread(w.values, f.texts[sStatus], status)
	return nil
}

// sent is when, in as many digits as its fields have room for.
func (w *Writer) sent(r *row.Row) string {
	n := 0
	for _, p := range w.f.texts[sSent] {
		if p.field >= 0 {
			n += w.f.Layout.Record.Fields[p.field].Width
		}
	}
	if n >= 14 && w.head.Zone != nil {
		return time.Unix(0, r.At).In(w.head.Zone).Format("2006") + fmt.Sprintf("%010d", r.Sent)
	}
	return fmt.Sprintf("%010d", r.Sent)
}

// spread cuts a text into the fields that a template takes it from.
func (f *Form) spread(values map[string]layout.Value, t template, v string) {
	for i, p := range t {
		if p.field < 0 {
			v = strings.TrimPrefix(v, p.text)
			continue
		}
		field := &f.Layout.Record.Fields[p.field]
		n := len(v)
		if i < len(t)-1 {
			n = min(n, field.Width)
		}
		if p.n != 0 {
			n = min(n, max(p.n, -p.n))
		}
		part := v[:n]
		v = v[n:]
		if p.n > 0 && field.Type == layout.Digits { // what stands behind is nobody's business
			part += strings.Repeat("0", field.Width-len(part))
		}
		values[field.Name] = layout.Value{Text: part}
	}
}

// free are characters that a ? of a code may stand for.
const free = "0912345678ABCX"

// concrete gives text that a code stands for and none before it does.
func concrete(code string, first func(string) bool) (string, bool) {
	for i := range free {
		if s := strings.ReplaceAll(code, "?", free[i:i+1]); first(s) {
			return s, true
		}
	}
	return "", false
}

func (f *Form) kindOf(r *row.Row) (string, bool) {
	if f.kinds == nil {
		return "", r.Kind.String() == "sale"
	}
	for i := range f.kinds {
		k := &f.kinds[i]
		if k.skip || k.kind != r.Kind || k.of != r.Of {
			continue
		}
		if s, ok := concrete(k.code, func(s string) bool { return f.firstKind(s) == i }); ok {
			return s, true
		}
	}
	return "", false
}

func (f *Form) firstKind(s string) int {
	for i := range f.kinds {
		if fits(f.kinds[i].code, []byte(s)) {
			return i
		}
	}
	return -1
}

func (f *Form) statusOf(r *row.Row) (string, bool) {
	if f.statuses == nil {
		return "", r.Status == row.Settled
	}
	for i := range f.statuses {
		if f.statuses[i].status != r.Status {
			continue
		}
		if s, ok := concrete(f.statuses[i].code, func(s string) bool { return f.firstStatus(s) == i }); ok {
			return s, true
		}
	}
	return "", false
}

func (f *Form) firstStatus(s string) int {
	for i := range f.statuses {
		if fits(f.statuses[i].code, []byte(s)) {
			return i
		}
	}
	return -1
}

func text(b []byte) string { return strings.TrimRight(string(b), " \x00") }

// appendOwn writes a line of our own CSV.
func appendOwn(b []byte, r *row.Row) []byte {
	sent := ""
	if r.Sent != 0 {
		sent = fmt.Sprintf("%010d", r.Sent)
	}
	of := ""
	if r.Of != 0 {
		of = r.Of.String()
	}
	return fmt.Appendf(b, "%012d,%06d,%s,%d,%s,%s,%s,%s,%s,%s\n", r.RRN, r.STAN, sent, r.Amount, r.Kind, of, r.Status,
		text(r.Merchant[:]), text(r.Terminal[:]), r.Masked())
}
