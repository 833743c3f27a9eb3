package engine

import (
	"testing"
	"time"

	"tongka/txn"
)

// On a crowded disk nothing new begins; what makes good goes on; and room again
// is all that is needed.
func TestCrowdedDiskRefusesWhatIsNew(t *testing.T) {
	w := newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	q := w.bankGot(bank)
	if err := w.do(Crowded{Code: txn.SystemFault}); err != nil {
		t.Fatal(err)
	}
	w.bankAnswers(bank, q, "00") // what is in flight ends
	if c := p.code(); c != "00" {
		t.Errorf("the sale in flight: %s", c)
	}
	p.sale(8, 100, false)
	if c := p.code(); c != "96" {
		t.Errorf("a new sale: %s", c)
	}
	w.bankSilent(bank)
	p.reverse(7, 1250)
	if c := p.code(); c != "00" {
		t.Errorf("a reversal: %s", c)
	}
	if r := w.bankGot(bank); r.MTI() != 0x0420 {
		t.Errorf("what is owed: %v", r.MTI())
	}
	w.pass(time.Second)
	if s := w.shard.Snapshot(); !s.NoSpace || s.Counters.NoSpace != 1 {
		t.Errorf("shown: %v, %d refused", s.NoSpace, s.Counters.NoSpace)
	}
	if err := w.do(Crowded{}); err != nil {
		t.Fatal(err)
	}
	p.sale(9, 100, false)
	w.bankAnswers(bank, w.bankGot(bank), "00")
	if c := p.code(); c != "00" {
		t.Errorf("with room again: %s", c)
	}
}
