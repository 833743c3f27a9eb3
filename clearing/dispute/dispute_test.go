package dispute

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongka/audit"
	"tongka/clearing/casefile"
	"tongka/clearing/chain"
	"tongka/clearing/day"
	"tongka/clearing/fee"
)

var (
	ann = audit.Who{UID: 1, Via: "test"}
	bob = audit.Who{UID: 2, Via: "test"}
)

func desk(t *testing.T, dir string) *Desk {
	t.Helper()
	fees, err := fee.NewTable([]fee.Rule{{Name: "all", Payer: fee.Party{Role: fee.Merchant}, Remainder: fee.Party{Role: fee.Acquirer}, Tiers: []fee.Tier{{Price: fee.Price{Rate: 10_000}}}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDesk(Options{Dir: filepath.Join(dir, "cases"), Fees: fees})
	if err != nil {
		t.Fatal(err)
	}
	d.now = func() time.Time { return time.Unix(1_790_000_000, 0) }
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func lines(t *testing.T, events ...casefile.Event) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	for _, e := range events {
		if err := json.NewEncoder(&b).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	return &b
}

func short(n int, fen int64) casefile.Event {
	return casefile.Event{Case: fmt.Sprintf("20261001-o-%d", n), Event: casefile.Raised, Date: "20261001", Of: "20261001", Class: "ours-only", Merchant: "104110045110001",
		Fen: fen, Ours: &casefile.Side{Amount: fen, Net: fen, Kind: "sale", Status: "settled", Txn: uint64(n)}}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestCaseFromRunToBook(t *testing.T) {
	d := desk(t, t.TempDir())
	all := func() *bytes.Buffer { return lines(t, short(1, 10_000), short(2, 500), short(3, 200_000)) }
	if n := must[int](t)(d.TakeIn(20261001, "cases", all(), ann)); n != 3 {
		t.Fatalf("%d taken in", n)
	}
	if n := must[int](t)(d.TakeIn(20261001, "cases", all(), ann)); n != 0 {
		t.Errorf("%d taken in again", n)
	}
	for n, want := range map[int]struct {
		level string
		due   day.Date
	}{1: {"normal", 20261004}, 2: {"low", 20261008}, 3: {"high", 20261002}} {
		c := must[*Case](t)(d.Get(short(n, 0).Case))
		if c.State != Open || c.Severity != want.level || c.Due != want.due || c.Overdue(want.due) || !c.Overdue(want.due.Add(1)) {
			t.Errorf("%d: %+v", n, c)
		}
	}
	one := short(1, 0).Case
	number := must[uint64](t)(d.Propose([]Order{{Case: one, Act: Book, Why: "the bank's letter"}}, ann))
	if _, err := d.Confirm(number, ann); !errors.Is(err, ErrSamePerson) {
		t.Errorf("alone: %v", err)
	}
	if _, err := d.Propose([]Order{{Case: one, Act: Ignore, Why: "x"}}, bob); !errors.Is(err, ErrState) {
		t.Errorf("two proposals: %v", err)
	}
	cases := must[[]*Case](t)(d.Confirm(number, bob))
	if m := cases[0].Decision.Is.Moves; len(m) != 2 || m[0] != (casefile.Move{From: "issuer:0", To: "merchant:104110045110001", Fen: 9900}) || m[1] != (casefile.Move{From: "issuer:0", To: "acquirer", Fen: 100}) {
		t.Errorf("%+v", m)
	}
	if _, err := d.Confirm(number, bob); !errors.Is(err, ErrNoProposal) {
		t.Errorf("twice: %v", err)
	}
	var first, again bytes.Buffer
	if n := must[int](t)(d.Bind(20261002, &first, ann)); n != 1 {
		t.Errorf("%d bound", n)
	}
	must[int](t)(d.Bind(20261002, &again, ann))
	if first.String() != again.String() || !strings.Contains(first.String(), `"ends":true`) {
		t.Errorf("%s%s", first.String(), again.String())
	}
	if n := must[int](t)(d.Bind(20261003, &again, ann)); n != 0 {
		t.Error("it counts on two days")
	}
	if c := must[*Case](t)(d.Get(one)); c.State != Bound || c.For != 20261002 {
		t.Errorf("%+v", c)
	}
	must[int](t)(d.TakeIn(20261002, "cases", lines(t), ann))
	if c := must[*Case](t)(d.Get(one)); c.State != Booked || !c.State.Ended() {
		t.Errorf("%+v", c)
	}
	if _, err := d.Bind(20261002, &again, ann); err == nil {
		t.Error("bound to a closed day")
	}
	if rep := must[Report](t)(d.Verify()); rep.Cases != 3 || rep.Events != 7 {
		t.Errorf("%+v", rep)
	}
}

// Each order that cannot be says why, and one of a bulk keeps all of it out.
func TestProposalsAreRefused(t *testing.T) {
	d := desk(t, t.TempDir())
	must[int](t)(d.TakeIn(20261001, "cases", lines(t, short(1, 10_000), short(2, 500)), ann))
	one, two := short(1, 0).Case, short(2, 0).Case
	move := func(fen int64) []casefile.Move {
		return []casefile.Move{{From: "issuer:0", To: "acquirer", Fen: fen}}
	}
	for want, o := range map[string]Order{
		"no such case":        {Case: "x", Act: Ignore, Why: "w"},
		"no act":              {Case: one, Act: "pay", Why: "w"},
		"why":                 {Case: one, Act: Ignore, Why: " "},
		"ignore moves":        {Case: one, Act: Ignore, Why: "w", Fen: 1},
		"hold wants":          {Case: one, Act: Hold, Why: "w"},
		"adjust wants":        {Case: one, Act: Adjust, Why: "w"},
		"a day is for hold":   {Case: one, Act: Book, Why: "w", Until: 20261009},
		"more money":          {Case: one, Act: Book, Why: "w", Fen: 10_001},
		"more money than":     {Case: one, Act: Refund, Why: "w", Moves: move(10_001)},
		"cannot be":           {Case: one, Act: Adjust, Why: "w", Moves: move(-1)},
		"is no party":         {Case: one, Act: Adjust, Why: "w", Moves: []casefile.Move{{From: "me", To: "acquirer", Fen: 1}}},
		"出现两次 · it stands tw": {Case: two, Act: Ignore, Why: "w"},
	} {
		_, err := d.Propose([]Order{{Case: two, Act: Ignore, Why: "fine"}, o}, ann)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if c := must[*Case](t)(d.Get(two)); c.State != Open {
		t.Errorf("%+v", c)
	}
	number := must[uint64](t)(d.Propose([]Order{{Case: one, Act: Hold, Why: "ask them", Until: 20261010}, {Case: two, Act: Adjust, Why: "w", Moves: move(99_999)}}, ann))
	if err := d.Withdraw(number, "not so", bob); err != nil {
		t.Error(err)
	}
	if c := must[*Case](t)(d.Get(one)); c.State != Open || c.Proposal != nil {
		t.Errorf("%+v", c)
	}
	number = must[uint64](t)(d.Propose([]Order{{Case: one, Act: Hold, Why: "ask them", Until: 20261010}}, ann))
	must[[]*Case](t)(d.Confirm(number, bob))
	if c := must[*Case](t)(d.Get(one)); c.State != Held || c.Overdue(20261010) || !c.Overdue(20261011) {
		t.Errorf("%+v", c)
	}
	var none bytes.Buffer
	if n := must[int](t)(d.Bind(20261002, &none, ann)); n != 0 || none.Len() > 0 {
		t.Errorf("a hold is handed over: %s", none.String())
	}
	if n := must[uint64](t)(d.Propose([]Order{{Case: one, Act: Refund, Why: "w"}}, ann)); n == 0 {
		t.Error("a held case can be decided")
	}
	if c := must[*Case](t)(d.Get(one)); c.Proposal.Is.Moves[0] != (casefile.Move{From: "merchant:104110045110001", To: "issuer:0", Fen: 10_000}) {
		t.Errorf("%+v", c.Proposal.Is.Moves)
	}
}

// A partner that comes late ends a case, and what was decided and has not counted
// counts no more; a bulk goes on without it.
func TestLatePartner(t *testing.T) {
	d := desk(t, t.TempDir())
	must[int](t)(d.TakeIn(20261001, "cases", lines(t, short(1, 100), short(2, 100), short(3, 100)), ann))
	var orders []Order
	for n := 1; n <= 3; n++ {
		orders = append(orders, Order{Case: short(n, 0).Case, Act: Ignore, Why: "w"})
	}
	number := must[uint64](t)(d.Propose(orders, ann))
	gone := short(1, 0)
	gone.Event = casefile.Resolved
	gone2 := short(2, 0)
	gone2.Event = casefile.Resolved
	must[int](t)(d.TakeIn(20261002, "cases", lines(t, gone, gone2), ann))
	if got := must[[]*Case](t)(d.Confirm(number, bob)); len(got) != 1 || got[0].Case != orders[2].Case {
		t.Errorf("%+v", got)
	}
	gone.Case = orders[2].Case
	must[int](t)(d.TakeIn(20261003, "cases", lines(t, gone), ann))
	var out bytes.Buffer
	if n := must[int](t)(d.Bind(20261004, &out, ann)); n != 0 {
		t.Errorf("it counts all the same: %s", out.String())
	}
	must[Report](t)(d.Verify())
}

// A process that dies in the middle of taking in a day takes the rest in, and each
// case once. Evidence and cases by hand survive, and a kept case that is changed
// behind the history is found.
func TestCrashAndTamper(t *testing.T) {
	dir := t.TempDir()
	var events []casefile.Event
	for i := range 2500 {
		events = append(events, short(i+1, 100))
	}
	torn := lines(t, events...)
	torn.Truncate(torn.Len() * 9 / 10)
	t.Run("it dies", func(t *testing.T) {
		_, err := desk(t, dir).TakeIn(20261001, "cases.jsonl", torn, ann)
		if err == nil || !strings.Contains(err.Error(), "cases.jsonl:2") {
			t.Fatalf("%v", err)
		}
	})
	d := desk(t, dir)
	if n := must[int](t)(d.TakeIn(20261001, "cases", lines(t, events...), ann)); n != 500 {
		t.Errorf("%d were missing", n)
	}
	c := must[*Case](t)(d.Raise(casefile.Event{Class: "amount-differs", Fen: 7}, 20261002, "a customer called", bob))
	if err := d.Lay(c.Case, Evidence{Kind: "note", Text: "called again"}, ann); err != nil {
		t.Fatal(err)
	}
	if err := d.Lay("x", Evidence{}, ann); !errors.Is(err, ErrNoCase) {
		t.Error(err)
	}
	if c = must[*Case](t)(d.Get(c.Case)); c.Evidence != 1 || !c.ByHand || c.Note == "" {
		t.Errorf("%+v", c)
	}
	if rep := must[Report](t)(d.Verify()); rep.Cases != 2501 {
		t.Errorf("%+v", rep)
	}
	c.Fen = 8
	var ch chain.Change
	if err := errors.Join(ch.Put(caseKey(c.Case), c), d.s.Commit(&ch)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify(); !errors.Is(err, chain.ErrBroken) || !strings.Contains(err.Error(), c.Case) {
		t.Errorf("%v", err)
	}
}
