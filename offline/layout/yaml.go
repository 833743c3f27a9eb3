package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tongka/yamlfile"
)

// Parse reads a layout from the YAML of a file of that name. The error is
// yamlfile.Faults: everything that is wrong, each at its line and column.
func Parse(name string, b []byte) (*Layout, error) {
	p := parser{file: name, at: map[string]yamlfile.Pos{}}
	root, faults := yamlfile.Tree(name, b, maxSource, "switch offline layouts --show city-316")
	p.faults = faults
	l := &Layout{Separator: ',', MaxLine: defaultMax, Use: map[string]string{}, Rows: map[string]string{}, Source: slices.Clone(b), file: name, at: p.at}
	if root != nil {
		p.layout(root, l)
		p.check(l)
	}
	if p.faults != nil {
		p.faults.Sort()
		return nil, p.faults
	}
	return l, nil
}

type parser struct {
	file   string
	faults yamlfile.Faults
	at     map[string]yamlfile.Pos
}

func (p *parser) fault(at yamlfile.Pos, message, hint string) {
	p.faults = append(p.faults, yamlfile.Fault{File: p.file, Line: at.Line, Column: at.Column, Message: message, Hint: hint})
}

// each calls f for every key of a mapping: one that is not known or stands twice
// is a fault.
func (p *parser) each(n ast.Node, known []string, f func(key string, v ast.Node)) {
	pairs, ok := yamlfile.Pairs(n)
	if !ok {
		p.fault(yamlfile.NodePos(n), "须为键值 · wanted: a mapping", "")
		return
	}
	var seen []string
	for _, kv := range pairs {
		key, at := kv.Key.GetToken().Value, yamlfile.TokenPos(kv.Key.GetToken())
		switch {
		case slices.Contains(seen, key):
			p.fault(at, fmt.Sprintf("键 %q 重复 · key %q stands twice", key, key), "")
		case known != nil && !slices.Contains(known, key):
			p.fault(at, fmt.Sprintf("未知的键 %q · unknown key %q", key, key), yamlfile.DidYouMean(key, known))
		default:
			f(key, kv.Value)
		}
		seen = append(seen, key)
	}
}

var topKeys = []string{"name", "title", "form", "separator", "between", "charset", "end", "max-line", "header", "record", "trailer", "use", "rows"}

func (p *parser) layout(n ast.Node, l *Layout) {
	p.each(n, topKeys, func(key string, v ast.Node) {
		p.at[key] = yamlfile.NodePos(v)
		switch key {
		case "name":
			l.Name = p.text(v)
		case "title":
			l.Title = p.text(v)
		case "form":
			l.Form = Form(p.word(v, []string{"fixed", "separated"}))
		case "separator":
			l.Separator = p.char(v, " ")
		case "between":
			l.Between = p.char(v, "")
		case "charset":
			l.Charset = Charset(p.word(v, charsetNames))
		case "end":
			l.End = End(p.word(v, endNames))
		case "max-line":
			l.MaxLine = p.number(v, 1, MaxSize)
		case "header":
			l.Header = p.shape(v, key)
		case "record":
			l.Record = p.shape(v, key)
		case "trailer":
			l.Trailer = p.shape(v, key)
		case "use":
			p.meaning(v, "use.", l.Use)
		case "rows":
			p.meaning(v, "rows.", l.Rows)
		}
	})
}

// meaning reads keys that are for others to understand.
func (p *parser) meaning(n ast.Node, path string, to map[string]string) {
	p.each(n, nil, func(key string, v ast.Node) {
		p.at[path+key] = yamlfile.NodePos(v)
		to[key] = p.text(v)
	})
}

// char reads what stands between fields: one character of ASCII, and no line end.
func (p *parser) char(n ast.Node, not string) byte {
	s := p.text(n)
	if len(s) != 1 || s[0] >= 0x7F || s == "\n" || s == "\r" || s == not {
		p.fault(yamlfile.NodePos(n), "须为一个字符 · one character is wanted", `","`)
		return ','
	}
	return s[0]
}

func (p *parser) shape(n ast.Node, path string) *Shape {
	s := &Shape{}
	p.each(n, []string{"length", "least", "tail", "fields"}, func(key string, v ast.Node) {
		p.at[path+"."+key] = yamlfile.NodePos(v)
		switch key {
		case "length":
			s.Size = p.number(v, 1, MaxSize)
		case "least":
			s.Least = p.number(v, 1, MaxFields)
		case "tail":
			s.Tail = p.number(v, 1, MaxSize)
		case "fields":
			list, ok := v.(*ast.SequenceNode)
			if !ok || len(list.Values) == 0 || len(list.Values) > MaxFields {
				p.fault(yamlfile.NodePos(v), fmt.Sprintf("须为 1 至 %d 个域的列表 · a list of 1 to %d fields is wanted", MaxFields, MaxFields), "")
				return
			}
			for i, e := range list.Values {
				here := fmt.Sprintf("%s.fields[%d]", path, i)
				p.at[here] = yamlfile.NodePos(e)
				s.Fields = append(s.Fields, p.field(e, here))
			}
		}
	})
	return s
}

func (p *parser) field(n ast.Node, path string) Field {
	f := Field{At: -1}
	p.each(n, []string{"name", "at", "length", "type", "optional", "is", "values"}, func(key string, v ast.Node) {
		p.at[path+"."+key] = yamlfile.NodePos(v)
		switch key {
		case "name":
			f.Name = p.text(v)
		case "at":
			f.At = p.number(v, 0, MaxSize)
		case "length":
			f.Width = p.number(v, 1, MaxSize)
		case "type":
			f.Type = Type(p.word(v, typeNames))
		case "optional":
			b, ok := v.(*ast.BoolNode)
			if !ok {
				p.fault(yamlfile.NodePos(v), "须为 true 或 false · wanted: true or false", "")
				return
			}
			f.Optional = b.Value
		case "is":
			f.Is = p.text(v)
		case "values":
			list, ok := v.(*ast.SequenceNode)
			if !ok {
				p.fault(yamlfile.NodePos(v), "须为列表 · wanted: a list", "")
				return
			}
			for _, e := range list.Values {
				f.Values = append(f.Values, p.text(e))
			}
		}
	})
	return f
}

func (p *parser) text(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok && s.Value != "" {
		return s.Value
	}
	p.fault(yamlfile.NodePos(n), "须为非空文本 · wanted: text that is not empty", "数字请加引号 · numbers in quotes")
	return ""
}

func (p *parser) word(n ast.Node, known []string) int {
	s, _ := n.(*ast.StringNode)
	if s != nil {
		if i := slices.Index(known, s.Value); i >= 0 {
			return i
		}
	}
	p.fault(yamlfile.NodePos(n), "取值有误 · not a value of this key", "可用 · known: "+strings.Join(known, ", "))
	return 0
}

func (p *parser) number(n ast.Node, low, high int) int {
	if i, ok := n.(*ast.IntegerNode); ok {
		if v, ok := i.Value.(uint64); ok && v >= uint64(low) && v <= uint64(high) {
			return int(v)
		}
	}
	p.fault(yamlfile.NodePos(n), fmt.Sprintf("须为 %d 至 %d 的整数 · wanted: a whole number of %d to %d", low, high, low, high), "")
	return low
}
