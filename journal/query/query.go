// Package query answers people's questions about a journal: which transactions
// there were, the whole story of one, and whether all of it holds. It reads
// through a journal.Reader, beside a running switch or in a folder at rest, and
// shows card numbers masked unless it is told otherwise.
//
// Nothing is indexed for these questions, so that they cost the path of a sale
// nothing: a search reads the turns of the time that is asked for and compares.
package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tongka/journal"
	"tongka/translate"
	"tongka/txn"
)

// Query says which transactions are wanted. An empty field wants all. It is also
// the form in which a client sends it.
type Query struct {
	From     time.Time `json:"from"` // arrival, from … up to and without to
	To       time.Time `json:"to"`
	Terminal string    `json:"terminal,omitempty"` // F41
	Merchant string    `json:"merchant,omitempty"` // F42
	Card     string    `json:"card,omitempty"`     // a card number, or its token of 16 hexadecimal digits
	RRN      string    `json:"rrn,omitempty"`      // F37 towards the bank
	Trace    *uint32   `json:"trace,omitempty"`    // the terminal's F11
	Batch    *uint32   `json:"batch,omitempty"`    // F60.2
	Kind     string    `json:"kind,omitempty"`
	Result   string    `json:"result,omitempty"` // open too
	Code     string    `json:"code,omitempty"`   // F39
	Limit    int       `json:"limit,omitempty"`  // rows at most, 0 is no limit
	Unmask   bool      `json:"unmask,omitempty"`
}

// Row is one transaction as it ended, or one that is open.
type Row struct {
	ID       uint64 `json:"id,string"`
	RRN      string `json:"rrn"`
	At       string `json:"at"` // arrival
	Merchant string `json:"merchant"`
	Terminal string `json:"terminal"`
	Card     string `json:"card,omitempty"`       // masked
	Token    string `json:"card_token,omitempty"` // the same for the same card
	Kind     string `json:"kind"`
	Of       string `json:"of,omitempty"` // of a reversal
	Orig     uint64 `json:"orig,omitempty,string"`
	Trace    uint32 `json:"trace"`
	Batch    uint32 `json:"batch"`
	STAN     uint32 `json:"stan"` // towards the bank
	Amount   int64  `json:"amount_fen"`
	Currency string `json:"currency,omitempty"`
	Code     string `json:"code"`
	Result   string `json:"result"`
	Auth     string `json:"auth,omitempty"`
	Link     string `json:"link,omitempty"`
	Line     uint8  `json:"line,omitempty"`
	Micros   int64  `json:"micros,omitempty"` // from arrival to outcome
}

// Desk is where questions are asked. It belongs to one goroutine.
type Desk struct {
	read *journal.Reader
	card journal.Namer
	pace *pace
	name map[txn.LinkID]string
	when translate.Clock
}

// NewDesk makes a desk. share is the part of a processor's time, up to 1, that
// reading may take: a running switch wants the rest.
func NewDesk(read *journal.Reader, share float64) (*Desk, error) {
	card, err := read.Namer()
	if err != nil {
		return nil, err
	}
	d := &Desk{read: read, card: card, pace: newPace(share), name: map[txn.LinkID]string{}}
	err = read.Each([]byte("link/"), func(key, plain []byte) error {
		var n int
		if _, err := fmt.Sscanf(string(key), "link/%05d", &n); err != nil {
			return fmt.Errorf("key %q names no link: %w", key, err)
		}
		d.name[txn.LinkID(n)] = string(plain)
		return nil
	})
	return d, err
}

// filter is a Query that has been read.
type filter struct {
	from, to int64
	terminal string
	merchant string
	pan      *txn.PAN
	token    string
	rrn      uint64
	kind     txn.Kind
	result   string
	q        *Query
}

var errQuery = errors.New("查询条件有误 · not a query")

// read checks a query; the error names what is wrong.
func (q *Query) read() (f filter, err error) {
	f = filter{from: q.From.UnixNano(), to: 1<<63 - 1, terminal: q.Terminal, merchant: q.Merchant, result: q.Result, q: q}
	if q.From.IsZero() {
		f.from = 0
	}
	if !q.To.IsZero() {
		f.to = q.To.UnixNano()
	}
	bad := func(what, value string) { err = errors.Join(err, fmt.Errorf("%w: %s %q", errQuery, what, value)) }
	if q.Kind != "" {
		var ok bool
		if f.kind, ok = txn.ParseKind(q.Kind); !ok {
			bad("kind", q.Kind)
		}
	}
	if q.Result != "" && !known(q.Result) {
		bad("result", q.Result)
	}
	if !q.To.IsZero() && !q.To.After(q.From) {
		bad("to", q.To.Format(time.RFC3339)+" ≤ "+q.From.Format(time.RFC3339))
	}
	if len(q.Terminal) > len(txn.Terminal{}.Number) {
		bad("terminal", q.Terminal)
	}
	if len(q.Merchant) > len(txn.Terminal{}.Merchant) {
		bad("merchant", q.Merchant)
	}
	if len(q.Code) != 0 && len(q.Code) != 2 {
		bad("code", q.Code)
	}
	if q.RRN != "" {
		if _, serr := fmt.Sscanf(q.RRN, "%d", &f.rrn); serr != nil || len(q.RRN) != 12 || strings.Trim(q.RRN, "0123456789") != "" {
			bad("rrn", q.RRN)
		}
	}
	switch pan, perr := txn.ParsePAN([]byte(q.Card)); {
	case q.Card == "":
	case strings.HasPrefix(q.Card, tokenMark) && len(q.Card) == len(tokenMark)+16:
		f.token = q.Card
	case perr != nil:
		bad("card", "***") // whatever it is, it is no text for a log
	default:
		f.pan = &pan
	}
	return f, err
}

