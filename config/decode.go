package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"tongka/hsm"
	"tongka/txn"
)

// pos is a place in the file, both from 1.
type pos struct{ line, column int }

// reader fills a Config from the tree of a YAML file. It reads the tree itself,
// because a library decoder stops at the first fault, and it remembers where
// every value stood, so that what is found later can be named as well.
type reader struct {
	file   string
	at     map[string]pos // by path: "links[0].address"
	faults Faults
}

func (r *reader) fault(p pos, message, hint string) {
	r.faults = append(r.faults, Fault{r.file, p.line, p.column, message, hint})
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
			r.fault(pos{1, 1}, message, hint)
			return
		}
		path = path[:cut]
	}
}

func tokenPos(t *token.Token) pos {
	if t == nil || t.Position == nil {
		return pos{1, 1}
	}
	return pos{t.Position.Line, t.Position.Column}
}

// nodePos is where a value begins. A block mapping's own token is a colon, so
// its first key is taken.
func nodePos(n ast.Node) pos {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return tokenPos(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return tokenPos(n.Key.GetToken())
	}
	return tokenPos(n.GetToken())
}

// value reads node n into v. tag is the field's; an element has its list's.
func (r *reader) value(n ast.Node, v reflect.Value, path string, tag reflect.StructTag) {
	r.at[path] = nodePos(n)
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
	r.fault(nodePos(n), message, hint)
}

// pairs gives the key and value nodes of a mapping, false for another node.
func pairs(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func (r *reader) object(n ast.Node, v reflect.Value, path string) {
	nodes, ok := pairs(n)
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
		name, at := kv.Key.GetToken().Value, tokenPos(kv.Key.GetToken())
		i, ok := known[name]
		if !ok {
			r.fault(at, fmt.Sprintf("未知配置项 %q · unknown key %q", name, name), didYouMean(name, names))
			continue
		}
		if first, twice := seen[name]; twice {
			r.fault(at, fmt.Sprintf("%s 在第 %d 行已出现 · %s is in line %d already", name, first, name, first), "")
			continue
		}
		seen[name] = at.line
		r.value(kv.Value, v.Field(i), join(path, name), t.Field(i).Tag)
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

func describe(f reflect.StructField) string { return f.Tag.Get("jsonschema") }

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

// text reads a string. A number is refused, because YAML would have lost the
// zeros that lead it.
func (r *reader) text(n ast.Node, v reflect.Value, tag reflect.StructTag) {
	var s string
	switch n := n.(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.LiteralNode:
		s = n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		raw := n.GetToken().Value
		r.fault(nodePos(n), "须为字符串 · wanted: a string", fmt.Sprintf("加引号 · put quotes: \"%s\"", raw))
		return
	default:
		r.wrong(n, "字符串", "a string")
		return
	}
	if enum := tag.Get("enum"); enum != "" {
		known := strings.Split(enum, ",")
		if !contains(known, s) {
			r.fault(nodePos(n), fmt.Sprintf("%q 须为其一 · %q, wanted one of: %s", s, s, strings.Join(known, ", ")), nearest(s, known))
			return
		}
	}
	v.SetString(s)
}

// nearest is didYouMean without the list, for messages that have it already.
func nearest(s string, known []string) string {
	if hint := didYouMean(s, known); strings.HasPrefix(hint, "是否") {
		return hint
	}
	return ""
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func (r *reader) integer(n ast.Node, v reflect.Value, tag reflect.StructTag) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		r.wrong(n, "整数", "a whole number")
		return
	}
	low, high, bounded := intRange(tag)
	x, err := strconv.ParseInt(fmt.Sprint(i.Value), 10, 64)
	if err != nil || bounded && (x < low || x > high) {
		r.fault(nodePos(n), fmt.Sprintf("%s 须在 %d 至 %d 之间 · %s, wanted %d to %d", i.Token.Value, low, high, i.Token.Value, low, high), "")
		return
	}
	v.SetInt(x)
}

func intRange(tag reflect.StructTag) (low, high int64, ok bool) {
	a, b, ok := strings.Cut(tag.Get("range"), ",")
	if !ok {
		return 0, 0, false
	}
	low, _ = strconv.ParseInt(a, 10, 64)
	high, _ = strconv.ParseInt(b, 10, 64)
	return low, high, true
}

func (r *reader) duration(n ast.Node, p *time.Duration, tag reflect.StructTag) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		r.wrong(n, "带单位的时长，如 10s、5m", "a duration with its unit, such as 10s, 5m")
		return
	}
	d, err := time.ParseDuration(s.Value)
	if err != nil {
		r.fault(nodePos(n), fmt.Sprintf("%q 不是时长 · %q is not a duration", s.Value, s.Value), "如 · such as 500ms, 10s, 5m, 24h")
		return
	}
	low, high := durationRange(tag)
	if d < low || d > high {
		r.fault(nodePos(n), fmt.Sprintf("%s 须在 %s 至 %s 之间 · %s, wanted %s to %s",
			s.Value, short(low), short(high), s.Value, short(low), short(high)), "")
		return
	}
	*p = d
}

func durationRange(tag reflect.StructTag) (low, high time.Duration) {
	a, b, _ := strings.Cut(tag.Get("range"), ",")
	low, _ = time.ParseDuration(a)
	high, _ = time.ParseDuration(b)
	return low, high
}

// short writes a duration without the zeros that Go adds: 10m, not 10m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// key reads a key under the LMK. Its value is not repeated in the fault.
func (r *reader) key(n ast.Node, p *hsm.Key) {
	var raw string
	switch n := n.(type) {
	case *ast.StringNode:
		raw = n.Value
	case *ast.IntegerNode, *ast.FloatNode:
		r.fault(nodePos(n), "须为字符串 · wanted: a string", "密钥加引号 · put the key in quotes")
		return
	default:
		r.wrong(n, "LMK 下的密钥", "a key under the LMK")
		return
	}
	k, err := hsm.ParseKey(raw)
	if err != nil {
		r.fault(nodePos(n), "不是 LMK 下的密钥 · not a key under the LMK: "+plain(err), "U/X+32H, T/Y+48H")
		return
	}
	*p = k
}

// plain is a key's fault without the module's code that it stands for, which
// says nothing to one who writes a config.
func plain(err error) string {
	text, _, _ := strings.Cut(err.Error(), ": hsm code")
	return text
}

func (r *reader) kind(n ast.Node, p *txn.Kind) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		r.wrong(n, "交易种类", "a kind of transaction")
		return
	}
	k, ok := txn.ParseKind(s.Value)
	if !ok {
		r.fault(nodePos(n), fmt.Sprintf("未知交易种类 %q · unknown kind %q", s.Value, s.Value), didYouMean(s.Value, kindNames()))
		return
	}
	*p = k
}

// kindNames are all kinds that the switch knows by name.
func kindNames() (names []string) {
	for k := txn.Kind(1); ; k++ {
		if got, ok := txn.ParseKind(k.String()); !ok || got != k {
			return names
		}
		names = append(names, k.String())
	}
}
