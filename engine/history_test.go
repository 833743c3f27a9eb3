package engine

import (
	"math/rand/v2"
	"testing"

	"tongka/journal"
	"tongka/registry"
	"tongka/txn"
)

// A reversal may name any batch, also one to come, and trace 0 is a trace like any
// other: neither makes what was seen before look new.
func TestStrangeReversalsMakeNothingNew(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	own := p.batch
	names := func(batch string, trace uint64) {
		p.batch = batch
		p.reverse(trace, 500)
		if c := p.code(); c != "25" {
			t.Fatalf("the reversal of an unknown sale of batch %s: F39 %s", batch, c)
		}
		p.batch = own
	}
	names("900000", 1)
	frame := p.sale(70, 1250, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	p.got()
	names("900001", 0)
	for i := range uint64(40) { // more than the ring holds, all below the first
		p.sale(1+i, 1250, false)
		w.bankAnswers(bank, w.bankGot(bank), "51")
		p.got()
	}
	w.shard.Frame(p.id, frame)
	w.pass(0)
	w.bankSilent(bank)
	if c := p.code(); c != "00" {
		t.Errorf("the repeat of an approved sale: F39 %s", c)
	}
}

// Whatever a terminal sends, in whatever order: what is surely new is not in its ring.
func TestSurelyNewIsNotInTheRing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	fresh, old := 0, 0
	for range 300 {
		h := &history{ring: make([]known, 1+rnd.IntN(8))}
		s := &Shard{firstLife: true}
		live := map[uint64]bool{}
		holds := func(_ uint32, fp uint64) bool { return live[fp] }
		for range 200 {
			sl := &slot{hist: h, sess: &registry.Session{Batch: uint32(rnd.IntN(3))}}
			sl.Batch, sl.Trace, sl.MTI = uint32(rnd.IntN(3)), uint32(rnd.IntN(30)), 0x0200
			fp := identity(&sl.Facts)
			_, has := h.get(fp)
			sure := s.surelyNew(sl)
			if sure && has {
				t.Fatalf("batch %d, trace %d is in the ring of %d, and said to be new", sl.Batch, sl.Trace, len(h.ring))
			}
			h.saw(&sl.Facts)
			var place uint32
			if sure {
				fresh++
				place = h.add(fp, liveRef(1), holds)
			} else {
				old++
				place = h.put(fp, liveRef(1), holds)
			}
			live[fp] = rnd.IntN(4) == 0
			if done := doneRef(journal.LSN(1+rnd.IntN(9)), txn.Approved); !live[fp] {
				h.ended(place, fp, done, holds)
				if r, ok := h.get(fp); !ok || r != done {
					t.Fatalf("what ended at place %d is found as %v, %v", place, r, ok)
				}
			}
			for i, k := range h.ring {
				for _, o := range h.ring[i+1:] {
					if k.fp == o.fp && k.fp != 0 {
						t.Fatal("a request is in the ring twice")
					}
				}
			}
		}
	}
	if fresh < 100 || old < 100 {
		t.Errorf("%d surely new, %d not", fresh, old)
	}
}

// What was pushed out of the ring meanwhile is put again, and nobody else's place
// is taken for its own.
func TestEndedAfterItWasPushedOut(t *testing.T) {
	h := &history{ring: make([]known, 2)}
	none := func(uint32, uint64) bool { return false }
	place := h.add(11, liveRef(1), none)
	h.add(12, liveRef(2), none)
	h.add(13, doneRef(3, txn.Approved), none) // in the place of 11
	h.ended(place, 11, doneRef(4, txn.Declined), none)
	if r, ok := h.get(13); !ok || r != doneRef(3, txn.Approved) {
		t.Errorf("13 is %v, %v", r, ok)
	}
	if r, ok := h.get(11); !ok || r != doneRef(4, txn.Declined) {
		t.Errorf("11 is %v, %v", r, ok)
	}
	h.ended(77, 14, doneRef(5, txn.Approved), none) // a place that there is not
	if _, ok := h.get(14); !ok {
		t.Error("14 is not known")
	}
}
