package storefwd

import (
	"testing"

	"tongka/txn"
)

// held gives a queue with two debts of one card and one of another.
func held() (*Queue, *memStore) {
	store := newMemStore()
	q := New(store, []Policy{{}, {}}, 1)
	q.Owe(reversal(1, 5), Reversal, nil, 0, 0)
	q.Owe(reversal(2, 5), Reversal, nil, 0, 0)
	q.Owe(reversal(3, 6), Reversal, nil, 0, 0)
	store.commit()
	return q, store
}

func states(q *Queue) map[txn.ID]State {
	all := map[txn.ID]State{}
	for from := 0; from >= 0; {
		from = q.Some(from, 1, func(it Item) { all[it.ID] = it.State })
	}
	return all
}

// A held debt holds back its own card and nobody else's, whatever state it was in.
func TestHoldInEveryState(t *testing.T) {
	q, _ := held()
	if !q.Hold(2, Reversal, 0) || q.Hold(2, Reversal, 0) || q.Hold(9, Reversal, 0) || q.Held(0) != 1 {
		t.Fatal("a blocked one")
	}
	due(t, q, 0, 0, 1, 1)
	if !q.Hold(1, Reversal, 0) { // in flight
		t.Fatal("a flying one")
	}
	due(t, q, 0, 0, 3, 1)
	if got := states(q); got[1] != Held || got[2] != Blocked || got[3] != Flying {
		t.Fatalf("%v", got)
	}
	q.Settle(1, Reversal, 0) // the answer came after all
	if got := states(q); got[2] != Held || q.Held(0) != 1 {
		t.Fatalf("the next of the card: %v, held %d", got, q.Held(0))
	}
	if !q.Release(2, Reversal, 0, 7) || q.Held(0) != 0 || q.Release(2, Reversal, 0, 7) {
		t.Fatal("release")
	}
	due(t, q, 7, 0, 2, 1)
}

func TestHoldsAreOnDisk(t *testing.T) {
	q, store := held()
	q.Hold(1, Reversal, 0)
	if !q.Stop(1, true) || q.Stop(1, true) {
		t.Fatal("stop")
	}
	q.Hold(3, Reversal, 0)
	q.Release(3, Reversal, 0, 0)
	store.commit()
	again := New(store, []Policy{{}, {}}, 1)
	if err := again.Load(); err != nil {
		t.Fatal(err)
	}
	if got := states(again); got[1] != Held || got[2] != Blocked || got[3] != Waiting || !again.Stopped(1) || again.Stopped(0) {
		t.Errorf("%v", got)
	}
	again.Settle(1, Reversal, 0)
	again.Stop(1, false)
	store.commit()
	for k := range store.now {
		if k[0] == 'H' {
			t.Errorf("key %x is left", k)
		}
	}
	store.now["H\x00"] = nil
	if err := New(store, []Policy{{}}, 1).Load(); err == nil {
		t.Error("a key that is no hold")
	}
	delete(store.now, "H\x00")
	store.now["H\x00\x07"] = nil
	if err := New(store, []Policy{{}}, 1).Load(); err == nil {
		t.Error("a hold of a link that is not there")
	}
}

func TestDebtsAreReadBesideTheQueue(t *testing.T) {
	_, store := held()
	var d Debt
	if ok, err := ReadDebt(store.Lookup, 2, Reversal, 0, &d); !ok || err != nil || d.ID != 2 || d.Amount != 200 {
		t.Errorf("%v %v %+v", ok, err, d)
	}
	if ok, err := ReadDebt(store.Lookup, 2, Advice, 0, &d); ok || err != nil {
		t.Errorf("an advice: %v %v", ok, err)
	}
	n := 0
	if err := EachOnDisk(store.Each, func(to txn.LinkID, d *Debt) error { n += int(d.ID); return nil }); err != nil || n != 6 {
		t.Errorf("%v, %d", err, n)
	}
	store.now["O\x00\x00"] = nil
	if err := EachOnDisk(store.Each, func(txn.LinkID, *Debt) error { return nil }); err == nil {
		t.Error("a key that is no debt")
	}
}
