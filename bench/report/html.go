package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"short": short, "value": func(v *float64) float64 { return *v }}).Parse(pageText))

// system is one line of a chart and one row of a table.
type system struct {
	Name   string // as the file calls it
	ZH, EN string
	Figures
}

// Colour is that of its lines, by the name.
func (s *system) Colour() string {
	if c, ok := colours[s.Name]; ok {
		return c
	}
	return "#888888"
}

var (
	colours     = map[string]string{rawName: "#7f8c8d", switchName: "#c0392b", openName: "#e67e22", "net": "#2980b9", "moov": "#8e44ad"}
	systemNames = map[string][2]string{
		rawName: {"裸转发", "raw relay"}, switchName: {"通卡", "Tongka"}, openName: {"通卡，开环", "Tongka, open loop"}, "net": {"net 包转发", "net forwarder"}, "moov": {"moov-io/iso8583", "moov-io/iso8583"},
	}
)

func newSystem(name string, f Figures) system {
	words, ok := systemNames[name]
	if !ok {
		words = [2]string{name, name}
	}
	return system{name, words[0], words[1], f}
}

// section is one shape of the page.
type section struct {
	Name, ZH, EN             string
	Shape                    Shape
	Systems                  []system
	Latency, OverTime, Split template.HTML
}

// HTML writes the page: one file that needs no other and opens without a network.
func HTML(w io.Writer, f *File) error {
	var sections []section
	for _, name := range f.shapes() {
		s := f.Shapes[name]
		words := shapeNames[name]
		sec := section{Name: name, ZH: words[0], EN: words[1], Shape: s, Systems: f.systems(name)}
		sec.Latency = latencyChart(sec.Systems, f.Quantiles)
		sec.OverTime = timeChart(sec.Systems)
		sec.Split = splitChart(sec.Systems)
		sections = append(sections, sec)
	}
	return page.Execute(w, map[string]any{"File": f, "Sections": sections, "When": f.Time.Format("2006-01-02 15:04 MST")})
}

// systems are those that took part in a shape: raw, switch, then peers by name. What
// they did over time is the median of the rounds.
func (f *File) systems(name string) (all []system) {
	s := f.Shapes[name]
	all = append(all, newSystem(rawName, s.Raw))
	if s.TPS > 0 {
		all = append(all, newSystem(switchName, s.Figures))
	}
	if s.Open != nil {
		all = append(all, newSystem(openName, s.Open.Figures))
	}
	for _, peer := range slices.Sorted(maps.Keys(f.Peers)) {
		if p, ok := f.Peers[peer][name]; ok {
			all = append(all, newSystem(peer, p))
		}
	}
	for i := range all {
		all[i].OverTime = overTime(s.Rounds, all[i].Name)
	}
	return all
}

// overTime takes the middle of all rounds at each moment, as far as the shortest goes.
func overTime(rounds []map[string]Figures, system string) (line []float64) {
	var took [][]float64 // of the rounds that it took part in
	n := math.MaxInt
	for _, r := range rounds {
		if f, ok := r[system]; ok {
			took = append(took, f.OverTime)
			n = min(n, len(f.OverTime))
		}
	}
	if len(took) == 0 {
		return nil
	}
	for i := range n {
		var at []float64
		for _, beats := range took {
			at = append(at, beats[i])
		}
		slices.Sort(at)
		line = append(line, (at[(len(at)-1)/2]+at[len(at)/2])/2)
	}
	return line
}

// latencyChart has a place for each quantile, so that the rare slow ones are seen, and
// microseconds on a logarithmic scale.
func latencyChart(systems []system, quantiles []float64) template.HTML {
	var c chart
	for _, q := range quantiles {
		c.marks = append(c.marks, fmt.Sprintf("p%g", q))
	}
	for i := range systems {
		if s := &systems[i]; len(s.Percentiles) == len(quantiles) {
			c.lines = append(c.lines, line{s.EN, s.Colour(), s.Percentiles})
		}
	}
	c.log, c.unit = true, "µs"
	return c.svg()
}

func timeChart(systems []system) template.HTML {
	c := chart{log: true, unit: "TPS"}
	longest := 0
	for i := range systems {
		if s := &systems[i]; len(s.OverTime) > 1 {
			c.lines = append(c.lines, line{s.EN, s.Colour(), s.OverTime})
			longest = max(longest, len(s.OverTime))
		}
	}
	for i := range longest {
		mark := ""
		if i%5 == 0 {
			mark = fmt.Sprintf("%.1f s", float64(i)/10)
		}
		c.marks = append(c.marks, mark)
	}
	return c.svg()
}

// splitChart has a bar for each system: user time, system time behind it, or the whole where
// the file does not tell them apart.
func splitChart(systems []system) template.HTML {
	var b bars
	for i := range systems {
		s := &systems[i]
		if s.User+s.System > 0 {
			b = append(b, bar{s.EN, s.Colour(), s.User, s.System})
		} else if s.CPU > 0 {
			b = append(b, bar{s.EN, s.Colour(), s.CPU, 0})
		}
	}
	return b.svg()
}
