package query

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/flow"
	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

const invented = "6225880000000000123"

var key = [32]byte{7}

var day = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func facts(id txn.ID, result txn.Result) txn.Facts {
	pan, err := txn.ParsePAN([]byte(invented))
	if err != nil {
		panic(err)
	}
	f := txn.Facts{ID: id, At: day.Add(time.Duration(id) * time.Second).UnixNano(), Sent: day.Unix(), Amount: 100 * int64(id), PAN: pan,
		Kind: txn.Sale, Result: result, MTI: 0x0200, Trace: uint32(id), Batch: 3, Line: 2}
	copy(f.Terminal.Number[:], "10000001")
	copy(f.Terminal.Merchant[:], "898100000000001")
	if result == txn.Approved {
		f.Code = txn.OK
	}
	return f
}

// book is a journal that a test writes.
type book struct {
	t   *testing.T
	fs  *vfs.MemFS
	log *journal.Log
}

func options(fs vfs.FS) journal.Options {
	return journal.Options{Dir: "j", FS: fs, Key: key, NoWarm: true, InlineIndex: true}
}

func newBook(t *testing.T) *book {
	b := &book{t: t, fs: vfs.NewMem()}
	var err error
	if b.log, err = journal.Open(options(b.fs)); err != nil {
		t.Fatal(err)
	}
	b.log.Put([]byte("link/00000"), []byte("bank-a"))
	return b
}

func (b *book) turn(at int64, kind journal.Kind, f txn.Facts, body []byte) {
	b.t.Helper()
	b.log.Append(&journal.Record{Kind: kind, Facts: f, Body: body})
	b.log.Stamp(at)
	if err := errors.Join(b.log.Commit(), b.log.Sync()); err != nil {
		b.t.Fatal(err)
	}
}

// sale writes a whole sale that ended as result, 20 ms after it arrived.
func (b *book) sale(id txn.ID, result txn.Result) txn.Facts {
	b.t.Helper()
	f := facts(id, txn.Open)
	b.turn(f.At+1e6, journal.Intent, f, nil)
	if result != txn.Open {
		f = facts(id, result)
		b.turn(f.At+20e6, journal.Outcome, f, []byte("answer"))
	}
	return f
}

func (b *book) event(id txn.ID, what journal.OwingEvent) {
	b.t.Helper()
	b.turn(day.Add(time.Hour).UnixNano(), journal.Owing, txn.Facts{ID: id},
		journal.AppendDebtChange(nil, &journal.DebtChange{What: what, Offers: 3, Code: txn.OK}))
}

