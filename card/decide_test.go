package card

import (
	"errors"
	"testing"

	"tongka/txn"
)

// What a card is told about an unload, at its next contact.
func TestSeeUnload(t *testing.T) {
	for _, c := range []struct {
		name    string
		seq     int
		balance int
		random  byte
		unload  bool // is what is asked for
		want    Meaning
		why     Reason
	}{
		{"it paid", 1, -100, 9, false, Proves, NoReason},
		{"it paid, and spent", 1, -150, 9, true, Odd, BalanceOdd},
		{"it did not", 0, 0, 9, false, Lapsed, NoReason},
		{"it did not, and the same again", 0, 0, 9, true, Lapsed, NoReason},
		{"the same random", 0, 0, 1, true, Replay, NoReason},
		{"counted and not paid", 1, 0, 9, false, Odd, BalanceOdd},
		{"richer", 1, 100, 9, false, Odd, BalanceOdd},
		{"behind", -1, 0, 9, false, Odd, CounterBehind},
	} {
		p := full()
		p.State, p.Kind, p.Amount, p.Balance = Left, txn.Unload, 100, 500
		d := Data{Seq: uint16(int(p.Seq) + c.seq), Balance: uint32(int(p.Balance) + c.balance), Random: [4]byte{c.random, 2, 3, 4}}
		w := Wish{Amount: p.Amount, PAN: p.PAN, Order: p.Order, Unload: c.unload}
		if got, why := p.See(&d, &w, false); got != c.want || why != c.why {
			t.Errorf("%s: %v %v, want %v %v", c.name, got, why, c.want, c.why)
		}
	}
	p := full()
	p.State = Left
	if got, why := p.See(&Data{Seq: p.Seq, Balance: p.Balance, Random: [4]byte{9}}, &Wish{Amount: p.Amount, PAN: p.PAN, Order: p.Order, Unload: true}, false); got != Odd || why != OtherAmount {
		t.Errorf("an unload in the place of a load: %v %v", got, why)
	}
	p.Kind, p.Balance, p.Amount = txn.Unload, 10, 20
	if p.After() != -10 {
		t.Errorf("after: %d", p.After())
	}
}

// After each decision the card that showed what it showed goes on, what it said
// before is a replay, and a card that was written behind a take-back is found out.
func TestDecide(t *testing.T) {
	for _, c := range []struct {
		do    Decision
		shown bool
		next  int // counter of the card's next contact, against the last load's
		want  Meaning
	}{
		{Complete, true, 3, Free}, {Complete, true, 2, Replay}, {Complete, true, 4, Free},
		{Complete, false, 1, Free}, {Complete, false, 0, Replay},
		{TakeBack, true, 3, Free}, {TakeBack, true, 4, Odd}, {TakeBack, true, 2, Replay},
		{TakeBack, false, 0, Free}, {TakeBack, false, 1, Odd},
		{WriteOff, true, 3, Free}, {WriteOff, false, 0, Free}, {WriteOff, false, 1, Free}, {WriteOff, false, -1, Replay},
	} {
		p := full()
		seq := int(p.Seq)
		var shows *Data
		if c.shown {
			shows = &Data{Seq: p.Seq + 3, Balance: 77}
		}
		p.Park(CounterAhead, shows)
		if got, _, err := ReadPurse(AppendPurse(nil, &p)); err != nil || got != p || got.Shown != c.shown || c.shown && got.ShownBalance != 77 {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := p.May(c.do); err != nil {
			t.Fatal(err)
		}
		p.Decide(c.do)
		if got, _ := p.See(&Data{Seq: uint16(seq + c.next), Random: [4]byte{9}}, &Wish{}, false); got != c.want {
			t.Errorf("%v, shown %v, next %d: %v, want %v", c.do, c.shown, c.next, got, c.want)
		}
	}
}

func TestMayDecide(t *testing.T) {
	p := full()
	p.State = Left
	if err := p.May(Complete); !errors.Is(err, ErrNotParked) {
		t.Error(err)
	}
	p.Park(WrittenAfterAll, nil)
	for do, want := range map[Decision]error{Complete: ErrGoneBack, TakeBack: ErrGoneBack, WriteOff: nil} {
		if err := p.May(do); !errors.Is(err, want) {
			t.Errorf("%v: %v", do, err)
		}
		got, ok := ParseDecision(do.String())
		if !ok || got != do {
			t.Errorf("%v reads as %v", do, got)
		}
	}
	p.Kind = txn.Unload // whose money never went anywhere
	if err := p.May(Complete); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "invalid", "undo"} {
		if _, ok := ParseDecision(bad); ok {
			t.Errorf("%q is a decision", bad)
		}
	}
}
