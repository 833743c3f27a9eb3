package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/row"
	"tongka/txn"
	"tongka/yamlfile"
)

type parser struct {
	file   string
	links  []string
	faults yamlfile.Faults
}

func (p *parser) fault(n ast.Node, message, hint string) {
	at := yamlfile.NodePos(n)
	p.faults = append(p.faults, yamlfile.Fault{File: p.file, Line: at.Line, Column: at.Column, Message: message, Hint: hint})
}

// form says what a mapping may hold.
type form map[string]func(ast.Node)

// mapping reads a mapping: one that is not known or stands twice is a fault, and
// so is one of those wanted that is missing.
func (p *parser) mapping(n ast.Node, f form, wanted ...string) {
	pairs, ok := yamlfile.Pairs(n)
	if !ok {
		p.fault(n, "须为键值 · wanted: a mapping", "")
		return
	}
	seen := map[string]bool{}
	for _, kv := range pairs {
		key := kv.Key.GetToken().Value
		read := f[key]
		switch {
		case seen[key]:
			p.fault(kv, fmt.Sprintf("键 %q 重复 · key %q stands twice", key, key), "")
		case read == nil:
			known := make([]string, 0, len(f))
			for k := range f {
				known = append(known, k)
			}
			slices.Sort(known)
			p.fault(kv, fmt.Sprintf("未知的键 %q · unknown key %q", key, key), yamlfile.DidYouMean(key, known))
		default:
			read(kv.Value)
		}
		seen[key] = true
	}
	for _, w := range wanted {
		if !seen[w] {
			p.fault(n, fmt.Sprintf("缺少 %s · %s is missing", w, w), "")
		}
	}
}

func (p *parser) list(n ast.Node, f func(ast.Node)) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		p.fault(n, "须为列表 · wanted: a list", "")
		return
	}
	for _, v := range seq.Values {
		f(v)
	}
}

// scalar is the text of a value as it is written, so that 0.38 stays 0.38.
func (p *parser) scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, true
	}
	p.fault(n, "须为单个值 · wanted: one value", "")
	return "", false
}

func (p *parser) fen(n ast.Node, to *int64) {
	if v, ok := n.(*ast.IntegerNode); ok {
		if u, ok := v.Value.(uint64); ok && u <= fee.MaxAmount {
			*to = int64(u)
			return
		}
	}
	p.fault(n, "须为 0 至 999999999999 的整数，单位分 · wanted: whole fen, 0 to 999999999999", "")
}

func (p *parser) whole(n ast.Node, most int, to *int) {
	if v, ok := n.(*ast.IntegerNode); ok {
		if u, ok := v.Value.(uint64); ok && u <= uint64(most) {
			*to = int(u)
			return
		}
	}
	p.fault(n, fmt.Sprintf("须为 0 至 %d 的整数 · wanted: a whole number of 0 to %d", most, most), "")
}

func (p *parser) yes(n ast.Node, to *bool) {
	if v, ok := n.(*ast.BoolNode); ok {
		*to = v.Value
		return
	}
	p.fault(n, "须为 true 或 false · wanted: true or false", "")
}

// percent reads such as 0.38%, to parts of a million: four digits behind the
// point, exactly.
func (p *parser) percent(n ast.Node, to *int64) {
	s, ok := p.scalar(n)
	if !ok {
		return
	}
	whole, rest, _ := strings.Cut(strings.TrimSuffix(s, "%"), ".")
	if !strings.HasSuffix(s, "%") || whole == "" || len(whole) > 3 || len(rest) > 4 || strings.Trim(whole+rest, "0123456789") != "" {
		p.fault(n, "须为百分数，小数至多四位 · wanted: percent, with at most four decimals", "0.38%")
		return
	}
	var v int64
	for _, c := range whole + rest + strings.Repeat("0", 4-len(rest)) {
		v = v*10 + int64(c-'0')
	}
	if v > fee.Million {
		p.fault(n, "超过 100% · more than 100%", "")
		return
	}
	*to = v
}

