package storefwd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tongka/journal"
	"tongka/txn"
)

const second = int64(time.Second)

// memStore is a Store whose changes are seen after commit, as in a journal.
type memStore struct {
	now, open map[string][]byte // open: nil = deleted
	sick      error
}

func newMemStore() *memStore {
	return &memStore{now: map[string][]byte{}, open: map[string][]byte{}}
}

func (m *memStore) Put(key, plain []byte) { m.open[string(key)] = bytes.Clone(plain) }
func (m *memStore) Delete(key []byte)     { m.open[string(key)] = nil }

func (m *memStore) commit() {
	for k, v := range m.open {
		if v == nil {
			delete(m.now, k)
		} else {
			m.now[k] = v
		}
	}
	clear(m.open)
}

func (m *memStore) Each(prefix []byte, f func(key, plain []byte) error) error {
	var keys []string
	for k := range m.now {
		if strings.HasPrefix(k, string(prefix)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := f([]byte(k), m.now[k]); err != nil {
			return err
		}
	}
	return nil
}

func (m *memStore) Lookup(key, dst []byte) ([]byte, bool, error) {
	v, ok := m.now[string(key)]
	return append(dst, v...), ok && m.sick == nil, m.sick
}

// reversal is transaction id of a card; card 0 has no card number.
func reversal(id txn.ID, card int) *txn.Facts {
	f := &txn.Facts{ID: id, Kind: txn.Sale, Amount: int64(id) * 100, Result: txn.TimedOut}
	if card > 0 {
		pan, err := txn.ParsePAN(fmt.Appendf(nil, "622200%010d", card))
		if err != nil {
			panic(err)
		}
		f.PAN = pan
	}
	return f
}

func due(t *testing.T, q *Queue, now int64, to txn.LinkID, id txn.ID, attempt int) {
	t.Helper()
	var f Debt
	n, ok := q.Due(now, to, &f)
	if !ok || f.ID != id || n != attempt || f.Amount != int64(id)*100 {
		t.Fatalf("at %d: item %d attempt %d (%v), want item %d attempt %d", now, f.ID, n, ok, id, attempt)
	}
}

func notDue(t *testing.T, q *Queue, now int64, to txn.LinkID) {
	t.Helper()
	var f Debt
	if n, ok := q.Due(now, to, &f); ok {
		t.Fatalf("at %d: item %d attempt %d, want none", now, f.ID, n)
	}
}

func next(t *testing.T, q *Queue, now, want int64) {
	t.Helper()
	if at, ok := q.Next(now); !ok || at != want {
		t.Fatalf("next after %d: %d (%v), want %d", now, at, ok, want)
	}
}

// state finds an item as the console does.
func state(q *Queue, to txn.LinkID, id txn.ID) (found Item) {
	q.Each(to, func(it Item) bool {
		found = it
		return it.ID != id
	})
	if found.ID != id {
		return Item{}
	}
	return found
}

func TestOweOfferSettle(t *testing.T) {
	m := newMemStore()
	q := New(m, make([]Policy, 2), 1)
	f := reversal(7, 1)
	q.Owe(f, Reversal, nil, 1, 0)
	q.Owe(f, Reversal, nil, 1, 5) // again
	if len(m.open) != 1 || q.Len(1) != 1 || q.Len(0) != 0 || q.Total() != 1 {
		t.Fatalf("%d puts, %d owed", len(m.open), q.Total())
	}
	for k, v := range m.open {
		var got txn.Facts
		if _, err := journal.ReadFacts(v, &got); err != nil || got != *f || k != "O\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07" {
			t.Fatalf("%q: %v %+v", k, err, got)
		}
	}
	notDue(t, q, 0, 0)
	due(t, q, 0, 1, 7, 1) // in the same tick
	notDue(t, q, 0, 1)    // it is in flight
	m.commit()
	if q.Settle(7, Reversal, 0) || !q.Settle(7, Reversal, 1) || q.Settle(7, Reversal, 1) {
		t.Fatal("settled on the wrong link, or not, or twice")
	}
	m.commit()
	if len(m.now) != 0 || q.Total() != 0 {
		t.Fatalf("%d keys, %d owed are left", len(m.now), q.Total())
	}
	if at, ok := q.Next(9); ok {
		t.Fatalf("an empty queue wants to be asked at %d", at)
	}
}

// What never left is no repeat when it is offered again.
func TestUnsent(t *testing.T) {
	q := New(newMemStore(), []Policy{{Timeout: time.Second, BackoffMin: time.Second, BackoffMax: time.Second}}, 1)
	q.Owe(reversal(7, 0), Reversal, nil, 0, 0)
	due(t, q, 0, 0, 7, 1)
	q.Unsent(7, Reversal, 0)
	q.Unsent(7, Reversal, 0) // there is nothing below the first
	q.Unsent(7, Advice, 0)
	q.Unsent(8, Reversal, 0)
	notDue(t, q, 3*second, 0) // its time is over, and the next is not yet
	due(t, q, 10*second, 0, 7, 1)
	if it := state(q, 0, 7); it.Attempts != 1 {
		t.Errorf("%+v: an attempt that failed counts, sent or not", it)
	}
	notDue(t, q, 20*second, 0)
	due(t, q, 30*second, 0, 7, 2)
}

func TestWindowAndRound(t *testing.T) {
	q := New(newMemStore(), []Policy{{Window: 3, PerRound: 5}}, 1)
	for id := range txn.ID(20) {
		q.Owe(reversal(id+1, 0), Reversal, nil, 0, 0)
	}
	now := second
	for id := range txn.ID(3) {
		due(t, q, now, 0, id+1, 1)
	}
	notDue(t, q, now, 0) // the window is full
	next(t, q, now, now+30*second)
	q.Settle(1, Reversal, 0)
	q.Settle(2, Reversal, 0)
	q.Settle(3, Reversal, 0)
	next(t, q, now, now)
	due(t, q, now, 0, 4, 1)
	due(t, q, now, 0, 5, 1)
	q.Settle(4, Reversal, 0)
	notDue(t, q, now, 0) // the round is full
	next(t, q, now, now+second)
	notDue(t, q, now+second-1, 0)
	due(t, q, now+second, 0, 6, 1)
}

// A card's next item waits for its first, and for nobody else's.
func TestOrderOfACard(t *testing.T) {
	q := New(newMemStore(), []Policy{{MaxAttempts: 1, Timeout: time.Second}, {}}, 1)
	for id := range txn.ID(4) {
		q.Owe(reversal(id+1, 1), Reversal, nil, 0, 0)
	}
	q.Owe(reversal(5, 2), Reversal, nil, 0, 0)
	q.Owe(reversal(6, 1), Reversal, nil, 1, 0) // the same card at another bank
	due(t, q, 0, 0, 1, 1)
	due(t, q, 0, 0, 5, 1)
	due(t, q, 0, 1, 6, 1)
	notDue(t, q, 0, 0)
	if s := state(q, 0, 2).State; s != Blocked {
		t.Fatalf("item 2 is %v", s)
	}
	q.Settle(3, Reversal, 0) // from the middle
	q.Settle(1, Reversal, 0)
	due(t, q, 0, 0, 2, 1)
	notDue(t, q, 0, 0)
	q.Expire(second) // 2 and 5 are parked
	if q.Parked(0) != 2 {
		t.Fatalf("%d parked", q.Parked(0))
	}
	notDue(t, q, 3*second, 0) // 4 must not overtake 2
	q.Settle(2, Reversal, 0)
	due(t, q, 3*second, 0, 4, 1)
	q.Owe(reversal(8, 1), Reversal, nil, 0, 3*second)
	q.Settle(8, Reversal, 0) // the youngest goes
	q.Owe(reversal(9, 1), Reversal, nil, 0, 3*second)
	notDue(t, q, 3*second, 0)
	q.Settle(4, Reversal, 0)
	due(t, q, 3*second, 0, 9, 1)
	q.Settle(9, Reversal, 0)
	q.Owe(reversal(10, 1), Reversal, nil, 0, 3*second)
	due(t, q, 3*second, 0, 10, 1)
}

func TestBackoffAndPark(t *testing.T) {
	p := Policy{Timeout: 10 * time.Second, BackoffMin: time.Second, BackoffMax: 8 * time.Second, MaxAttempts: 6}
	m := newMemStore()
	q := New(m, []Policy{p}, 1)
	var told []Item
	q.OnPark(func(it Item, fault error) {
		if fault != nil {
			t.Error(fault)
		}
		told = append(told, it)
	})
	q.Owe(reversal(1, 1), Reversal, nil, 0, 0)
	m.commit()
	now := int64(0)
	for attempt := 1; attempt <= p.MaxAttempts; attempt++ {
		due(t, q, now, 0, 1, attempt)
		next(t, q, now, now+10*second)
		notDue(t, q, now+10*second-1, 0)
		now += 10 * second
		notDue(t, q, now, 0)
		at, ok := q.Next(now)
		if attempt == p.MaxAttempts {
			if ok {
				t.Fatalf("a parked item wants to be asked at %d", at)
			}
			break
		}
		nominal := min(8*second, second<<(attempt-1))
		if at < now+nominal/2 || at > now+nominal {
			t.Fatalf("after failure %d the pause is %d, want %d to %d", attempt, at-now, nominal/2, nominal)
		}
		notDue(t, q, at-1, 0)
		now = at
	}
	if it := state(q, 0, 1); it.State != Parked || it.Attempts != 6 || it.Offers != 6 {
		t.Fatalf("%+v", it)
	}
	q.Expire(now + second)
	if len(told) != 1 || told[0].ID != 1 || told[0].Attempts != 6 || told[0].State != Parked {
		t.Fatalf("told of %+v, want the one item, once", told)
	}
	if q.Parked(0) != 1 || q.Len(0) != 1 || len(m.now) != 1 {
		t.Fatal("the parked item is not counted or not kept")
	}
	if q.Release(2, Reversal, 0, now) || !q.Release(1, Reversal, 0, now) || q.Release(1, Reversal, 0, now) {
		t.Fatal("released the wrong one, or not, or twice")
	}
	due(t, q, now, 0, 1, 7)
	q.Expire(now + 10*second)
	if q.Parked(0) != 0 || state(q, 0, 1).Attempts != 1 {
		t.Fatal("released with no attempts left")
	}
	q.Settle(1, Reversal, 0) // while it waits: the answer came late
	if q.Total() != 0 {
		t.Fatal("still owed")
	}
}

func TestSettleParked(t *testing.T) {
	q := New(newMemStore(), []Policy{{MaxAttempts: 1}}, 1)
	q.Owe(reversal(1, 1), Reversal, nil, 0, 0)
	due(t, q, 0, 0, 1, 1)
	q.Expire(30 * second)
	if q.Parked(0) != 1 || !q.Settle(1, Reversal, 0) || q.Parked(0) != 0 || q.Len(0) != 0 {
		t.Fatal("a parked item cannot be settled")
	}
}

func TestLinkDown(t *testing.T) {
	q := New(newMemStore(), []Policy{{MaxAttempts: 2}}, 1)
	for id := range txn.ID(3) {
		q.Owe(reversal(id+1, 0), Reversal, nil, 0, 0)
	}
	if at, ok := q.Next(0); ok {
		t.Fatalf("a link that was never up is to be asked at %d", at)
	}
	for range 5 { // each time without a failure
		due(t, q, 0, 0, 1, state(q, 0, 1).Offers+1)
		due(t, q, 0, 0, 2, state(q, 0, 2).Offers+1)
		q.LinkDown(0)
		if at, ok := q.Next(0); ok {
			t.Fatalf("a link that is down is to be asked at %d", at)
		}
	}
	if it := state(q, 0, 1); it.Attempts != 0 || it.Offers != 5 || it.State != Waiting {
		t.Fatalf("%+v", it)
	}
	due(t, q, second, 0, 1, 6)
	due(t, q, second, 0, 2, 6)
	due(t, q, second, 0, 3, 1)
}

// More items than the newest facts in memory: the others are read back, and
// while their tick is open they wait.
func TestFactsReadBack(t *testing.T) {
	m := newMemStore()
	q := New(m, []Policy{{Window: 1000, PerRound: 10_000}}, 1)
	const n = hotSlots + 100
	for id := range txn.ID(n) {
		q.Owe(reversal(id+1, 0), Reversal, nil, 0, 0)
	}
	due(t, q, 0, 0, 101, 1) // 1..100 cannot be read yet
	m.commit()
	q.Settle(101, Reversal, 0)
	for id := txn.ID(102); id < 1000; id++ {
		due(t, q, 0, 0, id, 1)
		q.Settle(id, Reversal, 0)
	}
	for id := txn.ID(1); id <= 100; id++ {
		due(t, q, 4*second, 0, id+999, 1)
	}
	q.LinkDown(0)
	seen := map[txn.ID]bool{}
	var f Debt
	for now := second; len(seen) < q.Len(0); now += second {
		for _, ok := q.Due(now, 0, &f); ok; _, ok = q.Due(now, 0, &f) {
			if seen[f.ID] || f.Amount != int64(f.ID)*100 {
				t.Fatalf("item %d again or wrong", f.ID)
			}
			seen[f.ID] = true
		}
		if len(seen) == 1000 {
			break // the window
		}
	}
	if q.Fault() != nil {
		t.Fatal(q.Fault())
	}
}

func TestUnreadableIsParked(t *testing.T) {
	m := newMemStore()
	q := New(m, make([]Policy, 1), 1)
	q.Owe(reversal(1, 1), Reversal, nil, 0, 0)
	q.Owe(reversal(2, 2), Reversal, nil, 0, 0)
	m.commit()
	q = New(m, make([]Policy, 1), 1)
	if err := q.Load(); err != nil {
		t.Fatal(err)
	}
	m.sick = errors.New("sick")
	told := map[txn.ID]error{}
	q.OnPark(func(it Item, fault error) { told[it.ID] = fault })
	notDue(t, q, 0, 0)
	if len(told) != 2 || !errors.Is(told[2], m.sick) || !strings.Contains(told[2].Error(), "transaction 2") {
		t.Errorf("told of %v", told)
	}
	if q.Parked(0) != 2 || !errors.Is(q.Fault(), m.sick) || !strings.Contains(q.Fault().Error(), "transaction 1") {
		t.Fatalf("%d parked, %v", q.Parked(0), q.Fault())
	}
	m.sick = nil
	q.Release(2, Reversal, 0, 0)
	due(t, q, 0, 0, 2, 2)
}

func TestLoadErrors(t *testing.T) {
	good := journal.AppendFacts(nil, reversal(9, 1))
	key := func(link uint16, id uint64) string {
		return string(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16([]byte{'O'}, link), id))
	}
	for name, c := range map[string]struct {
		key  string
		val  []byte
		want string
	}{
		"key":         {"Oshort", good, "no owed item"},
		"link":        {key(2, 9), good, "link 2"},
		"value":       {key(1, 9), good[:50], "byte 50"},
		"empty value": {key(1, 9), nil, "byte 0"},
		"other id":    {key(1, 8), good, "transaction 9"},
	} {
		m := newMemStore()
		m.now[c.key] = c.val
		err := New(m, make([]Policy, 2), 1).Load()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), fmt.Sprintf("%x", c.key)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPolicy(t *testing.T) {
	if err := (&Policy{}).Validate(); err != nil {
		t.Error("the defaults:", err)
	}
	bad := Policy{Window: -1, PerRound: -1, Interval: -1, Timeout: -1, BackoffMin: 48 * time.Hour, BackoffMax: time.Second, MaxAttempts: 1 << 17}
	err := bad.Validate()
	for _, want := range []string{"window", "per-round", "interval", "timeout", "backoff-min 48h", "above", "max-attempts"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word on %s: %v", want, err)
		}
	}
	// However many failures, a pause stays within its bounds; and it differs.
	p := (&Policy{}).filled()
	seen := map[int64]bool{}
	for n := 1; n <= maxAttempts; n++ {
		d := p.pause(1, 2, n)
		if d < int64(p.BackoffMin)/2 || d > int64(p.BackoffMax) || n > 20 && d < int64(p.BackoffMax)/2 {
			t.Fatalf("pause %d is %d", n, d)
		}
		seen[d] = true
	}
	if len(seen) < 1000 {
		t.Errorf("%d different pauses", len(seen))
	}
	again := (&Policy{}).filled()
	if d := p.pause(1, 2, 3); d != again.pause(1, 2, 3) || d == p.pause(1, 3, 3) || d == p.pause(2, 2, 3) {
		t.Error("a pause must depend on seed, item and failure, and on nothing else")
	}
	if s := State(9).String() + Parked.String(); s != "invalidparked" {
		t.Error(s)
	}
}

