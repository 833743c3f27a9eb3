package report

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tongka/yamlfile"
)

// Goal is a bound of one figure.
type Goal struct {
	Figure  string // its path in a result file
	Most    bool   // the bound is the most it may be, else the least
	Bound   float64
	Stretch *float64 // further than the bound, and never a reason to fail
	// Optional figures are those that some machines cannot measure.
	Optional bool
}

// Goals are those of one file, in its order.
type Goals []Goal

const (
	goalsBytes = 1 << 20
	goalsHint  = "shapes.D.cpu_ratio_raw: {max: 1.5, stretch: 1.4}"
)

var (
	goalRoots = []string{"shapes", "peers", "idle_bytes_per_terminal", "codec_ns"}
	goalKeys  = []string{"max", "min", "stretch", "if_measured"}
)

// ReadGoals reads a file of goals. The error is every fault in it, with line and column.
func ReadGoals(path string) (Goals, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	goals, faults := parseGoals(path, b)
	if len(faults) > 0 {
		faults.Sort()
		return nil, faults
	}
	return goals, nil
}

// goalReader collects faults.
type goalReader struct {
	name   string
	faults yamlfile.Faults
}

func (r *goalReader) fault(n ast.Node, hint, format string, args ...any) {
	p := yamlfile.NodePos(n)
	r.faults = append(r.faults, yamlfile.Fault{File: r.name, Line: p.Line, Column: p.Column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func parseGoals(name string, b []byte) (goals Goals, faults yamlfile.Faults) {
	root, faults := yamlfile.Tree(name, b, goalsBytes, goalsHint)
	if root == nil {
		return nil, faults
	}
	r := &goalReader{name, faults}
	pairs, ok := yamlfile.Pairs(root)
	if !ok {
		r.fault(root, goalsHint, "须为 指标: {max 或 min: 数} · want figure: {max or min: number}")
	}
	seen := map[string]bool{}
	for _, p := range pairs {
		figure := p.Key.GetToken().Value
		if seen[figure] {
			r.fault(p.Key, "", "%s：重复 · twice", figure)
		}
		seen[figure] = true
		r.figure(p.Key, figure)
		if g, ok := r.goal(figure, p.Value); ok {
			goals = append(goals, g)
		}
	}
	return goals, r.faults
}

// figure checks the parts of a path whose words are known: a goal that no run could
// ever have a figure for would pass for ever.
func (r *goalReader) figure(at ast.Node, path string) {
	words := strings.Split(path, ".")
	check := func(i int, known []string) {
		if i < len(words) && !slices.Contains(known, words[i]) {
			r.fault(at, yamlfile.DidYouMean(words[i], known), "%s：没有 %q · there is no %q", path, words[i], words[i])
		}
	}
	check(0, goalRoots)
	switch words[0] {
	case "shapes":
		check(1, strings.Split(shapeOrder, ""))
		if len(words) < 3 {
			r.fault(at, goalsHint, "%s：缺少指标 · which figure?", path)
		}
	case "peers":
		check(1, []string{"moov", "net"})
		check(2, strings.Split(shapeOrder, ""))
		if len(words) < 4 {
			r.fault(at, "peers.moov.A.cpu_ratio_switch", "%s：缺少指标 · which figure?", path)
		}
	}
}

func (r *goalReader) goal(figure string, n ast.Node) (g Goal, ok bool) {
	g.Figure = figure
	pairs, ok := yamlfile.Pairs(n)
	if !ok {
		r.fault(n, goalsHint, "%s：须为映射 · want a mapping", figure)
		return g, false
	}
	bounds := 0
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		if key == "if_measured" {
			v, isBool := p.Value.(*ast.BoolNode)
			if !isBool {
				r.fault(p.Value, "true", "%s.if_measured：须为 true 或 false · want true or false", figure)
				continue
			}
			g.Optional = v.Value
			continue
		}
		if !slices.Contains(goalKeys, key) {
			r.fault(p.Key, yamlfile.DidYouMean(key, goalKeys), "%s：没有 %q · there is no %q", figure, key, key)
			continue
		}
		v, isNumber := number(p.Value)
		if !isNumber {
			r.fault(p.Value, "", "%s.%s：须为数 · want a number", figure, key)
			continue
		}
		if key == "stretch" {
			g.Stretch = &v
			continue
		}
		bounds++
		g.Bound, g.Most = v, key == "max"
	}
	if bounds != 1 {
		r.fault(n, goalsHint, "%s：max 与 min 须恰有其一 · want one of max and min", figure)
	}
	return g, bounds == 1
}

func number(n ast.Node) (float64, bool) {
	switch v := n.(type) {
	case *ast.IntegerNode:
		switch i := v.Value.(type) {
		case int64:
			return float64(i), true
		case uint64:
			return float64(i), true
		}
	case *ast.FloatNode:
		return v.Value, true
	}
	return 0, false
}

// kept says whether a figure is within the bound.
func (g *Goal) kept(v, bound float64) bool {
	if g.Most {
		return v <= bound
	}
	return v >= bound
}

func (g *Goal) sign() string {
	if g.Most {
		return "≤"
	}
	return "≥"
}

// Judge says of each goal how the run stands to it, a line each, and gives how many are
// missed. A shape or peer that did not take part is not judged; a figure that its run
// should have is missed when it is not there, unless the goal allows for that.
func (gs Goals) Judge(w io.Writer, f *File) (missed int) {
	for i := range gs {
		g := &gs[i]
		v, ok := f.Number(g.Figure)
		verdict := "达标   held  "
		switch {
		case !ok && !f.has(g.part()):
			fmt.Fprintf(w, "未参加 absent  %s\n", g.Figure)
			continue
		case !ok && g.Optional:
			fmt.Fprintf(w, "未测得 unknown %s（此机无法测 · cannot be measured here）\n", g.Figure)
			continue
		case !ok:
			missed++
			fmt.Fprintf(w, "未达标 MISSED  %s：未测得 · not measured\n", g.Figure)
			continue
		case !g.kept(v, g.Bound):
			missed++
			verdict = "未达标 MISSED"
		}
		fmt.Fprintf(w, "%s  %s = %s，目标 goal %s %s%s\n", verdict, g.Figure, short(v), g.sign(), short(g.Bound), g.further(v))
	}
	return missed
}

// part is what must be in a run for the goal to be judged.
func (g *Goal) part() string {
	words := strings.Split(g.Figure, ".")
	switch words[0] {
	case "shapes":
		return strings.Join(words[:2], ".")
	case "peers":
		return strings.Join(words[:3], ".")
	}
	return "shapes"
}

func (g *Goal) further(v float64) string {
	switch {
	case g.Stretch == nil:
		return ""
	case g.kept(v, *g.Stretch):
		return fmt.Sprintf("；更高目标已达 stretch reached %s %s", g.sign(), short(*g.Stretch))
	}
	return fmt.Sprintf("；更高目标 stretch %s %s", g.sign(), short(*g.Stretch))
}

// short is a number for people: three digits, and no fewer than its whole ones.
func short(v float64) string {
	if v >= 100 || v <= -100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
