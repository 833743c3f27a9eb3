package dialects

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/yamlfile"
)

// isMoov tells moov's form from ours: its fields say "enc".
func isMoov(root ast.Node) bool {
	top, _ := yamlfile.Pairs(root)
	for _, kv := range top {
		if kv.Key.GetToken().Value != "fields" {
			continue
		}
		fields, _ := yamlfile.Pairs(kv.Value)
		for _, f := range fields {
			words, _ := yamlfile.Pairs(f.Value)
			for _, word := range words {
				if word.Key.GetToken().Value == "enc" {
					return true
				}
			}
		}
	}
	return false
}

// moovField is one field as moov's JSON says it; parts are its subfields.
type moovField struct {
	kind, enc, prefix, about string
	length                   int
	pad, padChar             string
	tag                      *moovTag
	keys                     []string // of the subfields, as they stand
	parts                    map[string]*moovField
	node                     ast.Node
}

type moovTag struct {
	length int
	enc    string
}

// moov reads a specification in moov-io/iso8583's JSON form (its package specs).
func (r *reader) moov(root ast.Node) {
	r.d.Fields = map[int]iso8583.Field{}
	r.object(root, "", keys{
		"name": func(n ast.Node) { r.d.Name = r.text(n) },
		"fields": func(n ast.Node) {
			pairs, ok := yamlfile.Pairs(n)
			if !ok {
				r.fault(n, "须为键值，以域号为键 · wanted: a mapping by field number", "")
			}
			seen := map[string]int{}
			for _, kv := range pairs {
				r.moovEntry(kv, seen)
			}
		},
	})
	for n := range r.d.Fields {
		if n > 128 {
			r.d.Third = dialect.ThirdFollows
		}
	}
}

// moovEntry reads one field of the specification. Field 65 is a presence bit there
// and never sent.
func (r *reader) moovEntry(kv *ast.MappingValueNode, seen map[string]int) {
	key := kv.Key.GetToken().Value
	n, err := strconv.Atoi(key)
	if err != nil || n < 0 || n > iso8583.MaxField {
		r.fault(kv.Key, fmt.Sprintf("%q 不是域号 · %q is no field number", key, key), "0 – 192")
		return
	}
	if !r.once(seen, kv.Key, key) {
		return
	}
	path := fieldPath(n)
	r.at[path] = yamlfile.NodePos(kv.Key)
	m := r.moovField(kv.Value, path)
	switch n {
	case 0:
		r.at["mti"] = r.at[path]
		r.d.MTI = map[string]iso8583.Coding{"ASCII": dialect.ASCII, "BCD": dialect.BCD, "LBCD": dialect.BCD, "EBCDIC": dialect.EBCDIC, "EBCDIC1047": dialect.EBCDIC}[m.enc]
	case 1:
		r.at["bitmap"] = r.at[path]
		r.d.Bitmap = map[string]iso8583.Coding{"Binary": dialect.Bytes, "HexToASCII": dialect.Hex}[m.enc]
		if m.length > 8 {
			r.note(m.node, "位图按 8 字节逐个读取 · bitmaps are read by eight bytes each")
		}
	case 65:
		r.note(kv.Key, "域 65 为扩展位图标志，略去 · field 65 announces a bitmap and is left out")
	default:
		if f, ok := r.fromMoov(m); ok {
			if f.Name == "" {
				f.Name = iso8583.NameOf(n)
			}
			r.d.Fields[n] = f
		}
	}
}

// note is something that was understood in another way than it may have been meant.
func (r *reader) note(n ast.Node, message string) {
	p := yamlfile.NodePos(n)
	r.notes = append(r.notes, yamlfile.Fault{File: r.file, Line: p.Line, Column: p.Column, Message: message})
}

