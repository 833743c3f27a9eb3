package layouts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/offline/layout"
	"tongka/txn"
)

// Read gives add each record that is to be cleared, with how many bytes of the file
// lie before its end. ID is its line; Link, File and Date are not filled in. What is
// wrong in the file is *Faults, after its good records were given; the file counts
// not at all then. Another error is the source's or add's own.
func (f *Form) Read(in io.Reader, of Reading, add func(r *row.Row, at int64) error) (Totals, error) {
	if f.Layout == nil {
		c := csvReader{name: of.Name, in: bufio.NewReaderSize(in, maxLine), date: of.Date, zone: of.Zone, faults: Faults{Name: of.Name}}
		err := c.read(add)
		return Totals{Records: c.count, Sum: c.sum, Date: of.Date}, err
	}
	r := reader{Form: f, of: of, faults: Faults{Name: of.Name}, said: Totals{Records: -1, Sum: -1}}
	err := r.all(f.Layout.NewReader(in, of.Name), add)
	return r.Totals, err
}

// reader is one file that is read by a layout.
type reader struct {
	*Form
	Totals
	of      Reading
	faults  Faults
	said    Totals // by header and trailer, -1 = nothing
	saidAt  [2]*layout.Fault
	scratch []byte
	row     *layout.Row
}

func (r *reader) all(in *layout.Reader, add func(*row.Row, int64) error) error {
	r.Date = r.of.Date
	for {
		rec, err := in.Next()
		var fault *layout.Fault
		switch {
		case err == io.EOF:
			r.compare()
			return r.faults.err()
		case errors.As(err, &fault):
			r.faults.cut = fault.Cut
			r.faults.add(fault)
			if fault.Last {
				return r.faults.err()
			}
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", r.of.Name, err)
		}
		r.row = rec
		if rec.Part != layout.Record {
			r.ends()
			continue
		}
		if err := r.record(add); err != nil {
			return err
		}
	}
}

// wrong notes a fault at a field of the record that is read.
func (r *reader) wrong(field int, format string, args ...any) {
	r.faults.add(r.at(field, fmt.Sprintf(format, args...)))
}

func (r *reader) at(field int, says string) *layout.Fault {
	s := r.Layout.Record
	switch r.row.Part {
	case layout.Header:
		s = r.Layout.Header
	case layout.Trailer:
		s = r.Layout.Trailer
	}
	at := s.Fields[field].At
	if r.Layout.Form == layout.Separated {
		at = 0
		for _, v := range r.row.Text[:field] {
			at += len(v) + 1
		}
	}
	return &layout.Fault{File: r.of.Name, Line: r.row.Line, Column: at + 1, Offset: r.row.Offset + int64(at), Field: s.Fields[field].Name, Says: says}
}

// ends reads a header or trailer.
func (r *reader) ends() {
	if w := r.count; w.field >= 0 && w.part == r.row.Part {
		r.said.Records, r.saidAt[0] = int64(min(r.row.Num[w.field], 1<<62)), r.at(w.field, "")
	}
	if w := r.sum; w.field >= 0 && w.part == r.row.Part {
		r.said.Sum, r.saidAt[1] = int64(min(r.row.Num[w.field], 1<<62)), r.at(w.field, "")
	}
	if w := r.number; w.field >= 0 && w.part == r.row.Part {
		r.Number = string(r.row.Text[w.field])
	}
	if w := r.date; w.field >= 0 && w.part == r.row.Part {
		d, err := day.ParseDate(string(r.row.Text[w.field]))
		switch {
		case err != nil:
			r.wrong(w.field, "不是日期 · not a date")
		case r.of.Date != 0 && d != r.of.Date:
			r.wrong(w.field, "文件写 %s，登记为 %s · the file says %s, it is registered for %s", d, r.of.Date, d, r.of.Date)
		default:
			r.Date, r.of.Date = d, d
		}
	}
}

// compare holds count and sum against what the file says of itself. Those of a file
// with faults are not to be held against it.
func (r *reader) compare() {
	if r.faults.err() != nil {
		return
	}
	for i, p := range [][2]int64{{r.said.Records, r.Records}, {r.said.Sum, r.Sum}} {
		if p[0] >= 0 && p[0] != p[1] {
			r.saidAt[i].Says = fmt.Sprintf("文件写 %d，实为 %d · the file says %d, there are %d", p[0], p[1], p[0], p[1])
			r.faults.add(r.saidAt[i])
		}
	}
}

// text fills a template from the record.
func (r *reader) text(s slot) []byte {
	at := len(r.scratch)
	for _, p := range r.texts[s] {
		if p.field < 0 {
			r.scratch = append(r.scratch, p.text...)
			continue
		}
		v := r.row.Text[p.field]
		switch {
		case p.n > 0 && len(v) > p.n:
			v = v[:p.n]
		case p.n < 0 && len(v) > -p.n:
			v = v[len(v)+p.n:]
		}
		r.scratch = append(r.scratch, v...)
	}
	return r.scratch[at:]
}

