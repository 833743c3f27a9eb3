package config

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tongka/flow"
	"tongka/router"
	"tongka/txn"
	"tongka/yamlfile"
)

// Route sends transactions to a link. A condition that is left out is met by
// every transaction.
type Route struct {
	Label    string     `json:"name,omitempty" jsonschema:"名称，用于日志与说明 · name, for people"`
	Kinds    []txn.Kind `json:"kinds,omitempty" jsonschema:"交易种类，空为全部 · kinds, all when left out"`
	BIN      []string   `json:"bin,omitempty" jsonschema:"卡号前缀或号段，如 622588、622500-622599，各 1–10 位，空为全部 · card number prefixes or ranges, such as 622588 and 622500-622599, of 1 to 10 digits, all when left out"`
	Issuer   []string   `json:"issuer,omitempty" jsonschema:"发卡方，见 bin_table · issuers of the bin_table"`
	Merchant []string   `json:"merchant,omitempty" jsonschema:"商户号，前缀以 * 结尾 · merchant numbers (F42), a prefix ends in *"`
	Group    []int      `json:"group,omitempty" range:"0,65535" jsonschema:"终端组，见终端登记 · terminal groups of the registry"`
	Amount   Amount     `json:"amount,omitempty" jsonschema:"金额范围 · range of amounts"`
	Hours    []string   `json:"hours,omitempty" jsonschema:"时段，如 08:00-20:00，北京时间 · times of day, such as 08:00-20:00, China standard time"`
	Days     []string   `json:"days,omitempty" enum:"sunday,monday,tuesday,wednesday,thursday,friday,saturday,workday,holiday" jsonschema:"日期，workday 为工作日（见 calendar） · days; what is a workday the calendar says"`
	Link     string     `json:"link,omitempty" jsonschema:"线路名；多条用 to · name of the link; several: to"`
	To       []To       `json:"to,omitempty" jsonschema:"按权重分配的多条线路，代替 link · links that share by weight, instead of link"`
	Fallback []string   `json:"fallback,omitempty" jsonschema:"备用线路，前者中断或已满时依次使用；缺省应答 91 · links that are taken in turn when the first are down or full; without them: 91"`
}

// Amount is a range of amounts; both ends belong to it.
type Amount struct {
	Min int `json:"min_fen,omitempty" range:"0,999999999999" jsonschema:"下限，分 · at least, fen"`
	Max int `json:"max_fen,omitempty" range:"0,999999999999" jsonschema:"上限，分，0 为不限 · at most, fen, 0 is no bound"`
}

// To is a link and its share.
type To struct {
	Link   string `json:"link" jsonschema:"线路名 · name of the link"`
	Weight int    `json:"weight,omitempty" range:"1,1000000" jsonschema:"权重 · weight"`
}

func (t *To) start() { t.Weight = 1 }

// Calendar corrects what the weekdays say.
type Calendar struct {
	Holidays []string `json:"holidays,omitempty" jsonschema:"放假的日子，如 2026-10-01 · days off, such as 2026-10-01"`
	Workdays []string `json:"workdays,omitempty" jsonschema:"调休上班的周末 · weekends that are worked"`
}

// FlowControl bounds what is let through. Who is over a limit is answered at
// once and never forwarded. Reversals always pass.
type FlowControl struct {
	Code      string `json:"code,omitempty" jsonschema:"超限应答码 F39；96 使终端提示稍后再试，且不冲正 · F39 over a limit; 96 makes a terminal ask to try again later, and reverse nothing"`
	Payments  Cap    `json:"payments,omitempty" jsonschema:"全节点除查询外的请求 · all requests of the node but enquiries"`
	Enquiries Cap    `json:"enquiries,omitempty" jsonschema:"全节点余额与状态查询，与消费互不占用 · balance and status enquiries of the node, apart from sales"`
	Address   Cap    `json:"address,omitempty" jsonschema:"每个来源地址（IPv6 按 /64） · each address that terminals call from, of IPv6 each /64"`
	Terminal  Cap    `json:"terminal,omitempty" jsonschema:"每台终端 · each terminal"`
	Merchant  Cap    `json:"merchant,omitempty" jsonschema:"每家商户 · each merchant"`
}

