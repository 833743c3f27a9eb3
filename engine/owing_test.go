package engine

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"tongka/journal"
	"tongka/storefwd"
	"tongka/txn"
)

// debtor gives one debt that the first bank does not confirm, and its numbers.
func debtor(t *testing.T) (w *world, id txn.ID) {
	t.Helper()
	w = newWorld(t)
	bank := w.bankUp(0)
	p := w.terminal()
	p.sale(7, 1250, false)
	w.bankGot(bank)
	w.pass(11 * time.Second)
	if c := p.code(); c != "98" {
		t.Fatalf("F39 %s", c)
	}
	w.bankGot(bank) // the reversal
	w.shard.owed.Each(0, func(it storefwd.Item) bool { id = it.ID; return false })
	return w, id
}

// events are what the journal tells of debts.
func (w *world) events() (all []journal.OwingEvent) {
	w.t.Helper()
	err := w.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if r.Kind == journal.Owing {
			c, err := journal.ReadDebtChange(r.Body)
			if err != nil {
				return err
			}
			all = append(all, c.What)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestRecordsSayWhenAndByWhichLine(t *testing.T) {
	w, id := debtor(t)
	var turns []int64
	var line uint8
	err := w.log.Replay(0, func(_ journal.LSN, r *journal.Record) error {
		if r.Facts.ID == id {
			turns = append(turns, r.Turn-r.Facts.At)
			line = r.Facts.Line
		}
		return nil
	})
	if err != nil || len(turns) != 2 || turns[0] != 0 || turns[1] < int64(10*time.Second) || line != 1 {
		t.Errorf("%v: turns %v after the arrival, line %d", err, turns, line)
	}
}

func TestAHeldDebtWaitsForAnOperatorOverRestarts(t *testing.T) {
	w, id := debtor(t)
	hold := &Operate{Do: HoldDebt, ID: id, Link: "bank-a"}
	if err := w.do(hold); err != nil || hold.Item.State != storefwd.Flying {
		t.Fatalf("%v, it was %v", err, hold.Item.State)
	}
	if err := w.do(hold); !errors.Is(err, ErrAlready) {
		t.Errorf("held twice: %v", err)
	}
	bank := w.bankUp(0)
	w.pass(time.Minute / 2)
	w.bankSilent(bank)
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank = w.bankUp(0)
	w.pass(time.Minute / 2)
	w.bankSilent(bank)
	if err := w.do(&Operate{Do: ReleaseDebt, ID: id, Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	q := w.bankGot(bank)
	if q.MTI() != 0x0421 {
		t.Fatalf("after the release: %v", q.MTI())
	}
	w.bankAnswers(bank, q, "00")
	w.pass(0)
	want := []journal.OwingEvent{journal.DebtHeld, journal.DebtReleased, journal.DebtDelivered}
	if got := w.events(); !slices.Equal(got, want) || w.shard.owed.Total() != 0 {
		t.Errorf("the journal tells %v, owed %d", got, w.shard.owed.Total())
	}
}

func TestAStoppedLinkOffersNothing(t *testing.T) {
	w, id := debtor(t)
	if err := w.do(&Operate{Do: HoldDebt, Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	w.open(w.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{}))
	bank := w.bankUp(0)
	w.pass(time.Minute / 2)
	w.bankSilent(bank)
	if p := w.shard.Snapshot(); !p.Links[0].Stopped || p.Links[1].Stopped || p.Owed != 1 {
		t.Errorf("shown: %+v", p.Links[0])
	}
	if err := w.do(&Operate{Do: ReleaseDebt, Link: "bank-a"}); err != nil {
		t.Fatal(err)
	}
	if q := w.bankGot(bank); q.MTI() != 0x0421 {
		t.Fatalf("after the release: %v", q.MTI())
	}
	if err := w.do(&Operate{Do: SettleDebt, ID: id, Link: "bank-a"}); err != nil || w.shard.owed.Total() != 0 {
		t.Errorf("settled: %v, owed %d", err, w.shard.owed.Total())
	}
	for _, c := range []*Operate{{Do: SettleDebt, ID: id, Link: "bank-a"}, {Do: HoldDebt, ID: 99, Link: "bank-b"}, {Do: SettleDebt, Link: "bank-a"}} {
		if err := w.do(c); !errors.Is(err, ErrNoDebt) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := w.do(&Operate{Do: HoldDebt, Link: "bank-x"}); !errors.Is(err, ErrNoLink) {
		t.Errorf("no such link: %v", err)
	}
}

func TestDebtsAreShownInParts(t *testing.T) {
	w, id := debtor(t)
	d := &Debts{}
	if err := w.do(d); err != nil || d.Next != -1 || len(d.Items) != 1 || d.Items[0].ID != id {
		t.Errorf("%v: %+v", err, d)
	}
}
