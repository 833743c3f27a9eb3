package node

import (
	"fmt"
	"os"
	"slices"

	"tongka/config"
	"tongka/engine"
	"tongka/flow"
	"tongka/router"
	"tongka/router/limit"
	"tongka/txn"
)

// Routes makes the routing table of a config, its BIN table read from disk. The
// error names every fault.
func Routes(cfg *config.Config) (*router.Table, error) {
	src := router.Source{Kinds: flow.Routed()}
	for i := range cfg.Links {
		src.Links = append(src.Links, cfg.Links[i].Name)
	}
	for i := range cfg.Routes {
		rule, err := rule(&cfg.Routes[i], src.Links)
		if err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
		src.Rules = append(src.Rules, rule)
	}
	var err error
	if src.Calendar.Holidays, err = days(cfg.Calendar.Holidays); err != nil {
		return nil, err
	}
	if src.Calendar.Workdays, err = days(cfg.Calendar.Workdays); err != nil {
		return nil, err
	}
	if src.BINs, err = binTable(cfg.BINTable); err != nil {
		return nil, err
	}
	return router.Compile(src)
}

func binTable(path string) (*router.BINs, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("卡 BIN 表 · BIN table: %w", err)
	}
	defer f.Close()
	return router.ReadBINs(f, path)
}

func days(dates []string) (list []int32, err error) {
	for _, s := range dates {
		d, err := config.Day(s)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

// rule makes a rule of a route. The config has looked at it already, so an error
// is one of this program.
func rule(in *config.Route, links []string) (router.Rule, error) {
	r := router.Rule{Name: in.Label, Kinds: in.Kinds, Issuers: in.Issuer, Merchants: in.Merchant,
		MinAmount: int64(in.Amount.Min), MaxAmount: int64(in.Amount.Max)}
	for _, s := range in.BIN {
		bin, err := router.ParseRange(s)
		if err != nil {
			return r, err
		}
		r.BINs = append(r.BINs, bin)
	}
	for _, s := range in.Hours {
		w, err := router.ParseWindow(s)
		if err != nil {
			return r, err
		}
		r.Hours = append(r.Hours, w)
	}
	for _, s := range in.Days {
		d, _ := router.ParseDay(s)
		r.Days |= d
	}
	for _, g := range in.Group {
		r.Groups = append(r.Groups, uint16(g))
	}
	link := func(name string) txn.LinkID { return txn.LinkID(slices.Index(links, name)) }
	if in.Link != "" {
		r.To = append(r.To, router.Target{Link: link(in.Link), Weight: 1})
	}
	for _, to := range in.To {
		r.To = append(r.To, router.Target{Link: link(to.Link), Weight: uint32(to.Weight)})
	}
	for _, l := range in.Fallback {
		r.Fallback = append(r.Fallback, link(l))
	}
	return r, nil
}

// FlowControl makes the shard's limits of a config; nil when it has none.
func FlowControl(cfg *config.Config) *engine.FlowControl {
	if !cfg.Limited() {
		return nil
	}
	in := &cfg.FlowControl
	f := &engine.FlowControl{Payments: bound(&in.Payments), Enquiries: bound(&in.Enquiries), Address: bound(&in.Address), Terminal: bound(&in.Terminal), Merchant: bound(&in.Merchant)}
	copy(f.Code[:], in.Code)
	for i := range cfg.Links {
		f.Links = append(f.Links, bound(&cfg.Links[i].Limit))
	}
	return f
}

func bound(in *config.Cap) limit.Cap {
	c := limit.Cap{InFlight: int32(in.InFlight)}
	if in.Rate > 0 {
		burst := in.Burst
		if burst == 0 {
			burst = in.Rate
		}
		c.Rate = limit.NewRate(int64(in.Rate), int64(in.Per), int64(burst))
	}
	return c
}
