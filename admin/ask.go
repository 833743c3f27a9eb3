package admin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"tongka/audit"
)

// Topics that a running switch can be asked about, by POST /api/ask/{topic} with
// a JSON body. The answer is a line of JSON for each thing, and a last line that
// says that all of it came.
const (
	JournalFind   = "journal-find"   // query.Query → query.Row …
	JournalShow   = "journal-show"   // Story → query.Story
	JournalVerify = "journal-verify" // → query.Report: how far it is, once a second, then the whole one
	JournalKeys   = "journal-keys"   // → journal.KeyUse …
	DebtList      = "saf-list"       // DebtQuery → Debt …
	DebtShow      = "saf-show"       // DebtQuery → Debt …
	DebtOrdered   = "saf-order"      // DebtOrder → Answer
	DebtConfirm   = "saf-confirm"    // DebtOrder with a Proposal → Answer
	FaultList     = "faults"         // → console.FaultRow …
	FrameList     = "frames"         // → console.FrameRow …
	DebtProposals = "saf-proposals"  // → Proposal[DebtOrder] …
	CardsParked   = "cards-parked"   // CardQuery → ParkedCard …
	CardsDecide   = "cards-decide"   // CardOrder → Answer
	CardsConfirm  = "cards-confirm"  // CardOrder with a Proposal → Answer
	CardsWaiting  = "cards-waiting"  // → Proposal[CardOrder] …
	OfflineNote   = "offline-note"   // OfflineImport, which is audited → nothing
	DayClock      = "day-clock"      // → Clock
	DeskNote      = "desk-note"      // Note, which is audited → nothing
)

// Sealed is a question whose answer shows card numbers: Proof is journal.Proof of
// Query, and shows that who asks can read the journal's key file.
type Sealed struct {
	Query json.RawMessage `json:"query"`
	Proof []byte          `json:"proof,omitempty"`
}

// StoryQuery names a transaction by its number or its RRN.
type StoryQuery struct {
	ID     uint64 `json:"id,omitempty"`
	RRN    string `json:"rrn,omitempty"`
	Unmask bool   `json:"unmask,omitempty"`
}

// DebtQuery says which debts are wanted.
type DebtQuery struct {
	Link  string `json:"link,omitempty"`
	State string `json:"state,omitempty"`
	ID    uint64 `json:"id,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Debt is one thing owed to a bank.
type Debt struct {
	ID       uint64 `json:"id,string"`
	Form     string `json:"form"`
	Link     string `json:"link"`
	State    string `json:"state"`
	Held     bool   `json:"held,omitempty"`
	Offers   int    `json:"offers"`
	Attempts int    `json:"attempts"`
	At       string `json:"at,omitempty"`
	Kind     string `json:"kind,omitempty"`
	Card     string `json:"card,omitempty"` // masked
	Amount   int64  `json:"amount_fen"`
	Terminal string `json:"terminal,omitempty"`
	Merchant string `json:"merchant,omitempty"`
	Arrived  string `json:"arrived,omitempty"` // the request of the terminal
}

// DebtOrder is what an operator wants done: hold, release or settle, of one debt
// or with ID 0 of all deliveries to a link.
type DebtOrder struct {
	Do       string `json:"do,omitempty"`
	Link     string `json:"link,omitempty"`
	ID       uint64 `json:"id,omitempty"`
	Form     string `json:"form,omitempty"`
	Why      string `json:"why,omitempty"`
	Proposal int    `json:"proposal,omitempty"` // that is confirmed
}

// CardQuery says which parked cards are wanted: one by its load, or all.
type CardQuery struct {
	Load  uint64 `json:"load,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// ParkedCard is an e-purse card that a person has to decide about.
type ParkedCard struct {
	Load    uint64 `json:"load,string"` // number of the transaction in question
	Kind    string `json:"kind"`
	Card    string `json:"card"` // masked
	Family  string `json:"family"`
	Reason  string `json:"reason"`
	Zh      string `json:"zh"` // of the reason
	En      string `json:"en"`
	Amount  int64  `json:"amount_fen"`
	Account string `json:"account,omitempty"` // masked
	Order   string `json:"order,omitempty"`
	Link    string `json:"link,omitempty"`
	At      string `json:"at"` // when the last MAC2 left
	Balance int64  `json:"balance_fen"`
	Counter int    `json:"counter"` // before
	Failed  bool   `json:"failed,omitempty"`
	Shown   bool   `json:"shown,omitempty"` // what the card showed then
	Showed  int64  `json:"shown_balance_fen,omitempty"`
	ShowedN int    `json:"shown_counter,omitempty"`
	May     string `json:"may"` // decisions that are possible
}

// CardOrder is a decision about the card of a load: complete, take-back or write-off.
type CardOrder struct {
	Do       string `json:"do,omitempty"`
	Load     uint64 `json:"load,omitempty"`
	Why      string `json:"why,omitempty"`
	Proposal int    `json:"proposal,omitempty"` // that is confirmed
}

// Proposal is an order that waits for a second person.
type Proposal[Order any] struct {
	Number  int       `json:"number"`
	Order   Order     `json:"order"`
	By      audit.Who `json:"by"`
	Expires string    `json:"expires"`
}

const (
	maxQuestion = 8 << 10
	maxAnswered = 1 << 20 // bytes of one line of an answer
)

// last is the line that ends an answer.
type last struct {
	End   bool   `json:"end"`
	Error string `json:"error,omitempty"`
}

// ask serves the questions.
func ask(sw Switch, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		reply(w, http.StatusRequestEntityTooLarge, Failed("请求过长", "the question is too long", err))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson; charset=utf-8")
	out := bufio.NewWriter(w)
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	who, _ := r.Context().Value(whoKey{}).(audit.Who)
	end := last{End: true}
	line := e.Encode
	if r.PathValue("topic") == JournalVerify { // its lines say how far it is, now
		line = func(v any) error { return errors.Join(e.Encode(v), out.Flush(), http.NewResponseController(w).Flush()) }
	}
	if err := sw.Ask(r.Context(), who, r.PathValue("topic"), body, line); err != nil {
		end = last{Error: err.Error()}
	}
	_ = errors.Join(e.Encode(end), out.Flush()) // the client may be gone
}

// As has every request of this client carry a token: who two persons are is then
// told by it.
func (c *Client) As(token string) { c.token = token }

// Ask asks about a topic; f gets each line of the answer. The error is f's, or
// says why the answer is none or not whole.
func (c *Client) Ask(ctx context.Context, topic string, question any, f func(line []byte) error) error {
	b, err := json.Marshal(question)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/api/ask/"+topic, bytes.NewReader(b))
	if err != nil {
		return err
	}
	res, err := c.do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		return refusal(c.path, res.Status, b)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxAnswered)
	for lines.Scan() {
		var end last
		switch err := json.Unmarshal(lines.Bytes(), &end); {
		case err != nil:
			return fmt.Errorf("%s: %w", c.path, err)
		case end.Error != "":
			return errors.New(end.Error)
		case end.End:
			return nil
		}
		if err := f(lines.Bytes()); err != nil {
			return err
		}
	}
	return errors.Join(fmt.Errorf("%s: 应答不完整 · the answer is not whole", c.path), lines.Err())
}
