// Package casefile is what the nightly run and the desk for disputes (差错) hand to
// each other: lines of JSON in files that are only ever added to or published
// whole. The run writes cases; the desk writes decisions, which count in the
// clearing of the day that they are given for.
package casefile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"tongka/clearing/day"
	"tongka/clearing/fee"
	"tongka/clearing/recon"
	"tongka/clearing/row"
)

// What an event says of a case.
const (
	Raised   = "raised"   // a difference was found
	Resolved = "resolved" // its partner came late, and they agree
)

// Side is one side's row of a case.
type Side struct {
	Amount int64  `json:"amount"` // fen
	Net    int64  `json:"net"`    // fen that move, with their sign; 0 when none stand
	Kind   string `json:"kind"`
	Status string `json:"status"`
	Txn    uint64 `json:"txn,omitempty"`  // ours: the transaction, for `switch journal show`
	File   uint16 `json:"file,omitempty"` // theirs: number of the day's file, from 1
	Line   uint64 `json:"line,omitempty"` // theirs: of that file
}

// Event is one line of cases.jsonl.
type Event struct {
	Case     string `json:"case"` // see ID
	Event    string `json:"event"`
	Date     string `json:"date"` // the day that was cleared, YYYYMMDD
	Of       string `json:"of"`   // the day that the row is of, YYYYMMDD
	Class    string `json:"class"`
	ReasonZH string `json:"reason_zh"`
	ReasonEN string `json:"reason_en"`
	Link     uint16 `json:"link"`
	RRN      string `json:"rrn"` // twelve digits
	STAN     uint32 `json:"stan"`
	Merchant string `json:"merchant,omitempty"`
	Terminal string `json:"terminal,omitempty"`
	Card     string `json:"card,omitempty"` // masked
	Fen      int64  `json:"fen"`            // ours less theirs
	Ours     *Side  `json:"ours,omitempty"`
	Theirs   *Side  `json:"theirs,omitempty"`
}

// ID names the case of a row for good: its day, its side and its own number there.
// So a run that is made again gives the same names, and a row that waits for
// several days keeps its case.
func ID(r *row.Row, ours bool) string {
	if ours {
		return fmt.Sprintf("%s-o-%d", r.Date, r.ID)
	}
	return fmt.Sprintf("%s-t%d-%d", r.Date, r.File, r.ID)
}

// Of makes the event of a verdict.
func Of(date day.Date, event string, v *recon.Result) Event {
	main, ours := &v.Ours, true
	if !v.HasOurs {
		main, ours = &v.Theirs, false
	}
	words := v.Reason.Words()
	e := Event{Case: ID(main, ours), Event: event, Date: date.String(), Of: main.Date.String(), Class: v.Class.String(), ReasonZH: words.ZH, ReasonEN: words.EN,
		Link: uint16(main.Link), RRN: fmt.Sprintf("%012d", main.RRN), STAN: main.STAN, Merchant: text(main.Merchant[:]), Terminal: text(main.Terminal[:]),
		Card: main.Masked()}
	if v.HasOurs {
		e.Fen += v.Ours.Net()
		e.Ours = &Side{Amount: v.Ours.Amount, Net: v.Ours.Net(), Kind: v.Ours.Kind.String(), Status: v.Ours.Status.String(), Txn: v.Ours.ID}
	}
	if v.HasTheirs {
		e.Fen -= v.Theirs.Net()
		e.Theirs = &Side{Amount: v.Theirs.Amount, Net: v.Theirs.Net(), Kind: v.Theirs.Kind.String(), Status: v.Theirs.Status.String(),
			File: v.Theirs.File, Line: v.Theirs.ID}
	}
	return e
}

func text(b []byte) string { return strings.TrimRight(string(b), " \x00") }

// Move is money that a decision moves from one party to another.
type Move struct {
	From string `json:"from"` // as fee.ParseParty reads it: merchant:104…, issuer:1, acquirer, centre, fund
	To   string `json:"to"`
	Fen  int64  `json:"fen"` // above 0
}

// Decision is one line of a day's decisions.
type Decision struct {
	Case  string `json:"case"`
	Act   string `json:"act"`   // hold, ignore, book, refund, adjust: for the report
	Ends  bool   `json:"ends"`  // its row waits for no partner any more
	Moves []Move `json:"moves"` // booked with the day; may be none
}

// Transfer is a Move with its parties read.
type Transfer struct {
	From, To fee.Party
	Fen      int64
}

// Transfers checks a decision and reads its moves.
func (d *Decision) Transfers() (all []Transfer, err error) {
	if d.Case == "" || d.Act == "" {
		return nil, errors.New("case 与 act 不可缺 · case and act are wanted")
	}
	for i, m := range d.Moves {
		from, err1 := fee.ParseParty(m.From)
		to, err2 := fee.ParseParty(m.To)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("moves[%d]: %w", i, err)
		}
		if m.Fen <= 0 || m.Fen > fee.MaxAmount || from == to {
			return nil, fmt.Errorf("moves[%d]: %d fen from %s to %s 不可 · cannot be", i, m.Fen, m.From, m.To)
		}
		all = append(all, Transfer{from, to, m.Fen})
	}
	return all, nil
}

// maxLine is the most bytes of a line.
const maxLine = 64 << 10

// EachDecision reads decisions. An error names file and line; keys that are not
// known are errors, since a mistyped one would move other money.
func EachDecision(name string, in io.Reader, f func(*Decision) error) error {
	return each(name, in, f)
}

// EachEvent reads events.
func EachEvent(name string, in io.Reader, f func(*Event) error) error { return each(name, in, f) }

func each[T any](name string, in io.Reader, f func(*T) error) error {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 4<<10), maxLine)
	n := 0
	for s.Scan() {
		n++
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var v T
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.DisallowUnknownFields()
		err := d.Decode(&v)
		if err == nil && len(bytes.TrimSpace(s.Bytes()[d.InputOffset():])) > 0 {
			err = fmt.Errorf("行尾有多余内容 · more behind the end, byte %d", d.InputOffset())
		}
		if err == nil {
			err = f(&v)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", name, n+1, err)
	}
	return nil
}
