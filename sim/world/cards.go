package world

import (
	"encoding/binary"
	"fmt"
	"time"

	"tongka/card"
	"tongka/codec/iso8583"
	"tongka/engine"
	"tongka/hsm"
	simcard "tongka/sim/card"
	"tongka/txn"
)

// purse is an e-purse card that people carry from till to till, with an account of
// its own that pays for it: so what a bank holds of that account is what was paid
// for this card.
type purse struct {
	*simcard.Card
	account  string
	wish     uint64 // fen that were asked for and not heard of; people ask for the same again
	credited uint64 // fen that loads have written
	busy     bool   // at a till
}

const (
	usualPurses = 8
	// leastLoad and what is drawn beside it, fen: small, so that many fit on a card.
	leastLoad, mostLoad = 1000, 5000
	lastVisits          = 3 // of each card at the end: the first closes what is open, the others prove it
	lastVisitID         = uint64(1) << 40
	loadProc            = "600000"
)

var (
	loadMaster = mustHex("12351235123512351235123512351235")
	tacMaster  = mustHex("33453345334533453345334533453345")
	kioskNo    = [6]byte{0x31, 0x20, 5: 1}
)

// issuePurses makes the cards, and tells the switch of their keys.
func (w *world) issuePurses() error {
	n := max(w.o.Cards, usualPurses)
	w.engineCards = &engine.Cards{Ceiling: 1 << 31, Single: 1 << 20, Keys: hsm.CardKeys{}, Levels: [3]uint8{0, 1, 1}}
	for _, family := range []hsm.Family{hsm.CityCard, hsm.TUnion} {
		for _, k := range []struct {
			tac    bool
			master []byte
		}{{false, loadMaster}, {true, tacMaster}} {
			key, err := w.module.Wrap(hsm.MKAC, k.master)
			if err != nil {
				return err
			}
			w.engineCards.Keys[hsm.CardKeyID{Family: family, TAC: k.tac, Index: 1, Version: 1}] = key
		}
	}
	for i := range n {
		c := simcard.Card{Family: card.CityCard + card.Family(i%2), City: [2]byte{0x31, 0x20}, Balance: 500}
		binary.BigEndian.PutUint32(c.Serial[6:], uint32(i+1))
		chip, err := simcard.Issue(c, simcard.Masters{Load: loadMaster, TAC: tacMaster, Levels: 1})
		if err != nil {
			return err
		}
		w.purses = append(w.purses, &purse{Card: chip, account: accountOf(i)})
	}
	return nil
}

// accountOf is a card number with its check digit; every other one is of the first
// bank.
func accountOf(i int) string {
	for check := range 10 {
		digits := fmt.Sprintf("%d2%013d%d", 6-i/2%2, i+1, check)
		if _, err := txn.ParsePAN([]byte(digits)); err == nil {
			return digits
		}
	}
	panic("no check digit") // one of ten is right
}

// takes gives the purse of a load and what is asked for, nil when it is at another
// till.
func (t *till) takes(s *stimulus) (p *purse, amount uint64) {
	p = t.w.purses[s.which%len(t.w.purses)]
	if p.busy {
		return nil, 0
	}
	p.busy = true
	if dice := fate(t.w.o.Seed, aboutPurse, s.id, 1); p.wish == 0 || !s.calm() && dice%8 == 0 {
		p.wish = leastLoad + dice>>8%mostLoad
	}
	return p, p.wish
}

// calm says that nothing breaks on purpose: a visit at the end.
func (s *stimulus) calm() bool { return s.id >= lastVisitID }

// visitAgain has every card come once more; false when all have been often enough.
func (w *world) visitAgain() bool {
	if w.visits == lastVisits {
		return false
	}
	w.visits++
	for i := range w.purses {
		s := &stimulus{at: w.now - start, id: lastVisitID + uint64(w.visits)<<32 + uint64(i), kind: load, which: i}
		w.tills[i%tills].asked(s)
	}
	return true
}

// fillLoad puts the fields of a load, its reversal or its confirmation.
func (t *till) fillLoad(b *iso8583.Builder, j *job) {
	if j.state != confirming {
		b.Put(2, []byte(j.card))
	}
	b.Put(3, []byte(loadProc))
	usage := "45"
	if j.state == confirming {
		usage = "55"
	} else {
		b.PutUint(4, j.amount)
	}
	b.PutUint(11, j.trace)
	b.PutUint(22, 51)
	b.PutUint(25, 91)
	if j.state == reversing {
		b.Put(39, []byte("98"))
	}
	b.Put(41, []byte(t.number))
	b.Put(42, []byte(merchant))
	b.Put(49, []byte("156"))
	if j.state != reversing {
		if j.about == nil {
			j.about = j.purse.InitLoad(uint32(j.amount), kioskNo)
		}
		b.Put(58, j.about)
	}
	b.Put(60, []byte(usage+t.batch))
	if j.state == reversing && j.batch != t.batch {
		b.Put(61, fmt.Appendf(nil, "%s%06d", j.batch, j.trace))
	}
}

