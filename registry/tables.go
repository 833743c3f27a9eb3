package registry

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dgraph-io/badger/v4"
	"golang.org/x/text/encoding/simplifiedchinese"

	"tongka/registry/limits"
	"tongka/registry/sheet"
)

// Columns of the merchants' and the limits' files, in the order of an export.
var (
	merchantColumns = []string{"merchant", "name", "mcc", "category", "kinds", "group", "limits", "hours", "state"}
	limitColumns    = []string{"subject", "profile", "class", "single", "day_sum", "day_count"}
)

const (
	maxFile   = 256 << 20 // bytes of a file of merchants
	maxName   = 64        // bytes of a name
	maxAmount = 999_999_999_999
)

// utf8File reads a whole file of people's names as UTF-8. One that is not is
// taken for GBK, as spreadsheets in China write it.
func utf8File(in io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("读取失败 · cannot read: %w", err)
	case len(b) > maxFile:
		return nil, fmt.Errorf("文件超过 %d 字节 · the file is longer than %d bytes", maxFile, maxFile)
	case !utf8.Valid(b):
		if b, err = simplifiedchinese.GBK.NewDecoder().Bytes(b); err != nil {
			return nil, fmt.Errorf("既非 UTF-8 也非 GBK · neither UTF-8 nor GBK: %w", err)
		}
	}
	return bytes.NewReader(b), nil
}

// text reads what a person wrote: at most maxName bytes, nothing that moves a
// cursor.
func text(t *sheet.Reader, c int, name string) string {
	v, i := t.Field(c)
	if len(v) > maxName || strings.ContainsFunc(v, unicode.IsControl) || strings.ContainsRune(v, utf8.RuneError) {
		t.FaultAt(i, "%s 至多 %d 字节且不含控制字符 · %s: at most %d bytes, none of them a control character", name, maxName, name, maxName)
		return ""
	}
	return v
}

func hoursOf(t *sheet.Reader, c int) Hours {
	v, i := t.Field(c)
	h, err := ParseHours(v)
	if err != nil {
		t.FaultAt(i, "营业时间格式错，例 · opening hours, for example mon-fri 08:00-22:00; sat 09:00-18:00: %v", err)
	}
	return h
}

// ImportMerchants reads merchants from CSV, UTF-8 or GBK, and adds or changes
// them. When anything is wrong the error is Faults, and nothing is applied.
func (r *Registry) ImportMerchants(in io.Reader, name string) (added, changed int, err error) {
	in, err = utf8File(in)
	if err != nil {
		return 0, 0, err
	}
	t := sheet.Open(in, name, merchantColumns, 1)
	var rows []*Merchant
	seen := map[[15]byte]int{}
	for t.Next() {
		m := &Merchant{Name: text(t, 1, "name"), MCC: text(t, 2, "mcc"), Category: text(t, 3, "category"), Kinds: kindsOf(t, 4),
			Group: uint16(t.Number(5, 0, 65535)), Limits: text(t, 6, "limits"), Hours: hoursOf(t, 7), Closed: t.Word(8, []string{"open", "closed"}) == 1}
		if v, i := t.Field(2); v != "" && (len(v) != 4 || strings.Trim(v, "0123456789") != "") {
			t.FaultAt(i, "MCC 须为 4 位数字 · mcc: 4 digits wanted")
		}
		if t.Ident(m.Number[:], 0, "商户号", "merchant number (F42)") {
			if first := seen[m.Number]; first > 0 {
				t.FaultAt(0, "商户与第 %d 行重复 · the same merchant as in line %d", first, first)
			}
			seen[m.Number] = t.Line()
		}
		rows = append(rows, m)
	}
	if err := t.Verdict(); err != nil {
		return 0, 0, err
	}
	r.importing.Lock()
	defer r.importing.Unlock()
	x := *r.snap.Load().more
	x.merchants = maps.Clone(x.merchants)
	for _, m := range rows {
		switch old := x.merchants[m.Number]; {
		case old == nil:
			added++
		case *old != *m:
			changed++
		}
		x.merchants[m.Number] = m
	}
	if len(x.merchants) > r.most {
		return 0, 0, fmt.Errorf("registry: %s: %d 家商户，上限 %d · %d merchants, %d at most", name, len(x.merchants), r.most, len(x.merchants), r.most)
	}
	return added, changed, r.amend(func(wb *badger.WriteBatch) error {
		for _, m := range rows {
			if err := setJSON(wb, append([]byte{merchantPrefix}, m.Number[:]...), m); err != nil {
				return err
			}
		}
		return nil
	}, &x)
}