// Cap is a token bucket, and a bound on what is under way. Zero is no limit.
type Cap struct {
	Rate     int           `json:"rate,omitempty" range:"0,1000000" jsonschema:"每 per 时长内的笔数，0 为不限 · how many in each per, 0 is no limit"`
	Per      time.Duration `json:"per,omitempty" range:"1s,24h" jsonschema:"rate 的时长 · the time of rate"`
	Burst    int           `json:"burst,omitempty" range:"0,1000000" jsonschema:"可一次到达的笔数，0 同 rate · how many may come at once, 0: as many as rate"`
	InFlight int           `json:"in_flight,omitempty" range:"0,500000" jsonschema:"同时在途的笔数，0 为不限 · how many under way at once, 0 is no limit"`
}

var perSecond = Cap{Per: time.Second}

// On says that something is limited.
func (c *Cap) On() bool { return c.Rate > 0 || c.InFlight > 0 }

// Limited says that any flow control is configured.
func (c *Config) Limited() bool {
	f := &c.FlowControl
	return f.Payments.On() || f.Enquiries.On() || f.Address.On() || f.Terminal.On() || f.Merchant.On() ||
		slices.ContainsFunc(c.Links, func(l Link) bool { return l.Limit.On() })
}

// routes looks for conditions that cannot be read and ways that lead nowhere.
func (r *reader) routes(c *Config) {
	if r.has("routes") && len(c.Routes) == 0 {
		r.faultAt("routes", "至少一条路由 · at least one route is wanted", "")
	}
	names := map[string]string{}
	for i := range c.Routes {
		t, path := &c.Routes[i], fmt.Sprintf("routes[%d]", i)
		if r.has(path + ".name") {
			r.name(path+".name", t.Label)
			r.unique(names, path+".name", t.Label, "名称", "name")
		}
		for j, k := range t.Kinds {
			if k != txn.Unknown && !flow.Forwarded(k) {
				r.faultAt(fmt.Sprintf("%s.kinds[%d]", path, j), fmt.Sprintf("%s 不按路由转发 · %s is not routed", k, k),
					"签到与回响由本机应答，冲正随原交易 · sign-in and echo are answered here, a reversal follows its original")
			}
		}
		r.conditions(c, t, path)
		r.targets(c, t, path)
	}
	r.dates("calendar.holidays", c.Calendar.Holidays)
	r.dates("calendar.workdays", c.Calendar.Workdays)
}

// conditions checks what a route asks of a transaction.
func (r *reader) conditions(c *Config, t *Route, path string) {
	each(r, path+".bin", t.BIN, func(s string) error { _, err := router.ParseRange(s); return err })
	each(r, path+".merchant", t.Merchant, router.ParseMerchant)
	each(r, path+".hours", t.Hours, func(s string) error { _, err := router.ParseWindow(s); return err })
	each(r, path+".issuer", t.Issuer, func(string) error {
		if c.BINTable == "" {
			return errors.New("按发卡方路由须有 bin_table · issuers need a bin_table")
		}
		return nil
	})
	if a := &t.Amount; a.Max > 0 && a.Min > a.Max {
		r.faultAt(path+".amount.min_fen", fmt.Sprintf("min_fen %d 大于 max_fen %d · above max_fen %d", a.Min, a.Max, a.Max), "")
	}
}

// each checks the texts of a list, each where it stands.
func each(r *reader, path string, list []string, check func(string) error) {
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if !r.filled(at, s) {
			continue
		}
		if err := check(s); err != nil {
			r.faultAt(at, err.Error(), "")
		}
	}
}

