package run

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tongka/clearing/casefile"
	"tongka/clearing/fee"
	"tongka/clearing/recon"
	"tongka/clearing/reserve"
	"tongka/journal"
	"tongka/txn"
)

// Report is the day for people and for programs: report.json has it whole. Amounts
// are fen.
type Report struct {
	Date      string            `json:"date"`
	Window    [2]string         `json:"window"` // places in the journal, from and to without it
	Rules     string            `json:"rules"`  // digest
	Balanced  bool              `json:"balanced"`
	Counts    ReportCounts      `json:"counts"`
	Classes   []ReportClass     `json:"classes"`
	Files     []ReportFile      `json:"files"`
	Missing   []string          `json:"missing"` // required files that the day was run without
	Links     []linkTotals      `json:"links"`
	Parties   []ReportParty     `json:"parties"`
	Cities    []ReportCity      `json:"cities"`
	Fees      int64             `json:"fees_fen"`
	Payments  []ReportPayment   `json:"payments"`
	Waiting   []ReportBalance   `json:"waiting"` // not paid yet
	Refused   []ReportRefusal   `json:"refused"` // not settled: their reserve does not cover it
	Fund      reserve.Statement `json:"fund"`
	Proof     ReportProof       `json:"proof"`
	Cases     []casefile.Event  `json:"cases"` // the first of them; all are in cases.jsonl
	Decisions int64             `json:"decisions"`
	Unpaid    int64             `json:"fund_unpaid_fen,omitempty"` // paid with cards, beyond what the fund's account may lose
	// Traces tell what happened to ours of the first cases, by case.
	Traces map[string][]string `json:"traces,omitempty"`
}

// ReportCounts are rows.
type ReportCounts struct {
	Records       int64 `json:"records"` // of the journal in the window
	Ours          int64 `json:"ours"`
	Theirs        int64 `json:"theirs"`
	OursCarried   int64 `json:"ours_carried"` // among them, from days before
	TheirsCarried int64 `json:"theirs_carried"`
	OursNet       int64 `json:"ours_net_fen"`
	TheirsNet     int64 `json:"theirs_net_fen"`
	Differences   int64 `json:"differences"`
	Raised        int64 `json:"cases_raised"`
	Resolved      int64 `json:"cases_resolved"`
	Held          int64 `json:"held"`
	Tolerated     int64 `json:"tolerated_fen"`
	Purses        int64 `json:"purses"` // paid offline, of the store of offline transactions
	PursesNet     int64 `json:"purses_net_fen"`
	PursesLeft    int64 `json:"purses_left"` // files of it that the rules say nothing of
	Unbalanced    int64 `json:"unbalanced_fen"`
}

// ReportClass is one kind of verdict.
type ReportClass struct {
	Class string `json:"class"`
	ZH    string `json:"zh"`
	EN    string `json:"en"`
	Count int64  `json:"count"`
	Fen   int64  `json:"difference_fen"`
}

// ReportFile is a file that was taken in.
type ReportFile struct {
	Name   string `json:"name"`
	Link   string `json:"link"`
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
	Net    int64  `json:"net_fen"`
}

// ReportParty is a position.
type ReportParty struct {
	Role  string `json:"role"`
	ZH    string `json:"zh"`
	Name  string `json:"name"`
	Moved int64  `json:"transactions"`
	Gross int64  `json:"gross_fen"`
	Fees  int64  `json:"fees_fen"`
	Cases int64  `json:"cases_fen"`
	Odd   int64  `json:"tolerated_fen"`
	Net   int64  `json:"net_fen"`
}

// ReportCity is one city's business. The sum of its parties is 0.
type ReportCity struct {
	City    string        `json:"city"`
	Parties []ReportParty `json:"parties"` // merchants as one
}

// ReportPayment is one of the instructions.
type ReportPayment struct {
	Due  string `json:"due"`
	From string `json:"from"`
	To   string `json:"to"`
	Fen  int64  `json:"fen"`
}

// ReportRefusal is a party whose reserve account does not cover what it owes.
type ReportRefusal struct {
	Party string `json:"party"`
	Owes  int64  `json:"owes_fen"`
	Free  int64  `json:"free_fen"` // what the account may lose
}

// ReportBalance is what waits for a later day.
type ReportBalance struct {
	Party string `json:"party"`
	Fen   int64  `json:"fen"`
}

// ReportProof is the day's proof: each reversal owed is confirmed, given up by
// people, or named here.
type ReportProof struct {
	Carried   int64        `json:"carried"` // open when the day began
	Owed      int64        `json:"owed"`
	Confirmed int64        `json:"confirmed"`
	GivenUp   int64        `json:"given_up"`
	Unknown   int64        `json:"unknown"` // reversals of what the journal does not have
	Open      []ReportOpen `json:"open"`
}

