package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"tongka/clearing/casefile"
	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/recon"
	"tongka/clearing/reserve"
	"tongka/clearing/row"
	"tongka/txn"
)

func linkOf(v *recon.Result) txn.LinkID {
	if v.HasOurs {
		return v.Ours.Link
	}
	return v.Theirs.Link
}

// linkTotals are one link's on both sides.
type linkTotals struct {
	Link   string     `json:"link"`
	Ours   sideTotals `json:"ours"`
	Theirs sideTotals `json:"theirs"`
	Equal  bool       `json:"equal"`
}

// totals holds the sums against each other before any detail.
func (j *job) totals() (any, error) {
	var ours folded
	var theirs intaken
	_, err1 := j.st.step(j.o.Date, Fold, &ours)
	_, err2 := j.st.step(j.o.Date, Intake, &theirs)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	links := map[txn.LinkID]bool{}
	for _, side := range []byLink{ours.Links, theirs.Links} {
		for id := range side {
			links[id] = true
		}
	}
	all := []linkTotals{}
	for _, id := range slices.Sorted(maps.Keys(links)) {
		t := linkTotals{Link: j.linkName(id)}
		if x := ours.Links[id]; x != nil {
			t.Ours = *x
		}
		if x := theirs.Links[id]; x != nil {
			t.Theirs = *x
		}
		// What does not settle may be in one side's file only.
		t.Equal = t.Ours.Settled == t.Theirs.Settled && t.Ours.Net == t.Theirs.Net
		all = append(all, t)
	}
	return all, j.writeCSV(totalsCSV, []string{"link", "ours_count", "ours_net_fen", "theirs_count", "theirs_net_fen", "difference_fen", "equal"}, func(add func(...any) error) error {
		for _, t := range all {
			if err := add(t.Link, t.Ours.Settled, t.Ours.Net, t.Theirs.Settled, t.Theirs.Net, t.Ours.Net-t.Theirs.Net, t.Equal); err != nil {
				return err
			}
		}
		return nil
	})
}

// position is what one party gets of the day, fen.
type position struct {
	Party fee.Party `json:"party"`
	Moved int64     `json:"moved"` // transactions towards it
	Gross int64     `json:"gross"`
	Fees  int64     `json:"fees"`  // negative: it pays
	Cases int64     `json:"cases"` // by decisions about cases
	Net   int64     `json:"net"`
}

// cleared is what Clear leaves.
type cleared struct {
	Positions []position `json:"positions"`
	Fees      int64      `json:"fees"`
	Decisions int64      `json:"decisions"`
	Fund      [3]int64   `json:"fund"` // fen onto cards, back from them, by decisions
}

// balanced refuses positions that are not zero together.
func balanced(all []position) error {
	var sum int64
	for _, p := range all {
		sum += p.Net
		if p.Net != p.Gross+p.Fees+p.Cases {
			return fmt.Errorf("%s: %d + %d + %d ≠ %d: %w", p.Party, p.Gross, p.Fees, p.Cases, p.Net, ErrBalance)
		}
	}
	if sum != 0 {
		return fmt.Errorf("%d 分 · %d fen: %w", sum, sum, ErrBalance)
	}
	return nil
}