// targets checks where a route leads to.
func (r *reader) targets(c *Config, t *Route, path string) {
	switch {
	case !r.has(path+".link") && !r.has(path+".to") && r.faulty(r.at[path]):
	case !r.has(path+".link") && !r.has(path+".to"):
		r.faultAt(path, "缺少 link 或 to · link or to is missing", "")
	case r.has(path+".link") && r.has(path+".to"):
		r.faultAt(path+".to", "link 与 to 只能有其一 · link or to, not both", "")
	case r.has(path+".to") && len(t.To) == 0:
		r.faultAt(path+".to", "至少一条线路 · at least one link is wanted", "")
	}
	if n := len(t.To) + len(t.Fallback); n > router.MaxTargets {
		r.faultAt(path, fmt.Sprintf("%d 条线路，至多 %d 条 · %d links, at most %d", n, router.MaxTargets, n, router.MaxTargets), "")
	}
	seen := map[string]string{}
	r.linkName(c, seen, path+".link", t.Link)
	for i := range t.To {
		r.linkName(c, seen, fmt.Sprintf("%s.to[%d].link", path, i), t.To[i].Link)
	}
	for i, l := range t.Fallback {
		r.linkName(c, seen, fmt.Sprintf("%s.fallback[%d]", path, i), l)
	}
}

// linkName checks that a link is there, and that the route has not named it yet.
func (r *reader) linkName(c *Config, seen map[string]string, path, name string) {
	if !r.has(path) || !r.filled(path, name) {
		return
	}
	var links []string
	for i := range c.Links {
		if c.Links[i].Name != "" {
			links = append(links, c.Links[i].Name)
		}
	}
	if !slices.Contains(links, name) {
		r.faultAt(path, fmt.Sprintf("没有线路 %q · no link %q", name, name), yamlfile.DidYouMean(name, links))
		return
	}
	r.unique(seen, path, name, "线路", "link")
}

func (r *reader) dates(path string, list []string) {
	each(r, path, list, func(s string) error {
		if _, err := Day(s); err != nil {
			return fmt.Errorf("日期 %q 须如 2026-10-01 · date %q, wanted such as 2026-10-01", s, s)
		}
		return nil
	})
}

// Day gives the days since 1 January 1970 of a date such as 2026-10-01.
func Day(s string) (int32, error) {
	t, err := time.Parse(time.DateOnly, s)
	return int32(t.Unix() / (24 * 3600)), err
}

// flowControl looks for limits that would let nothing through, or a repeat not.
func (r *reader) flowControl(c *Config) {
	f := &c.FlowControl
	code := txn.Code{}
	if copy(code[:], f.Code); len(f.Code) != 2 || code.Approved() || code.Words() == (txn.Words{}) {
		r.faultAt("flow_control.code", fmt.Sprintf("%q 须为拒绝的应答码 · %q, wanted a response code that refuses", f.Code, f.Code), "96")
	}
	// While one is under way its repeat must find a place.
	if f.Terminal.InFlight == 1 {
		r.faultAt("flow_control.terminal.in_flight", "须至少为 2，为重发留一位 · at least 2 is wanted: a repeat needs a place", "2")
	}
	if f.Address.InFlight == 1 {
		r.faultAt("flow_control.address.in_flight", "须至少为 2，为重发留一位 · at least 2 is wanted: a repeat needs a place", "2")
	}
	r.burst("flow_control.address", &f.Address)
	r.burst("flow_control.payments", &f.Payments)
	r.burst("flow_control.enquiries", &f.Enquiries)
	r.burst("flow_control.terminal", &f.Terminal)
	r.burst("flow_control.merchant", &f.Merchant)
	for i := range c.Links {
		r.burst(fmt.Sprintf("links[%d].limit", i), &c.Links[i].Limit)
	}
}

func (r *reader) burst(path string, c *Cap) {
	if c.Burst > 0 && c.Rate == 0 {
		r.faultAt(path+".burst", "没有 rate 则 burst 无意义 · burst without rate means nothing", "")
	}
}