func (p *parser) party(n ast.Node, named bool, to *fee.Party) {
	s, ok := p.scalar(n)
	if !ok {
		return
	}
	word, name, has := strings.Cut(s, ":")
	role, known := fee.ParseRole(word)
	switch {
	case !known || has && (!named || name == ""):
		p.fault(n, fmt.Sprintf("%q 不是参与方 · %q is no party here", s, s), "merchant, issuer, acquirer, centre, fund")
	case has && role == fee.Issuer:
		to.Role, to.Name = role, fmt.Sprint(p.linkOf(n, name))
	case has:
		party, err := fee.ParseParty(s)
		if err != nil {
			p.fault(n, err.Error(), "")
		}
		*to = party
	default:
		to.Role = role
	}
}

func (p *parser) link(n ast.Node, to *txn.LinkID) {
	if s, ok := p.scalar(n); ok {
		*to = p.linkOf(n, s)
	}
}

// linkOf finds a link by its name, or by its number when no names are given.
func (p *parser) linkOf(n ast.Node, s string) txn.LinkID {
	if i := slices.Index(p.links, s); i >= 0 {
		return txn.LinkID(i)
	}
	var id uint16
	if _, err := fmt.Sscanf(s, "%d", &id); err == nil && fmt.Sprint(id) == s && (p.links == nil || int(id) < len(p.links)) {
		return txn.LinkID(id)
	}
	p.fault(n, fmt.Sprintf("没有线路 %q · no link %q", s, s), yamlfile.DidYouMean(s, p.links))
	return 0
}

func (p *parser) span(n ast.Node, most time.Duration, to *time.Duration) {
	s, ok := p.scalar(n)
	if !ok {
		return
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > most {
		p.fault(n, fmt.Sprintf("须为 0s 至 %v · wanted: 0s to %v", most, most), "30m")
		return
	}
	*to = d
}

func (p *parser) clock(n ast.Node, to *time.Duration) {
	s, ok := p.scalar(n)
	if !ok {
		return
	}
	t, err := time.Parse("15:04", s)
	if err != nil {
		p.fault(n, "须为时刻 HH:MM · wanted: a time of day HH:MM", `"23:00"`)
		return
	}
	*to = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

func (p *parser) zone(n ast.Node, to **time.Location) {
	s, ok := p.scalar(n)
	if !ok {
		return
	}
	// The machine's own zone would give another day on another machine.
	z, err := time.LoadLocation(s)
	if err != nil || s == "" || s == "Local" {
		p.fault(n, fmt.Sprintf("没有时区 %q · no zone %q", s, s), "Asia/Shanghai")
		return
	}
	*to = z
}

func (p *parser) date(n ast.Node) day.Date {
	s, ok := p.scalar(n)
	if !ok {
		return 0
	}
	d, err := day.ParseDate(s)
	if err != nil {
		p.fault(n, err.Error(), "")
	}
	return d
}

func (p *parser) pattern(n ast.Node, to *string) {
	s, ok := p.scalar(n)
	if !ok {
		return
	}
	if _, err := path.Match(s, "x"); err != nil || s == "" || strings.Contains(s, "/") {
		p.fault(n, "须为文件名，可含 * ? [] · wanted: a file name, with * ? [] if need be", `"bank-*.csv"`)
		return
	}
	*to = s
}

// passes reads what rows are matched by.
func (p *parser) passes(n ast.Node, r *Rules) {
	p.list(n, func(n ast.Node) {
		p.mapping(n, form{"by": func(n ast.Node) {
			var words []string
			p.list(n, func(n ast.Node) {
				if s, ok := p.scalar(n); ok {
					words = append(words, s)
				}
			})
			fields, err := row.ParseFields(strings.Join(words, ","))
			if err != nil {
				p.fault(n, err.Error(), "")
			}
			r.Match = append(r.Match, fields)
		}}, "by")
	})
	if len(r.Match) == 0 || len(r.Match) > maxPasses {
		p.fault(n, fmt.Sprintf("须为 1 至 %d 遍 · wanted: 1 to %d passes", maxPasses, maxPasses), "[{by: [rrn]}]")
	}
}

// maxPasses is more ways to match than anybody has.
const maxPasses = 4