// ReportOpen is a reversal without an end.
type ReportOpen struct {
	Txn   uint64 `json:"txn"`
	Since string `json:"since"`
	Kind  string `json:"kind"`
	Link  string `json:"link"`
	Fen   int64  `json:"fen"`
	Last  string `json:"last"`
}

// Names of the report.
const (
	ReportHTML = "report.html"
	ReportJSON = "report.json"
	ReportCSV  = "report.csv"
)

// shownCases is how many cases the report has; a clerk reads no more.
const shownCases = 500

// report puts together what the steps left.
func (j *job) report() (any, error) {
	var reg registered
	var in intaken
	var f folded
	var rec reconciled
	var c cleared
	var s settled
	r := Report{Date: j.o.Date.Dashed()}
	var errs []error
	for at, to := range map[Step]any{Register: &reg, Intake: &in, Fold: &f, Totals: &r.Links, Reconcile: &rec, Clear: &c, Settle: &s, Reserve: &r.Fund} {
		_, err := j.st.step(j.o.Date, at, to)
		errs = append(errs, err)
	}
	yesterday, err := j.yesterday()
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	r.Window = [2]string{lsn(reg.From), lsn(reg.To)}
	r.Rules, r.Missing, r.Fees, r.Decisions = reg.Rules, reg.Missing, c.Fees, c.Decisions
	r.Counts = ReportCounts{f.Records, rec.Ours, rec.Theirs, f.Carried, in.Carried, rec.OursNet, rec.TheirsNet, rec.Differences(), rec.Raised, rec.Resolved,
		rec.Held, rec.Tolerated, c.Purses.Rows, c.Purses.Net, int64(reg.PursesLeft), rec.Unbalanced()}
	for i := range recon.Classes {
		w := i.Words()
		r.Classes = append(r.Classes, ReportClass{i.String(), w.ZH, w.EN, rec.Count[i], rec.Difference[i]})
	}
	for i, file := range reg.Files {
		r.Files = append(r.Files, ReportFile{file.Name, j.linkName(txn.LinkID(file.Link)), file.SHA256, in.Files[i].Rows, in.Files[i].Net})
	}
	for i, file := range reg.Purses {
		r.Files = append(r.Files, ReportFile{file.Name, offlineLink, file.SHA256, in.Purses[i].Rows, in.Purses[i].Net})
	}
	r.money(j, &c, &s)
	r.prove(j, &f, len(yesterday.Open))
	r.Balanced = c.balanced() == nil && rec.Unbalanced() == 0 && r.Fund.Balanced()
	if r.Cases, err = j.firstCases(); err != nil {
		return nil, err
	}
	if err := r.trace(j, &reg); err != nil {
		return nil, err
	}
	return nil, errors.Join(j.writeJSON(ReportJSON, &r), j.write(ReportCSV, r.csv), j.write(ReportHTML, r.html), j.carryOver(&f, &s, &r))
}

// trace looks up what happened to ours of the first cases.
func (r *Report) trace(j *job, reg *registered) error {
	for i := range r.Cases {
		c := &r.Cases[i]
		if j.o.Trace == nil || len(r.Traces) >= j.o.Traces {
			return nil
		}
		if c.Ours == nil || r.Traces[c.Case] != nil {
			continue
		}
		lines, err := j.o.Trace(c.Ours.Txn, journal.LSN(reg.To))
		if err != nil {
			return fmt.Errorf("%s: %w", c.Case, err)
		}
		if r.Traces == nil {
			r.Traces = map[string][]string{}
		}
		r.Traces[c.Case] = lines
	}
	return nil
}

func (r *Report) money(j *job, c *cleared, s *settled) {
	r.Parties = j.reported(c.Positions)
	for i := range c.Cities {
		r.Cities = append(r.Cities, ReportCity{c.Cities[i].City, j.reported(c.Cities[i].Positions)})
	}
	for _, f := range s.Refused {
		r.Refused = append(r.Refused, ReportRefusal{j.shown(f.Party), f.Owes, f.Free})
	}
	r.Unpaid = s.Unpaid
	for _, p := range s.Payments {
		r.Payments = append(r.Payments, ReportPayment{p.Due.Dashed(), j.shown(p.From), j.shown(p.To), p.Fen})
	}
	for _, b := range s.Balances {
		r.Waiting = append(r.Waiting, ReportBalance{j.shown(b.Party), b.Fen})
	}
}

func (j *job) reported(all []position) (out []ReportParty) {
	for _, p := range all {
		out = append(out, ReportParty{p.Party.Role.String(), p.Party.Role.Words().ZH, j.partyName(p.Party), p.Moved, p.Gross, p.Fees, p.Cases, p.Tolerated, p.Net})
	}
	return out
}

func (r *Report) prove(j *job, f *folded, carried int) {
	r.Proof = ReportProof{Carried: int64(carried), Owed: f.Owed, Confirmed: f.Ended, GivenUp: f.GivenUp, Unknown: f.Unknown}
	for _, o := range f.StillOwe {
		r.Proof.Open = append(r.Proof.Open, ReportOpen{uint64(o.ID), o.Since.Dashed(), o.Kind.String(), j.linkName(o.Link), o.Amount, lastOf(&o)})
	}
}