// first is the first field that a template takes, for faults.
func (r *reader) first(s slot) int {
	for _, p := range r.texts[s] {
		if p.field >= 0 {
			return p.field
		}
	}
	return 0
}

// record makes a row of one.
func (r *reader) record(add func(*row.Row, int64) error) error {
	before := r.faults.number()
	r.scratch = r.scratch[:0]
	out := row.Row{ID: uint64(r.row.Line), Kind: txn.Sale, Status: row.Settled}
	fen := r.row.Num[r.amount]
	if fen > fee.MaxAmount {
		r.wrong(r.amount, "金额过大 · more than an amount can be")
	}
	out.Amount = int64(fen)
	skip := r.kind(&out)
	r.fill(&out)
	if r.faults.number() > before {
		return nil
	}
	r.Records++
	r.Sum += out.Amount
	if skip {
		return nil
	}
	return add(&out, r.row.Offset+int64(len(r.row.Raw)))
}

// kind finds kind and status by their codes.
func (r *reader) kind(out *row.Row) (skip bool) {
	if r.kinds != nil {
		code, found := r.text(sKind), false
		for i := range r.kinds {
			if k := &r.kinds[i]; fits(k.code, code) {
				out.Kind, out.Of, skip, found = k.kind, k.of, k.skip, true
				break
			}
		}
		if !found {
			r.wrong(r.first(sKind), "rows.kinds 中没有代码 %q · rows.kinds has no code %q", code, code)
		}
	}
	if r.statuses == nil {
		return skip
	}
	code := r.text(sStatus)
	for i := range r.statuses {
		if s := &r.statuses[i]; fits(s.code, code) {
			out.Status = s.status
			return skip
		}
	}
	r.wrong(r.first(sStatus), "rows.statuses 中没有代码 %q · rows.statuses has no code %q", code, code)
	return skip
}

// fill fills what rows are matched by and what people see.
func (r *reader) fill(out *row.Row) {
	if r.texts[sRRN] != nil {
		r.digits(sRRN, 12, &out.RRN)
	}
	if r.texts[sSTAN] != nil {
		var n uint64
		r.digits(sSTAN, 6, &n)
		out.STAN = uint32(n)
	}
	if r.texts[sSent] != nil {
		if err := setSent(out, string(r.text(sSent)), r.of); err != nil {
			r.wrong(r.first(sSent), "不是日期时间 · not a date and time")
		}
	}
	if r.texts[sMerchant] != nil {
		if err := word(out.Merchant[:], string(r.text(sMerchant))); err != nil {
			r.wrong(r.first(sMerchant), "%v", err)
		}
	}
	if r.texts[sTerminal] != nil {
		if err := word(out.Terminal[:], string(r.text(sTerminal))); err != nil {
			r.wrong(r.first(sTerminal), "%v", err)
		}
	}
	// A whole number does not leave this place.
	if v := r.text(sCard); len(v) >= 13 && len(v) <= 19 {
		copy(out.Card[:6], v)
		copy(out.Card[6:], v[len(v)-4:])
	}
}

// digits reads a number of at most so many digits; nothing is 0.
func (r *reader) digits(s slot, most int, to *uint64) {
	v := r.text(s)
	n, err := uint64(0), error(nil)
	if len(v) > 0 {
		n, err = strconv.ParseUint(string(v), 10, 64)
	}
	if err != nil || len(v) > most {
		r.wrong(r.first(s), "须为至多 %d 位数字 · at most %d digits are wanted", most, most)
		return
	}
	*to = n
}

// setSent reads MMDDhhmmss or YYYYMMDDhhmmss. A year that is not there is the
// day's, or that beside it which is nearer.
func setSent(r *row.Row, v string, of Reading) error {
	year := int(of.Date / 10000)
	switch len(v) {
	case 14:
		n, err := strconv.Atoi(v[:4])
		if err != nil {
			return errField
		}
		year, v = n, v[4:]
	case 10:
		switch month := v[:2]; {
		case month == "12" && of.Date/100%100 == 1:
			year--
		case month == "01" && of.Date/100%100 == 12:
			year++
		}
	default:
		return errField
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return errField
	}
	if year == 0 { // nobody said which day the file is of
		year = anyYear
	}
	zone := of.Zone
	if zone == nil {
		zone = time.UTC
	}
	t, err := time.ParseInLocation("20060102150405", fmt.Sprintf("%04d%s", year, v), zone)
	if err != nil {
		return errField
	}
	r.Sent, r.At = n, t.UnixNano()
	return nil
}

// anyYear has a 29 February.
const anyYear = 2000
