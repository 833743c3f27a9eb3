package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tongka/hsm"
	"tongka/txn"
	"tongka/yamlfile"
)

// reader fills a Config from the tree of a YAML file. It reads the tree itself,
// because a library decoder stops at the first fault, and it remembers where
// every value stood, so that what is found later can be named as well.
type reader struct {
	file   string
	at     map[string]yamlfile.Pos // by path: "links[0].address"
	faults yamlfile.Faults
}

// fault notes a fault at a place. It never stops the reading: an operator wants
// all of them before the next try.
func (r *reader) fault(p yamlfile.Pos, message, hint string) {
	r.faults = append(r.faults, Fault{File: r.file, Line: p.Line, Column: p.Column, Message: message, Hint: hint})
}

// faultAt notes a fault at the value of a path or, when the file does not have
// it, at what it would stand in.
func (r *reader) faultAt(path, message, hint string) {
	for {
		if p, ok := r.at[path]; ok {
			r.fault(p, message, hint)
			return
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			r.fault(yamlfile.Pos{Line: 1, Column: 1}, message, hint)
			return
		}
		path = path[:cut]
	}
}

// value reads node n into v. tag is the field's; an element has its list's.
func (r *reader) value(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	r.at[path] = yamlfile.NodePos(n)
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		r.duration(n, p, tag)
		return
	case *hsm.Key:
		r.key(n, p)
		return
	case *txn.Kind:
		r.kind(n, p)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		r.object(n, v, path)
	case reflect.Slice:
		r.list(n, v, path, tag)
	case reflect.Int:
		r.integer(n, v, tag)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.wrong(n, " true 或 false", "true or false")
			return
		}
		v.SetBool(b.Value)
	default:
		r.text(n, v, tag)
	}
}

// wrong notes that n is not what was wanted, and says what it is.
func (r *reader) wrong(n ast.Node, zh, en string) {
	message := "须为" + zh + " · wanted: " + en
	hint := ""
	switch n := n.(type) {
	case *ast.NullNode:
		message = "值为空，" + message
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		hint = fmt.Sprintf("此处为 %s · here: %s", n.GetToken().Value, n.GetToken().Value)
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		hint = "不支持锚点、别名和标签 · anchors, aliases and tags are not read"
	case *ast.MappingNode, *ast.MappingValueNode:
		hint = "此处为键值 · here: a mapping"
	case *ast.SequenceNode:
		hint = "此处为列表 · here: a list"
	}
	r.fault(yamlfile.NodePos(n), message, hint)
}

// object reads a mapping into a struct: unknown keys, keys that stand twice and
// missing ones are faults, and the rest is read all the same.
func (r *reader) object(n ast.Node, v reflect.Value, path string) {
	nodes, ok := yamlfile.Pairs(n)
	if !ok {
		r.wrong(n, "键值", "a mapping")
		return
	}
	t := v.Type()
	known := make(map[string]int, t.NumField())
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _ = jsonName(t.Field(i))
		known[names[i]] = i
	}
	seen := map[string]int{}
	for _, kv := range nodes {
		name, at := kv.Key.GetToken().Value, yamlfile.TokenPos(kv.Key.GetToken())
		i, ok := known[name]
		if !ok {
			r.fault(at, fmt.Sprintf("未知配置项 %q · unknown key %q", name, name), yamlfile.DidYouMean(name, names))
			continue
		}
		if first, twice := seen[name]; twice {
			r.fault(at, fmt.Sprintf("%s 在第 %d 行已出现 · %s is in line %d already", name, first, name, first), "")
			continue
		}
		seen[name] = at.Line
		r.value(kv.Value, v.Field(i), join(path, name), t.Field(i).Tag)
		// An empty value has no place of its own, so later faults go to its key.
		if _, null := kv.Value.(*ast.NullNode); null {
			r.at[join(path, name)] = at
		}
	}
	for i, name := range names {
		if _, optional := jsonName(t.Field(i)); optional || seen[name] != 0 {
			continue
		}
		r.faultAt(path, fmt.Sprintf("缺少 %s · %s is missing", name, name), describe(t.Field(i)))
	}
}

// join gives the path of a key in the mapping at path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// jsonName gives a field's name in the file and whether it may be left out.
func jsonName(f reflect.StructField) (name string, optional bool) {
	name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, rest == "omitempty"
}

// describe gives the words of the schema: who forgot a key reads what it is for.
func describe(f reflect.StructField) string { return f.Tag.Get("jsonschema") }

// list reads a sequence. Elements that have defaults of their own begin with
// them, as the config itself does.
func (r *reader) list(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(n, "列表", "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
	for i, e := range seq.Values {
		if s, ok := v.Index(i).Addr().Interface().(starter); ok {
			s.start()
		}
		r.value(e, v.Index(i), fmt.Sprintf("%s[%d]", path, i), tag)
	}
}