// desk closes the journal and opens it for reading.
func (b *book) desk() *Desk {
	b.t.Helper()
	if err := b.log.Close(); err != nil {
		b.t.Fatal(err)
	}
	kept, err := journal.OpenReadOnly(options(b.fs))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			b.t.Error(err)
		}
	})
	d, err := NewDesk(kept.Reader, 1)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func find(t *testing.T, d *Desk, q Query) (rows []Row) {
	t.Helper()
	if err := d.Find(context.Background(), &q, func(r *Row) error { rows = append(rows, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestFind(t *testing.T) {
	b := newBook(t)
	for id := txn.ID(1); id <= 40; id++ {
		b.sale(id, txn.Approved)
	}
	b.sale(41, txn.Declined)
	b.sale(42, txn.Open)
	d := b.desk()
	one := find(t, d, Query{Trace: new(uint32(7))})
	if len(one) != 1 || one[0].ID != 7 || one[0].Link != "bank-a" || one[0].Line != 2 || one[0].Micros != 20_000 || one[0].Card != "622588*********0123" {
		t.Fatalf("%+v", one)
	}
	for _, c := range []struct {
		name string
		q    Query
		want int
	}{
		{"all", Query{}, 42}, {"limit", Query{Limit: 3}, 3}, {"card", Query{Card: invented}, 42}, {"another card", Query{Card: "6225880000000000131"}, 0},
		{"token", Query{Card: one[0].Token}, 42}, {"terminal", Query{Terminal: "10000001"}, 42}, {"another", Query{Terminal: "1"}, 0},
		{"merchant", Query{Merchant: "898100000000001"}, 42}, {"result", Query{Result: "declined"}, 1}, {"open", Query{Result: "open"}, 1},
		{"kind", Query{Kind: "refund"}, 0}, {"rrn", Query{RRN: one[0].RRN}, 1}, {"code", Query{Code: "00"}, 40}, {"batch", Query{Batch: new(uint32(4))}, 0},
		{"from", Query{From: day.Add(40 * time.Second)}, 3}, {"to", Query{To: day.Add(3 * time.Second)}, 2},
	} {
		if got := find(t, d, c.q); len(got) != c.want {
			t.Errorf("%s: %d rows, want %d", c.name, len(got), c.want)
		}
	}
	if got := find(t, d, Query{Unmask: true, Limit: 1}); got[0].Card != invented {
		t.Errorf("unmasked: %s", got[0].Card)
	}
	for _, q := range []Query{{Kind: "x"}, {Result: "x"}, {RRN: "12"}, {RRN: "-00000000001"}, {Card: invented + "00"}, {Card: "card-12"}, {Code: "1"}} {
		err := d.Find(context.Background(), &q, func(*Row) error { return nil })
		if !errors.Is(err, errQuery) || strings.Contains(err.Error(), invented) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

func TestShowTellsTheWholeStory(t *testing.T) {
	b := newBook(t)
	b.sale(1, txn.Approved)
	b.sale(2, txn.TimedOut)
	back := facts(3, txn.Approved)
	back.Kind, back.Of, back.Orig, back.MTI, back.Sent = txn.Reversal, txn.Sale, 1, 0x0400, 0
	b.turn(back.At, journal.Outcome, back, []byte("answer"))
	b.event(2, journal.DebtParked)
	b.event(2, journal.DebtDelivered)
	d := b.desk()
	st, err := d.Show(context.Background(), 1, "", false)
	if err != nil || st.State != "reversed" || len(st.Later) != 1 || st.Later[0].ID != 3 {
		t.Fatalf("%v %+v", err, st)
	}
	byRRN, err := d.Show(context.Background(), 0, find(t, d, Query{Trace: new(uint32(2))})[0].RRN, false)
	if err != nil || byRRN.Row.ID != 2 {
		t.Fatalf("%v %+v", err, byRRN)
	}
	var what []string
	for _, s := range byRRN.Steps {
		what = append(what, s.What)
	}
	if got := strings.Join(what, " "); got != "arrived decided intent line outcome replied owed parked delivered" {
		t.Errorf("the steps: %s", got)
	}
	if s := byRRN.Steps[4]; s.After != 20_000 || !strings.HasSuffix(s.At, ".020000+08:00") {
		t.Errorf("%+v", s)
	}
	// The intent was on disk, and had left, before the turn of the outcome; the reply
	// before that of the next record, of another transaction. The last knows no next.
	intent, line, replied, last := byRRN.Steps[2], byRRN.Steps[3], byRRN.Steps[5], byRRN.Steps[len(byRRN.Steps)-1]
	if intent.After != 1000 || intent.By != 20_000 || line.After != 1000 || line.By != 20_000 || replied.By <= replied.After || last.By != 0 {
		t.Errorf("%+v", byRRN.Steps)
	}
	if s := st.Steps[4]; s.What != "answered" || s.After != 20_000 {
		t.Errorf("%+v", st.Steps)
	}
	if _, err := d.Show(context.Background(), 99, "", false); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("an unknown one: %v", err)
	}
	if _, err := d.Show(context.Background(), 0, "325000000099", false); !errors.Is(err, journal.ErrNotFound) {
		t.Errorf("an unknown RRN: %v", err)
	}
}

func TestVerify(t *testing.T) {
	good := func(b *book) {
		b.sale(1, txn.Approved)
		f := b.sale(2, txn.TimedOut)
		storefwd.New(b.log, []storefwd.Policy{{}}, 1).Owe(&f, storefwd.Reversal, nil, 0, 1)
		b.sale(3, txn.TimedOut)
		b.event(3, journal.DebtDelivered)
		b.sale(4, txn.Open)
	}
	for _, c := range []struct {
		name, fault string
		spoil       func(*book)
	}{
		{"good", "", func(*book) {}},
		{"two outcomes", "two outcomes", func(b *book) { b.turn(1, journal.Outcome, facts(1, txn.Approved), nil) }},
		{"two intents", "a second intent of 4", func(b *book) { b.turn(1, journal.Intent, facts(4, txn.Open), nil) }},
		{"another amount", "does not fit", func(b *book) { f := facts(4, txn.Approved); f.Amount++; b.turn(1, journal.Outcome, f, nil) }},
		{"forgotten reversal", "neither delivered nor owed to bank-a", func(b *book) { b.sale(5, txn.TimedOut) }},
		{"debt of nobody", "debt 77", func(b *book) {
			f := facts(77, txn.TimedOut)
			storefwd.New(b.log, []storefwd.Policy{{}}, 1).Owe(&f, storefwd.Reversal, nil, 0, 1)
			b.sale(6, txn.Approved)
		}},
		{"chain", "a damaged chain", func(b *book) { b.log.Put([]byte("chain/12345678"), []byte{1}); b.sale(6, txn.Approved) }},
		{"owing", "a damaged owing", func(b *book) { b.turn(1, journal.Owing, txn.Facts{ID: 1}, []byte{1}) }},
		{"kind", "unknown kind", func(b *book) { b.turn(1, 99, txn.Facts{ID: 1}, nil) }},
	} {
		b := newBook(t)
		good(b)
		c.spoil(b)
		rep, err := b.desk().Verify(context.Background(), nil)
		if err != nil {
			t.Fatal(c.name, err)
		}
		text := ""
		for _, f := range rep.Faults {
			text += f.Place + ": " + f.En + "\n"
		}
		if rep.OK != (c.fault == "") || !strings.Contains(text, c.fault) || rep.Total > 1 {
			t.Errorf("%s: %+v", c.name, rep)
		}
		if c.fault == "" && (rep.Open != 1 || rep.Debts != 1 || !rep.Index || rep.Indexed != 3) {
			t.Errorf("%s: %+v", c.name, rep)
		}
	}
}

// A running switch settles debts while it is verified: neither one that was
// delivered behind the pages that were read is missed, nor one that was forgotten there.
func TestVerifyBesideARunningSwitch(t *testing.T) {
	b := newBook(t)
	q := storefwd.New(b.log, []storefwd.Policy{{}}, 1)
	f := b.sale(1, txn.TimedOut)
	q.Owe(&f, storefwd.Reversal, nil, 0, 1)
	f = b.sale(2, txn.TimedOut)
	q.Owe(&f, storefwd.Reversal, nil, 0, 1)
	b.sale(3, txn.Approved)
	d, err := NewDesk(b.log.NewReader(), 1)
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(d, nil)
	if err := v.pages(context.Background()); err != nil {
		t.Fatal(err)
	}
	q.Settle(1, storefwd.Reversal, 0)
	b.event(1, journal.DebtDelivered)
	q.Settle(2, storefwd.Reversal, 0) // as a fault would: nothing says what became of it
	b.sale(4, txn.Approved)
	if err := v.owed(context.Background()); err != nil {
		t.Fatal(err)
	}
	if v.rep.Total != 1 || v.rep.Faults[0].Place != "transaction 2" {
		t.Errorf("%+v", v.rep)
	}
	if err := b.log.Close(); err != nil {
		t.Fatal(err)
	}
}

// What a debt or a chain names may have been written behind the pages that were read.
func TestVerifyKnowsWhatIsWrittenMeanwhile(t *testing.T) {
	b := newBook(t)
	q := storefwd.New(b.log, []storefwd.Policy{{}}, 1)
	b.sale(1, txn.Approved)
	d, err := NewDesk(b.log.NewReader(), 1)
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(d, nil)
	if err := v.pages(context.Background()); err != nil {
		t.Fatal(err)
	}
	f := b.sale(5000, txn.TimedOut)
	q.Owe(&f, storefwd.Reversal, nil, 0, 1)
	f.ID = 6000 // nobody's
	q.Owe(&f, storefwd.Reversal, nil, 0, 1)
	b.log.Put(binary.BigEndian.AppendUint64([]byte("chain/"), 5000), flow.AppendChain(nil, &flow.Chain{Closed: 7000}))
	b.sale(2, txn.Approved)
	if err := v.owed(context.Background()); err != nil {
		t.Fatal(err)
	}
	if v.rep.Debts != 2 || v.rep.Chains != 1 || v.rep.Total != 2 ||
		v.rep.Faults[0].Place != "debt 6000 to bank-a" || !strings.Contains(v.rep.Faults[1].En, "transaction 7000") {
		t.Errorf("%+v", v.rep)
	}
	if err := b.log.Close(); err != nil {
		t.Fatal(err)
	}
}

// Somebody who waits hears how far it is, without faults that would come twice.
func TestVerifyTellsHowFarItIs(t *testing.T) {
	b := newBook(t)
	b.turn(1, 99, txn.Facts{ID: 1}, nil) // a fault
	for id := range txn.ID(stepsAtOnce) {
		b.sale(id+2, txn.Approved)
	}
	var told []Report
	v := newVerifier(b.desk(), func(r *Report) { told = append(told, *r) })
	v.told = time.Time{} // a second ago, at least
	if err := v.pages(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 || told[0].Done || told[0].Records < stepsAtOnce/2 || told[0].Records >= v.rep.Records || told[0].Total != 1 || len(told[0].Faults) != 0 {
		t.Errorf("%+v", told)
	}
}

func TestNumbers(t *testing.T) {
	n, ids := numbers{}, []txn.ID{0, 1, 63, 64, 4095, 4096, 1 << 40, 1<<64 - 1}
	for i, id := range ids {
		if n.has(id) {
			t.Errorf("%d is in before it was added", id)
		}
		n.add(id)
		for j, other := range ids {
			if n.has(other) != (j <= i) {
				t.Errorf("after %d: %d is %v", id, other, n.has(other))
			}
		}
	}
	if n.has(2) || n.has(4097) || len(n) != 4 {
		t.Errorf("%d blocks", len(n))
	}
}

// Under another key nothing can be read, and each place is named.
func TestVerifyNamesWhatCannotBeUnsealed(t *testing.T) {
	b := newBook(t)
	b.log.Put([]byte("x"), nil)
	b.sale(1, txn.Approved)
	if err := b.log.Close(); err != nil {
		t.Fatal(err)
	}
	o := options(b.fs)
	o.Key = [32]byte{8}
	kept, err := journal.OpenReadOnly(o)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	if _, err := NewDesk(kept.Reader, 1); !errors.Is(err, journal.ErrKey) {
		t.Errorf("a desk under the wrong key: %v", err)
	}
}

func TestReadingStopsWithItsContext(t *testing.T) {
	b := newBook(t)
	for id := txn.ID(1); id <= 2*stepsAtOnce; id++ {
		b.sale(id, txn.Approved)
	}
	d := b.desk()
	d.pace = newPace(0.25)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Find(ctx, &Query{}, func(*Row) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := d.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestShowOfAStampBeforeTheArrival: a turn whose stamp was read before the arrival of
// what it brought, by another clock, is part of the story all the same.
func TestShowOfAStampBeforeTheArrival(t *testing.T) {
	b := newBook(t)
	f := facts(1, txn.Approved)
	b.turn(f.At-2000, journal.Outcome, f, []byte("answer"))
	d := b.desk()
	st, err := d.Show(context.Background(), 1, "", false)
	if err != nil || len(st.Steps) == 0 || st.Steps[0].What != "arrived" {
		t.Errorf("%v %+v", err, st)
	}
	if n := len(find(t, d, Query{From: time.Unix(0, f.At), Trace: new(uint32(1))})); n != 1 {
		t.Errorf("found %d times", n)
	}
}
