package dialects

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/yamlfile"
)

// dialect reads our own form. What a dialect extends is read first, wherever it
// stands in the file, since the rest changes it; and so are the defaults.
func (r *reader) dialect(root ast.Node) {
	var fields ast.Node
	later := func(ast.Node) {}
	r.object(root, "", keys{
		"extends": r.extend, "name": later, "about": later, "framing": later, "mti": later, "bitmap": later,
		"both-bitmaps": later, "third-bitmap": later, "defaults": r.readDefaults, "fields": func(n ast.Node) { fields = n },
	})
	pairs, _ := yamlfile.Pairs(root)
	d := &r.d
	own := keys{
		"name":         func(n ast.Node) { d.Name = r.text(n) },
		"about":        func(n ast.Node) { d.About = r.text(n) },
		"framing":      func(n ast.Node) { d.Framing = word[iso8583.Framing](r, n, dialect.Framings) },
		"mti":          func(n ast.Node) { d.MTI = r.coding(n) },
		"bitmap":       func(n ast.Node) { d.Bitmap = r.coding(n) },
		"both-bitmaps": func(n ast.Node) { d.Wide = r.flag(n) },
		"third-bitmap": func(n ast.Node) { d.Third = word[iso8583.Third](r, n, dialect.Thirds) },
	}
	for _, kv := range pairs {
		if read := own[kv.Key.GetToken().Value]; read != nil {
			read(kv.Value)
		}
	}
	if fields != nil {
		r.fields(fields)
	}
}

// extend begins with a copy of a built-in dialect.
func (r *reader) extend(n ast.Node) {
	name := r.text(n)
	s, ok := iso8583.Named(name)
	if !ok {
		r.fault(n, fmt.Sprintf("没有内置方言 %q · no built-in dialect %q", name, name), yamlfile.DidYouMean(name, Names()))
		return
	}
	r.d = *s.Declaration()
	r.d.Fields = maps.Clone(r.d.Fields)
	r.d.Name = ""
}

func (r *reader) readDefaults(n ast.Node) {
	of := func(k iso8583.Kind) func(ast.Node) {
		return func(n ast.Node) { r.defaults[k] = r.coding(n) }
	}
	r.object(n, "defaults", keys{
		"number": of(iso8583.Numeric), "track": of(iso8583.Track), "text": of(iso8583.Text), "binary": of(iso8583.Binary),
		"prefix": func(n ast.Node) { r.count = r.coding(n) },
	})
}

// fields reads the mapping of fields. A field replaces the one that the dialect
// extends; an empty one takes it away.
func (r *reader) fields(n ast.Node) {
	pairs, ok := yamlfile.Pairs(n)
	if !ok {
		r.fault(n, "须为键值，以域号为键 · wanted: a mapping by field number", "2: {type: number, length: 19, prefix: LL}")
		return
	}
	if r.d.Fields == nil {
		r.d.Fields = map[int]iso8583.Field{}
	}
	seen := map[string]int{}
	for _, kv := range pairs {
		key := kv.Key.GetToken().Value
		number, err := strconv.Atoi(key)
		if err != nil || number < 0 || number > iso8583.MaxField {
			r.fault(kv.Key, fmt.Sprintf("%q 不是域号 · %q is no field number", key, key), "2 – 192")
			continue
		}
		if !r.once(seen, kv.Key, strconv.Itoa(number)) {
			continue
		}
		r.at[fieldPath(number)] = yamlfile.NodePos(kv.Key)
		if kv.Value.Type() == ast.NullType {
			delete(r.d.Fields, number)
			continue
		}
		f := iso8583.Field{Name: iso8583.NameOf(number)}
		if old, ok := r.d.Fields[number]; ok {
			f.Name = old.Name
		}
		r.field(kv.Value, fieldPath(number), &f)
		r.d.Fields[number] = f
	}
}

func (r *reader) field(n ast.Node, path string, f *iso8583.Field) {
	r.object(n, path, keys{
		"name":          func(n ast.Node) { f.Name = r.text(n) },
		"type":          func(n ast.Node) { f.Kind = word[iso8583.Kind](r, n, dialect.Kinds) },
		"coding":        func(n ast.Node) { f.Coding = r.coding(n) },
		"length":        func(n ast.Node) { f.Length = r.number(n, dialect.MaxLength) },
		"prefix":        func(n ast.Node) { f.Prefix = r.prefix(n) },
		"prefix-coding": func(n ast.Node) { f.Count = r.coding(n) },
		"loose-pad":     func(n ast.Node) { f.Loose = r.flag(n) },
		"pad":           func(n ast.Node) { f.Pad = r.pad(n) },
		"check":         func(n ast.Node) { f.Check = word[iso8583.Check](r, n, dialect.Checks) },
		"parts":         func(n ast.Node) { f.Parts = r.parts(n, path) },
	})
	if f.Coding == 0 {
		f.Coding = r.defaults[f.Kind]
	}
	if f.Count == 0 && f.Prefix > 0 {
		f.Count = r.count
	}
}

// prefix reads L to LLLL, or fixed.
func (r *reader) prefix(n ast.Node) int {
	s := r.text(n)
	if s == "fixed" {
		return 0
	}
	if s == "" || len(s) > 4 || strings.Trim(s, "L") != "" {
		r.fault(n, fmt.Sprintf("%q 须为 fixed、L、LL、LLL 或 LLLL · %q, wanted: fixed, L, LL, LLL or LLLL", s, s), "")
		return 0
	}
	return len(s)
}

// pad reads a side and a character: "left 0", "right _". A space is written so.
func (r *reader) pad(n ast.Node) iso8583.Pad {
	s := r.text(n)
	side, char, _ := strings.Cut(s, " ")
	if char == "space" {
		char = " "
	}
	if side != "left" && side != "right" || len(char) != 1 || char[0] < ' ' || char[0] > '~' {
		r.fault(n, fmt.Sprintf("%q 须为 left 或 right 加一个字符 · %q, wanted: left or right and one character", s, s), "left 0, right space")
		return iso8583.Pad{}
	}
	return iso8583.Pad{Left: side == "left", Char: char[0]}
}

func (r *reader) parts(n ast.Node, path string) *iso8583.Parts {
	p := &iso8583.Parts{}
	next := 0 // where a part begins that does not say where
	r.object(n, path+".parts", keys{
		"form":   func(n ast.Node) { p.Form = word[iso8583.Form](r, n, dialect.Forms) },
		"tag":    func(n ast.Node) { p.Tag = r.number(n, 8) },
		"length": func(n ast.Node) { p.Length = r.number(n, 4) },
		"list": func(n ast.Node) {
			r.list(n, func(i int, n ast.Node) {
				part := iso8583.Part{At: next}
				where := fmt.Sprintf("%s.parts[%d]", path, i)
				r.at[where] = yamlfile.NodePos(n)
				r.object(n, where, keys{
					"tag":    func(n ast.Node) { part.Tag = r.text(n) },
					"name":   func(n ast.Node) { part.Name = r.text(n) },
					"at":     func(n ast.Node) { part.At = r.number(n, dialect.MaxLength) },
					"length": func(n ast.Node) { part.Length = r.number(n, dialect.MaxLength) },
				})
				next = part.At + part.Length
				p.List = append(p.List, part)
			})
		},
	})
	if p.Form != dialect.Positions {
		for i := range p.List {
			p.List[i].At = 0
		}
	}
	return p
}
