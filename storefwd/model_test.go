package storefwd

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"tongka/journal"
	"tongka/txn"
)

// model says the same as the queue, slowly: one entry per debt.
type model struct {
	t     *testing.T
	seed  uint64
	items map[key]*debt
}

type key struct {
	link txn.LinkID
	id   txn.ID
}

type debt struct {
	card   int
	until  int64 // in flight until then, 0 = not in flight
	offers int
}

const (
	modelLinks   = 3
	modelTimeout = 5 * second
	modelWindow  = 4
)

func modelPolicies() []Policy {
	p := Policy{Window: modelWindow, PerRound: 7, Timeout: 5 * time.Second, MaxAttempts: 4,
		BackoffMin: 500 * time.Millisecond, BackoffMax: 3 * time.Second}
	return []Policy{p, p, p}
}

func (m *model) flying(to txn.LinkID) (n int) {
	for k, d := range m.items {
		if k.link == to && d.until > 0 {
			n++
		}
	}
	return n
}

func (m *model) owed(to txn.LinkID) (n int) {
	for k := range m.items {
		if k.link == to {
			n++
		}
	}
	return n
}

func (m *model) pass(now int64) {
	for _, d := range m.items {
		if d.until > 0 && d.until <= now {
			d.until = 0
		}
	}
}

// offered checks one offer against everything that is promised of it.
func (m *model) offered(now int64, to txn.LinkID, id txn.ID, attempt int) {
	m.t.Helper()
	d := m.items[key{to, id}]
	if d == nil {
		m.t.Fatalf("seed %d: item %d is not owed to link %d", m.seed, id, to)
	}
	if d.until > 0 {
		m.t.Fatalf("seed %d: item %d is offered twice at a time", m.seed, id)
	}
	if d.offers++; d.offers != attempt {
		m.t.Fatalf("seed %d: item %d: attempt %d, want %d", m.seed, id, attempt, d.offers)
	}
	for k, older := range m.items {
		if k.link == to && d.card > 0 && older.card == d.card && k.id < id {
			m.t.Fatalf("seed %d: item %d overtakes %d of the same card", m.seed, id, k.id)
		}
	}
	d.until = now + modelTimeout
	if n := m.flying(to); n > modelWindow {
		m.t.Fatalf("seed %d: %d in flight on link %d", m.seed, n, to)
	}
}

// Random histories: nothing is lost, nothing is in flight twice, a card keeps
// its order, the window holds, and Next neither sleeps too long nor spins.
func TestModel(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 31))
		store := newMemStore()
		q := New(store, modelPolicies(), seed)
		m := &model{t: t, seed: seed, items: map[key]*debt{}}
		now, id := second, txn.ID(0)
		var f Debt
		for range 400 {
			to := txn.LinkID(rng.IntN(modelLinks))
			switch rng.IntN(8) {
			case 0, 1:
				id++
				card := rng.IntN(5)
				q.Owe(reversal(id, card), Reversal, nil, to, now)
				m.items[key{to, id}] = &debt{card: card}
			case 2, 3:
				m.pass(now)
				if n, ok := q.Due(now, to, &f); ok {
					m.offered(now, to, f.ID, n)
				}
			case 4:
				some := txn.ID(rng.Uint64N(uint64(id) + 1))
				if q.Settle(some, Reversal, to) != (m.items[key{to, some}] != nil) {
					t.Fatalf("seed %d: Settle(%d, %d) is wrong", seed, some, to)
				}
				delete(m.items, key{to, some})
			case 5:
				if rng.IntN(8) == 0 {
					q.LinkDown(to)
					for k, d := range m.items {
						if k.link == to {
							d.until = 0
						}
					}
				}
			case 6:
				now += rng.Int64N(second)
				q.Expire(now)
				m.pass(now)
			case 7:
				store.commit()
			}
			for to := range txn.LinkID(modelLinks) {
				if q.Len(to) != m.owed(to) || len(q.links[to].flying) != m.flying(to) {
					t.Fatalf("seed %d: link %d: %d owed, %d in flight; want %d, %d", seed, to,
						q.Len(to), len(q.links[to].flying), m.owed(to), m.flying(to))
				}
			}
		}
		store.commit()
		drain(t, q, m, now)
	}
}

// drain answers every offer, led by Next alone, until only parked items and
// what they hold back are left.
func drain(t *testing.T, q *Queue, m *model, now int64) {
	t.Helper()
	var f Debt
	for steps := 0; ; steps++ {
		did := false
		for to := range txn.LinkID(modelLinks) {
			for n, ok := q.Due(now, to, &f); ok; n, ok = q.Due(now, to, &f) {
				m.pass(now)
				m.offered(now, to, f.ID, n)
				q.Settle(f.ID, Reversal, to)
				delete(m.items, key{to, f.ID})
				did = true
			}
		}
		at, ok := q.Next(now)
		if !ok {
			break
		}
		if at == now && !did || steps > 10_000 {
			t.Fatalf("seed %d: Next spins at %d", m.seed, now)
		}
		now = at
	}
	for to := range txn.LinkID(modelLinks) {
		held := 0
		q.Each(to, func(it Item) bool {
			if it.State == Waiting || it.State == Flying {
				t.Fatalf("seed %d: item %d is forgotten: %v", m.seed, it.ID, it.State)
			}
			if it.State == Blocked {
				held++
			}
			return true
		})
		if q.Len(to) != m.owed(to) || held > 0 && q.Parked(to) == 0 {
			t.Fatalf("seed %d: link %d: %d owed, want %d", m.seed, to, q.Len(to), m.owed(to))
		}
	}
}

