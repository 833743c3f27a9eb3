// Package flame draws a profile that Go's runtime wrote as one page that needs no
// other: stacks from the top down, as wide as their share, in words and colours.
package flame

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

//go:embed flame.html
var pageText string

var page = template.Must(template.New("flame").Funcs(template.FuncMap{"colour": colour}).Parse(pageText))

// leastShare of the whole is drawn; thinner ones could not be seen.
const leastShare = 0.0005

// node is a function below its callers.
type node struct {
	Name  string
	value int64
	of    map[string]*node
	// What is drawn: widths are percent of the parent's.
	Width float64
	Title string
	Kids  []*node
}

// HTML draws the samples of one type ("cpu", "alloc_space") of a profile in pprof's
// form, gzipped or not. An error says that there is no such type or no profile.
func HTML(w io.Writer, heading string, in io.Reader, kind string) error {
	p, err := profile.Parse(in)
	if err != nil {
		return fmt.Errorf("flame: %w", err)
	}
	at := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == kind })
	if at < 0 {
		return fmt.Errorf("flame: the profile has no samples of %q", kind)
	}
	root := fold(p, at)
	root.draw(root.value, root.value, p.SampleType[at].Unit)
	return page.Execute(w, map[string]any{"Heading": heading, "Root": root, "Total": amount(root.value, p.SampleType[at].Unit)})
}

// fold adds up samples by their stacks. A sample's locations go from the leaf up, and the
// lines of one from what was inlined up.
func fold(p *profile.Profile, at int) *node {
	root := &node{Name: "全部 all"}
	for _, s := range p.Sample {
		v := s.Value[at]
		if v <= 0 {
			continue
		}
		n := root
		n.value += v
		for _, l := range slices.Backward(s.Location) {
			for _, line := range slices.Backward(l.Line) {
				name := "?"
				if line.Function != nil {
					name = line.Function.Name
				}
				n = n.kid(name)
				n.value += v
			}
		}
	}
	return root
}

func (n *node) kid(name string) *node {
	if n.of == nil {
		n.of = map[string]*node{}
	}
	k := n.of[name]
	if k == nil {
		k = &node{Name: name}
		n.of[name] = k
	}
	return k
}

// draw works out widths and words, the widest first.
func (n *node) draw(parent, total int64, unit string) {
	n.Width = 100 * share(n.value, parent)
	n.Title = fmt.Sprintf("%s：%s，%.2f%%", n.Name, amount(n.value, unit), 100*share(n.value, total))
	for _, k := range n.of {
		if share(k.value, total) >= leastShare {
			k.draw(n.value, total, unit)
			n.Kids = append(n.Kids, k)
		}
	}
	slices.SortFunc(n.Kids, func(a, b *node) int {
		if a.value != b.value {
			return int(min(max(b.value-a.value, -1), 1))
		}
		return strings.Compare(a.Name, b.Name)
	})
}

func share(v, of int64) float64 {
	if of == 0 {
		return 1
	}
	return float64(v) / float64(of)
}

// Short is the name without the path of its package.
func (n *node) Short() string { return n.Name[strings.LastIndexByte(n.Name, '/')+1:] }

// amount is a value for people.
func amount(v int64, unit string) string {
	switch unit {
	case "nanoseconds":
		return fmt.Sprintf("%.3g s", float64(v)/1e9)
	case "bytes":
		return fmt.Sprintf("%.3g MiB", float64(v)/(1<<20))
	}
	return fmt.Sprintf("%d %s", v, unit)
}

// colour is by whose code it is: ours, the kernel's door, the runtime's, libraries'.
func colour(name string) string {
	switch {
	case strings.HasPrefix(name, "tongka/"), strings.HasPrefix(name, "main."):
		return "own"
	case strings.Contains(name, "yscall"), strings.HasPrefix(name, "golang.org/x/sys/"):
		return "kernel"
	case strings.HasPrefix(name, "runtime"):
		return "runtime"
	case !strings.Contains(strings.Split(name, "/")[0], "."):
		return "std"
	}
	return "lib"
}
