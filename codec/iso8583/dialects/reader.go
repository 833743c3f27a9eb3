package dialects

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tongka/codec/iso8583"
	"tongka/codec/iso8583/internal/dialect"
	"tongka/yamlfile"
)

// reader fills a declaration from the tree of a file. It goes on after a fault,
// and remembers where everything stood, so that what is found later can be named.
type reader struct {
	file          string
	d             iso8583.Declaration
	faults, notes yamlfile.Faults
	at            map[string]yamlfile.Pos // by path: "F48.length"
	// Codings that fields have unless they say one.
	defaults map[iso8583.Kind]iso8583.Coding
	count    iso8583.Coding
}

func (r *reader) fault(n ast.Node, message, hint string) {
	p := yamlfile.NodePos(n)
	r.faults = append(r.faults, yamlfile.Fault{File: r.file, Line: p.Line, Column: p.Column, Message: message, Hint: hint})
}

// keys are what a mapping may hold, each with what reads it.
type keys map[string]func(ast.Node)

// object reads a mapping. Unknown keys and keys that stand twice are faults.
func (r *reader) object(n ast.Node, path string, known keys) {
	pairs, ok := yamlfile.Pairs(n)
	if !ok {
		r.fault(n, "须为键值 · wanted: a mapping", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		return
	}
	seen := map[string]int{}
	for _, kv := range pairs {
		key := kv.Key.GetToken()
		at := yamlfile.TokenPos(key)
		if !r.once(seen, kv.Key, key.Value) {
			continue
		}
		read, ok := known[key.Value]
		if !ok {
			r.fault(kv.Key, fmt.Sprintf("未知项 %q · unknown key %q", key.Value, key.Value), yamlfile.DidYouMean(key.Value, slices.Sorted(maps.Keys(known))))
			continue
		}
		p := key.Value
		if path != "" {
			p = path + "." + p
		}
		if r.at[p] = yamlfile.NodePos(kv.Value); kv.Value.Type() == ast.NullType {
			r.at[p] = at // an empty value has no place of its own
		}
		read(kv.Value)
	}
}

// once says that a key was not there before.
func (r *reader) once(seen map[string]int, key ast.Node, name string) bool {
	if line, twice := seen[name]; twice {
		r.fault(key, fmt.Sprintf("%s 在第 %d 行已出现 · %s is in line %d already", name, line, name, line), "")
		return false
	}
	seen[name] = yamlfile.NodePos(key).Line
	return true
}

// text reads a string. A bare number is its digits: tags and pads are often some.
func (r *reader) text(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.IntegerNode:
		return n.GetToken().Value
	}
	r.fault(n, "须为字符串 · wanted: a string", "")
	return ""
}

// number reads a whole number from 0 to most.
func (r *reader) number(n ast.Node, most int) int {
	if i, ok := n.(*ast.IntegerNode); ok {
		if x, err := strconv.Atoi(fmt.Sprint(i.Value)); err == nil && x >= 0 && x <= most {
			return x
		}
	}
	r.fault(n, fmt.Sprintf("须为 0 至 %d 的整数 · wanted: a whole number, 0 to %d", most, most), "")
	return 0
}

func (r *reader) flag(n ast.Node) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.fault(n, "须为 true 或 false · wanted: true or false", "")
		return false
	}
	return b.Value
}

// list reads a sequence.
func (r *reader) list(n ast.Node, each func(i int, n ast.Node)) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(n, "须为列表 · wanted: a list", "")
		return
	}
	for i, e := range seq.Values {
		each(i, e)
	}
}

// word reads one of some words.
func word[T ~uint8](r *reader, n ast.Node, known []string) T {
	s := r.text(n)
	v, ok := dialect.Word[T](known, s)
	if !ok && s != "" {
		list := slices.DeleteFunc(slices.Clone(known), func(w string) bool { return w == "" })
		r.fault(n, fmt.Sprintf("%q 须为其一 · %q, wanted one of: %s", s, s, strings.Join(list, ", ")), yamlfile.DidYouMean(s, list))
	}
	return v
}

// coding reads a coding.
func (r *reader) coding(n ast.Node) iso8583.Coding {
	return word[iso8583.Coding](r, n, dialect.Codings)
}