// tokenMark begins a card token: sixteen hexadecimal digits may all be decimal,
// and would then look like a card number.
const tokenMark = "card-"

func known(result string) bool {
	for r := txn.Open; r.String() != "invalid"; r++ {
		if r.String() == result {
			return true
		}
	}
	return false
}

func (d *Desk) token(p *txn.PAN) string {
	if p.Len() == 0 {
		return ""
	}
	return tokenMark + d.card.Card(p)
}

// wants compares one transaction.
func (d *Desk) wants(f *filter, x *txn.Facts) bool {
	q := f.q
	return x.At >= f.from && x.At < f.to &&
		(f.terminal == "" || text(x.Terminal.Number[:]) == f.terminal) &&
		(f.merchant == "" || text(x.Terminal.Merchant[:]) == f.merchant) &&
		(q.Trace == nil || x.Trace == *q.Trace) && (q.Batch == nil || x.Batch == *q.Batch) &&
		(q.Kind == "" || x.Kind == f.kind) && (f.result == "" || x.Result.String() == f.result) &&
		(q.Code == "" || x.Code.String() == q.Code) &&
		(f.pan == nil || x.PAN == *f.pan) &&
		(f.rrn == 0 || d.when.RRN(x) == f.rrn) &&
		(f.token == "" || d.token(&x.PAN) == f.token)
}

func text(b []byte) string { return strings.Trim(string(b), " \x00") }

// row shows one transaction. turn is when it ended, 0 when it has not.
func (d *Desk) row(x *txn.Facts, turn int64, unmask bool) Row {
	r := Row{ID: uint64(x.ID), RRN: fmt.Sprintf("%012d", d.when.RRN(x)), At: clock(x.At),
		Merchant: text(x.Terminal.Merchant[:]), Terminal: text(x.Terminal.Number[:]),
		Token: d.token(&x.PAN), Kind: x.Kind.String(), Orig: uint64(x.Orig), Trace: x.Trace, Batch: x.Batch, STAN: x.ID.STAN(),
		Amount: x.Amount, Currency: text(x.Currency[:]), Code: x.Code.String(), Result: x.Result.String(), Auth: text(x.Auth[:])}
	if x.PAN.Len() > 0 {
		r.Card = x.PAN.String()
		if unmask {
			r.Card = string(x.PAN.AppendDigits(nil))
		}
	}
	if x.Kind == txn.Reversal {
		r.Of = x.Of.String()
	}
	if x.Sent != 0 {
		r.Link, r.Line = d.link(x.Link), x.Line
	}
	if turn != 0 {
		r.Micros = (turn - x.At) / int64(time.Microsecond)
	}
	return r
}

func (d *Desk) link(id txn.LinkID) string {
	if name, ok := d.name[id]; ok {
		return name
	}
	return fmt.Sprintf("#%d", id)
}

// clock writes a moment in China's time, to the microsecond.
func clock(ns int64) string {
	if ns == 0 {
		return ""
	}
	return time.Unix(0, ns).In(translate.Zone).Format("2006-01-02T15:04:05.000000Z07:00")
}

// slack is how long after its arrival a transaction may end: the longest time that
// a bank may be given, and a restart.
const slack = int64(30 * time.Minute)

// early is how much before the arrival of what it brought a turn may be stamped:
// older journals have stamps that were read before the arrival was.
const early = int64(time.Second)

var errEnough = errors.New("enough")

// Find gives the transactions that a query wants in the order in which they ended;
// those that have not ended come last. f's error ends it. The rows say how they
// ended: what was done to them since, Show tells.
func (d *Desk) Find(ctx context.Context, q *Query, f func(*Row) error) error {
	want, err := q.read()
	if err != nil {
		return err
	}
	n := 0
	give := func(x *txn.Facts, turn int64) error {
		if !d.wants(&want, x) {
			return nil
		}
		if n++; q.Limit > 0 && n > q.Limit {
			return errEnough
		}
		r := d.row(x, turn, q.Unmask)
		return f(&r)
	}
	open := map[txn.ID]txn.Facts{}
	err = d.scan(ctx, want.from, want.to, func(_ journal.LSN, r *journal.Record) error {
		switch r.Kind {
		case journal.Intent:
			open[r.Facts.ID] = r.Facts
		case journal.Outcome:
			delete(open, r.Facts.ID)
			return give(&r.Facts, r.Turn)
		}
		return nil
	})
	for _, id := range sorted(open) {
		if x := open[id]; err == nil {
			err = give(&x, 0)
		}
	}
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

// scan gives the records of transactions that arrived in a span of time, and of
// others near it.
func (d *Desk) scan(ctx context.Context, from, to int64, f func(journal.LSN, *journal.Record) error) error {
	tick, err := d.read.TickAt(from - early)
	if err != nil {
		return err
	}
	end := to + slack
	if end < to {
		end = to
	}
	err = d.read.Pages(tick, func(p *journal.Page) error {
		if _, err := d.pace.step(ctx); err != nil {
			return err
		}
		if p.Turn > end {
			return errEnough
		}
		return p.Records(f)
	}, nil)
	if errors.Is(err, errEnough) && ctx.Err() == nil {
		return nil
	}
	return err
}
