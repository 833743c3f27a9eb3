package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// The size of a chart in its own units, and its margins.
const (
	chartWidth, chartHeight   = 640, 300
	left, right, top, bottom  = 64, 24, 12, 28
	plotWidth, plotHeight     = chartWidth - left - right, chartHeight - top - bottom
	barHeight, barGap, nameAt = 26, 10, 150
)

// line is one series; its values are at the chart's marks, one each.
type line struct {
	name, colour string
	values       []float64
}

// chart draws lines over marks that lie equally far apart.
type chart struct {
	lines []line
	marks []string // below the axis; an empty one has no text
	unit  string
	log   bool
}

// svg draws. Without a value there is a sentence in place of a chart.
func (c *chart) svg() template.HTML {
	least, most := c.bounds()
	if most == 0 {
		return `<p class="none">此项未测 · not measured</p>`
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, chartWidth, chartHeight)
	for _, v := range ticks(least, most, c.log) {
		y := c.y(v, least, most)
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, y, chartWidth-right, left-6, y+4, thousands(v))
	}
	fmt.Fprintf(&b, `<text x="4" y="%d">%s</text>`, chartHeight-8, html.EscapeString(c.unit))
	for i, mark := range c.marks {
		if mark != "" {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, c.x(i), chartHeight-8, html.EscapeString(mark))
		}
	}
	for _, l := range c.lines {
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, html.EscapeString(l.colour))
		for i, v := range l.values {
			fmt.Fprintf(&b, "%.1f,%.1f ", c.x(i), c.y(v, least, most))
		}
		fmt.Fprintf(&b, `"><title>%s</title></polyline>`, html.EscapeString(l.name))
		for i, v := range l.values {
			if i < len(c.marks) && c.marks[i] != "" {
				fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s, %s: %s %s</title></circle>`, c.x(i), c.y(v, least, most),
					html.EscapeString(l.colour), html.EscapeString(l.name), html.EscapeString(c.marks[i]), thousands(v), html.EscapeString(c.unit))
			}
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // every word in it went through html.EscapeString
}

// bounds are the least positive value and the most; whole decades on a logarithmic scale.
func (c *chart) bounds() (least, most float64) {
	least = math.Inf(1)
	for _, l := range c.lines {
		for _, v := range l.values {
			if v > 0 {
				least, most = min(least, v), max(most, v)
			}
		}
	}
	if c.log && most > 0 {
		least, most = math.Pow(10, math.Floor(math.Log10(least))), math.Pow(10, math.Ceil(math.Log10(most)))
		if least == most {
			most *= 10
		}
	}
	return least, most
}

func (c *chart) x(i int) float64 {
	return left + plotWidth*float64(i)/float64(max(1, len(c.marks)-1))
}

// y of a value that a scale cannot show is its lower end.
func (c *chart) y(v, least, most float64) float64 {
	part := v / most
	if c.log {
		part = math.Log(max(v, least)/least) / math.Log(most/least)
	}
	return top + plotHeight*(1-part)
}

func ticks(least, most float64, log bool) (at []float64) {
	if log {
		for v := least; v <= most*1.01; v *= 10 {
			at = append(at, v)
		}
		return at
	}
	for i := range 5 {
		at = append(at, most*float64(i)/4)
	}
	return at
}

// bar is one system's stacked pair.
type bar struct {
	name, colour string
	user, system float64
}

type bars []bar

// svg draws one bar below the other, with its figures behind it.
func (bs bars) svg() template.HTML {
	most := 0.0
	for _, b := range bs {
		most = max(most, b.user+b.system)
	}
	if most == 0 {
		return `<p class="none">此项未测 · not measured</p>`
	}
	var w strings.Builder
	fmt.Fprintf(&w, `<svg viewBox="0 0 %d %d" role="img">`, chartWidth, len(bs)*(barHeight+barGap)+barGap)
	scale := (chartWidth - nameAt - 160) / most
	for i, b := range bs {
		y := barGap + i*(barHeight+barGap)
		colour := html.EscapeString(b.colour)
		text := fmt.Sprintf("%.2f µs", b.user+b.system)
		if b.system > 0 {
			text = fmt.Sprintf("%.2f + %.2f µs", b.user, b.system)
		}
		fmt.Fprintf(&w, `<text x="%d" y="%d" text-anchor="end">%s</text>`, nameAt-8, y+18, html.EscapeString(b.name))
		fmt.Fprintf(&w, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, nameAt, y, b.user*scale, barHeight, colour)
		fmt.Fprintf(&w, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" opacity="0.45"/>`, nameAt+b.user*scale, y, b.system*scale, barHeight, colour)
		fmt.Fprintf(&w, `<text x="%.1f" y="%d">%s</text>`, nameAt+(b.user+b.system)*scale+8, y+18, text)
	}
	w.WriteString(`</svg>`)
	return template.HTML(w.String()) // every word in it went through html.EscapeString
}

// thousands writes a number with commas, or three digits of a small one.
func thousands(v float64) string {
	if v < 1000 {
		return short(v)
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
