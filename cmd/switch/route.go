package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tongka/config"
	"tongka/flow"
	"tongka/node"
	"tongka/registry"
	"tongka/router"
	"tongka/translate"
	"tongka/txn"
)

// routeCmd is about the routes of a config.
type routeCmd struct {
	Explain routeExplainCmd `cmd:"" help:"说明一笔交易走哪条路由、为何 · which route a transaction takes, and why"`
}

// routeExplainCmd asks the table that a start would make. It opens no store.
type routeExplainCmd struct {
	configFlag
	PAN      string   `name:"pan" placeholder:"DIGITS" help:"卡号，空为无卡 · card number, none when left out"`
	Amount   string   `placeholder:"YUAN" default:"0" help:"金额，元，如 12.50 · amount in yuan, such as 12.50"`
	Kind     string   `default:"sale" help:"交易种类 · kind of transaction"`
	Merchant string   `help:"商户号 F42 · merchant number"`
	Terminal string   `help:"终端号 F41，与商户号一起可从登记文件查出组 · terminal number; with the merchant's it finds the group in the config's registry file"`
	Group    *uint16  `help:"终端组，缺省查登记文件 · terminal group, from the registry file when left out"`
	At       string   `placeholder:"TIME" help:"时间，如 2026-10-01 08:30，北京时间，缺省现在 · time, China standard time, now when left out"`
	Down     []string `placeholder:"LINK" help:"假定中断的线路 · links to take for down"`
	Full     []string `placeholder:"LINK" help:"假定已满的线路 · links to take for full"`
	JSON     bool     `name:"json" help:"输出 JSON · write JSON"`
}

// explained is what route explain says as JSON. The card number is masked.
type explained struct {
	PAN      string          `json:"pan,omitempty"`
	Kind     string          `json:"kind"`
	Amount   int64           `json:"amount_fen"`
	Merchant string          `json:"merchant,omitempty"`
	Terminal string          `json:"terminal,omitempty"`
	Group    uint16          `json:"group"`
	At       string          `json:"at"`
	Code     string          `json:"code"`           // 00 when a link takes it, else what the terminal is told
	Link     string          `json:"link,omitempty"` // that takes it, or was wanted
	Why      string          `json:"why"`
	Routes   []explainedRule `json:"routes"`
}

// explainedRule is what one route had to do with it.
type explainedRule struct {
	Route    string   `json:"route"`
	Taken    bool     `json:"taken"`
	Why      string   `json:"why"`
	To       []string `json:"to,omitempty"` // of the one that was taken: link and share
	Fallback []string `json:"fallback,omitempty"`
}

var verdictWords = map[router.Verdict]string{
	router.Chosen:        "命中 · taken",
	router.OtherCard:     "卡号不在其号段 · the card is not in its ranges",
	router.OtherKind:     "交易种类不符 · another kind",
	router.OtherGroup:    "终端组不符 · another terminal group",
	router.OtherAmount:   "金额不在范围 · the amount is out of its range",
	router.OtherMerchant: "商户不符 · another merchant",
	router.OtherTime:     "不在时段内 · out of its hours",
	router.OtherDay:      "日期不符 · another day",
	router.Later:         "也符合，但号段较宽或次序靠后 · would take it, but has a wider card range or stands behind",
}

// Run explains, or says everything that is wrong with the question.
func (c *routeExplainCmd) Run(s *streams) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	table, err := node.Routes(cfg)
	if err != nil {
		return err
	}
	f, err := c.facts()
	health, worse := c.health(cfg)
	group, worst := c.group(cfg, f)
	if err = errors.Join(err, worse, worst); err != nil {
		return err
	}
	v := c.explain(cfg, table, f, group, health)
	if c.JSON {
		return writeJSON(s.out, v)
	}
	v.print(s.out)
	return nil
}

// facts reads the transaction that is asked about.
func (c *routeExplainCmd) facts() (*txn.Facts, error) {
	f := new(txn.Facts)
	var faults []error
	var ok bool
	if f.Kind, ok = txn.ParseKind(c.Kind); !ok || !flow.Forwarded(f.Kind) {
		faults = append(faults, fmt.Errorf("--kind %s：须为其一 · wanted one of: %s", c.Kind, strings.Trim(fmt.Sprint(flow.Routed()), "[]")))
	}
	if c.PAN != "" {
		pan, err := txn.ParsePAN([]byte(c.PAN))
		if err != nil {
			faults = append(faults, errors.New("--pan：卡号须为 12 至 19 位数字 · a card number has 12 to 19 digits"))
		}
		f.PAN = pan
	}
	if f.Amount, ok = fen(c.Amount); !ok {
		faults = append(faults, fmt.Errorf("--amount %s：须为元，如 12.50 · wanted yuan, such as 12.50", c.Amount))
	}
	if len(c.Merchant) > len(f.Terminal.Merchant) || len(c.Terminal) > len(f.Terminal.Number) {
		faults = append(faults, errors.New("--merchant 至多 15 个字符，--terminal 8 个 · --merchant has 15 characters at most, --terminal 8"))
	}
	copy(f.Terminal.Merchant[:], fmt.Sprintf("%-15s", c.Merchant))
	copy(f.Terminal.Number[:], fmt.Sprintf("%-8s", c.Terminal))
	f.At = time.Now().UnixNano()
	if c.At != "" {
		at, err := parseTime(c.At)
		if err != nil {
			faults = append(faults, fmt.Errorf("--at %s：须如 2026-10-01 08:30 · wanted such as 2026-10-01 08:30", c.At))
		}
		f.At = at.UnixNano()
	}
	return f, errors.Join(faults...)
}