func (r *reader) moovField(n ast.Node, path string) *moovField {
	m := &moovField{node: n}
	text := func(to *string) func(ast.Node) { return func(n ast.Node) { *to = r.text(n) } }
	whatever := func(ast.Node) {}
	r.object(n, path, keys{
		"type": text(&m.kind), "description": text(&m.about), "enc": text(&m.enc), "prefix": text(&m.prefix),
		"length": func(n ast.Node) { m.length = r.number(n, 1<<20) },
		"padding": func(n ast.Node) {
			r.object(n, path+".padding", keys{"type": text(&m.pad), "pad": text(&m.padChar)})
		},
		"tag": func(n ast.Node) {
			m.tag = &moovTag{}
			r.object(n, path+".tag", keys{
				"length": func(n ast.Node) { m.tag.length = r.number(n, 8) }, "enc": text(&m.tag.enc), "sort": whatever,
				"padding": whatever, "skipUnknownTLVTags": whatever, "storeUnknownTLVTags": whatever, "prefUnknownTLV": whatever,
			})
		},
		"bitmap": func(n ast.Node) {
			r.fault(n, "子域位图不支持 · subfields behind a bitmap of their own are not read", "改为 Binary 域 · make it a Binary field")
		},
		"disableAutoExpand": whatever,
		"subfields": func(n ast.Node) {
			m.parts = map[string]*moovField{}
			pairs, _ := yamlfile.Pairs(n)
			for _, kv := range pairs {
				key := kv.Key.GetToken().Value
				m.keys = append(m.keys, key)
				m.parts[key] = r.moovField(kv.Value, path+"."+key)
			}
		},
	})
	for from, to := range map[string]string{"enc": "coding", "padding": "pad", "subfields": "parts"} {
		if p, ok := r.at[path+"."+from]; ok {
			r.at[path+"."+to] = p
		}
	}
	return m
}

// moovCodings say moov's encoders.
var moovCodings = map[string]iso8583.Coding{
	"ASCII": dialect.ASCII, "BCD": dialect.BCDRight, "LBCD": dialect.BCD, "EBCDIC": dialect.EBCDIC, "EBCDIC1047": dialect.EBCDIC,
	"Binary": dialect.Bytes, "HexToASCII": dialect.Hex,
}

// fromMoov says one of moov's fields in our words.
func (r *reader) fromMoov(m *moovField) (f iso8583.Field, ok bool) {
	f = iso8583.Field{Name: m.about, Length: m.length}
	before := len(r.faults)
	r.moovPrefix(m, &f)
	if m.parts != nil {
		r.moovParts(m, &f)
		return f, len(r.faults) == before
	}
	var known bool
	if f.Coding, known = moovCodings[m.enc]; !known {
		r.fault(m.node, fmt.Sprintf("编码 %q 不支持 · encoding %q is not read", m.enc, m.enc), "ASCII, BCD, LBCD, Binary, HexToASCII, EBCDIC")
		return f, false
	}
	if m.enc == "EBCDIC1047" {
		r.note(m.node, "EBCDIC1047 按 EBCDIC 读取，[ ] ! ^ | 等标点不同 · EBCDIC1047 is read as EBCDIC, which differs in punctuation")
	}
	switch m.kind {
	case "Numeric":
		f.Kind = iso8583.Numeric
	case "Track2", "Track3":
		f.Kind = iso8583.Track
		if f.Coding == dialect.BCDRight {
			f.Coding = dialect.BCD
			r.note(m.node, "磁道按左对齐读取 · a track is read left aligned")
		}
	case "String", "Track1":
		f.Kind = iso8583.Text
		switch f.Coding {
		case dialect.BCD, dialect.BCDRight:
			f.Kind = iso8583.Numeric
		case dialect.Bytes: // in moov the way to say text that is not ASCII
			f.Coding = dialect.ASCII
		case dialect.Hex:
			f.Kind = iso8583.Binary
		}
		if m.pad == "Left" && m.padChar == "0" && m.kind == "String" {
			f.Kind = iso8583.Numeric
			r.note(m.node, "左补零的 String 视为数字 · a String with zeros on the left is taken for a number")
		}
	case "Binary", "Hex":
		f.Kind = iso8583.Binary
		if f.Coding == dialect.ASCII {
			f.Coding = dialect.Bytes
		}
	default:
		r.fault(m.node, fmt.Sprintf("类型 %q 不支持 · type %q is not read", m.kind, m.kind), "String, Numeric, Binary, Hex, Track1, Track2, Track3, Composite")
	}
	r.moovPad(m, &f)
	return f, len(r.faults) == before
}