// nullStore takes everything and holds nothing.
type nullStore struct{}

func (nullStore) Put(_, _ []byte)                                  {}
func (nullStore) Delete(_ []byte)                                  {}
func (nullStore) Each([]byte, func(key, plain []byte) error) error { return nil }
func (nullStore) Lookup(_, dst []byte) ([]byte, bool, error)       { return dst, false, nil }

// A bank that is away for a day must not cost the house its memory: a million
// items have to fit into 200 MB.
func TestMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	q := New(nullStore{}, make([]Policy, 1), 1)
	f := reversal(1, 1)
	const n = 250_000
	for id := range txn.ID(n) {
		f.ID = id + 1
		pan, err := txn.ParsePAN(fmt.Appendf(nil, "622200%010d", id))
		if err != nil {
			t.Fatal(err)
		}
		f.PAN = pan
		q.Owe(f, Reversal, nil, 0, int64(id))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := after.HeapAlloc - before.HeapAlloc
	t.Logf("%d bytes an item", used/n)
	if q.Len(0) != n || used/n > 200 {
		t.Errorf("%d items hold %d bytes", q.Len(0), used)
	}
}

func TestNoAllocations(t *testing.T) {
	q := New(nullStore{}, make([]Policy, 1), 1)
	var got Debt
	f := reversal(1, 1)
	now := int64(0)
	cycle := func() {
		now += second
		f.ID++
		q.Owe(f, Reversal, nil, 0, now)
		if _, ok := q.Due(now, 0, &got); !ok || got.ID != f.ID {
			t.Error("not due")
		}
		q.Next(now)
		q.Settle(f.ID, Reversal, 0)
	}
	cycle()
	if n := testing.AllocsPerRun(1000, cycle); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOweDueSettle(b *testing.B) {
	q := New(nullStore{}, make([]Policy, 1), 1)
	var got Debt
	f := reversal(1, 1)
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += second
		f.ID++
		q.Owe(f, Reversal, nil, 0, now)
		q.Due(now, 0, &got)
		q.Settle(f.ID, Reversal, 0)
	}
}