// clear books what both sides agree on, and what was decided.
func (j *job) clear() (any, error) {
	free, err := fee.NewTable(nil)
	if err != nil {
		return nil, err
	}
	gross, all, cases := fee.NewPositions(), fee.NewPositions(), fee.NewPositions()
	out := cleared{}
	var rec reconciled
	if _, err := j.st.step(j.o.Date, Reconcile, &rec); err != nil {
		return nil, err
	}
	kept, err := j.details()
	if err != nil {
		return nil, err
	}
	err = j.each(Reconcile, agreedRows, func(r *row.Row) error {
		out.fund(r)
		if err := errors.Join(free.Book(gross, r), j.o.Rules.Fees.Book(all, r), kept.add(r)); err != nil {
			return err
		}
		j.part = float64(j.rows) / float64(max(1, rec.Agreed))
		return j.row()
	})
	if err := kept.end(err); err != nil {
		return nil, err
	}
	err = j.decisions(func(d *casefile.Decision) error {
		moves, err := d.Transfers()
		out.Decisions++
		for _, m := range moves {
			cases.Move(m.From, m.To, m.Fen)
			if m.To.Role == fee.Fund {
				out.Fund[2] += m.Fen
			}
			if m.From.Role == fee.Fund {
				out.Fund[2] -= m.Fen
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Fees = all.Fees
	out.Positions = j.positions(gross, all, cases)
	if err := balanced(out.Positions); err != nil {
		return nil, err
	}
	return &out, j.writeCSV(positionsCSV, []string{"role", "name", "transactions", "gross_fen", "fees_fen", "cases_fen", "net_fen"}, func(add func(...any) error) error {
		for _, p := range out.Positions {
			if err := add(p.Party.Role, j.partyName(p.Party), p.Moved, p.Gross, p.Fees, p.Cases, p.Net); err != nil {
				return err
			}
		}
		return nil
	})
}

func byParty(a, b fee.Party) int {
	return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name))
}

// positions puts the three books beside each other, by role and name.
func (j *job) positions(gross, all, cases *fee.Positions) []position {
	who := append(all.Parties(), cases.Parties()...)
	slices.SortFunc(who, byParty)
	var out []position
	for _, p := range slices.Compact(who) {
		g, a, c := gross.Get(p), all.Get(p), cases.Get(p)
		out = append(out, position{p, a.Moved, g.Net, a.Net - g.Net, c.Net, a.Net + c.Net})
	}
	return out
}

// fund adds up what goes onto purse cards and comes back.
func (c *cleared) fund(r *row.Row) {
	kind := r.Kind
	if kind == txn.Reversal {
		kind = r.Of
	}
	switch kind {
	case txn.LoadAccount, txn.LoadOther, txn.LoadCash:
		c.Fund[0] += r.Net()
	case txn.LoadVoid, txn.Unload:
		c.Fund[1] += r.Net()
	}
}

// partyName is a party's name for people: a link's is that of the config.
func (j *job) partyName(p fee.Party) string {
	var id txn.LinkID
	if _, err := fmt.Sscan(p.Name, &id); err == nil && p.Role == fee.Issuer {
		return j.linkName(id)
	}
	return p.Name
}

// shown is a party in one word, for people and for who pays.
func (j *job) shown(p fee.Party) string {
	return fee.Party{Role: p.Role, Name: j.partyName(p)}.String()
}

// decisions reads what the desk decided for the day, as it was registered.
func (j *job) decisions(f func(*casefile.Decision) error) (err error) {
	var reg registered
	if _, err := j.st.step(j.o.Date, Register, &reg); err != nil || reg.Decisions.Name == "" {
		return err
	}
	_, sum, err := digest(j.decisionsFile())
	if err == nil && sum != reg.Decisions.SHA256 {
		err = fmt.Errorf("%s: %w", j.decisionsFile(), ErrChanged)
	}
	if err != nil {
		return err
	}
	in, err := os.Open(j.decisionsFile())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return casefile.EachDecision(j.decisionsFile(), in, f)
}

// endedCases are those whose rows wait no more.
func (j *job) endedCases() (map[string]bool, error) {
	ended := map[string]bool{}
	return ended, j.decisions(func(d *casefile.Decision) error {
		if d.Ends {
			ended[d.Case] = true
		}
		return nil
	})
}

// payment is one line of the instructions.
type payment struct {
	Due  day.Date  `json:"due"`
	From fee.Party `json:"from"`
	To   fee.Party `json:"to"`
	Fen  int64     `json:"fen"`
}

// balance is what a party has to get and was not paid yet, fen.
type balance struct {
	Party fee.Party `json:"party"`
	Fen   int64     `json:"fen"`
}

// settled is what Settle leaves.
type settled struct {
	Payments []payment `json:"payments"`
	Balances []balance `json:"balances"` // what waits, by party; their sum is 0
	Drawn    []balance `json:"drawn"`    // taken out of reserve accounts, by party
	Refused  []refusal `json:"refused"`  // not settled: the reserve is too small
}

// refusal is a party whose reserve does not cover what it owes: nothing of it is
// settled, and all waits for the next day.
type refusal struct {
	Party fee.Party `json:"party"`
	Owes  int64     `json:"owes"`
	Free  int64     `json:"free"`
}

// settle makes payments of what has come together, party by party.
func (j *job) settle() (any, error) {
	var c cleared
	if _, err := j.st.step(j.o.Date, Clear, &c); err != nil {
		return nil, err
	}
	yesterday, err := j.yesterday()
	if err != nil {
		return nil, err
	}
	of := map[fee.Party]int64{}
	for _, b := range yesterday.Balances {
		of[b.Party] = b.Fen
	}
	for _, p := range c.Positions {
		of[p.Party] += p.Net
	}
	var reg registered
	if _, err := j.st.step(j.o.Date, Register, &reg); err != nil {
		return nil, err
	}
	out := settled{}
	house := fee.Party{Role: fee.Acquirer}
	for _, who := range slices.SortedFunc(maps.Keys(of), byParty) {
		cycle, ok := j.o.Rules.CycleOf(who)
		fen := of[who]
		if free, has := reg.Caps[j.shown(who)]; has && fen < 0 {
			if -fen > free {
				out.Refused = append(out.Refused, refusal{who, -fen, free})
				continue
			}
			out.Drawn = append(out.Drawn, balance{who, fen})
			of[who] = 0
			of[house] += fen
			continue
		}
		if !ok || max(fen, -fen) < cycle.Least || fen < 0 && !cycle.Collect {
			continue
		}
		p := payment{j.o.Rules.Due(j.o.Date, cycle.Days), house, who, fen}
		if fen < 0 {
			p.From, p.To, p.Fen = who, house, -fen
		}
		out.Payments = append(out.Payments, p)
		of[who] = 0
		of[house] += fen
	}
	var sum int64
	for _, who := range slices.SortedFunc(maps.Keys(of), byParty) {
		if fen := of[who]; fen != 0 {
			sum += fen
			out.Balances = append(out.Balances, balance{who, fen})
		}
	}
	if sum != 0 {
		return nil, fmt.Errorf("%d 分 · %d fen: %w", sum, sum, ErrBalance)
	}
	if err := j.writeRefused(out.Refused); err != nil {
		return nil, err
	}
	return &out, j.writeCSV(paymentsCSV, []string{"number", "due", "from", "to", "fen"}, func(add func(...any) error) error {
		for i, p := range out.Payments {
			if err := add(i+1, p.Due, j.shown(p.From), j.shown(p.To), p.Fen); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeRefused lists who was not settled.
func (j *job) writeRefused(all []refusal) error {
	return j.writeCSV(refusedCSV, []string{"party", "owes_fen", "free_fen"}, func(add func(...any) error) error {
		for _, r := range all {
			if err := add(j.shown(r.Party), r.Owes, r.Free); err != nil {
				return err
			}
		}
		return nil
	})
}

// entry is a line for the ledger of reserve accounts; its reference makes it count
// once however often it is read. Fen are what it does to the account.
type entry struct {
	Ref     string `json:"ref"`
	Date    string `json:"date"`
	Kind    string `json:"kind"`
	Account string `json:"account"`
	Fen     int64  `json:"fen"`
}

// reserve proves the card fund's day: opening and what moved are the closing, by
// the ledger and by the positions.
func (j *job) reserve() (any, error) {
	var c cleared
	if _, err := j.st.step(j.o.Date, Clear, &c); err != nil {
		return nil, err
	}
	yesterday, err := j.yesterday()
	if err != nil {
		return nil, err
	}
	entries := []entry{}
	for i, kind := range []reserve.Kind{reserve.Load, reserve.Refund, reserve.Adjust} {
		if fen := c.Fund[i]; fen != 0 {
			entries = append(entries, entry{fmt.Sprintf("clear-%s-%s", j.o.Date, kind), j.o.Date.String(), kind.String(), fee.Fund.String(), fen})
		}
	}
	var stl settled
	if _, err := j.st.step(j.o.Date, Settle, &stl); err != nil {
		return nil, err
	}
	for _, b := range stl.Drawn {
		name := j.shown(b.Party)
		entries = append(entries, entry{fmt.Sprintf("clear-%s-%s", j.o.Date, name), j.o.Date.String(), reserve.Consume.String(), name, b.Fen})
	}
	s := reserve.Statement{Date: j.o.Date, Account: fee.Fund.String(), Opening: yesterday.Fund, Load: c.Fund[0], Refund: c.Fund[1], Adjusted: c.Fund[2],
		Closing: yesterday.Fund}
	for _, p := range c.Positions {
		if p.Party.Role == fee.Fund {
			s.Closing += p.Net
		}
	}
	if !s.Balanced() {
		return nil, fmt.Errorf("备付金等式不成立 · the fund's day does not add up: %+v: %w", s, ErrBalance)
	}
	err = j.write(EntriesFile, func(w io.Writer) error {
		e := json.NewEncoder(w)
		for i := range entries {
			if err := e.Encode(&entries[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &s, j.writeCSV(reserveCSV, []string{"account", "opening_fen", "loads_fen", "refunds_fen", "adjusted_fen", "closing_fen"}, func(add func(...any) error) error {
		return add(s.Account, s.Opening, s.Load, s.Refund, s.Adjusted, s.Closing)
	})
}
