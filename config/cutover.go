package config

import (
	"fmt"
	"slices"
	"time"

	"tongka/yamlfile"
)

// BusinessDay says when the business day changes, and which banks are part of that.
type BusinessDay struct {
	Cut    time.Duration `json:"cut,omitempty" range:"0s,23h59m" jsonschema:"日切时刻，距北京时间零点；正午之后者结束当日，其余结束前一日 · when the business day changes, after midnight in Beijing; later than noon it ends its own date, else the day before"`
	Follow string        `json:"follow,omitempty" jsonschema:"随此线路银行的日切（0820/201）；cut 后三小时未到则自行日切 · cut when this link's bank begins to (0820/201); without it, three hours after cut"`
	Tell   []string      `json:"tell,omitempty" jsonschema:"日切时以 0820/201、202 告知的线路 · links whose banks are told by 0820 with 201 and 202"`
}

// businessDay looks for links that are not there.
func (r *reader) businessDay(c *Config) {
	var names []string
	for i := range c.Links {
		names = append(names, c.Links[i].Name)
	}
	b := &c.BusinessDay
	one := func(path, name string) {
		if !slices.Contains(names, name) {
			r.faultAt(path, fmt.Sprintf("没有线路 %q · no link %q", name, name), yamlfile.DidYouMean(name, names))
		}
	}
	if b.Follow != "" {
		one("business_day.follow", b.Follow)
	}
	for i, name := range b.Tell {
		path := fmt.Sprintf("business_day.tell[%d]", i)
		if one(path, name); slices.Contains(b.Tell[:i], name) {
			r.faultAt(path, fmt.Sprintf("线路 %q 重复 · the link %q stands twice", name, name), "")
		}
	}
}