// An advice brings its body back, at once and after a restart; it and the
// reversal of the same transaction are two debts, told before it is taken back.
func TestAdviceAndItsReversal(t *testing.T) {
	m := newMemStore()
	q := New(m, make([]Policy, 1), 1)
	f := reversal(7, 1)
	body := []byte("what the facts do not hold")
	q.Owe(f, Advice, body, 0, 10)
	body[0] = '!' // it was copied
	q.Owe(f, Reversal, nil, 0, 10)
	q.Owe(reversal(3, 1), Reversal, nil, 0, 11) // an older transaction of the same card, owed later
	m.commit()
	for _, restarted := range []bool{false, true} {
		if restarted {
			q = New(m, make([]Policy, 1), 1)
			if err := q.Load(); err != nil {
				t.Fatal(err)
			}
		}
		var d Debt
		n, ok := q.Due(20, 0, &d)
		if !ok || d.ID != 7 || d.Form != Advice || string(d.Body) != "what the facts do not hold" || d.Facts != *f {
			t.Fatalf("restarted %v: %v %+v", restarted, ok, d)
		}
		if want := map[bool]int{false: 1, true: 2}[restarted]; n != want {
			t.Fatalf("restarted %v: attempt %d, want %d", restarted, n, want)
		}
		notDue(t, q, 20, 0)
	}
	if !q.Settle(7, Advice, 0) || q.Settle(7, Advice, 0) {
		t.Fatal("the advice is not settled, or twice")
	}
	var d Debt
	if _, ok := q.Due(20, 0, &d); !ok || d.ID != 7 || d.Form != Reversal || len(d.Body) != 0 {
		t.Fatalf("the reversal: %v %+v", ok, d)
	}
	if !q.Settle(7, Reversal, 0) || q.Total() != 1 {
		t.Fatal("the older transaction's is not the one that is left")
	}
	if _, ok := q.Due(20, 0, &d); !ok || d.ID != 3 {
		t.Fatalf("owed last: %v %+v", ok, d)
	}
}

// Debts of one card that were made in one turn, or while the clock went back,
// come back in their order, whatever their numbers: an offer may have left before
// the crash.
func TestOrderWithinATurnOutlivesARestart(t *testing.T) {
	store := newMemStore()
	q := New(store, []Policy{{}}, 1)
	order := []txn.ID{9, 3, 7, 1, 8}
	for i, now := range []int64{100, 100, 100, 40, 41} {
		q.Owe(reversal(order[i], 5), Reversal, nil, 0, now)
	}
	store.commit()
	for life := range 3 {
		q = New(store, []Policy{{}}, 1)
		if err := q.Load(); err != nil {
			t.Fatal(err)
		}
		if life == 1 { // a younger one is made behind them, though the clock is far behind
			q.Owe(reversal(2, 5), Reversal, nil, 0, 1)
			store.commit()
			order = append(order, 2)
		}
	}
	for _, want := range order {
		due(t, q, 200, 0, want, 2)
		q.Settle(want, Reversal, 0)
	}
}