func setJSON(wb *badger.WriteBatch, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return wb.Set(key, b)
}

// ExportMerchants writes all merchants as ImportMerchants reads them, in UTF-8.
func (r *Registry) ExportMerchants(w io.Writer) error {
	all := r.Snapshot().more.merchants
	rows := [][]string{merchantColumns}
	for _, number := range slices.SortedFunc(maps.Keys(all), func(a, b [15]byte) int { return bytes.Compare(a[:], b[:]) }) {
		m, state := all[number], "open"
		if m.Closed {
			state = "closed"
		}
		rows = append(rows, []string{trimID(number[:]), m.Name, m.MCC, m.Category, m.Kinds.String(), strconv.Itoa(int(m.Group)), m.Limits, m.Hours.String(), state})
	}
	return writeRows(w, rows)
}

func writeRows(w io.Writer, rows [][]string) error {
	out := csv.NewWriter(w)
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("registry: export: %w", err)
	}
	return nil
}

// ImportLimits reads limits from CSV and adds or changes them; a line without
// bounds takes its limit away. Amounts are in fen.
func (r *Registry) ImportLimits(in io.Reader, name string) (added, changed int, err error) {
	t := sheet.Open(in, name, limitColumns, 1)
	var rows []*Rule
	for t.Next() {
		l := &Rule{Of: limits.Subject(t.Word(0, limits.SubjectWords)), Profile: text(t, 1, "profile"), Class: limits.Class(t.Word(2, limits.ClassWords)),
			Rule: limits.Rule{Single: int64(t.Number(3, 0, maxAmount)), Sum: int64(t.Number(4, 0, 1000*maxAmount)), Count: uint32(t.Number(5, 0, 1<<32-1))}}
		if l.Profile == "" {
			l.Profile = limits.Default
		}
		if l.Of == limits.Card && l.Profile != limits.Default {
			_, i := t.Field(1)
			t.FaultAt(i, "卡片只有缺省档 · cards have the default profile only")
		}
		rows = append(rows, l)
	}
	if err := t.Verdict(); err != nil {
		return 0, 0, err
	}
	r.importing.Lock()
	defer r.importing.Unlock()
	x := *r.snap.Load().more
	for _, l := range rows {
		var old limits.Rule
		if x.limits != nil && x.limits[l.Of][l.Profile] != nil {
			old = x.limits[l.Of][l.Profile][l.Class]
		}
		switch {
		case old == (limits.Rule{}) && l.Rule != old:
			added++
		case old != l.Rule:
			changed++
		}
		x.limits = withRule(x.limits, l)
	}
	return added, changed, r.amend(func(wb *badger.WriteBatch) error {
		for _, l := range rows {
			key := limitKey(l)
			err := wb.Delete(key)
			if l.Rule != (limits.Rule{}) {
				err = setJSON(wb, key, l.Rule)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}, &x)
}

// ExportLimits writes all limits as ImportLimits reads them.
func (r *Registry) ExportLimits(w io.Writer) error {
	rows := [][]string{limitColumns}
	if set := r.Snapshot().Limits(); set != nil {
		for of, profiles := range set {
			for _, name := range slices.Sorted(maps.Keys(profiles)) {
				for class, l := range profiles[name] {
					if l != (limits.Rule{}) {
						rows = append(rows, []string{limits.SubjectWords[of], name, limits.ClassWords[class],
							strconv.FormatInt(l.Single, 10), strconv.FormatInt(l.Sum, 10), strconv.FormatUint(uint64(l.Count), 10)})
					}
				}
			}
		}
	}
	return writeRows(w, rows)
}
