package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tongka/hsm"
	"tongka/txn"
	"tongka/yamlfile"
)

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
		r.fault(yamlfile.NodePos(n), "须为字符串 · wanted: a string", fmt.Sprintf("加引号 · put quotes: \"%s\"", raw))
		return
	default:
		r.wrong(n, "字符串", "a string")
		return
	}
	if enum := tag.Get("enum"); enum != "" {
		known := strings.Split(enum, ",")
		if !slices.Contains(known, s) {
			r.fault(yamlfile.NodePos(n), fmt.Sprintf("%q 须为其一 · %q, wanted one of: %s", s, s, strings.Join(known, ", ")), nearest(s, known))
			return
		}
	}
	v.SetString(s)
}

// nearest is DidYouMean without the list, for messages that have it already.
func nearest(s string, known []string) string {
	if hint := yamlfile.DidYouMean(s, known); strings.HasPrefix(hint, "是否") {
		return hint
	}
	return ""
}

// integer reads a whole number within its range. The refused one stands
// in the message: an alias or a hexadecimal form hides what it comes to.
func (r *reader) integer(n ast.Node, v reflect.Value, tag reflect.StructTag) {
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		r.wrong(n, "整数", "a whole number")
		return
	}
	low, high, bounded := intRange(tag)
	x, err := strconv.ParseInt(fmt.Sprint(i.Value), 10, 64)
	if err != nil || bounded && (x < low || x > high) {
		r.fault(yamlfile.NodePos(n), fmt.Sprintf("%s 须在 %d 至 %d 之间 · %s, wanted %d to %d", i.Token.Value, low, high, i.Token.Value, low, high), "")
		return
	}
	v.SetInt(x)
}

// intRange reads the range tag of a number: both ends belong to it.
func intRange(tag reflect.StructTag) (low, high int64, ok bool) {
	a, b, ok := strings.Cut(tag.Get("range"), ",")
	if !ok {
		return 0, 0, false
	}
	low, _ = strconv.ParseInt(a, 10, 64)
	high, _ = strconv.ParseInt(b, 10, 64)
	return low, high, true
}

// duration reads a text such as 5m. A bare number is refused: seconds and
// milliseconds have been mixed up in too many configs.
func (r *reader) duration(n ast.Node, p *time.Duration, tag reflect.StructTag) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		r.wrong(n, "带单位的时长，如 10s、5m", "a duration with its unit, such as 10s, 5m")
		return
	}
	d, err := time.ParseDuration(s.Value)
	if err != nil {
		r.fault(yamlfile.NodePos(n), fmt.Sprintf("%q 不是时长 · %q is not a duration", s.Value, s.Value), "如 · such as 500ms, 10s, 5m, 24h")
		return
	}
	low, high := durationRange(tag)
	if d < low || d > high {
		r.fault(yamlfile.NodePos(n), fmt.Sprintf("%s 须在 %s 至 %s 之间 · %s, wanted %s to %s",
			s.Value, short(low), short(high), s.Value, short(low), short(high)), "")
		return
	}
	*p = d
}

// durationRange reads the range tag of a duration: both ends belong to it.
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
		r.fault(yamlfile.NodePos(n), "须为字符串 · wanted: a string", "密钥加引号 · put the key in quotes")
		return
	default:
		r.wrong(n, "LMK 下的密钥", "a key under the LMK")
		return
	}
	k, err := hsm.ParseKey(raw)
	if err != nil {
		r.fault(yamlfile.NodePos(n), "不是 LMK 下的密钥 · not a key under the LMK: "+plain(err), "U/X+32H, T/Y+48H")
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

// kind reads a transaction kind by the name that logs and scripts use, too.
func (r *reader) kind(n ast.Node, p *txn.Kind) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		r.wrong(n, "交易种类", "a kind of transaction")
		return
	}
	k, ok := txn.ParseKind(s.Value)
	if !ok {
		r.fault(yamlfile.NodePos(n), fmt.Sprintf("未知交易种类 %q · unknown kind %q", s.Value, s.Value), yamlfile.DidYouMean(s.Value, kindNames()))
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
