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
	Party     fee.Party `json:"party"`
	Moved     int64     `json:"moved"` // transactions towards it
	Gross     int64     `json:"gross"`
	Fees      int64     `json:"fees"`      // negative: it pays
	Cases     int64     `json:"cases"`     // by decisions about cases
	Tolerated int64     `json:"tolerated"` // differences within the tolerance
	Net       int64     `json:"net"`
}

// cleared is what Clear leaves.
type cleared struct {
	Positions []position      `json:"positions"`
	Cities    []cityPositions `json:"cities"`
	Fees      int64           `json:"fees"`
	Decisions int64           `json:"decisions"`
	Fund      fundMoves       `json:"fund"`
	Purses    sideTotals      `json:"purses"` // what was paid offline
}

// balanced refuses positions that are not zero together.
func balanced(all []position) error {
	var sum int64
	for _, p := range all {
		sum += p.Net
		if p.Net != p.Gross+p.Fees+p.Cases+p.Tolerated {
			return fmt.Errorf("%s: %d + %d + %d + %d ≠ %d: %w", p.Party, p.Gross, p.Fees, p.Cases, p.Tolerated, p.Net, ErrBalance)
		}
	}
	if sum != 0 {
		return fmt.Errorf("%d 分 · %d fen: %w", sum, sum, ErrBalance)
	}
	return nil
}

// clear books what both sides agree on, what was paid offline, and what was decided.
func (j *job) clear() (any, error) {
	c, err := newClearer(j.o.Rules)
	if err != nil {
		return nil, err
	}
	kept, err := j.details()
	if err != nil {
		return nil, err
	}
	if err := kept.end(j.book(c, kept)); err != nil {
		return nil, err
	}
	err = j.each(Reconcile, tolerated, func(r *row.Row) error {
		c.tolerate(r)
		return nil
	})
	if err := errors.Join(err, j.decisions(c.decide)); err != nil {
		return nil, err
	}
	out, err := c.end()
	if err != nil {
		return nil, err
	}
	err = j.writeCSV(positionsCSV, []string{"role", "name", "transactions", "gross_fen", "fees_fen", "cases_fen", "tolerated_fen", "net_fen"}, func(add func(...any) error) error {
		for _, p := range out.Positions {
			if err := add(p.Party.Role, j.partyName(p.Party), p.Moved, p.Gross, p.Fees, p.Cases, p.Tolerated, p.Net); err != nil {
				return err
			}
		}
		return nil
	})
	return out, errors.Join(err, j.writeCities(out.Cities))
}

// book takes all rows of the day into the books.
func (j *job) book(c *clearer, kept *details) error {
	var rec reconciled
	var reg registered
	var in intaken
	_, err1 := j.st.step(j.o.Date, Reconcile, &rec)
	_, err2 := j.st.step(j.o.Date, Register, &reg)
	_, err3 := j.st.step(j.o.Date, Intake, &in)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	for i := range in.Purses {
		t := &in.Purses[i]
		c.out.Purses.Rows += t.Rows
		c.out.Purses.Settled += t.Settled
		c.out.Purses.Net += t.Net
	}
	all := float64(max(1, rec.Agreed+c.out.Purses.Rows))
	one := func(r *row.Row) error {
		j.part = float64(j.rows) / all
		return errors.Join(c.book(r), kept.add(r), j.row())
	}
	if err := j.each(Reconcile, agreedRows, one); err != nil || len(reg.Purses) == 0 {
		return err
	}
	return j.each(Intake, pursesRows, one)
}

func byParty(a, b fee.Party) int {
	return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name))
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
	// Consumed is what is taken out of the fund's account for what was paid with cards,
	// Unpaid what it does not cover and waits, fen, both negative.
	Consumed int64 `json:"consumed,omitempty"`
	Unpaid   int64 `json:"unpaid,omitempty"`
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
	out := settled{Consumed: c.Fund.Consume + yesterday.Unpaid}
	out.fund(&c.Fund, yesterday.Unpaid, reg.Caps)
	house := fee.Party{Role: fee.Acquirer}
	for _, who := range slices.SortedFunc(maps.Keys(of), byParty) {
		cycle, ok := j.o.Rules.CycleOf(who)
		fen := of[who]
		if free, has := reg.Caps[j.shown(who)]; has && fen < 0 && who.Role != fee.Fund {
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

// fund holds what cards paid against the fund's account, if it has one. Beyond its
// limit nothing of that is taken out, and it waits. Its other movements are booked as
// they happened, and are part of the sum that is held against the limit.
func (s *settled) fund(f *fundMoves, unpaid int64, caps map[string]int64) {
	who := fee.Party{Role: fee.Fund}
	free, has := caps[who.String()]
	if due := f.sum() + unpaid; has && due < 0 && -due > free {
		s.Refused = append(s.Refused, refusal{who, -due, free})
		s.Consumed, s.Unpaid = 0, s.Consumed
	}
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
	var stl settled
	if _, err := j.st.step(j.o.Date, Settle, &stl); err != nil {
		return nil, err
	}
	entries := []entry{}
	for _, e := range []struct {
		name string
		kind reserve.Kind
		fen  int64
	}{{"load", reserve.Load, c.Fund.Load}, {"consume", reserve.Consume, stl.Consumed}, {"refund", reserve.Refund, c.Fund.Refund},
		{"adjust", reserve.Adjust, c.Fund.Adjust}, {"fees", reserve.Adjust, c.Fund.Fees}} {
		if e.fen != 0 {
			entries = append(entries, entry{fmt.Sprintf("clear-%s-%s", j.o.Date, e.name), j.o.Date.String(), e.kind.String(), fee.Fund.String(), e.fen})
		}
	}
	for _, b := range stl.Drawn {
		name := j.shown(b.Party)
		entries = append(entries, entry{fmt.Sprintf("clear-%s-%s", j.o.Date, name), j.o.Date.String(), reserve.Consume.String(), name, b.Fen})
	}
	s := reserve.Statement{Date: j.o.Date, Account: fee.Fund.String(), Opening: yesterday.Fund, Load: c.Fund.Load, Consume: c.Fund.Consume, Refund: c.Fund.Refund,
		Adjusted: c.Fund.Adjust + c.Fund.Fees, Closing: yesterday.Fund}
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
	return &s, j.writeCSV(reserveCSV, []string{"account", "opening_fen", "loads_fen", "consumption_fen", "refunds_fen", "adjusted_fen", "closing_fen"}, func(add func(...any) error) error {
		return add(s.Account, s.Opening, s.Load, s.Consume, s.Refund, s.Adjusted, s.Closing)
	})
}
