package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"tongka/clearing/fee"
	"tongka/clearing/recon"
	"tongka/clearing/row"
	"tongka/txn"
)

// rules reads the whole file.
func (p *parser) rules(n ast.Node, r *Rules) {
	p.mapping(n, form{
		"zone":      func(n ast.Node) { p.zone(n, &r.Schedule.Zone) },
		"cut":       func(n ast.Node) { p.clock(n, &r.Schedule.At) },
		"match":     func(n ast.Node) { p.passes(n, r) },
		"tolerance": func(n ast.Node) { p.fen(n, &r.Tolerance) },
		"tolerated": func(n ast.Node) { p.tolerated(n, r) },
		"many":      func(n ast.Node) { p.yes(n, &r.Many) },
		"hold":      func(n ast.Node) { p.span(n, 24*time.Hour, &r.Hold) },
		"late_days": func(n ast.Node) { p.whole(n, 366, &r.LateDays) },
		"weekends":  func(n ast.Node) { p.yes(n, &r.Weekends) },
		"holidays":  func(n ast.Node) { p.list(n, func(n ast.Node) { r.Holidays = append(r.Holidays, p.date(n)) }) },
		"files":     func(n ast.Node) { p.list(n, func(n ast.Node) { p.expected(n, r) }) },
		"fees":      func(n ast.Node) { p.list(n, func(n ast.Node) { p.feeRule(n, r) }) },
		"disputes":  func(n ast.Node) { p.list(n, func(n ast.Node) { p.level(n, r) }) },
		"settle":    func(n ast.Node) { p.list(n, func(n ast.Node) { p.cycle(n, r) }) },
		"cities":    func(n ast.Node) { p.list(n, func(n ast.Node) { p.city(n, r) }) },
		"offline":   func(n ast.Node) { p.list(n, func(n ast.Node) { p.purse(n, r) }) },
	}, "match", "files")
	// Each rule was checked where it stands.
	r.Fees, _ = fee.NewTable(r.FeeRules)
}

func (p *parser) expected(n ast.Node, r *Rules) {
	f := File{}
	p.mapping(n, form{
		"name":     func(n ast.Node) { p.pattern(n, &f.Name) },
		"link":     func(n ast.Node) { p.link(n, &f.Link) },
		"required": func(n ast.Node) { p.yes(n, &f.Required) },
	}, "name", "link")
	r.Files = append(r.Files, f)
}

func (p *parser) cycle(n ast.Node, r *Rules) {
	c := Cycle{Days: 1, Least: 1}
	p.mapping(n, form{
		"of":      func(n ast.Node) { p.party(n, true, &c.Of) },
		"days":    func(n ast.Node) { p.whole(n, 366, &c.Days) },
		"least":   func(n ast.Node) { p.fen(n, &c.Least) },
		"collect": func(n ast.Node) { p.yes(n, &c.Collect) },
	}, "of")
	if c.Of.Role == fee.Acquirer {
		p.fault(n, "受理方即本方，不对己付款 · the acquirer is this house, which does not pay itself", "")
	}
	c.Least = max(c.Least, 1)
	r.Cycles = append(r.Cycles, c)
}

// level reads how grave cases are.
func (p *parser) level(n ast.Node, r *Rules) {
	l := Level{}
	p.mapping(n, form{
		"name":  func(n ast.Node) { l.Name, _ = p.scalar(n) },
		"least": func(n ast.Node) { p.fen(n, &l.Least) },
		"days":  func(n ast.Node) { p.whole(n, 366, &l.Days) },
		"classes": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				s, ok := p.scalar(n)
				if _, known := recon.ParseClass(s); ok && !known {
					p.fault(n, fmt.Sprintf("没有差异类别 %q · no class of differences %q", s, s), "amount-differs, ours-only, theirs-only …")
				}
				l.Classes = append(l.Classes, s)
			})
		},
	}, "name", "days")
	if l.Name == "" || strings.ContainsAny(l.Name, " ,\n") {
		p.fault(n, "name 须为一个词 · name: one word is wanted", "high")
	}
	r.Disputes = append(r.Disputes, l)
}

// tolerated reads who bears differences within the tolerance. A merchant is paid what
// our journal says, and the card fund is money of customers: neither may.
func (p *parser) tolerated(n ast.Node, r *Rules) {
	p.party(n, false, &r.Tolerated)
	if role := r.Tolerated.Role; role == fee.Merchant || role == fee.Fund {
		p.fault(n, "商户与卡基金不承担容差 · neither merchants nor the card fund bear differences", "acquirer, centre, issuer")
	}
}