// crashFS copies the disk within the next sync of the log, before it is done.
type crashFS struct {
	vfs.FS
	under *vfs.MemFS
	arm   atomic.Pointer[func()]
}

func newCrashFS(under *vfs.MemFS) *crashFS {
	c := &crashFS{under: under}
	c.FS = errorfs.Wrap(under, errorfs.InjectorFunc(func(op errorfs.Op) error {
		isSync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		if isSync && strings.HasSuffix(op.Path, ".wal") {
			if f := c.arm.Swap(nil); f != nil {
				(*f)()
			}
		}
		return nil
	}))
	return c
}

func openJournal(t *testing.T, fs vfs.FS) *journal.Log {
	t.Helper()
	l, err := journal.Open(journal.Options{Dir: "j", FS: fs, Key: [32]byte{1}, NoWarm: true, MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// house is a switch reduced to its debts: each tick owes some, offers some, and
// settles what the bank confirmed, with a record for each.
type house struct {
	t    *testing.T
	rng  *rand.Rand
	log  *journal.Log
	q    *Queue
	id   txn.ID
	now  int64
	bank map[txn.ID]int // reversals that the bank booked

	answers []txn.ID // on their way from the bank; a crash loses them
}

func (h *house) start(fs vfs.FS) {
	h.log = openJournal(h.t, fs)
	h.q = New(h.log, modelPolicies(), 1)
	if err := h.q.Load(); err != nil {
		h.t.Fatal(err)
	}
}

// tick gives the offers that may leave once the tick is durable.
func (h *house) tick() (offers []txn.ID) {
	for range h.rng.IntN(4) {
		h.id++
		f := reversal(h.id, h.rng.IntN(6))
		h.log.Append(&journal.Record{Kind: journal.Outcome, Facts: *f})
		h.q.Owe(f, Reversal, nil, 0, h.now)
	}
	for _, id := range h.answers {
		if h.q.Settle(id, Reversal, 0) { // a second answer has no effect
			h.log.Append(&journal.Record{Kind: journal.Outcome, Facts: txn.Facts{ID: id, Result: txn.Reversed}})
		}
	}
	h.answers = h.answers[:0]
	var f Debt
	for n, ok := h.q.Due(h.now, 0, &f); ok; n, ok = h.q.Due(h.now, 0, &f) {
		if h.bank[f.ID] > 0 && n == 1 {
			h.t.Fatalf("item %d reached the bank and is offered as new", f.ID)
		}
		offers = append(offers, f.ID)
	}
	return offers
}

// send lets the offers leave; most are answered.
func (h *house) send(offers []txn.ID) {
	for _, id := range offers {
		h.bank[id]++
		if h.rng.IntN(3) > 0 {
			h.answers = append(h.answers, id)
		}
	}
}

// owedBy derives the debts from the records alone.
func (h *house) owedBy(log *journal.Log) map[txn.ID]bool {
	owed := map[txn.ID]bool{}
	err := log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		switch r.Facts.Result {
		case txn.TimedOut:
			owed[r.Facts.ID] = true
		case txn.Reversed:
			delete(owed, r.Facts.ID)
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return owed
}

// Crashes within a sync, whatever share of the unsynced bytes survives: the
// queue after the restart owes exactly what the records say, and in the end the
// bank has booked all of it.
func TestCrashAndReload(t *testing.T) {
	for seed := range uint64(15) {
		rng := rand.New(rand.NewPCG(seed, 41))
		under := vfs.NewCrashableMem()
		h := &house{t: t, rng: rng, now: second, bank: map[txn.ID]int{}}
		fs := newCrashFS(under)
		h.start(fs)
		for life := range 6 {
			for range 1 + rng.IntN(12) {
				h.now += rng.Int64N(2 * second)
				offers := h.tick()
				if err := errors.Join(h.log.Commit(), h.log.Sync()); err != nil {
					t.Fatal(err)
				}
				h.send(offers)
			}
			var copied *vfs.MemFS
			crash := func() {
				copied = under.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			}
			fs.arm.Store(&crash)
			h.log.Put([]byte("the tick that the crash hits"), nil)
			h.tick() // its offers never leave
			if err := errors.Join(h.log.Commit(), h.log.Sync(), h.log.Close()); err != nil {
				t.Fatal(err)
			}
			h.answers = nil
			under = copied
			fs = newCrashFS(under)
			h.start(fs)
			owed := h.owedBy(h.log)
			if h.q.Total() != len(owed) {
				t.Fatalf("seed %d life %d: %d owed, the records say %d", seed, life, h.q.Total(), len(owed))
			}
			h.q.Each(0, func(it Item) bool {
				if !owed[it.ID] || it.Offers != 1 {
					t.Fatalf("seed %d life %d: %+v", seed, life, it)
				}
				return true
			})
		}
		h.finish(seed)
	}
}

func (h *house) finish(seed uint64) {
	h.t.Helper()
	var f Debt
	for h.q.Total() > 0 {
		for _, ok := h.q.Due(h.now, 0, &f); ok; _, ok = h.q.Due(h.now, 0, &f) {
			h.bank[f.ID]++
			h.q.Settle(f.ID, Reversal, 0)
		}
		at, ok := h.q.Next(h.now)
		if !ok {
			break
		}
		h.now = at
	}
	err := h.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if r.Facts.Result == txn.TimedOut && h.bank[r.Facts.ID] == 0 {
			h.t.Errorf("seed %d: transaction %d was never reversed", seed, r.Facts.ID)
		}
		return nil
	})
	if err = errors.Join(err, h.log.Commit(), h.log.Sync(), h.log.Close()); err != nil {
		h.t.Fatal(err)
	}
}