// moovPrefix reads "ASCII.LL". Hexadecimal that is fixed is said so in moov.
func (r *reader) moovPrefix(m *moovField, f *iso8583.Field) {
	coding, size, _ := strings.Cut(m.prefix, ".")
	if size == "Fixed" {
		return
	}
	counts := map[string]iso8583.Coding{"ASCII": dialect.ASCII, "BCD": dialect.BCD, "EBCDIC": dialect.EBCDIC, "EBCDIC1047": dialect.EBCDIC, "Binary": dialect.Bytes, "Hex": dialect.Hex}
	count, ok := counts[coding]
	if !ok || size == "" || len(size) > 4 || strings.Trim(size, "L") != "" {
		r.fault(m.node, fmt.Sprintf("长度前缀 %q 不支持 · prefix %q is not read", m.prefix, m.prefix), "ASCII.Fixed, ASCII.LL, BCD.LLL, Binary.L, Hex.LL, EBCDIC.LLLL")
		return
	}
	f.Prefix, f.Count = len(size), count
}

// moovPad reads how short values are filled. Numbers are filled with zeros in any
// case, and moov's unpadding of what was received has no counterpart: a value is
// what was sent.
func (r *reader) moovPad(m *moovField, f *iso8583.Field) {
	if m.pad == "" || m.pad == "None" || f.Prefix > 0 {
		return
	}
	left := m.pad == "Left"
	switch {
	case len(m.padChar) != 1 || !left && m.pad != "Right":
		r.fault(m.node, fmt.Sprintf("填充 %q %q 不支持 · padding %q %q is not read", m.pad, m.padChar, m.pad, m.padChar), `"type": "Left", "pad": "0"`)
	case f.Kind == iso8583.Numeric && (!left || m.padChar != "0"):
		r.note(m.node, "数字总是左补零 · numbers are filled with zeros on the left")
	case f.Kind == iso8583.Text && (left || m.padChar != " "):
		f.Pad = iso8583.Pad{Left: left, Char: m.padChar[0]}
	}
}

// moovParts reads a composite: by position without a tag, TLV with one in
// characters, BER-TLV with BerTLVTag.
func (r *reader) moovParts(m *moovField, f *iso8583.Field) {
	f.Kind, f.Coding = iso8583.Binary, dialect.Bytes
	p := &iso8583.Parts{}
	f.Parts = p
	switch {
	case m.tag == nil || m.tag.enc == "":
		r.moovPositions(m, f)
		return
	case m.tag.enc == "BerTLVTag":
		p.Form = dialect.BER
	case m.tag.enc == "ASCII":
		f.Kind, f.Coding, p.Form, p.Tag = iso8583.Text, dialect.ASCII, dialect.TLV, m.tag.length
	default:
		r.note(m.node, fmt.Sprintf("tag 编码 %s 的子域不分解 · parts with tags in %s are left whole", m.tag.enc, m.tag.enc))
		f.Parts = nil
		return
	}
	for _, key := range m.keys {
		part := m.parts[key]
		if coding, size, _ := strings.Cut(part.prefix, "."); p.Form == dialect.TLV {
			if l := strings.Count(size, "L"); coding != "ASCII" || l == 0 || p.Length != 0 && l != p.Length {
				r.note(part.node, "长度形式不一的子域不分解 · parts whose lengths have another form are left whole")
				f.Parts = nil
				return
			}
			p.Length = strings.Count(size, "L")
		}
		p.List = append(p.List, iso8583.Part{Tag: key, Name: part.about})
	}
}

// moovPositions gives every part its place, in the order of the keys as numbers.
func (r *reader) moovPositions(m *moovField, f *iso8583.Field) {
	text, at := true, 0
	for _, key := range sorted(m.keys) {
		part := m.parts[key]
		sub, ok := r.fromMoov(part)
		if !ok {
			return
		}
		if sub.Prefix > 0 || sub.Parts != nil {
			r.note(part.node, "变长子域不分解 · parts of variable length are left whole")
			f.Parts = nil
			break
		}
		text = text && sub.Coding == dialect.ASCII
		f.Parts.List = append(f.Parts.List, iso8583.Part{Name: part.about, At: at, Length: sub.Size(sub.Length)})
		at += sub.Size(sub.Length)
	}
	if text {
		f.Kind, f.Coding = iso8583.Text, dialect.ASCII
	}
}

// sorted puts keys that are numbers in their order.
func sorted(keys []string) []string {
	out := append([]string(nil), keys...)
	for i := 1; i < len(out); i++ {
		for j := i; j > 0; j-- {
			a, errA := strconv.Atoi(out[j-1])
			b, errB := strconv.Atoi(out[j])
			if errA != nil || errB != nil || a <= b {
				break
			}
			out[j-1], out[j] = out[j], out[j-1]
		}
	}
	return out
}