// city reads a place and its merchants.
func (p *parser) city(n ast.Node, r *Rules) {
	c := City{}
	p.mapping(n, form{
		"name": func(n ast.Node) { c.Name, _ = p.scalar(n) },
		"merchants": func(n ast.Node) {
			p.list(n, func(n ast.Node) {
				s := ""
				p.pattern(n, &s)
				c.Merchants = append(c.Merchants, s)
			})
		},
	}, "name", "merchants")
	same := func(o City) bool { return o.Name == c.Name }
	if c.Name == "" || c.Name == OtherCity || strings.ContainsAny(c.Name, " ,:/\n") || slices.ContainsFunc(r.Cities, same) {
		p.fault(n, "城市名须为一个词，不可为 other，不可重复 · a city's name is one word, not other, and stands once", "beijing")
	}
	r.Cities = append(r.Cities, c)
	if len(r.Cities) == maxCities+1 {
		p.fault(n, fmt.Sprintf("城市超过 %d 个 · more than %d cities", maxCities, maxCities), "")
	}
}

// maxCities bounds the books that a day is cleared in.
const maxCities = 400

// purse reads whose offline records are.
func (p *parser) purse(n ast.Node, r *Rules) {
	u := PurseRule{}
	p.mapping(n, form{
		"company":  func(n ast.Node) { p.pattern(n, &u.Company) },
		"terminal": func(n ast.Node) { p.pattern(n, &u.Terminal) },
		"sam":      func(n ast.Node) { p.pattern(n, &u.SAM) },
		"merchant": func(n ast.Node) { u.Merchant, _ = p.scalar(n) },
	}, "merchant")
	bare := strings.NewReplacer("{company}", "", "{terminal}", "", "{sam}", "").Replace(u.Merchant)
	if u.Merchant == "" || len(bare) > 15 || strings.Trim(bare, alphanumeric) != "" {
		p.fault(n, "merchant 须为商户号，可含 {company} {terminal} {sam} · merchant: a number of 15 letters and digits at most, which may hold {company}, {terminal}, {sam}", "104110045110001")
	}
	r.Purses = append(r.Purses, u)
}

func (p *parser) feeRule(n ast.Node, r *Rules) {
	f := fee.Rule{}
	faults := len(p.faults)
	p.mapping(n, form{
		"name":      func(n ast.Node) { f.Name, _ = p.scalar(n) },
		"kinds":     func(n ast.Node) { p.list(n, func(n ast.Node) { f.Kinds = append(f.Kinds, p.kind(n)) }) },
		"merchant":  func(n ast.Node) { f.Merchant, _ = p.scalar(n) },
		"purse":     func(n ast.Node) { p.yes(n, &f.Purse) },
		"payer":     func(n ast.Node) { p.party(n, false, &f.Payer) },
		"tiers":     func(n ast.Node) { p.list(n, func(n ast.Node) { f.Tiers = append(f.Tiers, p.tier(n)) }) },
		"shares":    func(n ast.Node) { p.list(n, func(n ast.Node) { f.Shares = append(f.Shares, p.share(n)) }) },
		"remainder": func(n ast.Node) { p.party(n, false, &f.Remainder) },
		"returned":  func(n ast.Node) { p.yes(n, &f.Returned) },
	}, "name", "payer", "tiers", "remainder")
	if len(p.faults) > faults {
		return // what follows from these would only hide them
	}
	if err := f.Validate(); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			p.fault(n, "费用规则有误 · "+line, "")
		}
	}
	r.FeeRules = append(r.FeeRules, f)
}

func (p *parser) kind(n ast.Node) txn.Kind {
	s, ok := p.scalar(n)
	if !ok {
		return 0
	}
	k, known := txn.ParseKind(s)
	if !known || row.Moves(k) == 0 {
		p.fault(n, fmt.Sprintf("%q 不是清算的交易种类 · %q is no kind that is cleared", s, s), "sale, void, refund, completion, load-account …")
	}
	return k
}

func (p *parser) tier(n ast.Node) (t fee.Tier) {
	p.mapping(n, form{
		"up_to": func(n ast.Node) { p.fen(n, &t.UpTo) },
		"rate":  func(n ast.Node) { p.percent(n, &t.Rate) },
		"fixed": func(n ast.Node) { p.fen(n, &t.Fixed) },
		"min":   func(n ast.Node) { p.fen(n, &t.Min) },
		"max":   func(n ast.Node) { p.fen(n, &t.Max) },
	})
	return t
}

func (p *parser) share(n ast.Node) (s fee.Share) {
	p.mapping(n, form{
		"to":   func(n ast.Node) { p.party(n, false, &s.To) },
		"part": func(n ast.Node) { p.percent(n, &s.Parts) },
	}, "to", "part")
	return s
}