// leaves takes the card out: what is open its next contact decides.
func (t *till) leaves(j *job) {
	j.state, j.purse.busy = givenUp, false
	j.purse.Cut()
	t.next()
}

// silent is what a till does about a load that is not answered: it asks again, tries
// a reversal, or the person goes.
func (t *till) silent(j *job) {
	dice := fate(t.w.o.Seed, aboutPurse, j.id, 2)
	switch {
	case j.tries < 3 && j.state != sent, j.tries == 1 && dice%3 == 0:
		t.request()
	case j.state == sent && dice%3 == 1 && !j.calm():
		j.state = reversing
		t.request()
	default:
		t.leaves(j)
	}
}

// hearLoad takes an answer about a load.
func (t *till) hearLoad(j *job, v *iso8583.View, code string) {
	switch {
	case code == "09":
		t.wait(int64(time.Second))
	case v.MTI() == 0x0410 && j.state == reversing, v.MTI() == 0x0230 && j.state == confirming:
		t.leaves(j)
	case v.MTI() != 0x0210 || j.state != sent:
	case code == "00":
		t.writes(j, v.Field(58))
	default:
		switch code {
		case "96", "98", "91": // nothing is known
		default:
			j.purse.wish = 0
		}
		t.leaves(j)
	}
}

// writes has the card take its MAC2, or lose its power before that.
func (t *till) writes(j *job, about []byte) {
	var mac2 [4]byte
	var at [7]byte
	for b := about; len(b) > 1 && len(b) >= 2+int(b[1]); b = b[2+int(b[1]):] {
		switch value := b[2 : 2+int(b[1])]; b[0] {
		case card.TagMAC2:
			copy(mac2[:], value)
		case card.TagTime:
			copy(at[:], value)
		}
	}
	dice := fate(t.w.o.Seed, aboutPurse, j.id, 3)
	p := j.purse
	if !j.calm() && dice%4 == 0 {
		t.w.note("power gone", uint64(t.index), j.id)
		if p.Cut(); dice>>8%2 == 0 {
			j.state, j.tries = reversing, 0
			t.request()
			return
		}
		t.leaves(j)
		return
	}
	seq := p.Seq
	tac, ok := p.Credit(at, mac2)
	if !ok {
		t.w.violate("card-takes-its-mac2", "till %d: load %d", t.index, j.id)
		return
	}
	t.w.note("card writes", uint64(t.index), j.amount)
	p.credited += j.amount
	p.wish = 0
	if !j.calm() && dice>>8%3 == 0 { // nobody confirms
		t.leaves(j)
		return
	}
	b := card.AppendTag(nil, card.TagFamily, byte(p.Family))
	b = card.AppendTag(b, card.TagSerial, p.Serial[:]...)
	b = card.AppendTag(b, card.TagSeq, binary.BigEndian.AppendUint16(nil, seq)...)
	b = card.AppendTag(b, card.TagStatus, byte(card.Written))
	j.about = card.AppendTag32(card.AppendTag(b, card.TagTAC, tac[:]...), card.TagAfter, p.Balance)
	j.state, j.tries, j.trace = confirming, 0, 0
	t.request()
}

// comparePurses holds what is on the cards against what the banks have of their
// accounts: the same, or a person has the card and the difference is the one load
// that he has it for.
func (w *world) comparePurses() error {
	paid := map[string]uint64{}
	for _, k := range w.issuers {
		for _, r := range k.rows {
			if r.booked && !r.reversed {
				paid[r.account] += r.amount
			}
		}
	}
	parked := map[card.Serial]card.Purse{}
	err := engine.EachParked(w.proc.log, func(p *card.Purse) error {
		parked[p.Serial] = *p
		return nil
	})
	if err != nil {
		return err
	}
	for i, p := range w.purses {
		has, waits := parked[p.Serial]
		open := int64(paid[p.account]) - int64(p.credited)
		if waits {
			w.result.Parked++
		}
		if open != 0 && !(waits && open == int64(has.Amount) && has.Reason != card.NoReason) {
			w.violate("card-value-equals-paid-or-parked", "card %d: paid %d, on the card %d, parked %v for %v over %d", i, paid[p.account], p.credited, waits, has.Reason, has.Amount)
		}
	}
	return nil
}