// fen reads yuan with at most two decimals.
func fen(s string) (int64, bool) {
	yuan, cents, _ := strings.Cut(s, ".")
	if len(cents) > 2 || len(yuan) == 0 || len(yuan) > 10 || strings.Trim(yuan+cents, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(yuan+(cents + "00")[:2], 10, 64)
	return n, err == nil
}

func parseTime(s string) (t time.Time, err error) {
	for _, form := range []string{"2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", time.DateOnly} {
		if t, err = time.ParseInLocation(form, s, translate.Zone); err == nil {
			return t, nil
		}
	}
	return time.Parse(time.RFC3339, s)
}

// supposed is what links are taken to be; those that are not in it are ready.
type supposed map[txn.LinkID]router.Readiness

// Ready is what the question supposes.
func (h supposed) Ready(l txn.LinkID) router.Readiness { return h[l] }

func (c *routeExplainCmd) health(cfg *config.Config) (supposed, error) {
	h := supposed{}
	var faults []error
	suppose := func(names []string, how router.Readiness) {
		for _, name := range names {
			i := slices.IndexFunc(cfg.Links, func(l config.Link) bool { return l.Name == name })
			if i < 0 {
				faults = append(faults, fmt.Errorf("没有线路 %q · no link %q", name, name))
			}
			h[txn.LinkID(max(i, 0))] = how
		}
	}
	suppose(c.Down, router.Away)
	suppose(c.Full, router.Busy)
	return h, errors.Join(faults...)
}

// group finds the terminal's group: as it was given, or in the config's registry
// file. The store is not asked: a switch that runs holds it.
func (c *routeExplainCmd) group(cfg *config.Config, f *txn.Facts) (uint16, error) {
	if c.Group != nil {
		return *c.Group, nil
	}
	if c.Merchant == "" || c.Terminal == "" || cfg.Registry.Import == "" {
		return 0, nil
	}
	r, err := registry.Open(registry.Options{InMemory: true, Max: cfg.Registry.MaxTerminals})
	if err != nil {
		return 0, err
	}
	in, err := os.Open(cfg.Registry.Import)
	if err != nil {
		return 0, errors.Join(fmt.Errorf("终端文件 · terminals: %w", err), r.Close())
	}
	_, _, err = r.Import(in, cfg.Registry.Import)
	t := r.Snapshot().Terminal(&f.Terminal)
	err = errors.Join(err, in.Close(), r.Close())
	if t == nil && err == nil {
		return 0, fmt.Errorf("%s 中没有此终端，可用 --group · %s does not hold this terminal; give --group", cfg.Registry.Import, cfg.Registry.Import)
	}
	if t == nil {
		return 0, err
	}
	return t.Group, err
}

func (c *routeExplainCmd) explain(cfg *config.Config, table *router.Table, f *txn.Facts, group uint16, h supposed) *explained {
	x := table.Explain(f, group, h)
	v := &explained{Kind: c.Kind, Amount: f.Amount, Merchant: c.Merchant, Terminal: c.Terminal, Group: group,
		At: time.Unix(0, f.At).In(translate.Zone).Format(time.DateTime)}
	if c.PAN != "" {
		v.PAN = f.PAN.String()
	}
	if x.Reason != router.NoRule {
		v.Link = cfg.Links[x.Link].Name
	}
	switch x.Reason {
	case router.Picked:
		v.Code, v.Why = txn.OK.String(), "发往 · goes to "+v.Link
	case router.NoRule:
		v.Code, v.Why = txn.NoRoute.String(), "没有路由 · no route takes it"
	case router.Down:
		v.Code, v.Why = txn.LinkDown.String(), "线路中断 · its links are down: "+v.Link
	case router.Full:
		v.Code, v.Why = txn.SystemFault.String(), "线路已满（应答码可配置） · its links are full (the code is configured): "+v.Link
	}
	for i, step := range x.Steps {
		r := explainedRule{Route: routeName(i, &cfg.Routes[i]), Taken: step.Verdict == router.Chosen, Why: verdictWords[step.Verdict]}
		if r.Taken {
			r.To, r.Fallback = shares(&cfg.Routes[i]), cfg.Routes[i].Fallback
		}
		v.Routes = append(v.Routes, r)
	}
	return v
}

// routeName calls a route by its place and its name.
func routeName(i int, r *config.Route) string {
	return strings.TrimSpace(fmt.Sprintf("routes[%d] %s", i, r.Label))
}

// shares gives the links of a route, with their shares when there are several.
func shares(r *config.Route) (list []string) {
	if r.Link != "" {
		return []string{r.Link}
	}
	sum := 0
	for _, to := range r.To {
		sum += to.Weight
	}
	for _, to := range r.To {
		list = append(list, fmt.Sprintf("%s %.1f%%", to.Link, 100*float64(to.Weight)/float64(sum)))
	}
	return list
}

// print says it for people.
func (v *explained) print(w io.Writer) {
	pan := v.PAN
	if pan == "" {
		pan = "无卡 no card"
	}
	fmt.Fprintf(w, "%s · %s · %d.%02d 元 yuan · %s · 商户 merchant %s · 终端 terminal %s · 组 group %d\n", v.Kind, pan, v.Amount/100, v.Amount%100, v.At,
		or(v.Merchant, "-"), or(v.Terminal, "-"), v.Group)
	fmt.Fprintf(w, "%s: %s\n\n", v.Code, v.Why)
	for _, r := range v.Routes {
		mark := " "
		if r.Taken {
			mark = "→"
		}
		fmt.Fprintf(w, "%s %s: %s\n", mark, r.Route, r.Why)
		if r.Taken {
			fmt.Fprintf(w, "    线路 · links: %s\n", strings.Join(r.To, ", "))
		}
		if len(r.Fallback) > 0 {
			fmt.Fprintf(w, "    备用 · fallback: %s\n", strings.Join(r.Fallback, ", "))
		}
	}
}

func or(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

// describeRoutes says what a config's routes and limits are.
func describeRoutes(w io.Writer, c *config.Config) {
	for i := range c.Routes {
		t := &c.Routes[i]
		conditions := []string{"*"}
		add := func(what string, values any) {
			if text := strings.Trim(fmt.Sprint(values), "[]"); text != "" {
				conditions = append(conditions, what+" "+text)
			}
		}
		if len(t.Kinds) > 0 {
			conditions[0] = strings.Trim(fmt.Sprint(t.Kinds), "[]")
		}
		add("BIN", t.BIN)
		add("发卡方 issuer", t.Issuer)
		add("商户 merchant", t.Merchant)
		add("组 group", t.Group)
		switch a := t.Amount; {
		case a.Max > 0:
			add("金额 fen", fmt.Sprintf("%d–%d", a.Min, a.Max))
		case a.Min > 0:
			add("金额 fen", fmt.Sprintf("≥ %d", a.Min))
		}
		add("时段 hours", t.Hours)
		add("日期 days", t.Days)
		to := strings.Join(shares(t), ", ")
		if len(t.Fallback) > 0 {
			to += "; 备用 fallback " + strings.Join(t.Fallback, ", ")
		}
		fmt.Fprintf(w, "路由 · %s: %s → %s\n", routeName(i, t), strings.Join(conditions, ", "), to)
	}
	describeLimits(w, c)
}

func describeLimits(w io.Writer, c *config.Config) {
	if !c.Limited() {
		return
	}
	fmt.Fprintf(w, "流量控制 · flow control: 超限应答 · over a limit %s\n", c.FlowControl.Code)
	say := func(what string, p *config.Cap) {
		if !p.On() {
			return
		}
		var parts []string
		if p.Rate > 0 {
			burst := p.Burst
			if burst == 0 {
				burst = p.Rate
			}
			parts = append(parts, fmt.Sprintf("%d / %v, 突发 burst %d", p.Rate, p.Per, burst))
		}
		if p.InFlight > 0 {
			parts = append(parts, fmt.Sprintf("在途 in flight ≤ %d", p.InFlight))
		}
		fmt.Fprintf(w, "  %s: %s\n", what, strings.Join(parts, ", "))
	}
	f := &c.FlowControl
	say("全节点 · node", &f.Payments)
	say("查询 · enquiries", &f.Enquiries)
	say("每终端 · each terminal", &f.Terminal)
	say("每商户 · each merchant", &f.Merchant)
	for i := range c.Links {
		say("线路 · link "+c.Links[i].Name, &c.Links[i].Limit)
	}
}

// warnings gives what a table may not be meant to be, one line each.
func warnings(t *router.Table, c *config.Config) (lines []string) {
	for _, w := range t.Warnings() {
		line := w.Message
		if w.Rule >= 0 {
			line = routeName(w.Rule, &c.Routes[w.Rule]) + ": " + line
		}
		lines = append(lines, line)
	}
	return lines
}