var errEnough = errors.New("enough")

func (j *job) firstCases() (all []casefile.Event, err error) {
	f, err := os.Open(filepath.Join(j.work(), CasesFile))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = casefile.EachEvent(CasesFile, bufio.NewReader(f), func(e *casefile.Event) error {
		if len(all) == shownCases {
			return errEnough
		}
		all = append(all, *e)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return all, err
}

// carryOver is what the next day begins with.
func (j *job) carryOver(f *folded, s *settled, r *Report) error {
	return j.writeJSON(carryFile, carriedOver{f.StillOwe, s.Balances, r.Fund.Closing, s.Unpaid})
}

// csv is the report's figures as lines: what, its words, its value.
func (r *Report) csv(w io.Writer) error {
	var b strings.Builder
	add := func(section, name, words string, v any) {
		for _, s := range []string{section, name, words} {
			if strings.ContainsAny(s, ",\"\n") {
				s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
			}
			b.WriteString(s + ",")
		}
		fmt.Fprintln(&b, v)
	}
	b.WriteString("section,name,words,value\n")
	add("day", "date", "日期 · date", r.Date)
	add("day", "balanced", "平衡 · balanced", r.Balanced)
	for _, f := range r.figures() {
		add("counts", f.Name, f.ZH+" · "+f.EN, f.Value)
	}
	for _, c := range r.Classes {
		add("class", c.Class, c.ZH+" · "+c.EN, c.Count)
		add("difference_fen", c.Class, c.ZH+" · "+c.EN, c.Fen)
	}
	for _, p := range r.Parties {
		add("net_fen", strings.TrimSuffix(p.Role+":"+p.Name, ":"), p.ZH, p.Net)
	}
	for i := range r.Cities {
		c := &r.Cities[i]
		for _, p := range c.Parties {
			add("city_net_fen", c.City+" "+strings.TrimSuffix(p.Role+":"+p.Name, ":"), p.ZH, p.Net)
		}
	}
	for _, p := range r.Payments {
		add("payment_fen", p.Due+" "+p.From+" > "+p.To, "付款 · payment", p.Fen)
	}
	for _, o := range r.Proof.Open {
		add("open_reversal_fen", fmt.Sprint(o.Txn), "未了冲正 · reversal without an end", o.Fen)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// figure is a number of the day with its words.
type figure struct {
	Name, ZH, EN string
	Value        int64
	Money        bool
}

func (r *Report) figures() []figure {
	c, p := &r.Counts, &r.Proof
	return []figure{
		{"records", "流水记录", "records of the journal", c.Records, false},
		{"ours", "本方笔数", "our rows", c.Ours, false},
		{"theirs", "对方笔数", "their rows", c.Theirs, false},
		{"ours_net_fen", "本方净额", "our net", c.OursNet, true},
		{"theirs_net_fen", "对方净额", "their net", c.TheirsNet, true},
		{"differences", "差异", "differences", c.Differences, false},
		{"cases_raised", "新增差错", "cases raised", c.Raised, false},
		{"cases_resolved", "迟到自行匹配", "cases resolved by late arrivals", c.Resolved, false},
		{"held", "暂挂", "held for the next day", c.Held, false},
		{"fees_fen", "手续费", "fees", r.Fees, true},
		{"tolerated_fen", "容差内之差", "difference within the tolerance", c.Tolerated, true},
		{"purses", "脱机交易笔数", "paid offline", c.Purses, false},
		{"purses_net_fen", "脱机交易净额", "net of these", c.PursesNet, true},
		{"purses_left", "规则未涉及的脱机文件", "offline files that the rules do not name", c.PursesLeft, false},
		{"unbalanced_fen", "未平", "not explained", c.Unbalanced, true},
		{"owed", "当日应冲正", "reversals owed that day", p.Owed, false},
		{"open", "未了冲正", "reversals without an end", int64(len(p.Open)), false},
	}
}

// sumNet is of all positions: 0.
func (r *Report) sumNet() int64 { return sumOfNets(r.Parties) }

func sumOfNets(all []ReportParty) (sum int64) {
	for _, p := range all {
		sum += p.Net
	}
	return sum
}

// biggest are the n parties with the most money either way.
func (r *Report) biggest(n int) []ReportParty {
	all := slices.Clone(r.Parties)
	slices.SortStableFunc(all, func(a, b ReportParty) int { return int(min(1, max(-1, max(b.Net, -b.Net)-max(a.Net, -a.Net)))) })
	return all[:min(n, len(all))]
}

// roleWords is for the template.
func roleWords(word string) string {
	role, _ := fee.ParseRole(word)
	return role.Words().ZH + " · " + role.Words().EN
}
