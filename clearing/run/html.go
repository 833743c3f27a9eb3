package run

import (
	_ "embed" // the page
	"fmt"
	"html/template"
	"io"
)

//go:embed report.html
var page string

// yuan shows fen as people read money.
func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "−", -fen
	}
	s := fmt.Sprint(fen / 100)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return fmt.Sprintf("%s%s.%02d", sign, s, fen%100)
}

// bar is one of a chart: all in units of its picture.
type bar struct {
	Label, Value string
	Y, Width, X  int
	Bad          bool
}

// chartWidth is how wide the longest bar is.
const chartWidth = 420

// classBars show how many verdicts there are of each kind that differs.
func (r *Report) classBars() (bars []bar) {
	most := int64(1)
	for _, c := range r.Classes[1:] {
		most = max(most, c.Count)
	}
	for i, c := range r.Classes[1:] {
		b := bar{Label: c.ZH, Value: fmt.Sprint(c.Count), Y: 6 + 24*i, Width: int(c.Count * chartWidth / most), Bad: c.Count > 0}
		if c.Count > 0 {
			b.Width = max(b.Width, 2)
		}
		b.X = b.Width + 168
		bars = append(bars, b)
	}
	return bars
}

// partyBars show who gets and who pays most.
func (r *Report) partyBars() (bars []bar) {
	most := int64(1)
	all := r.biggest(12)
	for _, p := range all {
		most = max(most, p.Net, -p.Net)
	}
	for i, p := range all {
		label := p.Name
		if label == "" {
			label = p.ZH
		}
		// In two steps, since fen times units may not fit.
		b := bar{Label: label, Value: yuan(p.Net), Y: 6 + 24*i, Width: int(float64(max(p.Net, -p.Net)) / float64(most) * chartWidth), Bad: p.Net < 0}
		b.X = b.Width + 168
		bars = append(bars, b)
	}
	return bars
}

// html is the report as one page that needs nothing else.
func (r *Report) html(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"yuan": yuan, "role": roleWords, "sum": sumOfNets,
		"height": func(n int) int { return 24*n + 12 }}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{"R": r, "Figures": r.figures(), "Classes": r.classBars(), "Parties": r.partyBars(), "Sum": r.sumNet(), "Most": shownCases})
}
