package dialects

import (
	"fmt"
	"slices"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/yamlfile"
)

// Lint gives what is allowed and yet is seldom meant, at its place in the file.
func (f *File) Lint() yamlfile.Faults {
	var all yamlfile.Faults
	for _, s := range Suspicions(f.Declaration) {
		all = append(all, place(f.Name, f.at, s))
	}
	all.Sort()
	return all
}

// standard are the lengths and kinds that ISO 8583 gives fields which programs rely
// on, in any of its versions. Max is the greatest of a field of variable length.
var standard = map[int]struct {
	kind    iso8583.Kind
	lengths []int
	max     int
}{
	2: {iso8583.Numeric, nil, 19}, 3: {iso8583.Numeric, []int{6}, 0}, 4: {iso8583.Numeric, []int{12}, 0}, 7: {iso8583.Numeric, []int{10}, 0},
	11: {iso8583.Numeric, []int{6}, 0}, 12: {iso8583.Numeric, []int{6, 12}, 0}, 13: {iso8583.Numeric, []int{4}, 0}, 14: {iso8583.Numeric, []int{4}, 0},
	32: {iso8583.Numeric, nil, 11}, 33: {iso8583.Numeric, nil, 11}, 35: {iso8583.Track, nil, 37}, 36: {iso8583.Track, nil, 104},
	37: {iso8583.Text, []int{12}, 0}, 38: {iso8583.Text, []int{6}, 0}, 39: {iso8583.Absent, []int{2, 3}, 0}, 41: {iso8583.Text, []int{8}, 0},
	42: {iso8583.Text, []int{15}, 0}, 49: {iso8583.Absent, []int{3}, 0}, 52: {iso8583.Binary, []int{8, 16}, 0}, 64: {iso8583.Binary, []int{8}, 0},
	70: {iso8583.Numeric, []int{3}, 0}, 90: {iso8583.Numeric, []int{42, 10}, 0}, 128: {iso8583.Binary, []int{8}, 0},
}

// Suspicions gives what is allowed in a declaration and yet is seldom meant.
func Suspicions(d *iso8583.Declaration) (all []iso8583.Fault) {
	codings, count := usual(d)
	total := 0
	for _, n := range d.Numbers() {
		f := d.Fields[n]
		total += f.PrefixSize() + f.Size(f.Length)
		add := func(key string, part int, message, hint string) {
			all = append(all, iso8583.Fault{Field: n, Key: key, Part: part, Message: message, Hint: hint})
		}
		unusual(n, &f, add)
		if f.Coding != codings[f.Kind] && ibm(f.Coding) != ibm(codings[f.Kind]) {
			add("coding", 0, fmt.Sprintf("编码 %s，而多数为 %s · coding %s, while most are %s", f.Coding, codings[f.Kind], f.Coding, codings[f.Kind]), "")
		}
		if f.Prefix > 0 && f.Count != count {
			add("prefix-coding", 0, fmt.Sprintf("长度编码 %s，而多数为 %s · length in %s, while most are in %s", f.Count, count, f.Count, count), "")
		}
		if f.Prefix == 0 && f.Packed() && f.Length%2 == 1 && f.Loose {
			add("loose-pad", 0, "填充半字节可为任意值，四位数字会被截断 · the pad may be anything, so four digits lose one", "")
		}
		if f.Parts != nil && f.Parts.Form == dialect.Positions {
			overlaps(&f, add)
		}
	}
	if d.Wide && d.Fields[128].Kind == iso8583.Absent && d.Fields[64].Kind != iso8583.Absent {
		all = append(all, iso8583.Fault{Field: 64, Message: "两个位图时 MAC 通常在 128 域 · with both bitmaps the MAC is in field 128 as a rule"})
	}
	if total > 1<<16-1 {
		all = append(all, iso8583.Fault{Field: -1, Key: "fields", Message: fmt.Sprintf("全部域最长 %d 字节，超过报文上限 65535 · all fields together may have %d bytes, a message 65535", total, total)})
	}
	return all
}

func ibm(c iso8583.Coding) bool { return c == dialect.EBCDIC || c == dialect.EBCDICHex }

// unusual compares a field with the standard.
func unusual(n int, f *iso8583.Field, add func(key string, part int, message, hint string)) {
	s, ok := standard[n]
	if !ok {
		return
	}
	if s.kind != iso8583.Absent && f.Kind != s.kind {
		add("type", 0, fmt.Sprintf("通常为 %s，此处为 %s · %s as a rule, here %s", s.kind, f.Kind, s.kind, f.Kind), "")
	}
	switch {
	case s.lengths != nil && (f.Prefix > 0 || !slices.Contains(s.lengths, f.Length)):
		add("length", 0, fmt.Sprintf("通常定长 %d，此处为 %s · of length %d as a rule, here %s", s.lengths[0], size(f), s.lengths[0], size(f)), "")
	case s.lengths == nil && (f.Prefix == 0 || f.Length > s.max):
		add("length", 0, fmt.Sprintf("通常变长至 %d，此处为 %s · of up to %d as a rule, here %s", s.max, size(f), s.max, size(f)), "")
	}
}

// size is a field's length in the notation of ISO 8583: 12, or ..19.
func size(f *iso8583.Field) string {
	if f.Prefix == 0 {
		return fmt.Sprint(f.Length)
	}
	return fmt.Sprintf("..%d", f.Length)
}

// overlaps finds parts that share bytes.
func overlaps(f *iso8583.Field, add func(key string, part int, message, hint string)) {
	end := func(p iso8583.Part) int {
		if p.Length == 0 {
			return f.Length
		}
		return p.At + p.Length
	}
	for i, p := range f.Parts.List {
		for j, q := range f.Parts.List[:i] {
			if p.At < end(q) && q.At < end(p) {
				add("parts", i+1, fmt.Sprintf("子域 %d 与子域 %d 重叠 · part %d overlaps part %d", i+1, j+1, i+1, j+1), "")
				break
			}
		}
	}
}

// Finding is a fault or a suspicion for scripts.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Findings says faults so that they can be written as JSON.
func Findings(faults yamlfile.Faults) (all []Finding) {
	for _, f := range faults {
		all = append(all, Finding(f))
	}
	return all
}
